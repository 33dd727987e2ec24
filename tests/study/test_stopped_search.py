"""A search that the user or the clock stops, and its progress until then."""

import pytest

from lossmith.study.base.clock import Clock
from lossmith.study.rules.decision import decide
from shared.scripted import BUDGET, NAMES, Scripted, ScriptedBatch, learning, noise, search


def interrupted(at: int, error: type[BaseException] = KeyboardInterrupt) -> Scripted:
    """Return a trainer that is stopped at a number of calls of advance."""
    trainer, calls = Scripted(learning), []

    def stop(batch: ScriptedBatch) -> None:
        calls.append(batch.epoch)
        if len(calls) == at:
            raise error

    trainer.on_advance = stop
    return trainer


STEPS = len(BUDGET.checkpoints())


@pytest.mark.parametrize("at", range(1, 2 * STEPS + 1))
def test_what_is_finished_survives_an_interruption(at: int) -> None:
    one = search(interrupted(at)).run()
    assert not one.finished
    if at > 1:
        assert one.finalists[0][0] == "default"
        verdict = decide(one)
        if at <= STEPS + 1:
            assert verdict.selected == "default"
        assert verdict.selected in NAMES
        assert {row.name for row in verdict.candidates} == set(NAMES)
        assert next(r for r in verdict.candidates if r.name == "default").score is not None


@pytest.mark.parametrize("at", range(STEPS + 2, STEPS + 6))
def test_a_stopped_search_is_not_decided_by_its_first_epochs(at: int) -> None:
    """A candidate that only starts fast must not win because the study was stopped."""

    def script(name: str, fold: int, epoch: int, rate: float) -> float:
        fast = name == "a"
        return (1.3 if fast else 1.0 + 3 / epoch) + 0.001 * noise(name, fold)

    trainer = interrupted(at)
    trainer.script = script
    one = search(trainer, names=("default", "a")).run()
    assert not one.finished
    assert decide(one).selected == "default"


def test_time_runs_out() -> None:
    one = search(Scripted(learning))
    one.clock = Clock(0.0, lambda share, text: None)
    found = one.run()
    assert not found.finished
    verdict = decide(found)
    assert verdict.selected == "default"
    assert {row.status for row in verdict.candidates} == {"default", "unfinished"}


def test_progress_rises_to_one() -> None:
    shares: list[float] = []
    one = search(Scripted(learning))
    one.clock = Clock(None, lambda share, text: shares.append(share))
    one.run()
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
