"""A study looked at from outside: `lossmith status`, `verdict`, `report` and `judge`."""

import io
import json
import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

import lossmith
from lossmith.cli import watch
from lossmith.cli.main import main
from lossmith.study.base.errors import InputError
from lossmith.study.base.result import ReportData
from lossmith.study.journal import Decision
from lossmith.study.journal.sqlite import Journal
from lossmith.study.journal.workers import this_worker
from lossmith.study.report import render
from lossmith.study.trials.onlooker import progress_in, verdict_in
from lossmith.study.trials.verdict import Verdict

ROWS = 120


def out_of_memory(output: torch.Tensor, _target: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("out of memory \x1b[31m<b>")


def study_in(folder: Path | None, **more: Any) -> lossmith.Study:
    torch.manual_seed(0)
    x = torch.randn(ROWS, 3)
    y = x.sum(1) + 0.1 * torch.randn(ROWS)
    losses = {"mse": "mse", "mae": "mae", "idle": constant, "broken": out_of_memory}
    arguments = {"metric": "mae", "losses": losses, "default": "mse", "epochs": 3} | more
    study = lossmith.Study(folder, target=y, learning_rates=(0.01, 0.1), **arguments)
    study.x, study.y = x, y  # type: ignore[attr-defined]
    return study


def constant(output: torch.Tensor, _target: torch.Tensor) -> torch.Tensor:
    return 0 * output.sum()


def train(study: Any, trial: Any) -> None:
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=trial.learning_rate)
    for _ in trial.epochs:
        optimizer.zero_grad()
        trial.loss(model(study.x[trial.train])[:, 0], study.y[trial.train]).backward()
        optimizer.step()
        if trial.report(outputs=model(study.x[trial.valid])[:, 0]):
            break


def run(study: Any, trials: int = 10**6) -> Any:
    for number, trial in enumerate(study):
        if number == trials:
            break
        with trial.seeded():
            train(study, trial)
    return study


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("studies") / "linear"
    with pytest.warns(UserWarning, match="out of memory"):
        run(study_in(place)).journal.close()
    return place


@pytest.fixture
def copied(ended: Path, tmp_path: Path) -> Path:
    """A copy whose journal is one file, as after the last process has closed it."""
    place = tmp_path / "linear"
    place.mkdir()
    with sqlite3.connect(ended / "journal.sqlite") as source:
        target = sqlite3.connect(place / "journal.sqlite")
        source.backup(target)
        target.close()
    return place


