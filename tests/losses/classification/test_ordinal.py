"""Losses of ordered classes against plain loops, and what their probabilities keep."""

import math

import pytest
import torch
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from torch import Tensor

from lossmith import (
    CDWCE,
    CORAL,
    CORN,
    SORD,
    BinomialSmoothing,
    CrossEntropy,
    SquaredEMD,
    WeightedKappa,
)
from lossmith import functional as F

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


def test_cdwce_is_its_sum() -> None:
    total = 0.0
    for x, y in zip(WIDE.softmax(1).tolist(), TARGET.tolist(), strict=True):
        total -= sum(abs(c - y) ** 1.5 * math.log1p(-p) for c, p in enumerate(x))
    assert CDWCE(alpha=1.5)(WIDE, TARGET).item() == pytest.approx(total / 40, rel=1e-12)


def test_cdwce_keeps_its_gradient_where_a_wrong_grade_is_certain() -> None:
    far = torch.tensor([[80.0, 0.0, 0.0]], requires_grad=True)
    value = CDWCE()(far, torch.tensor([2]))
    assert value.item() == pytest.approx(2 * (80 - math.log(2)), rel=1e-6)
    assert torch.autograd.grad(value, far)[0][0, 0].item() == pytest.approx(2.0, rel=1e-6)


@pytest.mark.parametrize("loss", [CDWCE(), SORD(alpha=1e6), BinomialSmoothing(eta=0.0)], ids=repr)
def test_where_smoothed_labels_are_cross_entropy(loss) -> None:
    input = WIDE[:, :2] if isinstance(loss, CDWCE) else WIDE  # of two grades
    target = TARGET.clamp(max=input.shape[1] - 1)
    torch.testing.assert_close(loss(input, target), CrossEntropy()(input, target))


def test_binomial_labels_are_scipys() -> None:
    for grade in range(CLASSES):
        mass = stats.binom(CLASSES - 1, 0.1 + 0.8 * grade / (CLASSES - 1)).pmf(range(CLASSES))
        expected = -(torch.from_numpy(mass) * WIDE.log_softmax(1)).sum(1).mean()
        got = BinomialSmoothing()(WIDE, torch.full((40,), grade))
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("distance", ["quadratic", "linear"])
def test_weighted_kappa_of_decisions_is_scikit_learns(distance: str) -> None:
    decided = WIDE.argmax(1)
    sure = 1e3 * torch.nn.functional.one_hot(decided, CLASSES).double()
    loss, weight = WeightedKappa(distance=distance), torch.linspace(0, 3, 40, dtype=torch.float64)
    for given in (None, weight):
        kappa = cohen_kappa_score(TARGET, decided, weights=distance, sample_weight=given)
        assert loss(sure, TARGET, weight=given).item() == pytest.approx(1 - kappa, rel=1e-9)


def test_a_batch_of_one_grade_has_no_kappa_to_improve() -> None:
    for logits in (WIDE, 1e3 * torch.eye(CLASSES, dtype=torch.float64)[[2]].repeat(40, 1)):
        leaf = logits.clone().requires_grad_()
        value = WeightedKappa()(leaf, torch.full((40,), 2))
        assert value.item() == pytest.approx(1.0)
        assert torch.autograd.grad(value, leaf)[0].abs().max() < 1e-12


def test_triangular_labels_reach_one_grade_and_sum_to_one() -> None:
    logits = torch.zeros(5, 5, dtype=torch.float64, requires_grad=True)
    values = F.triangular_smoothing(logits, torch.arange(5), alpha=0.1)
    labels = 1 / 5 - torch.autograd.grad(values.sum(), logits)[0]  # softmax less the gradient
    torch.testing.assert_close(labels.sum(1), torch.ones(5).double())
    torch.testing.assert_close(labels[2], torch.tensor([0, 0.1, 0.8, 0.1, 0]).double())
    assert labels[0, 0] > 0.95
    assert labels[0, 1] > labels[4, 3] > 0
    assert (labels.triu(2) + labels.tril(-2)).abs().max() < 1e-12
    plain = F.triangular_smoothing(logits, torch.arange(5), eta=0.0)
    torch.testing.assert_close(plain, torch.full((5,), math.log(5)).double())
