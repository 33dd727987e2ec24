"""The picture of the atlas: each cell's honest gains, of the error that the default leaves."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atlas_page import Row, grouped, headline

EDGE = (-30.0, 60.0)  # per cent that are drawn; an arrow stands for what lies beyond
COLOURS = {True: "#c0392b", None: "#e0a030", False: "#8a94a0"}
LABELS = {True: "proven better", None: "perhaps", False: "no better"}


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the picture."""
    by_task = grouped(rows, lambda row: row.line["task"])
    style = {"svg.hashsalt": "atlas", "svg.fonttype": "none", "font.size": 8}
    cells = len(grouped(rows, lambda row: row.cell)) + len(by_task)
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(6.5, 1 + 0.19 * cells), layout="constrained")
        axes = figure.add_subplot()
        labels: list[str] = []
        for task, own in by_task.items():
            labels.append(headline(task))
            for cell, metrics in grouped(own, lambda row: row.cell).items():
                for row in metrics:
                    _dot(axes, row, len(labels))
                labels.append(" · ".join(cell[1:]))
        _dress(axes, labels, [headline(task) for task in by_task])
        figure.savefig(path, metadata={"Date": None}, transparent=False)


def _dot(axes: Axes, row: Row, height: int) -> None:
    share = 100 * row.share
    drawn = min(max(share, EDGE[0]), EDGE[1])
    marker = "o" if drawn == share else "<>"[share > 0]
    axes.plot(drawn, height, marker, color=COLOURS[row.matters], alpha=0.85, markersize=5)


def _dress(axes: Axes, labels: Sequence[str], tasks: Sequence[str]) -> None:
    for answer, colour in COLOURS.items():
        axes.plot([], [], "o", color=colour, label=LABELS[answer])
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.set_yticks(range(len(labels)), labels)
    for tick in axes.get_yticklabels():
        tick.set_fontweight("bold" if tick.get_text() in tasks else "normal")
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(EDGE[0] - 2, EDGE[1] + 2)
    axes.set_xlabel("honest gain, % of the default's error")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="upper right", title="a dot a metric", ncols=3, bbox_to_anchor=(1, 1.03))
