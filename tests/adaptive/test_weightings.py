"""Weightings: equal to their papers, resumed bit for bit, driven by what they declare."""

import copy
import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lossmith
from lossmith import (
    DWA,
    FAMO,
    IMTLL,
    MAE,
    MSE,
    CrossEntropy,
    Equal,
    Fixed,
    GeometricMean,
    GradNorm,
    Hybrid,
    Linear,
    Loss,
    LossScheduler,
    Progress,
    RandomWeights,
    ReLoBRaLo,
    SoftAdapt,
    Uncertainty,
    Weighting,
    gradient_norms,
    parameter_groups,
    surgery_backward,
)
from lossmith import weighting as kinds

ALL = [
    kind
    for name in kinds.__all__
    if isinstance(kind := getattr(kinds, name), type) and kind is not Weighting
]
X = torch.randn(32, 4, generator=torch.Generator().manual_seed(1))
Y = {"a": X.sum(1), "b": X[:, 0] * 3}


class Run:
    """A small training with two targets, which can be stopped anywhere and resumed."""

    def __init__(self, rule: Weighting, optimizer: Callable[..., Any] = torch.optim.Adam) -> None:
        torch.manual_seed(0)
        self.body, self.heads = nn.Linear(4, 8), nn.Linear(8, 2)
        self.loss = Hybrid(a=MSE(), b=MAE(), weighting=rule)
        model = nn.ModuleList([self.body, self.heads])
        self.optimizer = optimizer(parameter_groups(model, self.loss), lr=0.05)
        self.clock = LossScheduler(
            self.loss, total_steps=12, steps_per_epoch=3, optimizer=self.optimizer
        )

    def output(self, rows: slice) -> dict[str, Tensor]:
        out = self.heads(self.body(X[rows]).tanh())
        return {"a": out[:, 0], "b": out[:, 1]}

    def step(self, index: int) -> float:
        rows = slice(8 * (index % 4), 8 * (index % 4) + 8)
        target = {name: part[rows] for name, part in Y.items()}
        terms = self.loss.terms(self.output(rows), target)
        value = self.loss.combine(terms)
        signals: dict[str, Any] = {"terms": terms}
        if "gradient_norms" in self.clock.required_signals:
            signals["gradient_norms"] = gradient_norms(terms, [self.body.weight])
        self.optimizer.zero_grad()
        value.backward()
        self.optimizer.step()
        if "terms_after" in self.clock.required_signals:
            signals["terms_after"] = self.loss.terms(self.output(rows), target)
        self.clock.step(**{name: signals[name] for name in self.clock.required_signals})
        return value.item()

    def state(self) -> dict[str, Any]:
        parts = (self.body, self.heads, self.optimizer, self.clock)
        return {str(place): part.state_dict() for place, part in enumerate(parts)}

    def resume(self, state: dict[str, Any]) -> None:
        for place, part in enumerate((self.body, self.heads, self.optimizer, self.clock)):
            part.load_state_dict(state[str(place)])


@pytest.mark.parametrize("kind", ALL, ids=lambda one: one.__name__)
def test_resume_is_bit_equal_at_any_step(kind: type[Weighting]) -> None:
    whole = Run(kind())
    values, states = [], []
    for index in range(12):
        states.append(_stored(whole.state()))
        values.append(whole.step(index))
    for stop in (1, 5, 8):
        resumed = Run(kind())
        resumed.resume(_stored(states[stop]))
        assert [resumed.step(index) for index in range(stop, 12)] == values[stop:]
        assert resumed.loss.weighting.weights() == whole.loss.weighting.weights()


@pytest.mark.parametrize("kind", ALL, ids=lambda one: one.__name__)
def test_a_step_observed_twice_changes_nothing(kind: type[Weighting]) -> None:
    run = Run(kind())
    for index in range(4):
        run.step(index)
    before = copy.deepcopy(run.loss.state_dict())
    names = dict.fromkeys(("a", "b"), torch.tensor(7.0))
    signals = dict.fromkeys(run.clock.required_signals, names)
    run.loss.observe(Progress(step=4, total=12, epoch=1, signals=signals))
    for name, value in run.loss.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("kind", ALL, ids=lambda one: one.__name__)
def test_a_weighting_is_saved_with_its_hybrid(kind: type[Weighting], tmp_path) -> None:
    run = Run(kind())
    for index in range(7):
        run.step(index)
    run.loss.save(tmp_path / "loss.json")
    twin = lossmith.load(tmp_path / "loss.json")
    output = {name: part.detach() for name, part in run.output(slice(0, 8)).items()}
    target = {name: part[:8] for name, part in Y.items()}
    assert torch.equal(twin(output, target), run.loss(output, target))


@pytest.mark.parametrize(
    "optimizer",
    [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop],
)
def test_any_optimizer_trains_learned_weights(optimizer: Callable[..., Any]) -> None:
    run = Run(Uncertainty(), optimizer)
    first = [run.step(index) for index in range(12)]
    assert first[-1] < first[0]
    assert run.loss.weighting.log_variance.abs().min() > 0


