"""A study told to others: to Optuna's storage, and to MLflow by its client."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossmith.cli.main import main
from shared.own_loop import study, train


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "it"
    study(folder).run(train)
    return folder


def test_optuna_reads_what_is_exported(ended: Path, tmp_path: Path, capsys: Any) -> None:
    optuna = pytest.importorskip("optuna", reason="needs lossmith[optuna]")
    storage = f"sqlite:///{tmp_path}/trials.db"
    for _ in range(2):  # again in its place
        assert main(["export", str(ended), "--optuna", storage]) == 0
    frame = study(ended).frame()
    found = optuna.load_study(study_name="it", storage=storage)
    assert optuna.get_all_study_names(storage) == ["it"]
    assert found.direction.name == "MINIMIZE"
    told = {
        (t.params["loss"], t.params["learning_rate"], t.params["fold"], epoch): score
        for t in found.trials
        for epoch, score in t.intermediate_values.items()
    }
    ours = frame[["loss", "learning_rate", "fold", "epoch", "score"]].values.tolist()
    assert told == {tuple(row[:4]): row[4] for row in ours}
    done = [t.value for t in found.trials if t.state.name == "COMPLETE"]
    assert np.isfinite(done).all()
    assert len(done) == (frame[frame.epoch == 6].state == "done").sum()
    assert f"{len(found.trials)} trials of study it" in capsys.readouterr().out


def test_optunas_own_study_is_not_replaced(ended: Path, tmp_path: Path, capsys: Any) -> None:
    optuna = pytest.importorskip("optuna", reason="needs lossmith[optuna]")
    storage = f"sqlite:///{tmp_path}/trials.db"
    optuna.create_study(storage=storage, study_name="it")
    assert main(["export", str(ended), "--optuna", storage]) == 2
    assert "of another origin" in capsys.readouterr().err
    assert main(["export", str(ended), "--optuna", "nosuch://x"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_without_optuna_one_line_says_so(ended: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    assert main(["export", str(ended), "--optuna", "sqlite:///trials.db"]) == 2
    assert "lossmith[optuna]" in capsys.readouterr().err


def test_mlflow_has_a_run_of_each_trial(tmp_path: Path) -> None:
    tracking = pytest.importorskip("mlflow.tracking", reason="needs lossmith[mlflow]")
    from lossmith.integrations.mlflow import MLflowEvents

    place = f"sqlite:///{tmp_path}/mlflow.db"
    events = MLflowEvents("retina", tracking_uri=place)
    one = study(tmp_path / "it", on_event=events, losses=["mse", "huber"])
    one.run(lambda trial: train(trial, saves=True))
    client = tracking.MlflowClient(tracking_uri=place)
    experiment = client.get_experiment_by_name("retina").experiment_id
    runs = {run.data.tags["trial"]: run for run in client.search_runs([experiment])}
    frame = one.frame()
    for (loss, rate, fold), rows in frame.groupby(["loss", "learning_rate", "fold"]):
        run = runs[f"{loss}@{rate:g}#{fold}"]
        told = client.get_metric_history(run.info.run_id, "score")
        assert sorted((m.step, m.value) for m in told) == sorted(
            zip(rows.epoch, rows.score, strict=True)
        )
        done = {"done": "FINISHED", "stopped": "KILLED"}[rows.state.iloc[0]]
        # One that others stopped while it was paused is told of no more.
        assert run.info.status in (done, "SCHEDULED")
        assert run.data.params["loss"] == loss
    assert len(runs) == len(frame.groupby(["loss", "learning_rate", "fold"])) + 1  # and the twin
