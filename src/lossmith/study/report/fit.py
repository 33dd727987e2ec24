"""The chosen loss against the default on rows that judge them: residuals or calibration."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from lossmith.study.base.formatting import MISSING, decimals, number
from lossmith.study.base.result import ReportData, Result
from lossmith.study.report.confusion import confusion
from lossmith.study.report.svg import COLOURS, grid_with_ticks, inline
from lossmith.study.report.text import table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 500
_SIZE = (3.7, 3.0)
_CLASSES_LISTED = 30
_FEWEST_ROWS = 5  # in a bin of the reliability diagram


@dataclass(frozen=True)
class Model:
    """One model's predictions of the rows, and the colour and dash it is drawn in."""

    role: str
    prediction: np.ndarray
    dashes: str


def models(result: Result, evidence: ReportData) -> list[Model]:
    """Return the models to be shown: default and chosen, or one where they are the same."""
    if result.selected == result.default:
        shown = [Model("default", evidence.test_default, "-")]
    else:
        shown = [
            Model("default", evidence.test_default, "--"),
            Model("chosen", evidence.test_selected, "-"),
        ]
    rows = len(evidence.test_target)
    return [model for model in shown if rows and len(model.prediction) == rows]


def legend(shown: list[Model], names: dict[str, str]) -> str:
    """Return the key to the colours of these figures; names are those of the losses by role."""
    return " ".join(
        f'<span class="key"><i class="{model.role}{" dashed" * (model.dashes == "--")}"></i>'
        f"{model.role}: <b>{escape(names[model.role])}</b></span>"
        for model in shown
    )


# ---- numbers


def residuals(evidence: ReportData, shown: list[Model], rows_are: str = "test rows") -> str:
    """Return the figures of a regression and the table of its absolute errors."""
    rows = _counted(evidence)
    target = evidence.test_target[rows].astype(float)
    shown = [replace(model, prediction=model.prediction[rows]) for model in shown]
    differences = [model.prediction.astype(float) - target for model in shown]
    low, high = _central(np.concatenate(differences), 0.01)

    def spread(figure: "Figure") -> None:
        axes = figure.subplots()
        for model, difference in zip(shown, differences, strict=True):
            counts, edges = np.histogram(difference, bins=50, range=(low, high))
            colour = COLOURS[model.role]
            if model is shown[-1]:
                axes.stairs(counts, edges, fill=True, color=colour, alpha=0.22)
            axes.stairs(counts, edges, color=colour, ls=model.dashes, linewidth=1.3)
        axes.axvline(0, color=COLOURS["muted"], linewidth=0.9)
        axes.set(xlim=(low, high), xlabel="prediction − actual", ylabel=rows_are)
        grid_with_ticks(axes)

    def scatter(figure: "Figure") -> None:
        axes = figure.subplots()
        kept = np.random.default_rng(0).permutation(len(target))[:_POINTS]
        bounds = _central(target, 0.005)
        axes.plot(bounds, bounds, color=COLOURS["muted"], linewidth=0.9)
        for model in shown:
            axes.plot(
                target[kept], model.prediction[kept], "o" if model is shown[-1] else "^",
                color=COLOURS[model.role], markersize=2.6, alpha=0.5, markeredgewidth=0,
            )  # fmt: skip
        axes.set(xlim=bounds, ylim=bounds, xlabel="actual", ylabel="predicted")
        grid_with_ticks(axes)

    roles = " and ".join(model.role for model in shown)
    first = inline(
        "residuals", f"Histogram of the residuals of {roles} on {rows_are}", _SIZE, spread
    )
    second = inline("predicted", f"Predicted against actual on {rows_are}, {roles}", _SIZE, scatter)
    return (
        f'<div class="pair"><figure>{first}<figcaption>Residuals of the {rows_are}, the central '
        f"98&nbsp;%.</figcaption></figure><figure>{second}<figcaption>Predicted against actual"
        f"{_sampled(len(target), rows_are)}; on the line a prediction is exact.</figcaption>"
        "</figure></div>" + _left_out(rows) + _error_table(shown, differences, rows_are)
    )


