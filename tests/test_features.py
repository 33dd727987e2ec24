"""The encoder: finite, fitted on its rows alone, calm about what is new, safe to load."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st

from lossmith.study.base.errors import InputError
from lossmith.study.data.cells import Columns
from lossmith.study.data.encoder import TRUSTED, Encoder

ROWS = 120


def mixed(rows: int = ROWS) -> pd.DataFrame:
    random = np.random.default_rng(0)
    dates = pd.date_range("2019-12-01 05:00", periods=rows, freq="13h")
    number = random.normal(size=rows)
    number[::7] = np.nan
    return pd.DataFrame(
        {
            "number": number,
            "heavy": random.standard_cauchy(rows) ** 3,
            "flag": random.random(rows) < 0.5,
            "maybe": random.choice(np.array([True, False, None], object), rows),
            "when": dates,
            "zoned": dates.tz_localize("Europe/Berlin"),
            "day": dates.strftime("%d.%m.%Y"),
            "iso": dates.strftime("%Y-%m-%dT%H:%M:%S"),
            "few": random.choice(np.array(["ä", "b", "", "東京", None], object), rows),
            "many": [f"Straße {i % 60} 北" for i in range(rows)],
            "category": pd.Categorical(random.choice(["u", "v", "w"], rows)),
            "digits": [None if i % 5 == 0 else f" {i}.5" for i in range(rows)],
            "anything": [(1, "a", 2.5, None, True)[i % 5] for i in range(rows)],
            "whole": pd.array([None if i % 9 == 0 else i for i in range(rows)], "Int64"),
            "span": pd.to_timedelta(np.arange(rows), "h"),
            "empty": None,
            "void": np.nan,
        }
    )


def test_everything_becomes_finite_numbers_of_one_scale() -> None:
    encoded = Encoder().fit(mixed()).transform(mixed())
    assert encoded.dtype == np.float32
    assert encoded.shape[0] == ROWS
    assert np.isfinite(encoded).all()
    assert np.abs(encoded).max() < 20


def test_columns_are_typed_by_their_values() -> None:
    kinds = {name: kind for name, (kind, _) in Encoder().fit(mixed()).kinds.items()}
    numbers = ("number", "heavy", "flag", "maybe", "digits", "whole", "span", "void")
    assert [kinds.pop(name) for name in numbers] == ["number"] * len(numbers)
    assert [kinds.pop(name) for name in ("when", "zoned", "day", "iso")] == ["date"] * 4
    assert set(kinds.values()) == {"text"}


def column(frame: pd.DataFrame) -> np.ndarray:
    return Encoder().fit(frame).transform(frame)


def test_numbers_keep_their_order_and_missing_ones_are_marked() -> None:
    values = np.concatenate([np.linspace(-5, 5, 99), [np.nan]])
    encoded = column(pd.DataFrame({"a": values}))
    assert encoded.shape == (100, 2)
    assert (np.diff(encoded[:99, 0]) > 0).all()
    assert encoded[99].tolist() == [0, 1]
    assert (encoded[:99, 1] == 0).all()
    assert encoded[49, 0] == pytest.approx(0, abs=1e-6)


def test_gaps_that_coincide_are_marked_once() -> None:
    one = np.where(np.arange(60) % 3 == 0, np.nan, np.arange(60))
    assert column(pd.DataFrame({"a": one, "b": one * 2, "c": range(60)})).shape[1] == 4


def test_numbers_as_text_are_the_numbers() -> None:
    numbers = pd.DataFrame({"a": np.arange(60) / 4})
    np.testing.assert_array_equal(column(numbers.astype(str)), column(numbers))


@pytest.mark.parametrize(
    "written", ["${:,.2f}", "{:,.2f} €", "£ {:.2f}", "{:.2f}%", "{:.2f} %", "-{:,.4f}", "${:,.0f}"]
)
def test_signs_and_separators_beside_numbers_are_left_out(written: str) -> None:
    amounts = pd.Series(np.exp(np.linspace(0, 14, 60)).round())
    texts = amounts.map(written.format).mask(amounts == 1)
    sign = -1 if written.startswith("-") else 1
    kinds = Columns.of(texts.to_frame("x"))
    assert kinds.kinds["x"][0] == "number"
    read = kinds.read(texts.to_frame("x")).numbers[:, 0]
    np.testing.assert_array_equal(read, sign * amounts.mask(amounts == 1))
    plain = kinds.read(amounts.to_frame("x")).numbers[:, 0]  # as another file may write them
    np.testing.assert_array_equal(plain, amounts)
    with pytest.raises(InputError, match="'12,34', but the model was trained on numbers"):
        kinds.read(pd.DataFrame({"x": ["12,34"]}))


@pytest.mark.parametrize(
    "texts", [["1,200", "35"], ["3,5", "4,25"], ["$5", "€6"], ["12 kg", "5 kg"], ["1.200,50 €"]]
)
def test_numbers_that_may_be_others_stay_text(texts: list[str]) -> None:
    assert Columns.of(pd.DataFrame({"x": texts})).kinds["x"] == ("text", None)


def test_numbers_with_leading_zeros_are_text() -> None:
    codes = pd.DataFrame({"zip": ["01067", *map(str, range(10000, 10059))]})
    assert Encoder().fit(codes).kinds["zip"][0] == "text"
    assert Encoder().fit(pd.DataFrame({"a": ["0", "0.5", "-0.25"]})).kinds["a"][0] == "number"


def test_dates_as_text_are_the_dates() -> None:
    dates = pd.Series(pd.date_range("2020-01-05", periods=90, freq="31h"))
    expected = column(pd.DataFrame({"a": dates.dt.floor("D")}))
    short = ("%d.%m.%y", "%m/%d/%y", "%d/%m/%y", "%d-%b-%y")
    for style in ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", *short):
        # the day that comes first is 5, so only the later ones tell days from months
        text = pd.DataFrame({"a": dates.dt.strftime(style)})
        np.testing.assert_array_equal(column(text), expected)


def test_between_points_the_day_comes_first() -> None:
    months = pd.Series(pd.date_range("2020-01-01", periods=60, freq="MS"))
    text = pd.DataFrame({"a": months.dt.strftime("%d.%m.%Y")})
    np.testing.assert_array_equal(column(text), column(pd.DataFrame({"a": months})))


def test_text_that_only_looks_like_dates_stays_text() -> None:
    frame = pd.DataFrame({"month": ["Jan", "Feb", "May"] * 20, "part": ["1-2a", "3-4b", "x"] * 20})
    frame["version"] = ["1.0.2", "1.10.3", "2.0.0"] * 20
    assert {kind for kind, _ in Encoder().fit(frame).kinds.values()} == {"text"}


def test_each_frequent_category_has_its_column() -> None:
    frame = pd.DataFrame({"a": ["x", "y", "z", None] * 30})
    encoded = column(frame)
    assert encoded.shape == (120, 4)
    assert (encoded.sum(axis=1) == 1).all()
    assert len(np.unique(encoded, axis=0)) == 4


def test_many_categories_stay_compact_and_apart() -> None:
    frame = pd.DataFrame({"a": [f"tail {i * 7919 % 1000}" for i in range(3000)]})
    encoded = column(frame)
    assert encoded.shape[1] < 40
    assert len(np.unique(encoded.round(4), axis=0)) > 900


def test_what_was_not_seen_is_taken_in() -> None:
    frame = mixed()
    encoder = Encoder().fit(frame)
    strange = frame.iloc[:4].assign(
        number=["7", "", "1e400", None],
        heavy=[np.inf, -np.inf, 1.7e308, -1.7e308],
        when=["2050-01-01", None, "NA", "1600-01-01"],
        day=["31.12.2050", None, "2050-12-31", "2050-12-31T05:00"],
        few=["new", "ä", 5, None],
        many=["", None, "ñ", "Straße 1 北"],
        whole=np.nan,
        category=["new", "u", None, "v"],
    )
    encoded = encoder.transform(strange.assign(extra=1)[["extra", *reversed(frame.columns)]])
    assert encoded.shape == (4, encoder.width)
    assert np.isfinite(encoded).all()
    assert np.abs(encoded).max() < 20
    heavy = list(encoder.kinds).index("heavy")
    assert encoded[:, heavy].tolist() == pytest.approx([3, -3, 3, -3])


@pytest.mark.parametrize(
    ("name", "cell", "message"),
    [
        ("number", "high", "'high', but the model was trained on numbers there: write a number"),
        ("number", "59,0", "'59,0'"),
        ("whole", "59.0 years", "'59.0 years'"),
        ("flag", "ja", "True and False are numbers"),
        ("number", pd.Timestamp("2020-01-05"), "'2020-01-05 00:00:00'"),
        ("digits", [1, 2], r"'\[1, 2\]'"),
        ("day", "12/31/2050", "write a date such as 2024-01-31 or 31.01.2024, as in training"),
        ("day", 7, "'7', but the model was trained on dates"),
        ("iso", "31.12.2050", "'31.12.2050'"),
        ("when", "01/02/2020", "write a date such as 2024-01-31, or leave the cell empty"),
    ],
)
def test_cells_of_another_kind_are_refused(name: str, cell: object, message: str) -> None:
    encoder = Encoder().fit(mixed())
    new = mixed().astype({name: object})
    new.at[5, name] = cell
    with pytest.raises(InputError, match=f"column '{name}' holds .*{message}"):
        encoder.transform(new)


def test_iso_dates_are_read_whatever_the_format_in_training() -> None:
    frame = mixed()
    encoder = Encoder().fit(frame)
    for style in ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d 00:00:00+00:00"):
        days = frame["when"].dt.floor("D").dt.strftime(style)
        np.testing.assert_array_equal(
            encoder.transform(frame.assign(day=days)), encoder.transform(frame)
        )


def test_texts_that_were_missing_values_in_training_stay_so() -> None:
    cells = [*map(str, range(59)), "?"]
    encoder = Encoder().fit(pd.DataFrame({"a": cells, "b": range(60)}))
    gap, empty = encoder.transform(pd.DataFrame({"a": ["?", None], "b": 3}))
    np.testing.assert_array_equal(gap, empty)
    with pytest.raises(InputError, match="holds '!'"):
        encoder.transform(pd.DataFrame({"a": ["?", "!"], "b": 3}))


def test_a_new_category_counts_as_rare() -> None:
    frame = pd.DataFrame({"a": ["x"] * 60 + ["y"] * 60 + ["r1", "r2", "r3"]})
    encoder = Encoder().fit(frame)
    rare, new, known = encoder.transform(pd.DataFrame({"a": ["r2", "never", "x"]}))
    np.testing.assert_array_equal(rare, new)
    assert (rare != known).any()


def test_columns_in_another_order_and_extra_ones_change_nothing() -> None:
    frame = mixed()
    encoder = Encoder().fit(frame)
    other = frame.assign(extra=1)[[*reversed(frame.columns), "extra"]]
    np.testing.assert_array_equal(encoder.transform(other), encoder.transform(frame))


def test_rows_are_encoded_one_by_one() -> None:
    frame = mixed()
    encoder = Encoder().fit(frame.iloc[:80])
    whole = encoder.transform(frame)[70:90]
    parts = [encoder.transform(frame.iloc[i : i + 1]) for i in range(70, 90)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)


def test_types_that_differ_between_files_change_nothing() -> None:
    codes, flags = ["1", "2", "A", "10"] * 15, [True, False] * 30
    encoder = Encoder().fit(pd.DataFrame({"code": codes, "flag": flags}))
    expected = encoder.transform(pd.DataFrame({"code": ["1", None, "10"], "flag": [True] * 3}))
    for code in ([1, None, 10], [1.0, np.nan, 10.0], pd.Categorical(["1", None, "10"])):
        for flag in ([True] * 3, ["True"] * 3, [1, 1, 1], pd.Series([True] * 3, dtype=object)):
            got = encoder.transform(pd.DataFrame({"code": code, "flag": flag}))
            np.testing.assert_array_equal(got, expected)


def test_fitting_is_deterministic() -> None:
    np.testing.assert_array_equal(column(mixed()), column(mixed()))


def test_a_missing_column_is_named() -> None:
    encoder = Encoder().fit(mixed())
    with pytest.raises(InputError, match="column 'few' of the training table missing"):
        encoder.transform(mixed().drop(columns="few"))
    with pytest.raises(InputError, match=r"columns 'many', 'whole'.*did you mean 'Many'"):
        encoder.transform(mixed().drop(columns="whole").rename(columns={"many": "Many"}))


@settings(max_examples=25)
@given(
    st.lists(
        st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=5), st.booleans()),
        min_size=2,
        max_size=60,
    )
)
def test_any_column_is_taken_in(values: list[object]) -> None:
    frame = pd.DataFrame({"a": pd.Series(values, dtype=object), "b": range(len(values))})
    half = max(1, len(values) // 2)
    columns = Columns.of(frame)
    assert np.isfinite(Encoder().fit(frame.iloc[:half], columns).transform(frame)).all()


@settings(max_examples=25)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=2, max_size=40))
def test_any_numbers_are_finite_and_bounded(values: list[float]) -> None:
    encoded = column(pd.DataFrame({"a": np.array(values)}))
    assert np.isfinite(encoded).all()
    assert (np.abs(encoded) <= 3).all()


def test_saved_and_loaded(tmp_path: Path) -> None:
    encoder = Encoder().fit(mixed())
    encoder.save(tmp_path / "features.skops")
    loaded = Encoder.load(tmp_path / "features.skops")
    np.testing.assert_array_equal(loaded.transform(mixed()), encoder.transform(mixed()))
    assert (loaded.kinds, loaded.width) == (encoder.kinds, encoder.width)
    assert set(skops.io.get_untrusted_types(file=tmp_path / "features.skops")) <= TRUSTED


def test_an_encoder_of_an_older_version_is_read(tmp_path: Path) -> None:
    encoder = Encoder().fit(mixed())
    expected = encoder.transform(mixed())
    del encoder.blanks, encoder.targets
    encoder.save(tmp_path / "features.skops")
    loaded = Encoder.load(tmp_path / "features.skops")
    np.testing.assert_array_equal(loaded.transform(mixed()), expected)


class Harm:
    ran: ClassVar[list[int]] = []

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return Harm.ran.append, (1,)

    def __setstate__(self, state: object) -> None:
        Harm.ran.append(1)


def test_a_file_with_another_type_is_refused_and_does_nothing(tmp_path: Path) -> None:
    encoder = Encoder().fit(mixed())
    encoder.scaler = Harm()
    encoder.save(tmp_path / "features.skops")
    Harm.ran.clear()
    with pytest.raises(InputError, match=r"types not trusted: .*Harm"):
        Encoder.load(tmp_path / "features.skops")
    assert not Harm.ran


def test_files_that_are_no_encoder_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "features.skops"
    with pytest.raises(InputError, match="not an encoder"):
        Encoder.load(path)
    path.write_bytes(b"PK no zip")
    with pytest.raises(InputError, match="not an encoder"):
        Encoder.load(path)
    skops.io.dump([1, 2], path)
    with pytest.raises(InputError, match="not an encoder of format 1"):
        Encoder.load(path)


def test_categories_that_training_did_not_see_are_named() -> None:
    frame = pd.DataFrame(
        {
            "sex": ["f", "m", None] * 40,
            "name": [f"street {i}" for i in range(120)],
            "x": np.arange(120.0),
            "1 or 2": [1, 2] * 60,
        }
    )
    encoder = Encoder().fit(frame)
    assert encoder.unseen(frame) == encoder.unseen(encoder.blank()) == ""
    new = frame.assign(sex="F", name="elsewhere")
    told = "column 'sex' holds 'F' in 120 rows: not seen in training, so read as rare"
    assert encoder.unseen(new) == encoder.unseen(encoder.columns.read(new)) == told
    new["sex"] = ["a", "b", "c", "d", "m", "f"] * 20
    assert "holds 'a', 'b', 'c' and 1 more in 80 rows" in encoder.unseen(new)
    assert Encoder().fit(frame[["x"]]).unseen(frame) == ""
