"""MultiTargetLoss of several targets: a hybrid on named parts, whose weights learn in a batch."""

import copy

import numpy as np
import torch
from torch import Tensor, nn

import lossmith
from lossmith.losses import MAE, CrossEntropy
from lossmith.study.multitarget.heads import MultiTargetLoss
from lossmith.study.training.budget import Budget, TrialSpec
from lossmith.study.training.heads import AS_DECODED, read
from lossmith.study.training.piecewise import PiecewiseLinear
from lossmith.study.training.stacked import WEIGHT_DECAY, Rows, StackedBatch


def heads(*, learned: bool) -> MultiTargetLoss:
    weighting = lossmith.Uncertainty() if learned else lossmith.Fixed({"a": 0.3})
    hybrid = lossmith.Hybrid(a=MAE(), b=CrossEntropy(classes=3), weighting=weighting)
    return MultiTargetLoss(hybrid, (False, True))


def test_heads_are_the_hybrid_on_named_parts() -> None:
    torch.manual_seed(0)
    loss, output = heads(learned=False), torch.randn(7, 4)
    target = torch.stack([torch.randn(7).double(), (torch.arange(7) % 3).double()], 1)
    named = loss.hybrid(
        {"a": output[:, 0], "b": output[:, 1:]}, {"a": target[:, 0], "b": target[:, 1].long()}
    )
    torch.testing.assert_close(loss(output, target), named)
    predicted = read(loss, output, [AS_DECODED] * 2)
    assert [part.shape for part in predicted] == [(7,), (7, 3)]
    np.testing.assert_allclose(predicted[1], output[:, 1:].softmax(-1), rtol=1e-6)


ROWS, BATCH, EPOCHS, SEEDS = 21, 8, 4, (3, 11)


def rows_of_both() -> Rows:
    generator = torch.Generator().manual_seed(0)
    codes = (torch.arange(ROWS) % 3).double()
    train = [
        (
            torch.randn(ROWS, 5, generator=generator),
            torch.stack([torch.randn(ROWS, generator=generator).double(), codes], dim=1),
        )
        for _ in SEEDS
    ]
    return Rows(train, [torch.randn(6, 5, generator=generator) for _ in SEEDS], SEEDS)


def members(*names: str) -> list[TrialSpec]:
    losses = {"learned": heads(learned=True), "fixed": heads(learned=False)}
    return [
        TrialSpec(
            candidate=name,
            learning_rate=0.01,
            losses=tuple(copy.deepcopy(losses[name]) for _ in SEEDS),
        )
        for name in names
    ]


def log_variances(one: TrialSpec) -> Tensor:
    return torch.stack([loss.hybrid.weighting.log_variance.detach() for loss in one.losses])  # type: ignore


def test_learned_weights_in_a_fleet_are_those_of_the_ordinary_loop() -> None:
    data, (one,) = rows_of_both(), members("learned")
    start = StackedBatch(data, members("learned"), Budget(epochs=EPOCHS, batch=BATCH))
    body = start.stacks[0].model
    batch = StackedBatch(data, [one], Budget(epochs=EPOCHS, batch=BATCH))
    batch.advance(EPOCHS)
    for fold in range(len(SEEDS)):
        loss, layers = heads(learned=True), []
        for weight, bias in (
            (body.w1[fold, :, 0], body.b1[fold, 0, 0]),
            (body.w2[fold, 0], body.b2[fold, 0, 0]),
            (body.heads[0][fold, 0], body.biases[0][fold, 0, 0]),
        ):
            linear = nn.Linear(*weight.shape)
            linear.weight.data = weight.detach().T.clone()
            linear.bias.data = bias.detach().clone()
            layers += [linear, nn.SiLU()]
        model = nn.Sequential(PiecewiseLinear.of(data.features[[fold]]), *layers[:-1])
        groups = lossmith.parameter_groups(model, loss, weight_decay=WEIGHT_DECAY)
        optimizer, order = torch.optim.AdamW(groups, lr=0.01), torch.Generator()
        order.manual_seed(SEEDS[fold])
        for _ in range(EPOCHS):
            shuffled = torch.randperm(ROWS, generator=order)
            for index in shuffled[: ROWS // BATCH * BATCH].split(BATCH):
                optimizer.zero_grad()
                loss(model(data.features[fold, index]), data.target[fold, index]).backward()
                optimizer.step()
        expected = loss.hybrid.weighting.log_variance.detach()  # type: ignore[union-attr]
        torch.testing.assert_close(log_variances(one)[fold], expected, rtol=1e-4, atol=1e-6)


def test_members_that_leave_change_nothing_for_those_that_learn() -> None:
    data, budget = rows_of_both(), Budget(epochs=EPOCHS, batch=BATCH)
    with_others, alone = members("fixed", "learned"), members("learned")
    batch = StackedBatch(data, with_others, budget)
    batch.advance(2)
    batch.keep([[m.candidate for m in batch.trials].index("learned")])
    batch.advance(2)
    other = StackedBatch(data, alone, budget)
    other.advance(4)
    torch.testing.assert_close(log_variances(with_others[1]), log_variances(alone[0]))
    assert log_variances(alone[0]).abs().min() > 0
    for kept, single in zip(batch.outputs()[0], other.outputs()[0], strict=True):
        torch.testing.assert_close(kept, single)
