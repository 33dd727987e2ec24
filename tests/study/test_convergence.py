"""A study goes on while that helps: longer, at further learning rates, to a cap that it names."""

import numpy as np
import pytest

from lossmith.study.base.clock import OutOfTimeError
from lossmith.study.journal import Setting
from lossmith.study.rules.convergence import LONGER, TOLERANCE, WIDENINGS, beyond, improving
from lossmith.study.rules.decision import decide
from lossmith.study.rules.measurements import Measurements
from shared.scripted import (
    BUDGET,
    LEVELS,
    RATES,
    Script,
    Scripted,
    ScriptedBatch,
    learning,
    noise,
    search,
)

CAP = LONGER * BUDGET.epochs


def falling(until: int, name: str = "default") -> Script:
    """Return a script by which one candidate gets better up to an epoch, and all others do not."""

    def script(candidate: str, fold: int, epoch: int, rate: float) -> float:
        level = 1.0 + 0.2 * (rate != 0.003) + 0.02 * noise(fold) + 0.01 * noise(candidate, fold)
        if candidate == name:
            return level * 1.4 / (1 + 0.2 * np.log2(min(epoch, until)))
        return level * (1.5 if candidate == "default" else 1.55 + 0.1 * LEVELS[candidate])

    return script


def searched(script: Script, lengthen: bool = True, widen: bool = False) -> Measurements:
    one = search(Scripted(script))
    one.lengthen, one.widen = lengthen, widen
    return one.run()


def tried(found: Measurements) -> set[float]:
    """Return the learning rates at which anything was started."""
    return {training.setting.learning_rate for training in found.facts.records}


def scored(found: Measurements, setting: Setting, fold: int) -> list[int]:
    """Return the epochs after which a setting was scored on a fold."""
    return [*found.records(setting)[fold].scores]


@pytest.mark.parametrize("name", ["default", "a"])
@pytest.mark.parametrize("until", [10, 70, 130])
def test_training_goes_on_as_long_as_it_helps(name: str, until: int) -> None:
    found = searched(falling(until, name))
    assert found.finished
    assert not found.still_improving
    assert until <= found.epochs <= max(BUDGET.epochs, 4 * until)
    best = found.settings[name]
    for fold in found.folds:  # what is compared was measured at the same epochs everywhere
        assert scored(found, best, fold)[-1] == found.epochs
        assert scored(found, best, fold) == scored(found, best, 0)


def late(candidate: str, fold: int, epoch: int, rate: float) -> float:
    """Tell only on the folds after the screening that one of them gets better for longer."""
    return falling(10 if fold < 2 else 50)(candidate, fold, epoch, rate)


def test_finalists_go_on_where_only_all_folds_show_that_it_helps() -> None:
    found = searched(late)
    lengths = [one for name, one in found.facts.decisions.items() if name.startswith("length")]
    assert [one["epochs"] for one in lengths] == [80]
    assert lengths[0]["folds"] == list(range(10))
    assert found.finished
    for fold in found.folds:
        assert scored(found, found.default, fold)[-1] == 80


@pytest.mark.parametrize("stop", [OutOfTimeError, KeyboardInterrupt])
def test_a_study_that_is_stopped_while_it_goes_on_has_what_it_had_before(
    stop: type[BaseException],
) -> None:
    def interrupt(batch: ScriptedBatch) -> None:
        if batch.folds[0] == 2 and batch.epoch > BUDGET.epochs:
            raise stop

    trainer = Scripted(late)
    trainer.on_advance = interrupt
    one = search(trainer)
    one.lengthen = True
    found = one.run()
    assert not found.finished
    assert found.past_last_check
    assert found.epochs == BUDGET.epochs
    assert set(found.folds) == set(range(10))
    assert decide(found).candidates


def test_the_cap_ends_it_and_is_told() -> None:
    found = searched(falling(10_000))
    assert found.epochs == CAP
    assert found.still_improving == ("default",)
    assert found.finished


def test_a_fixed_number_of_epochs_is_kept_to() -> None:
    found = searched(falling(10_000), lengthen=False)
    assert found.epochs == BUDGET.epochs
    assert found.still_improving == ("default",)


def test_one_that_is_worse_than_the_default_prolongs_nothing() -> None:
    def script(name: str, fold: int, epoch: int, rate: float) -> float:
        return 9.0 + 40 / epoch if name == "a" else learning(name, fold, BUDGET.epochs, rate)

    assert searched(script).epochs == BUDGET.epochs