def _counted(evidence: ReportData) -> np.ndarray:
    every = np.ones(len(evidence.test_target), bool)
    return every if evidence.test_counted is None else evidence.test_counted


def _left_out(rows: np.ndarray) -> str:
    missing = int((~rows).sum())
    if not missing:
        return ""
    return (
        f"<p>{missing:,} of {len(rows):,} test rows hold gross errors in the target; they are left "
        "out here as they are in the scores.</p>"
    )


def _error_table(shown: list[Model], differences: list[np.ndarray], rows_are: str) -> str:
    shares = (0.5, 0.9, 0.99)
    sizes = [np.quantile(np.abs(difference), shares) for difference in differences]
    places = decimals([0.02 * sizes[0][0]])
    rows = [
        [f"{share:.0%}".replace("%", "&nbsp;%") + f" of the {rows_are} are within"]
        + [f"± {number(float(size[index]), places)}" for size in sizes]
        for index, share in enumerate(shares)
    ]
    mean = ["mean of prediction − actual"]
    rows.append(mean + [number(float(d.mean()), places, sign=True) for d in differences])
    head = ["error", *(model.role for model in shown)]
    return table(head, rows, caption=f"Errors on the {rows_are}, in units of the target")


def _sampled(rows: int, rows_are: str) -> str:
    return f", {_POINTS} of {rows:,} {rows_are}" if rows > _POINTS else ""


def _central(values: np.ndarray, tail: float) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [tail, 1 - tail]) if len(values) else (0.0, 1.0)
    return (float(low), float(high)) if low < high else (float(low) - 1.0, float(high) + 1.0)


# ---- classes


@dataclass(frozen=True)
class Reliability:
    """Bins of predicted probability: mean, share that came true with 95 % interval, rows."""

    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rows: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error: the mean gap between the two, weighted by rows."""
        gaps = np.abs(self.predicted - self.observed)
        return float(np.average(gaps, weights=self.rows)) if len(gaps) else float("nan")


@dataclass(frozen=True)
class Decided:
    """One model's decisions: the class taken, a probability it states, and whether it came true."""

    model: Model
    taken: np.ndarray
    stated: np.ndarray
    hit: np.ndarray


def decided(model: Model, target: np.ndarray) -> Decided:
    """Return decisions from probabilities: of the positive class, or of many the likeliest.

    Args:
        model: with predictions (n,) of the positive class, or (n, C).
        target: (n,) class codes.
    """
    probability = model.prediction
    if probability.ndim == 2 and probability.shape[1] > 2:
        taken = probability.argmax(axis=1)
        return Decided(model, taken, probability.max(axis=1), taken == target)
    stated = probability[:, -1] if probability.ndim == 2 else probability
    taken = probability.argmax(axis=1) if probability.ndim == 2 else (stated > 0.5).astype(int)
    return Decided(model, taken, stated, target == 1)


def reliability(stated: np.ndarray, hit: np.ndarray, bins: int = 10) -> Reliability:
    """Return how often predictions came true.

    Args:
        stated: (n,) probabilities.
        hit: (n,) whether what they are of came true.
    """
    from scipy.stats import binomtest

    places = np.clip((stated * bins).astype(int), 0, bins - 1)
    groups = [np.flatnonzero(places == index) for index in range(bins)]
    groups = [rows for rows in groups if len(rows)]
    ends = [
        binomtest(int(hit[rows].sum()), len(rows)).proportion_ci(method="wilson") for rows in groups
    ]
    return Reliability(
        predicted=np.array([stated[rows].mean() for rows in groups]),
        observed=np.array([hit[rows].mean() for rows in groups]),
        low=np.array([end.low for end in ends]),
        high=np.array([end.high for end in ends]),
        rows=np.array([len(rows) for rows in groups]),
    )


