"""Class labels of every kind: saved as JSON before anything is trained, and predicted as such."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossmith import select
from lossmith.cli.main import main
from lossmith.study.base.errors import InputError
from lossmith.study.data.labels import as_saved, from_json, to_json
from lossmith.study.data.problem import frame_problem
from lossmith.study.selection.storage import load

RNG = np.random.default_rng(0)
WINTER = pd.Timestamp("2020-10-25 00:30", tz="UTC").tz_convert("Europe/Berlin")
LABELS: dict[str, list[Any]] = {
    "text": ["a", "b"],
    "bytes": [b"a", b"b\xff"],
    "bytes of digits": [b"1", b"2"],
    "dates": [dt.date(2020, 1, 1), dt.date(2020, 1, 2)],
    "times": [dt.time(1), dt.time(2, 3, 4, 5)],
    "datetimes": [dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 2, tzinfo=dt.UTC)],
    "durations": [dt.timedelta(1), dt.timedelta(2, 3, 4)],
    "timestamps": [WINTER, WINTER + pd.Timedelta(hours=1)],
    "nanoseconds": [pd.Timestamp("2020-01-01 00:00:00.000000001"), pd.Timestamp("2020-01-01")],
    "timedeltas": [pd.Timedelta(days=1), pd.Timedelta(5, "ns")],
    "periods": [pd.Period("2020-01", "M"), pd.Period("2020-01-01", "W")],
    "intervals": [pd.Interval(0, 1), pd.Interval(1.5, np.inf, closed="both")],
    "intervals of time": [
        pd.Interval(pd.Timestamp("2019"), pd.Timestamp(year)) for year in ("2020", "2021")
    ],
    "decimals": [Decimal("1.50"), Decimal("10")],
    "tuples": [(1, "a", None), (2, ("b", 0.5))],
    "sets": [frozenset([1, 2]), frozenset([3])],
    "complex": [1j, 2 + 1j],
    "uuids": [UUID(int=1), UUID(int=2)],
    "booleans": [True, False],
    "integers": [3, 2**62],
    "floats": [0.5, 1.5],
    "mixed": [1, "x"],
    "numpy": [np.datetime64("2020-01-01"), np.datetime64("2020-01-02")],
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_go_through_json(kind: str) -> None:
    found = from_json(json.loads(json.dumps(to_json(LABELS[kind]), allow_nan=False)))
    assert found.tolist() == LABELS[kind]
    if kind != "numpy":
        assert list(map(repr, found.tolist())) == list(map(repr, LABELS[kind]))


def table(kind: str, native: bool) -> pd.DataFrame:
    labels = [LABELS[kind][row % 2] for row in range(80)]
    column = pd.Series(labels, dtype=None if native else object)
    return pd.DataFrame({"a": RNG.normal(size=80), "y": column, "z": RNG.normal(size=80)})


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("kind", sorted(LABELS.keys() - {"complex"}))
def test_the_problem_has_the_labels_that_a_run_gives_back(kind: str, native: bool) -> None:
    problem = frame_problem(table(kind, native), "y", metric="accuracy")
    assert set(problem.labels.tolist()) == set(LABELS[kind])
    assert from_json(to_json(problem.labels.tolist())).dtype == problem.labels.dtype


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("kind", ["bytes", "timestamps", "intervals", "tuples", "decimals"])
def test_predict_gives_labels_of_the_same_kind(kind: str, joint: bool, tmp_path: Path) -> None:
    frame = table(kind, native=False)
    ask: dict[str, Any] = {"target": "y", "metric": "accuracy", "candidates": ["brier"]}
    if joint:
        ask |= {"target": ["y", "z"], "metric": ["accuracy", "mae"], "candidates": ["mse"]}
    found = select(frame, out=tmp_path / "run", epochs=1, learning_rates=[1e-2], **ask)
    told = load(tmp_path / "run").predict(frame)
    pd.testing.assert_frame_equal(told, found.predict(frame))
    assert set(told[f"prediction{'_y' * joint}"]) <= set(LABELS[kind])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([int, str], "are of type type; make them text"),
        ([1, "1"], "two classes that are both written '1'"),
        (["a", object()], "of type object; make them text"),
    ],
)
def test_labels_that_cannot_be_saved_are_refused(labels: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_saved(labels, "y")


@pytest.mark.parametrize(
    "written",
    [
        [[1]],
        [{}],
        [{"bytes": 5}],
        [{"period": [1]}],
        [{"period": ["x", "M"]}],
        [{"decimal": "x"}],
        [{"interval": [1, 0, "right"]}],
        [{"interval": 5}],
        [{"tuple": [[1]]}],
        [{"timestamp": [1, "ns", "Nowhere"]}],
        [{"date": "2020-13-01"}],
        [{"pickle": "x"}],
        [{"bytes": "61", "date": "x"}],
    ],
)
def test_what_is_no_label_is_refused(written: list) -> None:
    with pytest.raises(ValueError, match="is no label"):
        from_json(written)


def test_dates_are_no_quantity() -> None:
    for kind in ("dates", "times", "timestamps", "timedeltas", "periods"):
        with pytest.raises(InputError, match="holds dates; make it a number"):
            frame_problem(table(kind, native=True), "y", metric="mae")


# Bytes among the features.


def binary(tmp_path: Path, values: list[bytes | None]) -> Path:
    columns = {"a": RNG.normal(size=80), "raw": pa.array(values, pa.binary())}
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns | {"price": RNG.normal(size=80)}), path)
    return path


def test_a_column_of_bytes_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = binary(tmp_path, [b"\xff%d" % row for row in range(79)] + [None])
    ask = ["--target", "price", "--metric", "mae", "--candidates", "mse", "--out", "run"]
    assert main(["select", str(path), *ask]) == 0
    assert "columns of bytes were left out: raw" in " ".join(capsys.readouterr().out.split())
    assert main(["predict", "run", str(path)]) == 0


def test_bytes_that_are_text_are_read_as_text(tmp_path: Path) -> None:
    frame = pd.read_parquet(binary(tmp_path, [b"x", b"y"] * 40))
    problem = frame_problem(frame, "price", metric="mae")
    assert problem.columns.kinds["raw"] == ("text", None)
    found = select(
        frame, target="price", metric="mae", candidates=["mse"], epochs=1, learning_rates=[1e-2]
    )
    texts = frame.assign(raw=["x", "y"] * 40)
    assert np.allclose(found.predict(frame), found.predict(texts))
    with pytest.raises(InputError, match="column 'raw' holds bytes that are no text"):
        found.predict(frame.assign(raw=[b"\xff"] * 80))


def test_only_bytes_are_no_features() -> None:
    frame = pd.DataFrame({"raw": [b"\xff%d" % row for row in range(80)], "y": range(80)})
    with pytest.raises(InputError, match="is empty, constant or bytes; nothing predicts it"):
        frame_problem(frame, "y", metric="mae")


def test_text_that_is_no_unicode_is_refused_before_training() -> None:
    frame = pd.DataFrame({"a": pd.Series(["x\ud800", "b"] * 40, dtype=object), "y": range(80)})
    with pytest.raises(InputError, match="column 'a' holds text that is no Unicode"):
        select(frame, target="y", metric="mae")
