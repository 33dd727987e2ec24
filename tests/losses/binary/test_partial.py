"""Partial AUC: the pairs that its temperatures leave, weights, labels of one class."""

import pytest
import torch

import lossmith
from lossmith import PartialAUC

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
    for loss in (PartialAUC(), PartialAUC(positive_temperature=0.5)):
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
