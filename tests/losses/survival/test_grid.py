"""Censored times on a grid: each loss is its definition, row by row, and adds up to 1."""

import math

import pytest
import torch
from torch import Tensor

from lossmith import MTLR, PMF, BCESurv, DeepHit, LogisticHazard, PCHazard, find

TIMES = [1.0, 2.5, 4.0]
TIME = torch.tensor([0.0, 0.3, 1.0, 1.0, 2.0, 2.5, 3.9, 4.0, 9.0, 9.0], dtype=torch.float64)
EVENT = torch.tensor([0, 1, 1, 0, 0, 1, 1, 0, 1, 0])
TARGET = {"time": TIME, "event": EVENT}
HEAD = torch.randn(10, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LIKELIHOODS = [LogisticHazard, MTLR, DeepHit, PCHazard, PMF]
GRIDS = [*LIKELIHOODS, BCESurv]
MASSES = [kind(times=TIMES) for kind in (LogisticHazard, MTLR, PMF)]
MASSES.append(DeepHit(times=TIMES, alpha=0.0))


def ended_in(row: int) -> int | None:
    """Return the interval of a row's event, None where it has none on the grid."""
    inside = [k for k, end in enumerate(TIMES) if TIME[row] <= end]
    return inside[0] if EVENT[row] and inside else None


def outlived(row: int) -> int:
    """Return how many intervals a row is known to have survived."""
    return sum(TIME[row] > end or (TIME[row] == end and not EVENT[row]) for end in TIMES)


def logistic_hazard(head: Tensor, row: int) -> float:
    value, k = 0.0, ended_in(row)
    for survived in range(outlived(row)):
        value -= math.log(1 - head[survived].sigmoid().item())
    return value if k is None else value - math.log(head[k].sigmoid().item())


def of_masses(logits: list[float], row: int) -> float:
    masses, k = [math.exp(one) for one in logits], ended_in(row)
    possible = masses[outlived(row) :] if k is None else [masses[k]]
    return -math.log(sum(possible) / sum(masses))


def mtlr(head: Tensor, row: int) -> float:
    return of_masses([head[k:].sum().item() for k in range(4)], row)


def pmf(head: Tensor, row: int) -> float:
    return of_masses([*head.tolist(), 0.0], row)


def bce_surv(head: Tensor, row: int) -> float:
    value, survives = 0.0, head.sigmoid().tolist()
    for k in range(3):
        if k < outlived(row):
            value -= math.log(survives[k])
        elif EVENT[row]:
            value -= math.log(1 - survives[k])
    return value


def pc_hazard(head: Tensor, row: int) -> float:
    hazards, value, k = head.exp().log1p().tolist(), 0.0, ended_in(row)
    for hazard, start, end in zip(hazards, [0.0, *TIMES], TIMES, strict=False):
        value += hazard * min(max((TIME[row].item() - start) / (end - start), 0.0), 1.0)
    return value if k is None else value - math.log(hazards[k])


@pytest.mark.parametrize("definition", [logistic_hazard, mtlr, pc_hazard, pmf, bce_surv])
def test_it_is_its_definition(definition: object) -> None:
    loss = find()[definition.__name__](times=TIMES)
    expected = [definition(HEAD[row], row) for row in range(len(HEAD))]
    assert loss.values(HEAD, TARGET).tolist() == pytest.approx(expected)


def test_deep_hit_is_its_definition() -> None:
    until = HEAD.exp().cumsum(1) / (HEAD.exp().sum(1, keepdim=True) + 1)
    expected = []
    for i in range(10):
        value, k = of_masses([*HEAD[i].tolist(), 0.0], i), ended_in(i)
        for j in range(10) if k is not None else ():
            if outlived(j) > k:
                value += 0.5 * math.exp(-(until[i, k] - until[j, k]) / 0.2) / 10
        expected.append(value)
    loss = DeepHit(times=TIMES, alpha=0.5, sigma=0.2)
    assert loss.values(HEAD, TARGET).tolist() == pytest.approx(expected)
    own = slice(3, 7)
    assert loss.values(HEAD, TARGET, own).tolist() == pytest.approx(expected[own])


@pytest.mark.parametrize("loss", MASSES, ids=repr)
def test_masses_of_all_outcomes_add_up_to_1_and_are_steps_of_the_curve(loss: object) -> None:
    time, event = torch.tensor([0.5, 1.5, 4.0, 4.0]), torch.tensor([1, 1, 1, 0])
    head = HEAD[:1].expand(4, 3)
    masses = (-loss.values(head, {"time": time, "event": event})).exp()
    assert masses.sum().item() == pytest.approx(1)
    assert torch.allclose(1 - masses[:3].cumsum(0), loss.decode(head[:1])[0])


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_the_curve_is_the_likelihood_of_being_censored_at_each_end(kind: type) -> None:
    loss, ends = kind(times=TIMES), torch.tensor(TIMES, dtype=torch.float64)
    censored = {"time": ends, "event": torch.zeros(3)}
    likelihood = (-loss.values(HEAD[:1].expand(3, 3), censored)).exp()
    assert torch.allclose(likelihood, loss.decode(HEAD[:1])[0])


@pytest.mark.parametrize("kind", GRIDS)
def test_survival_meets_the_curve_at_its_ends_and_lies_between(kind: type) -> None:
    loss = kind(times=TIMES)
    curve = loss.decode(HEAD)
    for k, end in enumerate(TIMES):
        at_end = loss.survival(HEAD, torch.full((10,), end, dtype=torch.float64))
        assert torch.allclose(at_end, curve[:, k])
    beyond = loss.survival(HEAD, torch.full((10,), 99.0))
    assert torch.allclose(beyond, curve[:, -1])
    assert torch.allclose(loss.survival(HEAD, torch.zeros(10)), torch.ones(()).double())
    between = loss.survival(HEAD, torch.full((10,), 1.75, dtype=torch.float64))
    first, second = curve[:, 0], curve[:, 1]
    middle = (first * second).sqrt() if kind is PCHazard else (first + second) / 2
    assert torch.allclose(between, middle)


def test_the_best_constant_hazards_are_kaplan_meier() -> None:
    time = torch.tensor([1.0, 1.0, 1.0, 2.5, 2.5, 4.0, 4.0, 4.0], dtype=torch.float64)
    event = torch.tensor([1, 1, 0, 1, 0, 1, 0, 0])
    hazard = torch.tensor([2 / 8, 1 / 5, 1 / 3], dtype=torch.float64)  # events of those at risk
    head = hazard.logit().requires_grad_()
    loss = LogisticHazard(times=TIMES)
    value = loss(head.expand(8, 3), {"time": time, "event": event})
    (slope,) = torch.autograd.grad(value, head)
    assert slope.abs().max() < 1e-12
    assert torch.allclose(loss.decode(head), (1 - hazard).cumprod(0))


@pytest.mark.parametrize("kind", GRIDS)
def test_what_lies_beyond_the_grid_is_censored_at_its_end(kind: type) -> None:
    loss, head = kind(times=TIMES), HEAD[:2]
    late = {"time": torch.tensor([5.0, 1e9]), "event": torch.tensor([1, 0])}
    at_end = {"time": torch.tensor([4.0, 4.0]), "event": torch.tensor([0, 0])}
    assert torch.equal(loss(head, late), loss(head, at_end))


@pytest.mark.parametrize("kind", GRIDS)
def test_a_time_on_an_end_stays_there_in_float32(kind: type) -> None:
    loss, head = kind(times=[0.1, 0.7]), HEAD[:2, :2]
    exact = torch.tensor([0.1, 0.7], dtype=torch.float64)
    for event in (0, 1):
        given = [{"time": t, "event": torch.full((2,), event)} for t in (exact, exact.float())]
        assert torch.allclose(loss(head, given[0]), loss(head, given[1]), rtol=1e-6)


def test_the_right_order_costs_less() -> None:
    loss, target = DeepHit(times=TIMES), {"time": TIME[[1, 7]], "event": EVENT[[1, 7]]}
    early, late = torch.tensor([4.0, 0.0, 0.0]), torch.tensor([-4.0, 0.0, 0.0])
    right = loss(torch.stack([early, late]), target)
    assert (
        right < loss(torch.stack([late, late]), target) < loss(torch.stack([late, early]), target)
    )


@pytest.mark.parametrize("kind", GRIDS)
def test_the_grid_is_fitted_to_quantiles_of_events(kind: type) -> None:
    time = torch.cat([torch.arange(1.0, 102.0), torch.full((50,), 1e6)])
    target = {"time": time, "event": (time < 1e6).long()}
    assert kind.for_target(target).times.tolist() == pytest.approx(list(range(11, 102, 10)))
    assert kind.for_target(target, intervals=2).out_features == 2
    assert kind.for_target(target, times=TIMES).times.tolist() == TIMES
    tied = {"time": torch.tensor([1.0, 1.0, 1.0, 1.0, 2.0]), "event": torch.ones(5)}
    assert kind.for_target(tied, intervals=4).times.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("kind", GRIDS)
def test_a_grid_that_is_none_is_refused(kind: type) -> None:
    for times in ([1.0], 2.0, [2.0, 1.0], [1.0, 1.0], [0.0, 1.0], []):
        with pytest.raises((TypeError, ValueError), match="times must be"):
            kind(times=times)
    with pytest.raises(ValueError, match="target holds no event"):
        kind.for_target({"time": torch.ones(3), "event": torch.zeros(3)})
    with pytest.raises(TypeError, match="target must be"):
        kind.for_target(torch.ones(3))
    with pytest.raises(ValueError, match="times must be two or more increasing numbers"):
        kind.for_target({"time": torch.ones(3), "event": torch.ones(3)})


@pytest.mark.parametrize("kind", GRIDS)
def test_a_time_before_the_start_is_refused(kind: type) -> None:
    with pytest.raises(ValueError, match="time holds negative numbers"):
        kind(times=TIMES)(HEAD[:1], {"time": torch.tensor([-1.0]), "event": torch.ones(1)})
