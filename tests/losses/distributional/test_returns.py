"""Distributions of returns: quantiles against samples, histograms moved by a reward."""

import math

import pytest
import torch
from torch import Tensor

import lossmith as lm
from lossmith import functional as F

GENERATOR = torch.Generator().manual_seed(0)
X, Y = torch.randn(2, 4, 5, generator=GENERATOR, dtype=torch.float64)


@pytest.mark.parametrize("kappa", [0.3, 1.0])
def test_quantile_huber_is_its_sum(kappa: float) -> None:
    values = F.quantile_huber(X, 2 * Y[:, :3], kappa=kappa)
    for value, row, targets in zip(
        values.tolist(), X.tolist(), (2 * Y[:, :3]).tolist(), strict=True
    ):
        total = 0.0
        for i, x in enumerate(row):
            for y in targets:
                u, tau = y - x, (i + 0.5) / len(row)
                huber = u * u / 2 if abs(u) <= kappa else kappa * (abs(u) - kappa / 2)
                total += abs(tau - (u < 0)) * huber / len(targets)
        assert value == pytest.approx(total, rel=1e-12)


def test_far_quantile_huber_is_pinball_loss() -> None:
    """Below any gap κ is a factor of the pinball loss alone."""
    kappa = 1e-9
    one = F.quantile_huber(X, Y[:, :1], kappa=kappa) / kappa
    levels = (torch.arange(5) + 0.5) / 5
    gap = Y[:, :1] - X
    torch.testing.assert_close(one, torch.maximum(levels * gap, (levels - 1) * gap).sum(1))


def projected(p: Tensor, reward: Tensor, discount: Tensor, low: float, high: float) -> Tensor:
    """Algorithm 1 of the paper, atom by atom."""
    count = p.shape[1]
    step, found = (high - low) / (count - 1), torch.zeros_like(p)
    for n in range(len(p)):
        for j in range(count):
            moved = reward[n].item() + discount[n].item() * (low + j * step)
            b = (min(max(moved, low), high) - low) / step
            below, above = math.floor(b), math.ceil(b)
            if below == above:  # which the algorithm forgets
                found[n, below] += p[n, j]
            else:
                found[n, below] += p[n, j] * (above - b)
                found[n, above] += p[n, j] * (b - below)
    return found


def test_c51_is_the_cross_entropy_of_the_papers_projection() -> None:
    p, reward = Y.softmax(1), torch.tensor([0.7, -3.0, 0.5, 40.0], dtype=torch.float64)
    discount = torch.tensor([0.99, 0.5, 0.0, 1.0], dtype=torch.float64)
    moved = projected(p, reward, discount, -2.0, 2.0)
    torch.testing.assert_close(
        F.categorical_projection(p, reward, discount, low=-2.0, high=2.0), moved
    )
    target = {"probabilities": p, "reward": reward, "discount": discount}
    expected = -(moved * X.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(lm.C51(low=-2.0, high=2.0)(X, target), expected)


def test_c51_is_least_where_the_head_is_the_projection() -> None:
    target = {"probabilities": Y.softmax(1), "reward": torch.ones(4), "discount": torch.ones(4) / 2}
    moved = F.categorical_projection(*target.values(), low=-2.0, high=2.0)
    leaf = moved.clamp(min=1e-30).log().requires_grad_()
    (slope,) = torch.autograd.grad(lm.C51(low=-2.0, high=2.0)(leaf, target), leaf)
    assert slope.abs().max() < 1e-12


def test_logits_in_place_of_probabilities_are_refused() -> None:
    target = {"probabilities": Y, "reward": X[:, 0], "discount": torch.ones(4)}
    with pytest.raises(ValueError, match="pass the softmax of the next state's logits"):
        lm.C51()(X, target)


def test_no_gradient_flows_into_the_next_state() -> None:
    logits = Y.clone().requires_grad_()
    target = {"probabilities": logits.softmax(1), "reward": X[:, 0], "discount": torch.ones(4)}
    assert not lm.C51()(X, target).requires_grad


def test_c51_decodes_the_expected_return() -> None:
    expected = (X.softmax(1) * torch.linspace(-2, 2, 5)).sum(1)
    loss = lm.C51(low=-2.0, high=2.0)
    torch.testing.assert_close(loss.decode(X), expected)
    actions = torch.stack([X, Y, X], 1)  # the best of which is to be found
    torch.testing.assert_close(loss.decode(actions)[:, 2], expected)
    assert loss.decode(torch.zeros(3, 1)).isfinite().all()
    with pytest.raises(ValueError, match="C51: high must exceed low"):
        lm.C51(low=1.0, high=1.0)


def test_ppo_is_grpo_of_one_step_a_row() -> None:
    """As docs/contributing.md says; equation 7 of Schulman et al. (2017)."""
    new, old, advantage = -X[:, 0].abs(), -Y[:, 0].abs(), X[:, 1]
    ratio = (new - old).exp()
    clipped = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
    target = {"advantage": advantage, "old": old.unsqueeze(1)}
    torch.testing.assert_close(lm.GRPO()(new.unsqueeze(1), target), -clipped.mean())
