"""Which class is taken for which."""

from collections.abc import Sequence
from html import escape

import numpy as np

from lossmith.study.report.text import opening, table

MOST_CLASSES = 12  # of a table that still can be read


def confusion(
    names: Sequence[str], target: np.ndarray, taken: np.ndarray, role: str, rows_are: str
) -> str:
    """Return the rows of each class by the class that a model takes.

    Of two classes their recall says as much; of many, the pairs that are confused most often.
    """
    count, model = len(names), f"the {role} loss’s model"
    if count < 3:
        return ""
    pairs, counts = np.unique(np.stack([target, taken]), axis=1, return_counts=True)
    if count <= MOST_CLASSES:
        cells = np.zeros((count, count), dtype=int)
        cells[tuple(pairs)] = counts
        rows = [
            [escape(name), *(f"{cell:,}" if cell else "·" for cell in line)]
            for name, line in zip(names, cells, strict=True)
        ]
        caption = f"{opening(rows_are)} by their class and, along the row, the one {model} takes"
        return table(["class", *map(escape, names)], rows, caption=caption)
    wrong = np.flatnonzero(pairs[0] != pairs[1])
    order = wrong[np.argsort(-counts[wrong], kind="stable")][:MOST_CLASSES]
    rows = [
        [escape(names[one]), escape(names[other]), f"{n:,}"]
        for (one, other), n in zip(pairs.T[order], counts[order], strict=True)
    ]
    caption = f"The classes that {model} confuses most often"
    return table(["class", "taken for", rows_are], rows, caption=caption) if rows else ""
