"""Pointwise regression losses against torch, Barron's general formula and float64 formulas."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as reference

import lossmith
from lossmith import functional as F

RESIDUALS = torch.cat(
    [
        torch.tensor([0.0, 1e-9, -1e-5, 0.3, -0.3, 1.0, -1.0, 19.9, -20.1, 40.0]),
        torch.logspace(-4, 3, 40),
        -torch.logspace(-4, 3, 40),
    ]
).double()


def value_and_slope(function, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    leaf = input.clone().requires_grad_()
    value = function(leaf, target)
    (slope,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), slope


def agree(ours, theirs, input: Tensor = RESIDUALS) -> None:
    target = torch.zeros_like(input)
    for got, expected in zip(
        value_and_slope(ours, input, target), value_and_slope(theirs, input, target), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("size", [0.05, 0.3, 1.0, 7.0])
def test_values_and_gradients_are_torchs(size: float) -> None:
    agree(F.mse, lambda x, y: reference.mse_loss(x, y, reduction="none"))
    agree(F.mae, lambda x, y: reference.l1_loss(x, y, reduction="none"))
    agree(
        lambda x, y: F.huber(x, y, delta=size),
        lambda x, y: reference.huber_loss(x, y, delta=size, reduction="none"),
    )
    agree(
        lambda x, y: F.smooth_l1(x, y, beta=size),
        lambda x, y: reference.smooth_l1_loss(x, y, beta=size, reduction="none"),
    )


def test_log_cosh_is_its_formula() -> None:
    with np.errstate(over="ignore"):
        exact = np.logaddexp(RESIDUALS.numpy(), -RESIDUALS.numpy()) - math.log(2)
    value, slope = value_and_slope(F.log_cosh, RESIDUALS, torch.zeros_like(RESIDUALS))
    torch.testing.assert_close(value, torch.from_numpy(exact), rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(slope, RESIDUALS.tanh(), rtol=1e-10, atol=1e-15)


def test_log_cosh_keeps_small_residuals_in_float32() -> None:
    """Subtracting log 2 would leave nothing of r²/2 here."""
    small = torch.tensor([1e-6, -1e-4])
    torch.testing.assert_close(F.log_cosh(small, torch.zeros(2)), small**2 / 2, rtol=1e-5, atol=0.0)


def barron(x: Tensor, alpha: float, c: float) -> Tensor:
    """The general loss, equation 8 of the paper, for alpha other than 2."""
    square = (x / c) ** 2
    if alpha == 0:
        return torch.log(square / 2 + 1)
    if alpha == -math.inf:
        return 1 - torch.exp(-square / 2)
    size = abs(alpha - 2)
    return size / alpha * ((square / size + 1) ** (alpha / 2) - 1)


@pytest.mark.parametrize("c", [0.2, 1.0, 3.0])
@pytest.mark.parametrize(
    ("ours", "alpha"),
    [
        (lambda x, y, c: F.pseudo_huber(x, y, delta=c) / c**2, 1.0),
        (lambda x, y, c: F.cauchy(x, y, scale=c), 0.0),
        (lambda x, y, c: F.geman_mcclure(x, y, scale=c), -2.0),
        (lambda x, y, c: F.welsch(x, y, scale=c), -math.inf),
    ],
    ids=["pseudo_huber", "cauchy", "geman_mcclure", "welsch"],
)
def test_robust_losses_are_members_of_barrons_family(ours, alpha: float, c: float) -> None:
    target = torch.zeros_like(RESIDUALS)
    got = value_and_slope(lambda x, y: ours(x, y, c), RESIDUALS, target)
    expected = value_and_slope(lambda x, y: barron(x, alpha, c), RESIDUALS, target)
    # The textbook formula loses digits near 0, hence the absolute part.
    torch.testing.assert_close(got[0], expected[0], rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(got[1], expected[1], rtol=1e-9, atol=1e-13)


ONE_OUTPUT = {
    "mse": 2.0,
    "huber": 1.0,
    "smooth_l1": 1.0,
    "log_cosh": 1.0,
    "pseudo_huber": 1.0,
    "cauchy": 1.0,
    "welsch": 1.0,
    "geman_mcclure": 1.0,
    "expectile": 1.0,
}


@pytest.mark.parametrize(("key", "curvature"), ONE_OUTPUT.items())
def test_curvature_where_the_prediction_is_exact(key: str, curvature: float) -> None:
    """A formula through |r| has a second derivative of 0 at r = 0; the true one is not."""
    input = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    value = lossmith.get(key)(input, torch.zeros(1, dtype=torch.float64))
    (slope,) = torch.autograd.grad(value, input, create_graph=True)
    (bend,) = torch.autograd.grad(slope, input)
    assert slope.item() == 0
    assert bend.item() == pytest.approx(curvature)


FAR_OUT = {
    "mae": lambda r: r,
    "huber": lambda r: r,
    "smooth_l1": lambda r: r,
    "log_cosh": lambda r: r,
    "pseudo_huber": lambda r: r,
    "quantile": lambda r: r / 2,
    "cauchy": lambda r: 2 * math.log(r) - math.log(2),
    "welsch": lambda r: 1.0,
    "geman_mcclure": lambda r: 2.0,
}


@pytest.mark.parametrize(("key", "exact"), FAR_OUT.items())
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_representable_up_to_half_of_the_largest_float(key: str, exact, sign: float) -> None:
    far = torch.finfo(torch.float32).max / 2
    input = torch.tensor([sign * far], requires_grad=True)
    value = lossmith.get(key)(input, torch.zeros(1))
    (slope,) = torch.autograd.grad(value, input)
    assert value.item() == pytest.approx(exact(far), rel=1e-5)
    assert slope.isfinite().all()


@pytest.mark.parametrize("scale", [1e-10, 1e-30, 1e-38])
@pytest.mark.parametrize(
    ("key", "hyper"),
    [("welsch", "scale"), ("geman_mcclure", "scale"), ("tukey", "cutoff"), ("smooth_l1", "beta")],
)
def test_a_learned_scale_has_a_gradient_where_the_ratio_overflows(
    key: str, hyper: str, scale: float
) -> None:
    learned = torch.nn.Parameter(torch.tensor(scale))
    residuals = torch.tensor([0.0, 1e-3, -1e30, 3e38], requires_grad=True)
    value = lossmith.get(key, **{hyper: learned}).values(residuals, torch.zeros(4))
    slopes = torch.autograd.grad(value, (residuals, learned), torch.ones(4))
    assert value.isfinite().all()
    assert all(slope.isfinite().all() for slope in slopes)


def test_a_large_cutoff_of_tukeys_is_squared_error() -> None:
    for cutoff in (1e10, 1e20, 1e38):
        residuals = torch.tensor([0.0, 0.01, 2.0, 3e38], requires_grad=True)
        value = lossmith.get("tukey", cutoff=cutoff).values(residuals, torch.zeros(4))
        (slope,) = torch.autograd.grad(value.sum(), residuals)
        torch.testing.assert_close(value[:3], residuals[:3].square() / 2)
        torch.testing.assert_close(slope[:3], residuals[:3].detach())
        assert value.isfinite().all()
        assert slope[3] == 0


@pytest.mark.parametrize("key", ["pseudo_huber", "cauchy", "welsch", "geman_mcclure"])
def test_small_scales_do_not_overflow(key: str) -> None:
    loss_class = lossmith.find()[key]
    (name,) = loss_class.hyperparameters
    input = torch.tensor([1e38, -1e38], requires_grad=True)
    value = loss_class(**{name: 0.01})(input, torch.zeros(2))
    (slope,) = torch.autograd.grad(value, input)
    assert value.isfinite()
    assert slope.isfinite().all()


@pytest.mark.parametrize("key", ["mae", "huber", "log_cosh", "cauchy", "quantile", "expectile"])
def test_shapes_that_differ_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"\(4, 1\).*\(4,\).*squeeze"):
        lossmith.get(key)(torch.zeros(4, 1), torch.zeros(4))


@pytest.mark.parametrize(
    ("key", "hypers"),
    [
        ("huber", {"delta": -1.0}),
        ("smooth_l1", {"beta": 0.0}),
        ("pseudo_huber", {"delta": math.nan}),
        ("cauchy", {"scale": 0.0}),
        ("welsch", {"scale": -2}),
        ("geman_mcclure", {"scale": 0}),
    ],
)
def test_sizes_that_are_not_positive_are_refused(key: str, hypers: dict) -> None:
    (name,) = hypers
    with pytest.raises(ValueError, match=rf"{name} must be in \(0, inf\), got"):
        lossmith.get(key, **hypers)


@pytest.mark.parametrize("key", ["huber", "smooth_l1", "pseudo_huber", "cauchy", "welsch"])
def test_scalar_input_keeps_its_dtype(key: str) -> None:
    """A float64 hyperparameter must not promote a float32 scalar."""
    assert lossmith.get(key)(torch.tensor(1.0), torch.tensor(0.0)).dtype == torch.float32


def test_wing_is_its_two_pieces_and_has_no_jump() -> None:
    loss = lossmith.Wing(width=3.0, epsilon=0.5)
    far = torch.tensor([0.25, -2.9, 3.0, -7.0], dtype=torch.float64)
    rest = 3.0 - 3.0 * math.log(7.0)
    expected = [3 * math.log(1.5), 3 * math.log(6.8), 3.0 - rest, 7.0 - rest]
    values = loss.values(far, torch.zeros(4, dtype=torch.float64))
    assert values.tolist() == pytest.approx(expected)


def test_wing_pulls_hardest_near_zero() -> None:
    leaf = torch.tensor([1e-9, 0.5, 2.0, 50.0], dtype=torch.float64, requires_grad=True)
    loss = lossmith.Wing(width=10.0, epsilon=2.0)
    (slope,) = torch.autograd.grad(loss.values(leaf, torch.zeros(4).double()).sum(), leaf)
    assert slope.tolist() == pytest.approx([5.0, 4.0, 2.5, 1.0])


@pytest.mark.parametrize("asymmetry", [0.7, -0.7])
def test_linex_is_least_where_a_gaussian_has_its_mean_less_half_a_variances(
    asymmetry: float,
) -> None:
    places = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    share = (-((places - 1) ** 2) / 2 / 0.25).softmax(0)  # mean 1, variance 1/4
    aim = torch.tensor(1 - asymmetry / 8, dtype=torch.float64, requires_grad=True)
    loss = lossmith.Linex(asymmetry=asymmetry)
    value = loss(aim.expand(len(places)), places, weight=share)
    (slope,) = torch.autograd.grad(value, aim)
    assert slope.item() == pytest.approx(0, abs=1e-9)


def test_linex_keeps_its_digits_near_zero_and_goes_on_as_its_tangent() -> None:
    loss, zero = lossmith.Linex(asymmetry=1.0), torch.zeros(4)
    near = torch.tensor([1e-4, -1e-4, 1e-6, 0.49], requires_grad=True)
    values = loss.values(near, zero)
    right = [5.00016667e-9, 4.99983334e-9, 5.0000017e-13, math.expm1(0.49) - 0.49]
    assert values.tolist() == pytest.approx(right, rel=1e-6)
    far = torch.tensor([50.0, 60.0, 1e15, 3e38], dtype=torch.float64)
    beyond = loss.values(far, zero.double())
    slope = math.exp(50) - 1
    assert beyond.tolist() == pytest.approx([slope - 50 + slope * (x - 50) for x in far.tolist()])
    with pytest.raises(ValueError, match="asymmetry must not be 0"):
        lossmith.Linex(asymmetry=0.0)
