"""Asymmetric losses: of the true class's probability, with an offset."""

import pytest
import torch

import lossmith as lm

X = torch.tensor([[1.0, -0.5, 0.3], [0.2, 2.0, -1.0]], dtype=torch.float64)
Y = torch.tensor([0, 2])


def p() -> torch.Tensor:
    return X.softmax(1)[torch.arange(2), Y]


@pytest.mark.parametrize("loss", [lm.AGCE(a=0.4, q=1.0), lm.AUL(a=2.5, q=1.0)])
def test_exponent_one_is_the_absolute_error(loss: lm.AGCE | lm.AUL) -> None:
    torch.testing.assert_close(loss.values(X, Y), 1 - p())


def test_agce_without_offset_is_generalized_cross_entropy() -> None:
    close = lm.AGCE(a=1e-12, q=0.7).values(X, Y)
    torch.testing.assert_close(close, lm.GeneralizedCrossEntropy(q=0.7).values(X, Y))


def test_nothing_cancels_where_the_prediction_is_right() -> None:
    sure = torch.tensor([[0.0, -60.0]], dtype=torch.float64)
    rest = sure.softmax(1)[0, 1].item()
    agce, aul = (loss(sure, torch.tensor([0])).item() for loss in (lm.AGCE(), lm.AUL()))
    assert agce == pytest.approx(1.6 ** (0.6 - 1) * rest, rel=1e-9)
    assert aul == pytest.approx(4.5**2 * rest, rel=1e-9)


def test_the_commonest_label_wins_alone_though_others_are_seen() -> None:
    logits = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    loss, optimizer = lm.AUL(a=5.5, q=3.0), torch.optim.Adam([logits], lr=0.3)
    both, target = torch.tensor([0.7, 0.3]), torch.tensor([0, 1])  # 7/3 > (5.5/4.5)²
    for _ in range(200):
        optimizer.zero_grad()
        loss(logits.expand(2, 2), target, weight=both).backward()
        optimizer.step()
    assert logits.softmax(1)[0, 0] > 0.999


@pytest.mark.parametrize("part", ["normalized_cross_entropy", "normalized_negative_cross_entropy"])
def test_both_parts_of_active_negative_are_symmetric(part: str) -> None:
    """Summed over all labels they are a constant, which is what makes them robust."""
    loss = lm.ActiveNegative(alpha=1.0, beta=1.0)
    sums = sum(loss.values(X, torch.full((2,), label))[part] for label in range(3))
    torch.testing.assert_close(sums, sums[:1].expand(2))


def test_active_negative_is_its_definition() -> None:
    log_p, floor = X.softmax(1).log().clamp(min=-3.0), 3.0  # A of min_prob e⁻³
    expected = 1 - (floor + log_p[range(2), Y]) / (floor + log_p).sum(1)
    loss = lm.ActiveNegative(alpha=1.0, beta=2.0, min_prob=float(torch.tensor(-3.0).double().exp()))
    negative = loss.values(X, Y)["normalized_negative_cross_entropy"]
    torch.testing.assert_close(negative, 2 * expected)
