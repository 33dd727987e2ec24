"""The trade-off between several targets: each combination's change of every error."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lossmith.study.base.formatting import clip
from lossmith.study.base.result import CandidateResult, ReportData, Result, WeightSweep
from lossmith.study.metrics import lookup
from lossmith.study.metrics.base import relative_to_best
from lossmith.study.report.svg import COLOURS, is_narrow, label_ticks, responsive
from lossmith.study.report.text import finished

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def changes(result: Result, candidate: CandidateResult) -> list[tuple[float, float, float]]:
    """Return by how many per cent each target's error falls, with its 95 % interval."""
    found = []
    for one in result.targets:
        part = candidate.by_target[one.name]
        error = relative_to_best(lookup(one.metric), one.default, result.rows["train"])
        scale = one.error(-100.0) / error
        ends = [scale * part[f"difference_{end}"] for end in ("low", "high")]
        found.append((scale * part["difference_to_default"], min(ends), max(ends)))
    return found


def tradeoff(result: Result, evidence: ReportData) -> str:
    """Return the figures of the first target's change against each other target's."""
    rows = [one for one in finished(result) if one.by_target]
    if len(rows) < 2:
        return "<p>Only the default was measured in full.</p>"
    figures = []
    for place in range(1, len(result.targets)):
        names = [result.targets[0].name, result.targets[place].name]
        points = _between(evidence.weights, place)
        label = (
            f"Change of the error of {names[0]} and of {names[1]} against the default, in per "
            f"cent, of {len(rows)} combinations; the table of candidates names them"
        )

        def draw(figure: "Figure", place: int = place, points: list[WeightSweep] = points) -> None:
            _draw(figure, result, points, rows, place)

        drawing = responsive(f"trade{place}", label, draw, wide=(7.6, 4.2), narrow=(3.6, 4.6))
        figures.append(f"<figure>{drawing}</figure>")
    return (
        "<p>By how many per cent each combination’s errors are lower than the default’s, with 95 % "
        "intervals: up and to the right is better for both. The line is the default’s own losses "
        "at other weights of the two that were tried, on the screening folds.</p>"
        + "".join(figures)
    )


def _between(weights: Sequence[WeightSweep], place: int) -> list[WeightSweep]:
    """Return the weights that raise no other target than a figure's two, in their order."""
    own = [one for one in weights if max(one.shares) in (one.shares[0], one.shares[place])]
    return sorted(own, key=lambda one: one.shares[0] / one.shares[place])


def _draw(
    figure: "Figure",
    result: Result,
    points: list[WeightSweep],
    rows: list[CandidateResult],
    place: int,
) -> None:
    axes = figure.subplots()
    narrow = is_narrow(figure)
    _frame(axes, result, points, rows, place)
    axes.axhline(0, color=COLOURS["grid"], linewidth=0.9)
    axes.axvline(0, color=COLOURS["grid"], linewidth=0.9)
    for point in points:
        shares = " : ".join(f"{100 * share:.0f}" for share in point.shares)
        place_at = (point.changes[0], point.changes[place])
        axes.plot(*place_at, ".", color=COLOURS["other"])
        _label(axes, shares, place_at, offset=-9, size=7, colour="muted")
    axes.plot(
        [p.changes[0] for p in points], [p.changes[place] for p in points],
        color=COLOURS["other"], linewidth=0.9, zorder=1,
    )  # fmt: skip
    for number_, row in enumerate(rows, 1):
        _draw_row(axes, result, row, place, number_)
    names = [result.targets[0].name, result.targets[place].name]
    axes.set_xlabel(f"{clip(names[0], 24)}: error lower by, %")
    axes.set_ylabel(f"{clip(names[1], 24)}: error lower by, %")
    label_ticks(axes.xaxis)
    label_ticks(axes.yaxis)
    handles, labels = axes.get_legend_handles_labels()
    length = 44 if narrow else 90
    figure.legend(
        handles, [clip(label, length) for label in labels], loc="outside lower left", ncols=1,
        fontsize=7.5,
    )  # fmt: skip


def _frame(
    axes: "Axes",
    result: Result,
    points: list[WeightSweep],
    rows: list[CandidateResult],
    place: int,
) -> None:
    """Set limits that hold every interval, and every other weight that is not far off."""
    found = [changes(result, row) for row in rows]
    for own, fit in ((0, axes.set_xlim), (place, axes.set_ylim)):
        ends = np.array([[one[own][1], one[own][2]] for one in found])
        others = np.array([point.changes[own] for point in points])
        reach = 3 * max(float(np.ptp(ends)), 1.0)
        near = others[np.abs(others) <= reach]
        low, high = (float(f([*ends.ravel(), *near, 0.0])) for f in (min, max))
        margin = 0.08 * (high - low) or 1.0
        fit(low - margin, high + margin)


def _draw_row(
    axes: "Axes", result: Result, row: CandidateResult, place: int, position: int
) -> None:
    found = changes(result, row)
    (x, left, right), (y, low, high) = found[0], found[place]
    role = "default" if row.name == result.default else "ink"
    role = "chosen" if row.name == result.selected != result.default else role
    marker = {"default": "s", "chosen": "D"}.get(role, "o")
    if row.name != result.default:
        axes.plot([left, right], [y, y], color=COLOURS[role], linewidth=1.0, alpha=0.6)
        axes.plot([x, x], [low, high], color=COLOURS[role], linewidth=1.0, alpha=0.6)
    suffix = {"default": " (default)", "chosen": " (chosen)"}.get(role, "")
    axes.plot(
        x, y, marker, color=COLOURS[role], markersize=6, linestyle="none",
        label=f"{position}  {row.name}{suffix}", zorder=3,
    )  # fmt: skip
    _label(axes, str(position), (x, y), offset=4, size=8, colour=role)


def _label(
    axes: "Axes", text: str, at: tuple[float, float], *, offset: int, size: float, colour: str
) -> None:
    """Write beside a point, on the side that faces the middle of the axes."""
    left = at[0] > np.mean(axes.get_xlim())
    axes.annotate(
        text, at, xytext=(-5 if left else 5, offset), textcoords="offset points", fontsize=size,
        color=COLOURS[colour], ha="right" if left else "left",
    )  # fmt: skip