@pytest.mark.parametrize("kind", [DWA, FAMO, GradNorm, ReLoBRaLo, SoftAdapt], ids=str)
@pytest.mark.parametrize("number", [torch.nan, torch.inf])
@pytest.mark.parametrize("at", [1, 2])
def test_a_step_that_overflowed_is_left_out(kind: type[Weighting], number: float, at: int) -> None:
    with_it, without = (Hybrid(a=MSE(), b=MAE(), weighting=kind()).weighting for _ in range(2))
    for step in range(1, 6):
        values = torch.tensor([number if step == at else 1.0 + 1 / step, 2.0 + step])
        terms = dict(zip("ab", values, strict=True))
        told = Progress(step=step, epoch=step // 2, signals=dict.fromkeys(kind.signals, terms))
        with_it.observe(told)
        if step != at:
            without.observe(told)
    assert with_it.weights() == without.weights()
    assert all(map(math.isfinite, with_it.weights().values()))


def test_a_missing_signal_fails_loudly() -> None:
    clock = LossScheduler(Hybrid(a=MSE(), b=MAE(), weighting=GradNorm()))
    with pytest.raises(
        ValueError, match=r"terms=, gradient_norms= at every step.*gradient_norms\("
    ):
        clock.step()
    with pytest.raises(ValueError, match=r"no optimizer trains Uncertainty\.log_variance"):
        LossScheduler(Hybrid(a=MSE(), weighting=Uncertainty()))
    with pytest.raises(ValueError, match="weighs a already"):
        Hybrid(b=MSE(), weighting=Hybrid(a=MSE(), weighting=Equal()).weighting)


def test_uncertainty_at_its_optimum_is_the_gaussian_likelihood() -> None:
    loss = Hybrid(a=MSE(), b=CrossEntropy(), weighting=Uncertainty())
    terms = {"a": torch.tensor(4.0), "b": torch.tensor(2.0)}
    with torch.no_grad():
        loss.weighting.log_variance.copy_(torch.tensor([4.0, 4.0]).log())
    value = loss.combine(terms)
    assert value.item() == pytest.approx(0.5 * (1 + 1.3862944) + (2 / 4 + 0.5 * 1.3862944))
    (slope,) = torch.autograd.grad(value, loss.weighting.log_variance)
    assert torch.allclose(slope, torch.zeros(2), atol=1e-6)  # σ² = MSE, and σ² = 2 CE


def test_dwa_favours_the_term_that_fell_less() -> None:
    rule = Hybrid(a=MSE(), b=MAE(), weighting=DWA()).weighting
    course = [(4.0, 4.0), (2.0, 3.6)]
    for step, (a, b) in enumerate(course, 1):
        rule.observe(Progress(step=step, epoch=step, signals={"terms": {"a": a, "b": b}}))
    expected = 2 * torch.tensor([0.5 / 2, 0.9 / 2]).softmax(0)
    assert list(rule.weights().values()) == pytest.approx(expected.tolist(), rel=1e-6)


def test_famo_gives_the_numbers_of_the_authors_code() -> None:
    # Cranial-XIX/FAMO, famo.py, n_tasks=2 with its defaults, on these losses before and after.
    course = [((2.0, 0.5), (1.8, 0.49)), ((1.8, 0.49), (1.5, 0.50)), ((1.5, 0.5), (1.4, 0.4))]
    rule = Hybrid(a=MSE(), b=MAE(), weighting=FAMO()).weighting
    got = []
    for step, (before, after) in enumerate(course, 1):
        terms = dict(zip("ab", map(torch.tensor, before), strict=True))
        value = rule.combine(terms).item()
        got.append((value, rule.weights()["a"]))
        later = dict(zip("ab", map(torch.tensor, after), strict=True))
        rule.observe(Progress(step=step, signals={"terms": terms, "terms_after": later}))
    expected = [(0.0, 0.5), (-0.0600286, 0.4875026), (-0.124875, 0.4756907)]
    for ours, theirs in zip(got, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-7)


def test_gradnorm_steps_along_the_gradient_of_its_loss() -> None:
    rule = Hybrid(a=MSE(), b=MAE(), weighting=GradNorm(alpha=0.5, rate=0.1)).weighting
    terms = {"a": torch.tensor(2.0), "b": torch.tensor(1.0)}
    norms = {"a": torch.tensor(3.0), "b": torch.tensor(1.0)}
    rule.observe(Progress(step=1, signals={"terms": terms, "gradient_norms": norms}))
    weight = torch.ones(2, dtype=torch.float64, requires_grad=True)
    size = weight * torch.tensor([3.0, 1.0], dtype=torch.float64)
    (size - size.mean().detach()).abs().sum().backward()
    moved = (weight - 0.1 * weight.grad).detach()
    expected = 2 * moved / moved.sum()
    assert list(rule.weights().values()) == pytest.approx(expected.tolist())


def test_imtl_l_scales_terms_to_one() -> None:
    loss = Hybrid(a=MSE(), b=MAE(), weighting=IMTLL())
    terms = {"a": torch.tensor(100.0), "b": torch.tensor(0.01)}
    with torch.no_grad():
        loss.weighting.log_scale.copy_(-torch.stack(list(terms.values())).log())
    (slope,) = torch.autograd.grad(loss.combine(terms), loss.weighting.log_scale)
    assert torch.allclose(slope, torch.zeros(2), atol=1e-5)


def test_the_geometric_mean_takes_no_notice_of_units() -> None:
    loss = Hybrid(a=MSE(), b=MAE(), weighting=GeometricMean())
    one = {"a": torch.tensor(4.0, requires_grad=True), "b": torch.tensor(9.0, requires_grad=True)}
    slopes = torch.autograd.grad(loss.combine(one), list(one.values()))
    assert loss.combine(one).item() == pytest.approx(6.0)
    assert (slopes[0] * 4).item() == pytest.approx((slopes[1] * 9).item())
    zero = torch.tensor(0.0, requires_grad=True)
    assert loss.combine({"a": zero, "b": torch.tensor(1.0)}).isfinite()
    with pytest.raises(ValueError, match="not negative"):
        loss.combine({"a": torch.tensor(-1.0), "b": torch.tensor(1.0)})


@pytest.mark.parametrize(("variant", "beta"), [("original", 0.1), ("normalized", 2.0)])
def test_softadapt_favours_the_term_that_does_worst(variant: str, beta: float) -> None:
    rule = Hybrid(a=MSE(), b=MAE(), weighting=SoftAdapt(beta=beta, variant=variant)).weighting
    for step, terms in enumerate(({"a": 3.0, "b": 3.0}, {"a": 1.0, "b": 4.0}), 1):
        rule.observe(Progress(step=step, signals={"terms": terms}))
    slope = torch.tensor([-2.0, 1.0], dtype=torch.float64)
    slope = slope / 3 if variant == "normalized" else slope
    expected = (beta * slope).softmax(0).tolist()
    assert list(rule.weights().values()) == pytest.approx(expected)


def test_relobralo_without_memory_is_its_balance() -> None:
    rule = Hybrid(a=MSE(), b=MAE(), weighting=ReLoBRaLo(alpha=0.0, temperature=1.0)).weighting
    for step, terms in enumerate(({"a": 2.0, "b": 2.0}, {"a": 1.0, "b": 3.0}), 1):
        rule.observe(Progress(step=step, signals={"terms": terms}))
    expected = 2 * torch.tensor([0.5, 1.5], dtype=torch.float64).softmax(0)
    assert list(rule.weights().values()) == pytest.approx(expected.tolist())


def test_random_weights_are_the_same_for_the_same_step() -> None:
    first, second = (Hybrid(a=MSE(), b=MAE(), weighting=RandomWeights(seed=3)) for _ in range(2))
    for step in range(1, 6):
        first.observe(Progress(step=step))
    second.observe(Progress(step=5))
    assert first.weighting.weights() == second.weighting.weights()


def test_scheduled_weights_move() -> None:
    rule = Fixed({"b": Linear(1.0, 0.0)})
    loss = Hybrid(a=MSE(), b=MAE(), weighting=rule)
    clock = LossScheduler(loss, total_steps=2)
    clock.step()
    assert rule.weights() == {"a": 1.0, "b": 0.5}


@pytest.mark.parametrize("method", ["upgrad", "pcgrad", "mgda", "cagrad", "nash_mtl"])
def test_surgery_gives_a_step_that_helps_both_terms(method: str) -> None:
    options = {"cagrad": {"c": 0.5}}.get(method, {})
    run = Run(Equal())
    features = run.body(X).tanh()
    out = run.heads(features)
    loss: Loss = run.loss
    terms = loss.terms({"a": out[:, 0], "b": out[:, 1]}, Y)
    own = {name: torch.autograd.grad(term, run.body.weight, retain_graph=True)[0]
           for name, term in terms.items()}  # fmt: skip
    surgery_backward(terms, features, shared=list(run.body.parameters()), method=method, **options)
    for name, slope in own.items():
        assert (run.body.weight.grad * slope).sum() > 0, name
    assert run.heads.weight.grad is not None
    with pytest.raises(ValueError, match="there are upgrad"):
        surgery_backward(terms, features, shared=[], method="scalpel")


@pytest.mark.parametrize(
    ("method", "options", "told"),
    [
        ("cagrad", {}, r"cagrad are c, norm_eps; missing: c, unknown: none"),
        ("pcgrad", {"c": 0.5}, r"pcgrad are none; missing: none, unknown: c"),
        ("nash_mtl", {"tasks": 2}, r"missing: none, unknown: tasks"),
        ("upgrad", {"c": 0.5}, r"unknown: c"),
        ("mgda", {"c": 0.5}, r"unknown: c"),
    ],
)
def test_surgery_names_the_options_that_a_method_lacks_or_has_not(
    method: str, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(TypeError, match=told):
        surgery_backward({}, [], shared=[], method=method, **options)


def _stored(state: dict[str, Any]) -> dict[str, Any]:
    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)