def calibration(evidence: ReportData, shown: list[Model]) -> str:
    """Return the reliability diagram, the histogram of probabilities and the recall by class."""
    target = evidence.test_target.astype(int)
    many = shown[0].prediction.ndim == 2 and shown[0].prediction.shape[1] > 2
    names = evidence.classes or tuple(str(code) for code in range(int(target.max()) + 1))
    return certainty([decided(model, target) for model in shown], target, names, many=many)


def certainty(
    shown: list[Decided],
    target: np.ndarray,
    names: Sequence[str],
    *,
    many: bool,
    rows_are: str = "test rows",
) -> str:
    """Return how sure decisions are and how often they come true, and the recall by class."""
    curves = [reliability(one.stated, one.hit) for one in shown]
    what = "probability of the likeliest class" if many else "probability of the positive class"

    def diagram(figure: "Figure") -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=COLOURS["muted"], linewidth=0.9)
        for one, curve in zip(shown, curves, strict=True):
            _draw_reliability(axes, one.model, curve)
        axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel=f"predicted {what}", ylabel="came true")
        grid_with_ticks(axes)

    def masses(figure: "Figure") -> None:
        axes = figure.subplots()
        for one in shown:
            counts, edges = np.histogram(one.stated, bins=20, range=(0, 1))
            colour = COLOURS[one.model.role]
            if one is shown[-1]:
                axes.stairs(counts, edges, fill=True, color=colour, alpha=0.22)
            axes.stairs(counts, edges, color=colour, ls=one.model.dashes, linewidth=1.3)
        axes.set(xlim=(0, 1), xlabel=f"predicted {what}", ylabel=rows_are)
        grid_with_ticks(axes)

    roles = " and ".join(one.model.role for one in shown)
    gaps = "; ".join(
        f"{one.model.role} {number(curve.error, 3)}"
        for one, curve in zip(shown, curves, strict=True)
    )
    first = inline("reliability", f"Reliability diagram of {roles} on {rows_are}", _SIZE, diagram)
    second = inline("probabilities", f"Histogram of the {what}, {roles}", _SIZE, masses)
    return (
        f'<div class="pair"><figure>{first}<figcaption>Reliability: on the line, what is predicted '
        "with 70&nbsp;% comes true 70 times of 100. Expected calibration error: "
        f"{gaps}.</figcaption>"
        f"</figure><figure>{second}<figcaption>How sure the predictions are.</figcaption></figure>"
        "</div>" + recalls(shown, target, names, rows_are)
    )


def _draw_reliability(axes: "Axes", model: Model, curve: Reliability) -> None:
    kept = curve.rows >= _FEWEST_ROWS
    x, y, colour = curve.predicted[kept], curve.observed[kept], COLOURS[model.role]
    axes.vlines(x, curve.low[kept], curve.high[kept], color=colour, linewidth=1, alpha=0.6)
    axes.plot(x, y, "o", ls=model.dashes, color=colour, markersize=4, linewidth=1.3)


def recalls(shown: list[Decided], target: np.ndarray, names: Sequence[str], rows_are: str) -> str:
    """Return the recall by class, and which class is taken for which."""
    rows = []
    for code, name in enumerate(names[:_CLASSES_LISTED]):
        own = target == code
        recalls = [
            number(float((one.taken[own] == code).mean()), 3) if own.any() else MISSING
            for one in shown
        ]
        rows.append([escape(name), f"{own.sum():,}", *recalls])
    caption = f"Recall by class: the share of a class's {rows_are} for which it is the likeliest"
    if len(names) > _CLASSES_LISTED:
        caption += f" (the first {_CLASSES_LISTED} of {len(names)} classes)"
    head = ["class", rows_are, *(one.model.role for one in shown)]
    last = shown[-1]
    confused = confusion(names, target, last.taken.astype(int), last.model.role, rows_are)
    return table(head, rows, caption=caption) + confused
