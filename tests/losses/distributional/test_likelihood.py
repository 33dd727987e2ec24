"""Likelihoods against scipy and torch, and HL-Gauss against the error function."""

import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import Tensor

import lossmith
from lossmith import functional as F

FLOOR = 1e-3
DISTRIBUTIONS = {
    "gaussian": (F.gaussian_nll, lambda m, s: stats.norm(m, s)),
    "laplace": (F.laplace_nll, lambda m, s: stats.laplace(m, s)),
    "cauchy": (
        lambda x, y, floor: F.student_t_nll(x, y, degrees_of_freedom=1.0, floor=floor),
        lambda m, s: stats.cauchy(m, s),
    ),
    "student": (
        lambda x, y, floor: F.student_t_nll(x, y, degrees_of_freedom=4.5, floor=floor),
        lambda m, s: stats.t(4.5, m, s),
    ),
}


def heads() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    input = 3 * torch.randn(300, 2, dtype=torch.float64, generator=generator)
    target = 3 * torch.randn(300, dtype=torch.float64, generator=generator)
    input[:3, 1] = torch.tensor([-30.0, -7.0, 20.0])
    return input, target


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_value_is_scipys_log_density(name: str) -> None:
    ours, theirs = DISTRIBUTIONS[name]
    input, target = heads()
    mean, raw = input.T.numpy()
    expected = -theirs(mean, FLOOR + np.exp(raw)).logpdf(target.numpy())
    got = ours(input, target, floor=FLOOR).numpy()
    reached = np.isfinite(expected)  # scipy takes the logarithm of a density that underflows
    assert reached.mean() > 0.9
    np.testing.assert_allclose(got[reached], expected[reached], rtol=1e-10, atol=1e-12)


TORCH = {
    "gaussian": torch.distributions.Normal,
    "laplace": torch.distributions.Laplace,
    "cauchy": torch.distributions.Cauchy,
    "student": lambda m, s: torch.distributions.StudentT(4.5, m, s),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_value_and_gradient_are_those_of_torchs_distribution(name: str) -> None:
    ours, (input, target) = DISTRIBUTIONS[name][0], heads()
    input.requires_grad_()
    distribution = TORCH[name](input[:, 0], FLOOR + input[:, 1].exp())
    theirs, values = -distribution.log_prob(target), ours(input, target, floor=FLOOR)
    torch.testing.assert_close(values, theirs, rtol=1e-10, atol=1e-12)
    (expected,) = torch.autograd.grad(theirs.sum(), input)
    (got,) = torch.autograd.grad(values.sum(), input)
    torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-10)


def test_gaussian_is_torchs_full_loss() -> None:
    input, target = heads()
    variance = (FLOOR + input[:, 1].exp()) ** 2
    expected = torch.nn.functional.gaussian_nll_loss(
        input[:, 0], target, variance, full=True, eps=0.0
    )
    torch.testing.assert_close(lossmith.GaussianNLL()(input, target), expected)


@pytest.mark.parametrize("key", ["gaussian_nll", "laplace_nll", "student_t_nll"])
def test_finite_at_extreme_scales(key: str) -> None:
    raw = torch.tensor([-1e4, 1e4, -1e15, 1e15, -200.0, 200.0, 0.0])
    input = torch.stack([torch.full_like(raw, 1e15), raw], dim=1).requires_grad_()
    values = lossmith.get(key).values(input, torch.full_like(raw, -1e15))
    (slope,) = torch.autograd.grad(values.sum(), input)
    assert values.isfinite().all()
    assert slope.isfinite().all()


@pytest.mark.parametrize("key", ["gaussian_nll", "laplace_nll", "student_t_nll"])
def test_never_nan_where_the_likelihood_overflows(key: str) -> None:
    most = torch.finfo(torch.float32).max
    input = torch.tensor([[most, -most], [-most, most], [most, -8.0]], requires_grad=True)
    values = lossmith.get(key).values(input, torch.zeros(3))
    (slope,) = torch.autograd.grad(values.sum(), input)
    assert not values.isnan().any()
    assert not slope.isnan().any()


