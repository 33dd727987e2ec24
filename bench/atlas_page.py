"""docs/atlas.md and its picture, from what `bench/atlas.py` measured."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from atlas_data import DATA_SETS
from atlas_gain import honest_gain
from atlas_loops import PREDICTED
from lossmith.study.base.direction import as_error
from lossmith.study.base.formatting import decimals, listed, number, pluralize
from lossmith.study.metrics import metric_name
from lossmith.study.rules.paired_test import LEVEL, holm
from lossmith.study.tasks.forecasting import STEP

PICTURE = "atlas.svg"
HEAD = """# Where does the loss matter?

{summary} {cells} of the {planned} cells planned are here, those where it matters most first; gains
are over the default, in points (hundredths of the metric) or per cent of the default's error. [How
it was measured](#how-it-was-measured) stands below, then each task by itself.

"""
HOW = """
*Default*, *best* and *ties*, the losses that cannot be told apart from the best, are under the
first metric. The *common* loss is what people start with whatever the metric; where it is not the
default, it says what the default alone gains. A gain is **bold** where it matters.

![Honest gains of every cell; an arrow stands for one beyond the edge](pictures/{picture})

## How it was measured

A cell is a real data set of a task, clean or with a fault in the rows that train. In each of
{repeats} repeats (splits and seeds) every loss of the task, sums among them, trains one small model
by one optimizer; its learning rate, of two, and the moment to stop, of three, are chosen on inner
rows with the same fault, by the metric. The test rows are clean. The *default* is the loss to beat
that [a study](own_loop.md#which-task) takes: what the metric asks for, or what experts start with.
Heads are read as in a study too: at the levels that the metric asks for, as the median under MAE.

The *honest gain* is that of the best loss over the default on rows and trainings that did not
choose it: chosen on one half of the test rows in three repeats, scored on the other half in the
other two, the mean over all twenty ways. It is negative where choosing by so little evidence costs
more than the losses differ. *It matters* where the honest gain is above 0 and at least one loss is
better than the default by [the test of a study](study.md#the-test), corrected for all losses tried
(p < 0.05); *perhaps* where none is, yet the gain is above 2 % of the error that the default leaves
(of 1 less the metric, where higher is better). Losses that cannot be told apart from the best are
those by the same test, two-sided and uncorrected.

Models: of tables with one target [the body of a study](study.md#the-body); of masks convolutions
over blocks of 2 × 2 pixels; of boxes and of views of pictures two convolutions and a layer; of
tokens two causal convolutions; of all others two hidden layers of 64 (of cars, a score for each
item). AdamW takes 300 steps, 150 of masks, 100 of tokens, 200 of views and 600 of students, and
weights are averaged. Batches are drawn at random, in retrieval too.

Boxes are shares of the picture's side, one a picture, and a head starts at the mean box. In
self-supervision 64 features are judged, each test row by the others, below a projector that all
losses train through; `{ahead}` read a predictor of one view
and the other's projection, both ways. In transfer a body is trained on the other data, then tuned
with a new head. In distillation a teacher of two layers of 512 is trained on the student's own
rows, wrong labels too; the student's layers have 16. Cox's risks become curves by Breslow's
baseline of the training rows. The integrated Brier score has the horizons of the whole set, and
like Uno's concordance the censoring of the rows scored. MASE is in units of a naive forecast's
errors in each row's past, of the day before (electricity) or the step before (calls, whose past is
half a day). Of cars one of six is relevant, so that MAP would be MRR.

The losses are at the values that their cards list and not tuned further; data and models are small,
and test rows of one set recur in its repeats. How large a gain is will differ on yours, and [a
study](study.md) tells. All scores are in `bench/results/atlas.jsonl`; `pip install '.[atlas]'`
brings the data, `python bench/atlas.py run` goes on where it stopped (`--tasks
segmentation,survival` for some), and `python bench/atlas.py table` makes this page.
"""
BY_STEP = "By the horizon's steps, the default's score → that of the loss that is best on all:\n\n"
COLUMNS = (
    *("task", "data", "condition", "matters", "honest gain, by metric"),
    *("best", "ties", "default", "default over the common"),
)
DETAILS = (
    *("data", "condition", "metric", "default", "score", "common", "best", "its score"),
    *("honest gain", "proven better", "not told apart from the best"),
)
BESIDE = (
    *("data", "condition", "metric", "default", "best"),
    *("first step", "middle", "last step", "beside the score"),
)
ANSWERS = {True: "**yes**", None: "perhaps", False: "no"}
TINY = 0.02  # of the default's error; a gain below it, not proven, is none


@dataclass(frozen=True)
class Row:
    """A cell under one metric."""

    line: dict[str, Any]

    @property
    def cell(self) -> tuple[str, str, str]:
        """Return task, data and condition."""
        return self.line["task"], self.line["data"], self.line["condition"]

    @property
    def lower(self) -> bool:
        """Return whether lower scores are better."""
        return self.line["better"] == "lower"

    @property
    def label(self) -> str:
        """Return the metric as prose has it."""
        base, _, tuned = self.line["metric"].partition(", ")
        return metric_name(base) + (" (thresholds tuned)" if tuned else "")

    def score(self, name: str) -> float:
        """Return a loss's mean over repeats."""
        return float(np.mean(self.line["scores"][name]))

    @property
    def ahead(self) -> bool:
        """Return whether the default is another loss than people start with."""
        return self.line["default"] != self.line["common"]

    @cached_property
    def gain(self) -> float:
        """Return the honest gain, as a share of the default's error or a difference of scores."""
        names = list(self.line["halves"])
        errors = as_error(np.array(list(self.line["halves"].values())), self.line["better"])
        default = names.index(self.line["default"])
        return honest_gain(errors[:, 0], errors[:, 1], default, self.lower)[0]

    @property
    def share(self) -> float:
        """Return the honest gain as a share of the error that the default leaves."""
        return self.gain if self.lower else self.gain / (1 - self.score(self.line["default"]))

    @cached_property
    def proven(self) -> list[str]:
        """Return the losses that are better than the default beyond doubt, the best first."""
        corrected = holm(self.line["p_values"], len(self.line["p_values"]))
        found = [name for name, p in corrected.items() if p < LEVEL]
        return sorted(found, key=lambda name: as_error(self.score(name), self.line["better"]))

    @property
    def matters(self) -> bool | None:
        """Return whether another loss than the default is better; None where it may be."""
        if self.proven and self.gain > 0:
            return True
        return None if self.share > TINY else False

    @property
    def shown(self) -> str:
        """Return the gain in points or per cent, bold where proven."""
        text = self.told(self.gain)
        return f"**{text}**" if self.matters else text

    def told(self, gain: float) -> str:
        """Return a gain in points or per cent."""
        return number(100 * gain, 1, sign=True) + (" %" if self.lower else "")


def page(rows: Sequence[Row]) -> str:
    """Return the page."""
    planned = sum(len(data.conditions) for data in DATA_SETS)
    by_cell = grouped(rows, lambda row: row.cell)
    repeats = len(next(iter(rows[0].line["scores"].values())))
    head = HEAD.format(summary=_summary(rows), cells=len(by_cell), planned=planned)
    parts = [head + _table(COLUMNS, map(_overview, sorted(by_cell.values(), key=_weight)))]
    ahead = "` and `".join(PREDICTED)
    parts.append(HOW.format(picture=PICTURE, repeats=repeats, ahead=ahead))
    for task, own in grouped(rows, lambda row: row.line["task"]).items():
        parts.append(f"## {headline(task)}\n\n{_paragraph(own)}\n")
        parts.append(_table(DETAILS, map(_detail, own)) + "\n")
        stepped = [row for row in own if "beside" in row.line]
        if stepped:
            parts.append(BY_STEP + _table(BESIDE, map(_beside, stepped)) + "\n")
    return "\n".join(parts)


def headline(task: str) -> str:
    """Return a task as prose begins with it."""
    return task.capitalize().replace("_", "-")


def grouped(rows: Iterable[Row], key: Any) -> dict[Any, list[Row]]:
    """Return rows by a key, in the order of the keys' first rows."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _summary(rows: Sequence[Row]) -> str:
    """Return in a sentence each where it matters and where not."""
    lines = []
    for answer, text in ((True, "It matters"), (None, "It may"), (False, "It does not")):
        own = [row for row in rows if row.matters is answer]
        kinds = grouped(own, lambda row: row.line["task"])
        told = ", ".join(f"{task} {len(some)}" for task, some in kinds.items())
        if own:
            lines.append(f"{text} in {len(own)} of {len(rows)} comparisons ({told}).")
    return " ".join(lines)


def _answer(own: Sequence[Row]) -> bool | None:
    answers = [row.matters for row in own]
    return True if True in answers else None if None in answers else False


def _weight(own: Sequence[Row]) -> tuple[int, float]:
    """Return what puts cells in order: where it matters, and by how much."""
    return (True, None, False).index(_answer(own)), -max(row.share for row in own)


def _overview(own: Sequence[Row]) -> Sequence[str]:
    first = own[0]
    gains = ", ".join(f"{row.label} {row.shown}" for row in own)
    ties = f"{len(first.line['ties'])} of {len(first.line['scores']) - 1}"
    default, best = first.line["default"], first.line["best"]
    ahead = [f"{row.label} {row.told(_ahead(row))}" for row in own if row.ahead] or ["–"]
    return (*first.cell, ANSWERS[_answer(own)], gains, best, ties, default, ", ".join(ahead))


def _ahead(row: Row) -> float:
    """Return what the default gains over what people start with, as gains are told."""
    default, common = (row.score(row.line[name]) for name in ("default", "common"))
    return 1 - default / common if row.lower else default - common


def _detail(row: Row) -> Sequence[str]:
    line = row.line
    names = [line["default"], line["common"], line["best"]]
    places = min(4, 1 + decimals([row.score(name) for name in names]))
    default, common, best = (number(row.score(name), places) for name in names)
    told = f"{line['common']} {common}" if row.ahead else "–"
    proven = f"{len(row.proven)}: {listed(row.proven, 3)}" if row.proven else "none"
    ties = f"{len(line['ties'])} of {len(line['scores']) - 1}"
    ties += f": {listed(line['ties'], 4)}" if line["ties"] else ""
    where = line["data"], line["condition"], row.label
    return (*where, line["default"], default, told, line["best"], best, row.shown, proven, ties)


def _beside(row: Row) -> Sequence[str]:
    line, (default, best) = row.line, (row.line["beside"][row.line[n]] for n in ("default", "best"))

    def told(name: str) -> str:
        pair = [default[name], best[name]][: 1 + (line["default"] != line["best"])]
        places = min(4, 1 + decimals(pair))
        return " → ".join(number(one, places) for one in pair)

    steps = [name for name in default if name.startswith(STEP)]
    chosen = (steps[0], steps[len(steps) // 2], steps[-1])
    others = ", ".join(f"{name} {told(name)}" for name in default if name not in steps)
    where = line["data"], line["condition"], row.label
    return (*where, line["default"], line["best"], *map(told, chosen), others or "–")


def _paragraph(rows: Sequence[Row]) -> str:
    """Return what the numbers of a task say."""
    clean = [row for row in rows if row.line["condition"] == "clean"]
    faulty = [row for row in rows if row.line["condition"] != "clean"]
    losses = max(len(row.line["scores"]) + len(row.line["failed"]) for row in rows)
    parts = [_sources(rows), f"{losses} losses."]
    for name, own in (("Clean", clean), ("With the fault", faulty)):
        if own:
            parts.append(f"{name}: {_told(own)}")
    ahead = [row for row in rows if row.ahead]
    if ahead:
        gains = [
            _ahead(row) / (1 if row.lower else 1 - row.score(row.line["common"])) for row in ahead
        ]
        parts.append(
            f"Against what people start with, {listed(sorted({r.line['common'] for r in ahead}))}, "
            f"the default alone takes {_range(gains)} of the error away."
        )
    parts += _before([row for row in clean if "untrained" in row.line])
    ties = np.mean([len(row.line["ties"]) / (len(row.line["scores"]) - 1) for row in rows])
    parts.append(f"On average {100 * ties:.0f} % of the losses cannot be told apart from the best.")
    failed = sorted({name for row in rows for name in row.line["failed"]})
    if failed:
        parts.append(f"Not finite in some training: {listed(failed)}.")
    return parts[0] + " ".join(parts[1:])


def _before(rows: Sequence[Row]) -> list[str]:
    """Return what features are worth that nothing trained, where they are judged."""
    told = [
        f"{name} " + " and ".join(f"{row.line['untrained']:.3f}" for row in own)
        for name, own in grouped(rows, lambda row: row.line["data"]).items()
    ]
    return [f"Before any training the features have {listed(told)}."] if told else []


def _sources(rows: Sequence[Row]) -> str:
    """Return which data there are, where they come from, and how many rows train and test."""
    known = {(data.task, data.name): data.source for data in DATA_SETS}
    told = []
    for name, own in grouped(rows, lambda row: row.line["data"]).items():
        line = own[0].line
        sizes = f"about {line['train_rows']} rows to train on, {line['test_rows']} to test"
        told.append(f"*{name}*: {known[line['task'], name]} ({sizes}).")
    return " ".join(told) + "\n\n"


def _told(rows: Sequence[Row]) -> str:
    proven = [row for row in rows if row.matters]
    shares = [row.share for row in rows]
    text = f"another loss is proven better in {len(proven)} of {pluralize(len(rows), 'comparison')}"
    names = list(dict.fromkeys(row.proven[0] for row in proven))
    text += f" (best: {listed(names, 4)})" if names else ""
    return f"{text}; the honest gain is {_range(shares)} of the default's error."


def _range(shares: Sequence[float]) -> str:
    low, high = (number(100 * edge, 1, sign=True) for edge in (min(shares), max(shares)))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
