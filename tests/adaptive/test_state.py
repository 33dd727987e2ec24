"""State that training writes, of every loss whose card has some: resumed bit for bit."""

import copy
import io
from typing import Any

import pytest
import torch
from torch import Tensor

from lossmith import Loss, LossScheduler, Progress
from lossmith.catalogue import find
from lossmith.core.adaptive import Adaptive
from lossmith.testing.cases import Case, example

STEPS = 9
STATEFUL = {
    key: kind
    for key, kind in find().items()
    if kind.card.required_signals or kind.observe_self is not Adaptive.observe_self
}


def signal(name: str, input: Any, target: Any) -> Tensor:
    """What a step brings under a name: a part of the batch."""
    for part in (input, target):
        if isinstance(part, dict) and name in part:
            return part[name]
    if name == "teacher_patches":
        return target["teacher"]
    return input if name in ("input", "logits") else target


class Training:
    """The course of a loss over batches of its card's kind, which can be stopped anywhere."""

    def __init__(self, kind: type[Loss]) -> None:
        self.loss = example(kind).double()
        self.case = Case(self.loss)
        optimizer = None
        if kind.card.learns:
            optimizer = torch.optim.SGD(self.loss.parameters(), lr=0.0)
        self.clock = LossScheduler(
            self.loss, total_steps=STEPS, steps_per_epoch=3, optimizer=optimizer
        )

    def step(self, index: int) -> float:
        batch = self.case.batch(seed=index)
        value: Tensor = self.loss(*batch)
        self.clock.step(**{name: signal(name, *batch) for name in self.clock.required_signals})
        return value.item()


def stored(state: dict[str, Any]) -> dict[str, Any]:
    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


@pytest.mark.parametrize("key", STATEFUL)
def test_resume_is_bit_equal_at_any_step(key: str) -> None:
    whole = Training(STATEFUL[key])
    values, states = [], []
    for index in range(STEPS):
        states.append(stored(whole.clock.state_dict()))
        values.append(whole.step(index))
    for stop in (1, 4, 6):
        resumed = Training(STATEFUL[key])
        resumed.clock.load_state_dict(states[stop])
        assert [resumed.step(index) for index in range(stop, STEPS)] == values[stop:]
        for name, tensor in whole.loss.state_dict().items():
            assert torch.equal(resumed.loss.state_dict()[name], tensor), name


@pytest.mark.parametrize("key", STATEFUL)
def test_state_moves_by_steps_alone(key: str) -> None:
    training = Training(STATEFUL[key])
    start = copy.deepcopy(training.loss.state_dict())
    for index in range(4):
        training.step(index)
    before = copy.deepcopy(training.loss.state_dict())
    moved = [name for name in before if not torch.equal(before[name], start[name])]
    assert set(moved) - {"observed"}, "nothing that was observed is kept"
    batch = training.case.batch(seed=7)
    with torch.no_grad():
        training.loss.eval()(*batch)
        training.loss.train()(*batch)
    signals = {name: signal(name, *batch) for name in training.clock.required_signals}
    again = Progress(step=4, total=STEPS, epoch=1, signals=signals)
    training.loss.observe(again)
    for name, tensor in before.items():
        assert torch.equal(training.loss.state_dict()[name], tensor), name


@pytest.mark.parametrize("key", STATEFUL)
def test_a_loss_is_saved_with_its_state(key: str) -> None:
    training = Training(STATEFUL[key])
    for index in range(4):
        training.step(index)
    twin = copy.deepcopy(training.loss)
    fresh = example(STATEFUL[key]).double()
    fresh.load_state_dict(stored(training.loss.state_dict()))
    batch = training.case.batch(seed=7)
    assert torch.equal(twin(*batch), training.loss(*batch))
    assert torch.equal(fresh(*batch), training.loss(*batch))
