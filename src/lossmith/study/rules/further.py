"""Whom of those that may be chosen longer training or a further learning rate may still help."""

from collections.abc import Sequence

import numpy as np

from lossmith.study.journal.facts import Facts, Setting, Training
from lossmith.study.rules.compare import best_epochs
from lossmith.study.rules.convergence import TOLERANCE, beyond, improving
from lossmith.study.rules.design import Design
from lossmith.study.rules.evidence import errors_by_epoch


def diverged(facts: Facts, setting: Setting) -> bool:
    """Tell whether any of a setting's scores is not finite."""
    own = [record for training, record in facts.records.items() if training.setting == setting]
    return not np.isfinite([score for one in own for score in one.scores.values()]).all()


def rank_error(
    design: Design, facts: Facts, setting: Setting, folds: Sequence[int], until: float = np.inf
) -> float:
    """Return the mean error at the best epoch; infinite if it diverged, however well before.

    until: the last epoch that counts.
    """
    if diverged(facts, setting):
        return np.inf
    errors, epochs = errors_by_epoch(facts, setting, folds, design.better)
    return float(errors[:, np.array(epochs) <= until].mean(axis=0).min(initial=np.inf))


def still_improving(
    design: Design, facts: Facts, chosen: Sequence[Setting], folds: Sequence[int]
) -> list[Setting]:
    """Of the default and those chosen no worse than it, return those best at the end."""
    found = []
    for setting in _contending(design, facts, chosen, folds):
        errors, epochs = errors_by_epoch(facts, setting, folds, design.better)
        if improving(errors.mean(axis=0), epochs):
            found.append(setting)
    return found


def further_rates(
    design: Design, facts: Facts, chosen: Sequence[Setting], folds: Sequence[int]
) -> dict[Setting, Setting]:
    """Return the setting beyond for each of them whose learning rate is at an edge and gains there.

    All rates were measured on the screening folds.
    """
    found = {}
    for setting in _contending(design, facts, chosen, folds):
        errors = {
            one.learning_rate: rank_error(design, facts, one, design.screening)
            for one in _rates_of(design, facts, setting, design.screening)
        }
        own = errors[setting.learning_rate]
        worse = [error for rate, error in errors.items() if rate != setting.learning_rate]
        rate = beyond(setting.learning_rate, list(errors))
        if rate is not None and min(worse) - own > TOLERANCE * abs(own):
            found[setting] = setting._replace(learning_rate=rate)
    return found


def at_edge(
    design: Design, facts: Facts, chosen: Sequence[Setting], folds: Sequence[int]
) -> list[Setting]:
    """Return those of them whose learning rate is at an edge, and did better than those within.

    All rates were started on the first folds; the cuts of a screening left them unequally long, so
    they are held against each other after as many epochs as all have.
    """
    found = []
    for setting in _contending(design, facts, chosen, folds):
        rates = _rates_of(design, facts, setting, design.first)
        until = min(_reported(facts, one, design.first) for one in rates)
        errors = {one: rank_error(design, facts, one, design.first, until) for one in rates}
        own = errors.pop(setting)
        rate = beyond(setting.learning_rate, [one.learning_rate for one in rates])
        if rate is not None and min(errors.values()) - own > TOLERANCE * abs(own):
            found.append(setting)
    return found


def unsettled(longer: Sequence[str], edge: Sequence[str], epochs: int) -> str:
    """Return a sentence on what was still improving when a study went no further, or nothing.

    >>> unsettled(["mae"], [], 30)
    ' Scores were still improving after 30 epochs with mae.'
    """
    reasons = []
    if longer:
        reasons.append(f"after {epochs:,} epochs with {', '.join(longer)}")
    if edge:
        reasons.append(f"at the edge of the learning rates with {', '.join(edge)}")
    return f" Scores were still improving {' and '.join(reasons)}." if reasons else ""


def _reported(facts: Facts, setting: Setting, folds: Sequence[int]) -> int:
    """Return the last epoch that a setting came to on all of some folds."""
    return min(facts.records[Training(setting, fold)].epoch for fold in folds)


def _rates_of(
    design: Design, facts: Facts, setting: Setting, folds: Sequence[int]
) -> list[Setting]:
    """Return what differs from a setting in the rate alone and was measured on all these folds."""
    counts: dict[Setting, int] = {}
    for training, record in facts.records.items():
        one = training.setting
        if one._replace(learning_rate=setting.learning_rate) != setting or training.twin:
            continue
        if training.fold in folds and record.reports:
            counts[one] = counts.get(one, 0) + 1
    return [one for one, count in counts.items() if count == len(folds)]


def _contending(
    design: Design, facts: Facts, chosen: Sequence[Setting], folds: Sequence[int]
) -> list[Setting]:
    """Return the default at its better setting and those that are no worse, so far."""

    def as_tested(setting: Setting) -> float:
        table, epochs = errors_by_epoch(facts, setting, folds, design.better)
        best, _ = best_epochs(table, epochs)
        return float(table[range(len(table)), [epochs.index(epoch) for epoch in best]].mean())

    own = [setting for setting in chosen if setting.candidate == design.default]
    default = min(own, key=as_tested)
    rivals = [setting for setting in chosen if setting not in own]
    errors = {one: rank_error(design, facts, one, folds) for one in (default, *rivals)}
    return [one for one, error in errors.items() if error <= errors[default] and error < np.inf]
