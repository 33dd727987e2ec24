"""What else four models could be: of several losses, as out-of-fold predictions ask for.

A study hands over the mean of four models of the selected loss under four seeds. The finalists of
its search are trained anyway, so the four could be of the best of them instead: chosen one by one,
each the one whose prediction brings the mean over the folds down most (Caruana et al., "Ensemble
selection from libraries of models", 2004), at the same cost.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from lossmith.study.metrics import lookup, shifted
from lossmith.study.training.budget import TrialSpec
from lossmith.study.training.heads import predict, read
from lossmith.study.training.table_trainer import ENSEMBLE, TableTrainer
from lossmith.study.trials.outliers import FAR, residual_scales

MOST = 5  # finalists beside the default


class Mixed:
    """Models of several finalists of a study, weighted by their predictions out of the folds."""

    def __init__(self, selection: Any, trainer: TableTrainer) -> None:
        found = self.found = selection.measurements
        self.metric, self.trainer = lookup(selection.result.metric), trainer
        errors = {s: float(found.evaluate(s).errors.mean()) for s in found.settings.values()}
        known = sorted((s for s in errors if not found.diverged(s)), key=lambda s: errors[s])
        self.settings = list(dict.fromkeys((*known[:MOST], found.default)))
        self.epochs = {s: found.evaluate(s).best_epoch for s in self.settings}
        self.targets = [trainer.valid_target(fold) for fold in found.folds]
        self.predictions = self._out_of_fold()  # by setting and fold
        self.kept = [self._scored(fold) for fold in range(len(self.targets))]

    def chosen(self) -> Counter:
        """Return how many of the four models each setting gives."""
        picked: list = []
        for _ in range(ENSEMBLE):
            picked.append(min(self.settings, key=lambda one: self._error([*picked, one])))
        return Counter(picked)

    def scores(
        self, rows: pd.DataFrame, target: np.ndarray
    ) -> tuple[dict[str, float], float, dict[str, int]]:
        """Return the score of each loss's four models on rows, of the mixture, and its parts."""
        own = {one: self._of_seeds(one, rows) for one in self.settings}
        each = {one.candidate: self._score(own[one], [one], target) for one in self.settings}
        chosen = self.chosen()
        parts = [part for one, number in chosen.items() for part in own[one][:number]]
        mixed = self._score(parts, list(chosen.elements()), target)
        return each, mixed, {one.candidate: number for one, number in chosen.items()}

    def _score(
        self, parts: Sequence[np.ndarray], picked: Sequence[Any], target: np.ndarray
    ) -> float:
        """Return the score of the mean of predictions, decided as suits it out of fold."""
        decision = None
        if self.metric.tuned:
            own = [self._decision(picked, fold) for fold in range(len(self.targets))]
            decision = np.mean(own, axis=0)
        return float(self.metric.score(target, shifted(np.mean(parts, axis=0), decision)))

    def _of_seeds(self, setting: Any, rows: pd.DataFrame) -> list[np.ndarray]:
        """Return the predictions of a loss's final models, one a seed."""
        variant = self.found.candidates[setting.candidate].variants[setting.variant]
        model = self.trainer.final(variant, setting.learning_rate, self.epochs[setting])
        features = torch.from_numpy(model.encoder.transform(rows))
        with torch.no_grad():
            seen = model.embedding(features.expand(model.body.w1.shape[0], -1, -1))
            return [read(model.loss, one, model.readings)[0] for one in model.body(seen)[0][:, 0]]

    def _out_of_fold(self) -> dict[Any, list[np.ndarray]]:
        folds = tuple(self.found.folds)
        trials = []
        for s in self.settings:
            variant = self.found.candidates[s.candidate].variants[s.variant]
            losses = self.trainer.losses(variant, folds)
            trials.append(
                TrialSpec(
                    candidate=s.candidate,
                    learning_rate=s.learning_rate,
                    losses=losses,
                    variant=s.variant,
                )
            )
        batch, kept = self.trainer.start(folds, trials), {}
        for epoch in sorted(set(self.epochs.values())):
            batch.advance(epoch - batch.epoch)
            for trial, outputs in zip(batch.trials, batch.outputs(), strict=True):
                if self.epochs[trial.key] == epoch:
                    pairs = zip(trial.losses, outputs, strict=True)
                    reading = self.trainer.readings[0]
                    kept[trial.key] = [predict(loss, output, reading) for loss, output in pairs]
        return kept

    def _scored(self, fold: int) -> np.ndarray:
        target = self.targets[fold]
        if not self.found.excluded:
            return np.ones(len(target), dtype=bool)
        own = np.stack([self.predictions[one][fold] for one in self.settings])
        return residual_scales(target, own, self.metric.transform == "log1p") <= FAR

    def _mean(self, picked: Sequence[Any], fold: int) -> np.ndarray:
        return np.mean([self.predictions[one][fold] for one in picked], axis=0)

    def _decision(self, picked: Sequence[Any], fold: int) -> np.ndarray:
        return self.metric.tune(self.targets[fold], self._mean(picked, fold))

    def _error(self, picked: Sequence[Any]) -> float:
        errors = []
        for fold, (target, kept) in enumerate(zip(self.targets, self.kept, strict=True)):
            prediction = self._mean(picked, fold)
            if self.metric.tuned:
                prediction = shifted(prediction, self._decision(picked, fold))
            errors.append(self.metric.error(self.metric.score(target[kept], prediction[kept])))
        return float(np.mean(errors))