@pytest.mark.parametrize("key", ["gaussian_nll", "laplace_nll", "student_t_nll"])
def test_constant_head_finds_location_and_scale(key: str) -> None:
    """The likelihood is stationary at scipy's own fit of the distribution."""
    rng = np.random.default_rng(0)
    target = rng.standard_t(4, size=400) * 0.5 + 2
    fit = {
        "gaussian_nll": lambda: stats.norm.fit(target),
        "laplace_nll": lambda: stats.laplace.fit(target),
        "student_t_nll": lambda: stats.t.fit(target, fdf=4)[1:],
    }[key]
    place, scale = fit()
    head = torch.tensor([place, math.log(scale - FLOOR)], dtype=torch.float64, requires_grad=True)
    loss = lossmith.get(key)
    (slope,) = torch.autograd.grad(loss(head.expand(400, 2), torch.from_numpy(target)), head)
    # The Laplace fit's median may lie between two rows, on a flat piece.
    assert slope.abs().max() < 5e-3
    assert loss.decode(head).item() == pytest.approx(place)


@pytest.mark.parametrize("key", ["gaussian_nll", "laplace_nll", "student_t_nll"])
def test_heads_of_another_shape_are_refused(key: str) -> None:
    loss = lossmith.get(key)
    for shape in ((4,), (4, 1), (4, 3), (2, 4)):
        with pytest.raises(ValueError, match="head of 2 needs"):
            loss(torch.zeros(shape), torch.zeros(4))


def test_degrees_of_freedom_and_floor_are_positive() -> None:
    with pytest.raises(ValueError, match="degrees_of_freedom"):
        lossmith.StudentTNLL(degrees_of_freedom=0.0)
    with pytest.raises(ValueError, match="floor"):
        lossmith.GaussianNLL(floor=-1.0)


def histogram(target: np.ndarray, low: float, high: float, bins: int, ratio: float) -> np.ndarray:
    """The truncated Gaussian's mass in each bin, from the error function alone."""
    edges = np.linspace(low, high, bins + 1)
    sigma = ratio * (high - low) / bins
    clipped = np.clip(target, low, high)[:, None]
    below = special.erf((edges - clipped) / (math.sqrt(2) * sigma))
    return np.diff(below, axis=1) / (below[:, -1:] - below[:, :1])


@pytest.mark.parametrize(("bins", "ratio"), [(2, 0.75), (10, 0.3), (51, 0.75), (64, 2.0)])
def test_hl_gauss_is_the_cross_entropy_against_the_error_function(bins: int, ratio: float) -> None:
    rng = np.random.default_rng(0)
    target, logits = rng.normal(1.0, 2.0, size=50), rng.normal(size=(50, bins)) * 3
    truth = histogram(target, -2.0, 4.0, bins, ratio)
    expected = -(truth * special.log_softmax(logits, axis=1)).sum(1)
    input = torch.from_numpy(logits).requires_grad_()
    loss = lossmith.HLGauss(low=-2.0, high=4.0, bins=bins, sigma_ratio=ratio)
    values = loss.values(input, torch.from_numpy(target))
    torch.testing.assert_close(values.detach(), torch.from_numpy(expected))
    (slope,) = torch.autograd.grad(values.sum(), input)
    torch.testing.assert_close(slope, torch.from_numpy(special.softmax(logits, axis=1) - truth))


def test_hl_gauss_decodes_the_expected_centre() -> None:
    loss = lossmith.HLGauss(low=0.0, high=4.0, bins=4)
    logits = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log()
    assert loss.decode(logits).item() == pytest.approx(0.05 + 0.3 + 0.75 + 1.4)
    assert loss.decode(logits[0]).shape == ()


def test_hl_gauss_reads_back_what_it_is_fitted_to() -> None:
    """A head that is the target histogram itself decodes to the target, also at the ends."""
    target = torch.linspace(-3, 5, 41, dtype=torch.float64)
    loss = lossmith.HLGauss.for_target(target)
    truth = histogram(target.numpy(), loss.low.item(), loss.high.item(), 51, 0.75)
    decoded = loss.decode(torch.from_numpy(truth).clamp(min=1e-300).log())
    width = (loss.high - loss.low).item() / 51
    torch.testing.assert_close(decoded, target, rtol=0.0, atol=0.02 * width)


