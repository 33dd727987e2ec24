"""`loss.compile()`: value and gradients of one graph, the same as without it."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from lossmith import CLIP, MSE, AdaptiveBarron, CrossEntropy, Huber, ListNet, find
from lossmith.core import Linear, Loss, Progress
from lossmith.testing.cases import Case


class Graphs:
    """A backend that counts the graphs it is given."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, graph: Any, inputs: Any) -> Any:
        from torch._dynamo.backends.debugging import aot_eager

        self.seen += 1
        return aot_eager(graph, inputs)


def outcome(loss: Loss, *batch: Any, **given: Any) -> list[Tensor]:
    value = loss(*batch, **given)
    return [value, *torch.autograd.grad(2 * value, [batch[0], *loss.parameters()])]


def compiled(loss: Loss) -> tuple[Loss, Graphs]:
    torch._dynamo.reset()
    graphs, other = Graphs(), copy.deepcopy(loss)
    other.compile(backend=graphs)
    return other, graphs


def agree(loss: Loss, *batch: Any, **given: Any) -> None:
    other, graphs = compiled(loss)
    first = outcome(other, *batch, **given)
    traced = graphs.seen
    again = outcome(other, *batch, **given)
    assert graphs.seen == traced > 0
    for plain, *both in zip(outcome(loss, *batch, **given), first, again, strict=True):
        for mine in both:
            assert mine.dtype == plain.dtype
            assert torch.allclose(mine, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("key", ["mse", "binary_focal", "gaussian_nll", "focal", "barron", "corn"])
def test_one_graph_equals_the_plain_loss(key: str) -> None:
    kind = find()[key]
    case = Case(kind(**kind.card.example.arguments))
    input, target = case.batch(dtype=torch.float32)
    agree(case.loss, input.requires_grad_(), target)


def test_weights_ignored_rows_learned_numbers_and_denominators() -> None:
    input, target = torch.randn(4, 3, requires_grad=True), torch.tensor([0, 2, -100, 1])
    agree(CrossEntropy(classes=3, class_weight=[1.0, 2.0, 3.0]), input, target)
    agree(MSE(), input, torch.zeros(4, 3), weight=torch.tensor([1.0, 0.0, 2.0, 3.0]))
    agree(Huber(), input, torch.zeros(4, 3), denominator=torch.tensor(3.0))
    agree(AdaptiveBarron(), input, torch.zeros(4, 3))
    agree(MSE(), input.detach().bfloat16().requires_grad_(), torch.zeros(4, 3))


def test_schedules_compile_nothing_again() -> None:
    loss, graphs = compiled(Huber(delta=Linear(3.0, 1.0)))
    input = torch.tensor([2.0, 2.0], requires_grad=True)
    values, traced = [], []
    for step in range(3):
        loss.observe(Progress(step=step, total=2))
        values.append(loss(input, torch.zeros(2)).item())
        traced.append(graphs.seen)
    assert values == [2.0, 2.0, 1.5]
    assert traced == traced[:1] * 3


def test_other_uses_of_a_compiled_loss() -> None:
    loss, _ = compiled(Huber())
    input = torch.randn(5, dtype=torch.float64, requires_grad=True)
    target = torch.zeros(5, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(loss(input, target), Huber()(input, target))
    assert torch.autograd.gradgradcheck(lambda x: loss(x, target), input)
    rows = torch.randn(3, 5)
    one = torch.func.vmap(torch.func.grad(lambda x: loss(x, target)))(rows)
    assert torch.allclose(one, torch.stack([torch.func.grad(Huber())(x, target) for x in rows]))
    copied = copy.deepcopy(loss)
    assert torch.allclose(copied(input, target), loss(input, target))


@pytest.mark.parametrize("loss", [CLIP(), ListNet(), 0.5 * MSE() + Huber()], ids=repr)
def test_losses_of_whole_batches_compile_as_modules_do(loss: Loss) -> None:
    batch = torch.randn(4, 3, requires_grad=True), torch.rand(4, 3)
    other, _ = compiled(loss)
    for mine, theirs in zip(outcome(other, *batch), outcome(loss, *batch), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_hooks_of_a_compiled_loss_are_called() -> None:
    loss, seen = Huber(), []
    loss.compile(backend="eager")
    loss.register_forward_hook(lambda module, given, value: seen.append(value.item()))
    value = loss(torch.tensor([3.0], requires_grad=True), torch.zeros(1))
    assert seen == [value.item()]
