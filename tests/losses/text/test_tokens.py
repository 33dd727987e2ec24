"""Sequences of tokens."""

import math

import pytest
import torch
from torch import Tensor

import lossmith as lm
from lossmith import functional as F


def numbers(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def tokens(rows: int, places: int, vocabulary: int = 5) -> Tensor:
    return torch.randint(vocabulary, (rows, places), generator=torch.Generator().manual_seed(3))


def plain_unlikelihood(logits: Tensor, target: Tensor, alpha: float) -> Tensor:
    values = []
    for row, text in zip(logits, target.tolist(), strict=True):
        seen: set[int] = set()
        for place, token in enumerate(text):
            p = row[:, place].softmax(0)
            if token != -100:
                unlikely = sum((1 - p[c]).log() for c in seen - {token})
                values.append(-p[token].log() - alpha * unlikely)
                seen.add(token)
    return torch.stack(values).mean()


@pytest.mark.parametrize("alpha", [0.0, 0.5, 2.0])
def test_unlikelihood_is_its_definition(alpha: float) -> None:
    logits, target = numbers(3, 5, 7).requires_grad_(), tokens(3, 7)
    target[0, 4:] = target[2, 2] = -100
    value = lm.Unlikelihood(alpha=alpha)(logits, target)
    right = plain_unlikelihood(logits, target, alpha)
    torch.testing.assert_close(value, right)
    slopes = [torch.autograd.grad(one, logits)[0] for one in (value, right)]
    torch.testing.assert_close(*slopes)
    if alpha == 0:
        torch.testing.assert_close(value, lm.CrossEntropy()(logits, target))


def test_a_sure_repetition_costs_without_limit() -> None:
    """1 − p rounds to 0 here: the authors' code stops at −log 1e-5, with no gradient left."""
    logits = torch.zeros(1, 3, 2)
    logits[0, 0, 1] = 60.0
    logits.requires_grad_()
    value = lm.Unlikelihood().values(logits, torch.tensor([[0, 1]]))[0, 1]
    (slope,) = torch.autograd.grad(value, logits)
    assert value.item() == pytest.approx(60 + 60 - math.log(2), rel=1e-6)
    assert slope[0, 0, 1].item() == pytest.approx(2)


@pytest.mark.parametrize("loss", [lm.CrossEntropy(), lm.Unlikelihood()])
def test_accumulated_batches_of_padded_texts_give_the_whole_batchs_gradient(loss) -> None:
    """transformers#34191: means of parts weigh tokens of short texts too much."""
    logits, target = numbers(4, 5, 6), tokens(4, 6)
    for row, length in enumerate((6, 1, 3, 2)):
        target[row, length:] = -100
    count = (target != -100).sum()
    whole, slopes = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss(whole, target).backward()
    for part in (slice(0, 1), slice(1, 4)):
        loss(slopes[part], target[part], denominator=count).backward()
    torch.testing.assert_close(slopes.grad, whole.grad)


def test_padding_alone_gives_nothing_and_no_nan() -> None:
    logits = numbers(2, 5, 3).requires_grad_()
    for loss in (lm.CrossEntropy(), lm.Unlikelihood()):
        value = loss(logits, torch.full((2, 3), -100))
        (slope,) = torch.autograd.grad(value, logits)
        assert value == 0
        assert (slope == 0).all()


def test_the_log_probability_of_a_sequence() -> None:
    logits, target = numbers(3, 5, 7), tokens(3, 7)
    target[0, 4:] = -100
    each = -lm.CrossEntropy().values(logits, target) * (target != -100)
    torch.testing.assert_close(F.sequence_log_probability(logits, target), each.sum(1))
    means = F.sequence_log_probability(logits, target, mean=True)
    torch.testing.assert_close(means, each.sum(1) / torch.tensor([4, 7, 7]))
    assert F.sequence_log_probability(logits, torch.full((3, 7), -100), mean=True).sum() == 0