def test_hl_gauss_range_covers_clean_targets() -> None:
    for target in (
        torch.randn(2000, generator=torch.Generator().manual_seed(0)),
        torch.rand(500, generator=torch.Generator().manual_seed(0)) ** 2,
        torch.cat([torch.zeros(90), torch.arange(10.0)]),
    ):
        loss = lossmith.HLGauss.for_target(target)
        assert loss.low < target.min()
        assert loss.high > target.max()
        assert loss.high - loss.low < 1.2 * (target.max() - target.min())


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_hl_gauss_range_does_not_explode_with_outliers(sign: float) -> None:
    clean = torch.randn(900, generator=torch.Generator().manual_seed(0))
    target = torch.cat([clean, torch.full((100,), sign * 1e6)])
    loss = lossmith.HLGauss.for_target(target)
    assert loss.low.item() < clean.min().item()
    assert loss.high.item() > clean.max().item()
    assert (loss.high - loss.low).item() < 25
    values = loss.values(torch.zeros(1000, 51), target)
    assert values.isfinite().all()


def test_hl_gauss_keeps_a_range_that_is_given() -> None:
    loss = lossmith.HLGauss.for_target(torch.arange(10.0), low=-5.0, bins=20)
    assert loss.config()["low"] == -5.0
    assert loss.out_features == 20
    assert loss.high > 9.0


def test_hl_gauss_of_a_constant_target_has_a_range() -> None:
    loss = lossmith.HLGauss.for_target(torch.full((5,), 3.0))
    assert loss.low < 3.0 < loss.high


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, 1.0), (0.0, math.inf)])
def test_hl_gauss_refuses_an_empty_range(low: float, high: float) -> None:
    with pytest.raises(ValueError, match=r"high above low|in \(-inf, inf\)"):
        lossmith.HLGauss(low=low, high=high)


def test_hl_gauss_refuses_bins_that_are_no_count() -> None:
    with pytest.raises(ValueError, match="bins"):
        lossmith.HLGauss(low=0.0, high=1.0, bins=1)
    with pytest.raises(TypeError, match=r"bins must be a whole number, got 10\.5"):
        lossmith.HLGauss(low=0.0, high=1.0, bins=10.5)


@pytest.mark.parametrize("target", [torch.zeros(0), torch.tensor([1.0, math.nan])])
def test_hl_gauss_refuses_targets_that_are_no_numbers(target: Tensor) -> None:
    with pytest.raises(ValueError, match="target"):
        lossmith.HLGauss.for_target(target)


def test_von_mises_is_a_density_on_the_circle_whatever_the_turn() -> None:
    loss = lossmith.VonMisesNLL()
    angles = torch.linspace(0, 2 * math.pi, 4001, dtype=torch.float64)
    for head in ([0.0, 0.0], [0.3, -0.2], [-0.8, 0.7], [30.0, 12.0], [0.0, -700.0]):
        heads = torch.tensor(head, dtype=torch.float64).expand(len(angles), 2)
        density = (-loss.values(heads, angles)).exp()
        assert torch.trapezoid(density, angles).item() == pytest.approx(1)
        turned = loss.values(heads, angles - 4 * math.pi)
        torch.testing.assert_close(turned, loss.values(heads, angles))


def test_von_mises_keeps_its_digits_where_it_is_sure() -> None:
    """log 2π I0(κ) − κ·cos(d) differs from a Gaussian's by little there, and float32 tells it."""
    head, angle = torch.tensor([[1e5, 0.0]]), torch.tensor([1e-3])
    gaussian = math.log(2 * math.pi / 1e5) / 2 + 1e5 * 1e-6 / 2
    assert lossmith.VonMisesNLL()(head, angle).item() == pytest.approx(gaussian, abs=1e-5)
    torch.testing.assert_close(
        lossmith.VonMisesNLL().decode(torch.tensor([[-2.0, 0.0], [0.0, -3.0]])),
        torch.tensor([math.pi, -math.pi / 2]),
    )


def test_von_mises_is_smooth_where_a_head_is_zero_and_where_its_formulas_meet() -> None:
    angles = torch.tensor([0.4, 2.0], dtype=torch.float64)
    value = lambda rows: lossmith.VonMisesNLL()(rows, angles)  # noqa: E731
    origin = torch.zeros(2, 2, dtype=torch.float64)
    curvature = torch.autograd.functional.hessian(value, origin).reshape(4, 4)
    torch.testing.assert_close(curvature, torch.eye(4, dtype=torch.float64) / 4)
    inside, outside = (
        value(torch.tensor([[size, 0.0]] * 2, dtype=torch.float64)) for size in (1 - 1e-9, 1 + 1e-9)
    )
    assert inside.item() == pytest.approx(outside.item(), abs=1e-8)
