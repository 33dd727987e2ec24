"""Which losses race, and which is the one to beat: from cards and metric alone."""

import json

import numpy as np
import pytest
import torch

from lossmith.catalogue import find
from lossmith.core.card import Task
from lossmith.study.base.errors import InputError
from lossmith.study.candidates import CandidateSet, candidates_for
from lossmith.study.metrics import metric, names
from lossmith.study.tasks import TABLE_TASKS
from lossmith.study.tasks.candidate import Candidate

RNG = np.random.default_rng(0)
TARGETS = {
    "regression": RNG.normal(size=200),
    "binary": RNG.integers(2, size=200),
    "multiclass": RNG.integers(4, size=200),
}
CLASSES = {"regression": None, "binary": 2, "multiclass": 4}
METRICS = [(task, name) for task in CLASSES for name in names(task)]


def entries(task: Task, name: str, keys: list[str] | None = None) -> CandidateSet:
    return candidates_for(task, metric(name, task), TARGETS[task], CLASSES[task], keys)


DEFAULTS = {
    ("regression", "rmse"): "mse",
    ("regression", "r2"): "mse",
    ("regression", "mae"): "mae",
    ("regression", "medae"): "mae",
    ("regression", "mape"): "relative(mae)",
    ("regression", "rmsle"): "log1p(mse)",
    ("regression", "pinball@0.9"): "quantile(level=0.9)",
    ("regression", "poisson_deviance"): "poisson",
    ("regression", "gamma_deviance"): "gamma",
    ("regression", "tweedie_deviance@1.5"): "tweedie(power=1.5)",
    ("binary", "balanced_accuracy"): "balanced_softmax",
    ("multiclass", "balanced_accuracy"): "balanced_softmax",
}


@pytest.mark.parametrize(("task", "name"), METRICS)
def test_the_default_is_what_the_metric_elicits(task: Task, name: str) -> None:
    found = entries(task, name)
    common = {"regression": "mse", "binary": "binary_cross_entropy", "multiclass": "cross_entropy"}
    assert found.default == DEFAULTS.get((task, name), common[task])
    assert found.common == common[task]
    assert {found.default, found.common} <= {candidate.name for candidate in found.candidates}


@pytest.mark.parametrize(("task", "name"), METRICS)
def test_every_candidate_fits_trains_and_decodes(task: Task, name: str) -> None:
    target = torch.from_numpy(np.abs(TARGETS[task]))
    found = entries(task, name).candidates
    assert len({candidate.name for candidate in found}) == len(found)
    for candidate in found:
        loss = candidate.fit(target)
        width = loss.out_features
        output = torch.randn((200, width) if width > 1 else (200,), requires_grad=True)
        loss(output, target).backward()
        assert output.grad is not None
        assert output.grad.isfinite().all()
        assert loss.decode(output).isfinite().all()
        json.dumps(candidate.parameters)


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_all_that_fit_the_task_race(task: Task) -> None:
    name = {"regression": "pinball@0.3"}.get(task, "accuracy")
    target = TARGETS[task] if task != "regression" else 1 + np.abs(TARGETS[task])  # none refuses it
    field = candidates_for(task, metric(name, task), target, CLASSES[task], None)
    raced = {candidate.key for candidate in field.candidates}
    assert raced == {
        key
        for key, kind in find(task).items()
        if kind.card.trains_head
        and kind.card.studied
        and not (kind.card.required_signals or "loss" in kind.hyperparameters)
    }


def test_targets_that_a_loss_refuses_keep_it_out() -> None:
    raced = {candidate.key for candidate in entries("regression", "mae").candidates}
    assert not raced & {"poisson", "gamma", "tweedie", "negative_binomial", "msle", "mape", "smape"}
    counts = RNG.poisson(1.0, size=200)
    field = candidates_for("regression", metric("mae", "regression"), counts, None, None)
    raced = {candidate.key for candidate in field.candidates}
    assert raced & {"poisson", "gamma", "mape"} == {"poisson"}


