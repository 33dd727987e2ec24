"""What is expected of finalists: measurement and other tables combined, and what is leaned to."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_diabetes

import lossmith
from lossmith.study.base.result import CandidateResult, Expected, Result
from lossmith.study.data.problem import frame_problem
from lossmith.study.metrics import lookup
from lossmith.study.report.leaning import leaning
from lossmith.study.rules.compare import FoldErrors
from lossmith.study.selection.expected import ratio
from lossmith.study.suggest.expectation import (
    OTHERS_DOUBT,
    OWN_DOUBT,
    expectations,
    expected,
    lean,
)
from lossmith.study.suggest.features import features
from lossmith.study.suggest.knowledge import MOST, SMALL, source


@pytest.mark.parametrize("measured", [-0.001, 0.0005])
@pytest.mark.parametrize("error", [0.0002, 0.001])
@pytest.mark.parametrize("mean", [-0.02, 0.01])
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_small_gains_are_combined_by_their_precisions(
    measured: float, error: float, mean: float, power: float
) -> None:
    deviation = 0.02
    slope = power * SMALL  # of the log ratio over the scale of gains, at 0
    own, others = (OWN_DOUBT * error) ** -2, (slope * OTHERS_DOUBT * deviation) ** -2
    middle = (own * measured + others * slope * mean) / (own + others)
    spread = (own + others) ** -0.5
    found = expected(measured, error, mean, deviation, power)
    assert found.change == pytest.approx(middle, abs=2e-6)
    assert found.harm == pytest.approx(stats.norm.cdf(middle / spread), abs=0.01)
    assert found.low == pytest.approx(middle + stats.norm.ppf(0.1) * spread, abs=2e-5)
    assert found.high == pytest.approx(middle + stats.norm.ppf(0.9) * spread, abs=2e-5)


@pytest.mark.parametrize(
    ("measured", "error", "mean", "deviation"),
    [
        (-0.3, 0.1, 0.5, 1.2),
        (0.2, 0.3, -2.0, 0.5),
        (-1.2, 0.05, -3.0, 1.0),
        (-0.02, 0.02, 3.0, 1.0),
    ],
)
def test_large_gains_are_integrated(
    measured: float, error: float, mean: float, deviation: float
) -> None:
    draw = np.random.default_rng(0)
    scale = draw.normal(mean, OTHERS_DOUBT * deviation, 2_000_000)
    scale = scale[np.abs(scale) < np.arcsinh(MOST / SMALL)]
    logs = SMALL * np.sinh(scale)
    weight = stats.norm.pdf(measured, logs, OWN_DOUBT * error)
    found = expected(measured, error, mean, deviation)
    assert found.change == pytest.approx(np.average(np.expm1(logs), weights=weight), abs=2e-3)
    assert found.harm == pytest.approx(np.average(logs > 0, weights=weight), abs=5e-3)


def test_a_sure_measurement_stands_and_an_unsure_one_says_nothing() -> None:
    assert expected(-0.1, 1e-4, 3.0, 0.5).change == pytest.approx(np.expm1(-0.1), abs=2e-3)
    assert expected(-0.1, 1e-9, 3.0, 0.5).harm == 0.0
    unsure, other = expected(-0.1, 1e3, -0.2, 0.5), expected(0.4, 1e3, -0.2, 0.5)
    assert unsure.change == pytest.approx(other.change, abs=1e-4)
    assert unsure.harm == pytest.approx(stats.norm.cdf(-0.2 / (OTHERS_DOUBT * 0.5)), abs=1e-2)


@pytest.mark.parametrize("measured", [-1e6, -3.0, 0.0, 3.0, 1e6])
@pytest.mark.parametrize("error", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("mean", [-9.0, 0.0, 9.0])
def test_any_measurement_gives_numbers_in_order(measured: float, error: float, mean: float) -> None:
    found = expected(measured, error, mean, 1e-3)
    assert np.isfinite([found.change, found.low, found.high, found.harm]).all()
    assert -1 < found.low <= found.high
    assert 0 <= found.harm <= 1


def test_a_sure_gain_does_no_harm_rather_than_less() -> None:
    for mean in (-1.7191546991134359, -0.5, 0.5):
        for deviation in np.linspace(0.1, 1.5, 50):
            assert expected(-1.3828348684464724, 0.017140402119374166, mean, deviation).harm >= 0


def row(name: str, change: float, harm: float, status: Any = "finished") -> CandidateResult:
    told = Expected(change=change, low=change - 0.01, high=change + 0.01, harm=harm)
    return CandidateResult(name=name, parameters={}, status=status, expected=told)


def test_lean_is_the_largest_gain_that_hardly_harms() -> None:
    default = CandidateResult(name="mse", parameters={}, status="default")
    small, large = row("small", -0.02, 0.01), row("large", -0.05, 0.09)
    risky, worse = row("risky", -0.3, 0.11), row("worse", 0.1, 0.01)
    assert lean([default, small, large, risky, worse]) == "large"
    assert lean([default, risky, worse]) is None
    assert lean([default]) is None
    assert lean([]) is None
    assert lean([replace(risky, status="selected"), small]) == "risky"  # proven


def errors(levels: list[float], parts: np.ndarray, by_ratio: bool) -> FoldErrors:
    rows = tuple(np.arange(4) + 4 * fold for fold in range(len(levels)))
    influences = tuple(part - part.mean() for part in parts)
    return FoldErrors(
        errors=np.array(levels),
        influences=influences,
        rows=rows,
        epochs=(1,) * len(levels),
        best_epoch=1,
        by_ratio=by_ratio,
    )


def test_what_was_measured_is_what_the_test_compares() -> None:
    draw = np.random.default_rng(0)
    own, base = (errors([1.0, 10.0, 100.0], draw.normal(size=(3, 4)), True) for _ in range(2))
    own = replace(own, errors=own.errors * np.array([0.8, 0.9, 0.8]))
    gain, error = ratio(own, base, lookup("mae"), 12)
    assert gain == pytest.approx(np.log([0.8, 0.9, 0.8]).mean())
    test = own.log_ratio(base)
    assert test is not None
    assert test.p_value == own.p_value(base)
    assert error == pytest.approx((test.high - test.low) / (2 * stats.norm.ppf(0.975)))


def test_shares_are_measured_in_units_of_the_error() -> None:
    draw = np.random.default_rng(0)
    own = errors([-0.8, -0.9], draw.normal(size=(2, 4)) / 50, False)  # of accuracies
    base = errors([-0.7, -0.8], draw.normal(size=(2, 4)) / 50, False)
    gain, error = ratio(own, base, lookup("accuracy"), 1000)
    assert gain == pytest.approx(np.log(0.15 / 0.25))
    between = own.difference(base)
    assert error == pytest.approx((between.high - between.low) / 2 / 1.959964 / 0.15)


def diabetes() -> pd.DataFrame:
    return load_diabetes(as_frame=True).frame


def test_expectations_are_what_other_tables_and_the_measurement_say() -> None:
    problem, rows = frame_problem(diabetes(), "target", "r2"), np.arange(300)
    measured = {"huber(delta=0.5)": (-0.03, 0.01), "a loss of tomorrow": (-0.03, 0.01)}
    found = expectations(problem, rows, "r2", measured)
    known = source("regression", "r2")
    assert known is not None
    assert (known.metric, known.power) == ("rmse", 2.0)
    point = known.knowledge.point(features(problem, rows))
    prior = known.knowledge.forecast("rmse", "huber(delta=0.5)", point)
    assert found["huber(delta=0.5)"] == expected(-0.03, 0.01, *prior, 2.0)
    mean, deviation = known.knowledge.forecast_of_any("rmse")
    assert mean == known.knowledge.metrics["rmse"].priors[0].mean
    assert deviation > prior[1]  # less sure than of a loss that is known
    assert found["a loss of tomorrow"] == expected(-0.03, 0.01, mean, deviation, 2.0)


@pytest.mark.parametrize("metric", ["pinball@0.5", "poisson_deviance"])
def test_nothing_is_expected_where_no_other_table_tells(metric: str) -> None:
    problem = frame_problem(diabetes(), "target", metric)
    assert expectations(problem, np.arange(100), metric, {"mae": (-0.5, 0.01)}) == {}


def test_untouched_rows_say_nothing() -> None:
    frame, rows = diabetes(), np.arange(0, 442, 2)
    changed = frame.copy()
    changed.loc[1::2, "target"] *= 100
    pair = [features(frame_problem(one, "target", "mae"), rows) for one in (frame, changed)]
    assert pair[0] == pair[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A study of a table a tenth of whose targets moved far, where robust losses gain much."""
    frame, draw = diabetes(), np.random.default_rng(0)
    hit = draw.random(len(frame)) < 0.1
    frame["target"] = np.where(hit, 10 * frame["target"], frame["target"])
    out = tmp_path_factory.mktemp("run")
    selection = lossmith.select(
        frame,
        target="target",
        metric="rmse",
        candidates=["huber", "cauchy", "mae"],
        epochs=20,
        keep_outliers=False,
        out=out,
        force=True,
    )
    return selection, out


