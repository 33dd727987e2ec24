"""The transducer beside the sum over all its alignments, and what padding does."""

import itertools

import pytest
import torch
from torch import Tensor

from lossmith import RNNT
from lossmith import functional as F


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def by_alignments(logits: Tensor, label: list[int], blank: int) -> Tensor:
    """Return −log of the chance of one label, path by path; the last step is the last blank."""
    chance, total = logits.softmax(2), torch.zeros((), dtype=torch.float64)
    moves = len(logits) - 1 + len(label)
    for places in itertools.combinations(range(moves), len(label)):
        frame, said, path = 0, 0, []
        for move in range(moves):
            path.append(chance[frame, said, label[said] if move in places else blank])
            frame, said = frame + (move not in places), said + (move in places)
        total = total + torch.stack([*path, chance[frame, said, blank]]).prod()
    return -total.log()


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("label", [[], [1], [1, 1], [3, 1, 3]])
def test_it_sums_over_all_alignments(label: list[int], blank: int) -> None:
    logits = drawn(1, 3, len(label) + 1, 4).requires_grad_()
    target = {"classes": torch.tensor([label]).long(), "lengths": torch.tensor([len(label)])}
    got = RNNT(blank=blank)(logits, target)
    expected = by_alignments(logits[0], label, blank)
    torch.testing.assert_close(got, expected)
    (one,), (other,) = (torch.autograd.grad(value, logits) for value in (got, expected))
    torch.testing.assert_close(one, other)


def test_frames_and_padding_do_not_count() -> None:
    logits, classes = drawn(2, 5, 4, 4), torch.tensor([[1, 2, 3], [2, -100, -100]])
    lengths, frames = torch.tensor([3, 1]), torch.tensor([5, 3])
    got = F.rnnt(logits, classes, lengths, frames)
    short = F.rnnt(logits[1:, :3, :2], classes[1:, :1], lengths[1:])
    torch.testing.assert_close(got[1:], short)
    far = logits.clone()
    far[1, 3:], far[1, :, 2:] = torch.nan, torch.nan
    assert torch.equal(F.rnnt(far, classes, lengths, frames), got)


def test_a_row_without_frames_has_the_value_0_and_no_gradient() -> None:
    logits = drawn(2, 3, 2, 3).requires_grad_()
    values = F.rnnt(logits, torch.tensor([[1], [2]]), torch.ones(2), torch.tensor([3.0, 0.0]))
    assert values[1] == 0
    (slope,) = torch.autograd.grad(values.sum(), logits)
    assert slope.isfinite().all()
    assert (slope[1] == 0).all()


def test_the_gradient_of_each_row_sums_to_nothing() -> None:
    logits = 50 * drawn(2, 6, 4, 5).requires_grad_()
    target = {"classes": torch.tensor([[1, 2, 3], [4, 4, 1]]), "lengths": torch.tensor([3, 2])}
    (slope,) = torch.autograd.grad(RNNT()(logits, target), logits)
    torch.testing.assert_close(slope.sum(3), torch.zeros_like(slope[..., 0]), atol=1e-12, rtol=0)


def test_logits_of_no_grid_are_refused() -> None:
    target = {"classes": torch.tensor([[1, 2]]), "lengths": torch.tensor([2])}
    with pytest.raises(ValueError, match=r"\(1, 3, 2, 4\), \(1, 2\).*S \+ 1, C"):
        RNNT()(drawn(1, 3, 2, 4), target)
