"""The race with scripted predictions: who starts, who leaves, who is measured."""

from collections.abc import Sequence

import pytest

from lossmith.core.schedule import Linear
from lossmith.losses import Huber
from lossmith.study.errors import InputError
from lossmith.study.rules.decision import judge
from lossmith.study.search.trial import Key, Member
from shared.scripted import (
    BUDGET,
    LEVELS,
    NAMES,
    RATES,
    Script,
    Scripted,
    ScriptedFleet,
    finished,
    learning,
    noise,
    race,
)


def test_everyone_starts_and_the_best_are_measured_on_all_cells() -> None:
    one = race(Scripted(learning))
    assert one.run()
    assert len(one.tracks) == len(NAMES) * len(RATES)
    default = [key.learning_rate for key in one.finalists if key.candidate == "default"]
    assert len(default) == 2
    assert default[0] == 0.003
    assert one.default_track().learning_rate == 0.003
    assert all(key.learning_rate == 0.003 for key in one.finalists if key.candidate != "default")
    assert {"default", "naive"} <= {key.candidate for key in one.finalists}
    assert sorted(one.cells) == list(range(10))
    for key in one.finalists:
        assert set(one.tracks[key].scores) == set(range(10))
        assert max(one.tracks[key].scores[9]) == BUDGET.epochs
    verdict = judge(one)
    assert verdict.selected == "default"
    assert {row.name for row in verdict.candidates} == set(NAMES)
    assert [row.status for row in verdict.candidates if row.name == "default"] == ["default"]


def test_the_hopeless_cost_little() -> None:
    trainer = Scripted(learning)
    race(trainer).run()
    all_the_way = len(NAMES) * len(RATES) * 10 * BUDGET.epochs
    assert trainer.epochs < 0.2 * all_the_way


def test_finalists_in_doubt_leave_but_for_the_best_three() -> None:
    gains = {"a": 0.3, "b": 0.2, "c": 0.001, "d": 0.0005, "e": 0.0, "naive": -1.0}

    def script(name: str, cell: int, epoch: int, rate: float) -> float:
        own = 0.3 * noise(name, cell) * (cell > 1)  # in doubt once measured on more cells
        return 2.0 - gains.get(name, -2.0 if name != "default" else 0.0) + own

    one = finished(race(Scripted(script)))
    rivals = {key.candidate for key in one.finalists} - {"default"}
    left = {"a", "b", "c", "d", "e", "naive"} - rivals
    default = one.reading(one.default_track())
    doubts = {key.candidate: one.reading(one.tracks[key]).doubt(default) for key in one.finalists}
    assert len(rivals) == 3
    assert {"a", "b"} <= rivals
    assert "naive" in left
    assert max(doubts[name] for name in rivals) < 0.95


def test_a_longer_catalogue_costs_its_first_epochs_only() -> None:
    costs = []
    for count in (20, 40):
        names = ("default", "naive", *(f"x{i}" for i in range(count)))
        trainer = Scripted(lambda name, *rest: learning(NAMES[len(name) % 11], *rest))
        race(trainer, names=names).run()
        costs.append(trainer.epochs)
    a_tenth = 20 * len(RATES) * 2 * BUDGET.epochs / 10
    the_naive = 2 * BUDGET.epochs  # which goes on wherever it stands
    assert costs[1] - costs[0] <= 1.5 * a_tenth + the_naive


def test_the_naive_default_is_measured_on_all_cells_however_bad() -> None:
    def script(name: str, cell: int, epoch: int, rate: float) -> float:
        return 9.0 if name == "naive" else learning(name, cell, epoch, rate)

    one = finished(race(Scripted(script)))
    row = next(r for r in judge(one).candidates if r.name == "naive")
    assert row.cells == 10
    assert row.status in ("finished", "dropped")
    tracks = [track for key, track in one.tracks.items() if key.candidate == "naive"]
    for cell in one.trainer.rounds[0]:  # so that its score is of the best of all its epochs
        assert max(max(track.scores[cell]) for track in tracks) == BUDGET.epochs


