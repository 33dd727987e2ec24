"""The Sinkhorn divergence beside a plain loop to convergence, and its limits."""

import pytest
import torch
from torch import Tensor

from lossmith import SinkhornDivergence
from lossmith import functional as F


def drawn(rows: int, columns: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)


def transport(x: Tensor, y: Tensor, blur: float) -> Tensor:
    """Return the entropic cost of the plan that alternating projections end at."""
    cost, epsilon = (x.unsqueeze(1) - y).square().sum(2) / 2, blur**2
    plan = (-cost / epsilon).exp()
    for _ in range(5000):
        plan = plan / plan.sum(1, keepdim=True) / len(x)
        plan = plan / plan.sum(0) / len(y)
    return (plan * cost).sum() + epsilon * (plan * (plan * len(x) * len(y)).log()).sum()


def by_projections(x: Tensor, y: Tensor, blur: float) -> Tensor:
    return transport(x, y, blur) - (transport(x, x, blur) + transport(y, y, blur)) / 2


def test_it_is_the_divergence_of_the_converged_plans() -> None:
    x, y = drawn(5, 2, 0).requires_grad_(), 1 + drawn(5, 2, 1)
    got = SinkhornDivergence(blur=1.0, scaling=0.99)(x, y)
    torch.testing.assert_close(got, by_projections(x, y, 1.0), rtol=1e-6, atol=0)
    (slope,) = torch.autograd.grad(got, x)
    step = torch.zeros_like(x)
    step[2, 1] = 1e-5
    ends = [by_projections((x + sign * step).detach(), y, 1.0) for sign in (1, -1)]
    torch.testing.assert_close(slope[2, 1], (ends[0] - ends[1]) / 2e-5, rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("rows", "shift", "spread"), [(20, 0.5, 1.0), (50, 1.0, 2.0), (100, 0.2, 1.0)]
)
def test_the_default_is_at_the_minimum(rows: int, shift: float, spread: float) -> None:
    """Within 1e-3, by value and gradient, though the annealing alone ends half off."""
    x, y = spread * drawn(rows, 3, 0), shift + spread * drawn(rows, 3, 1)
    found = []
    for scaling in (0.5, 0.9):
        leaf = x.clone().requires_grad_()
        value = SinkhornDivergence(scaling=scaling)(leaf, y)
        found.append((value.detach(), *torch.autograd.grad(value, leaf)))
    (value, slope), (right, exact) = found
    assert abs(value - right) < 1e-3 * right
    assert (slope - exact).norm() < 1e-3 * exact.norm()
    step = torch.zeros_like(x)
    step[2, 1] = 1e-5
    ends = [SinkhornDivergence()(x + sign * step, y) for sign in (1, -1)]
    torch.testing.assert_close(slope[2, 1], (ends[0] - ends[1]) / 2e-5, rtol=1e-2, atol=1e-5)


def test_samples_of_any_size_or_of_nan() -> None:
    x, y = drawn(5, 2, 0), 1 + drawn(5, 2, 1)
    usual = SinkhornDivergence(blur=0.1)(x, y)
    for size in (1e-12, 1e12):
        got = SinkhornDivergence(blur=0.1 * size)((size * x).float(), (size * y).float())
        torch.testing.assert_close(got / size**2, usual.float(), rtol=1e-4, atol=0)
    assert not SinkhornDivergence()(x.float() * 1e20, y.float()).isnan()
    assert SinkhornDivergence()(x * torch.nan, y).isnan()


def test_without_blur_it_is_half_the_squared_wasserstein_distance() -> None:
    x, y = drawn(20, 1, 0), 3 + 2 * drawn(20, 1, 1)
    expected = (x.sort(0).values - y.sort(0).values).square().mean() / 2
    got = SinkhornDivergence(blur=0.01, scaling=0.95)(x, y)
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=0)


def test_under_all_blur_it_is_half_the_squared_distance_of_the_means() -> None:
    x, y = drawn(6, 3, 0), 2 + drawn(6, 3, 1)
    expected = (x.mean(0) - y.mean(0)).square().sum() / 2
    got = SinkhornDivergence(blur=1e3)(x, y)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=0)


def test_the_same_sample_has_none_wherever_it_lies() -> None:
    x = drawn(6, 3, 0).float()
    for shift in (0.0, 1e3):
        assert SinkhornDivergence()(x + shift, x.flip(0) + shift).abs() < 1e-6


def test_gradients_move_a_sample_onto_another() -> None:
    x, y = drawn(8, 2, 0).requires_grad_(), 5 + drawn(8, 2, 1)
    loss = SinkhornDivergence(scaling=0.8)
    for _ in range(30):
        (slope,) = torch.autograd.grad(loss(x, y), x)
        x = (x - len(x) * slope / 2).detach().requires_grad_()
    assert loss(x, y) < 1e-3


def test_it_leaves_the_mode_of_gradients_as_it_was() -> None:
    with torch.no_grad():
        F.sinkhorn_divergence(drawn(3, 2, 0), drawn(3, 2, 1))
        assert not torch.is_grad_enabled()
