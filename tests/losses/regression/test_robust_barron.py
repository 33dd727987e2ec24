"""Barron's general loss at its limits and near them, and the likelihood that learns its shape."""

import copy
import math

import pytest
import torch
from scipy import integrate, special, stats
from torch import Tensor

import lossmith
from lossmith import AdaptiveBarron, Barron
from lossmith import functional as F
from lossmith.functional.regression.robust import general, log_partition

RESIDUALS = torch.cat([torch.tensor([0.0, 1e-9, -1e-5]), torch.logspace(-4, 3, 40)]).double()
ZEROS = torch.zeros_like(RESIDUALS)


def value_and_slope(alpha: float, residuals: Tensor = RESIDUALS) -> tuple[Tensor, Tensor]:
    leaf = residuals.clone().requires_grad_()
    value = F.barron(leaf, torch.zeros_like(leaf), alpha=alpha, scale=1.0)
    return value.detach(), torch.autograd.grad(value.sum(), leaf)[0]


MEMBERS = {
    2.0: lambda r: r**2 / 2,
    1.0: lambda r: F.pseudo_huber(r, ZEROS, delta=1.0),
    0.0: lambda r: F.cauchy(r, ZEROS, scale=1.0),
    -2.0: lambda r: F.geman_mcclure(r, ZEROS, scale=1.0),
    -math.inf: lambda r: F.welsch(r, ZEROS, scale=1.0),
    4.0: lambda r: r**2 / 2 + r**4 / 8,  # 2/4 ((r²/2 + 1)² − 1)
}


@pytest.mark.parametrize("alpha", MEMBERS)
def test_members_have_their_names_values(alpha: float) -> None:
    leaf = RESIDUALS.clone().requires_grad_()
    expected = MEMBERS[alpha](leaf)
    (slope,) = torch.autograd.grad(expected.sum(), leaf)
    got = value_and_slope(alpha)
    torch.testing.assert_close(got[0], expected.detach(), rtol=1e-12, atol=1e-300)
    torch.testing.assert_close(got[1], slope, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("limit", [0.0, 2.0])
@pytest.mark.parametrize("step", [1e-300, 1e-15, 1e-9, -1e-9, 1e-6, -1e-6])
def test_near_a_limit_is_near_its_value(limit: float, step: float) -> None:
    here, there = value_and_slope(limit + step), value_and_slope(limit)
    size = 200 * abs(step) + 1e-14  # times log² of the residual and less
    for got, expected in zip(here, there, strict=True):
        torch.testing.assert_close(got, expected, rtol=size, atol=1e-300)


@pytest.mark.parametrize("edge", [-1e-3, 1e-3, 2 - 1e-3, 2 + 1e-3])
def test_the_forms_meet(edge: float) -> None:
    below, above = value_and_slope(edge * (1 - 1e-13)), value_and_slope(edge * (1 + 1e-13))
    for got, expected in zip(below, above, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("alpha", [-math.inf, -1e30, -3.0, -1e-4, 0.0, 1e-9, 1.0, 1.9999, 2.0])
def test_finite_wherever_the_value_is(alpha: float) -> None:
    far = torch.tensor([1e18, -1e18, 1e-30, 0.0], requires_grad=True)
    value = F.barron(far, torch.zeros(4), alpha=alpha, scale=1.0)
    slopes = torch.autograd.grad(value.sum(), far)[0]
    assert value.isfinite().all()
    assert slopes.isfinite().all()


@pytest.mark.parametrize("alpha", [math.inf, 7.0, 2.0, 0.5, -math.inf])
def test_never_nan_at_the_largest_float(alpha: float) -> None:
    far = torch.tensor([torch.finfo(torch.float32).max], requires_grad=True)
    value = F.barron(far, torch.zeros(1), alpha=alpha, scale=0.01)
    assert not value.isnan().any()
    assert not torch.autograd.grad(value.sum(), far)[0].isnan().any()


@pytest.mark.parametrize("alpha", [-2.5, -1e-4, 0.0, 5e-4, 1.0, 1.9995, 3.0])
def test_gradient_of_alpha(alpha: float) -> None:
    shape = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
    residuals = torch.tensor([0.1, -1.0, 5.0], dtype=torch.float64)
    one = torch.ones((), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a: general(residuals, a, one), shape, eps=1e-7)


@pytest.mark.parametrize(
    ("alpha", "exact"),
    [
        (0.0, math.pi * math.sqrt(2)),  # Cauchy
        (1.0, 2 * math.e * special.k1(1.0)),
        (2.0, math.sqrt(2 * math.pi)),
        *((a, None) for a in (0.001, 0.3, 1.7, 1.999)),
    ],
)
def test_normaliser(alpha: float, exact: float | None) -> None:
    got = log_partition(torch.tensor(alpha, dtype=torch.float64)).exp().item()
    if exact is None:
        b = 2 - alpha
        exact, _ = integrate.quad(
            lambda t: 2 * math.exp(t - b / alpha * math.expm1(alpha / 2 * math.log1p(
                math.exp(2 * t) / b))), -30, 40, limit=500, epsabs=1e-13, epsrel=1e-12,
            points=[-5, 0, 5],
        )  # fmt: skip
    assert got == pytest.approx(exact, rel=1e-11)


def test_adaptive_density_integrates_to_one() -> None:
    loss = AdaptiveBarron(initial_alpha=0.7, initial_scale=0.3).double()
    grid = torch.linspace(-40, 40, 400001, dtype=torch.float64).sinh()
    values = loss.values(torch.full_like(grid, 0.2), grid).detach()
    assert torch.trapezoid((-values).exp(), grid).item() == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("heavy", [False, True])
def test_adaptive_learns_shape_and_scale_of_real_noise(heavy: bool) -> None:
    """Alpha rises towards a Gaussian's 2 or falls towards Cauchy's 0, scale to the noise's."""
    levels = (torch.arange(999, dtype=torch.float64) + 0.5) / 999
    noise = 3 * torch.from_numpy((stats.cauchy if heavy else stats.norm).ppf(levels.numpy()))
    loss = AdaptiveBarron().double()
    optimizer = torch.optim.LBFGS(loss.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(noise, torch.zeros_like(noise))
        value.backward()
        return value

    optimizer.step(closure)
    assert (loss.alpha < 0.1) if heavy else (loss.alpha > 1.9)
    scale = 3 / math.sqrt(2) if heavy else 3.0  # Cauchy's half-width is √2 scales
    assert loss.scale.item() == pytest.approx(scale, rel=0.05)


def test_what_was_learned_survives(tmp_path) -> None:
    loss = AdaptiveBarron(initial_scale=0.5)
    with torch.no_grad():
        loss.latent_alpha.fill_(1.25)
        loss.latent_scale.fill_(-0.5)
    loss.save(tmp_path / "loss.json")
    for other in (copy.deepcopy(loss), lossmith.load(tmp_path / "loss.json")):
        assert torch.equal(other.alpha, loss.alpha)
        assert torch.equal(other.scale, loss.scale)
        assert other.latent_alpha.requires_grad
    assert AdaptiveBarron().alpha.item() == pytest.approx(1.0)


def test_initial_values_outside_their_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="initial_alpha must be between"):
        AdaptiveBarron(initial_alpha=0.5, alpha_low=0.6)
    with pytest.raises(ValueError, match="initial_scale must be above"):
        AdaptiveBarron(initial_scale=1e-6)
    with pytest.raises(ValueError, match="alpha"):
        Barron(alpha=math.nan)
