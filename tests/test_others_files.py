"""Files of others are not touched; what is read of them, and what reaches a terminal."""

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lossmith import select
from lossmith.cli.main import main
from lossmith.cli.screen import Screen
from lossmith.core.plain import check_shape, read_json
from lossmith.printable import printable
from lossmith.study.base import out
from lossmith.study.base.errors import InputError
from lossmith.study.base.result import Finding
from lossmith.study.data.files import plain_name
from lossmith.study.data.problem import frame_problem
from lossmith.study.data.table import read_table
from lossmith.study.selection.storage import load, save

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "a": RNG.normal(size=80),
        "kind": RNG.choice(["x", "y"], 80),
        "price": RNG.normal(size=80),
        "sold": RNG.choice(["yes", "no"], 80),
    }
)
ASK = ["--target", "price", "--metric", "mae", "--candidates", "mse", "--budget", "2s"]
QUICK: dict[str, Any] = {"epochs": 1, "learning_rates": [1e-2]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one target of numbers, one of classes, of both, and of models of several losses."""
    place = tmp_path_factory.mktemp("runs")
    FRAME.to_csv(place / "t.csv", index=False)
    one, other = FRAME.drop(columns="sold"), FRAME.drop(columns="price")
    select(one, target="price", metric="mae", candidates=["mse"], out=place / "number", **QUICK)
    parts: dict[str, Any] = {"candidates": ["mse"], "ensemble": "losses", "out": place / "parts"}
    select(one, target="price", metric="mae", **parts, **QUICK)
    select(other, target="sold", metric="f1", candidates=["brier"], out=place / "classes", **QUICK)
    both: dict[str, Any] = {"target": ["price", "sold"], "metric": ["mae", "f1"]}
    select(FRAME, **both, candidates=["mse"], out=place / "both", **QUICK)
    return place


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Return a function that runs a command which must fail in one line and change nothing."""
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("t.csv", index=False)

    def run(*argv: str) -> str:
        before = {file: contents(file) for file in tmp_path.rglob("*")}
        assert main(argv) == 2
        assert {file: contents(file) for file in tmp_path.rglob("*")} == before
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.count("\n") == 1
        assert shown.err.startswith("lossmith: ")
        return shown.err

    return run


def contents(file: Path) -> Any:
    return os.readlink(file) if file.is_symlink() else file.is_file() and file.read_bytes()


# Where a run is written.


@pytest.mark.parametrize("name", out.FILES)
def test_select_leaves_files_of_others_alone(name: str, said: Callable[..., str]) -> None:
    Path("mine").mkdir()
    (Path("mine") / name).write_text('{"verdict": "precious"}')
    for force in ((), ("--force",)):
        line = said("select", "t.csv", *ASK, "--out", "mine", *force)
        assert f"mine holds {name}, which no run of lossmith wrote" in line


@pytest.mark.parametrize("name", out.FILES)
@pytest.mark.parametrize("kind", ["folder", "link", "dead link"])
def test_a_link_or_a_folder_of_a_runs_name_is_refused(
    name: str, kind: str, said: Callable[..., str], runs: Path, tmp_path: Path
) -> None:
    for file in (runs / "number").glob("*.*"):
        if file.name != name:
            (tmp_path / "mine").mkdir(exist_ok=True)
            (tmp_path / "mine" / file.name).write_bytes(file.read_bytes())
    place = tmp_path / "mine" / name
    if kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("../t.csv" if kind == "link" else "gone")
    line = said("select", "t.csv", *ASK, "--out", "mine", "--force")
    assert f"{name} is {'no file' if kind == 'folder' else 'a link'}; remove it" in line


def test_a_finished_study_is_replaced_by_force_alone(
    said: Callable[..., str], tmp_path: Path
) -> None:
    for folder in ("p", "q"):
        Path(folder).mkdir()
        FRAME.drop(columns="sold").to_csv(f"{folder}/data.csv", index=False)
    assert main(["select", "p/data.csv", *ASK]) == 0
    assert (tmp_path / "runs/data/result.json").exists()
    sys.stdout.flush()
    with pytest.raises(InputError, match="holds a finished study"):
        select(FRAME, target="price", metric="mae", out="runs/data")
    assert main(["select", "q/data.csv", *ASK]) == 2
    assert main(["select", "q/data.csv", *ASK, "--force"]) == 0
    assert "q/data.csv" in json.loads(Path("runs/data/result.json").read_text())["command"]
    assert main(["select", "runs/data/predictions.csv", *ASK, "--out", "runs/data"]) == 2


def test_select_does_not_replace_its_input(
    said: Callable[..., str], runs: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for file in (runs / "number").glob("*.*"):
        (run / file.name).write_bytes(file.read_bytes())
    FRAME.to_csv(run / "predictions.csv", index=False)
    os.link(run / "predictions.csv", "same.csv")
    for source in ("run/predictions.csv", "same.csv"):
        line = said("select", source, *ASK, "--out", "run", "--force")
        assert f"run holds the input {source}" in line


@pytest.mark.parametrize("place", ["a\0b", "x" * 300, "t.csv", "t.csv/run", "/dev/full/run"])
def test_a_place_that_cannot_be_written_is_told_before_training(
    place: str, said: Callable[..., str], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lossmith.study.trials.stacked_worker.StackedWorker.run", None)
    line = said("select", "t.csv", *ASK, "--out", place)
    assert "cannot write to" in line
    with pytest.raises(InputError, match="cannot write to"):
        select(FRAME, target="price", metric="mae", out=place)
    if place != "t.csv":
        line = said("predict", str(runs / "number"), "t.csv", "--out", f"{place}/new.csv")
        assert "cannot write to" in line


def test_a_full_disk_is_told_before_training(
    said: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    line = said("select", "t.csv", *ASK, "--out", "deep/run")
    assert "cannot write to deep/run: No space left on device" in line


def test_a_run_that_can_no_longer_be_written_goes_elsewhere(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    frame = FRAME.drop(columns="sold")
    found = select(frame, target="price", metric="mae", candidates=["mse"], **QUICK)
    with pytest.warns(UserWarning, match="holds a finished study.*this run is in"):
        place = save(found, runs / "number")  # as another study wrote it meanwhile
    assert place.parent == tmp_path
    assert len(load(place).predict(frame)) == len(frame)


def test_names_that_are_not_utf8(said: Callable[..., str], tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.csv")
    try:
        FRAME.drop(columns="sold").to_csv(name, index=False)
    except OSError:
        pytest.skip("the file system takes UTF-8 alone")
    assert main(["select", name, *ASK]) == 0
    run = tmp_path / "runs" / os.fsdecode(b"caf\xe9")
    assert set(os.listdir(run)) == {*out.FILES, "study"}
    assert main(["predict", str(run), name]) == 0


# Where predictions are written.


@pytest.mark.parametrize("name", out.FILES)
def test_predict_leaves_files_of_runs_alone(
    name: str, said: Callable[..., str], runs: Path
) -> None:
    run = str(runs / "number")
    for folder in ("number", "both"):
        assert "is a file of a run" in said(
            "predict", run, "t.csv", "--out", f"{runs}/{folder}/{name}"
        )
    os.link(runs / "number" / name, "hard.csv")
    Path("soft.csv").symlink_to(runs / "both" / name)
    for link in ("hard.csv", "soft.csv"):
        assert "is a file of a run" in said("predict", run, "t.csv", "--out", link)


def test_predict_leaves_its_input_alone(said: Callable[..., str], runs: Path) -> None:
    Path("soft.csv").symlink_to("t.csv")
    for name in ("t.csv", "./t.csv", "soft.csv"):
        line = said("predict", str(runs / "number"), "t.csv", "--out", name)
        assert f"{name} is the input itself" in line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux")
def test_an_output_that_is_full_is_told(runs: Path) -> None:
    command = [sys.executable, "-m", "lossmith", "predict", runs / "number", runs / "t.csv"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "lossmith: cannot write the output: No space left on device\n"


# Which files are read.


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return file.getvalue()


TEXT = FRAME.to_csv(index=False).encode()
TABS = FRAME.to_csv(index=False, sep="\t").encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv.gz", gzip.compress(TEXT, mtime=0)),
        ("t.TSV.GZ", gzip.compress(TABS, mtime=0)),
        ("t.csv.bz2", bz2.compress(TEXT)),
        ("t.csv.xz", lzma.compress(TEXT)),
        ("t.zip", zipped(t__csv=TEXT)),
        ("t.csv.zip", zipped(other__tsv=TABS)),
        ("t.parquet.gz", gzip.compress(FRAME.to_parquet(), mtime=0)),
        ("t.zip", zipped(t__parquet=FRAME.to_parquet())),
    ],
)
def test_archives_are_read_as_what_they_hold(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    pd.testing.assert_frame_equal(
        read_table(tmp_path / name), FRAME, check_dtype=False, check_exact=False
    )
    assert plain_name(tmp_path / name) == "t"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv.gz", TEXT, "cannot be unpacked: Not a gzipped file"),
        ("t.csv.gz", gzip.compress(TEXT, mtime=0)[:50], "cannot be unpacked"),
        ("t.csv.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("t.csv.gz", b"", "is empty"),
        ("t.gz", gzip.compress(TEXT, mtime=0), "has the suffix .gz; give .csv, .tsv"),
        ("t.zip", b"PK", "cannot be unpacked: File is not a zip file"),
        ("t.zip", zipped(), "holds 0 files; give an archive of one table"),
        ("t.zip", zipped(a__csv=TEXT, b__csv=TEXT), "holds 2 files"),
        ("t.zip", zipped(a__txt=TEXT), "holds a.txt; give one of .csv"),
        ("t.zip", zipped(a__csv=b"a,price\n\xe9,1\n"), "is not UTF-8 (byte 0xe9"),
        ("t.xlsx", b"PK", "cannot be read as XLSX"),
        ("t.csv.xz", b"no", "cannot be unpacked"),
        ("t.csv.bz2", b"no", "cannot be unpacked"),
    ],
)
def test_damaged_archives_are_told(
    name: str, content: bytes, words: str, said: Callable[..., str]
) -> None:
    if name.endswith("xlsx"):
        pytest.importorskip("openpyxl")
    Path(name).write_bytes(content)
    assert words in said("select", name, *ASK)


def test_a_workbook_is_read(tmp_path: Path, said: Callable[..., str]) -> None:
    pytest.importorskip("openpyxl")
    days = pd.date_range("2020-01-01", periods=80)
    frame = FRAME.assign(day=days, code=[f"{row:03d}" for row in range(80)], gone=None)
    frame.to_excel("t.xlsx", index=False, startrow=1)
    found = read_table("t.xlsx")
    assert np.allclose(found["price"], FRAME["price"])
    assert found["code"].tolist() == frame["code"].tolist()
    problem = frame_problem(found, "price", metric="mae")
    kinds = {name: kind for name, (kind, _) in problem.columns.kinds.items()}
    assert kinds == {"a": "number", "kind": "text", "sold": "text", "day": "date", "code": "text"}
    with pd.ExcelWriter("two.xlsx") as book:
        for sheet in ("one", "two"):
            frame.to_excel(book, sheet_name=sheet)
    assert "has cells in the sheets one, two; keep one" in said("select", "two.xlsx", *ASK)


def test_the_extra_of_workbooks_is_named(
    said: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    Path("t.xlsx").write_bytes(b"PK")
    assert "pip install 'lossmith[xlsx]'" in said("select", "t.xlsx", *ASK)


@pytest.mark.parametrize("name", ["...csv", ".csv", "..csv.gz"])
def test_a_name_of_dots_is_no_folder_above(name: str) -> None:
    assert plain_name(name).strip(".")


# Folders of strangers.

BAD = [
    None, {}, [], [[]], "x", 1, -1.5, True, {"a": 1}, [["a"], ["b"]], [[0.1, 0.9], [0.2, 0.8]],
    10**400, {"loss": "mse", "arguments": {}}, "\x1b[31m", {"tuple": [1]},
]  # fmt: skip


def places(value: Any, path: tuple = ()) -> list[tuple]:
    found = []
    for key, one in value.items() if isinstance(value, dict) else enumerate(value):
        found.append((*path, key))
        found += places(one, (*path, key)) if isinstance(one, (dict, list)) else []
    return found


def changed(text: str, path: tuple, value: str) -> str:
    document = json.loads(text)
    owner = document
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = "@@"
    return json.dumps(document).replace('"@@"', value)


@pytest.mark.parametrize("name", ["model.json", "loss.json"])
@pytest.mark.parametrize("run", ["number", "classes", "both", "parts"])
def test_a_tampered_run_is_refused_in_one_line(
    run: str, name: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (runs / run).glob("*.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (runs / run / name).read_text()
    values = [json.dumps(value) for value in BAD] + ["[" * n + "]" * n for n in (90, 900, 10**5)]
    for path in places(json.loads(text)):
        for value in values:
            (tmp_path / name).write_text(changed(text, path, value))
            code = main(["predict", str(tmp_path), str(runs / "t.csv")])
            line = capsys.readouterr().err
            assert code in (0, 2), (path, value)
            assert line.count("\n") == code // 2, (path, value)
            assert "\x1b" not in line


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("targets", 0, "labels"), [["yes"], ["no"]], "is no label"),
        (("targets", 0, "labels"), ["yes"], "names 1 classes, the loss has 2"),
        (("targets", 0, "labels"), ["yes", "yes"], "names 2 classes"),
        (("targets", 0, "decision"), [[0.5], [0.5]], "model.json, targets, entry 0, decision"),
        (("targets", 0, "decision"), [0.5], "decides on 1 classes"),
        (("lossmith",), {}, "model.json, lossmith must be a whole number, got an object"),
    ],
)
def test_what_is_wrong_with_a_model_is_named(
    path: tuple, value: Any, words: str, runs: Path, tmp_path: Path
) -> None:
    for file in (runs / "classes").glob("*.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(changed(text, path, json.dumps(value)))
    with pytest.raises(InputError, match=words):
        load(tmp_path)


@pytest.mark.parametrize("value", ["[" * 10**5 + "]" * 10**5, "[]", "5", '{"verdict": 1}', "", "{"])
def test_a_result_of_any_shape_is_no_run(value: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(value)
    assert not out.is_run(tmp_path)
    with pytest.raises(InputError, match="which no run of lossmith wrote"):
        out.check_out(tmp_path, force=True)


def test_shapes() -> None:
    check_shape({"a": [1, 2.5], "b": None}, {"a": [float], "b": (str, type(None))}, "it")
    for value in (True, "1", 10**400, None, [1]):
        with pytest.raises(ValueError, match="it must be a number, got"):
            check_shape(value, float, "it")


def test_deep_documents_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 50 + "]" * 50)
    assert read_json(tmp_path / "a.json")
    for depth in (150, 100_000):
        (tmp_path / "a.json").write_text('{"a":' * depth + "1" + "}" * depth)
        with pytest.raises(ValueError, match="nested deeper than 100 levels"):
            read_json(tmp_path / "a.json")


# What reaches a terminal.

ESCAPES = "\x1b]0;title\x07\x1b[31m\x9b2J\x7f\r\b\u202e\u2066\u200f\u2028\ud800"
NAME = f"pri{ESCAPES[:-1]}ce"


def quiet(text: str) -> bool:
    return not any(mark in text for mark in ESCAPES if not mark.isprintable())


def test_printable() -> None:
    assert quiet(printable(ESCAPES))
    assert printable(printable(ESCAPES)) == printable(ESCAPES)
    assert printable("Preis, €  ½ 日本 \u200d👩\u200d🚀") == "Preis, €  ½ 日本 \u200d👩\u200d🚀"


def test_select_shows_no_control_characters(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cells = np.where(FRAME["sold"] == "yes", NAME, "no")
    FRAME.assign(sold=cells, id=[f"{NAME}{n}" for n in range(80)]).rename(
        columns={"price": NAME, "a": f"{NAME}2"}
    ).to_parquet("t.parquet")
    more = ["--budget", "3s", "--candidates"]
    single = ["--target", "sold", "--metric", "f1", "--out", f"run{NAME}".replace("/", "")]
    several = ["--target", f'"{NAME}",sold', "--metric", "mae,f1", "--out", "both"]
    for argv, keys in ((single, "brier"), (several, "mse,brier")):
        assert main(["select", "t.parquet", *argv, *more, keys]) == 0
        shown = capsys.readouterr()
        assert "\\x1b" in shown.out
        assert quiet(shown.out)
        assert quiet(shown.err)
    assert NAME.encode() in Path("both/predictions.csv").read_bytes()  # data stays as it is
    for argv in (["--target", f"{NAME}3"], ["--target", "sold", "--positive", NAME + "x"]):
        assert main(["select", "t.parquet", "--metric", "f1", *argv]) == 2
        assert quiet(capsys.readouterr().err)
    for argv in (["predict", NAME, "t.parquet"], ["show", NAME], [NAME], ["list", "--task", NAME]):
        assert main(argv) == 2
        assert quiet(capsys.readouterr().err)


@pytest.mark.parametrize("terminal", [True, False])
def test_predictions_are_escaped_on_a_terminal_alone(
    terminal: bool,
    runs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for file in (runs / "classes").glob("*.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (tmp_path / "model.json").read_text()
    labels = json.dumps(["\x1b[31myes", "no"])
    (tmp_path / "model.json").write_text(changed(text, ("targets", 0, "labels"), labels))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    assert main(["predict", str(tmp_path), str(runs / "t.csv")]) == 0
    shown = capsys.readouterr().out
    assert ("\x1b" in shown) != terminal
    assert shown.count("\n") == 81


def test_progress_and_findings_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.progress(0.1, f"{NAME}: screening")
    screen.say(NAME)
    screen._findings([Finding(name=NAME, value=NAME, meaning=NAME, level="warning")])
    shown = capsys.readouterr()
    assert quiet(shown.out)
    assert quiet(shown.err)
