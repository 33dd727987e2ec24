"""What the trainings of a study took, and how their scores went."""

import numpy as np
import pandas as pd

from lossmith.study.base.result import Cost, Curve
from lossmith.study.journal import Facts, Training
from lossmith.study.rules.plan import Design, Evidence


def cost_of(design: Design, facts: Facts) -> Cost:
    """Return what the trainings took, beside what the default alone would have on all folds."""
    records = facts.records
    seconds = sum(report.seconds for r in records.values() for report in r.reports)
    own = [r for t, r in records.items() if t.setting.candidate == design.default and r.reports]
    epochs = sum(record.epoch for record in own)
    epoch = sum(report.seconds for r in own for report in r.reports) / max(1, epochs)
    trainings = len(design.learning_rates) * len(design.screening)
    trainings += design.folds - len(design.screening)
    alone = epoch * design.epochs * trainings
    ran = sum(1 for record in records.values() if record.reports)
    return Cost(
        seconds=seconds,
        default_seconds=alone,
        ratio=seconds / alone if alone else 0.0,
        trainings=ran,
    )


def curves_of(weighed: Evidence | None, facts: Facts) -> tuple[Curve, ...]:
    """Return each finalist's score over its training, averaged over folds."""
    if weighed is None:
        return ()
    found = []
    for name, setting in weighed.settings.items():
        scores = [facts.records[Training(setting, fold)].scores for fold in weighed.folds]
        epochs = sorted(set.intersection(*map(set, scores)))
        means = tuple(float(np.mean([one[epoch] for one in scores])) for epoch in epochs)
        found.append(
            Curve(
                name=name,
                epochs=tuple(epochs),
                scores=means,
                best_epoch=weighed.errors[name].best_epoch,
            )
        )
    return tuple(found)


def frame_of(facts: Facts) -> pd.DataFrame:
    """Return every report as a row."""
    rows = [
        (*training.setting, training.fold, r.epoch, r.score, r.seconds, record.state)
        for training, record in facts.records.items()
        if not training.twin
        for r in record.reports
    ]
    names = ["loss", "learning_rate", "fold", "epoch", "score", "seconds", "state"]
    return pd.DataFrame(rows, columns=names)