@pytest.mark.parametrize("best", [0.003, 0.01, 0.03, 0.0001, 10.0])
def test_learning_rates_go_on_beyond_an_edge(best: float) -> None:
    def script(name: str, fold: int, epoch: int, rate: float) -> float:
        off = abs(np.log10(rate / best)) if name == "default" else rate != 0.003
        return LEVELS[name] + 0.2 * off + 0.02 * noise(name, fold)

    found = searched(script, lengthen=False, widen=True)
    rates = {key.learning_rate for key in found.of_candidate("default")}
    within = best < 10
    assert found.default.learning_rate == (best if within else 0.1)
    assert found.at_edge == (("default",) if best in (0.0001, 10.0) else ())
    assert len(rates) <= len(RATES) + WIDENINGS
    assert set(found.records(found.default)) == set(range(10))
    assert {key.learning_rate for key in found.of_candidate("b")} == set(RATES)


def test_a_rate_beyond_that_is_worse_leaves_early() -> None:
    def script(name: str, fold: int, epoch: int, rate: float) -> float:
        off = rate > 0.01 if name == "default" else rate != 0.003
        return LEVELS[name] + 0.2 * off - 5 * min(rate, 0.01) + 0.02 * noise(name, fold)

    found = searched(script, lengthen=False, widen=True)
    assert scored(found, Setting("default", 0.03), 0)[-1] < BUDGET.epochs / 2
    assert found.default.learning_rate == 0.01
    assert not found.at_edge


def test_an_edge_that_hardly_gains_is_none() -> None:
    def script(name: str, fold: int, epoch: int, rate: float) -> float:
        return LEVELS[name] * (1 - 0.4 * TOLERANCE * np.log10(rate)) + 0.02 * noise(name, fold)

    found = searched(script, lengthen=False, widen=True)
    assert tried(found) == set(RATES)
    assert found.default.learning_rate == RATES[-1]
    assert not found.at_edge


def test_learning_rates_that_were_asked_for_are_kept_to() -> None:
    found = searched(lambda name, fold, epoch, rate: LEVELS[name] / rate, lengthen=False)
    assert tried(found) == set(RATES)
    assert "default" in found.at_edge


def test_what_was_gained_must_be_worth_the_time() -> None:
    epochs = [10, 20, 40]
    assert improving(np.array([1.0, 1.0, 1 - 1.1 * TOLERANCE]), epochs)
    assert not improving(np.array([1.0, 1.0, 1 - 0.9 * TOLERANCE]), epochs)
    assert not improving(np.array([1.0, 0.5, 0.6]), epochs)
    assert not improving(np.array([1.0]), [5])
    assert not improving(np.array([1.0, np.nan]), [5, 10])
    assert improving(np.array([-0.8, -0.8, -0.9]), epochs)  # scores turned to errors


def test_rates_beyond_go_on_as_those_tried() -> None:
    assert beyond(0.3, [0.1, 0.3]) is None
    assert beyond(0.4, [0.1, 0.2, 0.4]) == pytest.approx(0.8)
    assert beyond(0.1, [0.4, 0.1, 0.2]) == pytest.approx(0.05)


def test_a_dropped_loss_stands_beside_the_default_at_its_own_epoch_and_folds() -> None:
    """The folds of the screening are easy, so that the dropped look better than the default."""

    def script(name: str, fold: int, epoch: int, rate: float) -> float:
        harder = 0.0 if fold < 2 else 9.0 if name == "b" else 2.0
        return learning(name, fold, epoch, rate) + harder

    found = searched(script, lengthen=False)
    rows = {row.name: row for row in decide(found).candidates}
    dropped = [row for row in rows.values() if row.status == "dropped"]
    assert {row.folds for row in dropped} == {2, 10}
    for row in dropped:
        assert row.epochs is not None
        if row.folds == 10:  # left at a check, whatever the screening trained it to
            assert row.epochs < BUDGET.epochs
        assert row.default_score is not None
        assert row.score is not None
        folds = [0, 1] if row.folds == 2 else range(10)
        expected = min(
            np.mean([abs(script("default", fold, epoch, 0.003)) for fold in folds])
            for epoch in BUDGET.checkpoints()
            if epoch <= row.epochs
        )
        assert row.default_score == pytest.approx(expected)
    assert rows["default"].default_score is None
    early = next(row for row in dropped if row.folds == 2)
    assert rows["default"].score is not None
    assert early.default_score is not None
    assert early.score is not None
    assert early.score < rows["default"].score  # though
    assert early.default_score < early.score
