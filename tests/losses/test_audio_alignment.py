"""CTC beside the sum over all its alignments, and what padding and impossible labels do."""

import itertools

import pytest
import torch
from torch import Tensor

from lossmith import CTC
from lossmith import functional as F


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def by_alignments(logits: Tensor, label: list[int], blank: int) -> Tensor:
    """Return −log of the chance of one label, path by path."""
    chance, total = logits.softmax(1), torch.zeros((), dtype=torch.float64)
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        read = [c for c, _ in itertools.groupby(path) if c != blank]
        if read == label:
            total = total + torch.stack([chance[t, c] for t, c in enumerate(path)]).prod()
    return -total.log()


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("label", [[], [1], [1, 3], [1, 1], [3, 1, 3]])
def test_it_sums_over_all_alignments(label: list[int], blank: int) -> None:
    logits = drawn(1, 5, 4).requires_grad_()
    classes = torch.tensor([[*label, -7, -7]])
    target = {"classes": classes, "lengths": torch.tensor([len(label)])}
    got, expected = CTC(blank=blank)(logits, target), by_alignments(logits[0], label, blank)
    torch.testing.assert_close(got, expected)
    (one,), (other,) = (torch.autograd.grad(value, logits) for value in (got, expected))
    torch.testing.assert_close(one, other)


def test_frames_and_padding_do_not_count() -> None:
    logits, classes = drawn(2, 6, 4), torch.tensor([[1, 2, 3], [2, -100, -100]])
    lengths, frames = torch.tensor([3, 1]), torch.tensor([6, 4])
    got = F.ctc(logits, classes, lengths, frames)
    short = F.ctc(logits[1:, :4], classes[1:, :1], lengths[1:])
    torch.testing.assert_close(got[1:], short)
    far = logits.clone()
    far[1, 4:] = 1e6
    assert torch.equal(F.ctc(far, classes, lengths, frames), got)


def test_no_labels_at_all_is_blank_throughout() -> None:
    logits, none = drawn(2, 3, 4), torch.empty(2, 0, dtype=torch.long)
    got = F.ctc(logits, none, torch.zeros(2))
    torch.testing.assert_close(got, -logits.log_softmax(2)[..., 0].sum(1))


@pytest.mark.parametrize("zero_infinity", [True, False])
def test_labels_that_do_not_fit(zero_infinity: bool) -> None:
    """Two alike need three frames; the third row has no frame for its label."""
    logits = drawn(3, 2, 3).requires_grad_()
    target = {
        "classes": torch.tensor([[1, 1], [1, 2], [1, 0]]),
        "lengths": torch.tensor([2, 2, 1]),
        "frames": torch.tensor([2, 2, 0]),
    }
    values = CTC(zero_infinity=zero_infinity).values(logits, target)
    assert values[[0, 2]].tolist() == [0.0 if zero_infinity else torch.inf] * 2
    assert 0 < values[1] < torch.inf
    (slope,) = torch.autograd.grad(values.sum(), logits)
    assert (slope[[0, 2]] == 0).all()
    assert (slope[1] != 0).any()


def test_logarithms_of_probabilities_serve_as_well() -> None:
    logits = drawn(2, 4, 3)
    target = {"classes": torch.tensor([[1], [2]]), "lengths": torch.tensor([1, 1])}
    torch.testing.assert_close(CTC()(logits.log_softmax(2), target), CTC()(logits, target))


@pytest.mark.parametrize(
    ("classes", "lengths", "frames", "message"),
    [
        ([[1, 3]], [2], [4], "a class lies outside 0 … 2, or is 0"),
        ([[1, 0]], [2], [4], "or is 0, the blank's"),
        ([[1, 2]], [3], [4], "lengths must lie in 0 … 2"),
        ([[1, 2]], [2], [5], "frames must lie in 0 … 4"),
        ([[1, 2]], [2, 2], [4], r"\(1, 4, 3\), \(1, 2\), \(2,\), \(1,\)"),
    ],
)
def test_what_it_refuses(
    classes: list[list[int]], lengths: list[int], frames: list[int], message: str
) -> None:
    given = (torch.tensor(part) for part in (classes, lengths, frames))
    with pytest.raises(ValueError, match=message):
        F.ctc(drawn(1, 4, 3), *given)


def test_blank_must_be_a_class() -> None:
    target = {"classes": torch.tensor([[1]]), "lengths": torch.tensor([1])}
    with pytest.raises(ValueError, match="blank is 3, but input has 3 classes"):
        CTC(blank=3)(drawn(1, 2, 3), target)