def test_a_level_is_the_metrics_own() -> None:
    found = {c.name for c in entries("regression", "pinball@0.3").candidates}
    assert {"quantile(level=0.3)", "expectile(level=0.3)"} <= found
    assert not {c.key for c in entries("regression", "mae").candidates} & {"quantile", "expectile"}


def test_some_candidates_by_key_or_by_name() -> None:
    found = entries("regression", "mae", ["huber"])
    assert {c.key for c in found.candidates} == {"mae", "mse", "huber"}
    assert len(found.candidates) > 3
    one = next(c.name for c in found.candidates if c.key == "huber")
    narrow = entries("regression", "mae", [one])
    assert [c.name for c in narrow.candidates] == ["mae", "mse", one]
    assert len(entries("regression", "mae", []).candidates) == 2


def test_a_candidate_by_its_former_name_is_that_of_today() -> None:
    found = entries("multiclass", "accuracy", ["poly(epsilon=2)", "square"])
    assert [c.name for c in found.candidates] == [
        "cross_entropy",
        "poly1(epsilon=2)",
        "square_loss",
    ]


@pytest.mark.parametrize(
    ("task", "key", "message"),
    [
        ("regression", "hubr", "no loss is called 'hubr'; did you mean"),
        ("regression", "cross_entropy", "cannot train a regression task"),
        ("multiclass", "mse", "cannot train a multiclass task"),
    ],
)
def test_wrong_keys_are_named(task: Task, key: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        entries(task, names(task)[0], [key])


def test_skewed_positive_targets_are_tried_in_logs() -> None:
    measure = metric("mae", "regression")
    skewed = np.exp(RNG.normal(size=200) * 2)
    for target, logs in ((skewed, True), (-skewed, False), (TARGETS["regression"], False)):
        found = candidates_for("regression", measure, target, None, None).candidates
        assert any(c.function == "log1p" for c in found) is logs


def test_a_name_with_a_treated_target_can_be_asked_for() -> None:
    measure, skewed = metric("mae", "regression"), np.exp(RNG.normal(size=200) * 2)
    found = candidates_for("regression", measure, skewed, None, ["log1p(mse)"]).candidates
    assert [c.name for c in found] == ["mae", "mse", "log1p(mse)"]
    with pytest.raises(InputError, match="'hinge' cannot train a regression"):
        candidates_for("regression", measure, skewed, None, ["log1p(hinge)"])


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_predictions_come_in_the_targets_own_unit(scale: float) -> None:
    target = torch.from_numpy(np.exp(RNG.normal(size=500)) * scale)
    for candidate in entries("regression", "mae").candidates:
        loss = candidate.fit(target)
        shape = (1, loss.out_features) if loss.out_features > 1 else (1,)
        middle = loss.decode(torch.zeros(shape)).item()
        assert target.quantile(0.01) <= middle <= target.quantile(0.99) * 3, candidate.name


def test_names_and_parameters() -> None:
    plain = Candidate(key="huber", hypers={"delta": 0.5}, function="identity")
    assert plain.name == "huber(delta=0.5)"
    assert plain.parameters == {"delta": 0.5}
    logs = Candidate(key="mae", function="log1p", relative=True)
    assert logs.name == "log1p(relative(mae))"
    assert logs.parameters == {"function": "log1p", "relative": True}


def test_losses_that_ask_what_no_data_tell_are_not_tried_and_a_user_hears_so() -> None:
    unasked = {key for key, kind in find().items() if not kind.card.studied}
    assert {"linex", "von_mises_nll", "balanced_mse", "gbce", "nnpu"} <= unasked
    assert not unasked & {key for task in TABLE_TASKS.values() for key in task.losses()}
    with pytest.raises(InputError, match="loss 'linex' cannot train a regression task"):
        entries("regression", "rmse", ["linex"])
