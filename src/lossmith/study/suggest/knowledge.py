"""What is known of gains on other tables: records, and a prior learned from them, as a file.

`python bench/suggest.py fit` writes the file. It holds numbers and text, no objects.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lossmith.core.plain import check_shape
from lossmith.study.base.errors import InputError
from lossmith.study.suggest.gaussian import Prior, likeness, posterior

Array = np.ndarray
FILE = Path(__file__).with_name("known.npz")
FORMAT = 2
UNIT = 1e-4  # of gains and their errors, which are kept as whole numbers
NONE = np.iinfo(np.int16).min  # of a loss that is no candidate on a table, or diverged
MOST = 1.5  # log ratio of errors beyond which all is the same
SMALL = 0.03  # log ratio up to which gains count as they are, larger ones by their logarithm
KINDS = {"regression": "regression", "binary": "classes", "multiclass": "classes"}  # of tasks
TWINS = {"r2": "rmse"}  # whose 1 − R² is the square of the other's, up to a factor
TABLE = {"package": str, "table": str, "target": str, "condition": str}
LOSS = {"name": str, "prior": [float]}
METRIC = {"default": str, "losses": [LOSS]}
KIND = {"features": [str], "lengths": [float], "widen": float, "tables": [TABLE], "metrics": dict}


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A table on which losses were measured; condition: whether its targets were corrupted."""

    package: str
    table: str
    target: str
    condition: str


@dataclass(frozen=True, kw_only=True)
class Records:
    """What was measured under one metric on n tables of c losses.

    gains: logs of a loss's error over the default's, (n, c), NaN where there is none. errors:
    their standard errors. priors: of each loss, on the scale of `even`. default: the loss to beat,
    where no table says it.
    """

    names: tuple[str, ...]
    gains: Array
    errors: Array
    priors: tuple[Prior, ...]
    default: str = ""


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """The records of one kind of task.

    features: names of what tables are compared by. points: these of each table, (n, d). lengths:
    over which of them gains change, in standard deviations, (d,). widen: by how much deviations
    must grow for intervals to cover on tables left out. Where no features are known, the records
    are the atlas's cells of a task: those of one data set are alike, others are not.
    """

    tables: tuple[Recorded, ...]
    features: tuple[str, ...]
    points: Array
    lengths: Array
    metrics: Mapping[str, Records]
    widen: float

    @cached_property
    def standard(self) -> Array:
        """The points, each feature of mean 0 and deviation 1."""
        return self._standard(self.points)

    def point(self, features: Mapping[str, float]) -> Array:
        """Return a table's features within the range of the recorded ones, (d,)."""
        own = np.array([features[name] for name in self.features])
        return np.clip(own, self.points.min(axis=0), self.points.max(axis=0))

    def alike(self, point: Array) -> Array:
        """Return how much a table is like each recorded one, (n,); without features not at all."""
        if not self.features:
            return np.zeros(len(self.tables))
        return likeness(self._standard(point[None]), self.standard, self.lengths)[0]

    @cached_property
    def within(self) -> Array:
        """How much recorded tables are alike, (n, n); without features those of one name are."""
        if not self.features:
            return same([one.table for one in self.tables])
        return likeness(self.standard, self.standard, self.lengths)

    def forecast(self, metric: str, name: str, point: Array) -> tuple[float, float]:
        """Return the mean and deviation of a loss's gain on a table, on the scale of `even`."""
        records = self.metrics[metric]
        place = records.names.index(name)
        gains, errors = even(records.gains[:, place], records.errors[:, place])
        held = np.isfinite(gains)
        mean, deviation = posterior(
            records.priors[place],
            gains[held],
            errors[held],
            self.within[np.ix_(held, held)],
            self.alike(point)[None, held],
        )
        return float(mean[0]), self.widen * float(deviation[0])

    def forecast_of_any(self, metric: str) -> tuple[float, float]:
        """Return the same of a loss that no table was tried with: what losses gain in general."""
        priors = np.array(self.metrics[metric].priors)
        mean, offset = priors[0, :2]  # shared by all
        told, own = np.median(priors[:, 2:], axis=0)
        return float(mean), self.widen * float(np.sqrt(offset**2 + told**2 + own**2))

    def _standard(self, points: Array) -> Array:
        spread = np.maximum(self.points.std(axis=0), 1e-9)
        return (points - self.points.mean(axis=0)) / spread


class Source(NamedTuple):
    """Where gains under a metric are recorded: the square of a ratio of errors has power 2."""

    knowledge: Knowledge
    metric: str
    power: float

    @property
    def names(self) -> frozenset[str]:
        """The losses that are known."""
        return frozenset(self.knowledge.metrics[self.metric].names)

    def forecast(self, name: str, point: Array) -> tuple[float, float]:
        """Return the mean and deviation of any loss's gain on a table, on the scale of `even`."""
        if name in self.names:
            return self.knowledge.forecast(self.metric, name, point)
        return self.knowledge.forecast_of_any(self.metric)


