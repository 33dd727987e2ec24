"""A whole study of several targets, to the end or stopped."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import lossmith
from lossmith.study.base.errors import InputError
from lossmith.study.base.result import WeightSweep
from lossmith.study.metrics import lookup
from lossmith.study.multitarget.candidates import grid
from lossmith.study.selection.conclude import Selection
from lossmith.study.selection.select import select
from lossmith.study.selection.storage import load
from lossmith.study.selection.tables import _fields
from shared.houses import houses


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Selection, Path]:
    out = tmp_path_factory.mktemp("joint") / "run"
    found = select(
        houses(),
        target=["price", "sold.fast", "grade"],
        metric=["mae", "f1", "accuracy"],
        task={"grade": "multiclass"},
        positive={"sold.fast": "yes"},
        candidates=["huber", "gaussian_nll", "brier", "focal"],
        epochs=5,
        learning_rates=(3e-3, 1e-2),
        out=out,
    )
    return found, out


def test_each_target_has_its_own_paired_interval(studied: tuple[Selection, Path]) -> None:
    found, _ = studied
    result = found.result
    assert [one.name for one in result.targets] == ["price", "sold.fast", "grade"]
    assert [one.metric for one in result.targets] == ["mae", "f1", "accuracy"]
    default = next(row for row in result.candidates if row.name == result.default)
    assert default.parameters["shares"]
    for row in result.candidates:
        if row.status in ("finished", "selected"):
            for one in result.targets:
                part = row.by_target[one.name]
                own, base = part["score"], default.by_target[one.name]["score"]
                assert part["difference_to_default"] == pytest.approx(own - base)
                low, high = part["difference_low"], part["difference_high"]
                assert low <= part["difference_to_default"] <= high


def test_every_loss_at_every_weighting_is_corrected_for(studied: tuple[Selection, Path]) -> None:
    found, _ = studied
    measures = [lookup(name) for name in ("mae", "f1", "accuracy")]
    keys = ["huber", "gaussian_nll", "brier", "focal"]
    split = found.problem.split(found.result.seed)
    fields = _fields(found.problem, measures, split, keys)
    rivals = sum(len(field.candidates) - 1 for field in fields)
    assert found.measurements.design.earlier == 3 * rivals


def test_a_switch_is_better_in_the_mean_and_beyond_doubt(studied: tuple[Selection, Path]) -> None:
    result = studied[0].result
    rows = {row.name: row for row in result.candidates}
    if result.verdict == "switch":
        chosen = rows[result.selected]
        assert chosen.p_value is not None
        assert chosen.p_value < 0.05
        assert chosen.difference_to_default is not None
        assert chosen.difference_to_default < 0
    else:
        assert result.selected == result.default


def test_predictions_of_a_saved_run_are_those_of_the_study(
    studied: tuple[Selection, Path],
) -> None:
    found, out = studied
    new = houses().drop(columns=["price", "sold.fast", "grade"])
    expected, loaded = found.predict(new), load(out).predict(new)
    pd.testing.assert_frame_equal(expected, loaded)
    assert {"prediction_price", "prediction_sold.fast", "probability_grade_1"} <= set(expected)
    saved = pd.read_csv(out / "predictions.csv")
    assert list(saved)[:4] == ["row", "target_price", "target_sold.fast", "target_grade"]
    assert set(saved["prediction_sold.fast"]) <= {"yes", "no"}
    error = (saved["target_price"] - saved["prediction_price"]).abs().mean()
    assert error == pytest.approx(found.result.targets[0].test["selected"], rel=1e-5)


def test_the_loss_handed_over_is_a_hybrid_for_ones_own_loop(
    studied: tuple[Selection, Path],
) -> None:
    found, out = studied
    loss = lossmith.load(out / "loss.json")
    assert isinstance(loss, lossmith.Hybrid)
    assert list(loss.losses) == ["price", "sold_fast", "grade"]
    output = {
        name: torch.zeros(2, one.out_features).squeeze(-1) for name, one in loss.losses.items()
    }  # type: ignore
    target = {"price": torch.ones(2), "sold_fast": torch.ones(2), "grade": torch.tensor([0, 1])}
    torch.testing.assert_close(loss(output, target), found.loss(output, target))


def test_the_report_draws_the_trade_off_and_its_code_runs(
    studied: tuple[Selection, Path], tmp_path: Path
) -> None:
    from lossmith.study.report.snippet import snippet

    found, out = studied
    page = (out / "report.html").read_text()
    assert "Trade-off" in page
    assert "sold.fast" in page
    assert len(found.evidence.weights) == len(grid(3))
    program = snippet(found.result, found.evidence)
    (tmp_path / "loss.json").write_bytes((out / "loss.json").read_bytes())
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    document = json.loads((out / "result.json").read_text())
    assert [one["name"] for one in document["targets"]] == ["price", "sold.fast", "grade"]


def test_one_target_is_several_with_one() -> None:
    ask: dict[str, Any] = {"candidates": ["brier"], "epochs": 3, "learning_rates": (1e-2,)}
    frame = houses().drop(columns=["price", "grade"])
    alone = select(frame, target="sold.fast", metric="f1", positive="no", **ask)
    positive = {"sold.fast": "no"}
    listed = select(frame, target=["sold.fast"], metric=["f1"], positive=positive, **ask)
    for one in (alone, listed):
        assert one.result.targets == ()
        assert set(one.predict(frame)) == {"prediction", "probability_yes", "probability_no"}
    found = [dict(one.result.to_json(), cost=0) for one in (alone, listed)]
    assert found[0] == found[1]
    pd.testing.assert_frame_equal(alone.predictions(), listed.predictions())


def test_a_figure_of_two_targets_draws_the_weights_of_these_two() -> None:
    from lossmith.study.report.tradeoff import _between

    weights = [WeightSweep(shares=shares, changes=(0.0,) * 3) for shares in grid(3)]
    drawn = [one.shares for one in _between(weights, 2)]
    assert len(drawn) == 7
    assert all(shares[1] == min(shares) for shares in drawn)
    assert [shares[0] for shares in drawn] == sorted(shares[0] for shares in drawn)
    pairs = [WeightSweep(shares=shares, changes=(0.0,) * 2) for shares in grid(2)]
    assert len(_between(pairs, 1)) == len(pairs)


def test_a_default_without_error_is_drawn(studied: tuple[Selection, Path]) -> None:
    from lossmith.study.report.tradeoff import changes

    result = studied[0].result
    perfect = [replace(one, default=lookup(one.metric).best) for one in result.targets]
    found = changes(replace(result, targets=tuple(perfect)), result.candidates[0])
    assert np.isfinite(found[1:]).all()


def test_a_study_stopped_at_once_says_so() -> None:
    def stop(_: float, text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(InputError, match="stopped before any"):
        select(houses(), target=["price", "grade"], metric=["mae", "accuracy"], progress=stop)


def test_every_budget_leaves_time_for_combinations() -> None:
    found = select(
        houses(),
        target=["price", "grade"],
        metric=["mae", "accuracy"],
        candidates=["huber", "focal"],
        budget=1e-6,
    )
    assert found.result.interrupted
    assert found.verdict == "keep"
    assert all(row.folds for row in found.result.candidates)


@pytest.fixture(scope="module")
def with_gross_errors() -> tuple[Selection, list[Any]]:
    """Return a study of a target with gross errors, and what it said before training."""
    frame, shown = houses(), []
    frame.loc[::12, "price"] = 1e9
    found = select(
        frame,
        target=["price", "sold.fast"],
        metric=["rmse", "auroc"],
        candidates=["huber"],
        epochs=6,
        learning_rates=(1e-2,),
        on_diagnosis=lambda one, findings: shown.extend((*findings, *one.notes)),
    )
    return found, shown


def test_only_what_was_not_known_before_training_follows_the_first_findings(
    with_gross_errors: tuple[Selection, list[Any]],
) -> None:
    found, shown = with_gross_errors
    (gross,) = found.result.diagnosis[len(shown) :]
    assert gross.name == "price: gross errors in the target"


def test_rows_left_out_are_left_out_of_every_epoch_and_of_the_unit(
    with_gross_errors: tuple[Selection, list[Any]],
) -> None:
    measurements = with_gross_errors[0].measurements
    measure: Any = measurements.measure
    assert measurements.folds == tuple(range(10))
    for setting in measurements.settings.values():
        for fold, record in measurements.records(setting).items():
            rows = len(measurements.shape.units[fold])
            for epoch, error in record.scores.items():
                scores = [
                    metric.error(measurements.of_target(setting, fold, epoch, place).error)
                    for place, metric in enumerate(measure.metrics)
                ]
                assert error == measure.combine(scores, rows)
    assert measure.units[0] < 1e6


def test_a_study_stopped_late_keeps_what_is_finished() -> None:
    def stop(_: float, text: str) -> None:
        if text.startswith("measuring"):
            raise KeyboardInterrupt

    found = select(
        houses(),
        target=["price", "grade"],
        metric=["mae", "accuracy"],
        candidates=["huber", "brier"],
        epochs=4,
        progress=stop,
    )
    assert found.result.interrupted
    assert found.verdict == "keep"
