"""The figures that compare candidates: paired differences and learning curves."""

from typing import TYPE_CHECKING

import numpy as np

from lossmith.study.base.formatting import clip, decimals, interval, number, pluralize
from lossmith.study.base.result import CandidateResult, Curve, Result
from lossmith.study.metrics import metric_name, metric_unit
from lossmith.study.report.svg import COLOURS, is_narrow, label_ticks, responsive
from lossmith.study.report.text import finished

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ABOVE, _BELOW = 0.25, 0.3  # of a row on a phone: where text stands, and where its line ends
_TOO_WIDE = 10.0  # an interval this many times the typical one leaves the frame, with an arrow


def compared(result: Result) -> list[CandidateResult]:
    """Return the finished candidates that have a difference to the default, best first."""
    rows = [
        c
        for c in finished(result)
        if c.name != result.default
        and c.difference_to_default is not None
        and np.isfinite(c.difference_to_default)
    ]
    return sorted(rows, key=lambda c: result.error(c.difference_to_default or 0.0))


def forest(result: Result) -> str:
    """Return the forest plot: differences to the default with 95 % intervals, the best on top."""
    rows = compared(result)
    label = (
        f"Forest plot of the differences in {metric_name(result.metric)} between "
        f"{pluralize(len(rows), 'candidate')} and the default {result.default}; the table below "
        "holds the numbers"
    )
    count = len(rows) + 1
    return responsive(
        "forest",
        label,
        lambda figure: _draw_forest(figure, result, rows),
        wide=(7.6, 0.95 + 0.27 * count),
        narrow=(3.6, 1.05 + 0.42 * count),
    )


def _draw_forest(figure: "Figure", result: Result, rows: list[CandidateResult]) -> None:
    axes = figure.subplots()
    narrow = is_narrow(figure)
    low, high = _difference_limits(rows)
    _draw_zero(axes, len(rows) + 1, narrow)
    for place, row in enumerate(rows):
        _draw_interval(axes, place, row, low, high, chosen=row.name == result.selected)
    axes.plot(0, len(rows), "s", color=COLOURS["default"], markersize=5)
    axes.set(xlim=(low, high), ylim=(len(rows) + 0.6, -0.8 if narrow else -0.6))
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0, pad=8)
    axes.spines.left.set_visible(False)
    axes.locator_params(axis="x", nbins=4 if narrow else 5)
    label_ticks(axes.xaxis)
    _label_rows(axes, result, rows, narrow)
    _label_direction(axes, result, narrow)


def _draw_zero(axes: "Axes", rows: int, narrow: bool) -> None:
    """Draw the line of no difference; on a phone it leaves out what is written above each row."""
    colour = COLOURS["muted"]
    if not narrow:
        axes.axvline(0, color=colour, linewidth=0.9)
        return
    places = np.arange(rows)
    ends = places - _ABOVE + 0.05, places + _BELOW
    axes.vlines(np.zeros(rows), *ends, color=colour, linewidth=0.9)


def _difference_limits(rows: list[CandidateResult]) -> tuple[float, float]:
    """Return limits that hold zero and every interval that is not far wider than the rest."""
    ends = np.array([[_end(row, "low"), _end(row, "high")] for row in rows] or [[-1.0, 1.0]])
    reach = np.abs(ends).max(axis=1)
    kept = ends[reach <= _TOO_WIDE * np.median(reach)]
    low, high = min(kept.min(), 0.0), max(kept.max(), 0.0)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def _end(row: CandidateResult, side: str) -> float:
    end = row.difference_low if side == "low" else row.difference_high
    return float(row.difference_to_default or 0.0) if end is None or not np.isfinite(end) else end


def _draw_interval(
    axes: "Axes", place: int, row: CandidateResult, low: float, high: float, *, chosen: bool
) -> None:
    colour = COLOURS["chosen" if chosen else "ink"]
    left, right = max(_end(row, "low"), low), min(_end(row, "high"), high)
    if left < right:
        axes.plot([left, right], [place, place], color=colour, linewidth=2.2 if chosen else 1.2)
    for outside, marker, edge in (
        (_end(row, "low") < low, "<", low),
        (_end(row, "high") > high, ">", high),
    ):
        if outside:
            axes.plot(edge, place, marker, color=colour, markersize=5, clip_on=False)
    middle = row.difference_to_default or 0.0
    if low <= middle <= high:
        axes.plot(
            middle, place, "D" if chosen else "o", color=colour,
            markersize=6 if chosen else 4.5,
        )  # fmt: skip


def _label_rows(axes: "Axes", result: Result, rows: list[CandidateResult], narrow: bool) -> None:
    """Write the names on the left and the numbers on the right; on a phone both above the line."""
    places = difference_places(result)
    names = [clip(row.name, 24 if narrow else 38) for row in rows]
    names.append(f"{clip(result.default, 22)} (default)")
    texts = [
        f"{number(row.difference_to_default, places, sign=True)} "
        + interval(row.difference_low, row.difference_high, places, sign=True)
        for row in rows
    ] + ["0"]
    marked = [row.name == result.selected for row in rows] + [result.selected == result.default]
    if narrow:
        axes.set_yticks([])
        for place, (name, text, bold) in enumerate(zip(names, texts, marked, strict=True)):
            for x, side, content in ((0, "left", name), (1, "right", text)):
                axes.text(
                    x, place - _ABOVE, content, ha=side, va="bottom", fontsize=8,
                    transform=axes.get_yaxis_transform(), fontweight="bold" if bold else "normal",
                    bbox={"facecolor": COLOURS["paper"], "edgecolor": "none", "pad": 0.5},
                )  # fmt: skip
        return
    axes.set_yticks(range(len(names)), names)
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(texts)), texts)
    right.tick_params(length=0, pad=8)
    right.spines.right.set_visible(False)
    for labels in (axes.get_yticklabels(), right.get_yticklabels()):
        for written, bold in zip(labels, marked, strict=True):
            written.set_fontweight("bold" if bold else "normal")


