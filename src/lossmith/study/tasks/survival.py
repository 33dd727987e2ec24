"""Survival: times to an event, some of them censored."""

import shlex
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pandas.api import types
from torch import nn

from lossmith.catalogue.names import loss_class
from lossmith.core.loss import Loss
from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import percent, pluralize
from lossmith.study.metrics import Metric
from lossmith.study.metrics.censored import MINIMUM_EVENTS, horizons
from lossmith.study.metrics.study_metric import StudyMetric, to_array
from lossmith.study.tasks.arrays import ArrayTask, Baseline
from lossmith.study.tasks.base import Array, TableTask
from lossmith.study.tasks.binary import positive_code
from lossmith.study.tasks.candidate import Candidate, Sum
from lossmith.study.tasks.timed import TimedCandidate, risk, told

# What columns call rows with the event, and those without.
HAPPENED = {
    *("1", "true", "yes", "y", "event", "dead", "died", "death", "deceased", "failed", "failure"),
    *("relapse", "relapsed", "recurred", "recurrence", "churned", "churn", "uncensored"),
}
CENSORED = {
    *("0", "false", "no", "n", "none", "censored", "censor", "alive", "living", "survived"),
    *("no event", "lost", "active", "no relapse", "no recurrence", "no churn", "right-censored"),
}
SHOWN = 6  # labels that an error lists
ORDERS = Baseline("cox", "orders risks alone; what networks start with: DeepSurv, 2018")


class Survival(ArrayTask):
    """A dict of `time` and `event`, (N,) each; predictions are read as risks, or as curves."""

    name = "survival"
    sample = "risks"
    wanted = "a dict of time and event, one each a row,"
    start = "cox"
    defaults: ClassVar[Mapping[str, Baseline]] = {
        "concordance": ORDERS,
        "concordance_uno": ORDERS,
        "integrated_brier": Baseline(
            "logistic_hazard",
            "likelihood of a curve, of which the Brier score asks: Gensheimer & Narasimhan, 2019; "
            "Kvamme & Borgan, 2019, start with it",
        ),
    }

    def accepts(self, target: Any) -> bool:
        """Tell whether targets are times and events."""
        return isinstance(target, Mapping) and set(target) == {"time", "event"}

    def admits(self, kind: type[Loss], target: Any) -> bool:
        """Tell whether a loss reads censored times."""
        return _reads_times(kind)

    def everyone(self, metric: StudyMetric, target: Any) -> list[Candidate | Sum]:
        """Return every loss that fits; under curves not Cox's, as a loop reports no baseline."""
        found = super().everyone(metric, target)
        return [one for one in found if one.name != self.start or metric.horizons == ()]

    def read(
        self, metric: StudyMetric, loss: nn.Module, prediction: Any, target: Any
    ) -> tuple[Any, Any]:
        """Return risks, or the probability to survive each horizon."""
        found = to_array(prediction)
        if metric.horizons == ():
            return target, risk(loss, found)
        return target, found[:, 1:] if isinstance(loss, Loss) else found


class SurvivalTable(TableTask):
    """A column of times and one of events: targets (N, 2); predictions are a risk and a curve."""

    name, kind, numbers, single = "survival", float, True, False
    start = "cox"
    defaults = Survival.defaults

    def check(self, target: Array) -> None:
        """Raise InputError for too few events, or times without an order."""
        events = int(target[:, 1].sum())
        if events < MINIMUM_EVENTS:
            have = f"{pluralize(events, 'row')} {'has' if events == 1 else 'have'} the event"
            raise InputError(f"{have}; a study needs {MINIMUM_EVENTS}")
        horizons(*target.T)

    def strata(self, target: Array) -> Array | None:
        """Return whether each row has the event, which folds share out evenly."""
        return target[:, 1].astype(np.int64)

    def admits(self, kind: type[Loss], target: Array) -> bool:
        """Tell whether a loss reads censored times."""
        return _reads_times(kind)

    def baseline(self, metric: Any) -> Baseline:
        """Return what orders risks best, or what gives the best curves."""
        return self.defaults[metric.name.partition("@")[0]]

    def default(self, metric: Metric, classes: int | None) -> Candidate:
        """Return the loss to beat."""
        return Candidate(key=self.baseline(metric).loss)

    def common(self, classes: int | None) -> Candidate:
        """Return Cox's partial likelihood."""
        return Candidate(key=self.start)

    def told(self, candidate: Candidate, target: Array) -> Candidate:
        """Return a candidate that knows the horizons and what its loss takes from all targets."""
        given = told(loss_class(candidate.key), target)
        return TimedCandidate(
            key=candidate.key, hypers=candidate.hypers, given=given, horizons=horizons(*target.T)
        )


