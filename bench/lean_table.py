"""Would it help to follow `lean`? Judged on the rows that unseen studies set aside.

Each study's finalists are drawn to what other tables say, the study's own left out, as a study does
itself; what is expected then, and what `lean` names, is held beside what their models gave.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from choice_table import table as as_table
from lossmith.study.base.result import MOST_HARM, CandidateResult, Expected
from lossmith.study.metrics import lookup
from lossmith.study.metrics.base import relative_to_best
from lossmith.study.selection.expected import WIDTH
from lossmith.study.suggest.expectation import expected, lean
from lossmith.study.suggest.knowledge import MOST, Knowledge, Source, source

WORSE = 0.02  # of the error, beyond which harm counts
BINS = (0.0, 0.02, 0.1, 0.25, 0.5, 1.0)  # of the probability of harm
KEYS = ("package", "table", "condition")

TEXT = """
## Following what is expected

Beside the verdict a study names the loss that it would lean to: of the finalists the one with the
largest [expected gain](study.md#what-to-expect) whose probability of harm is under {harm:.0f} %.
Here each study's finalists were drawn to what other tables say, *the study's own left out*, and
what four models of each gave on the rows set aside is held beside it (`bench/lean.py`,
`bench/lean_table.py`). Changes are those of the default's error, geometric means over all studies,
where those that follow nothing count as unchanged; single ratios count within a factor of
{most:.1f}. "Beyond" are studies in which nothing is proven. Hindsight is the best finalist, or the
default, on the very rows that judge, which noise flatters: nobody can reach it. Where a true gain
is small, chance alone shows nearly half of the losses as worse on so few rows.

The factors c and d of [the rule](api/choose.md) were chosen on a half of the tables, by lot, when
{first} of its studies were there, and on the [development tables](policy.md). The first table is of
the other half alone. Studies measured here by the difference of mean errors; `lossmith select`
takes the mean log ratio where errors of folds differ by factors, as its test does. The figures that
say how fast likeness fades were learned with all learning tables.
"""
RIVALS = """
The same, both halves, when only one of the two is heard: the study alone (other tables say
nothing), or other tables alone (the study says nothing).
"""
CALIBRATION = """
Of all finalists, both halves, how often those with such a probability of harm were worse on the
rows set aside, and what was expected of them beside what came. Rows have noise of their own, which
draws the shares towards a half.
"""
FIRST = 52  # studies on which the factors were chosen


@dataclass(frozen=True)
class Case:
    """A study's finalists: what was expected of each, and by what log its error differed there.

    learned: whether suggest knows the study's table, which is left out here.
    """

    line: dict
    kept: dict
    learned: bool
    rows: tuple[CandidateResult, ...]
    came: dict[str, float]

    @classmethod
    def of(cls, line: dict, kept: dict, rule: Callable[..., Expected]) -> "Case | None":
        """Return a study's case by a rule; None where nothing is known of its task or metric."""
        found = source(line["task"], line["metric"])
        if found is None:
            return None
        whole, table = found.knowledge, (line["package"], line["table"])
        learned = any((one.package, one.table) == table for one in whole.tables)
        found = found._replace(knowledge=without(whole, *table))
        point = found.knowledge.point(kept["features"])
        default, own = line["default"], line["finalists"]
        base = _error(line, own[default]["held out"], kept["held"])
        rows, came = [], {}
        for name, one in own.items():
            measured = _measured(line, one, own[default], kept["rows"])
            if name == default or measured is None:
                continue
            status = "selected" if name == line["selected"] else "finished"
            told = rule(found, name, point, *measured)
            rows.append(CandidateResult(name=name, parameters={}, status=status, expected=told))
            ratio = _error(line, one["held out"], kept["held"]) / base
            came[name] = float(np.clip(np.log(ratio), -MOST, MOST))
        return cls(line, kept, learned, tuple(rows), came)

    @property
    def group(self) -> str:
        """The kind of task, and whether targets were corrupted."""
        kind = "regression" if self.line["task"] == "regression" else "classes"
        return f"{kind}, {self.line['condition']}"

    @property
    def lean(self) -> str | None:
        """The loss that the study leans to."""
        return lean(self.rows)

    @property
    def selected(self) -> str | None:
        """The loss that the verdict switches to."""
        return self.line["selected"] if self.line["verdict"] == "switch" else None

    @property
    def hindsight(self) -> float:
        """The log of the least error of all."""
        return min(0.0, *self.came.values()) if self.came else 0.0

    def gain(self, name: str | None) -> float:
        """Return what following a loss gives; nothing without one."""
        return self.came.get(name or "", 0.0)


def without(known: Knowledge, package: str, item: str) -> Knowledge:
    """Return what is known without one table, under all its targets and conditions."""
    kept = np.array([(one.package, one.table) != (package, item) for one in known.tables])
    if kept.all():
        return known
    metrics = {
        name: replace(own, gains=own.gains[kept], errors=own.errors[kept])
        for name, own in known.metrics.items()
    }
    tables = tuple(one for one, keep in zip(known.tables, kept, strict=True) if keep)
    return replace(known, tables=tables, points=known.points[kept], metrics=metrics)


def _both(found: Source, name: str, point: np.ndarray, gain: float, error: float) -> Expected:
    return expected(gain, error, *found.forecast(name, point), found.power)


def _study(found: Source, name: str, point: np.ndarray, gain: float, error: float) -> Expected:
    return expected(gain, error, 0.0, 1e3, found.power)


def _others(found: Source, name: str, point: np.ndarray, gain: float, error: float) -> Expected:
    return expected(gain, 1e3, *found.forecast(name, point), found.power)


def _error(line: dict, score: float, rows: int) -> float:
    return relative_to_best(lookup(line["metric"]), score, rows)


def _measured(line: dict, one: dict, default: dict, rows: int) -> tuple[float, float] | None:
    """Return the log of a finalist's error over the default's, with its standard error."""
    if one["difference"] is None:
        return None
    if one.get("ratio"):
        gain, error = one["ratio"]
        return gain, error
    own, base = (_error(line, row["score"], rows) for row in (one, default))
    error = abs(one["high"] - one["low"]) / WIDTH / own
    return (float(np.log(own / base)), error) if 0 < error < np.inf else None


def section(studies: Path, kept: Path) -> str:
    """Return the part of the page, nothing where studies kept no finalists."""
    about = {key_of(one): one for one in _lines(kept) if "features" in one}
    lines = [one for one in _lines(studies) if one.get("finalists") and key_of(one) in about]
    if not lines:
        return ""

    def cases(rule: Callable[..., Expected]) -> list[Case]:
        found = [Case.of(line, about[key_of(line)], rule) for line in lines]
        return [case for case in found if case is not None]

    both = cases(_both)
    judged = [case for case in both if not case.kept["chosen"]]
    chosen = [case for case in both if case.kept["chosen"]]
    parts = [
        TEXT.format(harm=100 * MOST_HARM, most=np.exp(MOST), first=FIRST),
        _following(judged),
        "\nThe half on which the factors were chosen:\n",
        _following(chosen),
        RIVALS,
        _rivals({"both": both, "the study alone": cases(_study), "others alone": cases(_others)}),
        CALIBRATION,
        _calibration(both),
    ]
    return "\n".join(parts)


HEAD = ("studies", "verdicts", "worse", "leans", "worse", "by > 2 %", "worst")
ALL = ("all, by verdict", "all, by lean", "hindsight")


def _following(cases: Sequence[Case]) -> str:
    groups = {name: [case for case in cases if case.group == name] for name in _groups(cases)}
    clean = [case for case in cases if case.line["condition"] == "clean"]
    rows = [_row(name, own) for name, own in groups.items()]
    rows += [_row("all, clean", clean), _row("all", cases)]
    beyond = [case for case in cases if case.selected is None]
    rows += [_row("beyond: nothing is proven", beyond)]
    rows += [_row("tables unknown to suggest", [case for case in cases if not case.learned])]
    return as_table(["", *HEAD, *ALL], rows)


def _rivals(found: dict[str, list[Case]]) -> str:
    return as_table(["", *HEAD, *ALL], [_row(name, cases) for name, cases in found.items()])


def _row(name: str, cases: Sequence[Case]) -> list[str]:
    proven = [case.gain(case.selected) for case in cases if case.selected]
    leans = [case.gain(case.lean) for case in cases if case.lean]
    return [
        name,
        str(len(cases)),
        str(len(proven)),
        str(sum(gain > 0 for gain in proven)),
        str(len(leans)),
        str(sum(gain > 0 for gain in leans)),
        str(sum(gain > np.log1p(WORSE) for gain in leans)),
        _percent(max(leans)) if leans else "–",
        _mean([case.gain(case.selected) for case in cases]),
        _mean([case.gain(case.lean) for case in cases]),
        _mean([case.hindsight for case in cases]),
    ]


def _calibration(cases: Sequence[Case]) -> str:
    pairs = [(row.expected, case.came[row.name]) for case in cases for row in case.rows]
    rows = []
    for low, high in pairwise(BINS):
        own = [(one, came) for one, came in pairs if low <= min(one.harm, 0.9999) < high]
        if own:
            promised = np.log1p([one.change for one, _ in own])
            rows.append(
                [
                    f"{100 * low:.0f} to {100 * high:.0f} %",
                    str(len(own)),
                    f"{100 * np.mean([one.harm for one, _ in own]):.0f} %",
                    f"{100 * np.mean([came > 0 for _, came in own]):.0f} %",
                    _mean(promised),
                    _mean([came for _, came in own]),
                ]
            )
    head = ["probability of harm", "finalists", "on average", "worse", "expected", "came"]
    return as_table(head, rows)


def _groups(cases: Sequence[Case]) -> list[str]:
    return sorted({case.group for case in cases}, reverse=True)


def _mean(logs: Sequence[float]) -> str:
    return _percent(float(np.mean(logs))) if len(logs) else "–"


def _percent(log: float) -> str:
    return f"{100 * np.expm1(log):+.1f} %".replace("-", "−")


def key_of(line: dict) -> tuple[str, ...]:
    """Return the job that a line is of."""
    return tuple(line[name] for name in KEYS)


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
