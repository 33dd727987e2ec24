"""Losses on schedules race like any other: stacked or alone, they see the same progress."""

import copy

import torch

import lossmith
from lossmith import MAE, MSE, ClassBalanced, Huber, Linear, Piecewise, TransformedTarget, switch
from lossmith.study.training.budget import Budget, TrialSpec
from lossmith.study.training.stacked import Rows, StackedBatch
from lossmith.study.training.stacked_loss import structure

X = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
Y = X.sum(1)
ROWS = Rows([(X, Y)], [X], [0])
BUDGET = Budget(epochs=8, batch=16)


def outputs(*losses, epochs: int = 8) -> list[torch.Tensor]:
    members = [
        TrialSpec(candidate=str(i), learning_rate=0.01, losses=(loss,))
        for i, loss in enumerate(losses)
    ]
    batch = StackedBatch(ROWS, members, BUDGET)
    batch.advance(epochs)
    order = [int(member.candidate) for member in batch.trials]
    found = dict(zip(order, batch.outputs(), strict=True))
    return [found[i][0] for i in range(len(losses))]


def test_a_switch_is_its_first_loss_before_and_another_after() -> None:
    first, mixed = outputs(MAE(), switch(MAE(), MSE(), at=0.5), epochs=4)
    assert torch.allclose(first, mixed, atol=1e-6)
    first, mixed = outputs(MAE(), switch(MAE(), MSE(), at=0.5), epochs=8)
    assert not torch.allclose(first, mixed, atol=1e-4)


def test_a_schedule_moves_within_a_stack() -> None:
    moving = Huber(delta=Linear(0.1, 3.0))
    still, moved = outputs(Huber(delta=0.1), moving)
    assert moving.delta.item() > 2
    assert not torch.allclose(still, moved, atol=1e-4)
    beside = outputs(Huber(delta=Linear(0.1, 3.0)), Huber(delta=Linear(0.1, 3.0)))
    assert torch.allclose(beside[0], moved, atol=1e-5)


def test_structures_tell_hybrids_apart_and_numbers_alike() -> None:
    one, other = (switch(MAE(), MSE(), at=at) for at in (0.3, 0.6))
    assert structure(one) == structure(other)
    assert structure(one) != structure(switch(MAE(), Huber(), at=0.3))
    assert structure(Huber()) == structure(Huber(delta=Linear(0.1, 3.0)))


def test_a_schedule_survives_being_fitted_to_targets() -> None:
    wrapped = TransformedTarget.for_target(Y, loss=Huber(delta=Linear(0.1, 3.0)))
    wrapped.observe(BUDGET.progress(8))
    assert wrapped.loss.delta.item() == 3.0
    late = Piecewise(((0.0, 1e-6), (0.8, 0.999)), hold=True)
    loss = ClassBalanced.for_target(torch.tensor([0] * 90 + [1] * 10), beta=late)
    before = copy.deepcopy(loss)
    loss.observe(BUDGET.progress(7))
    logits, target = torch.zeros(2, 2), torch.tensor([0, 1])
    even = before.weights(target)
    assert torch.allclose(even[0], even[1], rtol=1e-3)
    assert loss.weights(target)[1] > 5 * loss.weights(target)[0]
    assert loss(logits, target).isfinite()


def test_a_loss_on_a_schedule_is_called_by_it() -> None:
    losses = [Huber(delta=Linear(3.0, 0.3)), Huber(delta=0.5), "huber"]
    study = lossmith.Study(None, metric="mae", target=torch.randn(40), losses=losses, epochs=1)
    names = ["huber(delta=linear 3 to 0.3)", "huber(delta=0.5)", "huber", "mae"]
    assert list(study.contenders) == names
