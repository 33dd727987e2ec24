"""What a verdict rests on: enough trainings, groups, splits that do not leak, and pairing."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import KFold
from torch import nn

from lossmith.study.base.errors import InputError
from lossmith.study.study import Study
from lossmith.study.trials.trial import Trial
from lossmith.study.trials.verdict import Verdict
from shared.own_loop import ROWS, X, Y, study

HALF = ROWS // 2
ONE = (np.arange(HALF), np.arange(HALF, ROWS))
LEVEL = {"mse": 1.0, "huber": 0.5, "log_cosh": 1.1}


def run(how: str, **more: Any) -> Verdict:
    """Run a study in which huber is twice as good, beyond doubt on each row of each fold."""

    def told(trial: Trial) -> None:
        draw = np.random.default_rng([trial.fold, len(trial.name)])
        rows = LEVEL[trial.name] * np.exp(0.01 * draw.normal(size=len(trial.valid)))
        for epoch in trial.epochs:
            if trial.report(epoch, **({"rows": rows} if how == "rows" else {"score": rows.mean()})):
                return

    return study(None, **more).run(told)


@pytest.mark.parametrize("how", ["rows", "score"])
@pytest.mark.parametrize("seeds", [1, 2])
def test_one_training_or_two_prove_nothing(how: str, seeds: int) -> None:
    verdict = run(how, splits=ONE, seeds=seeds)
    assert verdict.selected == "mse"
    what = "one training" if seeds == 1 else "2 trainings of each"
    need = 3 if how == "rows" else 5
    assert f"{what} can't prove a difference" in verdict.sentence
    assert f"give at least {need} folds or seeds" in verdict.sentence
    assert verdict.finished


def test_two_folds_prove_nothing() -> None:
    verdict = run("rows", splits=list(KFold(2).split(X)))
    assert "2 trainings of each can't prove a difference" in verdict.sentence


@pytest.mark.parametrize("number", [3, 4])
def test_bare_scores_need_five(number: int) -> None:
    splits = list(KFold(number).split(X))
    assert "give at least 5 folds or seeds" in run("score", splits=splits).sentence
    assert run("rows", splits=splits).selected == "huber"


def test_a_study_that_stopped_at_a_look_lacks_no_folds() -> None:
    def told(trial: Trial) -> None:
        for epoch in trial.epochs:
            if trial.report(epoch, score=1.0):
                return

    verdict = study(None, splits=list(KFold(10).split(X))).run(told)
    assert verdict.result.comparison is not None
    assert verdict.result.comparison.trainings < 5
    assert "Keep mse: none of 2 other losses is better on MAE beyond doubt." in verdict.sentence


def test_a_default_alone_has_nothing_to_hold_against_it() -> None:
    verdict = run("rows", losses=["mse"])
    assert verdict.sentence.startswith("Keep mse: no other loss was given to hold against it.")
    for empty in ([], {}):
        with pytest.raises(InputError, match="losses is empty; leave it out for all that fit"):
            study(None, losses=empty)


def falls(trial: Trial, epoch: int) -> float:
    """Return an error that falls to the end, of log_cosh not."""
    return LEVEL[trial.name] * (1 if trial.name == "log_cosh" else 1 + 1 / epoch)


def best_at_1(trial: Trial, epoch: int) -> float:
    """Return an error that is least at a learning rate of 1."""
    return LEVEL[trial.name] * (1 + abs(np.log10(trial.learning_rate)))


@pytest.mark.parametrize("pauses", [False, True])
@pytest.mark.parametrize(
    ("error", "rates", "said"),
    [
        (falls, (0.1,), "Scores were still improving after 6 epochs with mse, huber."),
        (best_at_1, (0.1, 0.3, 1.0), "at the edge of the learning rates with mse, huber."),
        (best_at_1, (0.3, 1.0, 3.0), ""),
        (best_at_1, (0.3, 1.0), ""),  # of two rates both are edges
    ],
)
def test_what_was_still_improving_is_said(
    error: Any, rates: tuple[float, ...], said: str, pauses: bool
) -> None:
    """Else a loss that is merely quicker looks better."""

    def told(trial: Trial) -> None:
        draw = np.random.default_rng([trial.fold, len(trial.name)])
        noise = np.exp(0.01 * draw.normal(size=len(trial.valid)))
        trial.restore()
        for epoch in trial.epochs:
            if pauses:
                trial.save()
            if trial.report(epoch, rows=error(trial, epoch) * noise):
                return

    verdict = study(None, learning_rates=rates).run(told)
    assert verdict.sentence.endswith(said or ").")
    assert set(verdict.result.still_improving) == ({"mse", "huber"} if said else set())


@pytest.mark.parametrize("splits", [list(KFold(5).split(X)), list(KFold(10).split(X))])
def test_five_bare_scores_are_enough(splits: Any) -> None:
    verdict = run("score", splits=splits)
    assert verdict.selected == "huber"
    assert any("one number" in finding.meaning for finding in verdict.result.diagnosis)


def test_a_fixed_split_is_trained_under_five_seeds() -> None:
    verdict = run("rows", splits=ONE)
    assert verdict.selected == "huber"
    assert any("judged on the same rows" in one.meaning for one in verdict.result.diagnosis)


@pytest.mark.parametrize("rates", [[0.1], [0.1, 0.3]])
def test_losses_at_one_learning_rate_are_told_of(rates: list[float]) -> None:
    verdict = run("rows", splits=list(KFold(5).split(X)), learning_rates=rates)
    told = [one for one in verdict.result.diagnosis if "the same learning rate" in one.meaning]
    assert len(told) == (len(rates) == 1)


@pytest.mark.parametrize("own_seed", [True, False])
def test_a_loop_that_sets_a_seed_of_its_own_is_warned_of(own_seed: bool) -> None:
    def told(trial: Trial) -> None:
        if own_seed:
            torch.manual_seed(0)
        level = LEVEL[trial.name] + 0.01 * torch.rand(()).item()
        for epoch in trial.epochs:
            if trial.report(epoch, score=level):
                return

    verdict = study(None, splits=ONE).run(told)
    assert any("the same under every seed" in one for one in verdict.warnings) == own_seed


def test_groups_count_as_one() -> None:
    """Ten rows a patient, whose scores are alike: what rows would prove, patients do not."""
    patients = np.repeat(np.arange(ROWS // 10), 10)
    folds = [
        (np.flatnonzero(patients % 4 != k), np.flatnonzero(patients % 4 == k)) for k in range(4)
    ]

    def told(trial: Trial) -> None:
        draw = np.random.default_rng(len(trial.name))
        own = draw.normal(size=ROWS // 10)[patients[trial.valid]]
        noise = np.random.default_rng(trial.fold).normal(size=len(trial.valid))
        for epoch in trial.epochs:
            level = 5 - 0.6 * (trial.name == "huber")
            if trial.report(epoch, rows=level + own + 0.1 * noise):
                return

    by_row = study(None, splits=folds).run(told)
    by_patient = study(None, splits=folds, groups=patients).run(told)
    p_values = [
        next(row.p_value for row in one.candidates if row.name == "huber")
        for one in (by_row, by_patient)
    ]
    assert all(p is not None for p in p_values)
    assert p_values[1] > 10 * p_values[0]


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (
            {"splits": [(np.arange(60), np.arange(50, 120))]},
            "split 0 trains and judges by the same",
        ),
        ({"splits": [ONE, (np.arange(60), np.arange(60, 121))]}, "split 1 names row 120"),
        ({"splits": [(np.arange(-1, 60), np.arange(60, 120))]}, "split 0 names row -1"),
        ({"splits": (np.arange(60), np.r_[np.arange(60, 119), 60])}, "validation row twice"),
        ({"splits": [ONE, (np.arange(60), [])]}, "split 1 must hold whole row numbers"),
        ({"splits": [(np.arange(60) + 0.5, np.arange(60, 120))]}, "split 0 must hold whole row"),
        ({"splits": []}, "splits is empty"),
        ({"splits": 5}, "splits must be pairs"),
        ({"splits": [1, 2, 3]}, "split 0 must be a pair"),
        ({"splits": [ONE], "groups": np.arange(ROWS) % 7}, "group 0 on both sides"),
        ({"groups": np.arange(3)}, "one label a row"),
        ({"splits": None, "target": None}, "splits= is needed"),
        ({"splits": None, "groups": np.arange(ROWS) % 3}, "cut into 5 folds"),
        ({"finalists": 0}, "finalists must be above 0"),
        ({"finalists": 2.5}, "finalists must be a whole number"),
        ({"epochs": 0}, "epochs must be above 0"),
        ({"seeds": -1}, "seeds must be above 0"),
        ({"learning_rates": []}, "learning_rates must be numbers above 0"),
    ],
)
def test_what_cannot_be_compared_is_refused(given: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InputError, match=wrong) as error:
        study(None, **given)
    assert "\n" not in str(error.value)


def test_a_learning_rate_given_twice_is_one() -> None:
    assert study(None, learning_rates=[0.1, 0.01, 0.1]).design.learning_rates == (0.1, 0.01)


def test_masks_of_rows_are_splits() -> None:
    mask = np.arange(ROWS) < HALF
    assert np.array_equal(study(None, splits=(mask, ~mask)).folds.folds[0].valid, ONE[1])


def _pairing(body: Any, augments: bool) -> tuple[list[str], tuple[str, ...]]:
    """Return the warnings that a study gives while it runs, and those of its verdict."""

    def train(trial: Trial) -> None:
        norm = body if body is not None else nn.BatchNorm1d(4)
        model = nn.Sequential(norm, nn.Linear(4, 1))
        optimizer = torch.optim.SGD(model[1].parameters(), lr=trial.learning_rate)
        for _ in trial.epochs:
            model.train()
            optimizer.zero_grad()
            trial.loss(model(X[trial.train]).squeeze(-1), Y[trial.train]).backward()
            optimizer.step()
            model.eval()
            noise = torch.tensor(np.random.default_rng().normal(size=(len(trial.valid), 4))).float()
            with torch.no_grad():
                outputs = model(X[trial.valid] + 0.1 * augments * noise).squeeze(-1)
            if trial.report(outputs=outputs):
                return

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        verdict = study(None, losses=["mae"], epochs=4, learning_rates=[0.05]).run(train)
    return [str(one.message) for one in caught if one.category is UserWarning], verdict.warnings


@pytest.mark.parametrize(
    ("body", "augments"),
    [(nn.BatchNorm1d(4), False), (None, True)],
    ids=["shared BatchNorm", "augmenting validation set"],
)
def test_lost_pairing_is_told(body: Any, augments: bool) -> None:
    told, of_verdict = _pairing(body, augments)
    assert len(told) == 1
    assert "trained twice from one seed, gave two scores" in told[0]
    assert "BatchNorm" in told[0]
    assert "augment" in told[0]
    assert len(of_verdict) == 1
    assert "augmenting validation set" in of_verdict[0]


def test_kept_pairing_is_silent() -> None:
    assert _pairing(None, False) == ([], ())


def test_a_proof_by_too_few_bare_scores_does_not_end_a_study() -> None:
    one: Study = study(None, splits=list(KFold(10).split(X)))

    def told(trial: Trial) -> None:
        trial.report(6, score=LEVEL[trial.name] * (1 + 1e-6 * trial.fold))

    verdict = one.run(told)
    assert verdict.selected == "huber"
    assert one.journal.decisions()["end"]["folds"] >= 5
