"""How predictions are scored: thresholds of other folds, no rows with gross errors."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from lossmith.core.card import Task
from lossmith.core.loss import Loss
from lossmith.losses import CrossEntropy
from lossmith.study.metrics import lookup
from lossmith.study.tasks.candidate import Candidate
from lossmith.study.training.budget import TrialSpec
from shared.scripted import LEVELS, Scripted, finished, learning, search


class ScriptedClasses(Scripted):
    """Probabilities whose scale differs by fold, so that thresholds differ."""

    task: Task = "binary"

    def output(self, trial: TrialSpec, fold: int, epoch: int) -> Tensor:
        rng = np.random.default_rng([fold, sum(map(ord, trial.candidate))])
        score = self.valid_target(fold) * 2.0 + rng.normal(size=len(self.valid_target(fold)))
        logits = score - 4.0 + 0.3 * fold
        return torch.from_numpy(np.stack([np.zeros_like(logits), logits], axis=1)).float()

    def losses(self, candidate: Candidate, folds: Sequence[int]) -> tuple[Loss, ...]:
        return (CrossEntropy(classes=2),) * len(folds)


def test_thresholds_come_from_other_cells_of_the_repeat_alone() -> None:
    target = (np.random.default_rng(0).random(300) < 0.3).astype(int)
    trainer = ScriptedClasses(learning, target)
    one = finished(search(trainer, "f1", names=("default", "a")))
    for fold in range(10):
        round_ = next(
            part
            for part in (trainer.split.screening_folds, trainer.split.confirmation_folds)
            if fold in part
        )
        others = [
            c for c in round_ if c != fold and (c < 5) == (fold < 5)
        ]  # folds 0–4 are one repeat
        trial = TrialSpec(candidate="default", learning_rate=0.1, losses=())
        pooled = torch.cat([trainer.output(trial, c, 1) for c in others]).double()
        wanted = np.concatenate([trainer.valid_target(c) for c in others])
        expected = lookup("f1").tune(wanted, pooled.softmax(1).numpy())
        for epoch in one.errors_by_epoch(one.default)[1]:
            decision = one.of_target(one.default, fold, epoch, 0).decision
            assert decision == pytest.approx(expected, abs=1e-5), (fold, epoch)


def test_changing_a_cells_own_targets_leaves_its_threshold() -> None:
    target = (np.random.default_rng(0).random(300) < 0.3).astype(int)

    class Spied(ScriptedClasses):
        hidden: int | None = None

        def valid_target(self, fold: int) -> np.ndarray:
            found = super().valid_target(fold)
            return 1 - found if fold == self.hidden else found

        def output(self, trial: TrialSpec, fold: int, epoch: int) -> Tensor:
            hidden, self.hidden = self.hidden, None
            found = super().output(trial, fold, epoch)
            self.hidden = hidden
            return found

    decisions = []
    for hidden in (None, 3):
        trainer = Spied(learning, target)
        trainer.hidden = hidden
        one = finished(search(trainer, "f1", names=("default", "a")))
        decisions.append([one.of_target(one.default, f, 40, 0).decision for f in range(10)])
    assert decisions[0][3] == pytest.approx(decisions[1][3])
    assert decisions[0][2] != pytest.approx(decisions[1][2])


def test_gross_rows_count_for_nobody() -> None:
    plain = np.random.default_rng(1).normal(size=1000)
    target = plain.copy()
    target[::10] += 50.0
    wild = np.flatnonzero(target > 25)

    class Wild(Scripted):
        def output(self, trial: TrialSpec, fold: int, epoch: int) -> Tensor:
            clean = plain[self.split.folds[fold].valid]
            spread = 0.1 * np.random.default_rng(fold).normal(size=len(clean))
            level = LEVELS[trial.candidate]
            return torch.from_numpy(clean + level * spread)

    trainer = Wild(learning, target)
    one = search(trainer, "rmse", names=("default", "naive", "a"))
    found = finished(one)
    assert one.scorer.has_outliers
    for fold, counted in one.scorer.scored_rows.items():
        assert not set(trainer.split.folds[fold].valid[counted]) & set(wild)
    assert set(one.scorer.scored_rows) == set(range(10))
    assert (found.errors_by_epoch(found.default)[0] < 1).all()
    everything = finished(search(trainer, "rmse", names=("default", "a"), exclude_outliers=False))
    assert everything.errors_by_epoch(everything.default)[0].min() > 5
    robust = search(trainer, "mae", names=("default", "a"))
    finished(robust)
    assert not robust.scorer.scored_rows


def test_no_predictions_are_kept_where_nothing_is_gross() -> None:
    one = search(Scripted(learning), "rmse")
    finished(one)
    assert one.scorer.has_outliers is False
    assert not one.scorer._pending