def test_no_candidate_passes_a_cut_at_every_rate() -> None:
    passed: list[list[Member]] = []

    class Watched(Scripted):
        def fleet(self, cells: Sequence[int], members: Sequence[Member]) -> ScriptedFleet:
            fleet = super().fleet(cells, members)
            keep = fleet.keep

            def kept(indices: Sequence[int]) -> None:
                keep(indices)
                passed.append(fleet.members)

            fleet.keep = kept  # type: ignore[method-assign]
            return fleet

    race(Watched(lambda name, cell, epoch, rate: LEVELS[name] + noise(name, cell))).run()
    names = [member.candidate for member in passed[0]]
    assert names.count("default") == len(RATES)
    assert max(names.count(name) for name in set(names) - {"default"}) == 2


def test_the_default_is_measured_though_it_is_the_worst() -> None:
    def script(name: str, cell: int, epoch: int, rate: float) -> float:
        return 9.0 if name == "default" else learning(name, cell, epoch, rate)

    one = finished(race(Scripted(script)))
    assert one.finalists[0][0] == "default"
    assert set(one.default_track().scores) == set(range(10))
    verdict = judge(one)
    assert verdict.selected == "naive"
    chosen = next(row for row in verdict.candidates if row.name == "naive")
    assert chosen.status == "selected"
    assert chosen.p_value is not None
    assert chosen.p_value < 0.01


def diverging(*names: str, rates: Sequence[float] = RATES, after: int = 0) -> Script:
    def script(name: str, cell: int, epoch: int, rate: float) -> float:
        if name in names and rate in rates and epoch > after:
            return float("nan")
        return learning(name, cell, epoch, rate)

    return script


def test_a_diverging_candidate_is_marked_and_the_race_goes_on() -> None:
    verdict = judge(finished(race(Scripted(diverging("a")))))
    row = next(row for row in verdict.candidates if row.name == "a")
    assert row.status == "diverged"
    assert row.score is None


def test_a_rate_that_diverges_leaves_the_others() -> None:
    one = finished(race(Scripted(diverging("default", "a", rates=[0.003]))))
    assert one.finalists[0][0] == "default"
    assert one.finalists[0][1] != 0.003
    assert one.tracks[Key("a", 0.003)].diverged
    judge(one)


@pytest.mark.parametrize("after", [1, 5, 20, 39])
@pytest.mark.parametrize("name", ["default", "a"])
def test_a_rate_that_diverges_late_is_not_the_one_measured(name: str, after: int) -> None:
    one = finished(race(Scripted(diverging(name, rates=[0.003], after=after))))
    assert (name, 0.003) not in one.finalists
    judge(one)


def test_the_default_diverging_in_one_cell_does_not_end_the_study() -> None:
    def script(name: str, cell: int, epoch: int, rate: float) -> float:
        if name == "default" and cell == 7 and epoch > 20:
            return float("nan")
        return learning(name, cell, epoch, rate)

    one = finished(race(Scripted(script)))
    assert len({key.candidate for key in one.finalists}) > 1
    assert judge(one).selected == "default"


def test_when_only_the_default_diverges_the_user_is_told() -> None:
    with pytest.raises(InputError, match="default loss default diverged at every learning rate"):
        race(Scripted(diverging("default"))).run()


def test_when_all_diverge_the_user_is_told() -> None:
    with pytest.raises(InputError, match="every loss diverged"):
        race(Scripted(diverging(*NAMES))).run()


def test_a_candidate_that_does_not_fit_is_noted() -> None:
    trainer = Scripted(learning)
    trainer.unfit = {"b"}
    verdict = judge(finished(race(trainer)))
    row = next(row for row in verdict.candidates if row.name == "b")
    assert (row.status, row.note) == ("dropped", "it does not fit")
    trainer.unfit = {"default"}
    with pytest.raises(InputError, match="the default loss default: it does not fit"):
        race(trainer).run()


def test_a_loss_on_a_schedule_is_kept_as_it_was_at_each_epoch() -> None:
    trainer = Scripted(learning)
    trainer.losses = lambda candidate, cells: tuple(  # type: ignore[method-assign]
        Huber(delta=Linear(1.0, 3.0)) for _ in cells
    )

    def observe(fleet: ScriptedFleet) -> None:
        for member in fleet.members:
            for loss in member.losses:
                loss.observe(BUDGET.progress(fleet.epoch))

    trainer.on_advance = observe
    one = race(trainer)
    one.run()
    kept = one.default_track().outputs
    assert len(kept) > 2
    for epoch, (loss, _) in kept.items():
        expected = Linear(1.0, 3.0).at(BUDGET.progress(epoch))
        assert loss.delta.item() == pytest.approx(expected)  # type: ignore[operator,union-attr]
