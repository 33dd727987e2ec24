"""What a journal knows: which trainings are wanted, what they reported, how they ended."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

State = Literal["planned", "running", "paused", "done", "stopped", "failed"]
ENDED: tuple[State, ...] = ("done", "stopped", "failed")


class Setting(NamedTuple):
    """A candidate at a learning rate; variant: which of its own variants, as of weights."""

    candidate: str
    learning_rate: float
    variant: int = 0


class Training(NamedTuple):
    """One training that is wanted: a setting on a fold; twin: the default's second run on it."""

    setting: Setting
    fold: int
    twin: bool = False


class Report(NamedTuple):
    """What a training said after an epoch; its rows' values are read apart, where needed."""

    epoch: int
    score: float
    seconds: float  # since the one before, or since the training was claimed
    at: float  # seconds since the Unix epoch


@dataclass(frozen=True, kw_only=True)
class Record:
    """A training's state, and its reports in the order of epochs."""

    id: int
    state: State
    attempt: int = 0
    reports: tuple[Report, ...] = ()
    note: str = ""  # of a training that failed or was stopped: why
    worker: str = ""  # that trains it, while it runs
    expires: float = 0.0  # when others may take it over, in seconds since the Unix epoch

    @property
    def ended(self) -> bool:
        """Whether it will report no more."""
        return self.state in ENDED

    @property
    def epoch(self) -> int:
        """The last epoch that it reported; 0 before the first."""
        return self.reports[-1].epoch if self.reports else 0

    @property
    def scores(self) -> dict[int, float]:
        """Its scores by epoch."""
        return {report.epoch: report.score for report in self.reports}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that a journal knows at one moment; decisions are functions of it."""

    records: Mapping[Training, Record]
    decisions: Mapping[str, Any] = field(default_factory=dict)  # by the name of what was due
    at: float = field(default_factory=time.time)  # by the journal's clock, as all its times

    @cached_property
    def by_candidate(self) -> Mapping[str, Mapping[Training, Record]]:
        """The trainings of each candidate, without the default's second run."""
        found: dict[str, dict[Training, Record]] = {}
        for training, record in self.records.items():
            if not training.twin:
                found.setdefault(training.setting.candidate, {})[training] = record
        return found

    @property
    def idle(self) -> bool:
        """Whether no training is planned or runs."""
        return all(record.ended or record.state == "paused" for record in self.records.values())


class Decision(NamedTuple):
    """What follows from the facts: trainings to plan, to go on with and to end, and a record."""

    name: str
    outcome: Any
    plan: Sequence[Training] = ()
    resume: Sequence[Training] = ()
    stop: Sequence[tuple[Training, str]] = ()  # and why


class Claim(NamedTuple):
    """The right to run a training; attempt is the fencing token that its reports carry."""

    id: int
    training: Training
    attempt: int
    epoch: int  # that it last reported; it goes on from there
