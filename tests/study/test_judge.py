"""What a race says in the end: scores, differences and p-values."""

import numpy as np
import pytest

from lossmith.study.rules.decision import judge
from lossmith.study.rules.paired_test import holm
from lossmith.study.search.scoring import Track
from lossmith.study.search.trial import Key
from shared.scripted import LEVELS, NAMES, Scripted, finished, learning, noise, race


def test_dropped_candidates_say_where_they_left() -> None:
    verdict = judge(finished(race(Scripted(learning))))
    last = next(row for row in verdict.candidates if row.name == "i")
    assert last.status == "dropped"
    assert last.cells == 2
    assert "left after" in last.note
    assert last.p_value is None
    assert last.score is not None


def test_differences_and_scores_are_the_mean_over_cells() -> None:
    def script(name: str, cell: int, epoch: int, rate: float) -> float:
        return {"default": 2.0, "a": 1.5}.get(name, 5.0) + 0.1 * cell

    verdict = judge(finished(race(Scripted(script))))
    rows = {row.name: row for row in verdict.candidates}
    assert rows["default"].score == pytest.approx(2.45)
    assert rows["a"].score == pytest.approx(1.95)
    assert rows["a"].difference_to_default == pytest.approx(-0.5)


def test_p_values_count_the_candidates_that_were_dropped() -> None:
    one = finished(race(Scripted(learning)))
    readings = {name: one.reading(track) for name, track in one.final_tracks().items()}
    default = readings.pop("default")
    raw = {name: reading.doubt(default) for name, reading in readings.items()}
    found = {row.name: row.p_value for row in judge(one).candidates if row.name in raw}
    assert found == pytest.approx(holm(raw, len(NAMES) - 1))
    least = min(raw, key=lambda name: raw[name])
    assert found[least] == pytest.approx(min(1, raw[least] * (len(NAMES) - 1)))


def test_a_metric_that_is_better_higher_is_turned_round() -> None:
    one = finished(race(Scripted(lambda n, c, e, r: LEVELS[n] / 5 + 0.01 * noise(n, c)), "r2"))
    other = finished(
        race(
            Scripted(lambda n, c, e, r: (0.1 if n == "a" else LEVELS[n] / 5) + 0.001 * noise(n, c)),
            "r2",
        )
    )
    assert judge(one).selected == "default"
    verdict = judge(other)
    row = next(row for row in verdict.candidates if row.name == "a")
    assert verdict.selected == "a"
    assert row.difference_to_default is not None
    assert row.difference_low is not None
    assert row.difference_high is not None
    assert 0 < row.difference_low < row.difference_to_default < row.difference_high


def test_a_cell_is_scored_at_the_epoch_best_on_the_other_cells() -> None:
    one = race(Scripted(learning))
    one.cells = [0, 1, 2]
    track = Track(Key("a", 0.1))
    track.scores = {
        0: {1: 9.0, 2: 4.0, 3: 5.0},
        1: {1: 0.0, 2: 6.0, 3: 3.0},
        2: {1: 9.0, 2: 1.0, 3: 2.5},
    }
    track.influences = {cell: {epoch: np.zeros(40) for epoch in (1, 2, 3)} for cell in range(3)}
    reading = one.reading(track)
    scores, epoch = reading.scores, reading.epoch
    # others of cell 0: (9, 7, 5.5) → 3; of cell 1: (18, 5, 7.5) → 2; of cell 2: (9, 10, 8) → 3
    assert scores.tolist() == [5.0, 6.0, 2.5]
    assert epoch == 3  # totals 18, 11, 10.5


def test_noise_over_epochs_is_not_mistaken_for_skill() -> None:
    """A candidate whose scores jump about must not gain from the best of many epochs."""
    names = ("default", "jumpy")
    rng, found = np.random.default_rng(0), []
    for _ in range(200):
        one = race(Scripted(learning), names=names)
        one.cells = list(range(10))
        track = Track(Key("jumpy", 0.1))
        track.scores = {
            cell: dict(enumerate(rng.normal(size=12).tolist(), start=1)) for cell in range(10)
        }
        track.influences = {cell: dict.fromkeys(range(1, 13), np.zeros(32)) for cell in range(10)}
        found.append(one.reading(track).scores.mean())
    assert np.mean(found) > -0.02
