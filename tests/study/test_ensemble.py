"""An ensemble of several losses: chosen greedily, handed over, saved, and nothing else changes."""

import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from lossmith.cli.main import main
from lossmith.study.base.errors import InputError
from lossmith.study.base.out import FILES
from lossmith.study.metrics import lookup, shifted
from lossmith.study.selection.conclude import Selection
from lossmith.study.selection.ensemble import OutOfFold, selected
from lossmith.study.selection.select import select
from lossmith.study.selection.storage import load, save
from lossmith.study.training.predictor import EnsembleModel

QUICK: dict[str, Any] = {"epochs": 6, "learning_rates": (3e-3, 1e-2)}
WINE = load_wine(as_frame=True).frame
TABLES: dict[str, tuple[pd.DataFrame, str, list[str], str | None]] = {
    "numbers": (load_diabetes(as_frame=True).frame, "mae", ["hl_gauss", "huber", "mse"], None),
    "two classes": (load_breast_cancer(as_frame=True).frame, "f1", ["focal", "hinge"], None),
    "classes": (WINE, "log_loss", ["squentropy", "focal"], None),
    "grades": (WINE, "quadratic_kappa", ["corn", "sord"], "ordinal"),
}


def run(name: str, **more: Any) -> Selection:
    frame, metric, keys, task = TABLES[name]
    return select(
        frame, target="target", metric=metric, candidates=keys, task=task, **QUICK, **more
    )


@cache
def ensemble(name: str) -> Selection:
    return run(name, ensemble="losses")


@pytest.fixture(params=TABLES)
def studied(request: pytest.FixtureRequest) -> tuple[str, Selection]:
    return request.param, ensemble(request.param)


def drawn(seed: int, task: str) -> tuple[list[np.ndarray], dict[str, list[np.ndarray]]]:
    """Return the targets of three folds, and the predictions of five models."""
    rng = np.random.default_rng(seed)
    if task == "regression":
        targets = [rng.normal(size=30) for _ in range(3)]
        return targets, {
            key: [target + rng.normal(scale=1 + place, size=30) for target in targets]
            for place, key in enumerate("abcde")
        }
    targets = [rng.integers(0, 2, 30) for _ in range(3)]
    leaning = [[0.3 * t + rng.uniform(0, 0.3, 30) for t in targets] for _ in "abcde"]
    pairs = [[np.stack([1 - one, one], axis=1) for one in own] for own in leaning]
    return targets, dict(zip("abcde", pairs, strict=True))


def by_hand(
    targets: list[np.ndarray], library: dict[str, list[np.ndarray]], name: str, models: int
) -> Counter[str]:
    """Return the same choice by loops: every model is tried at every step."""
    metric, taken = lookup(name), []
    for _ in range(models):
        best, least = "", np.inf
        for key in library:
            errors = []
            for fold, target in enumerate(targets):
                total = sum(library[one][fold] for one in (*taken, key))
                mean = total / (len(taken) + 1)
                if metric.tuned:
                    mean = shifted(mean, metric.tune(target, mean))
                errors.append(metric.error(metric.score(target, mean)))
            if np.mean(errors) < least - 1e-12:
                best, least = key, np.mean(errors)
        taken.append(best)
    return Counter(taken)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["mae", "rmse", "log_loss", "f1", "balanced_accuracy"])
def test_the_choice_is_the_one_made_by_hand(name: str, seed: int) -> None:
    metric = lookup(name)
    targets, library = drawn(seed, "binary" if "binary" in metric.tasks else "regression")
    judged = OutOfFold(metric=metric, targets=targets, rows=[slice(None)] * 3)
    assert selected(library, judged.error, 4) == by_hand(targets, library, name, 4)


def test_two_that_err_on_either_side_are_better_than_the_best() -> None:
    target = [np.zeros(2)]
    library = {"near": [np.full(2, 1.0)], "under": [np.full(2, -1.2)], "far": [np.full(2, 9.0)]}
    judged = OutOfFold(metric=lookup("mae"), targets=target, rows=[slice(None)])
    chosen = selected(library, judged.error, 4)
    assert chosen == {"near": 2, "under": 2}
    every = [Counter(keys) for keys in product(library, repeat=4)]
    means = [sum(library[k][0] * n for k, n in one.items()) / 4 for one in every]
    best = min(range(len(every)), key=lambda place: judged.error([means[place]]))
    assert chosen == every[best]


def test_a_tuned_metric_judges_by_decisions() -> None:
    """Probabilities that all lie below a half decide by a threshold of their own."""
    metric = lookup("f1")
    target = np.array([0, 0, 0, 1, 1, 1])
    likely = np.array([0.1, 0.1, 0.2, 0.3, 0.4, 0.4])
    values = np.stack([1 - likely, likely], axis=1)
    judged = OutOfFold(metric=metric, targets=[target] * 2, rows=[slice(None)] * 2)
    assert metric.score(target, values) == 0
    assert judged.error([values] * 2) == metric.error(1.0)
    decision = judged.decision([values] * 2)
    assert decision is not None
    assert metric.score(target, shifted(values, decision)) == 1
    of_numbers = OutOfFold(metric=lookup("mae"), targets=[target], rows=[slice(None)])
    assert of_numbers.decision([likely]) is None


