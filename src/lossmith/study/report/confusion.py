"""Which class is taken for which, on the test rows."""

from collections.abc import Sequence
from html import escape

import numpy as np

from lossmith.study.report.text import table

MOST_CLASSES = 12  # of a table that still can be read


def confusion(names: Sequence[str], target: np.ndarray, taken: np.ndarray, role: str) -> str:
    """Return the rows of each class by the class that a model finds likeliest.

    Of two classes their recall says as much; of many, the pairs that are confused most often.
    """
    count = len(names)
    cells = np.bincount(target * count + taken, minlength=count * count).reshape(count, count)
    if count < 3:
        return ""
    if count <= MOST_CLASSES:
        rows = [
            [escape(name), *(f"{cell:,}" if cell else "·" for cell in line)]
            for name, line in zip(names, cells, strict=True)
        ]
        caption = f"Test rows by their class and, along the row, the one the {role} finds likeliest"
        return table(["class", *map(escape, names)], rows, caption=caption)
    np.fill_diagonal(cells, 0)
    order = np.argsort(-cells, axis=None, kind="stable")[:MOST_CLASSES]
    pairs = [(*divmod(int(place), count), int(cells.flat[place])) for place in order]
    rows = [[escape(names[one]), escape(names[other]), f"{n:,}"] for one, other, n in pairs if n]
    caption = f"The classes that the {role} confuses most often"
    return table(["class", "taken for", "test rows"], rows, caption=caption) if rows else ""
