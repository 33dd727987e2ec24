"""Quantiles that heads give, against scipy's distributions and against samples."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

import lossmith
from lossmith import functional as F
from lossmith.core.loss import Loss

LEVELS = (0.001, 0.02, 0.3, 0.5, 0.9, 0.999)
HEAD = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def softplus(x: Tensor) -> np.ndarray:
    return torch.nn.functional.softplus(x).numpy()


def evidence(head: Tensor) -> Any:
    v, a, b = softplus(head[:, 1]), 1 + softplus(head[:, 2]), softplus(head[:, 3])
    return stats.t(2 * a, head[:, 0].numpy(), np.sqrt(b * (1 + v) / (v * a)))


def located(family: Any, *shape: float) -> Any:
    return lambda head: family(*shape, head[:, 0].numpy(), 0.001 + np.exp(head[:, 1].numpy()))


MEAN = np.exp(HEAD[:, 0].numpy() + 1)
CASES: list[tuple[Loss, Tensor, Any]] = [
    (lossmith.GaussianNLL(), HEAD[:, :2], located(stats.norm)(HEAD)),
    (lossmith.BetaNLL(), HEAD[:, :2], located(stats.norm)(HEAD)),
    (lossmith.GaussianCRPS(), HEAD[:, :2], located(stats.norm)(HEAD)),
    (lossmith.LaplaceNLL(), HEAD[:, :2], located(stats.laplace)(HEAD)),
    (lossmith.StudentTNLL(), HEAD[:, :2], located(stats.t, 4.0)(HEAD)),
    (lossmith.EvidentialRegression(), HEAD[:, :4], evidence(HEAD)),
    (lossmith.Poisson(offset=1.0), HEAD[:, 0], stats.poisson(MEAN)),
    (lossmith.NegativeBinomial(offset=1.0), HEAD[:, 0], stats.nbinom(1.0, 1 / (1 + MEAN))),
]


@pytest.mark.parametrize(("loss", "head", "truth"), CASES, ids=lambda one: type(one).__name__)
def test_a_head_is_read_at_a_level_of_its_distribution(
    loss: Loss, head: Tensor, truth: Any
) -> None:
    for level in LEVELS:
        found = loss.quantile(head, level)
        np.testing.assert_allclose(found.numpy(), truth.ppf(level), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("degrees", [0.5, 1.0, 1.9, 2.1, 5.0, 300.0, 1e5])
def test_students_quantile_of_any_degrees(degrees: float) -> None:
    for level in LEVELS:
        found = F.student_t_step(level, torch.tensor(degrees, dtype=torch.float64))
        assert found.item() == pytest.approx(stats.t.ppf(level, degrees), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("mean", [900.0, 1e4, 1e7])
def test_large_counts_are_read_by_a_gamma_distribution(mean: float) -> None:
    head = torch.tensor([mean], dtype=torch.float64).log()
    for level in (0.02, 0.5, 0.9):
        found = lossmith.Poisson().quantile(head, level).item()
        assert found == pytest.approx(stats.poisson.ppf(level, mean), rel=1e-3)
        found = lossmith.NegativeBinomial(dispersion=0.3).quantile(head, level).item()
        truth = stats.nbinom.ppf(level, 1 / 0.3, 1 / (1 + 0.3 * mean))
        assert found == pytest.approx(truth, rel=5e-3)


def test_a_mixture_is_read_between_its_modes() -> None:
    head = torch.tensor([[0.0, 0.0, -5.0, 5.0, -2.0, -2.0]], dtype=torch.float64)
    loss = lossmith.MixtureDensity(components=2)
    scale = 0.001 + np.exp(-2.0)
    assert loss.decode(head).item() == pytest.approx(0.0)
    for level, part, place in ((0.1, 0.2, -5.0), (0.9, 0.8, 5.0)):
        truth = stats.norm.ppf(part, place, scale)
        assert loss.quantile(head, level).item() == pytest.approx(truth, abs=1e-9)


def test_a_histogram_is_read_within_its_bins() -> None:
    loss = lossmith.HLGauss(low=0.0, high=4.0, bins=4)
    head = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log()
    found = [loss.quantile(head, level).item() for level in (0.05, 0.1, 0.2, 0.6, 0.8)]
    assert found == pytest.approx([0.5, 1.0, 1.5, 3.0, 3.5])


def test_heads_of_quantiles_and_members_are_read_between_their_levels() -> None:
    several = lossmith.Quantile(level=[0.1, 0.5, 0.9])
    head = torch.zeros(1, 3)
    low, middle, high = several.decode(head)[0].tolist()
    found = [several.quantile(head, level).item() for level in (0.05, 0.1, 0.3, 0.9, 0.99)]
    assert found == pytest.approx([low, low, (low + middle) / 2, high, high])
    members = lossmith.EnsembleCRPS(members=4)
    assert members.quantile(torch.tensor([[4.0, 1.0, 3.0, 2.0]]), 0.5).item() == 2.5
    crps = lossmith.QuantileCRPS(levels=2)  # at 1/4 and 3/4
    assert crps.quantile(head[:, :2], 0.5).item() == pytest.approx(-np.log(2) / 2, rel=1e-5)


def test_the_trailing_dimensions_of_a_head_are_kept() -> None:
    head, cases = HEAD[:, :4, None].expand(6, 4, 3), CASES[:6]
    for loss, flat, _ in cases:
        wide = loss.quantile(head[:, : flat.shape[1]], 0.9)
        torch.testing.assert_close(wide, loss.quantile(flat, 0.9)[:, None].expand(6, 3))
    for loss in (lossmith.MixtureDensity(components=2), lossmith.HLGauss(low=0, high=1, bins=6)):
        wide = loss.quantile(HEAD[..., None].expand(6, 6, 3), 0.9)
        torch.testing.assert_close(wide, loss.quantile(HEAD, 0.9)[:, None].expand(6, 3))


def test_a_transformed_target_keeps_its_quantiles() -> None:
    target = torch.tensor([1.0, 2.0, 4.0, 50.0])
    loss = lossmith.TransformedTarget.for_target(
        target, loss=lossmith.GaussianNLL, function="log1p"
    )
    head = torch.tensor([[0.0, 0.0]])
    inner = lossmith.GaussianNLL().quantile(head, 0.9) * loss.scale + loss.center
    torch.testing.assert_close(loss.quantile(head, 0.9), inner.expm1().float())


def test_wrappers_and_sums_read_as_their_losses_do() -> None:
    head = HEAD[:, :2]
    inner = lossmith.GaussianNLL()
    truth = inner.quantile(head, 0.9)
    torch.testing.assert_close(lossmith.CVaR(lossmith.GaussianNLL()).quantile(head, 0.9), truth)
    both = lossmith.GaussianCRPS() + 2.0 * inner
    torch.testing.assert_close(both.quantile(head, 0.9), truth)


def test_a_head_of_a_point_is_read_as_that_point() -> None:
    for loss in (lossmith.MSE(), lossmith.Huber(), lossmith.Gamma(), lossmith.Quantile(level=0.7)):
        torch.testing.assert_close(loss.quantile(HEAD[:, 0], 0.9), loss.decode(HEAD[:, 0]))
