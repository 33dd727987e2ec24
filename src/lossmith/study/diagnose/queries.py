"""What relevances say: how many queries there are, how long they are, and who has an order."""

from collections.abc import Iterator

import numpy as np

from lossmith.study.base.formatting import percent, pluralize
from lossmith.study.base.result import Finding
from lossmith.study.metrics.listed import layout
from lossmith.study.tasks.lists import LONGEST

FEW_QUERIES = 100


def of_queries(target: np.ndarray) -> Iterator[Finding]:
    """Yield what relevances and queries, (n, 2), say."""
    relevance = target[:, 0]
    query, _, (count, longest) = layout(target[:, 1])
    few = count < FEW_QUERIES
    yield Finding(
        name="queries",
        value=float(count),
        meaning="few: what can be proven rests on queries, not on rows"
        if few
        else "each counts once in the test",
        level="warning" if few else "info",
    )
    sizes = np.bincount(query)
    cut = int((sizes > LONGEST).sum())
    yield Finding(
        name="items of a query",
        value=f"{sizes.min()} to {longest}",
        meaning=f"{np.median(sizes):g} in the middle"
        + (f"; {LONGEST} items of {pluralize(cut, 'long query')} train" if cut else ""),
    )
    best = np.zeros(count)
    np.maximum.at(best, query, relevance)
    grades = len(np.unique(relevance))
    yield Finding(
        name="relevant items",
        value=percent((relevance > 0).mean()),
        meaning=f"{grades} grades of relevance, 0 for none; in {percent((best > 0).mean())} of the "
        "queries there is a relevant item, and the others do not count",
    )
