"""Everything a user can get wrong: one line that says what to change, and nothing left behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import lossmith
from lossmith import select
from lossmith.cli.main import main
from lossmith.study.base.errors import InputError

ROWS = 60


def table(**columns: Any) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    plain = {"a": generator.normal(size=ROWS), "b": generator.normal(size=ROWS)}
    return pd.DataFrame(plain | {"price": plain["a"] + 1.0} | columns)


def classes(*counts: int) -> list[str]:
    return [name for name, count in zip("xyz", counts, strict=False) for _ in range(count)]


def complaint(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Run the command, which must fail with one line and code 2; return the line."""
    assert main(argv) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("lossmith: ")
    assert shown.err.count("\n") == 1
    return shown.err


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Return a function that selects on a table, expects a refusal, and looks for leftovers."""
    monkeypatch.chdir(tmp_path)

    def run(frame: pd.DataFrame | str | bytes, *more: str, metric: str = "mae") -> str:
        path = tmp_path / "t.csv"
        if isinstance(frame, pd.DataFrame):
            frame.to_csv(path, index=False)
        else:
            path.write_bytes(frame.encode() if isinstance(frame, str) else frame)
        before = sorted(tmp_path.rglob("*"))
        target = () if "--target" in more else ("--target", "price")
        line = complaint(capsys, "select", "t.csv", "--metric", metric, *target, *more)
        assert sorted(tmp_path.rglob("*")) == before
        return line

    return run


def test_several_targets_are_named_between_commas(refused: Callable[..., str]) -> None:
    frame = pd.DataFrame({"x": range(60), "area, m²": range(60), "price": range(60)})
    line = refused(frame, "--target", 'price,"area, m³"', metric="mae,mae")
    assert "there is no column 'area, m³'; did you mean 'area, m²'?" in line
    line = refused(frame, "--target", 'price, "area, m²", x', metric="mae,mae")
    assert "3 targets" in line


def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "houses.csv").write_text("a\n1\n")
    ask = "--target", "price", "--metric", "mae", "--out", str(tmp_path / "run")
    line = complaint(capsys, "select", str(tmp_path / "house.csv"), *ask)
    assert "there is no file" in line
    assert "did you mean 'houses.csv'?" in line
    assert "is a folder" in complaint(capsys, "select", str(tmp_path), *ask)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("a,price\n", "header but no rows"),
        ("a,a,price\n1,2,3\n", "more than one column called 'a'"),
        (b"a,price\n\xe9,1\n", "is not UTF-8 (byte 0xe9"),
        ("a,price\n1,2\n3,4,5\n", "line 3"),
        ("a,price\n" + "1,2\n" * 49, "has 49 rows with a value; a study needs at least 50"),
    ],
)
def test_files_that_hold_no_table(refused: Callable[..., str], content: Any, words: str) -> None:
    assert words in refused(content)


@pytest.mark.parametrize(
    ("column", "metric", "words"),
    [
        (["cheap", "dear"] * 30, "mae", "holds 'cheap', which is not a number"),
        ([7.0] * ROWS, "mae", "is 7 in every row"),
        ([np.nan] * ROWS, "mae", "has no values"),
        ([*range(ROWS - 1), np.inf], "mae", "is infinite in 1 row;"),
        ([np.nan] * 15 + list(range(45)), "mae", "has 45 rows with a value"),
        (list(range(ROWS)), "mape", "mape divides by the target, which is 0 in 1 rows"),
        (list(range(-5, ROWS - 5)), "rmsle", "rmsle needs targets above -1"),
        (["x"] * ROWS, "accuracy", "is 'x' in every row; a study needs two classes"),
        (classes(59, 1), "auroc", "class 'y' of column 'price' has 1 row, "),
        (classes(30, 26, 4), "auroc", "class 'z' of column 'price' has 4 rows, "),
        (classes(53, 4, 3), "accuracy", "needs at least 5, and 'y' too few as well; remove"),
        (["?"] * 12 + [*range(48)], "mae", "'?', which is not a number, and so in 12 of 60 rows"),
        ([*range(100, 159), "Total"], "accuracy", "to learn (all but 'Total' are numbers)"),
        (classes(20, 20, 20), "f1", "metric f1 is for binary, but the task is multiclass"),
        ([f"id{row}" for row in range(ROWS)], "accuracy", "60 classes in 60 rows"),
        (["2024-01-01"] * 30 + ["2024-01-02"] * 30, "rmse", "is not a number"),
    ],
)
def test_targets_that_make_no_task(
    refused: Callable[..., str], column: list, metric: str, words: str
) -> None:
    assert words in refused(table(price=column), metric=metric)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (table()[["price"]], "the target is the only column"),
        (table(a=np.nan, b=""), "every column but the target is empty or constant"),
        (table(a=3, b=np.nan), "every column but the target is empty or constant"),
    ],
)
def test_features_that_tell_nothing(
    refused: Callable[..., str], frame: pd.DataFrame, words: str
) -> None:
    assert words in refused(frame)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--target", "Prise"), "there is no column 'Prise'; did you mean 'price'?"),
        (("--target", "zzz"), "the columns are a, b, price"),
        (("--target", "a,price"), "there is no column 'a,price'"),
        (("--candidates", "mse,hubber"), "no loss is called 'hubber'; did you mean huber"),
        (("--candidates", "quantile_tracking"), "it wraps or waits for more than a study"),
        (("--candidates", "quantile"), "its level is that of metric pinball@q"),
        (("--candidates", "cross_entropy"), "cannot train a regression task; these can: "),
        (("--candidates", "mse,,mae"), "is no list of losses"),
        (("--budget", "soon"), "'soon' is no time; write 60s, 5m or 1h"),
        (("--budget", "0s"), "'0s' is no time"),
        (("--budget", "-5"), "is no time"),
        (("--seed", "-1"), "seed must be from 0"),
        (("--seed", "x"), "invalid int value: 'x'"),
        (("--task", "guessing"), "not 'guessing'"),
        (("--task", "binary"), "has 60 distinct values; --task binary needs two"),
        (("--positive", "yes"), "--positive is for two classes"),
        (("--out", "t.csv"), "cannot write to t.csv: "),
        (("--out", "t.csv/run"), "cannot write to t.csv/run: "),
        (("--out", "/proc/run/one"), "cannot write to /proc/run/one: "),
        (("--unknown",), "there is no option --unknown (see lossmith select --help)"),
    ],
)
def test_options_that_do_not_fit(
    refused: Callable[..., str], options: tuple[str, ...], words: str
) -> None:
    assert words in refused(table(), *options)


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("accurracy", "no metric is called 'accurracy'; did you mean accuracy"),
        ("pinball@2", "needs a level between 0 and 1"),
        ("pinball", "needs a level between 0 and 1"),
    ],
)
def test_metrics_that_are_none(refused: Callable[..., str], metric: str, words: str) -> None:
    assert words in refused(table(), metric=metric)


def test_a_metric_for_another_task(refused: Callable[..., str]) -> None:
    line = refused(table(), "--task", "regression", metric="auroc")
    assert "metric auroc is for binary or multiclass, but the task is regression" in line
    assert "rmse, mae" in line


def test_an_unknown_positive_class(refused: Callable[..., str]) -> None:
    line = refused(table(price=classes(30, 30)), "--positive", "z", metric="auroc")
    assert "--positive is 'z', but the classes are x and y" in line


def test_a_folder_with_other_files_is_left_alone(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "predictions.csv").write_text("precious")
    assert "mine holds predictions.csv, which no run" in refused(table(), "--out", "mine")
    assert (tmp_path / "mine" / "predictions.csv").read_text() == "precious"


@pytest.mark.parametrize(
    "argv", [(), ("select",), ("select", "t.csv", "--target", "a"), ("predict", "run"), ("choose",)]
)
def test_commands_that_are_not_complete(
    capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]
) -> None:
    assert "--help)" in complaint(capsys, *argv)


# From Python: the same error, as an exception.

NUMBERS = np.random.default_rng(0).normal(size=(ROWS, 3))
IMAGES = torch.zeros(ROWS, 2), torch.arange(ROWS) % 2


def linear(width: int) -> nn.Module:
    return nn.Linear(2, width)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"data": NUMBERS, "target": 0}, "say what a good prediction is"),
        ({"metric": "mae"}, "give either data and target, or model and train"),
        ({"data": NUMBERS, "metric": "mae"}, "name the column to predict"),
        ({"data": NUMBERS, "target": 3, "metric": "mae"}, "target is column 3, but there are 3"),
        ({"data": NUMBERS, "target": np.zeros(5), "metric": "mae"}, "target has 5 values, but"),
        ({"data": NUMBERS[:, 0], "target": 0, "metric": "mae"}, "a 2-d array"),
        ({"data": "t.csv", "target": "a", "metric": "mae"}, "a pandas or Polars DataFrame"),
        ({"data": NUMBERS, "target": 0, "metric": "mae", "epochs": 0}, "epochs must be above 0"),
        ({"data": NUMBERS, "target": 0, "metric": "mae", "budget": -1}, "budget must be above 0"),
        (
            {"data": NUMBERS, "target": 0, "metric": "mae", "budget": float("nan")},
            "budget must be above 0",
        ),
        ({"data": NUMBERS, "target": 0, "metric": "mae", "batch_size": 0}, "batch_size must be"),
        (
            {"data": NUMBERS, "target": 0, "metric": "mae", "learning_rates": []},
            "learning_rates must be numbers above 0",
        ),
        ({"data": NUMBERS, "target": 0, "metric": "mae", "seed": 2**31}, "seed must be from 0"),
        ({"model": linear, "metric": "accuracy"}, "give either data and target, or"),
        ({"model": linear, "train": 3, "metric": "accuracy"}, "a map-style dataset"),
        (
            {"model": linear, "train": (IMAGES[0], IMAGES[1][:9]), "metric": "accuracy"},
            "60 inputs but 9 targets",
        ),
        (
            {"model": linear, "train": (IMAGES[0], IMAGES[1] / 1.0), "metric": "accuracy"},
            "classes must be integers",
        ),
        (
            {"model": lambda width: nn.Linear(2, 7), "train": IMAGES, "metric": "accuracy"},
            "must give outputs of shape",
        ),
        (
            {"model": lambda width: "net", "train": IMAGES, "metric": "accuracy"},
            "must return an nn.Module",
        ),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict, words: str) -> None:
    with pytest.raises(InputError) as caught:
        select(**arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_error_is_a_value_error_and_select_is_lazy() -> None:
    assert issubclass(InputError, ValueError)
    with pytest.raises(AttributeError, match="no attribute 'selct'"):
        lossmith.selct  # noqa: B018


# Odd, but not wrong: the study goes on, and its numbers are finite.

N = 90
DRAWN = np.random.default_rng(1).normal(size=(N, 2))
A, B = DRAWN.T
Y = A + B**2
ODD = {
    "huge values": ({"a": A, "t": Y * 1e30}, "mae", "huber"),
    "one gross value": ({"a": A, "t": np.where(np.arange(N) == 3, 1e30, Y)}, "rmse", "mae"),
    "tiny values": ({"a": A, "t": Y * 1e-30}, "mae", "mse"),
    "infinite features": (
        {"a": np.where(B > 1, np.inf, A), "b": np.where(B > 1, -np.inf, B), "t": Y},
        "mae",
        "mse",
    ),
    "one column": ({"a": A, "t": Y}, "mae", "mse"),
    "a column of nothing": ({"a": A, "empty": np.nan, "t": Y}, "mae", "mse"),
    "only the default": ({"a": A, "t": Y}, "rmse", "mse"),
    "six rows of a class": ({"a": A, "t": ["yes"] * 6 + ["no"] * 84}, "balanced_accuracy", "focal"),
    "five rows of a class": ({"a": A, "t": [*"x" * 40, *"y" * 45, *"z" * 5]}, "f1_macro", "focal"),
    "booleans": ({"a": A, "t": A > 0}, "auroc", "brier"),
    "leading spaces": ({"a": A, "t": np.where(A > 0, " up", "up")}, "accuracy", "brier"),
    "a name with commas": ({"größe, [m²]": A, "Preis, [€] “net”": Y}, "mae", "mse"),
    "mostly one value": ({"a": A, "t": np.where(np.arange(N) < 75, 0, Y)}, "medae", "mse"),
    "negative targets": ({"a": A, "t": Y - 9}, "mae", "mse"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ODD)
def test_odd_tables_are_studied(case: str, tmp_path: Path) -> None:
    columns, metric, candidate = ODD[case]
    frame = pd.DataFrame(columns)
    target = str(frame.columns[-1])
    selection = quick(frame, target, metric, candidate, out=tmp_path / "run")
    test = selection.result.test
    assert test["default"] is not None
    assert np.isfinite([test["default"], test["selected"]]).all()
    told = selection.predict(frame)
    assert len(told) == N
    if selection.problem.targets[0].classes:
        assert set(told["prediction"]) <= set(frame[target])
        assert np.allclose(told.filter(like="probability_").sum(axis=1), 1, atol=1e-5)


def quick(frame: pd.DataFrame, target: str, metric: str, candidate: str, **more: Any) -> Any:
    return select(
        frame,
        target=target,
        metric=metric,
        candidates=[candidate],
        learning_rates=[3e-3],
        **{"epochs": 2, **more},
    )


def test_rows_to_predict_that_do_not_fit() -> None:
    frame = pd.DataFrame({"a": [*map(str, A[:-1]), "?"], "b": A, "t": Y})
    selection = quick(frame, "t", "mae", "mse")
    assert len(selection.predict(frame)) == N
    with pytest.raises(InputError, match="column 'b' holds 'high', but the model"):
        selection.predict(frame.assign(b=["high", *B[1:]]))
    with pytest.raises(InputError, match="the table has no rows; give at least one"):
        selection.predict(frame.head(0))
    with pytest.raises(InputError, match=r"got Series of shape .*frame.iloc\[\[0\]\]"):
        selection.predict(frame.iloc[0])


def test_a_missing_column_suggests_only_one_that_may_be_it() -> None:
    frame = pd.DataFrame({"rate1": A, "rate2": B, "rate": Y})
    selection = quick(frame, "rate", "mae", "mse")
    with pytest.raises(InputError, match=r"column 'rate2' of the training table missing$"):
        selection.predict(frame.drop(columns="rate2"))
    with pytest.raises(InputError, match=r"missing; did you mean 'Rate 2'\?"):
        selection.predict(frame.rename(columns={"rate2": "Rate 2"}))


@pytest.mark.filterwarnings("ignore")
def test_a_candidate_that_diverges_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    values = lossmith.LogCosh.values
    monkeypatch.setattr(
        lossmith.LogCosh, "values", lambda *given: values(*given) * torch.tensor(torch.nan)
    )
    frame = pd.DataFrame({"a": A, "t": Y})
    result = quick(frame, "t", "mae", "log_cosh").result
    diverged = [row for row in result.candidates if row.status == "diverged"]
    assert [row.name for row in diverged] == ["log_cosh"]
    assert diverged[0].score is None
    assert result.verdict == "keep"


def test_a_study_without_time_keeps_the_default_and_says_so() -> None:
    found = quick(pd.DataFrame({"a": A, "t": Y}), "t", "mae", "mse", budget=1e-6)
    assert found.verdict == "keep"
    assert found.result.sentence.endswith("The study was stopped before its end.")


def test_models_trained_beyond_what_was_measured_are_said_to_be() -> None:
    frame = pd.DataFrame({"a": A, "t": Y})
    found = quick(frame, "t", "mae", "mse", budget=1e-6, epochs=20)
    measured = found.measurements.errors_by_epoch(found.measurements.default)[1][-1]
    assert 1 <= measured < 20
    said = f"Its final models trained for 20 epochs, of which {measured} w"
    assert said in found.result.sentence
    whole = quick(frame, "t", "mae", "mse", epochs=2)
    assert "final models" not in whole.result.sentence


def test_log_candidates_are_for_targets_that_have_logs() -> None:
    spread = np.exp(2 * A)
    for target, wanted in ((spread, True), (spread - 1, False)):
        frame = pd.DataFrame({"a": A, "t": target})
        names = [row.name for row in quick(frame, "t", "mae", "mse").result.candidates]
        assert ("log1p(mse)" in names) == wanted


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lossmith.study.selection.storage.Encoder.save", full)
    with pytest.raises(InputError, match="No space left on device"):
        quick(pd.DataFrame({"a": A, "t": Y}), "t", "mae", "mse", out=tmp_path / "runs" / "one")
    left = [place.name for place in (tmp_path / "runs" / "one").iterdir()]
    assert left == ["study"]  # from which the same call goes on


def test_a_run_replaces_an_earlier_one_whole(tmp_path: Path) -> None:
    quick(pd.DataFrame({"a": A, "t": Y}), "t", "mae", "mse", out=tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    assert (tmp_path / "encoder.skops").exists()
    select(
        model=linear,
        train=(torch.randn(ROWS, 2), IMAGES[1]),
        metric="accuracy",
        candidates=["brier"],
        epochs=2,
        learning_rates=[3e-3],
        out=tmp_path,
        force=True,
    )
    left = {file.name for file in tmp_path.iterdir()}
    assert {"notes.txt", "model.safetensors", "result.json"} <= left
    assert not {"encoder.skops", "model.json"} & left
    assert not [name for name in left if name.startswith(".")]