def _reads_times(kind: type[Loss]) -> bool:
    return isinstance(kind.card.target, Mapping) and not kind.card.required_signals


def times(column: pd.Series, name: str) -> Array:
    """Return the times of a column.

    Raises:
        InputError: for what is no number, infinite or not above 0.
    """
    if not types.is_numeric_dtype(column) or types.is_bool_dtype(column):
        read = pd.to_numeric(column.astype(str), errors="coerce")
        wrong = column[read.isna()].tolist() or column.tolist()
        raise InputError(
            f"column {name!r} holds {str(wrong[0])!r}, which is no time to an event: a number "
            "above 0, as of days"
        )
    found = column.to_numpy(np.float64)
    if (found <= 0).any():
        count = int((found <= 0).sum())
        raise InputError(
            f"column {name!r} is {found[found <= 0][0]:g} in {count} of {len(found)} rows; times "
            "to an event are above 0: correct or remove these rows"
        )
    return found


def events(column: pd.Series, name: str, said: Any) -> tuple[Array, str]:
    """Return which rows of a column have the event, and how the column says so.

    said: the label of those that have it, all others being censored; told by the column if None.

    Raises:
        InputError: where which label it is can't be told, or none is that.
    """
    values, labels = pd.factorize(column)
    listed = [_written(label) for label in labels.tolist()]
    if said is not None:
        code = positive_code(labels, np.bincount(values), said)
    else:
        code = _told(listed, name)
    found = (values == code).astype(np.float64)
    what = "no row" if code < 0 else repr(listed[code])
    note = f"the event is {what} in {name}, {percent(found.mean())} of the rows"
    if len(listed) > 2:
        note += f"; {_several([one for one in listed if one != listed[code]])} are censored there"
    return found, note


def _told(listed: list[str], name: str) -> int:
    """Return the place of the label of events, -1 where there are only censored rows."""
    low = [one.strip().lower() for one in listed]
    happened, censored = ([one in words for one in low] for words in (HAPPENED, CENSORED))
    if all(one or other for one, other in zip(happened, censored, strict=True)):
        if sum(happened) == 1:
            return happened.index(True)
        if not any(happened) and len(low) == 1:
            return -1
    if len(listed) > SHOWN:
        raise InputError(
            f"{name} holds {_several(listed)}; an event column holds few values, one of them where "
            "the event was seen"
        )
    others = ", all others being censored" if len(listed) > 2 else ""
    raise InputError(
        f"{name} holds {_several(listed)}, and which means the event can't be told; say it"
        f"{others}: {' or '.join(f'--positive {shlex.quote(one)}' for one in listed)}"
    )


def _several(listed: list[str]) -> str:
    if len(listed) > SHOWN:
        return f"{', '.join(map(repr, listed[:SHOWN]))} and {len(listed) - SHOWN} others"
    return " and ".join(filter(None, (", ".join(map(repr, listed[:-1])), repr(listed[-1]))))


def _written(label: Any) -> str:
    """Return a label as people write it: 1 for 1.0."""
    whole = isinstance(label, float) and label.is_integer()
    return str(int(label)) if whole else str(label)
