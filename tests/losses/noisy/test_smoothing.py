"""Online label smoothing: what it is at known settings, and what makes its soft labels."""

import pytest
import torch
from torch import Tensor

from lossmith import CrossEntropy, LossScheduler, OnlineLabelSmoothing, Progress
from lossmith import functional as F

C = 4
G = torch.Generator().manual_seed(0)
LOGITS = 2 * torch.randn(12, C, generator=G, dtype=torch.float64)
CLASSES = torch.randint(C, (12,), generator=G)


def taught(logits: Tensor, target: Tensor) -> OnlineLabelSmoothing:
    """A loss after an epoch of one step."""
    loss = OnlineLabelSmoothing(classes=C)
    loss.observe(Progress(step=1, epoch=1, signals={"input": logits, "target": target}))
    return loss


def test_it_starts_as_label_smoothing_and_without_soft_labels_is_cross_entropy() -> None:
    start = OnlineLabelSmoothing(classes=C, alpha=0.7)(LOGITS, CLASSES)
    torch.testing.assert_close(start, CrossEntropy(label_smoothing=0.3)(LOGITS, CLASSES))
    alone = OnlineLabelSmoothing(classes=C, alpha=1.0)(LOGITS, CLASSES)
    torch.testing.assert_close(alone, CrossEntropy()(LOGITS, CLASSES))


def test_soft_labels_are_the_mean_correct_predictions_of_a_class() -> None:
    loss, p = taught(LOGITS, CLASSES), LOGITS.softmax(1).tolist()
    for c in range(C):
        right = [q for q, y in zip(p, CLASSES.tolist(), strict=True) if y == c == q.index(max(q))]
        mean = [sum(column) / len(right) for column in zip(*right, strict=True)] or [1 / C] * C
        assert loss.soft_labels[c].tolist() == pytest.approx(mean)
    expected = -(loss.soft_labels[CLASSES] * LOGITS.log_softmax(1)).sum(1).mean()
    expected = 0.5 * CrossEntropy()(LOGITS, CLASSES) + 0.5 * expected
    torch.testing.assert_close(loss(LOGITS, CLASSES), expected, check_dtype=False)


def test_an_epoch_is_gathered_before_its_labels_are_used() -> None:
    loss = OnlineLabelSmoothing(classes=C)
    clock = LossScheduler(loss, steps_per_epoch=3)
    for part in range(3):
        assert (loss.soft_labels == 1 / C).all()
        rows = slice(4 * part, 4 * part + 4)
        clock.step(input=LOGITS[rows], target=CLASSES[rows])
    torch.testing.assert_close(loss.soft_labels, taught(LOGITS, CLASSES).soft_labels)
    assert loss.counts.sum() == 0


def test_ignored_rows_make_no_soft_labels() -> None:
    masked = CLASSES.clone()
    masked[::2] = -100
    ours, kept = taught(LOGITS, masked), taught(LOGITS[1::2], CLASSES[1::2])
    assert torch.equal(ours.soft_labels, kept.soft_labels)


def test_pixels_and_single_samples_are_samples() -> None:
    images, labels = LOGITS.view(2, 6, C).movedim(2, 1), CLASSES.view(2, 6)
    loss = taught(images, labels)
    assert torch.equal(loss.soft_labels, taught(LOGITS, CLASSES).soft_labels)
    torch.testing.assert_close(loss(images, labels), loss(LOGITS, CLASSES))
    sums, _ = F.correct_predictions(torch.tensor([0.0, 9.0]), torch.tensor(1))
    assert sums[1, 1] > 0.99


def test_what_it_gathers_is_not_rounded_by_a_cast() -> None:
    loss = taught(LOGITS, CLASSES)
    exact = loss.soft_labels.clone()
    assert torch.equal(loss.to(torch.bfloat16).soft_labels, exact)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match=r"pass classes= or use OnlineLabelSmoothing\.for_target"):
        OnlineLabelSmoothing()
    loss = OnlineLabelSmoothing(classes=C)
    with pytest.raises(ValueError, match="counts epochs"):
        LossScheduler(loss).step(input=LOGITS, target=CLASSES)
    with pytest.raises(ValueError, match=r"\(12, 3\) .* with a head of 4 needs \(12, 4\)"):
        loss(LOGITS[:, :3], CLASSES % 3)
