"""What the command line says of losses and metrics: index.json, read without torch.

`python -m lossmith.cli.index` writes it, and a test holds it equal to the cards.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, get_args

FILE = Path(__file__).with_name("index.json")


@cache
def index() -> dict[str, Any]:
    """Return the index: tables by task; pages, cards and texts of losses; metrics by task.

    presets, ensembles: that a study of a table can have, the usual one first.
    """
    return json.loads(FILE.read_text(encoding="utf-8"))


def made() -> dict[str, Any]:
    """Return the index as the catalogue and the metrics make it."""
    from lossmith.catalogue import find, pages
    from lossmith.catalogue.lookup import texts
    from lossmith.core.card import Task
    from lossmith.study.metrics import names
    from lossmith.study.rules.presets import PRESETS
    from lossmith.study.selection.ensemble import KINDS
    from lossmith.study.tasks import TABLE_TASKS
    from lossmith.study.tasks.segmentation import Segmentation

    tables = {"": pages.table()} | {task: pages.table(task) for task in get_args(Task)}
    return {
        "tables": tables,
        "pages": {key: pages.page(key) for key in find()},
        "words": texts(),
        "cards": pages.listing(),
        "metrics": {one.name: names(one.name) for one in TABLE_TASKS.values()}
        | {"masks": list(Segmentation.defaults)},
        "presets": list(PRESETS),
        "ensembles": list(KINDS),
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(made(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
