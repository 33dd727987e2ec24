"""One measure of several targets: its units, its influences, rows with gross errors."""

from typing import Any

import numpy as np
import pytest

from lossmith.study.journal import Setting
from lossmith.study.metrics import lookup
from lossmith.study.multitarget.combine import GeometricMean
from lossmith.study.trials.combined import combine
from lossmith.study.trials.scoring import Scorer


class Folds:
    """Two folds of one repeat over given targets."""

    def __init__(self, *targets: np.ndarray) -> None:
        self.targets = targets

    def valid_target(self, fold: int) -> np.ndarray:
        return self.targets[fold]

    def siblings(self, fold: int, folds: Any) -> list[int]:
        return [other for other in folds if other != fold]


def scored(seed: int, gross: bool = False) -> tuple[Any, Any, list[np.ndarray], Any]:
    rng = np.random.default_rng(seed)
    y = [rng.normal(size=60) for _ in range(2)]
    if gross:
        y[0][:6] += 100
        y[1][:6] += 100
    c = [rng.permutation(np.arange(60) % 2) for _ in range(2)]
    metrics = lookup("rmse"), lookup("auroc")
    scorers = [Scorer(m, Folds(*t), True) for m, t in zip(metrics, (y, c), strict=True)]
    both = combine(scorers, [np.concatenate(y), np.concatenate(c)])
    assert combine(scorers[:1], y) is scorers[0]  # of a single target there is nothing to do
    history = both.history(Setting("a", 0.1))
    p = [rng.uniform(size=60) for _ in range(2)]
    predictions = {
        fold: (0.5 * y[fold][None] * (y[fold] < 50), np.stack([1 - p[fold], p[fold]], -1)[None])
        for fold in (0, 1)
    }
    both.record([history], predictions, epoch=1)
    return both, history, y, predictions


def test_the_measure_is_the_geometric_mean_of_errors_over_those_of_constants() -> None:
    both, history, _, _ = scored(0)
    rmse, negative_auroc = (part.errors[0][1] for part in history.parts)
    constant = both.metric.units
    expected = np.sqrt(rmse / constant[0] * (1 + negative_auroc) / constant[1])
    assert history.errors[0][1] == pytest.approx(expected)
    assert constant[1] == pytest.approx(0.5)


def test_a_change_of_one_per_cent_is_one_in_the_mean_over_targets_whatever_the_units() -> None:
    both, *_ = scored(0)
    before = both.metric.combine([2.0, 0.8], 100)
    after = both.metric.combine([2.0 * 0.98, 1 - 0.2 * 1.01], 100)
    assert np.log(after / before) == pytest.approx((np.log(0.98) + np.log(1.01)) / 2)


def test_units_are_those_of_the_best_constant() -> None:
    rng = np.random.default_rng(0)
    target = rng.gamma(2, 3, 200)
    zeros = np.where(target > 6, target, 0.0)
    metrics = [lookup("mape"), lookup("medae")]
    found = GeometricMean.of(metrics, [target, zeros])
    constants = np.linspace(target.min(), target.max(), 2000)
    best = min(np.abs((target - constant) / target).mean() for constant in constants)
    assert found.units == (pytest.approx(best, rel=1e-2), 1.0)
    assert np.isfinite(found.combine([0.3, 0.2], 200))


def test_influences_are_those_of_the_combined_score() -> None:
    """A row's influence is how the score moves with the row's weight, by finite differences."""
    both, history, y, predictions = scored(1)
    regression = both.targets[0].metric
    influence, base = history.influences[0][1], history.errors[0][1]
    assert influence.sum() == pytest.approx(0, abs=1e-4)
    row, copies = 7, 60
    target = np.concatenate([np.tile(y[0], copies), y[0][[row]]])
    codes = np.concatenate([np.tile(both.targets[1].folds.valid_target(0), copies)])
    codes = np.concatenate([codes, codes[[row]]])
    tiled = [np.concatenate([np.tile(p[0], (copies, 1) if p.ndim > 2 else copies), p[0][[row]]])
             for p in predictions[0]]  # fmt: skip
    scores = [regression.score(target, tiled[0]), lookup("auroc").score(codes, tiled[1])]
    moved = both.metric.combine(scores, len(target))
    assert (moved - base) * len(target) == pytest.approx(influence[row], rel=0.05, abs=0.01)


def test_rows_with_gross_errors_count_for_the_other_target_alone() -> None:
    both, history, y, _ = scored(2, gross=True)
    before = history.errors[0][1]
    both.exclude_outliers([0, 1])
    assert both.targets[0].has_outliers
    assert both.targets[0].scored_mask(0).sum() == 54
    assert both.targets[1].scored_mask(0).all()
    assert history.errors[0][1] < before
    assert len(history.influences[0][1]) == len(y[0])
    assert history.influences[0][1].mean() == pytest.approx(0, abs=1e-6)
