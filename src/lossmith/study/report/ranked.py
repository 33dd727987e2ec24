"""The chosen loss on the untouched test rows of queries: what comes first, and lists."""

from typing import TYPE_CHECKING

import numpy as np

from lossmith.study.base.result import ReportData
from lossmith.study.metrics.listed import layout
from lossmith.study.report.fit import Model
from lossmith.study.report.svg import COLOURS, label_ticks, responsive
from lossmith.study.report.text import table
from lossmith.study.tasks.sample import spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray
PLACES = 10  # that are shown
LISTS = 8


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
        + _lists_table(best, orders, shown)
    )


def ranked(relevance: Array, queries: Array, scores: Array) -> Array:
    """Return relevances by query in the order of scores, (queries, longest), NaN for no item.

    Of equal scores the less relevant item comes first, as in the metrics.
    """
    query, place, shape = layout(queries)
    values, keys = np.full(shape, np.nan), np.full(shape, -np.inf)
    values[query, place], keys[query, place] = relevance, scores
    order = np.lexsort((values, -keys), axis=1)
    return np.take_along_axis(values, order, axis=1)


def _lists_table(best: Array, orders: list[Array], shown: list[Model]) -> str:
    held = np.flatnonzero(best[:, 0] > 0)
    chosen = held[spread(len(held), LISTS)]
    rows = [
        [f"{number + 1}", _written(best[one]), *(_written(own[one]) for own in orders)]
        for number, one in enumerate(chosen)
    ]
    head = ["query", "best order", *(model.role for model in shown)]
    caption = f"Relevances of the first {PLACES} items of some test queries, the first place left"
    return table(head, rows, caption=caption, css="words")


def _written(values: Array) -> str:
    held = values[~np.isnan(values)]
    more = " …" if len(held) > PLACES else ""
    return " ".join(f"{one:g}" for one in held[:PLACES]) + more