def test_a_study_leans_where_it_is_told(run: tuple[Any, Path]) -> None:
    result = run[0].result
    measured = [row for row in result.candidates if row.difference_to_default is not None]
    rivals = [row for row in measured if row.name != result.default]
    assert rivals
    assert all(row.expected is not None for row in rivals)
    others = [row for row in result.candidates if row not in rivals]
    assert all(row.expected is None for row in others)  # nor the default
    assert result.lean == lean(result.candidates)
    assert result.lean in {row.name for row in rivals}


def test_the_folder_holds_what_is_expected(run: tuple[Any, Path]) -> None:
    result, out = run[0].result, run[1]
    kept = json.loads((out / "result.json").read_text())
    assert kept["lean"] == result.lean
    by_name = {one["name"]: one["expected"] for one in kept["candidates"]}
    assert set(by_name[result.lean]) == {"change", "low", "high", "harm"}
    assert by_name[result.default] is None
    page = (out / "report.html").read_text()
    assert "Lean: to " in page
    assert ">expected</th>" in page


def test_what_is_leaned_to_is_told_in_one_sentence(run: tuple[Any, Path]) -> None:
    result: Result = run[0].result
    assert result.lean is not None
    assert leaning(result).startswith(f"Lean: to {result.lean}")
    kept = replace(result, verdict="keep", selected=result.default)
    assert "which is not proven but expected to be better: RMSE −" in leaning(kept)
    nothing = replace(kept, lean=None)
    assert leaning(nothing).startswith("Lean: to none of the others. Most is expected of ")
    blank = tuple(replace(row, expected=None) for row in result.candidates)
    assert leaning(replace(nothing, candidates=blank)) == ""


def test_suspected_rows_leave_nothing_to_expect() -> None:
    draw = np.random.default_rng(0)
    person = np.repeat(np.arange(40), 10)
    level = draw.normal(size=40)[person]
    frame = pd.DataFrame({"patient": person, "x": draw.normal(size=400), "y": level})
    told = [
        lossmith.select(
            frame, target="y", metric="mae", candidates=["huber"], epochs=5, groups=groups
        ).result
        for groups in (None, False)
    ]
    assert (told[0].lean, {row.expected for row in told[0].candidates}) == (None, {None})
    assert any(row.expected for row in told[1].candidates)
