"""Replay a study's rules on what a whole study measured: the plan decides as it does for anyone.

What a rule wants trained is read from the record up to the next pause; what it did not want counts
as never measured. So a rule's verdict and its cost are known without training.

A record is one draw of the rows and of the trainings' luck. Others like it are drawn from itself by
the wild bootstrap (Wu, Jackknife, Bootstrap and Other Resampling Methods in Regression Analysis,
1986), clustered as the test is: how a candidate differs from the default on a row, and on a fold,
keeps its size and takes a new sign, the same for all candidates and epochs. With the mean
differences kept the draw is another study of the same table; without them no loss is better than
another, and each switch is a false one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from lossmith.study.base.direction import as_error
from lossmith.study.journal import Decision, Facts, Record, Report, Setting, Training
from lossmith.study.rules.evidence import reader
from lossmith.study.rules.halving import Check
from lossmith.study.rules.plan import due, finalists
from lossmith.study.rules.presets import Preset
from lossmith.study.rules.stacked import StackedDesign
from lossmith.study.rules.weighing import weigh
from policy_record import Recorded


@dataclass(frozen=True, kw_only=True)
class Rule(Preset):
    """What is replayed; looks: folds after which the evidence is tested instead of checks."""

    rates: int | None = None
    default_settings: int = 2
    looks: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Replayed(StackedDesign):
    """A study's design under another rule."""

    rule: Rule

    @property
    def numbers(self) -> Preset:
        """The rule's numbers."""
        return self.rule

    @property
    def looks(self) -> tuple[int, ...]:
        """The rule's looks."""
        return self.rule.looks or super().looks

    def checks(self, decisions: Mapping[str, Any]) -> dict[int, Check]:
        """No checks between looks."""
        return {} if self.rule.looks else super().checks(decisions)

    def review(self, facts: Facts, read: Any) -> Decision | None:
        """Nothing but looks, where there are some."""
        return None if self.rule.looks else super().review(facts, read)


@dataclass
class Outcome:
    """What a rule led to; steps: settings that went on together, their folds, and for how long."""

    default: str
    selected: str = ""
    setting: Setting | None = None
    finalists: list[Setting] = field(default_factory=list)
    steps: list[tuple[int, int, int]] = field(default_factory=list)
    estimated: int = 0  # trainings of finalists that the record lacks

    @property
    def trained(self) -> int:
        """Epochs of single trainings."""
        return sum(settings * folds * epochs for settings, folds, epochs in self.steps)


def replay(draw: "Draw", rule: Rule, *, lengthen: bool = True) -> Outcome:
    """Let a rule decide; what it wants trained is read from the draw."""
    plan = dict(draw.recorded.design)
    plan["longest"] = plan["longest"] if lengthen else plan["epochs"]
    whole, grid = {plan["default"], plan["common"]}, plan["learning_rates"]
    plan["starts"] = tuple(one for one in plan["starts"] if rule.starts(one, grid, whole))
    design = Replayed(**plan, rule=rule)
    records: dict[Training, Record] = {}
    facts, found = Facts(records=records), Outcome(default=design.default)
    while "end" not in facts.decisions:
        decision = due(design, facts, _reader(design, facts, draw))
        if decision is None:
            found.steps.append(_advance(design, facts, records, draw))
            continue
        _apply(decision, records)
        decisions = {**facts.decisions, decision.name: decision.outcome}
        facts = Facts(records=records, decisions=decisions)
    found.finalists = [Setting(*one) for one in facts.decisions["finalists"]]
    folds, proven = range(facts.decisions["end"]["folds"]), facts.decisions["end"]["proven"]
    read = _reader(design, facts, draw)
    last = [one for one in finalists(facts) if Training(one, folds[-1]) in records]
    evidence = weigh(design, last, folds, read)
    assert evidence is not None
    found.selected = max(proven, key=evidence.gain, default=design.default)
    found.setting = evidence.settings[found.selected]
    found.estimated = sum(one not in draw.recorded.scores for one in records)
    return found


def _reader(design: StackedDesign, facts: Facts, draw: "Draw") -> Any:
    return reader(design, facts, draw, draw.recorded.shape, draw.part)  # type: ignore[arg-type]


