"""What `lossmith select` shows: the diagnosis, the progress and the verdict."""

import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from lossmith.printable import printable
from lossmith.study.base.formatting import decimals, duration, interval, listed, number, p_value
from lossmith.study.base.result import CandidateResult, Finding, Result
from lossmith.study.data.problem import Problem
from lossmith.study.metrics import metric_name
from lossmith.study.report.leaning import leaning
from lossmith.study.report.text import ensemble, finished, left_out

WIDTH = 100  # of output that goes to no terminal
LISTED = 3  # names listed of the losses that did not finish, by reason


def shown(text: str) -> str:
    """Return text of data, files and errors as a console may print it."""
    return escape(printable(text))


class Screen:
    """Results go to standard output, progress to standard error.

    On a terminal progress is a bar; else one line a stage.
    """

    def __init__(self) -> None:
        self.out = Console(
            highlight=False, emoji=False, width=None if sys.stdout.isatty() else WIDTH
        )
        self.err = Console(stderr=True, highlight=False, emoji=False)
        self.bar: Progress | None = None
        self.said = ""
        self.shown = 0  # findings
        self.start = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def say(self, text: str) -> None:
        """Print one line beside the progress."""
        self.err.print(printable(f"lossmith: {text}"), markup=False, soft_wrap=True)

    def diagnosis(self, problem: Problem, findings: tuple[Finding, ...]) -> None:
        """Print what the table says before training."""
        rows, columns = problem.features.shape
        what = f"{problem.task}, {rows:,} rows, {columns} columns to predict from"
        self.opening(problem.name, what, findings, problem.notes)

    def opening(
        self, name: str, what: str, findings: Sequence[Finding], notes: Sequence[str] = ()
    ) -> None:
        """Print what is studied, and what was found in it."""
        self.out.print(f"[bold]{shown(name)}[/bold]: {shown(what)}")
        self.out.print()
        self._findings(findings)
        for note in notes:
            self.out.print(Padding(f"[dim]{shown(note)}[/dim]", (0, 0, 0, 2)))
        self.out.print()
        self.shown += len(findings) + len(notes)
        self.progress(0.0, "preparing the folds")

    def progress(self, share: float, text: str) -> None:
        """Show how far the study is."""
        text = printable(text)
        if not self.err.is_terminal:
            if text != self.said:
                elapsed = time.perf_counter() - self.start
                self.err.print(f"{elapsed:6.1f} s  {text}", markup=False, soft_wrap=True)
            self.said = text
            return
        if self.bar is None:
            self.bar = Progress(
                SpinnerColumn(),
                BarColumn(24),
                TextColumn("{task.percentage:3.0f} %"),
                TimeElapsedColumn(),
                TextColumn("{task.description}", markup=False),
                console=self.err,
                transient=True,
            )
            self.bar.add_task("", total=1.0)
            self.bar.start()
        self.bar.update(self.bar.task_ids[0], completed=share, description=text)

    def verdict(self, result: Result, out: Path) -> None:
        """Print the candidates, the verdict, the scores of the untouched rows and the cost."""
        if len(result.diagnosis) > self.shown:
            self._findings(result.diagnosis[self.shown :])
            self.out.print()
        self.out.print(_candidates(result))
        for line in _rest(result):
            self.out.print(Padding(shown(line), (0, 0, 0, 1)))
        self.out.print()
        colour = "green" if result.verdict == "switch" else "cyan"
        self.out.print(f"[bold {colour}]{shown(result.sentence)}[/bold {colour}]")
        for line in (*_summary(result), f"Report: {out / 'report.html'}"):
            self.out.print(shown(line), soft_wrap=True)

    def _findings(self, findings: Iterable[Finding]) -> None:
        grid = Table.grid(padding=(0, 2))
        for finding in findings:
            style = "yellow" if finding.level == "warning" else ""
            mark = "!" if finding.level == "warning" else " "
            grid.add_row(
                f"[{style or 'none'}]{mark} {shown(finding.name)}[/]",
                shown(_value(finding.value)),
                shown(finding.meaning),
            )
        self.out.print(grid)


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.6g}"


def _candidates(result: Result) -> Table:
    """Return the table of the losses that were measured in full, the selected one first."""
    rows = finished(result)
    places = decimals(row.score and 0.01 * abs(row.score) for row in rows)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("loss", overflow="fold")
    for heading in (shown(result.metric), "difference to default, 95 %", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        style = "bold" if row.name == result.selected else ""
        table.add_row(shown(row.name), *map(shown, _cells(row, result, places)), style=style)
    return table


def _cells(row: CandidateResult, result: Result, places: int) -> tuple[str, ...]:
    score = number(row.score, places)
    if row.name == result.default:
        return score, "", "", "default"
    difference = number(row.difference_to_default, places, sign=True)
    between = interval(row.difference_low, row.difference_high, places, sign=True)
    role = {result.common: "common", result.selected: "selected"}.get(row.name, "")
    return score, f"{difference} {between}", p_value(row.p_value), role


def _rest(result: Result) -> list[str]:
    """Return one line for each way in which losses did not come to the end."""
    groups: dict[str, list[str]] = defaultdict(list)
    shown = {row.name for row in finished(result)}
    for row in result.candidates:
        if row.name not in shown:
            early = row.status == "dropped" and row.folds
            reason = "left early, behind the others" if early else row.note or row.status
            groups[reason].append(row.name)
    return [f"{reason}: {listed(names, LISTED)}" for reason, names in groups.items()]


def _summary(result: Result) -> list[str]:
    """Return what is expected, the scores on untouched rows and the cost, a line each."""
    cost = result.cost
    told = leaning(result)
    return [
        *([told] if told else []),
        *(_targets(result) if result.targets else [_untouched(result)]),
        *([every] if (every := left_out(result)) else []),
        f"Took {duration(cost.seconds)} for {cost.trainings:,} trainings, {cost.ratio:.1f} times "
        "what evaluating the default alone takes.",
    ]


def _targets(result: Result) -> list[str]:
    """Return a line for each of several targets: both scores, on the folds and untouched rows."""
    lines = []
    for one in result.targets:
        test = one.test["default"], one.test["selected"]
        places = decimals(score and 0.01 * abs(score) for score in (one.default, *test))
        line = f"{one.name}, {metric_name(one.metric)}: {number(one.default, places)}"
        held = number(test[0], places)
        if result.verdict == "switch":
            between = interval(one.difference_low, one.difference_high, places, sign=True)
            change = f"{number(one.difference, places, sign=True)} {between}"
            line += f" → {number(one.selected, places)} ({change})"
            held += f" → {number(test[1], places)}"
        lines.append(f"{line}; on {one.test['rows']:,.0f} untouched rows {held}.")
    return lines


def _untouched(result: Result) -> str:
    default, selected = result.test["default"], result.test["selected"]
    places = decimals(score and 0.01 * abs(score) for score in (default, selected))
    rows = result.test.get("rows") or result.rows["test"]
    scores = f"{number(default, places)} with {result.default}"
    if result.selected != result.default:
        scores += f", {number(selected, places)} with {result.selected}"
    if result.ensemble:
        score = number(result.test["ensemble"], places)
        scores += f", {score} with the ensemble ({ensemble(result)})"
    return f"On {rows:,.0f} untouched rows: {metric_name(result.metric)} {scores}."
