"""Losses for wrong labels: plain loops over the definitions, limits, kinship among them."""

import math

import pytest
import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core import LossScheduler, Piecewise, Progress
from lossmith.losses import (
    ActivePassive,
    CrossEntropy,
    EarlyLearning,
    GeneralizedCrossEntropy,
    HardBootstrapping,
    JensenShannon,
    Poly1,
    SoftBootstrapping,
    SymmetricCrossEntropy,
)
from lossmith.testing import checks


def batch(rows: int = 8, classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(11)
    input = 2 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    return input, torch.randint(classes, (rows,), generator=generator)


def rows_of(input: Tensor, target: Tensor) -> list[tuple[list[float], int]]:
    shares = []
    for row, label in zip(input.tolist(), target.tolist(), strict=True):
        odds = [math.exp(x) for x in row]
        shares.append(([o / sum(odds) for o in odds], label))
    return shares


def mean(values: list[float]) -> pytest.approx:
    return pytest.approx(sum(values) / len(values), rel=1e-10)


def test_truncation_takes_the_loss_at_k_for_all_below_it() -> None:
    input, target = batch()
    q, k = 0.7, 0.2
    expected = [(1 - max(p[y], k) ** q) / q for p, y in rows_of(input, target)]
    leaf = input.clone().requires_grad_()
    loss = GeneralizedCrossEntropy(q=q, k=k)(leaf, target)
    assert loss.item() == mean(expected)
    (slope,) = torch.autograd.grad(loss, leaf)
    below = torch.tensor([p[y] < k for p, y in rows_of(input, target)])
    assert below.any()
    assert not below.all()
    assert torch.equal((slope == 0).all(1), below)


def test_truncation_may_begin_when_the_model_has_learnt() -> None:
    loss = GeneralizedCrossEntropy(k=Piecewise(((0.0, 0.0), (0.5, 0.5)), hold=True))
    clock = LossScheduler(loss, total_steps=10)
    input, target = batch()
    assert torch.equal(loss(input, target), GeneralizedCrossEntropy()(input, target))
    for _ in range(5):
        clock.step()
    assert torch.equal(loss(input, target), GeneralizedCrossEntropy(k=0.5)(input, target))


def test_symmetric_cross_entropy_is_poly_in_units_of_alpha() -> None:
    input, target = batch()
    loss = SymmetricCrossEntropy(alpha=0.5, beta=2.0, A=-3.0)
    same = Poly1(epsilon=12.0)
    torch.testing.assert_close(loss(input, target), 0.5 * same(input, target))
    torch.testing.assert_close(loss.decode(input), same.decode(input))


def test_the_reverse_is_cross_entropy_with_both_sides_exchanged() -> None:
    input, target = batch()
    expected = [
        -sum(share * math.log(1.0 if c == y else 1e-4) for c, share in enumerate(p))
        for p, y in rows_of(input, target)
    ]
    terms = SymmetricCrossEntropy(alpha=1.0).terms(input, target)
    assert terms["reverse_cross_entropy"].item() == mean(expected)
    torch.testing.assert_close(terms["cross_entropy"], CrossEntropy()(input, target))


def test_normalized_cross_entropy_sums_to_one_over_the_labels() -> None:
    input, _ = batch()
    every = [F.normalized_cross_entropy(input, torch.full((8,), c)) for c in range(4)]
    torch.testing.assert_close(sum(every), torch.ones(8, dtype=torch.float64))


def test_robust_losses_sum_to_a_constant_over_the_labels() -> None:
    """Then symmetric label noise moves no minimum (Ghosh et al., 2017)."""
    input, _ = batch()
    loss = ActivePassive()
    sums = sum(sum(loss.values(input, torch.full((8,), c)).values()) for c in range(4))
    torch.testing.assert_close(sums, sums[:1].expand(8))


def test_jensen_shannon_is_the_mean_divergence_from_the_mixture() -> None:
    input, target = batch()
    pi, expected = 0.3, []
    for p, y in rows_of(input, target):
        label = [float(c == y) for c in range(4)]
        mixture = [pi * a + (1 - pi) * b for a, b in zip(label, p, strict=True)]
        far = [
            sum(a * math.log(a / m) for a, m in zip(side, mixture, strict=True) if a > 0)
            for side in (label, p)
        ]
        scale = -(1 - pi) * math.log(1 - pi)
        expected.append((pi * far[0] + (1 - pi) * far[1]) / scale)
    assert JensenShannon(pi=pi)(input, target).item() == mean(expected)


def test_jensen_shannon_lies_between_cross_entropy_and_absolute_error() -> None:
    input, target = batch()
    torch.testing.assert_close(
        JensenShannon(pi=1e-7)(input, target),
        CrossEntropy()(input, target),
        rtol=1e-4,
        atol=0,
    )
    missed = 1 - input.softmax(1).gather(1, target[:, None]).mean()
    near_one = JensenShannon(pi=1 - 1e-12)(input, target)
    torch.testing.assert_close(near_one, missed, rtol=0.1, atol=0)


def test_jensen_shannon_is_finite_far_out() -> None:
    input, target = batch()
    leaf = (50 * input.float()).requires_grad_()
    (slope,) = torch.autograd.grad(JensenShannon()(leaf, target), leaf)
    assert slope.isfinite().all()


def test_bootstrapping_mixes_label_and_prediction() -> None:
    input, target = batch()
    soft, hard = [], []
    for p, y in rows_of(input, target):
        best = p.index(max(p))
        soft.append(-sum((0.9 * (c == y) + 0.1 * s) * math.log(s) for c, s in enumerate(p)))
        hard.append(
            -sum((0.9 * (c == y) + 0.1 * (c == best)) * math.log(s) for c, s in enumerate(p))
        )
    assert SoftBootstrapping(beta=0.9)(input, target).item() == mean(soft)
    assert HardBootstrapping(beta=0.9)(input, target).item() == mean(hard)


def test_z_loss_and_softcap_are_their_formulas() -> None:
    input, target = batch()
    capped = 3 * torch.tanh(input / 3)
    loss = CrossEntropy(z_loss=0.1, softcap=3.0)
    terms = loss.terms(input, target)
    torch.testing.assert_close(terms["cross_entropy"], CrossEntropy()(capped, target))
    torch.testing.assert_close(terms["z_loss"], 0.1 * capped.exp().sum(1).log().square().mean())
    torch.testing.assert_close(loss.decode(input), capped.softmax(1))
    plain = CrossEntropy()(input, target)
    torch.testing.assert_close(CrossEntropy(z_loss=0.0)(input, target), plain)


@pytest.mark.parametrize(
    "loss", [CrossEntropy(classes=3, z_loss=1e-4), CrossEntropy(classes=3, softcap=30.0)]
)
def test_options_of_cross_entropy_keep_the_contract(loss: CrossEntropy) -> None:
    for one in checks(loss):
        if one.name not in ("convex", "lipschitz", "proper", "elicits"):  # the defaults' claims
            one()


def test_ignored_rows_have_no_z_loss() -> None:
    input, target = batch()
    loss, masked = CrossEntropy(z_loss=0.1), target.index_fill(0, torch.tensor([0]), -100)
    torch.testing.assert_close(loss(input, masked), loss(input[1:], target[1:]))


def remembering(rows: int = 8) -> tuple[EarlyLearning, Tensor, dict[str, Tensor]]:
    input, classes = batch(rows)
    loss = EarlyLearning(samples=20, classes=4, beta=0.6)
    return loss, input, {"classes": classes, "indices": torch.arange(rows) * 2}


def test_the_memory_is_a_running_mean_written_by_observe_alone() -> None:
    loss, input, target = remembering()
    loss(input, target)
    assert not loss.memory.any()
    for step in (1, 1, 2):  # the second time changes nothing
        signals = {"logits": input, "indices": target["indices"]}
        loss.observe(Progress(step=step, signals=signals))
    p = input.softmax(1).clamp(1e-4, 1 - 1e-4)
    p = (p / p.sum(1, keepdim=True)).float()
    torch.testing.assert_close(loss.memory[target["indices"]], (0.6 * 0.4 + 0.4) * p)
    assert not loss.memory[1::2].any()


def test_early_learning_is_its_formula_and_holds_the_memory_constant() -> None:
    loss, input, target = remembering()
    loss.memory += 0.2
    leaf = input.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss.terms(leaf, target)["early_learning"], leaf)
    p = input.softmax(1)
    m = 0.6 * 0.2 + 0.4 * p
    other = input.clone().requires_grad_()
    expected = 3 * torch.log(1 - (m * other.softmax(1)).sum(1)).mean()
    torch.testing.assert_close(loss.terms(input, target)["early_learning"], expected)
    torch.testing.assert_close(slope, torch.autograd.grad(expected, other)[0])


def test_early_learning_refuses_unknown_samples() -> None:
    loss, input, target = remembering()
    for wrong in (20, -1):
        indices = target["indices"].index_fill(0, torch.tensor([1]), wrong)
        with pytest.raises(ValueError, match="outside 0 … 19"):
            loss(input, {**target, "indices": indices})
    with pytest.raises(ValueError, match="needs the signals logits, indices"):
        loss.observe(Progress(step=1))


def test_ignored_samples_of_early_learning_have_no_part() -> None:
    loss, input, target = remembering()
    masked = {**target, "classes": target["classes"].index_fill(0, torch.tensor([0]), -100)}
    rest = {name: part[1:] for name, part in target.items()}
    torch.testing.assert_close(loss(input, masked), loss(input[1:], rest))
