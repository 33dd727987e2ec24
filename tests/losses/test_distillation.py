"""Distillation by correlation: against numpy's, what scale and shift of probabilities change."""

import numpy as np
import pytest
import torch
from torch import Tensor

from lossmith import DIST, PKT, SimilarityPreserving

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


def test_similarity_preserving_knows_no_turn_and_no_scale() -> None:
    turn = torch.linalg.qr(torch.randn(4, 4, generator=GENERATOR, dtype=torch.float64)).Q
    assert SimilarityPreserving()(3 * STUDENT @ turn, STUDENT).item() == pytest.approx(0, abs=1e-12)


def test_similarity_preserving_is_its_definition() -> None:
    maps = [one @ one.T for one in (STUDENT, TEACHER)]
    maps = [one / one.norm(dim=1, keepdim=True) for one in maps]
    expected = (maps[0] - maps[1]).square().sum() / len(STUDENT) ** 2
    torch.testing.assert_close(SimilarityPreserving()(STUDENT, TEACHER), expected)


def test_pkt_is_a_divergence_of_rows_over_their_number() -> None:
    shares = []
    for one in (STUDENT, TEACHER):
        unit = one / one.norm(dim=1, keepdim=True)
        alike = (1 + unit @ unit.T) / 2
        shares.append(alike / alike.sum(1, keepdim=True))
    p, q = shares
    expected = (q * (q / p).log()).sum(1).mean() / len(p)
    torch.testing.assert_close(PKT()(STUDENT, TEACHER), expected, rtol=1e-5, atol=0.0)
    assert PKT()(2 * TEACHER, TEACHER).item() == pytest.approx(0, abs=1e-12)
