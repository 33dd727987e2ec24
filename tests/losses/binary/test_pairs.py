"""Partial AUC and average precision by pairs: limits, weights, labels of one class."""

import pytest
import torch

import lossmith
from lossmith import APLoss, PartialAUC

GENERATOR = torch.Generator().manual_seed(2)
SCORES = torch.randn(9, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.tensor([1.0, 0, 0, 1, 0, 1, 0, 0, 0], dtype=torch.float64)


def costs() -> torch.Tensor:
    """Return what each pair of a positive and a negative costs."""
    p = SCORES.sigmoid()
    return (1 - p[LABELS == 1, None] + p[LABELS == 0]).relu().square()


def test_hot_it_is_the_mean_over_pairs_and_cold_the_worst_negative() -> None:
    hot = PartialAUC(temperature=1e6)(SCORES, LABELS)
    torch.testing.assert_close(hot, costs().mean(), rtol=1e-5, atol=0)
    cold = PartialAUC(temperature=1e-4)(SCORES, LABELS)
    torch.testing.assert_close(cold, costs().amax(1).mean(), rtol=1e-3, atol=0)
    both = PartialAUC(temperature=1e-4, positive_temperature=1e-4)(SCORES, LABELS)
    torch.testing.assert_close(both, costs().max(), rtol=1e-3, atol=0)


def test_equal_temperatures_are_one_soft_maximum_over_all_pairs() -> None:
    found = PartialAUC(temperature=0.3, positive_temperature=0.3)(SCORES, LABELS)
    torch.testing.assert_close(found, 0.3 * (costs() / 0.3).exp().mean().log())


def test_a_label_of_one_class_is_left_out() -> None:
    two = torch.stack([SCORES, -SCORES], 1)
    labels = torch.stack([LABELS, torch.zeros(9, dtype=torch.float64)], 1)
    for loss in (PartialAUC(), PartialAUC(positive_temperature=0.5), APLoss()):
        torch.testing.assert_close(loss(two, labels), loss(SCORES, LABELS))
        alone = SCORES.clone().requires_grad_()
        value = loss(alone, torch.ones(9))
        value.backward()
        assert value == 0
        assert (alone.grad == 0).all()


@pytest.mark.parametrize("hypers", [{}, {"positive_temperature": 0.5}])
def test_cold_it_keeps_false_positives_rarer_than_the_mean_over_pairs(hypers: dict) -> None:
    """A negative that scores as positives do costs more the colder it is."""
    odd = torch.tensor([3.0, 3.0] + [-3.0] * 20, dtype=torch.float64)
    labels = torch.tensor([1.0] + [0.0] * 21, dtype=torch.float64)
    values = [
        lossmith.PartialAUC(temperature=one, **hypers)(odd, labels).item() for one in (10, 1, 0.1)
    ]
    assert values == sorted(values)


@pytest.mark.parametrize("margin", [0.3, 1.0])
def test_ap_loss_is_its_definition(margin: float) -> None:
    p, ratios = SCORES.sigmoid().tolist(), []
    for i in range(9):
        if LABELS[i]:
            costs = [max(0.0, margin - p[i] + other) ** 2 for other in p]
            ratios.append(sum(c for c, y in zip(costs, LABELS, strict=True) if y) / sum(costs))
    found = APLoss(margin=margin)(SCORES, LABELS)
    assert found.item() == pytest.approx(1 - sum(ratios) / len(ratios))


def test_ap_loss_of_a_small_margin_is_0_where_ranks_are_right() -> None:
    scores = torch.tensor([3.0, 2.0, -2.0, -3.0], dtype=torch.float64)
    right, wrong = torch.tensor([1.0, 1, 0, 0]), torch.tensor([0.0, 0, 1, 1])
    assert APLoss(margin=0.1)(scores, right) == 0
    assert APLoss(margin=0.1)(scores, wrong) > 0.9
