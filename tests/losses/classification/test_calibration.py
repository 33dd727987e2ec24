"""Calibration of a batch: definitions, weights, and what satisfies them."""

import itertools
import math

import pytest
import torch

from lossmith.losses import MDCA, MMCE, CrossEntropy, Focal, LogitNorm


def batch(rows: int = 12, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    input = 2 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    return input, torch.randint(classes, (rows,), generator=generator)


def test_mmce_is_its_definition_of_a_weighted_batch() -> None:
    input, target = batch()
    weight = torch.arange(12, dtype=torch.float64)
    sure, guess = input.softmax(1).max(1)
    gap = ((guess == target).double() - sure).tolist()
    total = sum(
        weight[i] * weight[j] * gap[i] * gap[j] * math.exp(-abs(sure[i] - sure[j]) / 0.3)
        for i, j in itertools.product(range(12), repeat=2)
    )
    value = MMCE(width=0.3)(input, target, weight=weight)
    torch.testing.assert_close(value, total / weight.sum() ** 2)


def test_mdca_is_its_definition_and_sees_pixels_but_ignored_ones() -> None:
    input, target = batch()
    gap = input.softmax(1).mean(0) - torch.bincount(target, minlength=3) / 12
    torch.testing.assert_close(MDCA()(input, target), gap.abs().mean())
    pixels, classes = input.reshape(2, 6, 3).movedim(2, 1), target.reshape(2, 6).clone()
    torch.testing.assert_close(MDCA()(pixels, classes), MDCA()(input, target))
    classes[1, 3:] = -100
    torch.testing.assert_close(MDCA()(pixels, classes), MDCA()(input[:9], target[:9]))
    torch.testing.assert_close(MMCE()(pixels, classes), MMCE()(input[:9], target[:9]))


def test_base_rates_satisfy_both() -> None:
    target = torch.tensor([0, 0, 0, 1])
    input = torch.tensor([[math.log(3), 0.0]]).expand(4, 2)
    assert MMCE()(input, target) == pytest.approx(0, abs=1e-7)
    assert MDCA()(input, target) == pytest.approx(0, abs=1e-7)


def test_they_stand_beside_a_loss_of_classes() -> None:
    input, target = batch()
    both = Focal() + 2.0 * MDCA()
    torch.testing.assert_close(
        both(input, target), Focal()(input, target) + 2 * MDCA()(input, target)
    )


def test_confidence_that_is_right_is_left_alone() -> None:
    input = torch.tensor([[3.0, 0.0]]).repeat(2, 1).requires_grad_()
    slope = torch.autograd.grad(MMCE()(input, torch.tensor([0, 1])), input)[0]
    assert (slope[:, 0] > 0).all()  # half are right: less confidence
    slope = torch.autograd.grad(MMCE()(input, torch.tensor([0, 0])), input)[0]
    assert (slope[:, 0] < 0).all()  # all are: more


def test_logit_norm_knows_no_size_of_logits() -> None:
    logits, classes = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0])
    loss = LogitNorm(temperature=0.5)
    torch.testing.assert_close(loss(100 * logits, classes), loss(logits, classes))
    unit = logits / logits.norm(dim=1, keepdim=True) / 0.5
    torch.testing.assert_close(loss(logits, classes), CrossEntropy()(unit, classes))
    torch.testing.assert_close(loss.decode(logits), unit.softmax(1))
