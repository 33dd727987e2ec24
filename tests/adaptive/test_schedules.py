"""Schedules: numbers as functions of progress, data that pickles and reads back."""

import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lossmith import (
    MAE,
    MSE,
    Constant,
    Cosine,
    CrossEntropy,
    Exponential,
    Huber,
    Linear,
    Loss,
    LossScheduler,
    Piecewise,
    Plateau,
    Progress,
    Schedule,
    Step,
    WarmUp,
    When,
    load,
    switch,
)
from lossmith.catalogue import find
from lossmith.core.schedule import schedule_of
from lossmith.testing.cases import Case

ALL = [
    Constant(0.3),
    Linear(3.0, 0.3),
    Cosine(1.0, 0.1, begin=2, until=7, by="epoch"),
    Exponential(1.0, 0.01),
    Step(1.0, factor=0.5, every=10),
    Step(1.0, factor=0.5, every=10, limit=0.1),
    Piecewise(((0.0, 1.0), (0.5, 3.0)), hold=True),
    WarmUp(Linear(1.0, 0.5), until=0.1),
    When("accuracy", above=0.9, before=1.0, after=0.5),
    Plateau("loss", start=1.0, factor=0.5, patience=2),
]


@pytest.mark.parametrize("schedule", ALL, ids=lambda one: type(one).__name__)
def test_a_schedule_is_data(schedule: Schedule) -> None:
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert schedule_of(schedule.to_dict()) == schedule


@pytest.mark.parametrize("kind", [Linear, Cosine, Exponential])
@given(st.integers(0, 200))
def test_ramps_stay_between_their_ends_and_reach_them(kind: type, step: int) -> None:
    ramp = kind(2.0, 0.5, begin=0.25, until=0.75)
    value = ramp(Progress(step=step, total=200))
    assert 0.5 <= value <= 2.0
    if step <= 50:
        assert value == 2.0
    if step >= 150:
        assert value == pytest.approx(0.5)


def test_warm_up_meets_the_schedule_it_leads_to() -> None:
    then = Linear(1.0, 0.0)
    warm = WarmUp(then, until=0.1)
    assert warm(Progress(step=0, total=100)) == 0.0
    for step in (10, 50, 100):
        at = Progress(step=step, total=100)
        assert warm(at) == then(at)


def test_plateau_follows_torchs_rule() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    ours = Plateau("loss", start=1.0, factor=0.5, patience=2)
    memory = ours.initial_state()
    source = torch.Generator().manual_seed(0)
    for step in range(1, 60):
        loss = 1 / step + 0.2 * torch.rand((), generator=source).item()
        theirs.step(loss)
        value, memory = ours.step(Progress(step=step, signals={"loss": loss}), memory)
        assert value == pytest.approx(optimizer.param_groups[0]["lr"])


def test_a_scheduled_hyperparameter_moves_and_stays_in_range() -> None:
    loss = Huber(delta=Linear(3.0, 1.0))
    clock = LossScheduler(loss, total_steps=4)
    seen = [loss.delta.item()]
    for _ in range(4):
        clock.step()
        seen.append(loss.delta.item())
    assert seen == [3.0, 2.5, 2.0, 1.5, 1.0]
    with pytest.raises(ValueError, match=r"delta must be in \(0, inf\)"):
        Huber(delta=Linear(1.0, 0.0))


REAL = [
    (kind, name)
    for kind in find().values()
    for name, hyper in kind.hyperparameters.items()
    if isinstance(hyper.default, float)
]


@pytest.mark.parametrize(("kind", "name"), REAL, ids=lambda one: getattr(one, "__name__", one))
def test_every_real_hyperparameter_takes_a_schedule(kind: type[Loss], name: str) -> None:
    hyper, given = kind.hyperparameters[name], dict(kind.card.example.arguments)
    moving = {**given, name: Constant(given.get(name, hyper.default))}
    if getattr(hyper, "static", False):
        with pytest.raises(TypeError, match=f"{name} must be a plain value"):
            kind(**moving)
        return
    plain, loss = kind(**given), kind(**moving)
    batch = Case(plain).batch()
    assert torch.equal(loss(*batch), plain(*batch))


