"""Would it save much not to start the losses that other tables speak against?

What `lossmith suggest` knows orders a study's losses before any training. Those at the end of the
order could be left out of the screening. What that saves is a part of the first step, in which all
losses train; what it costs is switches to losses that would not have started.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from choice_table import table
from lean_table import key_of, without
from lossmith.study.suggest.knowledge import source

SHARES = (0.1, 0.25, 0.5, 0.75)  # of the losses, left out
TEXT = """
## Asking other tables first

What `lossmith suggest` knows orders the losses of a study before any training, by the probability
to beat the default, the study's own table left out. If the last of that order did not start, a
study would save a part of its first step, the only one in which all losses train; beside it stands
how many of the {switches} switches of [the unseen tables](unseen.md) went to a loss that would not
have started. Those that other tables do not know always start.
"""
FOUND = """
The first cut comes after a twentieth of the epochs already, so there is little to save, and
switches are lost, if some would have gone to a like loss instead. So every loss starts, and what
other tables say is [weighed with what was measured](unseen.md#following-what-is-expected) in the
end. No study was replayed for this: time is by the model above, switches are those that were made.
"""


def section(steps: Sequence[Sequence], time: Callable, studies: Path, kept: Path) -> str:
    """Return the part of the page.

    Args:
        steps: of each recorded study under the rule in place.
        time: what steps take.
        studies: of unseen tables.
        kept: what these tables say of themselves.
    """
    places = _places(studies, kept)
    rows = []
    for share in SHARES:
        saved = [1 - time(_fewer(own, share)) / time(own) for own in steps]
        lost = sum(place > 1 - share for place in places)
        rows.append([f"{100 * share:.0f} %", f"{100 * np.mean(saved):.1f} %", str(lost)])
    head = ["losses not started", "time of the search saved", "switches to one of them"]
    return TEXT.format(switches=len(places)) + "\n" + table(head, rows) + "\n" + FOUND


def _fewer(steps: Sequence[Sequence], share: float) -> list:
    """Return a study's steps with fewer settings in the first."""
    (settings, folds, epochs), *others = steps
    return [(round((1 - share) * settings), folds, epochs), *others]


def _places(studies: Path, kept: Path) -> list[float]:
    """Return of each switch how far back its loss stood in the order, from 0 to 1."""
    about = {key_of(one): one for one in map(json.loads, kept.read_text().splitlines())}
    found = []
    for line in map(json.loads, studies.read_text().splitlines()):
        known = source(line.get("task", ""), line["metric"])
        if line.get("verdict") != "switch" or known is None or line["selected"] not in known.names:
            continue
        known = known._replace(knowledge=without(known.knowledge, line["package"], line["table"]))
        point = known.knowledge.point(about[key_of(line)]["features"])
        pairs = {name: known.forecast(name, point) for name in known.names - {line["default"]}}
        order = sorted(pairs, key=lambda name: pairs[name][0] / pairs[name][1])
        found.append((order.index(line["selected"]) + 1) / len(order))
    return found
