"""What the trials of a study aim at: its targets, its metric, and the task that both make."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from lossmith.core.loss import Loss
from lossmith.core.tree import tree_map
from lossmith.study.base.errors import InputError
from lossmith.study.metrics.reading import class_codes
from lossmith.study.metrics.study_metric import StudyMetric, has_nan, leaf_arrays, to_array
from lossmith.study.metrics.table_metric import TableMetric
from lossmith.study.tasks import ArrayTask, array_task, is_numbers, sample_of
from lossmith.study.tasks.sample import SAMPLES
from lossmith.study.training.heads import AS_DECODED, HeadReader, decoded
from lossmith.study.trials.contenders import Contender
from lossmith.study.trials.scored import Scored, scored
from lossmith.study.trials.splits import Fold

NOT_SUCH = (AttributeError, LookupError, TypeError, ValueError)  # of other shapes


@dataclass(frozen=True, kw_only=True)
class Aim:
    """The targets of a study, one entry a row; task: of targets that tables do not have."""

    metric: StudyMetric
    target: Any
    task: ArrayTask | None
    decode: Callable[[Any], Any] | None

    @classmethod
    def of(
        cls,
        metric: StudyMetric,
        target: Any,
        task: str | None,
        decode: Callable[[Any], Any] | None,
    ) -> "Aim":
        """Return the aim of what a user gives.

        Raises:
            InputError: where the task is none, or not that of metric and targets, or the metric is
                undefined for these.
        """
        found = None if target is None else _read(metric, target)
        of = array_task(metric, found, task)
        single = isinstance(found, np.ndarray) and found.ndim == 1
        if of is not None or (single and isinstance(metric, TableMetric)):
            metric.check(found)
        known = metric if found is None else metric.fitted(found)
        return cls(metric=known, target=found, task=of, decode=decode)

    @cached_property
    def reading(self) -> HeadReader:
        """How the heads of losses are read under the metric."""
        return AS_DECODED if self.target is None else HeadReader.of(self.metric, self.first)

    @property
    def first(self) -> np.ndarray | None:
        """The targets, or of several parts the first, by which rows are counted."""
        return None if self.target is None else leaf_arrays(self.target)[0]

    @property
    def strata(self) -> np.ndarray | None:
        """The classes that folds share out evenly, if any."""
        if self.target is None or isinstance(self.target, Mapping) or is_numbers(self.metric):
            return None
        labels = self.target.ndim == 1 and self.target.dtype.kind != "f"
        return self.target if labels else None

    def known_of(self, kind: type[Loss]) -> Mapping[str, Any]:
        """Return what a loss takes from all targets, alike in every fold: how many classes."""
        if self.task is not None:
            return self.task.told(kind, self.target)
        codes = self.strata
        if codes is None or codes.dtype.kind not in "biu":
            return {}
        return {"classes": int(codes.max()) + 1}

    def fitted(self, contender: Contender, rows: np.ndarray | None) -> nn.Module:
        """Return a fresh module of a loss, fitted to the targets of some rows, or of all."""
        if self.target is None:
            return contender.fit(None)
        target = self._of(rows)
        if self.task is None:
            return contender.fit(tree_map(torch.as_tensor, target))
        learned = tree_map(torch.as_tensor, self.task.learned(target))
        return self.task.routed(contender.fit(learned))

    def width(self, loss: nn.Module) -> int | None:
        """Return the width of the head that a loss reads; None where the loss does not say."""
        if not isinstance(loss, Loss):
            return None
        return loss.out_features if self.task is None else self.task.width(loss, self.target)

    def scored(
        self,
        fold: Fold,
        loss: nn.Module,
        *,
        outputs: Any,
        rows: Any,
        score: Any,
        target: Any,
        sampled: bool = False,
    ) -> Scored:
        """Score what a trial reports: raw outputs, one score a row, or a bare score.

        sampled: whether to keep a few rows of the predictions, to be looked at.

        Raises:
            InputError: where it is none of these, or more than one.
        """
        if sum(value is not None for value in (outputs, rows, score)) != 1:
            raise InputError("report one of outputs=, rows= or score=")
        if outputs is None:
            return scored(self.metric, fold, rows=rows, score=score)
        if target is None:
            if self.target is None:
                raise InputError("the study has no target=; report(outputs=…, target=…) or rows=")
            target = self._of(fold.valid)
        loss = loss if self.task is None else self.task.head(loss)
        predictions = decoded(loss, outputs, self.decode, self.reading)
        actual, read = (tree_map(to_array, one) for one in self.read(loss, predictions, target))
        found = scored(self.metric, fold, predictions=read, target=actual)
        if not np.isfinite(found.score):
            return found
        with suppress(InputError, *NOT_SUCH):  # where a step alone has no score
            found = replace(found, beside=self._beside(actual, read))
        if not sampled:
            return found
        kind = sample_of(self.metric, self.task, target)
        shown = (target, predictions) if kind == "classes" else (actual, read)  # not yet decided
        return replace(found, sample=self._sample(kind, fold, *shown))

    def _sample(
        self, kind: str, fold: Fold, target: Any, predictions: Any
    ) -> dict[str, np.ndarray]:
        """Return a few rows to be looked at, by names that tell of what kind they are."""
        target = target if self.task is None else self.task.learned(target)
        try:
            found = SAMPLES[kind](tree_map(to_array, target), tree_map(to_array, predictions))
        except (InputError, *NOT_SUCH):  # only looked at: nothing may end for it
            return {}
        if "rows" in found:
            found["rows"] = fold.valid[found["rows"]]
        return {f"{kind}.{name}": one for name, one in found.items()}

    def read(self, loss: nn.Module, predictions: Any, target: Any) -> tuple[Any, Any]:
        """Return targets and predictions as the metric takes them."""
        if self.task is None:
            return target, predictions
        return self.task.read(self.metric, loss, predictions, target)

    def beside(self, loss: nn.Module, predictions: Any, target: Any) -> dict[str, float]:
        """Return what is read beside the score, by name."""
        return self._beside(*self.read(loss, predictions, target))

    def _beside(self, target: Any, predictions: Any) -> dict[str, float]:
        if self.task is None:
            return self.metric.beside(target, predictions)
        return self.task.beside(self.metric, target, predictions)

    def _of(self, rows: np.ndarray | None) -> Any:
        return self.target if rows is None else tree_map(lambda part: part[rows], self.target)


def _read(metric: StudyMetric, target: Any) -> Any:
    """Return targets as arrays, and one class a row as whole numbers, as losses take them.

    Raises:
        InputError: where parts have unlike numbers of rows.
    """
    found = tree_map(to_array, target)
    rows = {len(part) if part.ndim else 0 for part in leaf_arrays(found)}
    if len(rows) > 1:
        told = ", ".join(f"{name}: {np.shape(part)}" for name, part in found.items())
        raise InputError(f"target= needs parts of equally many rows, got {told}")
    single = isinstance(found, np.ndarray) and found.ndim == 1 and found.dtype.kind in "bf"
    classes = isinstance(metric, TableMetric) and not is_numbers(metric)
    if single and classes and not has_nan(found):  # which the metric tells of
        return class_codes(metric.name, found)
    return found
