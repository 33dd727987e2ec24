"""Covariances and nuclear norms that keep embeddings from collapsing."""

import pytest
import torch
from torch import Tensor

import lossmith


def rows(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def test_tico_follows_the_covariance_of_all_steps() -> None:
    loss, covariance = lossmith.TiCo(features=3, beta=0.6, rho=5.0), torch.zeros(3, 3).double()
    for step in range(1, 4):
        x, y = rows(4, 3, seed=step), rows(4, 3, seed=10 + step)
        x_unit, y_unit = (one / one.norm(dim=1, keepdim=True) for one in (x, y))
        covariance = 0.6 * covariance + 0.4 * x_unit.T @ x_unit / 4
        terms = loss.terms(x, y)
        spread = 5 * torch.einsum("nd,de,ne->n", x_unit, covariance, x_unit).mean()
        torch.testing.assert_close(terms["covariance"], spread, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(terms["invariance"], 1 - (x_unit * y_unit).sum(1).mean())
        loss.observe(lossmith.Progress(step=step, signals={"input": x}))


def test_no_gradient_flows_through_ticos_covariance() -> None:
    leaf, other = rows(4, 3).requires_grad_(), rows(4, 3, seed=1)
    loss = lossmith.TiCo(features=3, beta=0.0)
    (slope,) = torch.autograd.grad(loss.terms(leaf, other)["covariance"], leaf)
    unit = leaf / leaf.norm(dim=1, keepdim=True)
    held = (unit.T @ unit / 4).detach()
    right = 8 * torch.einsum("nd,de,ne->n", unit, held, unit).mean()
    torch.testing.assert_close(slope, torch.autograd.grad(right, leaf)[0])


def test_mmcr_is_least_where_views_agree_and_samples_are_at_right_angles() -> None:
    """Bound of the paper: N samples in D dimensions have −√(N·min(N, D)) at least."""
    loss = lossmith.MMCR()
    best = torch.eye(4).repeat(2, 1).unsqueeze(1).expand(8, 3, 4)
    assert loss(best).item() == pytest.approx(-((8 * 4) ** 0.5))
    for other in (rows(8, 3, 4), torch.ones(8, 3, 4).double(), best.double() + 0.1 * rows(8, 3, 4)):
        assert loss(other) > loss(best)


def test_mmcr_of_collapsed_and_of_missing_rows() -> None:
    flat = torch.ones(3, 2, 4).requires_grad_()
    value = lossmith.MMCR(lambda_=0.1)(flat)
    (slope,) = torch.autograd.grad(value, flat)
    assert value.item() == pytest.approx(-(3**0.5) + 0.1 * 2**0.5)
    assert slope.isfinite().all()
    assert lossmith.MMCR()(torch.full((3, 2, 4), torch.nan)).isnan()
