"""Regression on targets of which some values are rare."""

import pytest
import torch
from torch import Tensor, nn

import lossmith


def rows(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def test_balanced_mse_is_squared_error_and_a_normaliser_of_the_batch() -> None:
    input, target, noise = rows(5), rows(5, seed=1), 0.7
    unit = 2 * noise**2
    normaliser = (-((input[:, None] - target) ** 2) / unit).exp().sum(1).log()
    right = (input - target) ** 2 + unit * normaliser
    torch.testing.assert_close(lossmith.BalancedMSE(noise=noise).values(input, target), right)


def test_balanced_mse_pulls_less_to_what_is_frequent() -> None:
    """Nine targets at 0 and one at 4: their mean moves up, where squared error leaves it."""
    target = torch.cat([torch.zeros(9), torch.full((1,), 4.0)]).double()
    leaf = torch.full((10,), 0.4, dtype=torch.float64, requires_grad=True)
    for loss, way in ((lossmith.MSE(), 0.0), (lossmith.BalancedMSE(noise=2.0), -1.0)):
        (slope,) = torch.autograd.grad(loss(leaf, target), leaf)
        assert slope.sum().item() == pytest.approx(0, abs=1e-12) if way == 0 else slope.sum() < -0.1


def test_the_noise_of_balanced_mse_learns_by_the_softmax_alone() -> None:
    """As in the authors' code the factor 2 noise² has no gradient."""
    input, target = rows(6), rows(6, seed=1)
    noise = nn.Parameter(torch.tensor(0.8, dtype=torch.float64))
    loss = lossmith.BalancedMSE(noise=noise)
    (slope,) = torch.autograd.grad(loss(input, target), loss.noise)

    def softmax(one: float) -> Tensor:
        logits = -((input[:, None] - target) ** 2) / (2 * one**2)
        return 2 * 0.8**2 * nn.functional.cross_entropy(logits, torch.arange(6))

    right = (softmax(0.8 + 1e-5) - softmax(0.8 - 1e-5)) / 2e-5
    assert slope.item() == pytest.approx(right.item(), rel=1e-6)
