"""Losses of ordered classes against plain loops, and what their probabilities keep."""

import math

import pytest
import torch
from torch import Tensor

from lossmith import CORAL, CORN, SquaredEMD

GENERATOR = torch.Generator().manual_seed(0)
CLASSES = 5
LOGITS = 3 * torch.randn(40, CLASSES - 1, generator=GENERATOR, dtype=torch.float64)
WIDE = 3 * torch.randn(40, CLASSES, generator=GENERATOR, dtype=torch.float64)
TARGET = torch.arange(40) % CLASSES


def answers(logits: Tensor, target: int, asked: int) -> list[float]:
    return [
        math.log1p(math.exp(-x if target > k else x)) for k, x in enumerate(logits.tolist()[:asked])
    ]


def test_coral_is_its_sum_of_questions() -> None:
    expected = sum(sum(answers(x, int(y), 4)) for x, y in zip(LOGITS, TARGET, strict=True)) / 40
    assert CORAL()(LOGITS, TARGET).item() == pytest.approx(expected, rel=1e-12)


def test_corn_is_the_mean_of_the_questions_asked() -> None:
    given = [
        one
        for x, y in zip(LOGITS, TARGET, strict=True)
        for one in answers(x, int(y), min(int(y) + 1, 4))
    ]
    got = CORN(classes=CLASSES)(LOGITS, TARGET).item()
    assert got == pytest.approx(sum(given) / len(given), rel=1e-12)


def test_squared_emd_is_its_definition() -> None:
    total = 0.0
    for x, y in zip(WIDE.softmax(1).tolist(), TARGET.tolist(), strict=True):
        total += sum((sum(x[: k + 1]) - (y <= k)) ** 2 for k in range(CLASSES))
    assert SquaredEMD()(WIDE, TARGET).item() == pytest.approx(total / 40, rel=1e-12)


def test_squared_emd_counts_the_classes_a_sure_prediction_is_off_by() -> None:
    sure = 1e3 * torch.eye(CLASSES, dtype=torch.float64)
    for target in range(CLASSES):
        values = SquaredEMD().values(sure, torch.full((CLASSES,), target))
        assert values.tolist() == [abs(target - k) for k in range(CLASSES)]


@pytest.mark.parametrize("loss", [CORAL(), CORN(classes=CLASSES), SquaredEMD()], ids=repr)
def test_decoded_probabilities_are_probabilities(loss) -> None:
    head = WIDE if isinstance(loss, SquaredEMD) else LOGITS
    found = loss.decode(head)
    assert found.shape == (40, CLASSES)
    assert (found >= 0).all()
    torch.testing.assert_close(found.sum(1), torch.ones(40, dtype=torch.float64))


def test_consistent_coral_heads_are_read_as_they_are() -> None:
    ordered = LOGITS.sort(1, descending=True).values
    exceeds = CORAL().decode(ordered).flip(1).cumsum(1).flip(1)[:, 1:]
    torch.testing.assert_close(exceeds, ordered.sigmoid())


def test_corn_reads_a_chain() -> None:
    chance = CORN(classes=3).decode(torch.tensor([[math.log(3.0), 0.0]]))
    torch.testing.assert_close(chance, torch.tensor([[0.25, 0.375, 0.375]]))


@pytest.mark.parametrize("kind", [CORAL, CORN])
def test_two_classes_are_no_order(kind) -> None:
    with pytest.raises(ValueError, match="classes"):
        kind.for_target(torch.tensor([0, 1]))


def test_corn_needs_its_number_of_classes() -> None:
    with pytest.raises(ValueError, match="pass classes="):
        CORN()(LOGITS, TARGET)
    with pytest.raises(ValueError, match=r"\(40, 2\)"):
        CORN(classes=3)(LOGITS, TARGET)


@pytest.mark.parametrize("loss", [CORAL(), CORN(classes=CLASSES)], ids=repr)
def test_classes_beyond_the_thresholds_are_refused(loss) -> None:
    with pytest.raises(ValueError, match="outside 0 … 4"):
        loss(LOGITS, TARGET + 1)


@pytest.mark.parametrize("loss", [CORAL(), CORN(classes=CLASSES), SquaredEMD()], ids=repr)
def test_pixels_are_samples(loss) -> None:
    head = WIDE if isinstance(loss, SquaredEMD) else LOGITS
    dense = head.reshape(2, 4, 5, -1).movedim(-1, 1)
    target = TARGET.reshape(2, 4, 5).clone()
    target[0, 1, 2] = -100
    kept = target.flatten() != -100
    torch.testing.assert_close(loss(dense, target), loss(head[kept], TARGET[kept]))
    decoded = loss.decode(dense)
    torch.testing.assert_close(decoded.movedim(1, -1).reshape(40, -1), loss.decode(head))
