"""The command `lossmith doctor`: set-ups from functions, tables, and what it says of mistakes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lossmith.cli.main import main

SETUP = """
import torch
from torch import nn

X, Y = torch.randn(16, 4), torch.arange(16) % 3
BROKEN = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1))

def broken():
    return BROKEN, nn.CrossEntropyLoss(), (X, Y)

def right():
    return {"model": nn.Linear(4, 3), "loss": nn.CrossEntropyLoss(), "batch": (X, Y)}

def nothing():
    return None

def unknown():
    return {**right(), "rate": 0.1}

def fails():
    raise OSError("no such data")
"""


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set_up_of_a_test.py").write_text(SETUP)
    random = np.random.default_rng(0)
    y = random.normal(size=120)
    table = pd.DataFrame({"x": random.normal(size=120), "copy": 2 * y, "y": y})
    table.to_csv(tmp_path / "leaks.csv", index=False)
    table.drop(columns="copy").to_csv(tmp_path / "sound.csv", index=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("place", ["set_up_of_a_test", "set_up_of_a_test.py"])
def test_what_is_wrong_is_a_line_and_an_exit_code(
    place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", f"{place}:broken"]) == 1
    assert capsys.readouterr().out.startswith("error: probabilities passed as logits: ")
    assert main(["doctor", f"{place}:right"]) == 0
    assert capsys.readouterr().out == "nothing wrong was found\n"


def test_a_table_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "leaks.csv", "--target", "y"]) == 1
    assert "warning: leak: copy; is a monotone function of the target" in capsys.readouterr().out
    assert main(["doctor", "sound.csv", "--target", "y"]) == 0


def test_a_table_of_grades_in_order_of_time(capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"x": random.normal(size=200), "grade": np.arange(200) // 67})
    table["day"] = pd.date_range("2024-01-01", periods=200)
    table["grade"] = np.array(["zeta", "beta", "eta"])[table["grade"]]
    table.to_csv("t.csv", index=False)
    words = ["doctor", "t.csv", "--target", "grade", "--task", "ordinal"]
    assert main(words) == 2
    assert "--order" in capsys.readouterr().err
    words += ["--order", "eta,beta,zeta"]
    assert main(words) == 1
    assert "warning: rows in order of time: day" in capsys.readouterr().out
    main([*words, "--time", "day"])
    assert "rows in order" not in capsys.readouterr().out


def test_a_table_of_times_and_one_of_queries(capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"x": random.normal(size=120), "days": 1 + random.random(120)})
    table = rows.assign(
        left=np.arange(120) % 2 + 1, grade=np.arange(120) % 3, q=np.arange(120) // 5
    )
    table.to_csv("t.csv", index=False)
    words = ["doctor", "t.csv", "--target"]
    times = ["days", "--event", "left", "--positive", "2", "--metric", "concordance"]
    assert main([*words, *times]) == 1
    assert "warning: events: 60 (50 %)" in capsys.readouterr().out
    assert main([*words, "grade", "--groups", "q", "--metric", "ndcg@10"]) in (0, 1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["leaks.csv"], "a table needs --target COLUMN"),
        (["set_up_of_a_test:right", "--event", "x"], "--event is for a table, with --target"),
        (["leaks.csv", "--target", "z"], "there is no column 'z'"),
        (["none.csv", "--target", "y"], "none.csv"),
        (["none.py:broken"], "there is no file none.py"),
        (["no_such_module:broken"], "no_such_module can't be imported: ModuleNotFoundError"),
        (["set_up_of_a_test:none"], "set_up_of_a_test has no function 'none'"),
        (["set_up_of_a_test:nothing"], "or a tuple (model, loss, batch), got NoneType"),
        (["set_up_of_a_test:unknown"], "unexpected keyword argument 'rate'"),
        (["set_up_of_a_test:fails"], "set_up_of_a_test:fails raised OSError: no such data"),
    ],
)
def test_mistakes_are_one_line(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", *argv]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
