"""How predictions are scored: thresholds of other cells, no rows with gross errors."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from lossmith.core.card import Task
from lossmith.core.loss import Loss
from lossmith.losses import CrossEntropy
from lossmith.study.candidates import Candidate
from lossmith.study.search.trial import Member
from shared.scripted import LEVELS, Scripted, finished, learning, race


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
    one = finished(race(trainer, "f1", names=("default", "a")))
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
        one = finished(race(trainer, "f1", names=("default", "a")))
        decisions.append(one.default_track().decisions)
    assert decisions[0][3][40] == pytest.approx(decisions[1][3][40])
    assert decisions[0][2][40] != pytest.approx(decisions[1][2][40])


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
    one = finished(race(trainer, "rmse", names=("default", "naive", "a")))
    assert one.scorer.contaminated
    for cell, counted in one.scorer.judged.items():
        assert not set(trainer.split.cells[cell].valid[counted]) & set(wild)
    assert set(one.scorer.judged) == set(range(10))
    for scores in one.default_track().scores.values():
        assert all(score < 1 for score in scores.values())
    everything = finished(race(trainer, "rmse", names=("default", "a"), exclude_gross=False))
    assert min(s for v in everything.default_track().scores.values() for s in v.values()) > 5
    robust = finished(race(trainer, "mae", names=("default", "a")))
    assert not robust.scorer.judged


def test_no_predictions_are_kept_where_nothing_is_gross() -> None:
    one = finished(race(Scripted(learning), "rmse"))
    assert one.scorer.contaminated is False
    assert not one.scorer._pending
