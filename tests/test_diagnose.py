"""Planted facts are found, and tables without them are not accused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from lossmith.study.base.result import Finding
from lossmith.study.data.arrangement import Arrangement
from lossmith.study.data.event import Event
from lossmith.study.data.problem import frame_problem
from lossmith.study.diagnose import diagnose
from lossmith.study.diagnose.target import tail_index

ROWS = 400
RANDOM = np.random.default_rng(0)
NOISE = RANDOM.normal(size=(ROWS, 3))
PLAIN = 10 + NOISE[:, 0]


def findings(target: Any, task: str | None = None, **columns: Any) -> dict[str, list[Finding]]:
    plain = {"u": NOISE[:, 1], "v": NOISE[:, 2]} if not columns else {"u": NOISE[:, 1]}
    frame = pd.DataFrame(plain | columns | {"y": target})
    found: dict[str, list[Finding]] = {}
    for finding in diagnose(frame_problem(frame, "y", task=task)):
        assert "nan" not in str(finding.value)
        assert len(finding.meaning) < 200
        found.setdefault(finding.name, []).append(finding)
    return found


def one(name: str, *arguments: Any, **columns: Any) -> Finding:
    (finding,) = findings(*arguments, **columns)[name]
    return finding


def labels(shares: list[float]) -> np.ndarray:
    return np.random.default_rng(1).choice(list("abcdef"[: len(shares)]), ROWS, p=shares)


def test_plain_tables_are_not_accused() -> None:
    for target in (PLAIN, np.exp(PLAIN / 4), labels([0.5, 0.5]), labels([0.4, 0.3, 0.3])):
        levels = {finding.level for group in findings(target).values() for finding in group}
        assert levels == {"info"}


@pytest.mark.parametrize("load", [datasets.load_wine, datasets.load_breast_cancer])
def test_real_tables_are_not_accused_of_leaks(load: Any) -> None:
    found = diagnose(frame_problem(load(as_frame=True).frame, "target"))
    assert not [finding for finding in found if finding.level == "warning"]


def test_numbers_as_text_are_told_and_are_no_ids() -> None:
    prices = pd.Series(np.arange(ROWS) * 50).map("{:,}".format)
    finding = one("numbers as text", PLAIN, price=prices.where(prices != "0"))
    assert (finding.level, finding.value) == ("warning", "price")
    assert "'1,000' is read as a category, not as a number; write numbers" in finding.meaning
    for other in (prices.where(prices != "0", "3,21"), prices.str.replace(",", "") + " kg"):
        found = findings(PLAIN, price=other)
        assert "numbers as text" in found
        assert "id-like columns" not in found
    codes, grades = "K" + prices.str.replace(",", ""), pd.Series(["1st", "2nd"] * (ROWS // 2))
    hours = pd.Series(np.arange(ROWS)).map(lambda n: f"{n // 60}:{n % 60:02}")
    for other in (prices.str.replace(",", ""), codes, grades, hours):
        assert "numbers as text" not in findings(PLAIN, price=other)


def test_signs_beside_numbers_are_read_and_told() -> None:
    prices = pd.Series(np.exp(NOISE[:, 2] + 7)).map("${:,.2f}".format)
    found = findings(PLAIN, price=prices)
    assert not {"id-like columns", "numbers as text"} & set(found)
    (finding,) = found["signs beside numbers"]
    assert (finding.level, finding.meaning) == ("info", "read as numbers without $ and ,")
    leaking = pd.Series(PLAIN).map("{:.9f} %".format)
    assert "equals" in one("leak", PLAIN.round(9), share=leaking).meaning


def test_texts_among_numbers_are_told() -> None:
    cells = pd.Series(NOISE[:, 2]).astype(str).where(np.arange(ROWS) > 2, ["?", "high"] * 200)
    finding = one("unreadable cells", PLAIN, bmi=cells)
    assert (finding.level, finding.value) == ("warning", "bmi")
    assert "read as missing among numbers: ?, high; correct them" in finding.meaning


def test_outliers_are_counted_and_weighed() -> None:
    spoiled = PLAIN.copy()
    spoiled[:20] += 1000
    finding = one("outliers", spoiled)
    assert finding.level == "warning"
    assert finding.value == "20 rows (5 %)"
    assert "100 % of the squared deviations" in finding.meaning
    assert one("outliers", PLAIN).value == 0
    assert one("outliers", spoiled * 1e300).value == finding.value


def test_distances_are_in_standard_deviations_of_normal_values() -> None:
    target = PLAIN.copy()
    target[0] = 10 + 20
    distance = float(one("outliers", target).meaning.split("up to ")[1].split(";")[0])
    assert distance == pytest.approx(20 / PLAIN.std(), rel=0.15)


def test_outliers_beside_a_repeated_value() -> None:
    mostly = np.where(np.arange(ROWS) % 3 == 0, PLAIN, 10.0)
    mostly[0] = 500
    assert one("outliers", mostly).value == "1 row (0.25 %)"


def test_the_tail_index_is_that_of_the_distribution() -> None:
    for index in (1.0, 1.5, 3.0):
        values = np.random.default_rng(2).pareto(index, size=200_000)
        assert tail_index(values) == pytest.approx(index, rel=0.15)
    assert tail_index(np.random.default_rng(2).normal(size=10_000)) > 4
    assert tail_index(np.repeat([0.0, 1.0], 50)) == np.inf


def test_a_heavy_tail_is_a_warning() -> None:
    assert one("tail index", np.random.default_rng(3).standard_cauchy(ROWS)).level == "warning"
    assert one("tail index", PLAIN).level == "info"


def test_skew_and_what_a_logarithm_does_to_it() -> None:
    assert abs(float(one("skew", PLAIN).value)) < 0.3
    lognormal = one("skew", np.exp(NOISE[:, 0]))
    assert float(lognormal.value) > 1
    assert "log1p" in lognormal.meaning
    assert "log1p" not in one("skew", -np.exp(NOISE[:, 0])).meaning


@pytest.mark.parametrize(
    ("shift", "meaning"),
    [(0.0, "all positive"), (None, "none negative"), (-10.0, "negative values")],
)
def test_the_range(shift: float | None, meaning: str) -> None:
    target = PLAIN - PLAIN.min() if shift is None else PLAIN + shift
    assert one("range", target).meaning.startswith(meaning)


def test_zeros_and_repeated_values() -> None:
    zeros = np.where(np.arange(ROWS) % 4 == 0, PLAIN, 0.0)
    finding = one("zeros", zeros)
    assert (finding.value, finding.level) == ("75 %", "warning")
    assert "median is 0" in finding.meaning
    assert "zeros" not in findings(PLAIN)
    capped = one("repeated value", np.minimum(PLAIN, 10.5))
    assert capped.value == f"10.5 ({100 * np.mean(PLAIN > 10.5):.3g} %)"
    assert "cut off" in capped.meaning
    filled = one("repeated value", np.where(np.arange(ROWS) % 4 == 0, 10.0, PLAIN))
    assert (filled.value, filled.level) == ("10 (25 %)", "warning")
    assert "default" in filled.meaning
    assert "repeated value" not in findings(PLAIN)


def test_classes_and_imbalance() -> None:
    target = np.array(["no"] * 380 + ["yes"] * 20)
    found = findings(target)
    assert found["classes"][0].value == 2
    assert "'no' is right in 95 %" in found["classes"][0].meaning
    assert (found["imbalance"][0].value, found["imbalance"][0].level) == ("19 : 1", "warning")
    assert one("imbalance", labels([0.5, 0.5])).level == "info"


def test_rare_classes_are_named() -> None:
    target = np.array(["a"] * 200 + ["b"] * 181 + ["c"] * 19)
    assert one("rare classes", target).value == "c"
    assert "rare classes" not in findings(np.array(["a"] * 200 + ["b"] * 180 + ["c"] * 20))


def test_duplicates_and_contradictions() -> None:
    few = np.arange(ROWS) % 100
    found = findings(PLAIN[few], u=NOISE[few, 1], w=few.astype(str))
    assert found["duplicated rows"][0].value == "75 %"
    assert "contradictions" not in found
    torn = findings(PLAIN, u=NOISE[few, 1], w=few.astype(str))
    assert torn["contradictions"][0].value == "100 %"
    assert "duplicated rows" not in torn
    assert not {"duplicated rows", "contradictions"} & set(findings(PLAIN))


@pytest.mark.parametrize(
    ("copy", "meaning"),
    [
        (PLAIN, "equals the target"),
        (np.where(np.arange(ROWS) % 5 == 0, np.nan, PLAIN), "equals the target"),
        ([repr(float(value)) for value in PLAIN], "equals the target"),
        ([f"EUR {value:.9f}" for value in PLAIN], "monotone"),
        ([f"$ {1e5 * value:,.2f} net" for value in PLAIN], "monotone"),
        (PLAIN * 1.2 + 3, "monotone"),
        (-np.exp(PLAIN / 9), "monotone"),
    ],
)
def test_leaks_of_a_number(copy: Any, meaning: str) -> None:
    finding = one("leak", PLAIN, copy=copy)
    assert (finding.value, finding.level) == ("copy", "warning")
    assert meaning in finding.meaning


def test_names_that_stand_for_numbers_are_leaks() -> None:
    grade = np.arange(ROWS) * 7 % 12 + 0.5
    names = np.array([f"level {chr(97 + int(value))}" for value in grade])
    assert one("leak", grade, copy=names).value == "copy"
    assert "leak" not in findings(grade, copy=np.roll(names, 1) + names)


@pytest.mark.parametrize("shares", [[0.7, 0.3], [0.5, 0.3, 0.2]])
def test_leaks_of_a_class(shares: list[float]) -> None:
    target = labels(shares)
    codes = np.unique(target, return_inverse=True)[1]
    assert "one to one" in one("leak", target, copy=np.char.upper(target)).meaning
    assert "one to one" in one("leak", target, copy=codes * 3 + 1).meaning
    finer = codes * 4 + np.arange(ROWS) % 4
    assert "spares 100 %" in one("leak", target, copy=finer).meaning
    jitter = codes + np.random.default_rng(4).random(ROWS) / 2
    assert "thresholds" in one("leak", target, copy=jitter).meaning
    blurred = np.where(np.arange(ROWS) % 50 == 0, "?", target)
    assert "of the errors of guessing" in one("leak", target, copy=blurred).meaning


def test_strong_but_honest_columns_are_no_leaks() -> None:
    target = labels([0.5, 0.5])
    helpful = np.where(RANDOM.random(ROWS) < 0.85, target, "c")
    assert "leak" not in findings(target, copy=helpful)
    assert "leak" not in findings(PLAIN, copy=PLAIN + NOISE[:, 2] / 10)
    assert "leak" not in findings(target, copy=NOISE[:, 2] + 3 * (target == "a"))


def test_columns_that_name_the_rows() -> None:
    order = RANDOM.permutation(ROWS)
    found = one("id-like columns", PLAIN, id=order + 7, key=[f"k{i}" for i in order])
    assert found.value == "id, key"
    words = [f"house {i} by the sea" for i in order]
    dates = pd.date_range("2020", periods=ROWS).astype(str)
    honest = findings(PLAIN, area=order * 13, words=words, dates=dates, real=NOISE[:, 2])
    assert "id-like columns" not in honest


def test_missing_values_name_the_worst_column() -> None:
    gaps = np.where(np.arange(ROWS) % 5 < 3, np.nan, NOISE[:, 2])
    finding = one("missing values", PLAIN, w=gaps)
    assert finding.value == "30 %"
    assert "'w' (60 %)" in finding.meaning
    assert ", 1 column mostly empty" in finding.meaning
    assert "missing values" not in findings(PLAIN)


def test_rows_left_out_and_few_rows() -> None:
    target = np.where(np.arange(ROWS) % 4 == 0, np.nan, PLAIN)
    found = findings(target)
    assert found["rows"][0].value == 300
    assert "few rows" in found["rows"][0].meaning
    assert found["rows without a target"][0].value == 100


def test_extreme_targets_stay_finite() -> None:
    for target in (PLAIN * 1e307, PLAIN * 1e-300, np.where(PLAIN > 12, 1e308, -1e308)):
        with np.errstate(all="raise", under="ignore"):
            findings(target, "regression")


@pytest.mark.parametrize("code", [-999.0, 99999.0, -9.0])
def test_a_code_for_missing_values_is_told_in_targets_and_columns(code: float) -> None:
    coded = np.where(np.arange(ROWS) % 10 == 0, code, PLAIN.round(2))
    finding = one("codes for missing values", coded)
    assert (finding.level, finding.value) == ("warning", f"y: {code:.15g} (10 %)")
    assert "repeated value" not in findings(coded)
    assert one("codes for missing values", PLAIN, w=coded).value == f"w: {code:.15g} (10 %)"


def test_numbers_of_nines_that_belong_are_no_codes() -> None:
    numbers = np.random.default_rng(2).integers(-20, 120, ROWS)
    for column in (numbers, np.clip(numbers, 0, 99), numbers % 3 * 9, -np.abs(numbers)):
        assert "codes for missing values" not in findings(PLAIN, w=column)
        assert "codes for missing values" not in findings(column.astype(float), task="regression")


def test_a_target_of_hardly_more_than_one_value_is_told() -> None:
    finding = one("repeated value", np.where(np.arange(ROWS) < 8, 6.0, 5.0), task="regression")
    assert (finding.level, finding.value) == ("warning", "5 (98 %)")


def test_classes_that_differ_in_blanks_and_capitals_are_told() -> None:
    target = labels([0.3, 0.3, 0.2, 0.2])
    names = {"a": "yes", "b": "no", "c": "Yes ", "d": "new york"}
    finding = one("classes spelt alike", [names[label] for label in target])
    assert (finding.level, finding.value) == ("warning", "'Yes ', 'yes'")


def test_rows_in_order_of_time_are_told_unless_their_order_is_given() -> None:
    day = pd.date_range("2021-03-01", periods=ROWS).strftime("%d.%m.%Y").to_numpy()
    trend = PLAIN + np.arange(ROWS) / 100
    assert one("rows in order of time", trend, day=day).value == "day"
    rain = np.where(np.sin(np.arange(ROWS) / 15) + NOISE[:, 0] > 0, "rain", "sun")
    mixed = np.random.default_rng(3).permutation(ROWS)
    assert "rows in order of time" in findings(rain[mixed], day=day[mixed])
    assert "rows in order of time" not in findings(rain[mixed], day=day)
    frame = pd.DataFrame({"day": day, "u": NOISE[:, 1], "y": trend})
    for time, groups in (("day", None), (None, False)):
        frame_of, told = Arrangement.of(frame, ["y"], groups, time)
        found = diagnose(frame_problem(frame_of, "y", arrangement=told))
        assert "rows in order of time" not in {finding.name for finding in found}


@pytest.mark.parametrize(
    ("style", "read"),
    [("%d.%m.%Y", "%d.%m.%Y"), ("%d/%m/%Y", "%m/%d/%Y"), ("%d.%m.%y", "%d.%m.%y")],
)
def test_dates_of_two_readings_are_told(style: str, read: str) -> None:
    months = pd.date_range("2000-01-01", periods=ROWS, freq="MS").strftime(style).to_numpy()
    finding = one("dates of two readings", PLAIN, day=months)
    assert (finding.level, finding.value) == ("warning", "day")
    assert finding.meaning.startswith(f"read as {read}, though ")
    days = pd.date_range("2000-01-01", periods=ROWS).strftime(style).to_numpy()
    assert "dates of two readings" not in findings(PLAIN, day=days)
    assert "dates of two readings" not in findings(PLAIN, day=pd.to_datetime(months, format=style))


@pytest.mark.parametrize("written", ["({})", "−{}", "1'{:03d}", "1\u00a0{:03d}", "2 {:03d}"])
def test_numbers_with_other_marks_are_told_and_are_no_ids(written: str) -> None:
    found = findings(PLAIN, w=[written.format(row) for row in range(ROWS)])
    assert "numbers as text" in found
    assert "id-like columns" not in found


def test_without_censoring_nothing_is_said_of_others() -> None:
    frame = pd.DataFrame({"u": NOISE[:, 1], "days": 1 + np.arange(ROWS), "seen": 1})
    rest, event = Event.of(frame, ["days"], "seen")
    found = {one.name: one for one in diagnose(frame_problem(rest, "days", event=event))}
    assert found["events"].meaning == "none is censored"
