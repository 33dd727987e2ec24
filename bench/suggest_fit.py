"""Learn from the records what `lossmith suggest` knows, and hold its model beside two rivals."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from sklearn.ensemble import HistGradientBoostingRegressor
from torch import Tensor

from lossmith.study.suggest.gaussian import Prior, likeness, posterior
from lossmith.study.suggest.knowledge import MOST, Knowledge, Recorded, Records, even
from lossmith.study.suggest.suggest import INTERVAL

STEPS, RATE = 80, 0.1  # of the fit of the prior
KINDS = {"regression": ("regression",), "classes": ("binary", "multiclass")}
TABLES = sum(KINDS.values(), ())  # tasks of which tables are known; the atlas tells of the others
HELD = 100.0  # weight of the prior of the lengths: losses and metrics are much alike
SOLVED = 0.02  # of the best constant's error
LEAST = 12  # lines on which a loss was measured under a metric, else nothing is known of it
LEAST_CELLS = 2  # the same of the atlas
PARTS = 5  # of the tables, each predicted by what is learned without it
Pair = tuple[np.ndarray, np.ndarray]  # gains and errors, or means and deviations, (n, c)


@dataclass
class Lines:
    """The records of one kind of task: features (n, d) and what was measured under each metric."""

    lines: list[dict]
    names: list[str]
    points: np.ndarray
    metrics: dict[str, Records]

    @classmethod
    def of(cls, lines: Sequence[dict], tasks: Sequence[str], least: int = LEAST) -> "Lines":
        """Return those of the lines that are of a task.

        least: lines on which a loss was measured under a metric, else nothing is known of it.
        """
        own = [one for one in lines if one.get("task") in tasks]
        names = list(own[0]["features"]) if own else []
        points = np.array([[one["features"][name] for name in names] for one in own], float)
        metrics = {name: _records(own, name, least) for name in _metrics(own)}
        known = {name: records for name, records in metrics.items() if records.names}
        return cls(own, names, points, known)

    @property
    def tables(self) -> np.ndarray:
        """A code a line, equal for those of one table."""
        keys = [one["package"] + "/" + one["table"] for one in self.lines]
        return np.unique(keys, return_inverse=True)[1]

    @property
    def standard(self) -> np.ndarray:
        """The points, each feature of mean 0 and deviation 1."""
        spread = np.maximum(self.points.std(axis=0), 1e-9)
        return (self.points - self.points.mean(axis=0)) / spread

    @property
    def even(self) -> dict[str, Pair]:
        """What was measured, on the scale on which it is modelled."""
        return {name: even(one.gains, one.errors) for name, one in self.metrics.items()}


def read(path: Path) -> list[dict]:
    """Return the lines that hold measurements, without metrics under which a table is solved."""
    lines = map(json.loads, path.read_text().splitlines())
    return [
        line | {"metrics": {n: one for n, one in line["metrics"].items() if not solved(one)}}
        for line in lines
        if "metrics" in line
    ]


def solved(measured: dict) -> bool:
    """Tell whether the default leaves nothing to gain: ratios of such errors mean nothing."""
    return bool(measured["error"] < SOLVED * measured["constant"])


def learn(records: Path, figures: Path) -> dict[str, Knowledge]:
    """Return what is learned of the tables that are not held out; write how the rivals did."""
    lines = [line for line in read(records) if not line["held_out"]]
    found, compared = {}, {}
    for kind, tasks in KINDS.items():
        own = Lines.of(lines, tasks)
        lengths, priors = fit(own.standard, own.even)
        models = {
            "mean": left_out(own, told=False),
            "process": left_out(own),
            "boosting": boosted(own),
        }
        widths = {name: widening(own.even, one) for name, one in models.items()}
        widen = widths["process"]
        found[kind] = knowledge(own, lengths, priors, widen)
        compared[kind] = {
            "lines": len(own.lines),
            "tables": int(own.tables.max()) + 1,
            "widen": widen,
            "lengths": dict(zip(own.names, map(float, lengths), strict=True)),
            "rivals": {
                name: judged(own, widened(one, widths[name])) for name, one in models.items()
            },
        }
    figures.write_text(json.dumps(compared, indent=1) + "\n")
    return found


def knowledge(
    own: Lines, lengths: np.ndarray, priors: Mapping[str, list[Prior]], widen: float
) -> Knowledge:
    """Return what is shipped."""
    keys = ("package", "table", "target", "condition")
    return Knowledge(
        tables=tuple(Recorded(**{key: one[key] for key in keys}) for one in own.lines),
        features=tuple(own.names),
        points=own.points,
        lengths=lengths,
        metrics={
            name: Records(
                names=one.names,
                gains=one.gains,
                errors=one.errors,
                priors=tuple(priors[name]),
                default=one.default,
            )
            for name, one in own.metrics.items()
        },
        widen=widen,
    )


def _metrics(lines: Sequence[dict]) -> Iterator[str]:
    yield from dict.fromkeys(name for one in lines for name in one["metrics"])


def _records(lines: Sequence[dict], metric: str, least: int) -> Records:
    found = [one["metrics"].get(metric, {"gains": {}})["gains"] for one in lines]
    everyone = sorted({name for gains in found for name in gains})
    names = [name for name in everyone if sum(name in gains for gains in found) >= least]
    nothing = (np.nan, np.nan)
    pairs = [[gains.get(name, nothing)[:2] for name in names] for gains in found]
    table = np.array(pairs, float).reshape(len(lines), len(names), 2)
    (default,) = {
        one["metrics"][metric].get("default", "") for one in lines if metric in one["metrics"]
    }
    return Records(
        names=tuple(names), gains=table[..., 0], errors=table[..., 1], priors=(), default=default
    )


class Part(NamedTuple):
    """The gains of one metric's losses, (c, n), and the logarithms of what their prior is made of.

    noise: variances of the measurements, vast where there is none. held: where there is one.
    """

    gains: Tensor
    noise: Tensor
    held: Tensor
    mean: Tensor
    offset: Tensor
    told: Tensor
    own: Tensor

    @classmethod
    def of(cls, gains: np.ndarray, errors: np.ndarray) -> "Part":
        """Return the part of what was measured, (n, c), its prior at a rough guess."""
        y, s = torch.from_numpy(gains.T.copy()), torch.from_numpy(errors.T.copy())
        held = torch.isfinite(y) & torch.isfinite(s)
        spread = float(np.log(max(float(y[held].std()), 1e-3) / 2))
        return cls(
            torch.where(held, y, 0.0),
            torch.where(held, s**2, 1e6),
            held,
            _parameter([float(y[held].mean())]),
            _parameter([spread]),
            _parameter([spread] * len(y)),
            _parameter([spread] * len(y)),
        )

    def surprise(self, k: Tensor, told: bool) -> Tensor:
        """Return the negative log of the marginal likelihood, and of how alike losses are."""
        eye = torch.eye(len(k), dtype=k.dtype)
        shared = (2 * self.told).exp()[:, None, None] * k if told else 0.0
        noise = self.noise + (2 * self.own).exp()[:, None]
        both = self.held[:, :, None] & self.held[:, None, :]
        covariance = (2 * self.offset).exp() + shared + noise[:, :, None] * eye
        factor = torch.linalg.cholesky(torch.where(both | (eye > 0), covariance, 0.0))
        off = torch.where(self.held, self.gains - self.mean, 0.0)[..., None]
        z = torch.linalg.solve_triangular(factor, off, upper=False)
        logs = torch.log(torch.diagonal(factor, dim1=1, dim2=2))
        apart = sum(((one - one.mean()) ** 2).sum() for one in (self.told, self.own))
        return 0.5 * (z**2).sum() + torch.where(self.held, logs, 0.0).sum() + apart

    def priors(self, told: bool) -> list[Prior]:
        """Return each loss's prior."""
        mean, offset = self.mean.item(), self.offset.exp().item()
        pairs = zip(self.told.exp().tolist(), self.own.exp().tolist(), strict=True)
        return [Prior(mean, offset, a if told else 0.0, own) for a, own in pairs]


