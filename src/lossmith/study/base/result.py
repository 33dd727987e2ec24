"""What a study found: the numbers that `result.json` holds and the evidence that a report draws."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from torch import Tensor

from lossmith.core.loss import Loss
from lossmith.study.base.direction import Better, as_error

MOST_HARM = 0.1  # probability of being worse from which a loss that is not proven is not leaned to

Status = Literal["default", "selected", "finished", "dropped", "diverged", "failed", "unfinished"]

IN_MEMORY = "in-memory"  # the name of a study without a folder that stays


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the diagnosis: a fact of the data and what it means for the loss."""

    name: str
    value: float | str
    meaning: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a loss is expected to gain: what was measured, drawn to what other tables say of it.

    change: of the default's error, relative; negative is better. low, high: its 80 % interval.
    harm: probability of being worse than the default.
    """

    change: float
    low: float
    high: float
    harm: float


@dataclass(frozen=True, kw_only=True)
class CandidateResult:
    """One candidate's evidence, in the metric's own unit.

    score, low, high: mean over the validation folds and its 95 % interval. difference_to_default:
    score minus the default's score on the same folds, with its 95 % interval and one-sided
    p-value of being better, corrected for the number of candidates. None where it was not reached.
    default_score: of one that left early, the default's score on its folds at its epoch. expected:
    of one that was measured in full, where other tables tell of the metric.
    """

    name: str
    parameters: dict[str, Any]
    status: Status
    score: float | None = None
    low: float | None = None
    high: float | None = None
    difference_to_default: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None
    learning_rate: float | None = None
    epochs: int | None = None
    folds: int = 0
    note: str = ""
    by_target: dict[str, dict[str, float]] = field(default_factory=dict)  # of several targets
    default_score: float | None = None
    expected: Expected | None = None


@dataclass(frozen=True, kw_only=True)
class TargetResult:
    """What a study of several targets found for one of them, in its metric's own unit.

    difference: the selected combination's score minus the default's on the same folds, with its
    95 % interval; test: both on the untouched rows.
    """

    name: str
    task: str
    metric: str
    better: Better
    default: float
    selected: float
    difference: float
    difference_low: float
    difference_high: float
    test: dict[str, float | None]
    classes: int = 0
    source: str = ""

    def error(self, score: float) -> float:
        """Return a score of this target such that lower is better; twice gives it back."""
        return as_error(score, self.better)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What the study took, beside what evaluating the default alone takes on the same folds."""

    seconds: float
    default_seconds: float
    ratio: float
    trainings: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What the verdict on trainings of any loop, or on scores at hand, rests on.

    trainings: of each loss, on so many splits, each under so many seeds. units: what counts as
    independent in the test, beside the trainings. looks: at the evidence, for which the p-values
    are corrected. rivals: losses beside the default, for which they are, too.
    """

    trainings: int
    splits: int
    seeds: int
    planned: int  # trainings, had none been saved
    unit: Literal["row", "group", "score"]
    units: int
    looks: int
    rivals: int
    paired: bool  # by weights and batches, as far as is known


@dataclass(frozen=True, kw_only=True)
class Result:
    """The whole of `result.json`.

    Of several targets, the metric is the geometric mean of their errors, each in units of the best
    constant prediction's, and `targets` holds what was found for each. A task "study" is one of
    the user's own loop, "scores" one of scores at hand: these have a `comparison` and no test rows.
    withheld: the loss that looked better, where rows may belong together and the default is kept.
    still_improving: losses that were best at the end of training, or at an edge of their learning
    rates, when the study went no further; the sentence says so. source: why the default is the
    loss to beat, in words. beside: what is read beside the score on the untouched rows, or without
    such on validation rows, as the coverage of intervals or each step of a forecast, of the default
    and of the selected loss. ensemble: how many models of each loss predict, where they are of
    several losses; its score stands beside the others in `test`. lean: the loss that is expected to
    gain most, if its probability of harm is under MOST_HARM or it is selected; None without one,
    or where no other table tells of the task or metric. preset: of a study of a table, how much it
    trained.
    """

    task: str
    metric: str
    better: Better
    target: str
    rows: dict[str, int]  # total, train, test, dropped
    diagnosis: tuple[Finding, ...]
    default: str
    common: str  # what is commonly used; empty where that is not known
    selected: str
    verdict: Literal["switch", "keep"]
    sentence: str
    equivalents: tuple[str, ...]
    candidates: tuple[CandidateResult, ...]
    test: dict[str, float | None]  # default, selected, ensemble
    cost: Cost
    seed: int
    interrupted: bool
    versions: dict[str, str]
    targets: tuple[TargetResult, ...] = ()
    command: str = ""
    comparison: Comparison | None = None
    withheld: str = ""
    still_improving: tuple[str, ...] = ()
    source: str = ""
    beside: dict[str, dict[str, float]] = field(default_factory=dict)
    ensemble: dict[str, int] = field(default_factory=dict)
    lean: str | None = None
    preset: str = ""

    def error(self, score: float) -> float:
        """Return a score such that lower is better; twice gives it back."""
        return as_error(score, self.better)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A candidate's validation metric over training, averaged over folds and seeds."""

    name: str
    epochs: tuple[int, ...]
    scores: tuple[float, ...]
    best_epoch: int


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """A finished candidate's raw outputs on validation rows it was not trained on."""

    name: str
    loss: Loss
    output: Tensor  # (n, out_features), or (n,) for a head of one
    target: Tensor  # (n,) in the target's own unit, or class codes


@dataclass(frozen=True, kw_only=True)
class WeightSweep:
    """The default's losses at other weights: by how many per cent each target's error is lower."""

    shares: tuple[float, ...]
    changes: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the models of the default and the selected loss predict of a few validation rows.

    kind: how it is drawn: one of `lossmith.study.tasks.sample`. default, selected: arrays by name.
    images: what the rows look like, if known.
    """

    kind: str
    default: Mapping[str, np.ndarray]
    selected: Mapping[str, np.ndarray]
    images: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Pictures of one row of the data, as PNG, or its text, and what is to be seen there."""

    caption: str
    pictures: tuple[bytes, ...] = ()
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Pictures or texts of the data that tell how well a model does.

    key: names of the colours that are painted on them, as #rrggbb.
    """

    title: str
    text: str
    shown: tuple[Shown, ...]
    key: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """What the report draws beyond the numbers.

    levels: of the quantiles that the selected loss's predictions are, by target; None as decoded.
    """

    curves: tuple[Curve, ...] = ()
    weights: tuple[WeightSweep, ...] = ()  # of several targets
    outputs: tuple[Outputs, ...] = ()
    test_target: np.ndarray = field(default_factory=lambda: np.empty(0))
    test_default: np.ndarray = field(default_factory=lambda: np.empty(0))  # points or probabilities
    test_selected: np.ndarray = field(default_factory=lambda: np.empty(0))
    test_counted: np.ndarray | None = None  # which of these rows the scores count; all if None
    classes: tuple[str, ...] = ()
    sample: Sample | None = None
    gallery: Gallery | None = None  # of pictures or texts
    horizons: tuple[float, ...] = ()  # of times to an event
    levels: tuple[float | None, ...] = ()
