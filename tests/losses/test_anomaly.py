"""Losses of one class alone: a centre that is no trivial one, and the ball around it."""

import pytest
import torch

import lossmith
from lossmith import Progress
from lossmith import functional as F


def embeddings(rows: int = 200, features: int = 3) -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    return torch.randn(rows, features, generator=g, dtype=torch.float64)


def test_the_centre_is_the_mean_away_from_zero() -> None:
    rows = torch.tensor([[1.0, 0.01, -0.01, 0.0], [3.0, 0.01, -0.03, 0.0]])
    found = F.svdd_center(rows)
    torch.testing.assert_close(found, torch.tensor([2.0, 0.1, -0.1, 0.1]))
    assert lossmith.DeepSVDD(center=found)(found[None]) == 0


def test_a_ball_of_the_step_leaves_its_share_of_rows_outside() -> None:
    rows, center = embeddings(), [0.2, -0.1, 0.4]
    loss = lossmith.SoftBoundarySVDD(center=center, nu=0.25)
    torch.testing.assert_close(loss(rows), lossmith.DeepSVDD(center=center)(rows) / 0.25)
    loss.observe(Progress(step=1, signals={"input": rows}))
    distance = (rows - torch.tensor(center, dtype=torch.float64)).norm(dim=1)
    assert (distance > loss.radius).double().mean().item() == pytest.approx(0.25)
    other = lossmith.SoftBoundarySVDD(center=center, nu=0.25)
    values = []
    for radius in (0.9, 1.0, 1.1):
        other.radius.fill_(loss.radius * radius)
        values.append(other(rows).item())
    assert values[1] < min(values[0], values[2])  # the quantile is the minimiser


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"input must be \(N, 2\), as long as the center, got"):
        lossmith.DeepSVDD(center=[1.0, 2.0])(torch.zeros(4, 3))


def test_anomalies_alone_are_labelled_where_it_is_not_said() -> None:
    rows, odd = embeddings(6), torch.tensor([0.0, 1, 0, 1, 0, 0])
    loss = lossmith.DeepSAD(center=[0.2, -0.1, 0.4], eta=3.0)
    said = loss(rows, {"anomaly": odd, "labelled": odd})
    torch.testing.assert_close(loss(rows, {"anomaly": odd}), said)
    none = torch.zeros(6)
    unlabelled = loss(rows, {"anomaly": odd, "labelled": none})
    torch.testing.assert_close(unlabelled, lossmith.DeepSVDD(center=[0.2, -0.1, 0.4])(rows))


def test_an_anomaly_leaves_the_centre_and_normal_rows_go_to_it() -> None:
    target = {"anomaly": torch.tensor([0.0, 1.0]), "labelled": torch.ones(2)}
    rows = torch.tensor([[1.0], [1.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(lossmith.DeepSAD(center=[0.0])(rows, target), rows)
    torch.testing.assert_close(slope, torch.tensor([[1.0], [-1.0]]))  # 2d/2 and −2/d³/2


def test_deviations_of_anomalies_beyond_the_margin_cost_nothing() -> None:
    scores = torch.tensor([-2.0, 3.0, 6.0])
    loss = lossmith.Deviation(margin=5.0)
    assert [loss(one[None], torch.ones(1)).item() for one in scores] == [7.0, 2.0, 0.0]
    assert [loss(one[None], torch.zeros(1)).item() for one in scores] == [2.0, 3.0, 6.0]


def test_hypersphere_classification_is_the_cross_entropy_of_what_it_decodes() -> None:
    rows, loss = embeddings(20), lossmith.HypersphereClassification()
    odd = (torch.arange(20) % 2).double()
    chance = loss.decode(rows)
    bce = torch.nn.functional.binary_cross_entropy(chance, odd)
    torch.testing.assert_close(loss(rows, odd), bce)


def test_maps_of_one_channel_are_averaged_over_places() -> None:
    maps = embeddings(4, 6).reshape(4, 1, 2, 3)
    mean = ((maps.square() + 1).sqrt() - 1).flatten(1).mean(1)
    torch.testing.assert_close(F.hypersphere_distance(maps), mean)


def test_an_anomaly_at_the_centre_has_a_finite_value_and_slope() -> None:
    rows = torch.tensor([[0.0, 0.0], [1e-20, 0.0], [1e-3, 0.0]], requires_grad=True)
    values = F.hypersphere_classification(rows, torch.ones(3))
    assert values.max().item() == pytest.approx(31 * 2.302585, rel=1e-5)
    assert torch.autograd.grad(values.sum(), rows)[0].isfinite().all()


def test_energies_are_averaged_over_inliers_and_outliers_each_alone() -> None:
    logits = 3 * embeddings(7, 4)
    outlier = torch.tensor([0.0, 0, 1, 0, 0, 1, 0])
    classes = torch.tensor([0, 1, -7, 2, 3, 99, 1])  # of outliers none is looked at
    loss = lossmith.EnergyMargin(inlier_margin=-4.0, outlier_margin=-3.0, strength=0.5)
    energy, known = -logits.logsumexp(1), outlier == 0
    cost = (energy[known] + 4).relu().square().mean() + (-3 - energy[~known]).relu().square().mean()
    terms = loss.terms(logits, {"classes": classes, "outlier": outlier})
    torch.testing.assert_close(terms["energy"], 0.5 * cost)
    plain = torch.nn.functional.cross_entropy(logits[known], classes[known])
    torch.testing.assert_close(terms["classes"], plain)
    unknown = {"classes": classes.index_fill(0, torch.tensor([0]), -100), "outlier": outlier}
    with pytest.raises(ValueError, match="a class outside 0 … 3"):
        loss(logits, unknown)
    no_outliers = {"classes": classes.clamp(0, 3), "outlier": torch.zeros(7)}
    assert loss(logits, no_outliers).isfinite()


def test_outlier_exposure_is_two_cross_entropies() -> None:
    """As docs/contributing.md says: uniform soft labels are label smoothing of 1."""
    inside, outside, classes = embeddings(5, 4), embeddings(3, 4), torch.tensor([0, 1, 2, 3, 1])
    plain = lossmith.CrossEntropy()(inside, classes)
    even = lossmith.CrossEntropy(label_smoothing=1.0)(outside, torch.zeros(3, dtype=torch.long))
    authors = -(outside.mean(1) - outside.logsumexp(1)).mean()
    torch.testing.assert_close(plain + 0.5 * even, plain + 0.5 * authors)


def test_outliers_are_told_beside_any_loss_of_the_same_logits() -> None:
    """A head of any width is at odds with none that another loss asks for."""
    both = lossmith.LogitNorm(classes=3), lossmith.EnergyMargin()
    loss = both[0].on(None, "classes") + both[1].on(None, "rows")
    assert loss.out_features == 3
    target = {"classes": torch.tensor([0, 1, 2]), "outlier": torch.tensor([0, 0, 1])}
    value = loss(torch.zeros(3, 3), {"classes": target["classes"], "rows": target})
    assert value.isfinite()
    for one in (lossmith.EnergyMargin(), lossmith.C51(), lossmith.QuantileHuber(), lossmith.KL()):
        with pytest.raises(ValueError, match="reads a head of any width"):
            _ = one.out_features
