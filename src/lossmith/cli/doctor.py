"""The verb `doctor`: what is wrong in a training set-up, or in a table."""

import argparse
import os
from collections.abc import Mapping
from typing import Any

from lossmith.cli.verbs import UserError, groups_in, listed, study_errors

OF_TABLES = {
    "task": "TASK",
    "positive": "CLASS",
    "event": "COLUMN",
    "order": "GRADE,…",
    "groups": "COLUMN",
    "time": "COLUMN",
}
FOUND = 1  # exit code where something is wrong
WANTED = "a dict of check_setup's arguments or a tuple (model, loss, batch)"
EPILOG = """\
SETUP is a table with --target, or module:function or file.py:function: a function without
arguments that returns the set-up, as a tuple (model, loss, batch) or a dict of these and of
what check_setup takes besides:

  model       a module, or any function of a batch's input
  loss        of lossmith or torch, or any function of (output, target)
  batch       (input, target), or a DataLoader
  metric      what is judged by: a name, as "mae"
  optimizer   what trains
  sampler     that draws the rows; loader: the DataLoader that the batch is of
  valid       a batch or a DataLoader of validation
  accumulate  how many batches' gradients are added up before a step

The model runs once, forward, and is left as it was. Exit codes: 0 nothing wrong, 1 something is.

examples:
  lossmith doctor train.py:setup
  lossmith doctor houses.csv --target price"""


def add(commands: "argparse._SubParsersAction") -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="say what is silently wrong in a training set-up, or in a table",
        description="Says what is silently wrong in a training set-up, a line each, with the "
        "evidence and the remedy.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("setup", metavar="SETUP", help="module:function, file.py:function or table")
    parser.add_argument("--target", metavar="COLUMN", help="of a table: the column to predict")
    parser.add_argument("--metric", help="what a good prediction is, as in lossmith select")
    for name, what in OF_TABLES.items():
        parser.add_argument(f"--{name}", metavar=what, help="of a table, as in lossmith select")
    parser.set_defaults(verb=doctor)


def doctor(options: argparse.Namespace) -> None:
    """Print what is wrong; end with 1 where something is."""
    with study_errors("doctor"):
        found = _table(options) if options.target is not None else _setup(options)
    print(found)
    if found:
        raise SystemExit(FOUND)


def _table(options: argparse.Namespace) -> Any:
    from lossmith.doctor.table import check_table
    from lossmith.study.data.table import read_table

    table = read_table(options.setup)
    given = {name: getattr(options, name) for name in ("metric", *OF_TABLES)}
    given["groups"] = groups_in(table, options.groups)
    given["order"] = None if options.order is None else listed(options.order)
    return check_table(table, options.target, **given)


def _setup(options: argparse.Namespace) -> Any:
    from lossmith.doctor import check_setup

    if of_tables := [name for name in OF_TABLES if getattr(options, name) is not None]:
        raise UserError(f"--{of_tables[0]} is for a table, with --target COLUMN")
    given = _returned(options.setup)
    if isinstance(given, tuple) and len(given) == 3:
        given = dict(zip(("model", "loss", "batch"), given, strict=True))
    if not isinstance(given, Mapping):
        raise UserError(f"{options.setup} must return {WANTED}, got {type(given).__name__}")
    more = {} if options.metric is None else {"metric": options.metric}
    try:
        return check_setup(**{**given, **more})
    except (TypeError, ValueError) as error:
        raise UserError(f"{options.setup}: {error}") from error


def _returned(place: str) -> Any:
    """Return what a function gives that is named as module:function."""
    from lossmith.study.base.named import function_at

    if os.path.exists(place):
        raise UserError(f"{place!r} is no module:function; a table needs --target COLUMN")
    _, function = function_at(place)
    try:
        return function()
    except Exception as error:  # whatever a user's code raises
        raise UserError(f"{place} raised {type(error).__name__}: {error}") from error
