"""The verb `suggest`: which losses are likely to beat the default, before any training."""

import argparse
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lossmith.cli.verbs import study_errors

EPILOG = """\
Expected from what a table says of itself and what losses gained on other tables, in seconds; only
a study proves it. A loss is likely to beat the default if its probability is 75 % or more.

examples:
  lossmith suggest houses.csv --target price --metric mae
  lossmith suggest --task segmentation --metric dice     (no data: from the atlas)
  lossmith suggest churn.csv --target churn --metric auroc --json"""


def add(commands: "argparse._SubParsersAction") -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "suggest",
        help="name the losses likely to beat the default, before any training",
        description="Names the losses that are likely to beat the default on a table or in a task, "
        "and by how much, before any training.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", help="the table, as for lossmith select")
    parser.add_argument("--target", metavar="COLUMN", help="the column to predict")
    parser.add_argument("--metric", required=True, help="what a good prediction is, as for select")
    parser.add_argument(
        "--task",
        help="regression, binary or multiclass (default: by the target); without a table a task of "
        "the atlas, as segmentation or retrieval",
    )
    parser.add_argument("--positive", metavar="CLASS", help="of two (default: the rarer one)")
    parser.add_argument("--json", action="store_true", help="every loss, as JSON")
    parser.set_defaults(verb=suggest)


def suggest(options: argparse.Namespace) -> None:
    """Print what is expected of losses."""
    with study_errors("suggest"):
        from lossmith.study.data.table import read_table
        from lossmith.study.suggest.suggest import suggest as suggested

        given = {name: getattr(options, name) for name in ("target", "metric", "task", "positive")}
        table = None if options.file is None else read_table(options.file)
        found = suggested(table, **given)
        if table is not None:
            found = replace(found, study=_command(options.file, given))
        if options.json:
            print(json.dumps(found.as_plain(), indent=2))
        else:
            _show(found)


def _command(file: str, given: Mapping[str, str | None]) -> str:
    """Return the command that studies the table."""
    told = ((f"--{name}", value) for name, value in given.items() if value is not None)
    return shlex.join(["lossmith", "select", file, *(part for pair in told for part in pair)])


def _show(found: Any) -> None:
    from rich.console import Console
    from rich.padding import Padding

    from lossmith.cli.screen import WIDTH, shown

    console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else WIDTH)
    console.print(f"[bold]{shown(found.heading)}[/bold]")
    console.print(_losses(found))
    if found.alike:
        what = "Recorded tables most like it" if found.target else "Cells of the atlas"
        console.print(shown(f"{what}, with {found.losses[0].name} there:"))
        console.print(Padding(_alike(found), (0, 0, 1, 2)))
    colour = "green" if found.likely else "cyan"
    console.print(f"[bold {colour}]{shown(found.sentence)}[/bold {colour}]")
    for line in (*found.notes, found.caution):
        console.print(shown(line), soft_wrap=True)


def _losses(found: Any) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from lossmith.cli.screen import shown
    from lossmith.study.base.formatting import signed

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("loss", overflow="fold")
    for heading in ("change of error", "80 % interval", "beats the default"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in found.shown:
        table.add_row(
            shown(one.name),
            signed(one.change),
            f"{signed(one.low)} to {signed(one.high)}",
            f"{one.probability:.0%}",
            style="bold" if one.likely else "",
        )
    return table


def _alike(found: Any) -> Any:
    from rich.table import Table

    from lossmith.cli.screen import shown
    from lossmith.study.base.formatting import signed

    grid = Table.grid(padding=(0, 2))
    for one in found.alike:
        grid.add_row(
            shown(f"{one.name}, {one.target}" if one.target else one.name),
            "as it is" if one.condition == "clean" else one.condition,
            "" if one.likeness is None else f"{one.likeness:.0%} alike",
            f"{signed(one.change)} ({signed(one.low)} to {signed(one.high)})",
        )
    return grid
