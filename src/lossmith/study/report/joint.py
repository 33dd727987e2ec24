"""What a study of several targets adds to the report: each target, their trade-off, the code."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from lossmith.study.report.svg import COLOURS, is_narrow, label_ticks, responsive
from lossmith.study.report.text import (
    breakable,
    clip,
    decimals,
    finished,
    interval,
    metric_name,
    number,
    table,
)
from lossmith.study.result import CandidateResult, Evidence, Result, TargetResult, Weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SNIPPET = """\
import torch
from torch import nn

import lossmith

loss = lossmith.load("loss.json")

x = torch.randn(512, 8)  # your features
y = {{{target}}}  # your targets

body = nn.Sequential(nn.Linear(8, 64), nn.ReLU())
widths = {{name: one.out_features for name, one in loss.losses.items()}}
heads = nn.ModuleDict({{name: nn.Linear(64, width) for name, width in widths.items()}})
model = nn.ModuleList([body, heads])
groups = lossmith.parameter_groups(model, loss)
optimizer = torch.optim.Adam(groups, lr={rate:.4g})


def outputs(x):
    return {{name: head(body(x)).squeeze(-1) for name, head in heads.items()}}


for epoch in range(20):
    for rows in torch.randperm(len(x)).split(64):
        optimizer.zero_grad()
        loss(outputs(x[rows]), {{name: values[rows] for name, values in y.items()}}).backward()
        optimizer.step()

with torch.no_grad():
    prediction = loss.decode(outputs(x))  # in each target's unit, or probabilities
"""


def meaning(result: Result) -> str:
    """Return what the verdict of several targets rests on and what it does not say."""
    metrics = ", ".join(
        f"<b>{escape(one.name)}</b> by {escape(metric_name(one.metric))}" for one in result.targets
    )
    tried = sum(1 for c in result.candidates if c.name != result.default)
    paragraphs = [
        f"One model predicts {metrics}. Every combination of losses was trained on the same folds, "
        "with the same initial weights and the same batches, at a learning rate of its own; fixed "
        "weights were tuned alike for all of them, among the same shares. The default is the loss "
        "that each metric asks for, at its best weights.",
        "Combinations are compared by the relative error: the geometric mean, over targets, of the "
        "metric (or 1 − metric where higher is better) in units of the best constant prediction’s, "
        "so that 1&nbsp;% less is 1&nbsp;% less in the mean over targets. "
        f"p-values are corrected for the {tried:,} combinations and for the losses that were "
        "screened for each target by itself, at every weighting.",
    ]
    others = [name for name in result.equivalents if name != result.selected]
    if others:
        names = ", ".join(f"<b>{escape(name)}</b>" for name in others)
        paragraphs.append(f"Not told apart from the chosen combination: {names}.")
    return "".join(f"<p>{text}</p>" for text in paragraphs)


def tiles(result: Result) -> str:
    """Return a key figure for each target: the score, and the default's where it differs."""
    cells = []
    for one in result.targets:
        places = _places(one)
        note = interval(one.difference_low, one.difference_high, places, sign=True)
        if result.verdict == "switch":
            note = f"default {number(one.default, places)}<br>difference {note}"
        else:
            note = f"{escape(one.better)} is better"
        cells.append(
            f"<div><dt>{escape(one.name)}: {escape(metric_name(one.metric))}</dt>"
            f"<dd>{number(one.selected, places)}<small>{note}</small></dd></div>"
        )
    return f'<dl class="tiles">{"".join(cells)}</dl>'


def targets(result: Result) -> str:
    """Return each finished combination's score on every target, and the scores of test rows."""
    head = ["combination"]
    for one in result.targets:
        head += [f"{escape(one.name)}: {escape(metric_name(one.metric))}", "difference"]
    rows = []
    for candidate in finished(result):
        cells = [breakable(candidate.name)]
        for one in result.targets:
            cells += _scores(one, candidate, candidate.name == result.default)
        rows.append(cells)
    caption = "Scores on the folds with their 95 % intervals; differences are to the default"
    return table(head, rows, caption=caption) + _test(result)


