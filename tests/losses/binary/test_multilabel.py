"""Losses of labels: the multi-label ones, and metrics as losses; plain loops and special cases."""

import math

import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score
from torch import Tensor

from lossmith import functional as F
from lossmith.losses import (
    ZLPR,
    AnyLoss,
    Asymmetric,
    AUCMargin,
    BinaryCrossEntropy,
    BinaryFocal,
    CrossEntropy,
    DistributionBalanced,
    SoftF1,
    TwoWay,
)


def batch(rows: int = 9, labels: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(21)
    input = 2 * torch.randn(rows, labels, generator=generator, dtype=torch.float64)
    return input, (torch.rand(rows, labels, generator=generator) < 0.4).double()


def test_asymmetric_has_focal_and_cross_entropy_as_special_cases() -> None:
    input, target = batch()
    plain = Asymmetric(gamma_neg=0.0, gamma_pos=0.0, clip=0.0)
    torch.testing.assert_close(plain(input, target), BinaryCrossEntropy()(input, target))
    both = Asymmetric(gamma_neg=2.0, gamma_pos=2.0, clip=0.0)
    torch.testing.assert_close(both(input, target), 2 * BinaryFocal(alpha=0.5)(input, target))


def test_easy_negatives_of_the_asymmetric_loss_teach_nothing() -> None:
    leaf = torch.tensor([-4.0, -2.0, 0.0], requires_grad=True)  # probabilities 0.02, 0.12, 0.5
    (slope,) = torch.autograd.grad(Asymmetric()(leaf, torch.zeros(3)), leaf)
    assert slope[0] == 0
    assert (slope[1:] > 0).all()


@pytest.mark.parametrize("clip", [0.0, 0.05])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 4.0])
def test_asymmetric_gradients_are_finite_everywhere(gamma: float, clip: float) -> None:
    input = torch.linspace(-120, 120, 2001).repeat_interleave(2).requires_grad_()
    target = torch.arange(2.0).repeat(2001)
    loss = Asymmetric(gamma_neg=gamma, gamma_pos=gamma, clip=clip)
    (slope,) = torch.autograd.grad(loss(input, target), input)
    assert slope.isfinite().all()


def test_zlpr_of_one_label_is_binary_cross_entropy() -> None:
    input, target = batch(labels=1)
    torch.testing.assert_close(ZLPR()(input, target), BinaryCrossEntropy()(input, target))


def test_zlpr_of_one_positive_bounds_cross_entropy() -> None:
    """log(1 + Σ exp x)·(1 + exp(−x_y)) holds softmax's Σ exp(x − x_y), and more."""
    input, _ = batch()
    classes = torch.arange(9) % 4
    target = torch.nn.functional.one_hot(classes, 4).double()
    assert (ZLPR().values(input, target) > CrossEntropy().values(input, classes)).all()


def test_zlpr_is_its_formula_for_soft_labels() -> None:
    input, target = batch()
    target = 0.8 * target + 0.1
    expected = [
        math.log(1 + sum((1 - y) * math.exp(x) for x, y in zip(*row, strict=True)))
        + math.log(1 + sum(y * math.exp(-x) for x, y in zip(*row, strict=True)))
        for row in zip(input.tolist(), target.tolist(), strict=True)
    ]
    assert ZLPR()(input, target).item() == pytest.approx(sum(expected) / 9)


def test_two_way_leaves_out_rows_and_columns_without_positives() -> None:
    input, target = batch()
    target[0], target[:, 1] = 0, 0
    terms = TwoWay().terms(input, target)
    kept = [0, 2, 3]
    alone = TwoWay().terms(input[:, kept], target[:, kept])
    torch.testing.assert_close(terms["labels"], alone["labels"])
    rows = TwoWay().terms(input[1:], target[1:])
    torch.testing.assert_close(terms["samples"], rows["samples"])
    none = TwoWay()(input.requires_grad_(), torch.zeros(9, 4))
    assert none == 0
    assert torch.equal(torch.autograd.grad(none, input)[0], torch.zeros(9, 4))