def test_rows_that_are_not_scored_decide_nothing() -> None:
    target = [np.array([0.0, 0.0, 100.0])]
    library = {"good": [np.zeros(3)], "outlying": [np.array([5.0, 5.0, 100.0])]}
    kept = OutOfFold(metric=lookup("mae"), targets=target, rows=[np.array([True, True, False])])
    every = OutOfFold(metric=lookup("mae"), targets=target, rows=[slice(None)])
    assert selected(library, kept.error, 4) == {"good": 4}
    assert selected(library, every.error, 4) == {"outlying": 4}


@pytest.mark.parametrize("name", ["numbers", "two classes"])
def test_all_that_is_decided_stays(name: str) -> None:
    found, other = ensemble(name), run(name)
    with_it, without = (one.result.to_json() for one in (found, other))
    assert without["ensemble"] == {}
    assert sum(with_it["ensemble"].values()) == 4
    assert set(with_it["ensemble"]) <= {row["name"] for row in with_it["candidates"]}
    assert {k: v for k, v in with_it["test"].items() if "ensemble" not in k} == without["test"]
    assert set(with_it["test"]) - set(without["test"]) == {"ensemble", "ensemble_all_rows"}
    left_out = ("ensemble", "test", "cost")
    assert {k: v for k, v in with_it.items() if k not in left_out} == {
        k: v for k, v in without.items() if k not in left_out
    }
    assert with_it["cost"]["trainings"] >= without["cost"]["trainings"]
    assert str(found.loss) == str(other.loss)
    assert np.array_equal(found.evidence.test_selected, other.evidence.test_selected)


def test_what_predicts_is_the_mean_of_all_models(studied: tuple[str, Selection]) -> None:
    name, found = studied
    frame = TABLES[name][0].drop(columns="target").iloc[found.test_rows]
    model = found.model
    assert isinstance(model, EnsembleModel)
    assert [part.seeds for part in model.parts] == list(found.result.ensemble.values())
    totals = [part.predict(frame)[0] * part.seeds for part in model.parts]
    (mean,) = model.predict(frame)
    np.testing.assert_allclose(mean, sum(totals) / 4)
    np.testing.assert_allclose(found.test_predictions[0], mean)
    (problem,), (spec,) = found.problem.targets, found.outputs
    score = lookup(found.result.metric).score(
        problem.target[found.test_rows], shifted(mean, spec.decision)
    )
    assert score == pytest.approx(found.result.test["ensemble"])


def test_the_choice_is_by_the_predictions_of_the_folds(studied: tuple[str, Selection]) -> None:
    _, found = studied
    measured, (problem,) = found.measurements, found.problem.targets
    split = found.problem.split(0)
    targets = [problem.target[fold.valid] for fold in split.folds]
    settings = sorted(
        measured.settings.values(), key=lambda one: measured.evaluate(one).errors.mean()
    )
    library = {}
    for one in settings:
        epoch = measured.evaluate(one).best_epoch
        details = [measured.detail(one, fold, epoch) for fold in range(len(targets))]
        library[one.candidate] = [detail["prediction"].astype(float) for detail in details]
    metric = lookup(found.result.metric)
    if not metric.tuned:  # whose decisions come from other folds
        scores = [metric.score(t, p) for t, p in zip(targets, library[settings[0][0]], strict=True)]
        errors = measured.evaluate(settings[0]).errors
        np.testing.assert_allclose([metric.error(one) for one in scores], errors, rtol=1e-4)
    assert by_hand(targets, library, metric.name, 4) == found.result.ensemble


def test_the_first_seeds_of_a_model_predict_alone(studied: tuple[str, Selection]) -> None:
    name, found = studied
    frame = TABLES[name][0].drop(columns="target").head(50)
    assert isinstance(found.model, EnsembleModel)
    part = found.model.parts[0]
    whole, first = part.predict(frame)[0], part.first(1)
    assert first.seeds == 1
    assert part.seeds == 1 or np.abs(first.predict(frame)[0] - whole).max() > 0
    np.testing.assert_array_equal(part.first(part.seeds).predict(frame)[0], whole)


def test_a_saved_run_predicts_the_same(studied: tuple[str, Selection], tmp_path: Path) -> None:
    name, found = studied
    save(found, tmp_path / "run")
    rows = TABLES[name][0].drop(columns="target")
    told = load(tmp_path / "run").predict(rows)
    pd.testing.assert_frame_equal(told, found.predict(rows))
    written = pd.read_csv(tmp_path / "run" / "predictions.csv")
    pd.testing.assert_frame_equal(
        written.drop(columns=["row", "target"]),
        found.predict(rows.iloc[found.test_rows]),
        check_dtype=False,
    )
    document = json.loads((tmp_path / "run" / "result.json").read_text())
    assert document["ensemble"] == found.result.ensemble
    assert json.loads((tmp_path / "run" / "model.json").read_text())["lossmith"] == 3


