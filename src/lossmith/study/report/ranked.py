"""The chosen loss on the untouched test rows of queries: what comes first, and lists."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from lossmith.study.base.result import ReportData
from lossmith.study.metrics.listed import layout
from lossmith.study.report.fit import Model
from lossmith.study.report.svg import COLOURS, label_ticks, responsive
from lossmith.study.report.text import table
from lossmith.study.tasks.sample import PLACES
from lossmith.study.tasks.sample import lists as a_few

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray


def lists(evidence: ReportData, shown: list[Model]) -> str:
    """Return the mean relevance by place, and the lists of a few queries as models order them."""
    relevance, queries = evidence.test_target.T
    best = ranked(relevance, queries, relevance)
    orders = [ranked(relevance, queries, model.prediction) for model in shown]

    def places(figure: "Figure") -> None:
        axes = figure.subplots()
        x = np.arange(1, 1 + min(PLACES, best.shape[1]))
        drawn = [(best, COLOURS["muted"], ":", "best order")]
        drawn += [
            (own, COLOURS[model.role], model.dashes, model.role)
            for own, model in zip(orders, shown, strict=True)
        ]
        for own, colour, dashes, label in drawn:
            mean = np.nanmean(own[:, : len(x)], axis=0)
            axes.plot(x, mean, "o", ls=dashes, color=colour, markersize=4, label=label)
        axes.legend()
        axes.set(xlabel="place", ylabel="mean relevance", ylim=(0, None))
        axes.locator_params(axis="x", integer=True)
        axes.grid(True)
        label_ticks(axes.yaxis, short=True)

    roles = " and ".join(model.role for model in shown)
    label = f"Mean relevance by place on the test queries, {roles}"
    figure = responsive("places", label, places, wide=(7.6, 2.8), narrow=(3.6, 2.8))
    return (
        f"<figure>{figure}<figcaption>Mean relevance of the items of the test queries by their "
        "place in the list; no order is better than the dotted one.</figcaption></figure>"
        + lists_table(_few(evidence, shown), [model.role for model in shown])
    )


def ranked(relevance: Array, queries: Array, scores: Array) -> Array:
    """Return relevances by query in the order of scores, (queries, longest), NaN for no item.

    Of equal scores the less relevant item comes first, as in the metrics.
    """
    values, keys = _by_query(relevance, queries, np.nan), _by_query(scores, queries, -np.inf)
    order = np.lexsort((values, -keys), axis=1)
    return np.take_along_axis(values, order, axis=1)


def _by_query(values: Array, queries: Array, nothing: float) -> Array:
    """Return values of rows by query, (queries, longest)."""
    query, place, shape = layout(queries)
    found = np.full(shape, nothing)
    found[query, place] = values
    return found


def _few(evidence: ReportData, shown: list[Model]) -> list[Mapping[str, Array]]:
    """Return the first places of a few queries, as each model orders them."""
    relevance, queries = evidence.test_target.T
    target = _by_query(relevance, queries, -1.0)
    return [a_few(target, _by_query(model.prediction, queries, -np.inf)) for model in shown]


def lists_table(orders: Sequence[Mapping[str, Array]], names: Sequence[str]) -> str:
    """Return a table of the first places of a few queries, at best and as models order them.

    Args:
        orders: of each model, as `lossmith.study.tasks.sample.lists` gives them.
        names: of the models.
    """
    first = orders[0]
    marks = all(np.isin(own["target"].clip(min=0), (0, 1)).all() for own in orders)
    rows = [
        [str(int(first["rows"][query])), _written(first["target"][query], marks)]
        + [_written(own["shown"][query], marks) for own in orders]
        for query in range(len(first["target"]))
    ]
    what = "● relevant, ○ not" if marks else "relevances"
    caption = f"The first {PLACES} places of a few queries’ lists: {what}"
    return table(["query", "at best", *map(escape, names)], rows, caption=caption, css="words")


def _written(relevance: Array, marks: bool) -> str:
    held = [one for one in relevance if one >= 0]
    return " ".join(("●" if one else "○") if marks else f"{one:g}" for one in held)