def _apply(decision: Decision, records: dict[Training, Record]) -> None:
    """Do what a decision says, as a journal does."""
    for training in decision.plan:
        records.setdefault(training, Record(id=len(records), state="planned"))
    for training in decision.resume:
        records[training] = replace(records[training], state="planned")
    for training, why in decision.stop:
        records[training] = replace(records[training], state="stopped", note=why)


def _advance(
    design: StackedDesign, facts: Facts, records: dict[Training, Record], draw: "Draw"
) -> tuple[int, int, int]:
    """Let what is planned of one stack go on to its next pause, as the worker does."""
    planned = [training for training, record in records.items() if record.state == "planned"]
    name, start = design.stack_of(planned[0], facts.decisions), records[planned[0]].epoch
    own = [
        training
        for training in planned
        if design.stack_of(training, facts.decisions) == name and records[training].epoch == start
    ]
    pause = next(e for e in design.pauses(name, facts.decisions) if e > start)
    state = "done" if pause == design.length(facts.decisions) else "paused"
    for training in own:
        said = [
            Report(epoch, draw.score(training, epoch), 0.0, 0.0)
            for epoch in design.scored_after(design.length(facts.decisions))
            if start < epoch <= pause
        ]
        reports = (*records[training].reports, *said)
        records[training] = replace(records[training], state=state, reports=reports)
    folds = len({training.fold for training in own})
    return len(own) // folds, folds, pause - start


