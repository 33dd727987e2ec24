"""What a head decodes to, what for_target fits, and what is refused: losses for classes."""

import math

import pytest
import torch
from torch import Tensor

from lossmith.functional.probabilities import project_to_simplex
from lossmith.losses import (
    BalancedSoftmax,
    BinaryFocal,
    Brier,
    ClassBalanced,
    CrossEntropy,
    Focal,
    GeneralizedCrossEntropy,
    LogitAdjusted,
    Poly1,
    SquareLoss,
)

N, C = 12, 4
COUNTS = [50.0, 20.0, 5.0, 1.0]


def classes_batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    input = 2 * torch.randn(N, C, generator=generator, dtype=torch.float64)
    return input, torch.randint(C, (N,), generator=generator)


def prior() -> Tensor:
    return torch.tensor(COUNTS, dtype=torch.float64) / sum(COUNTS)


RECOVERING = [
    CrossEntropy(),
    Brier(),
    Focal(gamma=0.5),
    Focal(gamma=5.0),
    GeneralizedCrossEntropy(q=0.2),
    GeneralizedCrossEntropy(q=0.9),
    Poly1(epsilon=-0.8),
    Poly1(epsilon=10.0),
]


@pytest.mark.parametrize("loss", RECOVERING, ids=repr)
def test_decode_gives_the_distribution_under_which_the_output_is_optimal(loss):
    output = classes_batch()[0].requires_grad_()
    truth = loss.decode(output).detach()
    torch.testing.assert_close(truth.sum(1), torch.ones(N, dtype=torch.float64))
    values = [loss.values(output, torch.full((N,), c)) for c in range(C)]
    (slope,) = torch.autograd.grad((torch.stack(values, 1) * truth).sum(), output)
    assert slope.abs().max() < 1e-12


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.75])
def test_binary_focal_decode_undoes_gamma_and_alpha(gamma, alpha):
    output = torch.linspace(-6, 6, 25, dtype=torch.float64).requires_grad_()
    loss = BinaryFocal(gamma=gamma, alpha=alpha)
    truth = loss.decode(output).detach()
    (slope,) = torch.autograd.grad(loss.values(output, truth).sum(), output)
    assert slope.abs().max() < 1e-12
    assert (truth.diff() > 0).all()


@pytest.mark.parametrize(("k", "M"), [(1.0, 1.0), (15.0, 30.0), (0.5, 2.0)])
def test_square_decode_inverts_its_minimiser(k, M):
    truth = torch.tensor([[0.1, 0.2, 0.7, 0.0], [0.25, 0.25, 0.25, 0.25]], dtype=torch.float64)
    output = (M * k * truth / (k * truth + 1 - truth)).requires_grad_()
    loss = SquareLoss(k=k, M=M)
    values = torch.stack([loss.values(output, torch.full((2,), c)) for c in range(C)], 1)
    (slope,) = torch.autograd.grad((values * truth).sum(), output)
    assert slope.abs().max() < 1e-12
    torch.testing.assert_close(loss.decode(output.detach()), truth)


def test_square_decode_of_any_outputs_is_a_distribution_that_keeps_the_order():
    output = torch.tensor([[1.2, 3.0, -5.0], [-1.0, -2.0, -3.0], [-1e30, 1e30, 0.0], [0.0] * 3])
    for loss in (SquareLoss(), SquareLoss(k=15.0, M=1.1)):
        decoded = loss.decode(output)
        torch.testing.assert_close(decoded.sum(1), torch.ones(4))
        assert decoded.argmax(1)[:3].tolist() == [1, 0, 1]
        torch.testing.assert_close(decoded[3], torch.full((3,), 1 / 3))


def test_projection_is_nearest():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    steps = torch.arange(101, dtype=torch.float64) / 100
    grid = torch.stack([g.flatten() for g in torch.meshgrid(steps, steps, indexing="ij")], 1)
    grid = torch.cat([grid, 1 - grid.sum(1, keepdim=True)], 1)[grid.sum(1) <= 1]
    best = (grid - values[:, None]).square().sum(2).amin(1)
    ours = (project_to_simplex(values) - values).square().sum(1)
    assert (ours <= best + 1e-12).all()
    assert (ours >= best - 0.05).all()
    assert (project_to_simplex(values) >= 0).all()


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0, 2.0])
def test_logit_adjustment_decodes_to_the_truth_over_the_prior(tau):
    truth = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    output = (truth.log() - tau * prior().log()).requires_grad_()
    loss = LogitAdjusted(counts=COUNTS, tau=tau)
    values = torch.stack([loss.values(output, torch.tensor(c)) for c in range(C)])
    (slope,) = torch.autograd.grad((values * truth).sum(), output)
    assert slope.abs().max() < 1e-12
    expected = truth / prior() ** tau
    torch.testing.assert_close(loss.decode(output.detach()), expected / expected.sum())


def test_for_target_finds_classes_and_counts():
    target = torch.tensor([[0, 2, 2], [-100, 2, 0]])
    assert CrossEntropy.for_target(target).out_features == 3
    assert CrossEntropy.for_target(target, classes=5, label_smoothing=0.1).out_features == 5
    assert CrossEntropy.for_target(torch.zeros(4, dtype=torch.int64)).out_features == 2
    for kind in (BalancedSoftmax, LogitAdjusted, ClassBalanced):
        assert kind.for_target(target).counts.tolist() == [2, 0, 3]
        assert kind.for_target(target, classes=4).out_features == 4
        assert kind.for_target(target, counts=[1.0, 1.0, 1.0]).counts.tolist() == [1, 1, 1]
        assert kind.for_target(target[0], ignore_index=2).counts.tolist() == [1, 0]


def test_for_target_refuses_what_is_not_a_training_target():
    with pytest.raises(
        TypeError, match=r"integer classes, got torch\.float32; use target.long\(\)"
    ):
        CrossEntropy.for_target(torch.zeros(3))
    with pytest.raises(ValueError, match="from 0 to 4, outside 0 … 2"):
        BalancedSoftmax.for_target(torch.tensor([0, 4]), classes=3)
    with pytest.raises(ValueError, match="from -1 to 1, outside"):
        BalancedSoftmax.for_target(torch.tensor([-1, 1]))
    with pytest.raises(ValueError, match="no class that is not ignored"):
        CrossEntropy.for_target(torch.tensor([-100]))


def test_what_is_missing_or_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"pass classes= or use Focal.for_target\(target\)"):
        _ = Focal().out_features
    with pytest.raises(TypeError, match="ClassBalanced needs counts"):
        ClassBalanced()
    for bad in ([0.0, 0.0], [3.0]):
        with pytest.raises(ValueError, match="counts must be at least two finite numbers"):
            LogitAdjusted(counts=bad)
    with pytest.raises(TypeError, match="counts must be several numbers"):
        LogitAdjusted(counts=[[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"counts must be in \[0, inf\), got inf"):
        LogitAdjusted(counts=[1.0, math.inf])
    input, target = classes_batch()
    for loss in (
        BalancedSoftmax(counts=[1.0, 2.0]),
        ClassBalanced(counts=[1.0, 2.0]),
        CrossEntropy(class_weight=[1.0, 2.0]),
        Focal(alpha=[1.0, 2.0]),
    ):
        with pytest.raises(ValueError, match=r"has shape \(2,\) but input of shape \(12, 4\)"):
            loss(input, target)
    with pytest.raises(TypeError, match=r"integer classes, got torch\.float64"):
        CrossEntropy()(input, target.double())