def test_a_schedule_is_saved_with_its_loss(tmp_path) -> None:
    loss = Huber(delta=WarmUp(Cosine(3.0, 1.0), until=0.5, start=0.1))
    loss.save(tmp_path / "loss.json")
    assert load(tmp_path / "loss.json").config() == loss.config()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Huber(delta=Linear(0.1, 3.0)),
        lambda: Huber(delta=When("accuracy", above=0.5, before=0.1, after=2.0)),
        lambda: switch(MAE(), MSE(), at=0.5),
    ],
    ids=["schedule", "trigger", "switch"],
)
def test_where_a_schedule_stands_is_saved_too(make, tmp_path) -> None:
    loss, (x, y) = make(), (torch.tensor([5.0, -1.0]), torch.zeros(2))
    clock = LossScheduler(loss, total_steps=10)
    for _ in range(8):
        clock.step(accuracy=0.9)
    loss.save(tmp_path / "loss.json")
    assert load(tmp_path / "loss.json")(x, y) == loss(x, y) != make()(x, y)


def test_one_compilation_over_a_whole_schedule() -> None:
    torch._dynamo.reset()
    loss = switch(Huber(delta=Exponential(3.0, 0.1)), MSE(), at=0.5)
    clock = LossScheduler(loss, total_steps=20)
    count = 0

    def backend(graph, inputs):
        nonlocal count
        count += 1
        return graph.forward

    compiled = torch.compile(loss, backend=backend, fullgraph=True)
    input, target = torch.linspace(-3, 3, 8), torch.zeros(8)
    values = []
    for _ in range(20):
        clock.step()
        values.append(compiled(input, target).item())
        assert values[-1] == loss(input, target).item()
    assert count == 1
    assert len(set(values)) == 10


def test_positions_are_absolute() -> None:
    loss = switch(MAE(), MSE(), at=Plateau("v", patience=0))
    loss.observe(Progress(step=1, signals={"v": 1.0}))
    for _ in range(3):  # accumulation and evaluation in between: the same step again
        loss.observe(Progress(step=2, signals={"v": 0.5}))
    assert loss.weighting.weights() == {"mae": 1.0, "mse": 0.0}
    loss.observe(Progress(step=3, signals={"v": 0.5}))
    assert loss.weighting.weights() == {"mae": 0.0, "mse": 1.0}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(1.0, 0.0, until=5, by="minute"), "by 'fraction', 'step' or 'epoch'"),
        (lambda: Linear(1.0, 0.0, by="step"), "needs until"),
        (lambda: Linear(1.0, 0.0, begin=0.5, until=0.5), "begin must be before until"),
        (lambda: Exponential(1.0, 0.0), "must be positive"),
        (lambda: Piecewise(((0.5, 1.0), (0.2, 2.0))), "ascend"),
        (lambda: When("a"), "above or below"),
        (lambda: Plateau("a", factor=1.0), "factor must be in"),
        (lambda: LossScheduler(Huber(delta=Linear(2.0, 1.0))), "give total_steps"),
        (lambda: LossScheduler(torch.nn.Linear(1, 1)), "holds no lossmith loss"),
    ],
)
def test_mistakes_are_clear(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_signal_that_never_comes_is_an_error() -> None:
    clock = LossScheduler(switch(MAE(), MSE(), at=When("accuracy", above=0.9)), total_steps=10)
    for _ in range(5):
        clock.step()
    with pytest.raises(ValueError, match=r"waits for the signal accuracy"):
        clock.step()


def test_exponential_is_geometric() -> None:
    at = Exponential(1.0, 1e-4)
    assert math.isclose(at(Progress(step=1, total=4)), 0.1)


def test_a_step_stops_at_its_limit_and_so_fits_a_positive_hyperparameter() -> None:
    falling = Step(1.0, factor=0.5, every=10, limit=0.1)
    assert [falling(Progress(step=step)) for step in (0, 9, 10, 39, 10**6)] == [
        1.0, 1.0, 0.5, 0.125, 0.1,
    ]  # fmt: skip
    assert Step(0.5, factor=2.0, every=1, limit=3.0)(Progress(step=10**6)) == 3.0
    assert Huber(delta=falling).delta.item() == 1.0
    with pytest.raises(ValueError, match=r"got 0\.0, which the schedule step 1 to 0 reaches"):
        Huber(delta=Step(1.0, factor=0.5, every=10))
    with pytest.raises(ValueError, match="got inf"):
        CrossEntropy(label_smoothing=Step(0.1, factor=2.0, every=10))
    with pytest.raises(ValueError, match="moves away from the limit 2"):
        Step(1.0, factor=0.5, every=10, limit=2.0)
