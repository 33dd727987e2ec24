"""The race with scripted predictions: who leaves, who is measured, and by which rows."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lossmith.core.card import Task
from lossmith.core.loss import Loss
from lossmith.core.schedule import Linear
from lossmith.losses import MSE, CrossEntropy, Huber
from lossmith.study.candidates import Candidate, Field
from lossmith.study.clock import Clock
from lossmith.study.errors import InputError
from lossmith.study.judge import judge
from lossmith.study.members import Budget, Key, Member
from lossmith.study.metrics import metric
from lossmith.study.race import Race
from lossmith.study.scores import Scorer, Track
from lossmith.study.split import split_rows
from lossmith.study.verdict import holm

RATES = (0.001, 0.003, 0.01)
TARGET = np.random.default_rng(0).normal(size=200)
BUDGET = Budget(epochs=40, batch=16)
Script = Callable[[str, int, int, float], float]  # candidate, cell, epoch, rate → error


class ScriptedFleet:
    def __init__(self, trainer: "Scripted", cells: Sequence[int], members: Sequence[Member]):
        self.trainer, self.cells, self.members, self.epoch = trainer, cells, list(members), 0

    def advance(self, epochs: int) -> None:
        self.epoch += epochs
        self.trainer.epochs += epochs * len(self.members) * len(self.cells)
        self.trainer.on_advance(self)

    def outputs(self) -> list[list[Tensor]]:
        return [[self.trainer.output(m, c, self.epoch) for c in self.cells] for m in self.members]

    def keep(self, kept: Sequence[int]) -> None:
        self.members = [self.members[i] for i in sorted(kept)]


class Scripted:
    """A trainer whose predictions miss the target by what a script says."""

    task: Task = "regression"
    ensemble = 1

    def __init__(self, script: Script, target: np.ndarray = TARGET) -> None:
        self.script, self.target, self.budget = script, target, BUDGET
        self.split = split_rows(self.task, target, 0)
        self.rounds = self.split.rounds
        self.epochs = 0
        self.unfit: set[str] = set()
        self.on_advance: Callable[[ScriptedFleet], None] = lambda fleet: None

    def output(self, member: Member, cell: int, epoch: int) -> Tensor:
        error = self.script(member.candidate, cell, epoch, member.learning_rate)
        return torch.from_numpy(self.valid_target(cell) + error)

    def losses(self, candidate: Candidate, cells: Sequence[int]) -> tuple[Loss, ...]:
        if candidate.name in self.unfit:
            raise ValueError("it does not fit")
        return (MSE(),) * len(cells)

    def fleet(self, cells: Sequence[int], members: Sequence[Member]) -> ScriptedFleet:
        return ScriptedFleet(self, cells, members)

    def probe(self, loss: Loss) -> None:
        pass

    def valid_target(self, cell: int) -> np.ndarray:
        return self.target[self.split.cells[cell].valid]

    def siblings(self, cell: int, cells: Sequence[int]) -> list[int]:
        return self.split.siblings(cell, cells)


NAMES = ("default", "naive", "a", "b", "c", "d", "e", "f", "g", "h", "i")


def race(
    trainer: Any, name: str = "mae", names: Sequence[str] = NAMES, exclude_gross: bool = True
) -> Race:
    candidates = tuple(Candidate(key=key) for key in names)
    return Race(
        trainer=trainer,
        entries=Field(candidates=candidates, default="default", naive="naive"),
        scorer=Scorer(metric(name, trainer.task), trainer, exclude_gross=exclude_gross),
        rates=RATES,
        clock=Clock(None, lambda share, text: None),
    )


LEVELS = {name: 1.0 + 0.03 * place for place, name in enumerate(NAMES)}


def noise(*key: object) -> float:
    """Return a number that is the same for the same key."""
    words = [sum(map(ord, str(part))) + 7 for part in key]
    return float(np.random.default_rng(words).normal())


def learning(name: str, cell: int, epoch: int, rate: float) -> float:
    """Fall towards a level; the middle rate is best; cells differ alike for all."""
    level = LEVELS[name] + 0.2 * (rate != 0.003)
    return level * (1 + 3 / epoch) + 0.02 * noise(cell) + 0.05 * noise(name, cell)


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

    one = _finished(race(Scripted(script)))
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


def test_dropped_candidates_say_where_they_left() -> None:
    verdict = judge(_finished(race(Scripted(learning))))
    last = next(row for row in verdict.candidates if row.name == "i")
    assert last.status == "dropped"
    assert last.cells == 2
    assert "left after" in last.note
    assert last.p_value is None
    assert last.score is not None


def _finished(one: Race) -> Race:
    assert one.run()
    return one


def test_the_default_is_measured_though_it_is_the_worst() -> None:
    def script(name: str, cell: int, epoch: int, rate: float) -> float:
        return 9.0 if name == "default" else learning(name, cell, epoch, rate)

    one = _finished(race(Scripted(script)))
    assert one.finalists[0][0] == "default"
    assert set(one.default_track().scores) == set(range(10))
    verdict = judge(one)
    assert verdict.selected == "naive"
    chosen = next(row for row in verdict.candidates if row.name == "naive")
    assert chosen.status == "selected"
    assert chosen.p_value is not None
    assert chosen.p_value < 0.01


def test_differences_and_scores_are_the_mean_over_cells() -> None:
    def script(name: str, cell: int, epoch: int, rate: float) -> float:
        return {"default": 2.0, "a": 1.5}.get(name, 5.0) + 0.1 * cell

    verdict = judge(_finished(race(Scripted(script))))
    rows = {row.name: row for row in verdict.candidates}
    assert rows["default"].score == pytest.approx(2.45)
    assert rows["a"].score == pytest.approx(1.95)
    assert rows["a"].difference_to_default == pytest.approx(-0.5)


def test_p_values_count_the_candidates_that_were_dropped() -> None:
    one = _finished(race(Scripted(learning)))
    readings = {name: one.reading(track) for name, track in one.final_tracks().items()}
    default = readings.pop("default")
    raw = {name: reading.doubt(default) for name, reading in readings.items()}
    found = {row.name: row.p_value for row in judge(one).candidates if row.name in raw}
    assert found == pytest.approx(holm(raw, len(NAMES) - 1))
    least = min(raw, key=lambda name: raw[name])
    assert found[least] == pytest.approx(min(1, raw[least] * (len(NAMES) - 1)))


def test_a_metric_that_is_better_higher_is_turned_round() -> None:
    one = _finished(race(Scripted(lambda n, c, e, r: LEVELS[n] / 5 + 0.01 * noise(n, c)), "r2"))
    other = _finished(
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


def diverging(*names: str, rates: Sequence[float] = RATES, after: int = 0) -> Script:
    def script(name: str, cell: int, epoch: int, rate: float) -> float:
        if name in names and rate in rates and epoch > after:
            return float("nan")
        return learning(name, cell, epoch, rate)

    return script


def test_a_diverging_candidate_is_marked_and_the_race_goes_on() -> None:
    verdict = judge(_finished(race(Scripted(diverging("a")))))
    row = next(row for row in verdict.candidates if row.name == "a")
    assert row.status == "diverged"
    assert row.score is None


def test_a_rate_that_diverges_leaves_the_others() -> None:
    one = _finished(race(Scripted(diverging("default", "a", rates=[0.003]))))
    assert one.finalists[0][0] == "default"
    assert one.finalists[0][1] != 0.003
    assert one.tracks[Key("a", 0.003)].diverged
    judge(one)


@pytest.mark.parametrize("after", [1, 5, 20, 39])
@pytest.mark.parametrize("name", ["default", "a"])
def test_a_rate_that_diverges_late_is_not_the_one_measured(name: str, after: int) -> None:
    one = _finished(race(Scripted(diverging(name, rates=[0.003], after=after))))
    assert (name, 0.003) not in one.finalists
    judge(one)


def test_the_default_diverging_in_one_cell_does_not_end_the_study() -> None:
    def script(name: str, cell: int, epoch: int, rate: float) -> float:
        if name == "default" and cell == 7 and epoch > 20:
            return float("nan")
        return learning(name, cell, epoch, rate)

    one = _finished(race(Scripted(script)))
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
    verdict = judge(_finished(race(trainer)))
    row = next(row for row in verdict.candidates if row.name == "b")
    assert (row.status, row.note) == ("dropped", "it does not fit")
    trainer.unfit = {"default"}
    with pytest.raises(InputError, match="the default loss default: it does not fit"):
        race(trainer).run()


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


class ScriptedClasses(Scripted):
    """Probabilities whose scale differs by cell, so that thresholds differ."""

    task: Task = "binary"

    def output(self, member: Member, cell: int, epoch: int) -> Tensor:
        rng = np.random.default_rng([cell, sum(map(ord, member.candidate))])
        score = self.valid_target(cell) * 2.0 + rng.normal(size=len(self.valid_target(cell)))
        logits = score - 4.0 + 0.3 * cell
        return torch.from_numpy(np.stack([np.zeros_like(logits), logits], axis=1)).float()

    def losses(self, candidate: Candidate, cells: Sequence[int]) -> tuple[Loss, ...]:
        return (CrossEntropy(classes=2),) * len(cells)


def test_thresholds_come_from_other_cells_of_the_repeat_alone() -> None:
    target = (np.random.default_rng(0).random(300) < 0.3).astype(int)
    trainer = ScriptedClasses(learning, target)
    one = _finished(race(trainer, "f1", names=("default", "a")))
    track = one.default_track()
    for cell in range(10):
        round_ = next(part for part in trainer.rounds if cell in part)
        others = [
            c for c in round_ if c != cell and (c < 5) == (cell < 5)
        ]  # cells 0–4 are one repeat
        member = Member(candidate="default", learning_rate=0.1, losses=())
        pooled = torch.cat([trainer.output(member, c, 1) for c in others]).double()
        wanted = np.concatenate([trainer.valid_target(c) for c in others])
        expected = one.metric.tune(wanted, pooled.softmax(1).numpy())
        for epoch, decision in track.decisions[cell].items():
            assert decision == pytest.approx(expected, abs=1e-5), (cell, epoch)


def test_changing_a_cells_own_targets_leaves_its_threshold() -> None:
    target = (np.random.default_rng(0).random(300) < 0.3).astype(int)

    class Spied(ScriptedClasses):
        hidden: int | None = None

        def valid_target(self, cell: int) -> np.ndarray:
            found = super().valid_target(cell)
            return 1 - found if cell == self.hidden else found

        def output(self, member: Member, cell: int, epoch: int) -> Tensor:
            hidden, self.hidden = self.hidden, None
            found = super().output(member, cell, epoch)
            self.hidden = hidden
            return found

    decisions = []
    for hidden in (None, 3):
        trainer = Spied(learning, target)
        trainer.hidden = hidden
        one = _finished(race(trainer, "f1", names=("default", "a")))
        decisions.append(one.default_track().decisions)
    assert decisions[0][3][40] == pytest.approx(decisions[1][3][40])
    assert decisions[0][2][40] != pytest.approx(decisions[1][2][40])


def interrupted(at: int, error: type[BaseException] = KeyboardInterrupt) -> Scripted:
    """Return a trainer that is stopped at a number of calls of advance."""
    trainer, calls = Scripted(learning), []

    def stop(fleet: ScriptedFleet) -> None:
        calls.append(fleet.epoch)
        if len(calls) == at:
            raise error

    trainer.on_advance = stop
    return trainer


STEPS = len(BUDGET.checkpoints())


@pytest.mark.parametrize("at", range(1, 2 * STEPS + 1))
def test_what_is_finished_survives_an_interruption(at: int) -> None:
    one = race(interrupted(at))
    assert not one.run()
    if at > 1:
        assert one.finalists[0][0] == "default"
        verdict = judge(one)
        if at <= STEPS + 1:
            assert verdict.selected == "default"
        assert verdict.selected in NAMES
        assert {row.name for row in verdict.candidates} == set(NAMES)
        assert next(r for r in verdict.candidates if r.name == "default").score is not None


@pytest.mark.parametrize("at", range(STEPS + 2, STEPS + 6))
def test_a_stopped_race_is_not_decided_by_its_first_epochs(at: int) -> None:
    """A candidate that only starts fast must not win because the study was stopped."""

    def script(name: str, cell: int, epoch: int, rate: float) -> float:
        fast = name == "a"
        return (1.3 if fast else 1.0 + 3 / epoch) + 0.001 * noise(name, cell)

    trainer = interrupted(at)
    trainer.script = script
    one = race(trainer, names=("default", "a"))
    assert not one.run()
    assert judge(one).selected == "default"


def test_time_runs_out() -> None:
    one = race(Scripted(learning))
    one.clock = Clock(0.0, lambda share, text: None)
    assert not one.run()
    verdict = judge(one)
    assert verdict.selected == "default"
    assert {row.status for row in verdict.candidates} == {"default", "unfinished"}


def test_progress_rises_to_one() -> None:
    shares: list[float] = []
    one = race(Scripted(learning))
    one.clock = Clock(None, lambda share, text: shares.append(share))
    one.run()
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_gross_rows_count_for_nobody() -> None:
    plain = np.random.default_rng(1).normal(size=1000)
    target = plain.copy()
    target[::10] += 50.0
    wild = np.flatnonzero(target > 25)

    class Wild(Scripted):
        def output(self, member: Member, cell: int, epoch: int) -> Tensor:
            clean = plain[self.split.cells[cell].valid]
            spread = 0.1 * np.random.default_rng(cell).normal(size=len(clean))
            level = LEVELS[member.candidate]
            return torch.from_numpy(clean + level * spread)

    trainer = Wild(learning, target)
    one = _finished(race(trainer, "rmse", names=("default", "naive", "a")))
    assert one.scorer.contaminated
    for cell, counted in one.scorer.judged.items():
        assert not set(trainer.split.cells[cell].valid[counted]) & set(wild)
    assert set(one.scorer.judged) == set(range(10))
    for scores in one.default_track().scores.values():
        assert all(score < 1 for score in scores.values())
    everything = _finished(race(trainer, "rmse", names=("default", "a"), exclude_gross=False))
    assert min(s for v in everything.default_track().scores.values() for s in v.values()) > 5
    robust = _finished(race(trainer, "mae", names=("default", "a")))
    assert not robust.scorer.judged


def test_no_predictions_are_kept_where_nothing_is_gross() -> None:
    one = _finished(race(Scripted(learning), "rmse"))
    assert one.scorer.contaminated is False
    assert not one.scorer._pending


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
