"""What is read beside the score: the coverage of intervals, or the score of each step."""

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from lossmith.study.base.formatting import decimals, number
from lossmith.study.base.result import Result
from lossmith.study.metrics import metric_name
from lossmith.study.report.svg import COLOURS, label_ticks, responsive
from lossmith.study.report.text import opening, table
from lossmith.study.tasks.forecasting import STEP

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DASHES = {"default": "--", "chosen": "-"}


def beside(result: Result) -> str:
    """Return a table of what is read beside the score, and the score by step, where there is any.

    Of a switch it is that of the chosen loss beside the default's.
    """
    if not result.beside:
        return ""
    columns = {"default": result.beside["default"]}
    if result.verdict == "switch":
        columns["chosen"] = result.beside["selected"]
    names = {"default": result.default, "chosen": result.selected}
    places = decimals(0.01 * abs(one) for own in columns.values() for one in own.values() if one)
    rows = [
        [escape(name), *(number(own[name], places) for own in columns.values())]
        for name in columns["default"]
    ]
    head = ["", *(f"{role}: {escape(names[role])}" for role in columns)]
    where = "on the untouched rows" if result.test else "on validation rows, the mean of the folds"
    return _by_step(result, columns, where) + table(
        head, rows, caption=f"Beside the score, {where}"
    )


def _by_step(result: Result, columns: Mapping[str, Mapping[str, float]], where: str) -> str:
    """Return the score along the horizon, drawn, of three steps or more."""
    steps = [name for name in columns["default"] if name.startswith(STEP)]
    if len(steps) < 3:
        return ""
    metric = metric_name(result.metric)

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for role, own in columns.items():
            line: dict[str, Any] = {"color": COLOURS[role], "ls": DASHES[role], "markersize": 3}
            places = np.array([int(name.removeprefix(STEP)) for name in steps])
            axes.plot(places, [own[name] for name in steps], "o", label=role, **line)
        axes.legend()
        axes.set(xlabel="step", ylabel=metric)
        axes.locator_params(axis="x", integer=True)
        axes.grid(True)
        label_ticks(axes.yaxis, short=True)

    label = f"{metric} by step, {' and '.join(columns)}"
    drawn = responsive("steps", label, draw, wide=(7.6, 2.8), narrow=(3.6, 2.8))
    caption = f"{escape(opening(metric))} of each step of the horizon, {where}."
    return f"<figure>{drawn}<figcaption>{caption}</figcaption></figure>"