def _label_direction(axes: "Axes", result: Result, narrow: bool) -> None:
    unit = metric_unit(result.metric)
    name = metric_name(result.metric)
    axes.set_xlabel(f"difference in {name}" + (f", in {unit}" if unit and not narrow else ""))
    sides = ("← better", "worse →") if result.error(1.0) > 0 else ("← worse", "better →")
    for x, side, text in ((0, "left", sides[0]), (1, "right", sides[1])):
        axes.text(
            x, 1.0, text, ha=side, va="bottom", color=COLOURS["muted"], transform=axes.transAxes
        )


def difference_places(result: Result) -> int:
    """Return the decimals in which this study's scores and differences are written."""
    rows = finished(result)
    scales = (
        [(c.difference_low, c.difference_high) for c in rows if c.name != result.default],
        [(c.low, c.high) for c in rows],
        [(0.0, 0.02 * abs(c.score)) for c in rows if c.score is not None],
    )
    for ends in scales:  # the first that are known
        widths = [(high - low) / 2 for low, high in ends if low is not None and high is not None]
        if any(np.isfinite(width) and width > 0 for width in widths):
            return decimals(widths)
    return decimals(())


def learning_curves(result: Result, curves: tuple[Curve, ...]) -> str:
    """Return the validation metric over the epochs, the best epoch of each curve marked."""
    label = (
        f"Learning curves of {pluralize(len(curves), 'candidate')}: {metric_name(result.metric)} "
        "on validation rows over the epochs, with the best epoch of each marked"
    )
    return responsive(
        "curves",
        label,
        lambda figure: _draw_curves(figure, result, curves),
        wide=(7.6, 3.5),
        narrow=(3.6, 3.0),
    )


def _draw_curves(figure: "Figure", result: Result, curves: tuple[Curve, ...]) -> None:
    axes = figure.subplots()
    room = 36 if is_narrow(figure) else 54
    named = {result.default: ("default", "default"), result.selected: ("chosen", "chosen")}
    if result.selected == result.default:
        named = {result.default: ("default", "default and chosen")}
    others = [curve for curve in curves if curve.name not in named]
    for curve in others:
        _draw_curve(axes, curve, "other", 0.9, "" if curve is not others[0] else "other candidates")
    for curve in sorted(curves, key=lambda c: c.name == result.selected):
        if curve.name in named:
            colour, role = named[curve.name]
            written = f"{clip(curve.name, room - len(f' ({role})'))} ({role})"
            _draw_curve(axes, curve, colour, 2.0, written)
    axes.set(xlabel="epoch", ylabel=metric_name(result.metric), ylim=_curve_limits(result, curves))
    axes.grid(axis="y")
    axes.locator_params(axis="x", integer=True)
    label_ticks(axes.xaxis)
    label_ticks(axes.yaxis)
    handles, names = axes.get_legend_handles_labels()
    long = max(map(len, names), default=0) > 40
    columns = 1 if is_narrow(figure) or long else 3
    figure.legend(handles[::-1], names[::-1], loc="outside upper left", ncols=columns)


def _draw_curve(axes: "Axes", curve: Curve, colour: str, width: float, label: str) -> None:
    scores = np.array(curve.scores, dtype=float)
    scores[~np.isfinite(scores)] = np.nan
    hue = COLOURS[colour]
    axes.plot(curve.epochs, scores, color=hue, linewidth=width, label=label or "_")
    if curve.best_epoch in curve.epochs:
        best = scores[curve.epochs.index(curve.best_epoch)]
        axes.plot(
            curve.best_epoch, best, "o", color=hue, markersize=3 + width,
            markeredgecolor=COLOURS["paper"], markeredgewidth=0.8, zorder=3,
        )  # fmt: skip


def _curve_limits(result: Result, curves: tuple[Curve, ...]) -> tuple[float, float]:
    """Return limits that the typical curve needs, so that a bad one does not squash the rest.

    The best of the default and of the chosen loss is within, unless it is absurdly far off.
    """
    everyone = {curve.name: np.array(list(map(result.error, curve.scores))) for curve in curves}
    everyone = {name: array[np.isfinite(array)] for name, array in everyone.items()}
    everyone = {name: array for name, array in everyone.items() if len(array)}
    if not everyone:
        return 0.0, 1.0
    best = float(min(array.min() for array in everyone.values()))
    reach = [float(array[len(array) // 10 :].max()) - best for array in everyone.values()]
    span = min(max(reach), 1.5 * float(np.median(reach)))
    span = span if span > 1e-9 * abs(best) else abs(best) or 1.0  # level, but for rounding
    for name in {result.default, result.selected} & everyone.keys():
        needed = 1.1 * float(everyone[name].min() - best)
        span = max(span, needed) if needed < _TOO_WIDE * span else span
    low, high = sorted(map(result.error, (best - 0.06 * span, best + 1.06 * span)))
    return low, high
