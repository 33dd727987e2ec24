"""Confusions of labels that are known: what the mixed prediction costs, and what is decoded."""

import pytest
import torch

import lossmith as lm

TABLE = [[0.7, 0.2, 0.1], [0.0, 0.6, 0.4], [0.25, 0.25, 0.5]]
GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(6, 3, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.tensor([0, 1, 2, 2, 1, 0])


def test_labels_that_are_never_wrong_are_cross_entropy() -> None:
    loss = lm.ForwardCorrection(transition=torch.eye(3).tolist())
    torch.testing.assert_close(loss(LOGITS, CLASSES), lm.CrossEntropy()(LOGITS, CLASSES))


def test_rows_are_true_classes_and_columns_labels() -> None:
    values = lm.ForwardCorrection(transition=TABLE).values(LOGITS, CLASSES)
    for value, p, label in zip(values, LOGITS.softmax(1), CLASSES.tolist(), strict=True):
        chance = sum(p[c] * TABLE[c][label] for c in range(3))
        torch.testing.assert_close(value, -chance.log())


def test_counts_are_chances_over_their_sum() -> None:
    counts = [[7, 2, 1], [0, 12, 8], [1, 1, 2]]
    loss, same = (lm.ForwardCorrection(transition=one) for one in (counts, TABLE))
    torch.testing.assert_close(loss(LOGITS, CLASSES), same(LOGITS, CLASSES))


def test_pixels_are_rows() -> None:
    loss = lm.ForwardCorrection(transition=TABLE)
    maps = LOGITS.reshape(2, 3, 3).movedim(2, 1)
    torch.testing.assert_close(loss(maps, CLASSES.reshape(2, 3)), loss(LOGITS, CLASSES))


def test_the_minimiser_is_the_true_distribution() -> None:
    """Theorem 2: labels drawn through T, the softmax of least loss is that of the true classes."""
    true = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    labels = true @ torch.tensor(TABLE, dtype=torch.float64)
    head = true.log().requires_grad_()
    loss = lm.ForwardCorrection(transition=TABLE)
    value = loss(head.expand(3, 3), torch.arange(3), weight=labels)
    (slope,) = torch.autograd.grad(value, head)
    assert slope.abs().max() < 1e-12


def test_a_label_that_no_class_has_is_finite() -> None:
    loss = lm.ForwardCorrection(transition=[[1.0, 0.0], [1.0, 0.0]])
    logits = torch.zeros(1, 2, requires_grad=True)
    value = loss(logits, torch.tensor([1]))
    assert value.isfinite()
    assert torch.autograd.grad(value, logits)[0].isfinite().all()


def test_tables_that_are_no_transition_are_refused() -> None:
    for table in ([[1.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]):
        with pytest.raises(ValueError, match="one row and one column a class, and no row of zeros"):
            lm.ForwardCorrection(transition=table)
