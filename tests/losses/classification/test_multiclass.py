"""Losses for classes and labels, against independent references and the faults of others."""

import math
from typing import Any

import pytest
import torch
from sklearn.metrics import hinge_loss
from torch import Tensor
from torch.nn import functional as nnf

from lossmith import functional as F
from lossmith.core import Loss
from lossmith.losses import (
    BalancedSoftmax,
    BinaryCrossEntropy,
    BinaryFocal,
    Brier,
    ClassBalanced,
    CrossEntropy,
    Focal,
    GeneralizedCrossEntropy,
    Hinge,
    LogitAdjusted,
    MultiHinge,
    Poly1,
    SquareLoss,
    Squentropy,
)

N, C = 12, 4
COUNTS = [50.0, 20.0, 5.0, 1.0]
CLASS_LOSSES = [
    CrossEntropy(),
    Focal(),
    GeneralizedCrossEntropy(),
    Poly1(),
    Brier(),
    SquareLoss(),
    Squentropy(),
    MultiHinge(),
    BalancedSoftmax(counts=COUNTS),
    LogitAdjusted(counts=COUNTS, tau=0.7),
    ClassBalanced(counts=COUNTS, beta=0.9),
]
LABEL_LOSSES = [BinaryCrossEntropy(), BinaryFocal(), Hinge()]


