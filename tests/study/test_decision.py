"""What is decided in the end: scores, differences and p-values."""

import numpy as np
import pytest

from lossmith.study.rules.compare import FoldErrors, best_epochs
from lossmith.study.rules.decision import decide
from lossmith.study.rules.paired_test import holm
from shared.scripted import LEVELS, NAMES, Scripted, finished, learning, noise, search


def test_dropped_candidates_say_where_they_left() -> None:
    verdict = decide(finished(search(Scripted(learning))))
    last = next(row for row in verdict.candidates if row.name == "i")
    assert last.status == "dropped"
    assert last.folds == 2
    assert "left after" in last.note
    assert last.p_value is None
    assert last.score is not None


def test_differences_and_scores_are_the_mean_over_folds() -> None:
    def script(name: str, fold: int, epoch: int, rate: float) -> float:
        return {"default": 2.0, "a": 1.5}.get(name, 5.0) + 0.1 * fold

    verdict = decide(finished(search(Scripted(script))))
    rows = {row.name: row for row in verdict.candidates}
    assert rows["default"].score == pytest.approx(2.45)
    assert rows["a"].score == pytest.approx(1.95)
    assert rows["a"].difference_to_default == pytest.approx(-0.5)


def test_p_values_count_the_candidates_that_were_dropped() -> None:
    one = finished(search(Scripted(learning)))
    found = {name: one.evaluate(setting) for name, setting in one.settings.items()}
    default = found.pop("default")
    raw = {name: errors.p_value(default) for name, errors in found.items()}
    corrected = {row.name: row.p_value for row in decide(one).candidates if row.name in raw}
    assert corrected == pytest.approx(holm(raw, len(NAMES) - 1))
    least = min(raw, key=lambda name: raw[name])
    assert corrected[least] == pytest.approx(min(1, raw[least] * (len(NAMES) - 1)))


def test_a_metric_that_is_better_higher_is_turned_round() -> None:
    one = finished(search(Scripted(lambda n, c, e, r: LEVELS[n] / 5 + 0.01 * noise(n, c)), "r2"))
    other = finished(
        search(
            Scripted(lambda n, c, e, r: (0.1 if n == "a" else LEVELS[n] / 5) + 0.001 * noise(n, c)),
            "r2",
        )
    )
    assert decide(one).selected == "default"
    verdict = decide(other)
    row = next(row for row in verdict.candidates if row.name == "a")
    assert verdict.selected == "a"
    assert row.difference_to_default is not None
    assert row.difference_low is not None
    assert row.difference_high is not None
    assert 0 < row.difference_low < row.difference_to_default < row.difference_high


def test_folds_near_zero_do_not_prove_what_the_mean_error_denies() -> None:
    """Nine folds ten times as good, of almost nothing, and one in which most of the error is."""
    ours, theirs = (_folds([level] * 9 + [last]) for level, last in ((1e-4, 0.5), (1e-3, 0.4)))
    logs = np.log(ours.errors) - np.log(theirs.errors)
    assert logs.mean() < -2  # beyond doubt, as far as ratios go
    assert ours.difference(theirs).mean > 0
    assert ours.p_value(theirs) > 0.5
    assert theirs.p_value(ours) < 0.5


def _folds(errors: list[float]) -> FoldErrors:
    return FoldErrors(
        errors=np.array(errors),
        influences=tuple(error * np.linspace(-0.1, 0.1, 20) for error in errors),
        rows=tuple(np.arange(20) + 20 * (fold % 5) for fold in range(len(errors))),
        epochs=(1,) * len(errors),
        best_epoch=1,
        by_ratio=True,
    )


def test_a_cell_is_scored_at_the_epoch_best_on_the_other_folds() -> None:
    table = np.array([[9.0, 4.0, 5.0], [0.0, 6.0, 3.0], [9.0, 1.0, 2.5]])
    chosen, best = best_epochs(table, [1, 2, 3])
    # others of fold 0: (9, 7, 5.5) → 3; of fold 1: (18, 5, 7.5) → 2; of fold 2: (9, 10, 8) → 3
    assert chosen == [3, 2, 3]
    assert best == 3  # totals 18, 11, 10.5


def test_noise_over_epochs_is_not_mistaken_for_skill() -> None:
    """A candidate whose scores jump about must not gain from the best of many epochs."""
    rng, found = np.random.default_rng(0), []
    for _ in range(200):
        table = rng.normal(size=(10, 12))
        chosen, _ = best_epochs(table, range(12))
        found.append(table[range(10), chosen].mean())
    assert np.mean(found) > -0.02
