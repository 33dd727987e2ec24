"""Files and tables to problems: what is read, what is inferred, and one clear line otherwise."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from lossmith.study.base.errors import InputError
from lossmith.study.data.problem import Problem, frame_problem
from lossmith.study.data.table import as_frame, read_table

MIXED = pd.DataFrame(
    {
        "größe": [1.5, np.nan, -3e300],
        "art": ["ä, b", None, '"q"; x'],
        "flag": [True, False, True],
        "count": [1, 2, 3],
    }
)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.CSV", "t.parquet", "t.pq", "t.feather"])
def test_a_written_table_is_read_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(("parquet", "pq")):
        MIXED.to_parquet(path)
    elif name.endswith("feather"):
        MIXED.to_feather(path)
    else:
        MIXED.to_csv(path, index=False, sep="\t" if name == "t.tsv" else ",")
    pd.testing.assert_frame_equal(read_table(path), MIXED, check_dtype=False)


def test_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    frame = read_table(write(tmp_path, "a.csv", "a;b;c\n1,5;x,y;2\n-2,25;z;3\n"))
    assert frame["a"].tolist() == [1.5, -2.25]
    assert frame["b"].tolist() == ["x,y", "z"]
    assert read_table(write(tmp_path, "b.csv", "a;b\n1.5;2\n"))["a"].tolist() == [1.5]
    assert read_table(write(tmp_path, "c.csv", "a,b;c\n1,2\n")).columns.tolist() == ["a", "b;c"]


def test_points_of_thousands_beside_decimal_commas(tmp_path: Path) -> None:
    rows = "1,5;1.234;01.02.2019\n2,5;950;02.02.2019\n"
    frame = read_table(write(tmp_path, "a.csv", "a;b;day\n" + rows))
    assert frame["b"].tolist() == [1234, 950]
    assert frame["day"].tolist() == ["01.02.2019", "02.02.2019"]
    frame = read_table(write(tmp_path, "b.csv", "a;b\n1;-1.234.567,25\n2;950,5\n3;\n"))
    assert frame["b"].tolist()[:2] == [-1234567.25, 950.5]
    assert np.isnan(frame["b"][2])
    for kept in ("1;1.234\n2;950.125\n", "1;1.0.2\n2;1.234\n", "1,5;1.234\n2,5;0.125\n"):
        column = read_table(write(tmp_path, "c.csv", "a;b\n" + kept))["b"].astype(str)
        assert column.tolist() == [row.split(";")[1] for row in kept.split()]


def test_rows_that_end_early_are_told(tmp_path: Path) -> None:
    rows = [f"{row},{row % 7},x" for row in range(60)]
    rows[4], rows[9], rows[30] = "4,3,", "9", "30,2"
    frame = read_table(write(tmp_path, "a.csv", "a,b,c\n" + "\n".join(rows)))
    told = "2 rows, the first of them 9, end before the header does: what they lack was read as"
    assert any(told in note for note in frame_problem(frame, "a", "mae").notes)
    rows[9], rows[30] = "9,,", "30,2,"
    frame = read_table(write(tmp_path, "a.csv", "a,b,c\n" + "\n".join(rows)))
    assert not any("header" in note for note in frame_problem(frame, "a", "mae").notes)


def test_cells_of_long_texts_are_read(tmp_path: Path) -> None:
    long = "x" * 200_000
    frame = read_table(write(tmp_path, "a.csv", f"a,b\n{long},1\ny,\n"))
    assert frame["a"].tolist() == [long, "y"]


def test_separators_at_the_end_of_rows_shift_no_cell(tmp_path: Path) -> None:
    for rows in ("1,x,\n2,y,\n", "1,x,\n2,y\n", "1,x, ,\n2,y,\n"):
        frame = read_table(write(tmp_path, "a.csv", "a,b\n" + rows))
        assert frame.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}
    frame = read_table(write(tmp_path, "b.csv", "a;b\n1,5;NA;\n007;y;\n"))
    assert frame["a"].tolist() == ["1,5", "007"]


def test_names_of_rows_without_a_header_of_their_own_are_left_out(tmp_path: Path) -> None:
    frame = read_table(write(tmp_path, "a.csv", "a,b\nfirst,1,x\nsecond,2,y\n"))
    assert frame.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}


@pytest.mark.parametrize("rows", ["1,2,3\n4,5\n", "1,2,3,4\n5,6,7,8\n", "1,2,\n3,4,5\n6,7\n"])
def test_rows_longer_than_the_header_are_refused(tmp_path: Path, rows: str) -> None:
    with pytest.raises(InputError, match=r"as CSV: the header has 2 names, but line 2 has \d"):
        read_table(write(tmp_path, "a.csv", "a,b\n" + rows))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_csv_is_read_with_the_separator_of_its_header(tmp_path: Path, separator: str) -> None:
    text = "name of it,b,c\nx|y,1.5,2\nz;t,3,4\n".replace(",", separator)
    if separator in "|;":
        text = text.replace("x|y", '"x|y"').replace("z;t", '"z;t"')
    frame = read_table(write(tmp_path, "a.csv", text))
    assert frame.columns.tolist() == ["name of it", "b", "c"]
    assert frame["name of it"].tolist() == ["x|y", "z;t"]
    assert frame["b"].tolist() == [1.5, 3]


def test_leading_zeros_stay(tmp_path: Path) -> None:
    content = "zip;code;part;n\n01067;007;0,5;1\n99084;;0;0\n10115; 12;NA;10\n"
    for name, text in (("a.csv", content), ("b.csv", content.replace(",", ".").replace(";", ","))):
        frame = read_table(write(tmp_path, name, text))
        assert frame["zip"].tolist() == ["01067", "99084", "10115"]
        assert frame["code"].dropna().tolist() == ["007", " 12"]
        assert frame["code"].isna().tolist() == [False, True, False]
        assert frame["part"].dropna().tolist() == [0.5, 0]
        assert frame["n"].tolist() == [1, 0, 10]


def test_a_leading_zero_among_decimals_and_at_the_end_of_a_file(tmp_path: Path) -> None:
    frame = read_table(write(tmp_path, "a.csv", "a,b\n1.5,2\n2.0,NA\n2,007"))
    assert frame["a"].tolist() == [1.5, 2, 2]
    assert frame["b"].dropna().tolist() == ["2", "007"]
    frame = read_table(write(tmp_path, "b.csv", "a,b\n1.5,2\n01,2\n"))
    assert frame["a"].tolist() == ["1.5", "01"]
    extra = read_table(write(tmp_path, "c.csv", "a,b\nNA,01,x\nNA,1,NA\n"))  # an unnamed index
    assert extra["a"].tolist() == ["01", "1"]


def test_classes_with_leading_zeros_are_kept_apart(tmp_path: Path) -> None:
    labels = ["007", "01", "1"]
    path = write(tmp_path, "a.csv", "x,y\n" + "".join(f"{i},{labels[i % 3]}\n" for i in range(60)))
    for frame in (read_table(path), table(labels)):
        problem = frame_problem(frame, "y")
        assert problem.classes == tuple(labels)
        assert problem.labels[problem.target][:3].tolist() == labels
        with pytest.raises(InputError, match="'007', which is text for its leading zero"):
            frame_problem(frame, "y", "mae")


def test_texts_read_as_missing_are_named(tmp_path: Path) -> None:
    labels = ["a", "b", "None", "NA", ""]
    path = write(tmp_path, "a.csv", "x,y\n" + "".join(f"{i},{labels[i % 5]}\n" for i in range(200)))
    note = (
        "120 rows without a value of 'y' were left out "
        "(read as missing: 'None', 'NA'; rename the class if it is one)"
    )
    assert note in as_problem(path).notes
    path.write_text(path.read_text().replace("None", "").replace("NA", ""))
    assert "120 rows without a value of 'y' were left out" in as_problem(path).notes


@pytest.mark.parametrize("order", [None, ["None", "Some", "Freq"]])
def test_grades_that_are_read_as_missing_are_named_in_the_error(
    tmp_path: Path, order: list[str] | None
) -> None:
    rows = "".join(f"{i},{('None', 'Some', 'Freq', 'Much')[i % 3]}\n" for i in range(200))
    frame = read_table(write(tmp_path, "a.csv", "x,y\n" + rows))
    with pytest.raises(InputError, match=r"\(read as missing: 'None'; rename the class"):
        frame_problem(frame, "y", "grade_mae", "ordinal", order=order)
    rows = rows.replace("7,Some", "7,Much")
    frame = read_table(write(tmp_path, "b.csv", "x,y\n" + rows))
    with pytest.raises(InputError, match=r"\(read as missing: 'None'; rename the class"):
        frame_problem(frame, "y", "grade_mae", "ordinal", order=["None", "Some", "Freq", "Much"])


def as_problem(path: Path) -> Problem:
    frame, name = as_frame(read_table(path), "y")
    return frame_problem(frame, name)


def test_byte_order_mark_and_blank_lines_before_the_header(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", b"\xef\xbb\xbf\n\na,b\n1,2\n")
    assert read_table(path).columns.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "a.csv is empty"),
        ("a.csv", "\n  \n", "a.csv is empty"),
        ("a.csv", "x,y\n", "header but no rows"),
        ("a.csv", "x,y,x\n1,2,3\n", "more than one column called 'x'"),
        ("a.tsv", "x\ty\tx\n1\t2\t3\n", "more than one column called 'x'"),
        ("a.csv", "x,y\n1,2\n1,2,3,4\n", "cannot be read as CSV: .*line 3"),
        (
            "a.csv",
            b"name,x\nM\xfcller,1\n",
            r"\(byte 0xfc at offset 8, line 2\); .* -f WINDOWS-1252 -t UTF-8 a.csv > utf8.csv",
        ),
        (
            "a.csv",
            "x,y\n1,2\n".encode("utf-16"),
            "not UTF-8 .byte 0xff at offset 0, line 1.*iconv -f UTF-16",
        ),
        ("a.parquet", "x,y\n1,2\n", "cannot be read as Parquet"),
        ("a.parquet", "", "a.parquet is empty"),
        ("a.feather", "x,y\n1,2\n", "cannot be read as Feather"),
        (
            "a.ods",
            "PK",
            "suffix .ods; give .csv, .tsv, .parquet, .pq, .feather, .xlsx, also as .gz",
        ),
        ("a", "x", r"suffix \(none\)"),
    ],
)
def test_files_that_cannot_be_read(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_table(write(tmp_path, name, content))
    assert "\n" not in str(caught.value)


def test_a_missing_file_suggests_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "Houses.csv", "a\n1\n")
    with pytest.raises(InputError, match=r"no file .*; did you mean 'Houses.csv'"):
        read_table(tmp_path / "house.csv")
    with pytest.raises(InputError, match="there is no file"):
        read_table(tmp_path / "nowhere" / "house.csv")
    with pytest.raises(InputError, match="is a folder"):
        read_table(tmp_path)


def test_tables_in_memory() -> None:
    expected = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", None], "y": [0, 1]})
    for data in (expected, pl.from_pandas(expected), pl.from_pandas(expected).to_arrow()):
        frame, name = as_frame(data, "y")
        assert name == "y"
        pd.testing.assert_frame_equal(frame, expected, check_dtype=False)


def test_arrays_and_targets_of_their_own() -> None:
    values = np.arange(6.0).reshape(3, 2)
    frame, name = as_frame(values, -1)
    assert (name, frame[name].tolist()) == ("x1", [1.0, 3.0, 5.0])
    frame, name = as_frame(torch.from_numpy(values), torch.tensor([7, 8, 9]))
    assert (name, frame.columns.tolist(), frame[name].tolist()) == (
        "target",
        ["x0", "x1", "target"],
        [7, 8, 9],
    )
    shuffled = pd.DataFrame(values, columns=["a", "b"], index=[5, 3, 1])
    frame, name = as_frame(shuffled, pd.Series([7, 8, 9], name="y", index=[5, 3, 1]))
    assert (name, frame["y"].tolist(), frame["a"].tolist()) == ("y", [7, 8, 9], [0, 2, 4])


def test_the_table_of_the_caller_stays_as_it_was() -> None:
    data = pd.DataFrame({0: [1.0, 2.0], 1: [3.0, 4.0]}, index=[7, 7])
    frame, name = as_frame(data, 1)
    assert (name, frame.columns.tolist(), frame.index.tolist()) == ("1", ["0", "1"], [0, 1])
    assert (data.columns.tolist(), data.index.tolist()) == ([0, 1], [7, 7])


@pytest.mark.parametrize(
    ("data", "target", "message"),
    [
        (np.zeros(3), 0, "2-d array, got ndarray of shape"),
        (pd.Series([1, 2], ["a", "b"]), "a", r"got Series of shape \(2,\); .* frame.iloc\[\[0\]\]"),
        (pl.Series([1, 2]), "a", r"2-d array, got Series of shape \(2,\)"),
        (np.zeros((3, 2)), 2, "target is column 2, but there are 2"),
        (np.zeros((3, 2)), np.zeros(4), "4 values, but the table has 3 rows"),
        (pd.DataFrame({"target": [1, 2]}), np.zeros(2), "already has a column 'target'"),
        (pd.DataFrame(np.zeros((2, 2)), columns=["a", "a"]), "a", "more than one column"),
        ("houses", "a", "must be a pandas or Polars DataFrame"),
    ],
)
def test_tables_in_memory_that_are_refused(data: Any, target: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_frame(data, target)


def table(target: Any, rows: int = 60, **columns: Any) -> pd.DataFrame:
    values = list(target) * (rows // len(target))
    return pd.DataFrame({"x": range(rows), "y": pd.Series(values)} | columns)


@pytest.mark.parametrize(
    ("target", "metric", "task"),
    [
        (["a", "b"], None, "binary"),
        (["a", "b", "c"], None, "multiclass"),
        ([True, False, False], None, "binary"),
        ([0, 1, 1], None, "binary"),
        ([0.5, 1.5], None, "binary"),
        ([0, 1, 1], "rmse", "regression"),
        ([1, 2, 3, 4], None, "multiclass"),
        ([1, 2, 3, 4], "accuracy", "multiclass"),
        ([1, 2, 3, 4], "mae", "regression"),
        ([1.5, 2, 3], None, "regression"),
        (range(30), None, "regression"),
        (range(12), None, "regression"),
        (range(12), "log_loss", "multiclass"),
        (["1.5", "2", "3"], "mae", "regression"),
    ],
)
def test_the_task_is_inferred(target: Any, metric: str | None, task: str) -> None:
    problem = frame_problem(table(target), "y", metric)
    assert problem.task == task
    assert problem.target.dtype == (np.float64 if task == "regression" else np.int64)


def test_the_task_can_be_set() -> None:
    frame = table([1, 2, 3])
    assert frame_problem(frame, "y", task="regression").target[:3].tolist() == [1, 2, 3]
    assert frame_problem(table([1, 2]), "y", task="multiclass").task == "binary"


@pytest.mark.parametrize(
    ("target", "positive", "classes"),
    [
        (["no", "no", "yes"], None, ("no", "yes")),
        (["no", "yes", "yes"], None, ("yes", "no")),
        (["no", "yes"], None, ("no", "yes")),
        (["no", "no", "yes"], "no", ("yes", "no")),
        ([1, 1, 0], None, ("1", "0")),
        ([1, 1, 0], "1", ("0", "1")),
        ([1, 1, 0], 1, ("0", "1")),
        ([2.0, 1.0, 1.0], "1.0", ("2", "1")),
        ([2, 1, 1], 1.0, ("2", "1")),
        ([0.5, 0.25, 0.25], "0.250", ("0.5", "0.25")),
        ([True, True, False], True, ("False", "True")),
        ([1.0, 0.0, 0.0, None], 1, ("0", "1")),
    ],
)
def test_the_positive_class_is_the_rarer_one_or_the_one_named(
    target: Any, positive: Any, classes: tuple[str, ...]
) -> None:
    frame = table(target, rows=120)
    problem = frame_problem(frame, "y", positive=positive)
    assert problem.classes == classes
    back = problem.labels[problem.target]
    assert back.tolist() == frame["y"].dropna().tolist()


def test_labels_keep_their_type_and_order() -> None:
    problem = frame_problem(table([10, 9, 100]), "y")
    assert problem.classes == ("9", "10", "100")
    assert problem.labels.dtype.kind == "i"
    mixed = frame_problem(table(["b", "c", 1]), "y")
    assert mixed.classes == ("1", "b", "c")
    assert mixed.labels[mixed.target].tolist()[:3] == ["b", "c", 1]
    category = frame_problem(table(pd.Categorical(["b", "a", "c"], categories=list("cbaz"))), "y")
    assert category.classes == ("a", "b", "c")


def test_rows_without_a_target_are_left_out_and_counted() -> None:
    frame = table(["a", "b", None, "  "], rows=120)
    problem = frame_problem(frame, "y")
    assert (problem.dropped, len(problem.target), len(problem.features)) == (60, 60, 60)
    assert problem.features["x"].tolist() == [i for i in range(120) if i % 4 < 2]
    assert problem.features.index.tolist() == list(range(60))
    assert any("60 rows" in note for note in problem.notes)


def test_columns_that_tell_nothing_are_left_out() -> None:
    nothing = {"void": None, "same": 1, "nan": np.nan, "some": [1, None] * 30}
    problem = frame_problem(table(range(30), **nothing), "y")
    assert problem.features.columns.tolist() == ["x", "some"]
    assert "void, same, nan" in problem.notes[0]


def rare(*names: str) -> list[str]:
    return ["a"] * 30 + ["b"] * (30 - len(names)) + list(names)


@pytest.mark.parametrize(
    ("frame", "arguments", "message"),
    [
        (table([1, 2]), {"target": "Yy"}, "no column 'Yy'; did you mean 'y'"),
        (table([1, 2]), {"target": "qqq"}, "the columns are x, y"),
        (table(["a", "b"]), {"metric": "mae"}, "holds 'a', which is not a number"),
        (table(["1.5", "2", "n/a?"]), {"metric": "mae"}, r"holds 'n/a\?', which is not"),
        (table([1, 2, 3]), {"metric": "f1"}, "f1 is for binary.*inferred from the target; --task"),
        (table([1.5, 2, 3]), {"metric": "f1", "task": "regression"}, "f1 is for binary"),
        (table([1, 2, 3]), {"metric": "maee"}, "did you mean mae"),
        (table([1, 2, 3]), {"task": "binary"}, "3 distinct values; --task binary needs two"),
        (
            table([1, 2, 3]),
            {"task": "classes"},
            "task is regression, binary, multiclass, ordinal, survival or ranking, not 'classes'",
        ),
        (table([2.5]), {}, "is 2.5 in every row"),
        (table([2]), {"metric": "auroc"}, "is '2' in every row; a study needs two classes"),
        (table([2.5]), {"metric": "mae"}, "is 2.5 in every row; there is nothing to learn"),
        (table(["a"]), {}, "'a' in every row; a study needs two classes"),
        (table([None]), {}, "has no values"),
        (table([" "]), {}, "has no values"),
        (table([1.0, np.inf, 2.5]), {}, "infinite in 20 rows"),
        (table([1.5, 2, 3], rows=30), {}, "has 30 rows with a value; a study needs at least 50"),
        (table(rare("c")), {}, "class 'c' of column 'y' has 1 row, a study needs at least 5"),
        (table(rare("c", "c")), {}, "class 'c' of column 'y' has 2 rows"),
        (table([f"id{i}" for i in range(60)]), {}, "60 classes in 60 rows.*--task regression"),
        (table(range(60)), {"metric": "accuracy"}, "60 classes in 60 rows"),
        (table(["a", "b"]), {"positive": "c"}, "is 'c', but the classes are a and b"),
        (table([1, 2]), {"positive": "c"}, "is 'c', but the classes are 1 and 2"),
        (table(["01", "2"]), {"positive": "1"}, "is '1', but the classes are 01 and 2"),
        (table(["a", "b", "c"]), {"positive": "c"}, "--positive is for two classes"),
        (table([1.5, 2, 3]), {"positive": "2"}, "--positive is for two classes"),
        (table([0.0, 1.0, 2.5]), {"metric": "mape"}, "0 in 20 rows; use --metric mae"),
        (table([-2.0, 1.0]), {"metric": "rmsle"}, "smallest is -2"),
        (table([1, 2])[["y"]], {}, "the target is the only column"),
        (table([1, 2]).assign(x=None), {}, "every column but the target is empty or constant"),
        (table(pd.date_range("2020", periods=60)), {"metric": "mae"}, "holds dates"),
        (table([1, 2], z=[[1]] * 60), {}, "column 'z' holds values of type list"),
        (table([(1,), [2]]), {}, "column 'y' holds values of type"),
    ],
)
def test_problems_that_are_refused(
    frame: pd.DataFrame, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        frame_problem(frame, **{"target": "y"} | arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "int64[pyarrow]", "float32"])
def test_extension_types_of_numbers(dtype: str) -> None:
    frame = table(range(30))
    frame["y"] = frame["y"].astype(dtype)
    if dtype != "float32":
        frame.loc[3, "y"] = None
    problem = frame_problem(frame, "y")
    assert problem.target.dtype == np.float64
    assert problem.target[:3].tolist() == [0, 1, 2]
