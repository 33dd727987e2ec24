"""The command line from end to end: its verbs, what they print and leave, and how they end."""

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import lossmith
from lossmith.catalogue import find
from lossmith.cli.interrupt import Interruption
from lossmith.cli.main import _keys, _seconds, main
from lossmith.cli.screen import Screen
from lossmith.study.data.cells import Cells, Columns
from lossmith.study.selection.storage import load
from lossmith.study.training.budget import Budget

FILES = {
    "report.html",
    "result.json",
    "loss.json",
    "predictions.csv",
    "model.json",
    "model.safetensors",
    "encoder.skops",
}
SELECT = "select {name}.csv --target"
STUDIES = (
    ("homes", "Preis, €", "mae", ["dear"], ("--candidates", "mse,huber(delta=0.5)")),
    (
        "dear",
        "dear",
        "f1",
        ["Preis, €", "garden"],
        ("--candidates", "brier", "--positive", "no", "--out", "runs/it"),
    ),
)
START = [sys.executable, "-m", "lossmith"]


def mixed(rows: int) -> pd.DataFrame:
    """A table of all kinds of columns; a few targets are missing, some words lead with spaces."""
    draw = np.random.default_rng(0)
    area, kind = draw.normal(100, 20, rows), draw.choice([" flat", "house"], rows)
    price = 3 * area + 40 * (kind == "house") + draw.normal(0, 20, rows)
    return pd.DataFrame(
        {
            "area": np.where(draw.random(rows) < 0.1, np.nan, area),
            "kind": kind,
            "garden": draw.random(rows) < 0.5,
            "sold": pd.date_range("2020-01-01", periods=rows).strftime("%Y-%m-%d"),
            "Preis, €": np.where(np.arange(rows) < 7, np.nan, price),
            "dear": np.where(price > 400, "yes, dear", "no"),
        }
    )


