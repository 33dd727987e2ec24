"""Which trials go on: pure functions of what was measured so far.

A screening starts every candidate and cuts at rungs (successive halving: Jamieson and Talwalkar,
Non-stochastic Best Arm Identification and Hyperparameter Optimization, 2016). Of the finalists
those leave whose chance of being proven better has gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.journal.facts import Setting


class Rung(NamedTuple):
    """A cut after a share of the epochs.

    keep: the share of the trials that goes on, `most` at most, so that a larger catalogue costs
    little more; per_candidate: at how many settings of a candidate.
    """

    after: float
    keep: float
    most: int
    per_candidate: int


class Check(NamedTuple):
    """A look at the finalists after a share of the epochs; those beyond `p_value` leave.

    behind: of the default's settings those leave whose p-value of being better than its best is
    beyond it.
    """

    after: float
    p_value: float
    behind: float = 1.0


@dataclass(frozen=True, kw_only=True)
class SuccessiveHalving:
    """Cuts of a screening, after which the best become finalists.

    The default goes on whatever its error is, and the common default at one setting at least, so
    that what people start with is shown fairly.

    least: trials that a rung keeps. finalists: beside both defaults. default_settings: at which
    the default is measured to the end.
    """

    default: str
    common: str
    least: int
    rungs: tuple[Rung, ...]
    finalists: int
    default_settings: int = 2

    def keep(self, rung: Rung, keys: Sequence[Setting], errors: Sequence[float]) -> list[int]:
        """Return which of the trials pass a rung, the best first."""
        count = min(rung.most, max(round(rung.keep * len(keys)), self.least))
        kept: list[int] = []
        for index in np.argsort(errors, kind="stable").tolist():
            name = keys[index].candidate
            same = sum(keys[other].candidate == name for other in kept)
            passed = len(kept) < count and same < rung.per_candidate
            shown = name == self.common and same == 0
            finite = np.isfinite(errors[index])
            if ((passed or shown) and finite) or name == self.default:
                kept.append(index)
        return kept

    def promote(self, errors: Mapping[Setting, float]) -> list[Setting]:
        """Return the finalists: the default at its best settings, and the best of the others.

        Few folds settle a learning rate only roughly; the doubt goes to the default's favour.

        Raises:
            InputError: if every trial diverged, or every one of the default.
        """
        ranked = sorted((k for k, e in errors.items() if np.isfinite(e)), key=errors.__getitem__)
        if not ranked:
            raise InputError(
                "every loss diverged; check the features and the target for extreme values"
            )
        default = [key for key in ranked if key.candidate == self.default]
        if not default:
            raise InputError(
                f"the default loss {self.default} diverged at every learning rate; try smaller ones"
            )
        best: dict[str, Setting] = {}
        for key in ranked:
            if key.candidate != self.default:
                best.setdefault(key.candidate, key)
        names = [*best][: self.finalists] + [name for name in best if name == self.common]
        return default[: self.default_settings] + [best[name] for name in dict.fromkeys(names)]


@dataclass(frozen=True, kw_only=True)
class Futility:
    """Checks at which finalists leave that are not better than the default beyond some doubt.

    What is proven in the end is hardly in doubt by then. The `protected` best leave only where
    their p-value exceeds `futility_bound`: when surely worse.
    """

    checks: tuple[Check, ...]
    protected: int
    futility_bound: float = 0.95

    def keep(self, check: Check, p_values: Sequence[float]) -> list[int]:
        """Return which rivals go on, by their p-values of being better than the default."""
        ranked = np.argsort(p_values, kind="stable").tolist()
        bounds = [self.futility_bound] * self.protected + [check.p_value] * len(ranked)
        pairs = zip(ranked, bounds, strict=False)
        return sorted(index for index, bound in pairs if p_values[index] <= bound)