@cache
def shipped() -> Mapping[str, Knowledge]:
    """Return what is known of each kind of task, read once."""
    return load()


def source(task: str, metric: str) -> Source | None:
    """Return where gains of a task under a metric are recorded, None where they are not."""
    known, recorded = shipped().get(KINDS.get(task, "")), TWINS.get(metric, metric)
    if known is None or recorded not in known.metrics:
        return None
    return Source(known, recorded, 1.0 if recorded == metric else 2.0)


def same(names: Sequence[str]) -> Array:
    """Return which of n names are equal, as numbers (n, n)."""
    return (np.array(names)[:, None] == np.array(names)).astype(float)


def even(gains: Array, errors: Array) -> tuple[Array, Array]:
    """Return gains and errors on a scale on which small and large gains both count.

    >>> even(np.array([0.0, 0.03]), np.array([0.03, 0.03]))[0].round(2).tolist()
    [0.0, 0.88]
    """
    clipped = np.clip(gains, -MOST, MOST)
    return np.arcsinh(clipped / SMALL), errors / np.sqrt(clipped**2 + SMALL**2)


def change(value: float) -> float:
    """Return the relative change of the error that a value on the scale of `even` stands for."""
    return float(np.expm1(np.clip(SMALL * np.sinh(value), -MOST, MOST)))


def save(path: Path, kinds: Mapping[str, Knowledge]) -> None:
    """Write what is known of each kind of task."""
    arrays: dict[str, Array] = {}
    about: dict[str, Any] = {"format": FORMAT, "kinds": {}}
    for kind, known in kinds.items():
        arrays[f"{kind} points"] = known.points.astype(np.float32)
        metrics = {}
        for metric, records in known.metrics.items():
            for what in ("gains", "errors"):
                values = np.rint(getattr(records, what) / UNIT)
                limited = np.clip(values, -32767, 32767)
                arrays[f"{kind} {metric} {what}"] = np.nan_to_num(limited, nan=NONE).astype("<i2")
            pairs = zip(records.names, records.priors, strict=True)
            losses = [{"name": n, "prior": [*map(_short, prior)]} for n, prior in pairs]
            metrics[metric] = {"default": records.default, "losses": losses}
        about["kinds"][kind] = {
            "features": list(known.features),
            "lengths": [*map(_short, known.lengths)],
            "widen": _short(known.widen),
            "tables": [asdict(one) for one in known.tables],
            "metrics": metrics,
        }
    np.savez_compressed(path, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]


def load(path: Path = FILE) -> dict[str, Knowledge]:
    """Return what is known of each kind of task.

    Raises:
        InputError: if the file is missing or is not one that `save` wrote.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            check_shape(about, {"format": int, "kinds": dict}, path.name)
            if about["format"] != FORMAT:
                raise ValueError(f"it is of format {about['format']}, not {FORMAT}")
            return {kind: _read(file, kind, own) for kind, own in about["kinds"].items()}
    except (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path.name} does not hold what suggest knows: {error}") from error


def _read(file: Mapping[str, Array], kind: str, about: Any) -> Knowledge:
    check_shape(about, KIND, kind)
    points, rows = file[f"{kind} points"].astype(float), len(about["tables"])
    _check_size(points, (rows, len(about["features"])), f"{kind} points")
    if len(about["lengths"]) != len(about["features"]):
        raise ValueError(f"{kind} has {len(about['lengths'])} lengths")
    return Knowledge(
        tables=tuple(Recorded(**{key: one[key] for key in TABLE}) for one in about["tables"]),
        features=tuple(about["features"]),
        points=points,
        lengths=np.array(about["lengths"], float),
        metrics={
            metric: _records(file, f"{kind} {metric}", rows, own)
            for metric, own in about["metrics"].items()
        },
        widen=float(about["widen"]),
    )


def _records(file: Mapping[str, Array], name: str, rows: int, about: Any) -> Records:
    check_shape(about, METRIC, name)
    losses, tables = about["losses"], []
    for what in ("gains", "errors"):
        values = file[f"{name} {what}"]
        _check_size(values, (rows, len(losses)), f"{name} {what}")
        tables.append(np.where(values == NONE, np.nan, values * UNIT))
    return Records(
        names=tuple(one["name"] for one in losses),
        gains=tables[0],
        errors=tables[1],
        priors=tuple(Prior(*one["prior"]) for one in losses),
        default=about["default"],
    )


def _check_size(values: Array, size: Sequence[int], where: str) -> None:
    if values.shape != tuple(size) or values.dtype.kind not in "fi":
        raise ValueError(f"{where} must be numbers of shape {tuple(size)}, got {values.shape}")


def _short(value: float) -> float:
    return float(f"{value:.4g}")