WRONG: dict[str, tuple[Callable[[dict], Any], str]] = {
    "no parts": (lambda facts: facts.pop("parts"), "model.json lacks 'parts'"),
    "an empty list": (lambda facts: facts.update(parts=[]), "names 0 parts, model.safetensors has"),
    "a part more": (lambda facts: facts["parts"].append(facts["parts"][0]), "names [2-5] parts"),
    "no loss": (lambda facts: facts["parts"][0].pop("loss"), "entry 0 lacks 'loss'"),
    "an unknown loss": (
        lambda facts: facts["parts"][0].update(loss={"loss": "x"}),
        "is written as",
    ),
    "a level": (lambda facts: facts["parts"][0].update(level=2.0), "the level 2.0, which is not"),
    "two targets": (lambda facts: facts["targets"].append(facts["targets"][0]), "targets"),
    "another format": (lambda facts: facts.update(lossmith=2), "'w1'"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_bad_parts_are_told_in_one_line(
    wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(ensemble("numbers"), tmp_path)
    change, words = WRONG[wrong]
    facts = json.loads((tmp_path / "model.json").read_text())
    change(facts)
    (tmp_path / "model.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match=words):
        load(tmp_path)
    TABLES["numbers"][0].to_csv(tmp_path / "rows.csv", index=False)
    assert main(["predict", str(tmp_path), str(tmp_path / "rows.csv")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_study_that_kept_no_predictions_does_not_go_on(tmp_path: Path) -> None:
    run("numbers", out=tmp_path)
    for name in FILES:
        (tmp_path / name).unlink(missing_ok=True)
    with pytest.raises(InputError, match="another kind of ensemble"):
        run("numbers", out=tmp_path, ensemble="losses")


def test_a_study_goes_on_by_what_it_kept(tmp_path: Path) -> None:
    first = ensemble("numbers")
    assert run("numbers", out=tmp_path, ensemble="losses").result.test == first.result.test
    for name in FILES:
        (tmp_path / name).unlink()
    again = run("numbers", out=tmp_path, ensemble="losses")
    assert again.result.ensemble == first.result.ensemble
    assert again.result.test == first.result.test


PATIENTS = pd.DataFrame(
    {
        "a": np.arange(60.0),
        "days": np.arange(1.0, 61.0),
        "died": [0, 1] * 30,
        "ward": np.arange(60) // 3,
    }
)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"target": "a", "metric": "mae", "ensemble": "loss"}, "'seeds' or 'losses', got 'loss'"),
        ({"target": "a", "metric": "mae", "ensemble": None}, "'seeds' or 'losses', got None"),
        ({"target": ["a", "days"], "metric": ["mae", "mae"]}, "is for one target"),
        ({"target": "days", "event": "died", "metric": "concordance"}, "not for survival"),
        ({"target": "died", "groups": "ward", "metric": "ndcg@3"}, "not for ranking"),
    ],
)
def test_what_cannot_be_averaged_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        select(PATIENTS, **{"ensemble": "losses", **asked})


def test_a_model_of_ones_own_is_of_one_loss() -> None:
    train = (torch.randn(40, 3), torch.randn(40))
    with pytest.raises(InputError, match="ensemble is for tables"):
        select(model=lambda n: torch.nn.Linear(3, n), train=train, metric="mae", ensemble="losses")


def test_the_command_says_what_predicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    PATIENTS.to_csv("t.csv", index=False)
    ask = ["select", "t.csv", "--target", "a", "--metric", "mae", "--candidates", "mse,huber"]
    assert main([*ask, "--budget", "4s", "--ensemble", "losses"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    result = json.loads(Path("runs/t/result.json").read_text())
    parts = ", ".join(f"{count} of {name}" for name, count in result["ensemble"].items())
    assert f"with the ensemble ({parts})" in shown
    report = Path("runs/t/report.html").read_text()
    assert "ensemble selection, Caruana et al., 2004" in report
    assert parts.replace("'", "&#x27;") in report
    assert main(["predict", "runs/t", "t.csv", "--out", "p.csv"]) == 0
    told = pd.read_csv("p.csv").prediction.to_numpy()
    rows = pd.read_csv("runs/t/predictions.csv")
    np.testing.assert_allclose(told[rows.row], rows.prediction, rtol=1e-6)


@pytest.mark.parametrize(
    "more", [["--ensemble", "all"], ["--ensemble", "losses", "--metric", "ndcg@3"]]
)
def test_the_command_refuses_in_one_line(
    more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    PATIENTS.to_csv(tmp_path / "t.csv", index=False)
    ask = ["select", str(tmp_path / "t.csv"), "--target", "died", "--metric", "mae"]
    assert main([*ask, "--groups", "ward", *more]) == 2
    assert capsys.readouterr().err.count("\n") == 1
