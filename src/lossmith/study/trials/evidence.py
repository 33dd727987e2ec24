"""What a journal says of a setting on some folds, read as any candidate's scores are read."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lossmith.study.base.direction import as_error
from lossmith.study.base.errors import InputError
from lossmith.study.journal import Facts, Setting, Storage, Training
from lossmith.study.rules.compare import FoldErrors, best_epochs
from lossmith.study.rules.plan import Design, Read

Form = Callable[
    [Training, int], np.ndarray
]  # what each unit adds to a score, formed when it is read


class Shape(NamedTuple):
    """The folds as the test sees them."""

    units: Sequence[np.ndarray]  # distinct, of each fold
    overlap: float  # validation rows for each training row; see `paired_test`


def reader(design: Design, facts: Facts, storage: Storage, shape: Shape, form: Form) -> Read:
    """Return how a setting is read on some folds, each at the epoch best on the others."""
    known: dict[tuple[Setting, tuple[int, ...]], FoldErrors] = {}

    def read(setting: Setting, folds: Sequence[int]) -> FoldErrors:
        key = setting, tuple(folds)
        if key not in known:
            known[key] = _read(design, facts, storage, shape, form, *key)
        return known[key]

    return read


def _read(
    design: Design,
    facts: Facts,
    storage: Storage,
    shape: Shape,
    form: Form,
    setting: Setting,
    folds: tuple[int, ...],
) -> FoldErrors:
    scores = [facts.records[Training(setting, fold)].scores for fold in folds]
    epochs = sorted(set.intersection(*map(set, scores)))
    if not epochs:
        raise InputError(
            f"{setting.candidate} reported after no epoch that all folds share; report after the "
            "same epochs in every trial"
        )
    table = np.array([[one[epoch] for epoch in epochs] for one in scores])
    chosen, best = best_epochs(as_error(table, design.better), epochs)
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
    read = np.array([one[epoch] for one, epoch in zip(scores, chosen, strict=True)])
    return FoldErrors(
        errors=as_error(read, design.better),
        influences=tuple(np.zeros(1) if bare else as_error(p, design.better) for p in parts),
        rows=tuple(np.array([fold]) if bare else shape.units[fold] for fold in folds),
        epochs=tuple(chosen),
        best_epoch=best,
        by_ratio=design.better == "lower",
        overlap=shape.overlap,
    )
