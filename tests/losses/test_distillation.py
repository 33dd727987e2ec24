"""Distillation by correlation: against numpy's, what scale and shift of probabilities change."""

import numpy as np
import pytest
import torch
from torch import Tensor

from lossmith import DIST

GENERATOR = torch.Generator().manual_seed(6)
STUDENT, TEACHER = torch.randn(2, 7, 4, generator=GENERATOR, dtype=torch.float64)


def correlation(left: Tensor, right: Tensor) -> float:
    pairs = zip(left.numpy(), right.numpy(), strict=True)
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs]))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_its_terms_are_numpys_correlations(temperature: float) -> None:
    terms = DIST(temperature=temperature, beta=2.0).terms(STUDENT, TEACHER)
    p, q = ((part / temperature).softmax(1) for part in (STUDENT, TEACHER))
    square = temperature**2
    assert terms["rows"].item() == pytest.approx(2 * square * (1 - correlation(p, q)))
    assert terms["classes"].item() == pytest.approx(square * (1 - correlation(p.mT, q.mT)))


def test_many_classes_that_are_nearly_alike_keep_their_gradient() -> None:
    generator = torch.Generator().manual_seed(1)
    student, teacher = 1e-2 * torch.randn(2, 4, 5000, generator=generator)
    wide = student.double().requires_grad_()
    (right,) = torch.autograd.grad(DIST()(wide, teacher.double()), wide)
    leaf = student.clone().requires_grad_()
    (slope,) = torch.autograd.grad(DIST()(leaf, teacher), leaf)
    assert (slope - right).norm() < 1e-4 * right.norm()
    assert right.norm() > 0.01