def shown(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_status_tells_what_each_loss_has_done(
    ended: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, "status", ended)
    assert text.startswith("linear: MAE (lower is better), ended")
    (row,) = (line for line in text.splitlines() if line.startswith(" broken "))
    assert row.split() == ["broken", "failed", "0/10", "0/3"]
    assert "mse (default)   finalist    0.1, best of 2    3/10" in text
    assert "Trainings cannot pause." in text
    assert r"broken at 0.01, fold 0: RuntimeError: out of memory \x1b[31m<b>" in text
    assert "\x1b" not in text


def test_verdict_is_the_studys_own(ended: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = study_in(ended).verdict()
    assert shown(capsys, "verdict", ended) == f"{own}\n"


def test_report_is_written_where_it_is_asked_for(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(capsys, "report", copied) == f"Report: {copied / 'report.html'}\n"
    assert {"report.html", "result.json"} <= {place.name for place in copied.iterdir()}
    (tmp_path / "result.json").write_text("mine")
    shown(capsys, "report", copied, "--out", tmp_path / "page.html")
    assert (tmp_path / "result.json").read_text() == "mine"
    assert json.loads((tmp_path / "page.json").read_text())["default"] == "mse"


def test_the_report_says_what_is_true_of_such_a_study(ended: Path) -> None:
    verdict = verdict_in(ended)
    page = render(verdict.result, ReportData(curves=verdict.curves))
    for untrue in ("untouched", "loss.json", "Looked at before any training", "commonly used"):
        assert untrue not in page
    assert "planned looks at the evidence" in page
    assert "study.loss" in page
    assert "out of memory" in page
    idle = next(row for row in verdict.candidates if row.name == "idle")
    if idle.status == "dropped":
        assert "; default " in page


def test_a_loss_that_left_is_shown_beside_the_default(ended: Path) -> None:
    study = study_in(ended)
    frame = study.frame()
    rows = [row for row in study.verdict().candidates if row.status == "dropped"]
    assert rows
    for row in rows:
        own = frame[(frame["loss"] == row.name) & (frame["learning_rate"] == row.learning_rate)]
        same = frame["fold"].isin(own["fold"]) & (frame["epoch"] == row.epochs)
        default = frame[same & (frame["loss"] == "mse")].groupby("learning_rate")["score"].mean()
        assert row.default_score == pytest.approx(default.min())


def test_failures_and_warnings_are_on_the_page(ended: Path) -> None:
    with sqlite3.connect(ended / "journal.sqlite") as database:
        (twin,) = database.execute("SELECT outcome FROM decision WHERE name = 'twin'").fetchone()
        database.execute(
            "UPDATE decision SET outcome = ? WHERE name = 'twin'",
            (json.dumps(json.loads(twin) | {"equal": False}),),
        )
    try:
        verdict = verdict_in(ended)
        page = render(verdict.result, ReportData())
        assert "<b>Warning.</b> The default, trained twice" in page
        assert "not from the same weights and batches" in page
        assert "2 trainings failed" in page
    finally:
        with sqlite3.connect(ended / "journal.sqlite") as database:
            database.execute("UPDATE decision SET outcome = ? WHERE name = 'twin'", (twin,))


def test_looking_changes_nothing_and_needs_no_leave_to_write(copied: Path) -> None:
    before = (copied / "journal.sqlite").read_bytes()
    verdict_in(copied)
    assert (copied / "journal.sqlite").read_bytes() == before
    journal = Journal(copied / "journal.sqlite", write=False)
    with pytest.raises(InputError, match="readonly"):
        journal.decide(Decision("end", None))


def test_a_folder_that_cannot_be_written_to(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = str(verdict_in(copied))
    for place in copied.glob("journal.sqlite-*"):
        place.unlink()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert str(verdict_in(copied)) == known


def test_a_study_that_runs(tmp_path: Path) -> None:
    study = run(study_in(tmp_path / "it", losses=["mse", "mae"]), trials=1)
    progress = progress_in(tmp_path / "it")
    assert (
        progress.awaited
        == "whether the default, trained again, repeats itself, after 1 training more"
    )
    assert not progress.ended
    trial = study.ask()
    (line,) = progress_in(tmp_path / "it").running
    assert line.startswith("mse at 0.01, fold 0, again, after epoch 0 of 3, process")
    host, _, token = this_worker().rsplit(":", 2)
    with sqlite3.connect(tmp_path / "it" / "journal.sqlite") as database:
        database.execute("UPDATE training SET expires = 1 WHERE id = ?", (trial.claim.id,))
    assert "silent for too long" in progress_in(tmp_path / "it").running[0]
    with sqlite3.connect(tmp_path / "it" / "journal.sqlite") as database:
        gone = f"{host}:{2**22 + 7}:{token}"
        database.execute("UPDATE training SET worker = ? WHERE state = 'running'", (gone,))
    assert "has died" in progress_in(tmp_path / "it").running[0]
    assert "no loss is measured in full yet" in verdict_in(tmp_path / "it").sentence


def test_status_follows_a_study_to_its_end(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = copied / "journal.sqlite"
    with sqlite3.connect(path) as database:
        (last,) = database.execute("SELECT outcome FROM decision WHERE name = 'end'").fetchone()
        database.execute("DELETE FROM decision WHERE name = 'end'")
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            with sqlite3.connect(path) as database:
                database.execute("INSERT INTO decision VALUES ('end', ?, ?)", (last, time.time()))
                database.execute("UPDATE study SET version = version + 1")

    monkeypatch.setattr(watch.time, "sleep", wait)
    out = Console(file=(text := io.StringIO()), force_terminal=True, width=100)
    watch.watch(copied, once=False, console=out)
    assert waits == [1.0, 1.0]
    assert "The study ended after" in text.getvalue()


def test_ctrl_c_ends_status_with_what_it_saw(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(copied / "journal.sqlite") as database:
        database.execute("DELETE FROM decision WHERE name = 'end'")

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", interrupted)
    out = Console(file=(text := io.StringIO()), force_terminal=True, width=100)
    watch.watch(copied, once=False, console=out)
    assert "not ended" in text.getvalue()


def test_influences_that_were_not_formed_are_told(copied: Path) -> None:
    with sqlite3.connect(copied / "journal.sqlite") as database:
        database.execute("UPDATE evidence SET influences = NULL")
    with pytest.raises(InputError, match=r"call study\.verdict\(\)"):
        verdict_in(copied)


def damaged(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute(statement)


DAMAGES = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "overwritten": lambda path: path.write_bytes(
        path.read_bytes()[:4096] + b"\x07" * (path.stat().st_size - 4096)
    ),
    "text": lambda path: path.write_text("loss,score\n"),
    "empty": lambda path: path.write_bytes(b""),
    "spec": lambda path: damaged(path, "UPDATE study SET spec = '{}'"),
    "list": lambda path: damaged(path, "UPDATE study SET spec = '[]'"),
    "no json": lambda path: damaged(path, "UPDATE study SET spec = 'x'"),
    "format": lambda path: damaged(path, "UPDATE study SET format = 99"),
    "decision": lambda path: damaged(path, "UPDATE decision SET outcome = '3'"),
    "no decision": lambda path: damaged(path, "UPDATE decision SET outcome = '{'"),
    "units": lambda path: damaged(path, "UPDATE fold SET units = x'0102'"),
    "score": lambda path: damaged(path, "UPDATE report SET score = 'x'"),
    "influences": lambda path: damaged(path, "UPDATE evidence SET influences = x'01020304'"),
    "worker": lambda path: damaged(path, "UPDATE training SET state = 'running', worker = 'x'"),
    "table": lambda path: damaged(path, "DROP TABLE report"),
    "rows": lambda path: damaged(path, "DELETE FROM study"),
    "folds": lambda path: damaged(path, "DELETE FROM fold"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("verb", ["status", "verdict", "report"])
def test_a_damaged_journal_is_one_line(
    copied: Path, capsys: pytest.CaptureFixture[str], damage: str, verb: str
) -> None:
    DAMAGES[damage](copied / "journal.sqlite")
    code = main([verb, str(copied)])
    said = capsys.readouterr().err
    fine = {("worker", "verdict"), ("worker", "report"), ("influences", "status")}
    fine |= {("folds", "status"), ("score", "status")} & {(damage, verb)}
    if code or (damage, verb) not in fine:
        assert code == 2
        assert said.startswith("lossmith: ")
        assert said.count("\n") == 1


def test_other_folders_are_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign, selected = tmp_path / "foreign", tmp_path / "selected"
    foreign.mkdir()
    selected.mkdir()
    with sqlite3.connect(foreign / "journal.sqlite") as database:
        database.execute("CREATE TABLE orders (id INTEGER)")
    for name in ("model.json", "report.html"):
        (selected / name).write_text("{}")
    before = (foreign / "journal.sqlite").read_bytes()
    told = {
        tmp_path / "none": "there is no folder",
        tmp_path: "holds no study",
        selected: "a run of lossmith select: open its report.html",
        foreign: "no such table: study",
    }
    for place, text in told.items():
        for verb in ("status", "verdict", "report"):
            assert main([verb, str(place)]) == 2
            said = capsys.readouterr().err
            assert text in said
            assert said.count("\n") == 1
    assert (foreign / "journal.sqlite").read_bytes() == before
    assert sorted(place.name for place in foreign.iterdir()) == ["journal.sqlite"]


def test_the_report_of_select_is_not_overwritten(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / "loss.json").write_text("{}")
    assert main(["report", str(copied)]) == 2
    assert "give --out" in capsys.readouterr().err


def test_a_report_is_a_web_page(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for out, told in (("page.json", "call it"), ("no/page.html", "cannot write")):
        assert main(["report", str(copied), "--out", str(tmp_path / out)]) == 2
        assert told in capsys.readouterr().err


# ---- judge


def scores_file(place: Path) -> Path:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        [
            {"loss": name, "fold": fold, "row": row, "score": gain + draw.normal(0, 0.1)}
            for name, gain in (("ce", 0.5), ("dice\x1b[2J", 0.7))
            for fold in range(5)
            for row in range(20 * fold, 20 * fold + 20)
        ]
    )
    frame.to_csv(place / "scores.csv", index=False)
    return place / "scores.csv"


def test_judge_prints_the_verdict_and_writes_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, page = scores_file(tmp_path), tmp_path / "report.html"
    text = shown(
        capsys, "judge", file, "--default", "ce", "--better", "higher", "--metric", "IoU",
        "--out", page,
    )  # fmt: skip
    assert r"Switch from ce to dice\x1b[2J: IoU" in text
    assert "\x1b" not in text
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["comparison"]["units"] == 100
    written = page.read_text()
    for untrue in ("untouched", "loss.json", "The study took", "seed</th>", "learning<br>rate"):
        assert untrue not in written
    assert "measured elsewhere" in written


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none.csv", "--default", "ce", "--better", "lower"], "there is no file"),
        (["{file}", "--default", "cee", "--better", "lower"], "did you mean 'ce'"),
        (["{file}", "--default", "ce"], "--better"),
        (["{file}", "--default", "ce", "--better", "lower", "--out", "x.txt"], "x.html"),
    ],
)
def test_judge_tells_mistakes_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    file = str(scores_file(tmp_path))
    assert main(["judge", *(a.format(file=file) for a in arguments)]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_the_studys_names_are_lossmiths(ended: Path) -> None:
    assert lossmith.Study.__name__ == "Study"
    assert {"Study", "judge", "select"} <= set(lossmith.__all__)
    assert isinstance(verdict_in(ended), Verdict)
    shutil.rmtree(ended.parent / "nothing", ignore_errors=True)