class Urn:
    """What draws are made of: how each setting differs from the default, in rows and in folds."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded, self.better = recorded, recorded.design["better"]
        self.by_ratio = self.better == "lower"
        self.settings = sorted({training.setting for training in recorded.scores})
        own = [s for s in self.settings if s.candidate == recorded.design["default"]]
        self.base = min(own, key=self.error)
        self.whole = [s for s in self.settings if s != self.base and np.isfinite(self.error(s))]
        self.differences = {setting: self._difference(setting) for setting in self.settings}

    def draw(self, seed: int | None = None, *, null: bool = False) -> "Draw":
        """Return a study like the recorded one, or itself; null: where no loss is better."""
        return Draw(self, seed, null)

    def gain(self, setting: Setting) -> float:
        """Return by which share of the default's error one is better on all folds.

        Of a setting with fewer, what whole ones gain less or more on these is allowed for.
        """
        folds = self._folds(setting)
        own = self._gain(setting, folds)
        if len(folds) == self.recorded.design["folds"]:
            return own
        bias = [self._gain(one, folds) - self._gain(one, self._folds(one)) for one in self.whole]
        return own - float(np.median(bias))

    def _gain(self, setting: Setting, folds: Sequence[int]) -> float:
        own, base = self.error(setting, folds), self.error(self.base, folds)
        return (base - own) / abs(base if self.better == "lower" else 1 + base)

    def _folds(self, setting: Setting) -> list[int]:
        number = self.recorded.design["folds"]
        return [fold for fold in range(number) if Training(setting, fold) in self.recorded.scores]

    def error(self, setting: Setting, folds: Sequence[int] | None = None) -> float:
        """Return the error at the best epoch on some folds, or on all; infinite where they lack."""
        own, number = self.recorded.scores, self.recorded.design["folds"]
        some = [own.get(Training(setting, n), {}) for n in (folds or range(number))]
        epochs = [epoch for epoch in self.recorded.design["marks"] if epoch in some[-1]]
        errors = [as_error(float(np.mean([one[e] for one in some])), self.better) for e in epochs]
        return min((one for one in errors if np.isfinite(one)), default=np.inf)

    def values(self, training: Training, epoch: int) -> np.ndarray:
        """Return each row's value of what was recorded, as the test compares them."""
        error = as_error(self.recorded.scores[training][epoch], self.better)
        part: np.ndarray = as_error(self.recorded.parts[training][epoch], self.better)
        return np.log(error) + part / error if self.by_ratio else error + part

    def errors(self, values: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the error that such values make, and what each row adds to it."""
        mean = float(values.mean())
        error = float(np.exp(mean)) if self.by_ratio else mean
        return error, (values - mean) * (error if self.by_ratio else 1.0)

    def _difference(self, setting: Setting) -> dict[int, "Difference"]:
        """Return by epoch how a setting differs from the default."""
        own = [t for t in self.recorded.scores if t.setting == setting]
        found = {}
        for epoch in dict.fromkeys(e for t in own for e in self.recorded.scores[t]):
            rows = {}
            for training in own:
                if epoch in self.recorded.scores[training]:
                    base = self.values(Training(self.base, training.fold), epoch)
                    rows[training.fold] = self.values(training, epoch) - base
            found[epoch] = Difference.of(rows)
        return found


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How a setting differs from the default after an epoch: in all, by fold, and by row."""

    level: float
    by_fold: Mapping[int, float]
    by_row: Mapping[int, np.ndarray]

    @classmethod
    def of(cls, rows: Mapping[int, np.ndarray]) -> "Difference":
        """Take apart what was measured on some folds."""
        means = {fold: float(part.mean()) for fold, part in rows.items()}
        level = float(np.mean([*means.values()]))
        by_chance = np.mean([part.var() / len(part) for part in rows.values()])
        spread = np.var([*means.values()], ddof=1) if len(means) > 1 else 0.0
        # Rows that get new signs move a fold's mean already; only what is beyond is luck.
        luck = max(0.0, 1 - by_chance / spread) ** 0.5 if spread > 0 else 0.0
        return cls(
            level=level,
            by_fold={fold: luck * (mean - level) for fold, mean in means.items()},
            by_row={fold: part - means[fold] for fold, part in rows.items()},
        )

    @property
    def size(self) -> float:
        """How much rows differ."""
        return float(np.sqrt(np.mean([np.mean(part**2) for part in self.by_row.values()])))


class Draw:
    """What trainings would report: a record, or one drawn from it, formed when it is asked for.

    Where a rule takes a finalist that the record has on the screening folds alone, its rows on the
    others are those of another finalist, by lot, at its own size and level.
    """

    def __init__(self, urn: Urn, seed: int | None, null: bool) -> None:
        self.urn, self.recorded, self.seed, self.null = urn, urn.recorded, seed, null
        units = self.recorded.shape.units
        chance = np.random.default_rng(seed)
        size = 1 + max(int(one.max()) for one in units)
        self.signs, self.luck = np.ones(size), np.ones(len(units))
        if seed is not None:
            self.signs = chance.choice((-1.0, 1.0), size)
            self.luck = chance.choice((-1.0, 1.0), len(units))
        self.values, self.score = cache(self._values), cache(self._score)

    def _score(self, training: Training, epoch: int) -> float:
        """Return a training's score after an epoch."""
        return as_error(self.urn.errors(self.values(training, epoch))[0], self.urn.better)

    def influences(self, training: Training, epoch: int) -> np.ndarray:
        """Return what each unit adds to it."""
        return as_error(self.urn.errors(self.values(training, epoch))[1], self.urn.better)

    def part(self, training: Training, epoch: int) -> np.ndarray:
        """Return the same, for a reader that finds nothing kept."""
        return self.influences(training, epoch)

    def _values(self, training: Training, epoch: int) -> np.ndarray:
        setting, fold = training.setting, training.fold
        own = self.urn.differences[setting]
        if epoch not in own or fold not in own[epoch].by_row:
            epoch = max(e for e in own if e <= epoch)
            if fold in own[epoch].by_row:  # the record ends before
                return self.values(training, epoch)
            by_fold, by_row = self._borrowed(setting, fold, epoch)
        else:
            by_fold, by_row = own[epoch].by_fold[fold], own[epoch].by_row[fold]
        if self.seed is None and training in self.recorded.scores:
            return self.urn.values(training, epoch)
        level = 0.0 if self.null else own[epoch].level
        signs = self.signs[self.recorded.shape.units[fold]]
        base = self.urn.values(Training(self.urn.base, fold), epoch)
        return base + level + self.luck[fold] * by_fold + signs * by_row

    def _borrowed(self, setting: Setting, fold: int, epoch: int) -> tuple[float, np.ndarray]:
        """Return another finalist's part of a fold at this setting's size."""
        number = self.urn.settings.index(setting)
        lot = np.random.default_rng([self.seed or 0, number, fold]).integers(len(self.urn.whole))
        other = self.urn.differences[self.urn.whole[lot]][epoch]
        size = self.urn.differences[setting][epoch].size / other.size if other.size > 0 else 0.0
        return size * other.by_fold[fold], size * other.by_row[fold]
