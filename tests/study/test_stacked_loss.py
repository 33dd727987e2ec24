"""Losses as one function equal each loss alone, values and gradients, for the whole catalogue."""

from typing import Any

import pytest
import torch
from torch import Tensor

from lossmith.catalogue import find
from lossmith.core.loss import Loss
from lossmith.losses import MSE, Huber, Quantile, TransformedTarget
from lossmith.study.tasks import TABLE_TASKS
from lossmith.study.training.stacked_loss import stack_key, stacked_loss, structure

FOLDS, MEMBERS, ROWS, CLASSES = 2, 3, 12, 4
CATALOGUE = [
    (task, key)
    for task in TABLE_TASKS
    for key, kind in find(task).items()
    if kind is TransformedTarget  # the one wrapper that a study puts round its candidates
    or (
        kind.card.trains_head
        and kind.card.studied
        and not kind.card.required_signals
        and "loss" not in kind.hyperparameters
    )
]


def targets(task: str) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    if task == "regression":
        return torch.randn(FOLDS, ROWS, generator=generator).double().exp()
    classes = 2 if task == "binary" else CLASSES
    found = torch.randint(classes, (FOLDS, ROWS), generator=generator)
    found[:, :classes] = torch.arange(classes)
    return found


def numbers(kind: type[Loss], place: int) -> dict[str, float]:
    """Return hyperparameters that differ by place, for those that are one real number."""
    found = {}
    for name, hyper in kind.hyperparameters.items():
        if isinstance(hyper.default, float):
            high = 1.0 if hyper.high is None else hyper.high - hyper.default
            found[name] = hyper.default + high * (place + 1) / 20
    return found


def fitted(kind: type[Loss], task: str, target: Tensor, place: int) -> Loss:
    hypers: dict[str, Any] = numbers(kind, place)
    if kind is TransformedTarget:
        return TransformedTarget(loss=Huber(delta=0.5 + place), **hypers)
    if kind.card.target == "classes":
        hypers["classes"] = 2 if task == "binary" else CLASSES
    return kind.for_target(target, **hypers)


def stack(task: str, key: str) -> tuple[list[list[Loss]], Tensor, Tensor]:
    target, kind = targets(task), find(task)[key]
    losses = [
        [fitted(kind, task, target[fold], 2 * member + fold) for fold in range(FOLDS)]
        for member in range(MEMBERS)
    ]
    width = losses[0][0].out_features
    shape = FOLDS, MEMBERS, ROWS, width
    output = 2 * torch.randn(shape, generator=torch.Generator().manual_seed(2))
    return losses, output.requires_grad_(), target


def alone(losses: list[list[Loss]], output: Tensor, target: Tensor) -> Tensor:
    single = output.squeeze(-1) if output.shape[-1] == 1 else output
    values = [
        losses[member][fold](single[fold, member], target[fold])
        for fold in range(FOLDS)
        for member in range(MEMBERS)
    ]
    return torch.stack(values)


def together(losses: list[list[Loss]], output: Tensor, target: Tensor) -> Tensor:
    assert len({stack_key(member) for member in losses}) == 1
    return stacked_loss(losses, target)(output, torch.arange(target.shape[1]).expand(FOLDS, -1))


def check_equal(losses: list[list[Loss]], output: Tensor, target: Tensor) -> None:
    """Check the sum of all models' losses, and by its gradients the loss of each."""
    sums = together(losses, output, target), alone(losses, output, target).sum()
    torch.testing.assert_close(*sums, check_dtype=False, rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad(total, output)[0] for total in sums]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("task", "key"), CATALOGUE)
def test_as_one_equals_each_alone(task: str, key: str) -> None:
    losses, output, target = stack(task, key)
    assert len({structure(loss) for member in losses for loss in member}) == 1
    assert len(set(alone(losses, output, target).tolist())) == FOLDS * MEMBERS
    check_equal(losses, output, target)


@pytest.mark.parametrize(("task", "key"), CATALOGUE)
def test_a_loss_that_is_the_same_in_every_cell_equals_each_alone(task: str, key: str) -> None:
    losses, output, target = stack(task, key)
    check_equal([[losses[0][0]] * FOLDS] * MEMBERS, output, target)


def test_cells_that_encode_targets_differently_share_one_call() -> None:
    class Counted(Huber):
        calls = 0

        def values(self, input: Tensor, target: Tensor) -> Tensor:
            Counted.calls += 1
            return super().values(input, target)

    target = targets("regression")
    fitted = [TransformedTarget.for_target(fold, loss=Counted()) for fold in target]
    output = torch.randn(FOLDS, MEMBERS, ROWS, 1, requires_grad=True)
    together([fitted] * MEMBERS, output, target)
    assert Counted.calls == 1


@pytest.mark.parametrize(("task", "key"), CATALOGUE)
def test_losses_are_left_as_they_were(task: str, key: str) -> None:
    losses, output, target = stack(task, key)
    everyone = [loss for member in losses for loss in member]
    before = [(loss.config(), dict(loss.named_buffers())) for loss in everyone]
    together(losses, output, target)
    for loss, (config, buffers) in zip(everyone, before, strict=True):
        assert loss.config() == config
        assert all(loss.get_buffer(name) is buffer for name, buffer in buffers.items())


def test_buffers_return_after_an_error() -> None:
    losses = [[Huber(delta=0.5), Huber(delta=2.0)]] * 2
    with pytest.raises(ValueError, match="shape"):
        stacked_loss(losses, torch.zeros(2, 4))(
            torch.zeros(2, 2, 3, 1), torch.arange(4).expand(2, -1)
        )
    assert losses[0][0].delta.item() == 0.5


def test_nested_losses_differ_in_cell_and_member() -> None:
    target = targets("regression")
    losses: list[list[Loss]] = [
        [
            TransformedTarget.for_target(
                target[fold], loss=Huber(delta=0.2 + member), function="log1p", relative=True
            )
            for fold in range(FOLDS)
        ]
        for member in range(MEMBERS)
    ]
    check_equal(losses, torch.randn(FOLDS, MEMBERS, ROWS, 1, requires_grad=True), target)


def test_a_loss_that_cannot_be_stacked_is_looped() -> None:
    class Slow(MSE):
        def values(self, input: Tensor, target: Tensor) -> Tensor:
            assert not torch._C._functorch.is_functorch_wrapped_tensor(input)
            return super().values(input, target)

    Slow.card = type(MSE.card)(**{**vars(MSE.card), "vmap": False})
    wrapped = [
        [TransformedTarget(Slow(), relative=True, floor=1.0 + m + 3 * c) for c in range(2)]
        for m in range(3)
    ]
    output = torch.randn(FOLDS, MEMBERS, ROWS, 1, requires_grad=True)
    check_equal(wrapped, output, targets("regression"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Huber(delta=0.1), Huber(delta=2.0), True),
        (Quantile(level=0.1), Quantile(level=[0.1, 0.9]), False),
        (TransformedTarget(MSE()), TransformedTarget(Huber()), False),
        (TransformedTarget(MSE()), TransformedTarget(MSE(), function="log1p"), False),
        (TransformedTarget(MSE()), TransformedTarget(MSE(), relative=True), False),
        (TransformedTarget(MSE(), scale=3.0), TransformedTarget(MSE(), center=1.0), True),
        (MSE(), Huber(), False),
    ],
)
def test_structure_is_all_but_the_numbers(one: Loss, other: Loss, same: bool) -> None:
    assert (structure(one) == structure(other)) is same