def brief(*_: Any, **__: Any) -> Budget:
    return Budget(epochs=3, batch=32)


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A regression and a binary study, run once by the command; what they printed, by metric."""
    place = tmp_path_factory.mktemp("studies")
    frame, printed = mixed(150), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Budget, "for_rows", brief)
        patch.chdir(place)
        for name, target, metric, others, keys in STUDIES:
            frame.drop(columns=others).to_csv(f"{name}.csv", index=False)
            patch.setattr(sys, "stdout", shown := io.StringIO())
            patch.setattr(sys, "stderr", said := io.StringIO())
            code = main([*SELECT.format(name=name).split(), target, "--metric", metric, *keys])
            printed[metric] = code, shown.getvalue(), said.getvalue()
    return {"place": place, "frame": frame, **printed}


def test_select_shows_the_diagnosis_the_candidates_and_the_verdict(studied: dict) -> None:
    code, shown, said = studied["mae"]
    assert code == 0
    assert shown.startswith("Preis, €: regression, 143 rows, 4 columns")
    parts = ["7 rows without a value", "difference to default", "\n mae ", "Keep mae"]
    parts += ["On 29 untouched rows: MAE", "times what evaluating the default alone takes"]
    parts += [f"Report: {Path('runs/homes/report.html')}"]
    assert [part for part in parts if part not in shown] == []
    places = [shown.index(part) for part in parts]
    assert places == sorted(places)
    assert "screening" in said
    assert "measuring" in said
    assert "Warning" not in said


def test_select_writes_a_run(studied: dict) -> None:
    run = studied["place"] / "runs" / "homes"
    assert {file.name for file in run.iterdir()} == FILES | {"study"}
    assert {file.name for file in run.parent.iterdir()} == {"homes", "it"}
    result = json.loads((run / "result.json").read_text())
    assert result["rows"] == {"total": 150, "train": 114, "test": 29, "dropped": 7}
    assert {row["name"] for row in result["candidates"]} == {"mae", "mse", "huber(delta=0.5)"}
    assert result["command"] == (
        "lossmith select homes.csv --target 'Preis, €' --metric mae "
        "--candidates 'mse,huber(delta=0.5)'"
    )
    assert lossmith.load(run / "loss.json").card.key in {"transformed", "mae", "mse", "huber"}


def test_predict_repeats_what_the_study_predicted(
    studied: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, rows = studied["place"] / "runs" / "homes", studied["frame"]
    written = pd.read_csv(run / "predictions.csv")
    rows.drop(columns=["Preis, €", "dear"]).to_csv(tmp_path / "new.csv", index=False)
    assert main(["predict", str(run), str(tmp_path / "new.csv")]) == 0
    told = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert list(told) == ["prediction"]
    assert len(told) == len(rows)
    assert np.allclose(told["prediction"].iloc[written["row"]], written["prediction"], rtol=1e-5)


def test_untouched_rows_are_numbered_as_in_the_file(studied: dict) -> None:
    written = pd.read_csv(studied["place"] / "runs" / "homes" / "predictions.csv")
    target = studied["frame"]["Preis, €"]
    assert target.isna().sum() == 7
    assert np.allclose(target.iloc[written["row"]], written["target"])


def test_predict_gives_a_probability_for_each_class(studied: dict, tmp_path: Path) -> None:
    place = studied["place"]
    out = tmp_path / "told.csv"
    argv = ["predict", str(place / "runs" / "it"), str(place / "dear.csv"), "--out", str(out)]
    assert studied["f1"][0] == main(argv) == 0
    told = pd.read_csv(out)
    assert list(told) == ["prediction", "probability_yes, dear", "probability_no"]
    assert set(told["prediction"]) <= {"yes, dear", "no"}
    assert np.allclose(told.iloc[:, 1:].sum(axis=1), 1, atol=1e-5)
    assert "the positive class is 'no'" in " ".join(studied["f1"][1].split())


def test_predict_names_categories_that_training_did_not_see(
    studied: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, rows = studied["place"] / "runs" / "homes", studied["frame"].copy()
    name = next(name for name in rows if rows[name].dropna().map(type).eq(str).all())
    rows[name] = "never"
    rows.to_csv(tmp_path / "new.csv", index=False)
    assert main(["predict", str(run), str(tmp_path / "new.csv")]) == 0
    shown = capsys.readouterr()
    assert shown.err == (
        f"lossmith: column {name!r} holds 'never' in {len(rows)} rows: "
        "not seen in training, so read as rare\n"
    )
    assert shown.out.startswith("prediction\n")
    with pytest.warns(UserWarning, match="not seen in training"):
        load(run).predict(rows)


def test_predict_reads_the_cells_of_a_table_once(
    studied: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    real = Columns.read

    def counted(self: Columns, frame: pd.DataFrame) -> Cells:
        read.append(len(frame))
        return real(self, frame)

    monkeypatch.setattr(Columns, "read", counted)
    place, rows = studied["place"], len(studied["frame"])
    (place / "again.csv").write_text(studied["frame"].to_csv(index=False))
    out = str(place / "again_told.csv")
    assert main(["predict", str(place / "runs/homes"), str(place / "again.csv"), "--out", out]) == 0
    assert read.count(rows) == 1
    load(place / "runs/homes").predict(studied["frame"])
    assert read.count(rows) == 2


def error(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(argv) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("lossmith: ")
    assert shown.err.count("\n") == 1
    return shown.err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            ["select", "t.csv", "--metrc", "mae"],
            "there is no option --metrc; did you mean --metric?",
        ),
        (
            ["select", "t.csv", "--candidats=mae"],
            "no option --candidats; did you mean --candidates?",
        ),
        (["predict", "run", "t.csv", "--output", "a"], "no option --output; did you mean --out?"),
        (["list", "--xyzzy"], "there is no option --xyzzy (see lossmith list --help)"),
    ],
)
def test_an_option_that_there_is_not_is_named_with_the_nearest(
    given: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in error(capsys, *given)


def test_predict_refuses_what_it_cannot_read(
    studied: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, new = str(studied["place"] / "runs" / "homes"), tmp_path / "new.csv"
    studied["frame"].drop(columns="kind").rename(columns={"area": "Areas"}).to_csv(new)
    line = error(capsys, "predict", run, str(new))
    assert "columns 'area', 'kind' of the training table missing; did you mean 'Areas'?" in line
    assert "holds no model; name a folder" in error(capsys, "predict", str(tmp_path), str(new))
    assert "there is no file" in error(capsys, "predict", run, str(tmp_path / "gone.csv"))
    table = str(studied["place"] / "homes.csv")
    line = error(capsys, "predict", run, table, "--out", f"{new}/deep.csv")
    assert "deep.csv: Not a directory; choose another --out" in line


@pytest.mark.parametrize(
    ("name", "cell"), [("area", "high"), ("area", "59,0"), ("sold", "31.01.2020"), ("sold", 7)]
)
def test_predict_refuses_cells_of_another_kind(
    name: str, cell: Any, studied: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, new = studied["frame"].astype({name: object}), tmp_path / "new.csv"
    rows.loc[3, name] = cell
    rows.to_csv(new, index=False)
    for run in ("homes", "it"):
        line = error(capsys, "predict", str(studied["place"] / "runs" / run), str(new))
        assert f"column {name!r} holds {str(cell)!r}, but the model was trained on" in line


@pytest.mark.parametrize("name", sorted(FILES - {"report.html", "result.json", "predictions.csv"}))
@pytest.mark.parametrize("content", [b"", b"[1, 2]", b'{"lossmith": 1}', b"\x80\x04N."])
def test_tampered_files_are_refused(
    name: str,
    content: bytes,
    studied: dict,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for file in (studied["place"] / "runs" / "homes").glob("*.*"):
        (tmp_path / file.name).write_bytes(content if file.name == name else file.read_bytes())
    line = error(capsys, "predict", str(tmp_path), str(studied["place"] / "homes.csv"))
    assert str(tmp_path) in line


@pytest.mark.parametrize("name", ["loss.json", "encoder.skops", "model.safetensors", "model.json"])
def test_files_of_two_runs_do_not_mix(
    name: str, studied: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (studied["place"] / "runs" / "it").glob("*.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / name).write_bytes((studied["place"] / "runs" / "homes" / name).read_bytes())
    table = str(studied["place"] / "dear.csv")
    assert str(tmp_path) in error(capsys, "predict", str(tmp_path), table)


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--task", "binary"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(find("binary"))
    assert main(["list", "--json"]) == 0
    assert [card["key"] for card in json.loads(capsys.readouterr().out)] == list(find())
    assert main(["list", "Face", "recognition"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(find("face recognition"))
    assert main(["list", "boxes", "--json"]) == 0
    assert [card["key"] for card in json.loads(capsys.readouterr().out)] == list(find("boxes"))
    assert "no loss tells of it; the tasks are regression" in error(capsys, "list", "juggling")
    assert main(["show", "huber"]) == 0
    assert capsys.readouterr().out.startswith("Huber (huber)\n")
    assert "no loss is called 'hubr'; did you mean huber" in error(capsys, "show", "hubr")
    assert main(["show", "L1Loss"]) == 0
    assert capsys.readouterr().out.startswith("MAE (mae)\n")
    assert "did you mean CrossEntropy() + Dice()?" in error(capsys, "show", "dice_ce")
    assert "no loss is called 'nosuch'; lossmith list names all" in error(capsys, "show", "nosuch")
    assert "invalid choice: 'binry'" in error(capsys, "list", "--task", "binry")


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lossmith {lossmith.__version__}\n"
    for argv in (["--help"], ["select", "--help"], ["predict", "-h"]):
        assert main(argv) == 0
        shown = capsys.readouterr().out
        assert "example" in shown
        assert "lossmith predict runs/houses" in shown or "--budget 60s" in shown


def test_list_needs_no_extra_and_a_missing_one_is_named() -> None:
    code = (
        "import sys\n"
        "for name in ('numpy', 'pandas', 'sklearn', 'rich'): sys.modules[name] = None\n"
        "from lossmith.cli.main import main\n"
        "assert main(['list']) == 0\n"
        "sys.exit(main(['select', 't.csv', '--target', 'a', '--metric', 'mae']))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("lossmith: select needs ")
    assert done.stderr.endswith("install it with: pip install 'lossmith[select]'\n")
    assert "huber" in done.stdout


def test_a_bug_shows_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossmith.cli.verbs.index", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["show", "huber"])


def test_a_closed_pipe_ends_quietly() -> None:
    process = subprocess.Popen([*START, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 141


def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    screen.err = Console(file=io.StringIO(), force_terminal=True, width=80)
    with screen:
        screen.progress(0.3, "screening 9 losses")
        screen.progress(0.5, "measuring 5 losses")
        screen.bar.refresh()  # type: ignore[union-attr]
    shown = screen.err.file.getvalue()  # type: ignore[attr-defined]
    assert "50 %" in shown
    assert "measuring 5 losses" in shown


# Ctrl-C.


def test_the_first_interrupt_ends_the_race_and_the_second_everything() -> None:
    said: list[str] = []
    before = signal.getsignal(signal.SIGINT)
    with Interruption(said.append) as interruption:
        report = interruption.watched(lambda share, text: None)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)  # nothing runs yet
    with Interruption(said.append) as interruption:
        report = interruption.watched(lambda share, text: None)
        report(0.1, "screening")
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert "what is finished is kept, if anything" in said[-1]
        report(1.0, "training the final models")  # after the race: goes on
        with pytest.raises(SystemExit, match="130"):
            signal.raise_signal(signal.SIGINT)
    with Interruption(said.append) as interruption:
        report = interruption.watched(lambda share, text: None)
        report(1.0, "training the final models")
        signal.raise_signal(signal.SIGINT)  # they are trained to the end
    assert signal.getsignal(signal.SIGINT) is before


def started(place: Path, stage: str) -> subprocess.Popen[str]:
    """Start a long study and wait until it reports a stage."""
    mixed(300).drop(columns="dear").to_csv(place / "t.csv", index=False)
    options = ["--target", "Preis, €", "--metric", "mae", "--candidates", "mse,huber"]
    process = subprocess.Popen(
        [*START, "select", "t.csv", *options],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if stage in line:
            return process
    raise AssertionError(f"the study never reported {stage!r}")


@pytest.mark.parametrize("stage", ["screening", "measuring"])
def test_an_interrupt_keeps_what_is_finished(tmp_path: Path, stage: str) -> None:
    process = started(tmp_path, stage)
    process.send_signal(signal.SIGINT)
    shown, said = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "what is finished is kept, if anything" in said
    assert "The study was stopped before its end." in " ".join(shown.split())
    assert {file.name for file in (tmp_path / "runs" / "t").iterdir()} == FILES | {"study"}
    result = json.loads((tmp_path / "runs" / "t" / "result.json").read_text())
    assert result["interrupted"]
    assert result["verdict"] == "keep"
    assert result["test"]["default"] is not None


def test_an_interrupt_before_anything_is_finished_leaves_nothing(tmp_path: Path) -> None:
    process = started(tmp_path, "preparing")
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    # Python ends by the signal itself where it hit code that was compiled from text; a shell calls
    # both 130.
    assert process.returncode in (130, -signal.SIGINT)
    assert said.endswith("lossmith: stopped; nothing was written\n")
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv"]


def test_help_names_every_metric(capsys: pytest.CaptureFixture[str]) -> None:
    from lossmith.study.metrics import names

    assert main(["select", "--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in names())


def test_a_list_of_losses_splits_outside_parentheses() -> None:
    assert _keys("mse, a(b=1, c=2),huber(delta=0.5)") == ["mse", "a(b=1, c=2)", "huber(delta=0.5)"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("60", 60), ("60s", 60), ("2m", 120), ("1h", 3600), ("0.5 M", 30)]
)
def test_a_budget_in_seconds_minutes_or_hours(text: str, seconds: float) -> None:
    assert _seconds(text) == seconds
