"""Influences against the jackknife, for every metric."""

import numpy as np
import pytest

from lossmith.study.metrics import lookup, names, shifted

ROWS = 600
RNG = np.random.default_rng(0)
VALUES = RNG.gamma(4.0, 2.0, ROWS)
POINTS = np.stack([VALUES * RNG.normal(1.0, 0.2, ROWS) + RNG.normal(size=ROWS) for _ in range(3)])


def _classes(count: int) -> tuple[np.ndarray, np.ndarray]:
    target = RNG.choice(count, ROWS, p=np.arange(1, count + 1) / np.arange(1, count + 1).sum())
    logits = RNG.normal(size=(3, ROWS, count)) + 1.5 * np.eye(count)[target]
    odds = np.exp(logits)
    return target, odds / odds.sum(axis=2, keepdims=True)


CASES = dict.fromkeys(names("regression"), (VALUES, POINTS))
CASES |= {name: _classes(2) for name in names("binary")}
CASES["average_precision with ties"] = (
    CASES["average_precision"][0],
    CASES["average_precision"][1].round(1),
)
CASES |= {f"{name} of 3": _classes(3) for name in names("multiclass")}
CASES |= {name: _classes(4) for name in names("ordinal")}


@pytest.mark.parametrize("case", CASES)
def test_influences_are_those_of_the_jackknife(case: str) -> None:
    metric, (target, predictions) = lookup(case.partition(" ")[0]), CASES[case]
    if metric.tuned:
        decisions = np.stack([metric.tune(target, one) for one in predictions])
        predictions = shifted(predictions, decisions)
    found = metric.influence_matrix(target, predictions)
    whole = metric.scores(target, predictions)
    without = np.stack(
        [
            metric.scores(np.delete(target, i), np.delete(predictions, i, axis=1))
            for i in range(ROWS)
        ],
        axis=1,
    )
    jackknife = (ROWS - 1) * (whole[:, None] - without)
    assert found.shape == predictions.shape[:2]
    assert found.sum(axis=1) == pytest.approx(np.zeros(3), abs=1e-6)
    if metric.name == "medae":  # the jackknife of a median fails; the spread must still be right
        bootstrap = _bootstrap(metric, target, predictions)
        assert found.std(axis=1) / ROWS**0.5 == pytest.approx(bootstrap, rel=0.25)
        return
    for ours, theirs in zip(found, jackknife, strict=True):
        assert np.corrcoef(ours, theirs)[0, 1] > 0.999
        assert ours.std() == pytest.approx(theirs.std(), rel=0.02)


def test_the_order_of_tied_rows_does_not_matter() -> None:
    target = RNG.random(400) < 0.3
    scores = np.round(RNG.random(400) + 0.3 * target, 1)
    metric = lookup("average_precision")
    for one in (scores, np.zeros(400)):
        found = []
        for order in (np.arange(400), np.argsort(target), np.argsort(~target)):
            odds = np.stack([1 - one[order], one[order]], axis=-1)[None]
            values = np.empty(400)
            values[order] = metric.influence_matrix(target[order].astype(int), odds)[0]
            found.append(values)
        assert found[1] == pytest.approx(found[0])
        assert found[2] == pytest.approx(found[0])


def _bootstrap(metric, target: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    rng, scores = np.random.default_rng(1), []
    for _ in range(400):
        rows = rng.integers(ROWS, size=ROWS)
        scores.append(metric.scores(target[rows], predictions[:, rows]))
    return np.std(scores, axis=0)


def test_a_model_that_is_not_finite_has_none() -> None:
    points = POINTS.copy()
    points[1, 3] = np.nan
    found = lookup("rmse").influence_matrix(VALUES, points)
    assert not found[1].any()
    assert found[0].any()
