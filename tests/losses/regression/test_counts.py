"""Losses of counts, positive numbers and ratios: likelihoods, limits, what fitting does, zeros."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics
from torch import Tensor

import lossmith
from lossmith import (
    MAPE,
    MSLE,
    SMAPE,
    Gamma,
    NegativeBinomial,
    Poisson,
    Tukey,
    Tweedie,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedPoisson,
)
from lossmith import functional as F

ETA = torch.linspace(-3, 4, 15, dtype=torch.float64)
COUNTS = torch.tensor([0, 1, 2, 0, 5, 40, 3, 0, 1, 7, 11, 0, 60, 2, 400], dtype=torch.float64)
AMOUNTS = COUNTS + 0.25


def slope(values, input: Tensor) -> Tensor:
    leaf = input.clone().requires_grad_()
    return torch.autograd.grad(values(leaf).sum(), leaf)[0]


def test_poisson_is_scipys_likelihood() -> None:
    expected = -stats.poisson(ETA.exp().numpy()).logpmf(COUNTS.numpy())
    np.testing.assert_allclose(F.poisson(ETA, COUNTS, offset=0.0).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("dispersion", [1e-4, 0.3, 1.0, 20.0])
def test_negative_binomial_is_scipys_likelihood(dispersion: float) -> None:
    size = 1 / dispersion
    chance = 1 / (1 + dispersion * ETA.exp().numpy())
    expected = -stats.nbinom(size, chance).logpmf(COUNTS.numpy())
    got = F.negative_binomial(
        ETA, COUNTS, dispersion=torch.tensor(dispersion, dtype=torch.float64), offset=0.0
    )
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-8)


def test_negative_binomial_keeps_small_dispersions_in_float32() -> None:
    loss = NegativeBinomial(dispersion=1e-4)
    half, full = loss(ETA.float(), COUNTS.float()), loss(ETA, COUNTS)
    assert half.item() == pytest.approx(full.item(), rel=1e-5)
    assert full.item() == pytest.approx(Poisson()(ETA, COUNTS).item(), rel=0.2)


def test_gamma_and_tweedie_are_half_of_scikit_learns_deviance() -> None:
    mean = ETA.exp().numpy()
    deviance = metrics.mean_gamma_deviance(AMOUNTS.numpy(), mean)
    assert Gamma()(ETA, AMOUNTS).item() == pytest.approx(deviance / 2, rel=1e-12)
    for power in (1.05, 1.5, 1.95):
        deviance = metrics.mean_tweedie_deviance(COUNTS.numpy(), mean, power=power)
        got = Tweedie(power=power)(ETA, COUNTS).item()
        assert got == pytest.approx(deviance / 2, rel=1e-9)


def test_tweedie_goes_from_poisson_to_gamma() -> None:
    low = slope(lambda x: F.tweedie(x, AMOUNTS, power=1 + 1e-9, offset=0.0), ETA)
    high = slope(lambda x: F.tweedie(x, AMOUNTS, power=2 - 1e-9, offset=0.0), ETA)
    poisson = slope(lambda x: F.poisson(x, AMOUNTS, offset=0.0), ETA)
    gamma = slope(lambda x: F.gamma(x, AMOUNTS, offset=0.0), ETA)
    torch.testing.assert_close(low, poisson, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(high, gamma, rtol=1e-6, atol=1e-7)


def test_gamma_knows_no_unit() -> None:
    here = Gamma()(ETA, AMOUNTS)
    there = Gamma(offset=math.log(1e6))(ETA, 1e6 * AMOUNTS)
    torch.testing.assert_close(here, there)


@pytest.mark.parametrize("kind", [Poisson, Gamma, Tweedie, NegativeBinomial])
def test_a_fresh_head_predicts_the_mean(kind) -> None:
    loss = kind.for_target(AMOUNTS)
    assert loss.decode(torch.zeros(3)).tolist() == pytest.approx([AMOUNTS.mean().item()] * 3)
    zeros = torch.zeros_like(AMOUNTS, requires_grad=True)
    (slopes,) = torch.autograd.grad(loss(zeros, AMOUNTS), zeros)
    assert slopes.sum().item() == pytest.approx(0.0, abs=1e-6)  # stationary at the start


def test_dispersion_is_fitted_by_moments() -> None:
    spread = (COUNTS.var(correction=0) - COUNTS.mean()) / COUNTS.mean() ** 2
    assert NegativeBinomial.for_target(COUNTS).dispersion.item() == pytest.approx(spread.item())
    assert NegativeBinomial.for_target(torch.full((9,), 4.0)).dispersion.item() == 0.01


@pytest.mark.parametrize("kind", [Poisson, Tweedie, NegativeBinomial])
def test_all_zero_targets_are_fitted(kind) -> None:
    loss = kind.for_target(torch.zeros(5))
    assert loss(torch.zeros(5), torch.zeros(5)).isfinite()


@pytest.mark.parametrize("key", ["poisson", "tweedie", "negative_binomial", "msle"])
def test_negative_targets_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match="negative"):
        lossmith.get(key)(torch.zeros(2), torch.tensor([1.0, -1.0]))


def test_fitting_to_targets_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="Poisson: targets must be 0 or more, the least is -1"):
        Poisson.for_target(torch.tensor([-1.0, 2.0]))
    with pytest.raises(ValueError, match="Gamma: targets must be positive, the least is 0"):
        Gamma.for_target(torch.tensor([0.0, 2.0]))
    with pytest.raises(ValueError, match="not positive"):
        Gamma()(torch.zeros(2), torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize("key", ["poisson", "gamma", "tweedie", "negative_binomial", "mape"])
def test_nothing_is_broadcast(key: str) -> None:
    with pytest.raises(ValueError, match=r"\(4, 1\).*\(4,\).*squeeze"):
        lossmith.get(key)(torch.zeros(4, 1), torch.ones(4))


@pytest.mark.parametrize("key", ["poisson", "gamma", "tweedie"])
def test_beyond_exp_50_the_mean_is_its_tangent(key: str) -> None:
    loss = lossmith.get(key)
    at, beyond = torch.tensor([50.0]).double(), torch.tensor([52.0]).double()
    assert loss.decode(beyond).item() == pytest.approx(3 * math.exp(50), rel=1e-12)
    assert loss.decode(at).item() == pytest.approx(math.exp(50), rel=1e-12)
    ones = torch.ones(1).double()
    ends = slope(lambda x: loss(x, ones), at), slope(lambda x: loss(x, ones), at + 1e-9)
    torch.testing.assert_close(*ends, rtol=1e-6, atol=0.0)


def test_zeros_of_relative_losses() -> None:
    zero = torch.zeros(1, requires_grad=True)
    value = SMAPE()(zero, torch.zeros(1))
    assert value.item() == 0
    assert torch.autograd.grad(value, zero)[0].item() == 0
    with pytest.raises(ValueError, match="target holds 0"):
        MAPE()(torch.ones(2), torch.tensor([1.0, 0.0]))
    assert SMAPE()(torch.tensor([1.0]), torch.zeros(1)).item() == 2
    assert MSLE()(torch.zeros(1), torch.zeros(1)).item() == 0


def test_msle_draws_negative_predictions_back() -> None:
    below = torch.tensor([-3.0, -0.5]).double()
    pull = slope(lambda x: F.msle(x, torch.ones(2).double()), below)
    assert (pull < 0).all()
    torch.testing.assert_close(pull, 2 * (below - math.log(2)))


@pytest.mark.parametrize("kind", [MSLE, MAPE, SMAPE])
def test_relative_losses_start_at_the_median(kind) -> None:
    loss = kind.for_target(1e4 * AMOUNTS)
    assert loss.decode(torch.zeros(1)).item() == pytest.approx(1e4 * AMOUNTS.median().item())
    plain, prediction = kind(), 1e4 * AMOUNTS.flip(0)
    inner = (prediction - loss.center) / loss.scale
    torch.testing.assert_close(loss(inner, AMOUNTS), plain(prediction, AMOUNTS))


def test_tukey_ignores_what_lies_beyond() -> None:
    residuals = torch.tensor([0.0, 0.01, 4.684, 4.686, 1e9]).double()
    values = F.tukey(residuals, torch.zeros_like(residuals), cutoff=4.685)
    pulls = slope(lambda x: F.tukey(x, torch.zeros_like(x), cutoff=4.685), residuals)
    assert values[3:].tolist() == pytest.approx([4.685**2 / 6] * 2)
    assert pulls[3:].tolist() == [0, 0]
    assert pulls[1].item() == pytest.approx(0.01, rel=1e-4)
    assert Tukey()(torch.ones(1), torch.zeros(1)) < 0.5


def inflated(mean: float, share: float) -> Tensor:
    return torch.tensor([math.log(mean), math.log(share / (1 - share))], dtype=torch.float64)


@pytest.mark.parametrize("loss", [ZeroInflatedPoisson(), ZeroInflatedNegativeBinomial()], ids=repr)
def test_zero_inflated_chances_sum_to_one(loss) -> None:
    counts = torch.arange(4000.0).double()
    heads = inflated(2.5, 0.3).expand(4000, 2)
    assert (-loss.values(heads, counts)).exp().sum().item() == pytest.approx(1.0)
    chances = (-loss.values(heads, counts)).exp()
    assert (chances * counts).sum().item() == pytest.approx(loss.decode(heads)[0].item())


def test_without_further_zeros_it_is_the_plain_distribution() -> None:
    heads = torch.stack([ETA, torch.full_like(ETA, -60.0)], 1)
    torch.testing.assert_close(ZeroInflatedPoisson()(heads, COUNTS), Poisson()(ETA, COUNTS))
    binomial = NegativeBinomial(dispersion=0.3)(ETA, COUNTS)
    got = ZeroInflatedNegativeBinomial(dispersion=0.3)(heads, COUNTS)
    torch.testing.assert_close(got, binomial)


def test_zero_inflation_learns_the_share_of_zeros() -> None:
    generator = torch.Generator().manual_seed(3)
    drawn = torch.poisson(torch.full((4000,), 3.0), generator=generator).double()
    target = torch.where(torch.rand(4000, generator=generator) < 0.4, 0, drawn)
    head = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    loss = ZeroInflatedPoisson.for_target(target)
    assert loss.decode(head).item() == pytest.approx(target.mean().item())
    optimiser = torch.optim.LBFGS([head], max_iter=100, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimiser.zero_grad()
        value = loss(head.expand(4000, 2), target)
        value.backward()
        return value

    optimiser.step(step)
    assert head[1].sigmoid().item() == pytest.approx(0.4, abs=0.03)
    assert loss.decode(head).item() == pytest.approx(target.mean().item(), rel=1e-4)
    plain = Poisson.for_target(target)(torch.zeros(4000), target)
    assert loss(head.expand(4000, 2), target) < plain - 0.3


def test_zero_inflation_of_all_zeros_is_fitted() -> None:
    for kind in (ZeroInflatedPoisson, ZeroInflatedNegativeBinomial):
        loss = kind.for_target(torch.zeros(5))
        assert loss(torch.zeros(5, 2), torch.zeros(5)).isfinite()
