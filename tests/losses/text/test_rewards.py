"""Completions that were sampled and judged."""

import pytest
import torch
from torch import Tensor

import lossmith as lm
from lossmith import functional as F


def sampled() -> tuple[Tensor, dict[str, Tensor]]:
    g = torch.Generator().manual_seed(0)
    own = -torch.rand(4, 3, generator=g, dtype=torch.float64)
    old = own + 0.4 * torch.randn(4, 3, generator=g, dtype=torch.float64)
    mask = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]])
    return own, {"advantage": torch.tensor([1.0, -1.0, 0.5, 2.0]), "old": old, "mask": mask}


def test_advantages_are_those_of_each_group() -> None:
    reward = torch.tensor([[1.0, 0.0, 0.0, 1.0], [5.0, 5.0, 5.0, 5.0]])
    right = (reward - reward.mean(1, keepdim=True)) / (reward.std(1, keepdim=True) + 1e-4)
    torch.testing.assert_close(F.group_advantages(reward), right)
    assert (F.group_advantages(torch.ones(3, 1)) == 0).all()
    with pytest.raises(ValueError, match=r"\(prompts, completions\)"):
        F.group_advantages(torch.zeros(3))


def test_without_the_sampling_model_the_gradient_is_that_of_the_policy() -> None:
    own, target = sampled()
    leaf = own.clone().requires_grad_()
    value = lm.GRPO(average="token")(leaf, {n: target[n] for n in ("advantage", "mask")})
    (slope,) = torch.autograd.grad(value, leaf)
    weight = target["mask"] * target["advantage"].unsqueeze(1)
    torch.testing.assert_close(value.detach(), -(weight / 6).sum().double())
    torch.testing.assert_close(slope, -(weight / 6).double())


def test_averages_differ_only_in_what_a_token_weighs() -> None:
    own, target = sampled()
    each = lm.GRPO(average="token").values(own, target)["policy"] * target["mask"]
    torch.testing.assert_close(lm.GRPO(average="token")(own, target), each.sum() / 6)
    torch.testing.assert_close(
        lm.GRPO(average="length", max_length=8)(own, target), each.sum() / 32
    )
    torch.testing.assert_close(lm.GRPO(average="length")(own, target), each.sum() / 12)
    rows = each.sum(1) / torch.tensor([3, 2, 1, 1])
    torch.testing.assert_close(lm.GRPO()(own, target), rows.mean())


def test_a_ratio_beyond_its_bound_teaches_nothing() -> None:
    own = torch.tensor([[0.0, -1.0, -9.0]], dtype=torch.float64, requires_grad=True)
    old = torch.tensor([[-9.0, -1.0, 0.0]], dtype=torch.float64)
    for advantage, dead in ((1.0, 0), (-1.0, 2)):
        value = lm.GRPO()(own, {"advantage": torch.tensor([advantage]), "old": old})
        (slope,) = torch.autograd.grad(value, own)
        assert [place for place in range(3) if slope[0, place] == 0] == [dead]


def test_the_divergence_is_a_term_of_its_own() -> None:
    own, target = sampled()
    assert set(lm.GRPO().terms(own, target)) == {"policy"}
    terms = lm.GRPO(beta=0.5).terms(own, {**target, "reference": own})
    assert set(terms) == {"policy", "kl"}
    assert terms["kl"] == 0


def test_advantages_of_another_number_are_refused() -> None:
    own, target = sampled()
    with pytest.raises(ValueError, match=r"\(4, 3\) and advantage \(4, 3\)"):
        lm.GRPO()(own, {**target, "advantage": own})
