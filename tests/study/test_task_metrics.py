"""Metrics of boundaries, boxes, features and deviances: against definitions and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from sklearn.neighbors import KNeighborsClassifier

from lossmith import functional as F
from lossmith.study.base.errors import InputError
from lossmith.study.metrics import lookup
from lossmith.study.metrics.resolve import as_metric

RNG = np.random.default_rng(0)


def edge(mask: np.ndarray) -> np.ndarray:
    """Return the places of a mask's pixels with a neighbour outside, (k, dimensions)."""
    wide = np.pad(mask, 1)
    inner = np.ones_like(mask)
    for axis in range(mask.ndim):
        for step in (-1, 1):
            moved = np.roll(wide, step, axis)
            inner &= moved[tuple(slice(1, -1) for _ in mask.shape)]
    return np.argwhere(mask & ~inner)


def apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm(edge(one)[:, None] - edge(other)[None], axis=-1).min(axis=1)


@pytest.mark.parametrize("shape", [(20, 24), (7, 8, 9)])
def test_boundaries_are_compared_pixel_by_pixel(shape: tuple[int, ...]) -> None:
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    centres = [np.array(shape) / 2 + shift for shift in (0, 1.5, 2.5, 40)]
    balls = [np.linalg.norm(places - centre, axis=-1) < 3.2 for centre in centres]
    target = np.stack([balls[0], balls[0], balls[0], balls[3]]).astype(int)
    chosen = np.stack([balls[1], balls[2], balls[3], balls[3]]).astype(int)
    diagonal = np.linalg.norm(shape)
    distances = [
        max(np.percentile(apart(*pair), 95) for pair in ((a, b), (b, a)))
        for a, b in zip(balls[:1] * 2, balls[1:3], strict=True)
    ]
    found = as_metric("hausdorff95").score(target, chosen)  # the last image is empty
    assert found == pytest.approx(np.mean([*distances, diagonal]))
    reach = 0.0075 * diagonal
    values = []
    for one, other in zip(balls[:1] * 2, balls[1:3], strict=True):
        p, r = ((apart(*pair) <= reach).mean() for pair in ((other, one), (one, other)))
        values.append(2 * p * r / (p + r) if p + r else 0.0)
    assert as_metric("boundary_f1").score(target, chosen) == pytest.approx(np.mean([*values, 0]))
    assert as_metric("boundary_f1").score(target, target) == 1
    assert as_metric("hausdorff95").score(target, target) == 0


@pytest.mark.parametrize("name", ["boundary_f1", "hausdorff95"])
def test_images_are_the_units_of_boundaries_and_ignored_pixels_do_not_count(name: str) -> None:
    metric = as_metric(name)
    target = RNG.integers(3, size=(6, 8, 8))
    probabilities = RNG.dirichlet(np.ones(3), size=(6, 8, 8)).transpose(0, 3, 1, 2)
    each = [metric.score(target[n : n + 1], probabilities[n : n + 1]) for n in range(6)]
    assert metric.score(target, probabilities) == pytest.approx(np.mean(each))
    expected = np.array(each) - np.mean(each)
    np.testing.assert_allclose(metric.influences(target, probabilities), expected, atol=1e-12)
    target[:, :2] = 255
    other = probabilities.copy()
    other[:, :, :2] = probabilities[:, [1, 2, 0], :2]
    assert metric.score(target, other) == metric.score(target, probabilities)


def test_the_overlap_of_boxes_is_that_of_the_loss() -> None:
    low = RNG.random((50, 2, 2))
    first, second = np.concatenate([low, low + RNG.random((50, 2, 2))], axis=2).transpose(1, 0, 2)
    expected = 1 - F.iou(torch.from_numpy(second), torch.from_numpy(first))
    assert as_metric("box_iou").score(first, second) == pytest.approx(expected.mean().item())
    assert as_metric("box_iou").score(first, first[:, [2, 3, 0, 1]]) == 0
    with pytest.raises(InputError, match="box_iou needs boxes"):
        as_metric("box_iou").score(first[:, :3], second[:, :3])


def test_neighbours_vote_as_those_of_scikit_learn() -> None:
    codes = RNG.integers(3, size=80)
    features = RNG.normal(size=(80, 5)) + np.eye(3, 5)[codes] * 2
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for k in (1, 5, 20):
        hits = []
        for row in range(80):
            rest = np.arange(80) != row
            model = KNeighborsClassifier(  # distances² are 2 − 2 cos
                k, weights=lambda d: np.exp(-(d**2) / 2 / 0.07)
            ).fit(unit[rest], codes[rest])
            hits.append(model.predict(unit[row : row + 1])[0] == codes[row])
        metric = as_metric(f"knn_accuracy@{k}")
        assert metric.score(codes, features) == pytest.approx(np.mean(hits))
        found = metric.influences(codes, features)
        np.testing.assert_allclose(found, np.array(hits) - np.mean(hits), atol=1e-12)


def test_a_probe_is_fitted_to_other_rows() -> None:
    codes = RNG.integers(2, size=200)
    metric = as_metric("linear_probe")
    assert metric.score(codes, RNG.normal(size=(200, 150))) < 0.65  # it would fit its own rows
    assert metric.score(codes, codes[:, None] + 0.1 * RNG.normal(size=(200, 3))) > 0.95
    with pytest.raises(InputError, match="linear_probe needs features"):
        metric.score(codes, codes.astype(float))


@pytest.mark.parametrize(
    ("name", "power"),
    [("poisson_deviance", 1), ("gamma_deviance", 2), ("tweedie_deviance@1.3", 1.3)],
)
def test_deviances_are_those_of_scikit_learn(name: str, power: float) -> None:
    target, means = RNG.gamma(2.0, size=60), RNG.gamma(2.0, size=60) + 0.1
    if power < 2:
        target[::3] = 0
    metric = lookup(name)
    metric.check(target)
    expected = reference.mean_tweedie_deviance(target, means, power=power)
    assert metric.score(target, means) == pytest.approx(expected)
    low = np.where(np.arange(60) < 1, -1.0, means)  # counts as a thousandth of the mean target
    held = np.where(np.arange(60) < 1, 1e-3 * target.mean(), means)
    assert metric.score(target, low) == pytest.approx(metric.score(target, held))
    with pytest.raises(InputError, match="needs targets"):
        metric.check(-target)


def test_a_power_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match="between 1 and 2"):
        lookup("tweedie_deviance@2")
