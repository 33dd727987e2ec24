"""The whole study on small real tables: the same twice, honest, and ready for one's own loop."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

import lossmith
from lossmith.study.metrics import metric, shifted
from lossmith.study.selection.conclude import Selection
from lossmith.study.selection.select import select

QUICK: dict[str, Any] = {"epochs": 6, "learning_rates": (3e-3, 1e-2)}
DIABETES = load_diabetes(as_frame=True).frame
CANCER = load_breast_cancer(as_frame=True).frame
WINE = load_wine(as_frame=True).frame
TABLES = {
    "diabetes": (DIABETES, "mae", ["huber(delta=0.5)", "gaussian_nll"]),
    "cancer": (CANCER, "auroc", ["brier", "hinge"]),
    "wine": (WINE, "balanced_accuracy", ["cross_entropy"]),
    "f1": (CANCER, "f1", ["focal"]),
}


def run(name: str, **more: Any) -> Selection:
    frame, measure, candidates = TABLES[name]
    return select(frame, target="target", metric=measure, candidates=candidates, **QUICK, **more)


@pytest.fixture(scope="module", params=TABLES)
def studied(request: pytest.FixtureRequest) -> tuple[str, Selection]:
    return request.param, run(request.param)


def test_result_has_what_was_promised(studied: tuple[str, Selection]) -> None:
    name, found = studied
    frame, measure, _ = TABLES[name]
    result = found.result.to_json()
    fields = (
        "task metric rows diagnosis default selected verdict equivalents candidates test cost "
        "seed versions"
    )
    assert set(fields.split()) <= set(result)
    of_candidate = "name parameters status score low high difference_to_default p_value"
    for row in result["candidates"]:
        assert set(of_candidate.split()) <= set(row)
    assert {"default", "selected"} <= set(result["test"])
    assert {"seconds", "default_seconds", "ratio", "trainings"} <= set(result["cost"])
    cost = result["cost"]
    assert cost["ratio"] == pytest.approx(cost["seconds"] / cost["default_seconds"])
    assert result["metric"] == measure
    assert result["rows"]["train"] + result["rows"]["test"] == len(frame)
    assert (result["verdict"] == "keep") == (result["selected"] == result["default"])
    assert found.verdict == result["verdict"]
    for row in result["candidates"]:
        if row["status"] in ("default", "selected", "finished"):
            assert row["low"] <= row["score"] <= row["high"]
            assert row["folds"] == 10


def test_test_scores_are_those_of_the_final_model(studied: tuple[str, Selection]) -> None:
    name, found = studied
    frame, measure, _ = TABLES[name]
    assert len(found.test_rows) == found.result.rows["test"]
    rows = frame.iloc[found.test_rows]
    (predictions,) = found.model.predict(rows.drop(columns="target"))
    decision = found.outputs[0].decision
    target = found.problem.target[found.test_rows]
    score = metric(measure, found.result.task).score(target, shifted(predictions, decision))
    assert score == pytest.approx(found.result.test["selected"])


def test_predictions_are_a_table(studied: tuple[str, Selection]) -> None:
    name, found = studied
    frame = TABLES[name][0]
    rows = frame.drop(columns="target").head(9)
    table = found.predict(rows)
    pd.testing.assert_frame_equal(table, found.predict(pl.from_pandas(rows)))
    assert len(table) == 9
    if found.result.task == "regression":
        assert list(table.columns) == ["prediction"]
        assert frame.target.min() - 100 < table.prediction.mean() < frame.target.max() + 100
        return
    classes = [column for column in table if column.startswith("probability_")]
    assert sorted(classes) == [f"probability_{c}" for c in sorted(frame.target.unique())]
    assert table[classes].sum(axis=1).to_numpy() == pytest.approx(np.ones(9), abs=1e-5)
    assert set(table.prediction) <= set(frame.target)


def test_the_loss_is_for_ones_own_loop(studied: tuple[str, Selection], tmp_path: Path) -> None:
    name, found = studied
    loss = found.loss
    assert isinstance(loss, torch.nn.Module)
    loss.save(tmp_path / "loss.json")
    again = lossmith.load(tmp_path / "loss.json")
    target = torch.tensor(TABLES[name][0].target[:64].to_numpy())
    width = loss.out_features
    output = torch.randn((64, width) if width > 1 else (64,), requires_grad=True)
    assert torch.equal(loss(output, target), again(output, target))
    assert torch.equal(loss.decode(output), again.decode(output))
    loss(output, target).backward()
    assert output.grad is not None
    assert output.grad.isfinite().all()
    if found.result.task == "regression":
        assert 25 < loss.decode(output).mean() < 350


def test_the_seed_decides_everything() -> None:
    one, same, other = run("diabetes", seed=4), run("diabetes", seed=4), run("diabetes", seed=5)
    assert _without_time(one) == _without_time(same)
    assert _without_time(one) != _without_time(other)
    frame = DIABETES.drop(columns="target")
    assert np.array_equal(one.model.predict(frame), same.model.predict(frame))
    assert np.array_equal(one.test_rows, same.test_rows)


def _without_time(selection: Selection) -> dict[str, Any]:
    return {k: v for k, v in selection.result.to_json().items() if k not in ("cost", "sentence")}


def test_the_test_rows_decide_nothing() -> None:
    one = run("diabetes")
    frame = DIABETES.copy()
    column = frame.columns.get_loc("target")
    shuffled = frame.target.to_numpy()[np.roll(one.test_rows, 1)]
    frame.iloc[one.test_rows, column] = shuffled
    others = [place for place in range(frame.shape[1]) if place != column]
    frame.iloc[one.test_rows, others] *= 50  # no encoder may have seen them
    other = select(frame, target="target", metric="mae", candidates=TABLES["diabetes"][2], **QUICK)
    assert np.array_equal(one.test_rows, other.test_rows)
    assert [r.score for r in one.result.candidates] == [r.score for r in other.result.candidates]
    features = DIABETES.drop(columns="target")
    assert np.array_equal(one.model.predict(features), other.model.predict(features))
    assert one.result.test != other.result.test


def noise(seed: int) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(150, 4))
    return pd.DataFrame(values, columns=["a", "b", "c", "y"])


@pytest.mark.parametrize("seed", range(3))
def test_pure_noise_keeps_the_default(seed: int) -> None:
    few = ["huber", "cauchy", "log_cosh"]
    found = select(noise(seed), target="y", metric="mae", seed=seed, candidates=few, **QUICK)
    assert found.verdict == "keep"
    assert found.result.selected == "mae"
    assert found.result.test["default"] == found.result.test["selected"]


def test_gross_outliers_in_training_targets_switch() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 3))
    y = x @ [3.0, -2.0, 1.0] + 0.5 * rng.normal(size=600)
    wrong = rng.random(600) < 0.1
    y[wrong] += rng.choice([-1, 1], wrong.sum()) * 40
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(y=y)
    few = ["cauchy", "huber"]
    found = select(frame, target="y", metric="rmse", candidates=few, epochs=25)
    assert found.verdict == "switch"
    assert found.result.default == "mse"
    test = found.result.test
    assert test["selected"] is not None
    assert test["default"] is not None
    assert test["selected"] < 0.9 * test["default"]
    assert any("gross" in finding.name for finding in found.result.diagnosis)
    counted = select(frame, target="y", metric="rmse", candidates=few, keep_outliers=True, **QUICK)
    assert not any("gross" in finding.name for finding in counted.result.diagnosis)
    assert counted.result.test["rows"] == len(counted.test_rows)


def test_the_folder_of_a_run(tmp_path: Path) -> None:
    found = run("f1", out=tmp_path / "run")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["selected"] == found.result.selected
    table = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert len(table) == result["rows"]["test"]
    assert (CANCER.target.to_numpy()[table.row] == table.target).all()
    saved = lossmith.load(tmp_path / "run" / "loss.json")
    assert saved.config() == found.loss.config()


@pytest.mark.parametrize(("classes", "rows"), [(10, 50), (3, 51), (2, 50)])
def test_tiny_tables(classes: int, rows: int) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=rows), "b": rng.choice(list("xy"), rows)})
    frame["y"] = [f"c{i % classes}" for i in range(rows)]
    found = select(frame, target="y", metric="accuracy", candidates=["brier"], **QUICK)
    assert found.verdict == "keep"
    regression = frame.assign(y=frame.a * 3 + rng.normal(size=rows))
    assert select(regression, target="y", metric="rmse", candidates=["mae"], **QUICK)


def test_one_positive_in_a_hundred() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(800, 2)), columns=["a", "b"])
    frame["y"] = (np.arange(800) < 8).astype(int)
    for measure in ("f1", "average_precision", "balanced_accuracy"):
        found = select(frame, target="y", metric=measure, candidates=["focal"], **QUICK)
        assert found.result.test["default"] is not None


def test_a_time_budget_ends_the_study() -> None:
    found = run("diabetes", budget=1e-6)
    assert found.verdict == "keep"
    assert found.result.interrupted
    assert found.result.test["default"] < 70  # trained on, not cut off after an epoch


def test_progress_is_told() -> None:
    told: list[tuple[float, str]] = []
    run("wine", progress=lambda share, text: told.append((share, text)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert all(text for _, text in told)
