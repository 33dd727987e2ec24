"""Losses of the worst pixels: a plain sort, ignored pixels, what they are at the ends."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as nnf

from lossmith import BinaryTopKCrossEntropy, CrossEntropy, TopKCrossEntropy

GENERATOR = torch.Generator().manual_seed(2)
LOGITS = 2 * torch.randn(3, 4, 5, 6, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.randint(4, (3, 5, 6), generator=GENERATOR)


def worst(values: Tensor, fraction: float) -> Tensor:
    """Return the mean of the largest, the one at the border in part."""
    count, total = fraction * len(values), 0.0
    for rank, value in enumerate(values.sort(descending=True).values):
        total = total + min(max(count - rank, 0.0), 1.0) * value
    return total / count


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.37, 1.0])
@pytest.mark.parametrize("ignore_index", [-100, 255])
def test_the_worst_of_the_pixels_that_count(fraction: float, ignore_index: int) -> None:
    target = CLASSES.clone()
    target[:, :2, 1:4] = ignore_index
    loss = TopKCrossEntropy(fraction=fraction, ignore_index=ignore_index)
    pixels = nnf.cross_entropy(LOGITS, target, ignore_index=ignore_index, reduction="none")
    kept = target != ignore_index
    expected = [worst(pixels[i][kept[i]], fraction) for i in range(3)]
    torch.testing.assert_close(loss.values(LOGITS, target), torch.stack(expected))


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_one_logit_is_two_classes(fraction: float) -> None:
    single = LOGITS[:, 1]
    two = TopKCrossEntropy(fraction=fraction)(
        torch.stack([torch.zeros_like(single), single], 1), CLASSES.clamp(max=1)
    )
    one = BinaryTopKCrossEntropy(fraction=fraction)(single, CLASSES.clamp(max=1))
    torch.testing.assert_close(one, two)


def test_all_pixels_are_cross_entropy() -> None:
    every = TopKCrossEntropy(fraction=1.0)(LOGITS, CLASSES)
    torch.testing.assert_close(every, CrossEntropy()(LOGITS, CLASSES))


def test_easy_pixels_have_no_gradient() -> None:
    leaf = LOGITS.clone().requires_grad_()
    (slope,) = torch.autograd.grad(TopKCrossEntropy(fraction=0.2)(leaf, CLASSES), leaf)
    moved = (slope.abs().sum(1) > 0).flatten(1).sum(1)
    assert moved.tolist() == [6, 6, 6]


def test_an_image_of_which_nothing_counts_is_left_out() -> None:
    target = CLASSES.clone()
    target[0] = -100
    loss = TopKCrossEntropy()
    torch.testing.assert_close(loss(LOGITS, target), loss(LOGITS[1:], target[1:]))
