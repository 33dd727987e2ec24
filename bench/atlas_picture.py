"""The picture of the atlas: each cell's honest gains, of the error that the default leaves."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from atlas_page import Row, grouped

EDGE = (-30.0, 60.0)  # per cent that are drawn; what lies beyond stands at the edge
COLOURS = {True: "#c0392b", None: "#e0a030", False: "#8a94a0"}
LABELS = {True: "proven better", None: "perhaps", False: "no better"}


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the picture."""
    by_task = grouped(rows, lambda row: row.line["task"]).values()
    by_cell = [one for own in by_task for one in grouped(own, lambda row: row.cell).items()]
    style = {"svg.hashsalt": "atlas", "svg.fonttype": "none", "font.size": 8}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(6, 1 + 0.21 * len(by_cell)), layout="constrained")
        axes = figure.add_subplot()
        for height, (_, own) in enumerate(by_cell):
            for row in own:
                share = min(max(100 * row.share, EDGE[0]), EDGE[1])
                colour = COLOURS[row.matters]
                axes.plot(share, height, "o", color=colour, alpha=0.85, markersize=5)
        for answer, colour in COLOURS.items():
            axes.plot([], [], "o", color=colour, label=LABELS[answer])
        axes.axvline(0, color="#444444", linewidth=0.8)
        axes.set_yticks(range(len(by_cell)), [" · ".join(cell) for cell, _ in by_cell])
        axes.set_ylim(len(by_cell) - 0.5, -0.5)
        axes.set_xlim(EDGE[0] - 2, EDGE[1] + 2)
        axes.set_xlabel("honest gain, % of the default's error; a dot a metric")
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.legend(loc="lower right", frameon=True)
        figure.savefig(path, metadata={"Date": None}, transparent=False)
