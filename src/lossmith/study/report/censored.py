"""The chosen loss on the untouched test rows of times: survival of risk groups, calibration."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lossmith.study.base.formatting import number, percent
from lossmith.study.base.result import ReportData
from lossmith.study.metrics.censored import Steps
from lossmith.study.report.fit import Model
from lossmith.study.report.svg import COLOURS, grid_with_ticks, inline
from lossmith.study.report.text import table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray
GROUPS = ("low", "middle", "high")  # risk, a third of the rows each
HUES = ("chosen", "other", "default")  # of these groups
BINS = 5  # of predicted survival
FEWEST = 5  # events and rows at risk in a bin
SIZE = (3.7, 3.0)


class Bin(NamedTuple):
    """Rows alike in predicted survival to a horizon: its mean, and what Kaplan and Meier see."""

    predicted: float
    observed: float
    rows: int


def survival(evidence: ReportData, shown: list[Model]) -> str:
    """Return the survival of all rows and of risk groups, and the calibration at a horizon."""
    time, event = evidence.test_target.T
    ends = np.asarray(evidence.horizons)
    middle = len(ends) // 2
    last = shown[-1]

    def everyone(figure: "Figure") -> None:
        axes = figure.subplots()
        _steps(axes, time, event, "ink", "test rows, Kaplan–Meier")
        for model in shown:
            curve = model.prediction[:, 1:].mean(axis=0)
            axes.plot(*_from_1(ends, curve), color=COLOURS[model.role], ls=model.dashes)
        _frame(axes, time)

    def by_risk(figure: "Figure") -> None:
        axes = figure.subplots()
        risk = last.prediction[:, 0]
        draw_thirds(axes, time, event, risk)
        for hue, rows in zip(HUES, _thirds(risk), strict=True):
            curve = last.prediction[rows, 1:].mean(axis=0)
            axes.plot(*_from_1(ends, curve), color=COLOURS[hue], ls="--", linewidth=1.1)

    def calibrated(figure: "Figure") -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=COLOURS["muted"], linewidth=0.9)
        for model in shown:
            bins = calibration(time, event, model.prediction[:, 1 + middle], ends[middle])
            x, y = [one.predicted for one in bins], [one.observed for one in bins]
            axes.plot(x, y, "o", ls=model.dashes, color=COLOURS[model.role], markersize=4)
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.set(xlabel=f"predicted to survive {ends[middle]:g}", ylabel="survived")
        grid_with_ticks(axes)

    roles = " and ".join(model.role for model in shown)
    figures = (
        ("everyone", f"Survival of the test rows and as predicted by {roles}", everyone,
         "Survival of all test rows by Kaplan and Meier, in steps, and the mean of what is "
         "predicted for them."),
        ("groups", f"Survival of thirds of the test rows by risk, {last.role}", by_risk,
         f"Thirds of the test rows by the risk that {last.role} gives them: what Kaplan and "
         "Meier see, in steps, and the mean predicted, dashed."),
        ("survived", f"Calibration at {ends[middle]:g}, {roles}", calibrated,
         f"Survival to {ends[middle]:g}, the middle horizon, of fifths of the test rows by what "
         "is predicted, against Kaplan and Meier; on the line both agree."),
    )  # fmt: skip
    cells = [
        f"<figure>{inline(key, label, SIZE, draw)}<figcaption>{caption}</figcaption></figure>"
        for key, label, draw, caption in figures
    ]
    return f'<div class="pair">{"".join(cells)}</div>' + _group_table(evidence, shown)


def draw_thirds(axes: "Axes", time: Array, event: Array, risk: Array) -> None:
    """Draw what Kaplan and Meier see of thirds of the rows by risk."""
    for name, hue, rows in zip(GROUPS, HUES, _thirds(risk), strict=True):
        _steps(axes, time[rows], event[rows], hue, f"{name} risk")
    axes.legend(loc="best")
    _frame(axes, time)


def calibration(time: Array, event: Array, predicted: Array, horizon: float) -> list[Bin]:
    """Return fifths of the rows by predicted survival to a horizon, where they are enough."""
    found = []
    for rows in np.array_split(np.argsort(predicted, kind="stable"), BINS):
        if len(rows) >= FEWEST and time[rows].max() >= horizon:
            seen = Steps.surviving(time[rows], event[rows]).at(horizon)
            found.append(Bin(float(predicted[rows].mean()), float(seen), len(rows)))
    return found


def _thirds(risk: Array) -> list[Array]:
    return np.array_split(np.argsort(risk, kind="stable"), len(GROUPS))


def _group_table(evidence: ReportData, shown: list[Model]) -> str:
    """Return what becomes of the thirds of rows by each model's risk."""
    time, event = evidence.test_target.T
    ends = np.asarray(evidence.horizons)
    middle = len(ends) // 2
    rows = []
    for place, name in enumerate(GROUPS):
        row = [f"{name} risk"]
        for model in shown:
            own = _thirds(model.prediction[:, 0])[place]
            seen = float(Steps.surviving(time[own], event[own]).at(ends[middle]))
            said = float(model.prediction[own, 1 + middle].mean())
            row += [number(seen, 3), number(said, 3), percent(event[own].mean())]
        rows.append(row)
    head = ["third of the test rows"]
    for model in shown:
        head += [f"{model.role}: survived", "predicted", "had the event"]
    caption = f"Survival to {ends[middle]:g} by Kaplan and Meier, and as predicted"
    return table(head, rows, caption=caption)


def _steps(axes: "Axes", time: Array, event: Array, hue: str, label: str) -> None:
    curve = Steps.surviving(time, event)
    x, y = np.append(0.0, curve.times), np.append(1.0, curve.values)
    axes.step(x, y, where="post", color=COLOURS[hue], linewidth=1.5, label=label)


def _from_1(ends: Array, curve: Array) -> tuple[Array, Array]:
    return np.append(0.0, ends), np.append(1.0, curve)


def _frame(axes: "Axes", time: Array) -> None:
    axes.set(xlim=(0, float(time.max())), ylim=(0, 1.02), xlabel="time", ylabel="without the event")
    grid_with_ticks(axes)
