"""Classifiers that know positives and unlabelled rows alone."""

import pytest
import torch
from torch import Tensor

import lossmith

LABELS = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]).double()
SCORES = torch.tensor([1.0, -0.5, 0.3, 2.0, 0.8, -0.2]).double()
SURE = torch.tensor([3.0, 2.0, -4.0, -5.0, -3.0, -6.0]).double()


def slope(loss: lossmith.Loss, scores: Tensor) -> Tensor:
    leaf = scores.clone().requires_grad_()
    return torch.autograd.grad(loss(leaf, LABELS), leaf)[0]


def test_where_the_risk_of_negatives_is_positive_it_is_the_unbiased_risk() -> None:
    prior = 0.3
    value = lossmith.NNPU(prior=prior)(SCORES, LABELS)
    up, down = (-SCORES[:2]).sigmoid().mean(), SCORES[:2].sigmoid().mean()
    right = prior * up + SCORES[2:].sigmoid().mean() - prior * down
    torch.testing.assert_close(value, right)


def test_where_it_is_below_zero_the_gradient_goes_back_by_it_alone() -> None:
    prior, gamma = 0.6, 0.25
    loss = lossmith.NNPU(prior=prior, gamma=gamma)
    leaf = SURE.clone().requires_grad_()
    negative = leaf[2:].sigmoid().mean() - prior * leaf[:2].sigmoid().mean()
    assert negative < 0
    torch.testing.assert_close(loss(SURE, LABELS), prior * (-SURE[:2]).sigmoid().mean())
    (back,) = torch.autograd.grad(-gamma * negative, leaf)
    torch.testing.assert_close(slope(loss, SURE), back)
    allowed = lossmith.NNPU(prior=prior, beta=2.0)
    leaf = SURE.clone().requires_grad_()
    negative = leaf[2:].sigmoid().mean() - prior * leaf[:2].sigmoid().mean()
    unbiased = prior * (-leaf[:2]).sigmoid().mean() + negative
    assert allowed(SURE, LABELS).item() == pytest.approx(unbiased.item())
    torch.testing.assert_close(slope(allowed, SURE), torch.autograd.grad(unbiased, leaf)[0])


def test_logistic_risks_of_far_scores_are_finite() -> None:
    loss = lossmith.NNPU(prior=0.5, surrogate="logistic")
    assert slope(loss, 1e4 * SURE).isfinite().all()
    assert loss(-1e4 * SURE, LABELS).isfinite()
