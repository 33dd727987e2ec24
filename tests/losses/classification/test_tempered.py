"""Sparse and tempered softmaxes and LDAM: limits, kinship, exact zeros."""

import pytest
import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core import LossScheduler, Piecewise
from lossmith.losses import LDAM, BiTempered, Brier, ClassBalanced, CrossEntropy, Entmax, Sparsemax

COUNTS = [50.0, 20.0, 5.0, 1.0]


def batch(rows: int = 8, classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(12)
    input = 2 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    return input, torch.randint(classes, (rows,), generator=generator)


def slope(loss: torch.nn.Module, input: Tensor, target: Tensor) -> Tensor:
    leaf = input.clone().requires_grad_()
    return torch.autograd.grad(loss(leaf, target) * len(input), leaf)[0]


@pytest.mark.parametrize("loss", [Sparsemax(), Entmax(), Entmax(alpha=1.9), CrossEntropy()])
def test_the_gradient_is_prediction_less_label(loss: CrossEntropy) -> None:
    input, target = batch()
    label = torch.nn.functional.one_hot(target, 4).double()
    torch.testing.assert_close(slope(loss, input, target), loss.decode(input) - label)


def test_entmax_lies_between_softmax_and_sparsemax() -> None:
    input, target = batch()
    for alpha, end in ((1 + 1e-6, CrossEntropy()), (2 - 1e-6, Sparsemax())):
        near = Entmax(alpha=alpha)
        torch.testing.assert_close(near(input, target), end(input, target), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(near.decode(input), end.decode(input), rtol=1e-4, atol=1e-5)


def test_sparse_losses_vanish_beyond_their_margin_and_give_zeros() -> None:
    target = torch.tensor([0])
    for loss, margin in ((Sparsemax(), 1.0), (Entmax(), 2.0)):
        far = torch.tensor([[margin + 0.1, 0.0, -1.0]])
        assert loss(far, target) == pytest.approx(0, abs=1e-6)
        assert torch.equal(loss.decode(far), torch.tensor([[1.0, 0.0, 0.0]]))
        assert loss(far - torch.tensor([0.2, 0.0, 0.0]), target) > 1e-5


def test_temperatures_of_one_are_cross_entropy() -> None:
    input, target = batch()
    near = BiTempered(t1=1 - 1e-7, t2=1 + 1e-7)
    torch.testing.assert_close(
        near(input, target), CrossEntropy()(input, target), rtol=1e-5, atol=0
    )


def test_bi_tempered_near_zero_and_one_is_half_the_squared_error() -> None:
    """t1 = 0 makes the Bregman divergence the squared distance, halved."""
    input, target = batch()
    near = BiTempered(t1=1e-9, t2=1 + 1e-9)
    torch.testing.assert_close(near(input, target), Brier()(input, target) / 2)


@pytest.mark.parametrize("t", [0.05, 0.5, 0.99, 1.01, 2.0, 4.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_tempered_probabilities_sum_to_one(t: float, scale: float) -> None:
    generator = torch.Generator().manual_seed(3)
    x = scale * torch.randn(20, 300, generator=generator, dtype=torch.float64)
    top = x.amax(1, keepdim=True)
    p = F.tempered_softmax(x, t=t)
    torch.testing.assert_close(p.sum(1), torch.ones(20, dtype=torch.float64))
    ratio = p.log() if t == 1 else (p ** (1 - t) - 1) / (1 - t)  # log_t p differs as x does
    held = p > 1e-200
    gap = (ratio - ratio.gather(1, x.argmax(1, keepdim=True))) - (x - top)
    assert (gap[held].abs() <= 1e-7 * (1 + (x - top)[held].abs())).all()


def test_ldam_without_margins_is_scaled_cross_entropy() -> None:
    input, target = batch()
    plain = LDAM(counts=COUNTS, max_m=0.0, s=3.0)
    torch.testing.assert_close(plain(input, target), CrossEntropy()(3 * input, target))


def test_ldam_defers_its_class_weights_by_a_schedule() -> None:
    input, target = batch()
    late = Piecewise(((0.0, 0.0), (0.8, 0.99)), hold=True)
    loss = LDAM(counts=COUNTS, beta=late, max_m=0.0, s=1.0)
    clock = LossScheduler(loss, total_steps=10)
    torch.testing.assert_close(loss(input, target), CrossEntropy()(input, target))
    for _ in range(8):
        clock.step()
    balanced = ClassBalanced(counts=COUNTS, beta=0.99)
    torch.testing.assert_close(loss(input, target), balanced(input, target))
