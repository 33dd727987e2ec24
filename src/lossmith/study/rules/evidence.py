"""What a journal says of a setting on some folds, read as any candidate's scores are read."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lossmith.study.base.direction import Better, as_error
from lossmith.study.base.errors import InputError
from lossmith.study.journal import Facts, Setting, Storage, Training
from lossmith.study.rules.compare import FoldErrors, best_epochs
from lossmith.study.rules.design import Design, Read

LEFT_OUT = "rows left out"  # how a decision is called that says which rows are not scored

Form = Callable[
    [Training, int], np.ndarray
]  # what each unit adds to a score, formed when it is read


class Shape(NamedTuple):
    """The folds as the test sees them."""

    units: Sequence[np.ndarray]  # of each fold, as its influences are
    overlap: float  # validation rows for each training row; see `paired_test`

    @classmethod
    def of(cls, storage: Storage, overlap: float) -> "Shape":
        """Return the folds without the rows that were decided to be left out of the scores."""
        units = storage.units()
        for name, outcome in storage.decisions().items():
            if name.startswith(LEFT_OUT):
                for fold, rows in outcome["shared"].items():
                    units[int(fold)] = np.delete(units[int(fold)], rows)
        return cls(units, overlap)


def reader(design: Design, facts: Facts, storage: Storage, shape: Shape, form: Form) -> Read:
    """Return how a setting is read on some folds, each at the epoch best on the others."""
    known: dict[tuple[Setting, tuple[int, ...]], FoldErrors] = {}

    def read(setting: Setting, folds: Sequence[int]) -> FoldErrors:
        key = setting, tuple(folds)
        if key not in known:
            known[key] = _read(design, facts, storage, shape, form, *key)
        return known[key]

    return read


def errors_by_epoch(
    facts: Facts, setting: Setting, folds: Sequence[int], better: Better
) -> tuple[np.ndarray, list[int]]:
    """Return a setting's errors as (folds, epochs), with the epochs that all folds have."""
    scores = [facts.records[Training(setting, fold)].scores for fold in folds]
    epochs = sorted(set.intersection(*map(set, scores)))
    return as_error(np.array([[one[epoch] for epoch in epochs] for one in scores]), better), epochs


def _read(
    design: Design,
    facts: Facts,
    storage: Storage,
    shape: Shape,
    form: Form,
    setting: Setting,
    folds: tuple[int, ...],
) -> FoldErrors:
    table, epochs = errors_by_epoch(facts, setting, folds, design.better)
    if not epochs:
        raise InputError(
            f"{setting.candidate} reported after no epoch that all folds share; report after the "
            "same epochs in every trial"
        )
    chosen, best = best_epochs(table, epochs)
    parts = []
    for fold, epoch in zip(folds, chosen, strict=True):
        training = Training(setting, fold)
        part = storage.influences(training, epoch)
        if part is None:
            part = form(training, epoch)
            storage.keep_influences(training, epoch, part)
        if len(part) not in (0, len(shape.units[fold])):
            raise InputError(
                f"{setting.candidate} has influences of {len(part)} units on fold {fold}, which "
                f"has {len(shape.units[fold])}; the journal is damaged"
            )
        parts.append(part)
    bare = any(len(part) == 0 for part in parts)
    return FoldErrors(
        errors=table[range(len(folds)), [epochs.index(epoch) for epoch in chosen]],
        influences=tuple(np.zeros(1) if bare else as_error(p, design.better) for p in parts),
        rows=tuple(np.array([fold]) if bare else shape.units[fold] for fold in folds),
        epochs=tuple(chosen),
        best_epoch=best,
        by_ratio=design.better == "lower",
        overlap=shape.overlap,
    )