def fit(
    points: np.ndarray, metrics: Mapping[str, Pair], told: bool = True
) -> tuple[np.ndarray, dict[str, list[Prior]]]:
    """Return the lengths of the features and each loss's prior, by the marginal likelihood.

    The figures of one metric's losses are drawn to each other, and lengths to one at which all
    features together tell a little.

    points: standardised, (n, d). metrics: what was measured, on its scale. told: whether features
    tell anything.
    """
    x = torch.from_numpy(points)
    middle = 0.5 * float(np.log(2.0 * max(x.shape[1], 1)))
    lengths = _parameter([middle] * x.shape[1])
    known = {name: Part.of(*pair) for name, pair in metrics.items()}
    figures = [figure for part in known.values() for figure in part[3:]]
    optimizer = torch.optim.Adam([lengths, *figures], lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        scaled = x / lengths.exp()
        k = torch.exp(-0.5 * torch.cdist(scaled, scaled).pow(2))
        total = 0.5 * HELD * ((lengths - middle) ** 2).sum()
        for part in known.values():
            total = total + part.surprise(k, told)
        total.backward()
        optimizer.step()
    priors = {name: part.priors(told) for name, part in known.items()}
    return lengths.detach().exp().numpy(), priors


def _parameter(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def left_out(own: Lines, told: bool = True) -> dict[str, Pair]:
    """Return each loss's mean and deviation on every table, learned without the table's part."""
    part = parts(own)
    found = {name: _empty(gains) for name, (gains, _) in own.even.items()}
    for out in range(part.max() + 1):
        rest, left = part != out, part == out
        kept = {name: (y[rest], s[rest]) for name, (y, s) in own.even.items()}
        lengths, priors = fit(own.standard[rest], kept, told)
        k = likeness(own.standard, own.standard[rest], lengths)
        for name, (gains, errors) in kept.items():
            for loss in range(gains.shape[1]):
                held = np.isfinite(gains[:, loss])
                within, across = k[rest][:, held][held], k[left][:, held]
                measured = gains[held, loss], errors[held, loss]
                pair = posterior(priors[name][loss], *measured, within, across)
                for values, own_values in zip(found[name], pair, strict=True):
                    values[left, loss] = own_values
    return found


def parts(own: Lines) -> np.ndarray:
    """Return the part of each line, tables whole."""
    order = np.random.default_rng(0).permutation(own.tables.max() + 1)
    return order[own.tables] % min(PARTS, len(order))


def boosted(own: Lines) -> dict[str, Pair]:
    """Return the same by gradient boosting over features and losses."""
    part, found = parts(own), {}
    for name, (gains, _) in own.even.items():
        rows, losses = gains.shape
        loss = np.tile(np.arange(losses), rows)[:, None]
        inputs = np.hstack([np.repeat(own.standard, losses, axis=0), loss])
        target, places = gains.ravel(), np.repeat(part, losses)
        kind, mean = [inputs.shape[1] - 1], np.full(gains.size, np.nan)
        for out in range(part.max() + 1):
            rest, left = np.isfinite(target) & (places != out), places == out
            model = HistGradientBoostingRegressor(
                max_iter=150, learning_rate=0.05, max_leaf_nodes=15, categorical_features=kind
            )
            mean[left] = model.fit(inputs[rest], target[rest]).predict(inputs[left])
        mean = mean.reshape(rows, losses)
        found[name] = mean, np.broadcast_to(np.nanstd(gains - mean, axis=0), mean.shape)
    return found


def _empty(gains: np.ndarray) -> Pair:
    return np.full(gains.shape, np.nan), np.full(gains.shape, np.nan)


def widening(measured: Mapping[str, Pair], found: Mapping[str, Pair]) -> float:
    """Return by how much deviations must grow for 80 % intervals to hold 80 % of what is measured.

    That is of all losses, and of those named first, which being first flatters: the larger of both.

    Source: Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005.
    """
    off = {name: np.abs(measured[name][0] - mean) for name, (mean, _) in found.items()}
    everyone = {name: np.isfinite(one) for name, one in off.items()}
    first = {name: firsts(found[name][0], held) for name, held in everyone.items()}

    def factor(kept: Mapping[str, np.ndarray]) -> float:
        parts = [
            (off[name][marks], found[name][1][marks], measured[name][1][marks])
            for name, marks in kept.items()
        ]
        return _widening(*map(np.concatenate, zip(*parts, strict=True)))

    return max(factor(everyone), factor(first))


def firsts(mean: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Return which loss of each line is the most promising, as marks (n, c)."""
    best = np.where(held, mean, np.inf).argmin(axis=1)
    return held & (np.arange(mean.shape[1]) == best[:, None])


def _widening(off: np.ndarray, own: np.ndarray, noise: np.ndarray) -> float:
    low, high = 0.1, 10.0
    for _ in range(50):
        middle = (low * high) ** 0.5
        covered = (off <= INTERVAL * np.hypot(middle * own, noise)).mean()
        low, high = (middle, high) if covered < 0.8 else (low, middle)
    return float(high)


def widened(found: Mapping[str, Pair], widen: float) -> dict[str, Pair]:
    """Return forecasts with deviations so many times as wide."""
    return {name: (mean, widen * deviation) for name, (mean, deviation) in found.items()}


def crps(z: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return the continuous ranked probability score of a normal forecast; lower is better.

    Source: Gneiting & Raftery, Strictly Proper Scoring Rules, Prediction, and Estimation, 2007.
    """
    below = 2 * stats.norm.cdf(z) - 1
    return deviation * (z * below + 2 * stats.norm.pdf(z) - np.pi**-0.5)


def judged(own: Lines, found: Mapping[str, Pair]) -> dict[str, float]:
    """Return how predictions stand beside what was measured."""
    score: dict[str, list[float]] = {name: [] for name in ("score", "covered", "rank", "first")}
    for name, (mean, deviation) in found.items():
        gains, errors = own.even[name]
        held = np.isfinite(gains)
        z = (gains - mean) / np.hypot(deviation, errors)
        score["score"] += crps(z, np.hypot(deviation, errors))[held].tolist()
        score["covered"] += (np.abs(z) <= INTERVAL)[held].tolist()
        for line, known in enumerate(held):
            if known.sum() < 5:
                continue
            score["rank"].append(stats.spearmanr(mean[line, known], gains[line, known]).statistic)
            first = np.where(known, mean[line], np.inf).argmin()
            real = np.clip(own.metrics[name].gains[line, first], -MOST, MOST)
            score["first"].append(float(real) if mean[line, first] < 0 else 0.0)
    return {name: float(np.nanmean(values)) for name, values in score.items()}
