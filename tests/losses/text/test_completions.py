"""Completions that are good or bad one by one."""

import pytest
import torch
from torch import Tensor

import lossmith as lm


def numbers(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def unpaired() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    own, reference = (
        {name: -numbers(4, seed=seed + place).abs() for place, name in enumerate(names)}
        for seed, names in ((1, ("completion", "mismatched")), (5, ("completion", "mismatched")))
    )
    reference["mismatched"] = own["mismatched"] - torch.tensor([1.0, 2.0, 3.0, 2.0])
    return own, {**reference, "desirable": torch.tensor([1.0, 0.0, 1.0, 0.0]).double()}


def test_kto_measures_from_the_mean_of_mismatched_completions() -> None:
    own, target = unpaired()
    reward = own["completion"] - target["completion"] - 2.0
    sign = torch.tensor([1.0, -1.0, 1.0, -1.0])
    weight = torch.tensor([1.5, 0.5, 1.5, 0.5])
    right = weight * (1 - torch.sigmoid(0.3 * sign * reward))
    loss = lm.KTO(beta=0.3, lambda_desirable=1.5, lambda_undesirable=0.5)
    torch.testing.assert_close(loss.values(own, target), right)
    below = {**target, "mismatched": own["mismatched"] + 5}  # a negative estimate counts as 0
    raised = weight * (1 - torch.sigmoid(0.3 * sign * (reward + 2.0)))
    torch.testing.assert_close(loss.values(own, below), raised)


def test_no_gradient_flows_through_ktos_reference_point() -> None:
    own, target = unpaired()
    leaves = {name: part.requires_grad_() for name, part in own.items()}
    value = lm.KTO(beta=0.3)(leaves, target)
    slopes = torch.autograd.grad(
        value, list(leaves.values()), allow_unused=True, materialize_grads=True
    )
    reward = 0.3 * (own["completion"] - target["completion"] - 2.0).detach()
    sign = torch.tensor([1.0, -1.0, 1.0, -1.0])
    right = -0.3 * sign * reward.sigmoid() * (-reward).sigmoid() / 4
    torch.testing.assert_close(slopes[0], right)
    assert (slopes[1] == 0).all()


def marked(seed: int = 1) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    own, reference = -numbers(5, seed=seed).abs(), -numbers(5, seed=seed + 1).abs()
    good = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0]).double()
    return {"completion": own}, {"completion": reference, "desirable": good}


def test_bco_measures_from_the_mean_reward_of_all_that_was_seen() -> None:
    loss, ratios = lm.BCO(beta=0.3), []
    for step in range(1, 4):
        own, target = marked(10 * step)
        ratios.append(own["completion"] - target["completion"])
        reward = 0.3 * (ratios[-1] - torch.cat(ratios).mean())
        sign = 2 * target["desirable"] - 1
        right = -(sign * reward).sigmoid().log()
        torch.testing.assert_close(loss.values(own, target), right)
        loss.observe(lm.Progress(step=step, signals={"input": own, "target": target}))
    assert loss.seen == 15
    assert loss.average.item() == pytest.approx(torch.cat(ratios).mean().item())


def test_no_gradient_flows_through_bcos_reward_shift() -> None:
    own, target = marked()
    leaf = own["completion"].clone().requires_grad_()
    (slope,) = torch.autograd.grad(lm.BCO(beta=0.3)({"completion": leaf}, target), leaf)
    reward = 0.3 * (own["completion"] - target["completion"])
    reward, sign = reward - reward.mean(), 2 * target["desirable"] - 1
    torch.testing.assert_close(slope, -0.3 * sign * (-sign * reward).sigmoid() / 5)