def test_metrics_as_losses_are_the_metrics_where_the_model_is_sure() -> None:
    input, target = batch()
    sure, said = 1e4 * input, (input > 0).double()
    wanted = f1_score(target, said, average="macro")
    assert SoftF1()(sure, target).item() == pytest.approx(1 - wanted)
    assert AnyLoss()(input, target).item() == pytest.approx(1 - wanted, abs=0.02)
    one, truth, guess = input[:, 0], target[:, 0], said[:, 0]
    right = (truth == guess).double().mean().item()
    recall = guess[truth == 1].mean().item()
    specificity = 1 - guess[truth == 0].mean().item()
    for metric, value in (
        ("accuracy", right),
        ("balanced_accuracy", balanced_accuracy_score(truth, guess)),
        ("g_mean", math.sqrt(recall * specificity)),
    ):
        got = AnyLoss(metric=metric)(1e4 * one, truth).item()
        assert got == pytest.approx(1 - value, abs=1e-6), metric


def test_labels_without_positives_are_left_out_of_f1() -> None:
    input, target = batch()
    target[:, 2] = 0
    kept = [0, 1, 3]
    torch.testing.assert_close(SoftF1()(input, target), SoftF1()(input[:, kept], target[:, kept]))
    assert SoftF1()(input, torch.zeros(9, 4)) == 0


def test_auc_margin_is_the_mean_over_pairs_before_the_cut() -> None:
    input, target = batch()
    p, y = input[:, 0].sigmoid(), target[:, 0] > 0.5
    pairs = (1 - p[y][:, None] + p[~y][None]).square().mean()
    torch.testing.assert_close(AUCMargin()(input[:, 0], target[:, 0]), pairs)


def test_auc_margin_is_the_saddle_of_its_min_max_problem() -> None:
    input, target = batch()
    p, y = input[:, 0].sigmoid(), target[:, 0] > 0.5
    best = AUCMargin(margin=0.5)(input[:, 0], target[:, 0]).item()
    a, b = p[y].mean(), p[~y].mean()
    alpha = (0.5 - a + b).clamp(min=0)

    def saddle(a: Tensor, b: Tensor, alpha: Tensor) -> float:
        apart = 2 * alpha * (0.5 + p[~y].mean() - p[y].mean()) - alpha**2
        return ((p[y] - a).square().mean() + (p[~y] - b).square().mean() + apart).item()

    assert saddle(a, b, alpha) == pytest.approx(best)
    for step in (-0.1, 0.1):
        assert saddle(a + step, b, alpha) > best
        assert saddle(a, b + step, alpha) > best
        assert saddle(a, b, (alpha + step).clamp(min=0)) < best


def test_a_batch_of_one_class_teaches_auc_nothing() -> None:
    leaf = torch.tensor([0.5, -1.0], requires_grad=True)
    loss = AUCMargin()(leaf, torch.ones(2))
    assert loss == 0
    assert torch.equal(torch.autograd.grad(loss, leaf)[0], torch.zeros(2))


def test_distribution_balanced_is_fitted_to_labels_and_takes_back_what_is_drawn_beside() -> None:
    target = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    loss = DistributionBalanced.for_target(target, gamma=1.0)
    assert loss.counts.tolist() == [3.0, 1.0]
    assert loss.rows.item() == 4.0
    weight = F.rebalanced_weights(target, counts=loss.counts, alpha=0.0, beta=1.0, mu=0.0)
    ratio = torch.tensor([[1.0, 3.0], [1 / 4, 3 / 4], [1.0, 3.0], [torch.inf, torch.inf]])
    torch.testing.assert_close(weight, ratio.sigmoid())


def test_distribution_balanced_is_focal_loss_where_nothing_is_rebalanced() -> None:
    g = torch.Generator().manual_seed(0)
    input = torch.randn(5, 3, generator=g, dtype=torch.float64)
    target = torch.rand(5, 3, generator=g).round().double()
    target[:, 0] = 1.0  # a row without labels weighs more
    given = {"counts": [1.0] * 3, "rows": 9.0, "alpha": 0.5, "beta": 0.0, "kappa": 0.0}
    plain = DistributionBalanced(lambda_=1.0, **given)(input, target)
    focal = BinaryFocal(gamma=2.0, alpha=0.5)(input, target)
    torch.testing.assert_close(plain, 4 * focal)


def test_distribution_balanced_takes_labels_that_no_row_or_every_row_has() -> None:
    loss = DistributionBalanced(counts=[0.0, 4.0], rows=4.0, kappa=1.0)
    assert loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).isfinite()
    with pytest.raises(ValueError, match="one count a label"):
        loss(torch.zeros(1, 3), torch.zeros(1, 3))
