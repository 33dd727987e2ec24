"""The plan of a study: no deadlock, and the same decisions, whatever order trainings arrive in."""

from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lossmith.study.journal import Claim, Facts, Journal, Report, Setting, Training
from lossmith.study.rules.design import TWIN_REPORTS, Design
from lossmith.study.rules.evidence import Shape, reader
from lossmith.study.rules.plan import due, needed, pause_after

UNITS = 6


@dataclass
class World:
    """Losses of drawn quality, and workers that train them in a drawn order."""

    design: Design
    seed: int
    workers: int = 1
    saves: float = 1.0  # share of trainings that can pause
    ill: float = 0.0  # share of trainings that fail or are given up
    step: int = 1  # epochs between reports
    journal: Journal = field(default_factory=lambda: Journal(None))
    held: dict[int, Claim] = field(default_factory=dict)

    def draw(self, *what: Any) -> np.random.Generator:
        return np.random.default_rng([self.seed, *(crc32(repr(one).encode()) for one in what)])

    def facts(self) -> Facts:
        return self.journal.facts()

    def decide(self) -> None:
        units = [np.arange(UNITS) + UNITS * (fold % 5) for fold in range(self.design.folds)]
        while True:
            facts = self.facts()
            read = reader(self.design, facts, self.journal, Shape(units, 0.25), _unread)
            decision = due(self.design, facts, read)
            if decision is None:
                return
            self.journal.decide(decision)

    def run(self) -> "World":
        self.journal.create({"format": 1}, [])
        order = self.draw("order", self.workers)
        for _ in range(100_000):
            worker = int(order.integers(self.workers))
            if worker in self.held:
                self.advance(worker)
                continue
            self.decide()
            claims = self.journal.claim(str(worker))
            if claims:
                (self.held[worker],) = claims
            elif not self.held:
                assert "end" in self.journal.decisions(), "nothing is planned, and nothing runs"
                return self
        raise AssertionError("the study does not end")

    def advance(self, worker: int) -> None:
        claim = self.held[worker]
        training, design = claim.training, self.design
        epoch = min(claim.epoch + self.step, design.epochs)
        score, rows = self.score(training, epoch)
        held = self.journal.report(claim, Report(epoch, score, 1.0, 0.0), rows)
        outcome = self.outcome(training, epoch) if held else "lost"
        if outcome is None:
            self.held[worker] = claim._replace(epoch=epoch)
            return
        if held:
            self.journal.end(claim, outcome)  # type: ignore[arg-type]
        del self.held[worker]

    def score(self, training: Training, epoch: int) -> tuple[float, np.ndarray]:
        name, rate, _ = training.setting
        quality = self.draw("quality", int(name[1:])).normal() * 0.3 + 0.1 * abs(rate - 2)
        luck = self.draw("luck", int(name[1:]), int(rate), training.fold, epoch)
        level = 2 + quality + 1 / epoch + 0.1 * luck.normal()
        rows = luck.normal(size=UNITS).astype(np.float32)
        return float(np.exp(level)), rows - rows.mean()

    def outcome(self, training: Training, epoch: int) -> str | None:
        name, rate, _ = training.setting
        nature = self.draw("nature", int(name[1:]), int(rate), training.fold)
        if nature.random() < self.ill and name != self.design.default:
            return str(nature.choice(["failed", "stopped"]))
        seen = -(-epoch // self.step)
        if epoch == self.design.epochs or (training.twin and seen >= TWIN_REPORTS):
            return "done"
        if training.twin or training.fold not in self.design.screening:
            return None
        rung = pause_after(self.design, self.journal.decisions())
        can = nature.random() < self.saves
        return "paused" if can and rung is not None and epoch >= rung else None

    def decided(self) -> dict[str, Any]:
        return self.journal.decisions()


def _unread(training: Training, epoch: int) -> np.ndarray:
    raise AssertionError("influences were written")


def design(candidates: int, rates: int, epochs: int, folds: int, chosen: int = 3) -> Design:
    names = tuple(f"c{number}" for number in range(candidates))
    return Design(
        candidates=names,
        default="c0",
        common=names[-1] if candidates % 2 else None,
        learning_rates=tuple(float(rate) for rate in range(1, rates + 1)),
        epochs=epochs,
        folds=folds,
        better="lower",
        finalists=chosen,
    )


worlds = st.builds(
    World,
    design=st.builds(
        design,
        candidates=st.integers(1, 7),
        rates=st.integers(1, 3),
        epochs=st.integers(1, 30),
        folds=st.integers(1, 12),
        chosen=st.integers(1, 4),
    ),
    seed=st.integers(0, 1000),
    workers=st.integers(2, 5),
    saves=st.sampled_from([0.0, 0.5, 1.0]),
    ill=st.sampled_from([0.0, 0.3, 1.0]),
    step=st.sampled_from([1, 1, 2, 7]),
)


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(worlds)
def test_a_study_ends_and_decides_the_same_in_any_order(world: World) -> None:
    alone = World(world.design, world.seed, 1, world.saves, world.ill, world.step).run()
    assert world.run().decided() == alone.decided()


@pytest.mark.parametrize(("saves", "cut"), [(1.0, "rung 1"), (0.0, "first fold")])
def test_only_the_best_start_on_the_second_fold(saves: float, cut: str) -> None:
    world = World(design(7, 3, 20, 5), seed=3, saves=saves).run()
    started = {training.setting for training in world.facts().records if training.fold == 1}
    assert started == {Setting(*one) for one in world.decided()[cut]}
    assert len(started) < 7 * 3


def test_of_the_defaults_settings_the_worse_leaves_and_the_better_stays() -> None:
    looks = [
        [Setting(*one).candidate for one in outcome["kept"]].count("c0")
        for seed in range(8)
        for name, outcome in World(design(5, 2, 6, 10), seed).run().decided().items()
        if name.startswith("look ")
    ]
    assert set(looks) == {1, 2}


def test_folds_beyond_a_look_count_only_where_it_was_passed() -> None:
    for seed in range(8):
        facts = World(design(5, 2, 6, 10), seed, workers=5).run().facts()
        end, looks = facts.decisions["end"]["folds"], [2]
        for name, outcome in facts.decisions.items():
            if name.startswith("look "):
                looks.append(int(name.removeprefix("look ")))
                kept = {Setting(*one) for one in outcome["kept"]}
        counted = needed(facts).records
        assert max(t.fold for t in counted) == end - 1
        assert all(r.ended for r in facts.records.values())
        beyond = {t.setting for t in counted if t.fold >= looks[-1]}
        assert not beyond - (kept if len(looks) > 1 else beyond)
        alone = World(design(5, 2, 6, 10), seed).run().facts()
        reported = {t for t, r in alone.records.items() if r.reports}
        assert reported == {t for t, r in counted.items() if r.reports}