def _scores(one: TargetResult, candidate: CandidateResult, default: bool) -> list[str]:
    part, places = candidate.by_target.get(one.name), _places(one)
    if part is None:
        return [number(None, 0)] * 2
    limits = interval(part["low"], part["high"], places)
    score = f"{number(part['score'], places)}<small>{limits}</small>"
    if default:
        return [score, "0"]
    limits = interval(part["difference_low"], part["difference_high"], places, sign=True)
    return [
        score,
        f"{number(part['difference_to_default'], places, sign=True)}<small>{limits}</small>",
    ]


def _test(result: Result) -> str:
    switched = result.verdict == "switch"
    rows = [
        [
            f"{escape(one.name)}: {escape(metric_name(one.metric))}",
            number(one.test["default"], _places(one)),
            *([number(one.test["selected"], _places(one))] if switched else []),
            number(one.test["rows"], 0),
        ]
        for one in result.targets
    ]
    head = ["target", "default", *(["chosen"] if switched else []), "rows"]
    return table(head, rows, caption="Scores on the untouched test rows, looked at once")


def changes(result: Result, candidate: CandidateResult) -> list[tuple[float, float, float]]:
    """Return by how many per cent each target's error falls, with its 95 % interval."""
    found = []
    for one in result.targets:
        part = candidate.by_target[one.name]
        error = one.default if one.better == "lower" else 1 - one.default
        scale = -100 / error if one.better == "lower" else 100 / error
        ends = [scale * part[f"difference_{end}"] for end in ("low", "high")]
        found.append((scale * part["difference_to_default"], min(ends), max(ends)))
    return found


def tradeoff(result: Result, evidence: Evidence) -> str:
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

        def draw(figure: "Figure", place: int = place, points: list[Weights] = points) -> None:
            _draw(figure, result, points, rows, place)

        drawing = responsive(f"trade{place}", label, draw, wide=(7.6, 4.2), narrow=(3.6, 4.6))
        figures.append(f"<figure>{drawing}</figure>")
    return (
        "<p>By how many per cent each combination’s errors are lower than the default’s, with 95 % "
        "intervals: up and to the right is better for both. The line is the default’s own losses "
        "at other weights of the two that were tried, on the screening folds.</p>"
        + "".join(figures)
    )


def _between(weights: Sequence[Weights], place: int) -> list[Weights]:
    """Return the weights that raise no other target than a figure's two, in their order."""
    own = [one for one in weights if max(one.shares) in (one.shares[0], one.shares[place])]
    return sorted(own, key=lambda one: one.shares[0] / one.shares[place])


def _draw(
    figure: "Figure",
    result: Result,
    points: list[Weights],
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
    points: list[Weights],
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
        margin = 0.08 * (high - low)
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


def snippet(result: Result) -> str:
    """Return a program that trains a small model of several heads with `loss.json`."""
    rates = [c.learning_rate for c in result.candidates if c.name == result.selected]
    chosen = next(c for c in result.candidates if c.name == result.selected)
    names = [name for name in chosen.parameters if name not in ("weighting", "shares")]
    parts = [
        f'"{name}": ' + ("torch.rand(512)" if one.task == "regression" else _codes(one))
        for name, one in zip(names, result.targets, strict=True)
    ]
    return _SNIPPET.format(target=", ".join(parts), rate=next((r for r in rates if r), 1e-3))


def _codes(one: TargetResult) -> str:
    return f"torch.randint(0, {one.classes}, (512,))"


def _places(one: TargetResult) -> int:
    width = (one.difference_high - one.difference_low) / 2
    usable = np.isfinite(width) and width > 0
    return decimals([width if usable else 0.01 * abs(one.default)])
