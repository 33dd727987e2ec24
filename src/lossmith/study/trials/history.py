"""What the trainings of a study took, and how their scores went."""

import pandas as pd

from lossmith.study.base.direction import Better, as_error
from lossmith.study.base.result import Cost, Curve
from lossmith.study.journal import Facts
from lossmith.study.rules.design import Design
from lossmith.study.rules.evidence import errors_by_epoch
from lossmith.study.rules.weighing import Evidence


def cost_of(design: Design, facts: Facts) -> Cost:
    """Return what the trainings took, beside what the default alone would have on all folds."""
    records = facts.records
    seconds = sum(report.seconds for r in records.values() for report in r.reports)
    own = [r for t, r in records.items() if t.setting.candidate == design.default and r.reports]
    epochs = sum(record.epoch for record in own)
    epoch = sum(report.seconds for r in own for report in r.reports) / max(1, epochs)
    others = (len(design.learning_rates) - 1) * len(design.screening) * design.epochs
    alone = epoch * (others + design.folds * design.length(facts.decisions))
    ran = sum(1 for record in records.values() if record.reports)
    return Cost(
        seconds=seconds,
        default_seconds=alone,
        ratio=seconds / alone if alone else 0.0,
        trainings=ran,
    )


def curves_of(weighed: Evidence | None, facts: Facts, better: Better) -> tuple[Curve, ...]:
    """Return each finalist's score over its training, averaged over folds."""
    if weighed is None:
        return ()
    found = []
    for name, setting in weighed.settings.items():
        table, epochs = errors_by_epoch(facts, setting, weighed.folds, better)
        found.append(
            Curve(
                name=name,
                epochs=tuple(epochs),
                scores=tuple(as_error(table.mean(axis=0), better).tolist()),
                best_epoch=weighed.errors[name].best_epoch,
            )
        )
    return tuple(found)


def frame_of(facts: Facts) -> pd.DataFrame:
    """Return every report as a row."""
    rows = [
        (*training.setting[:2], training.fold, r.epoch, r.score, r.seconds, record.state)
        for training, record in facts.records.items()
        if not training.twin
        for r in record.reports
    ]
    names = ["loss", "learning_rate", "fold", "epoch", "score", "seconds", "state"]
    return pd.DataFrame(rows, columns=names)