def classes_batch(*more: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    input = 2 * torch.randn(N, C, *more, generator=generator, dtype=torch.float64)
    return input, torch.randint(C, (N, *more), generator=generator)


def labels_batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    input = 3 * torch.randn(N, 2, generator=generator, dtype=torch.float64)
    return input, torch.randint(2, (N, 2), generator=generator)


def assert_same(function, reference, input: Tensor, target: Tensor) -> None:
    """Equal values and equal gradients, each value weighted apart so that none can hide."""
    ours, theirs = (input.clone().requires_grad_() for _ in range(2))
    got, expected = function(ours, target), reference(theirs, target)
    assert got.shape == expected.shape
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
    weight = torch.arange(1, got.numel() + 1, dtype=got.dtype).reshape(got.shape)
    (slope,) = torch.autograd.grad((got * weight).sum(), ours)
    (exact,) = torch.autograd.grad((expected * weight).sum(), theirs)
    torch.testing.assert_close(slope, exact, rtol=1e-9, atol=1e-11)


def p_t(x: Tensor, y: Tensor) -> Tensor:
    return x.exp().gather(1, y[:, None])[:, 0] / x.exp().sum(1)


def one_hot(y: Tensor) -> Tensor:
    return nnf.one_hot(y, C).double()


def prior() -> Tensor:
    return torch.tensor(COUNTS, dtype=torch.float64) / sum(COUNTS)


def rivals(x: Tensor, y: Tensor) -> Tensor:
    return torch.stack(
        [torch.cat([row[:c], row[c + 1 :]]).max() for row, c in zip(x, y, strict=True)]
    )


def compile(loss: Loss) -> Any:
    torch._dynamo.reset()
    return torch.compile(loss, backend="eager", fullgraph=True)


COUNTS_TENSOR = torch.tensor(COUNTS, dtype=torch.float64)
FORMULAS = {
    "focal": (
        lambda x, y: F.focal(x, y, gamma=1.7),
        lambda x, y: -((1 - p_t(x, y)) ** 1.7) * p_t(x, y).log(),
    ),
    "focal at gamma 0": (
        lambda x, y: F.focal(x, y, gamma=0.0),
        lambda x, y: nnf.cross_entropy(x, y, reduction="none"),
    ),
    "generalized": (
        lambda x, y: F.generalized_cross_entropy(x, y, q=0.7),
        lambda x, y: (1 - p_t(x, y) ** 0.7) / 0.7,
    ),
    "poly1": (
        lambda x, y: F.poly1(x, y, epsilon=2.5),
        lambda x, y: nnf.cross_entropy(x, y, reduction="none") + 2.5 * (1 - p_t(x, y)),
    ),
    "brier": (F.brier, lambda x, y: ((x.softmax(1) - one_hot(y)) ** 2).sum(1)),
    "square_loss": (F.square_loss, lambda x, y: ((x - one_hot(y)) ** 2).mean(1)),
    "square scaled": (
        lambda x, y: F.square_loss(x, y, k=15.0, M=30.0),
        lambda x, y: (
            (15 * (x.gather(1, y[:, None])[:, 0] - 30) ** 2 + (x**2 * (1 - one_hot(y))).sum(1)) / C
        ),
    ),
    "squentropy": (
        F.squentropy,
        lambda x, y: (
            nnf.cross_entropy(x, y, reduction="none") + (x**2 * (1 - one_hot(y))).sum(1) / (C - 1)
        ),
    ),
    "multi_hinge": (
        F.multi_hinge,
        lambda x, y: (1 + rivals(x, y) - x.gather(1, y[:, None])[:, 0]).clamp(min=0),
    ),
    "logit_adjusted": (
        lambda x, y: F.logit_adjusted(x, y, counts=COUNTS_TENSOR, tau=0.4),
        lambda x, y: nnf.cross_entropy(x + 0.4 * prior().log(), y, reduction="none"),
    ),
    "balanced_softmax": (
        lambda x, y: F.balanced_softmax(x, y, counts=COUNTS_TENSOR),
        lambda x, y: (
            -(
                COUNTS_TENSOR[y]
                * x.exp().gather(1, y[:, None])[:, 0]
                / (COUNTS_TENSOR * x.exp()).sum(1)
            ).log()
        ),
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_gradients_equal_the_papers_formula(name):
    assert_same(*FORMULAS[name], *classes_batch())


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("more", [(), (2, 3)])
def test_cross_entropy_equals_torch(smoothing, more):
    input, target = classes_batch(*more)
    target.view(-1)[::3] = -100
    loss = CrossEntropy(label_smoothing=smoothing)
    assert_same(
        loss, lambda x, y: nnf.cross_entropy(x, y, label_smoothing=smoothing), input, target
    )
    if not more:
        alone = input[1], target[1]
        assert_same(loss, lambda x, y: nnf.cross_entropy(x, y, label_smoothing=smoothing), *alone)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_of_soft_targets_equals_torch(smoothing):
    input, _ = classes_batch()
    soft = classes_batch()[0].flip(0).softmax(1)
    loss = CrossEntropy(label_smoothing=smoothing)
    assert_same(loss, lambda x, y: nnf.cross_entropy(x, y, label_smoothing=smoothing), input, soft)


def test_class_weights_equal_torchs_without_smoothing_and_repeat_samples_with_it():
    input, target = classes_batch()
    weight = torch.tensor([1.0, 3.0, 2.0, 0.0], dtype=torch.float64)
    loss = CrossEntropy(class_weight=weight.tolist())
    assert_same(loss, lambda x, y: nnf.cross_entropy(x, y, weight=weight), input, target)
    times = weight.long()[target]
    repeated = input.repeat_interleave(times, 0), target.repeat_interleave(times)
    smooth = CrossEntropy(class_weight=weight.tolist(), label_smoothing=0.3)
    expected = nnf.cross_entropy(*repeated, label_smoothing=0.3)
    torch.testing.assert_close(smooth(input, target), expected)
    torch.testing.assert_close(smooth(input, one_hot(target)), expected)
    distorted = nnf.cross_entropy(input, target, weight=weight, label_smoothing=0.3)
    assert abs(distorted - expected) > 1e-2  # pytorch#104776


def test_focal_alpha_is_a_sample_weight():
    input, target = classes_batch()
    alpha = torch.tensor([1.0, 2.0, 5.0, 3.0], dtype=torch.float64)
    plain = Focal()(input, target, weight=alpha[target])
    torch.testing.assert_close(Focal(alpha=alpha.tolist())(input, target), plain)


@pytest.mark.parametrize("kind", [torch.float64, torch.int64, torch.bool])
def test_binary_cross_entropy_equals_torch(kind):
    input, target = labels_batch()
    for weight in (1.0, 4.0):
        assert_same(
            lambda x, y, w=weight: F.binary_cross_entropy(x, y, positive_weight=w),
            lambda x, y, w=weight: nnf.binary_cross_entropy_with_logits(
                x, y.double(), pos_weight=torch.tensor(w), reduction="none"
            ),
            input,
            target.to(kind),
        )


def test_binary_focal_equals_the_formula():
    def reference(x, y):
        p = torch.where(y == 1, x.sigmoid(), 1 - x.sigmoid())
        alpha = 0.7 - 0.4 * y.double()
        return -alpha * (1 - p) ** 1.5 * p.log()

    assert_same(lambda x, y: F.binary_focal(x, y, gamma=1.5, alpha=0.3), reference, *labels_batch())


def test_hinge_losses_equal_scikit_learns():
    input, target = labels_batch()
    scores, labels = input.flatten(), target.flatten()
    assert Hinge()(scores, labels).item() == pytest.approx(
        hinge_loss(labels.numpy(), scores.numpy())
    )
    assert_same(F.hinge, lambda x, y: (1 - (2 * y - 1) * x).clamp(min=0), input, target)
    input, target = classes_batch()
    expected = hinge_loss(target.numpy(), input.numpy(), labels=list(range(C)))
    assert MultiHinge()(input, target).item() == pytest.approx(expected)
    two = input[:, :2], target % 2
    assert_same(
        lambda x, y: F.multi_hinge(x, y) / 2,  # torch divides by C; for two classes all else agrees
        lambda x, y: nnf.multi_margin_loss(x, y, reduction="none"),
        *two,
    )


@pytest.mark.parametrize("loss", LABEL_LOSSES, ids=lambda loss: loss.card.key)
def test_a_label_between_mixes_the_values_at_both_ends(loss):
    input, _ = labels_batch()
    ones, zeros = torch.ones_like(input), torch.zeros_like(input)
    mixed = 0.3 * loss.values(input, ones) + 0.7 * loss.values(input, zeros)
    torch.testing.assert_close(loss.values(input, 0.3 * ones), mixed)


def test_the_name_focal_means_the_papers_softmax_and_the_others_follow():
    # One row, three classes, the truth is the second; by hand from p = softmax, s = sigmoid.
    x = [1.0, -0.5, 0.25]
    e = [math.exp(v) for v in x]
    softmax = -((1 - e[1] / sum(e)) ** 2) * math.log(e[1] / sum(e))
    s = [1 / (1 + math.exp(-v)) for v in x]
    sigmoid = (
        -(s[0] ** 2) * math.log(1 - s[0])
        - (1 - s[1]) ** 2 * math.log(s[1])
        - s[2] ** 2 * math.log(1 - s[2])
    ) / 3
    input = torch.tensor([x], dtype=torch.float64)
    target, hot = torch.tensor([1]), torch.tensor([[0.0, 1.0, 0.0]])
    assert Focal(gamma=2.0)(input, target).item() == pytest.approx(softmax)
    kornia = Focal(gamma=2.0)(input, target, denominator=3)
    assert kornia.item() == pytest.approx(softmax / 3)
    unweighted = 2 * BinaryFocal(gamma=2.0, alpha=0.5)(input, hot)
    assert unweighted.item() == pytest.approx(sigmoid)
    assert len({round(value, 3) for value in (softmax, softmax / 3, sigmoid)}) == 3


def test_focal_gradients_are_exact_where_a_power_of_zero_is_not():
    for logit in (17.0, 40.0, 1e4):
        x = torch.tensor([logit], requires_grad=True)
        (slope,) = torch.autograd.grad(
            BinaryFocal(gamma=0.5, alpha=0.25)(x, torch.ones(1)), x, create_graph=True
        )
        # p -> 1: value e^(-1.5 x) / 4, slope -1.5 of that; exp(-25) is far from underflow
        expected = -1.5 * math.exp(-1.5 * logit) / 4
        assert slope.item() == pytest.approx(expected, rel=1e-4, abs=1e-37)
        (curvature,) = torch.autograd.grad(slope, x)
        assert curvature.isfinite()
        wide = torch.tensor([[logit, 0.0]], requires_grad=True)
        (slope,) = torch.autograd.grad(Focal(gamma=0.5)(wide, torch.tensor([0])), wide)
        assert slope.isfinite().all()


@pytest.mark.parametrize("loss", CLASS_LOSSES, ids=lambda loss: loss.card.key)
@pytest.mark.parametrize("lead", [-80.0, -25.0, -9.0, -4.0, 4.0, 9.0, 14.0])
def test_float32_is_right_for_improbable_and_certain_classes(loss, lead):
    input = torch.tensor([[lead, 0.5, 0.0, -1.0]])
    got, exact = input.clone().requires_grad_(), input.double().requires_grad_()
    target = torch.tensor([0])
    values = loss(got, target), loss(exact, target)
    assert values[0].item() == pytest.approx(values[1].item(), rel=1e-5, abs=1e-6)
    slopes = [
        torch.autograd.grad(v, x)[0].double() for v, x in zip(values, (got, exact), strict=True)
    ]
    rounding = 5e-7 * max(1.0, values[1].item())
    torch.testing.assert_close(*slopes, rtol=1e-5, atol=rounding)


def test_generalized_cross_entropy_keeps_its_digits_near_cross_entropy():
    input, target = torch.tensor([[1.5, 0.0]]), torch.tensor([0])
    exact = (1 - (1 / (1 + math.exp(-1.5))) ** 1e-4) / 1e-4
    value = GeneralizedCrossEntropy(q=1e-4)(input, target).item()
    assert value == pytest.approx(exact, rel=1e-5)


def test_generalized_gradients_keep_their_digits_for_improbable_classes():
    for lead in (-6.0, -12.0, -20.0):
        x = torch.tensor([[lead, 0.0]], requires_grad=True)
        (slope,) = torch.autograd.grad(GeneralizedCrossEntropy(q=0.9)(x, torch.tensor([0])), x)
        p = 1 / (1 + math.exp(-lead))
        assert slope[0, 0].item() == pytest.approx(-(p**0.9) * (1 - p), rel=1e-5)


@pytest.mark.parametrize("loss", CLASS_LOSSES, ids=lambda loss: loss.card.key)
def test_ignored_samples_are_as_if_left_out(loss):
    input, target = classes_batch(3)
    ignored = torch.zeros_like(target, dtype=torch.bool)
    ignored[::2, 1:] = True
    rows = input.movedim(1, 2)[~ignored], target[~ignored]
    masked = target.masked_fill(ignored, -100)
    torch.testing.assert_close(loss(input, masked), loss(*rows))
    compiled = compile(loss)
    torch.testing.assert_close(compiled(input, masked), loss(*rows))


@pytest.mark.parametrize("loss", CLASS_LOSSES, ids=lambda loss: loss.card.key)
def test_all_ignored_gives_zero_with_zero_gradients(loss):
    input, target = classes_batch()
    input = input.requires_grad_()
    value = loss(input, torch.full_like(target, -100))
    (slope,) = torch.autograd.grad(value, input)
    assert value == 0
    assert (slope == 0).all()


@pytest.mark.parametrize("loss", CLASS_LOSSES, ids=lambda loss: loss.card.key)
def test_a_class_outside_is_an_error_and_a_constant_weight_changes_nothing(loss):
    input, target = classes_batch()
    plain = loss(input, target)
    torch.testing.assert_close(loss(input, target, weight=torch.full((N,), 3.0)), plain)
    compiled = compile(loss)
    for bad in (-1, C):
        wrong = target.index_fill(0, torch.tensor([2]), bad)
        with pytest.raises(ValueError, match="outside 0 … 3"):
            loss(input, wrong)
        with pytest.raises(RuntimeError, match="outside 0 … 3"):
            compiled(input, wrong)
    other = type(loss)(**{**loss.config(), "ignore_index": -1})
    assert other(input, target.index_fill(0, torch.tensor([2]), -1)).isfinite()


@pytest.mark.parametrize("loss", LABEL_LOSSES, ids=lambda loss: loss.card.key)
@pytest.mark.parametrize("bad", [-1.0, 2.0, float("nan")])
def test_labels_outside_are_an_error(loss, bad):
    input = torch.zeros(3)
    target = torch.tensor([0.0, 1.0, bad])
    with pytest.raises(ValueError, match="outside 0 … 1"):
        loss(input, target)
    with pytest.raises(RuntimeError, match="outside 0 … 1"):
        compile(loss)(input, target)


def test_truncation_at_a_learned_nothing_has_a_gradient():
    k = torch.nn.Parameter(torch.tensor(0.0))
    logits = torch.tensor([[1.0, 2.0], [-900.0, 0.0]])
    value = GeneralizedCrossEntropy(k=k).values(logits, torch.tensor([0, 0]))
    torch.testing.assert_close(
        value, GeneralizedCrossEntropy().values(logits, torch.tensor([0, 0]))
    )
    assert torch.autograd.grad(value.sum(), k)[0] == 0


def test_counts_may_be_integers():
    logits, target = (
        torch.randn(3, 2, generator=torch.Generator().manual_seed(0)),
        torch.arange(3) % 2,
    )
    whole, real = torch.tensor([9, 1]), torch.tensor([9.0, 1.0])
    for loss in (F.balanced_softmax, F.logit_adjusted, F.ldam):
        got = loss(logits, target, counts=whole)
        torch.testing.assert_close(got, loss(logits, target, counts=real))
    weights = F.class_balanced_weights(whole, beta=0.9)
    torch.testing.assert_close(weights, F.class_balanced_weights(real, beta=0.9))


def test_balanced_softmax_is_logit_adjustment_at_one_for_any_multiple_of_the_counts():
    batch = classes_batch()
    balanced = BalancedSoftmax(counts=COUNTS)(*batch)
    torch.testing.assert_close(LogitAdjusted(counts=COUNTS)(*batch), balanced)
    torch.testing.assert_close(BalancedSoftmax(counts=prior().tolist())(*batch), balanced)
    assert abs(LogitAdjusted(counts=COUNTS, tau=0.5)(*batch) - balanced) > 1e-3


@pytest.mark.parametrize("beta", [0.0001, 0.9, 0.999, 0.9999])
def test_class_balanced_weights_are_the_papers(beta):
    effective = [(1 - beta**n) / (1 - beta) for n in COUNTS]
    expected = torch.tensor([1 / e for e in effective], dtype=torch.float64)
    expected = expected * C / expected.sum()
    got = F.class_balanced_weights(COUNTS_TENSOR, beta=beta)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=0)
    input, target = classes_batch()
    loss = ClassBalanced(counts=COUNTS, beta=beta)
    assert_same(loss, lambda x, y: nnf.cross_entropy(x, y, weight=expected), input, target)


def test_class_balanced_weights_tend_to_one_over_n():
    got = F.class_balanced_weights(COUNTS_TENSOR, beta=1 - 1e-12)
    torch.testing.assert_close(got * COUNTS_TENSOR, got[-1].expand(C), rtol=1e-9, atol=0)


@pytest.mark.parametrize("kind", [BalancedSoftmax, LogitAdjusted, ClassBalanced])
def test_a_class_without_rows_counts_as_the_rarest_seen(kind):
    batch = classes_batch()
    absent, rarest = kind(counts=[50.0, 20.0, 5.0, 0.0]), kind(counts=[50.0, 20.0, 5.0, 5.0])
    torch.testing.assert_close(absent(*batch), rarest(*batch))
