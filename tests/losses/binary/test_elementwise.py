"""Losses of scores against qualities from 0 to 1: special cases, and what fades."""

import math

import pytest
import torch
from torch import Tensor

from lossmith import BinaryCrossEntropy, BinaryFocal, QualityFocal, Varifocal

GENERATOR = torch.Generator().manual_seed(7)
SCORES = 3 * torch.randn(30, generator=GENERATOR, dtype=torch.float64)
QUALITY = torch.rand(30, generator=GENERATOR, dtype=torch.float64)


def slope(loss, input: Tensor, target: Tensor) -> Tensor:
    leaf = input.clone().requires_grad_()
    return torch.autograd.grad(loss(leaf, target), leaf)[0]


@pytest.mark.parametrize("beta", [1.0, 2.0, 3.5])
def test_of_whole_labels_quality_focal_is_twice_the_even_focal(beta: float) -> None:
    whole = QUALITY.round()
    focal = 2 * BinaryFocal(gamma=beta, alpha=0.5)(SCORES, whole)
    torch.testing.assert_close(QualityFocal(beta=beta)(SCORES, whole), focal)


def test_quality_focal_is_flat_where_a_score_is_its_quality() -> None:
    assert slope(QualityFocal(), QUALITY.logit(), QUALITY).abs().max() < 1e-12
    assert QualityFocal().decode(QUALITY.logit()).tolist() == pytest.approx(QUALITY.tolist())


def test_varifocal_positives_do_not_fade() -> None:
    expected = QUALITY * BinaryCrossEntropy().values(SCORES, QUALITY)
    torch.testing.assert_close(Varifocal().values(SCORES, QUALITY), expected)


def test_varifocal_negatives_are_focal() -> None:
    none = torch.zeros_like(SCORES)
    got = Varifocal(alpha=0.6, gamma=1.5)(SCORES, none)
    torch.testing.assert_close(got, 1.2 * BinaryFocal(gamma=1.5, alpha=0.5)(SCORES, none))


@pytest.mark.parametrize("loss", [QualityFocal(), Varifocal()], ids=repr)
def test_a_certain_miss_costs_its_logit(loss) -> None:
    value = loss(torch.tensor([-500.0]), torch.tensor([1.0]))
    assert value.item() == pytest.approx(500.0)
    assert slope(loss, torch.tensor([-500.0]), torch.tensor([1.0])).item() == pytest.approx(-1.0)
    with pytest.raises(ValueError, match="label outside 0 … 1"):
        loss(torch.zeros(1), torch.tensor([math.pi]))
