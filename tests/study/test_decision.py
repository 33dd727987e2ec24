"""What is decided in the end: scores, differences and p-values."""

import dataclasses

import numpy as np
import pytest

from lossmith.study.rules.decision import decide
from lossmith.study.rules.history import TrialHistory, TrialKey
from lossmith.study.rules.paired_test import holm
from shared.scripted import LEVELS, NAMES, Scripted, finished, learning, noise, search


def test_dropped_candidates_say_where_they_left() -> None:
    verdict = decide(finished(search(Scripted(learning))))
    last = next(row for row in verdict.candidates if row.name == "i")
    assert last.status == "dropped"
    assert last.cells == 2
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
    found = {name: one.evaluate(history) for name, history in one.final_histories().items()}
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


def test_a_cell_is_scored_at_the_epoch_best_on_the_other_folds() -> None:
    one = dataclasses.replace(finished(search(Scripted(learning))), folds=(0, 1, 2))
    history = TrialHistory(TrialKey("a", 0.1))
    history.errors = {
        0: {1: 9.0, 2: 4.0, 3: 5.0},
        1: {1: 0.0, 2: 6.0, 3: 3.0},
        2: {1: 9.0, 2: 1.0, 3: 2.5},
    }
    history.influences = {fold: {epoch: np.zeros(40) for epoch in (1, 2, 3)} for fold in range(3)}
    found = one.evaluate(history)
    # others of fold 0: (9, 7, 5.5) → 3; of fold 1: (18, 5, 7.5) → 2; of fold 2: (9, 10, 8) → 3
    assert found.errors.tolist() == [5.0, 6.0, 2.5]
    assert found.best_epoch == 3  # totals 18, 11, 10.5


def test_noise_over_epochs_is_not_mistaken_for_skill() -> None:
    """A candidate whose scores jump about must not gain from the best of many epochs."""
    names = ("default", "a")
    one = finished(search(Scripted(learning), names=names))
    rng, found = np.random.default_rng(0), []
    for _ in range(200):
        history = TrialHistory(TrialKey("jumpy", 0.1))
        history.errors = {
            fold: dict(enumerate(rng.normal(size=12).tolist(), start=1)) for fold in range(10)
        }
        history.influences = {fold: dict.fromkeys(range(1, 13), np.zeros(32)) for fold in range(10)}
        found.append(one.evaluate(history).errors.mean())
    assert np.mean(found) > -0.02
