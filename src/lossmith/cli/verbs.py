"""What each verb does; heavy packages load inside the verbs that need them."""

import argparse
import csv
import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lossmith.cli import folders
from lossmith.cli.index import index
from lossmith.cli.mistake import UserError
from lossmith.printable import printable
from lossmith.words import about


def select(options: argparse.Namespace) -> None:
    """Run a study and show what it found."""
    with study_errors("select"):
        from lossmith.cli.interrupt import Interruption
        from lossmith.cli.screen import Screen
        from lossmith.study.base.errors import InputError
        from lossmith.study.data.files import plain_name

        out = Path(options.out) if options.out else Path("runs") / plain_name(options.file)
        study = folders.study if Path(options.file).is_dir() else _of_table
        screen = Screen()
        with Interruption(screen.say) as interruption:
            with screen:
                try:
                    watched = interruption.watched(screen.progress)
                    selection = study(options, out, screen, watched)
                except InputError as error:
                    if interruption.asked:
                        raise KeyboardInterrupt from error
                    raise
            folder = selection.folder or out
            screen.verdict(selection.result, folder)  # which Ctrl-C does not take away
            if folder != out:
                screen.say(f"{out} can no longer be written; this run is in {folder}")


def _of_table(options: argparse.Namespace, out: Path, screen: Any, progress: Any) -> Any:
    """Return what a study of a table found."""
    from lossmith.study.base.out import check_out
    from lossmith.study.data.table import read_table
    from lossmith.study.selection.select import select as run

    folders.refuse_of_folders(options, *folders.OPTIONS)
    if options.target is None:
        raise UserError(
            f"name the column to predict: --target COLUMN; {options.file} is no folder of images "
            "or texts"
        )
    table = read_table(options.file)
    check_out(out, force=options.force, source=options.file)
    return run(
        table,
        **_wanted(options),
        event=options.event,
        groups=groups_in(table, options.groups),
        time=options.time,
        candidates=options.candidates,
        seed=options.seed,
        budget=options.budget,
        keep_outliers=options.keep_outliers,
        ensemble=options.ensemble or index()["ensembles"][0],
        preset=options.preset or index()["presets"][0],
        out=out,
        force=options.force,
        on_diagnosis=screen.diagnosis,
        progress=progress,
        command=shlex.join(["lossmith", *options.argv]),
    )


def _wanted(options: argparse.Namespace) -> dict[str, Any]:
    """Return what to predict and by which metric; as many metrics as targets, between commas."""
    named: dict[str, Any] = {name: getattr(options, name) for name in ("task", "positive")}
    order = None if options.order is None else listed(options.order)
    if "," not in options.metric:
        one = {"target": options.target, "metric": options.metric}
        return {**one, "order": order, **named}
    if order is not None:
        raise UserError("--order is for one target; of several, name grades by number")
    for name, text in named.items():
        pairs = [pair.partition("=") for pair in listed(text or "")]
        if not all(value for _, _, value in pairs):
            raise UserError(f"--{name} of several targets is written target=value, got {text!r}")
        named[name] = {target.strip(): value.strip() for target, _, value in pairs}
    return {name: listed(getattr(options, name)) for name in ("target", "metric")} | named


def groups_in(table: Any, name: str | None) -> str | bool | None:
    """Return the column of groups; False for none, unless a column is called so."""
    return False if name == "none" and name not in table.columns else name


def listed(text: str) -> list[str]:
    """Return the parts between commas that stand outside double quotes."""
    return [part.strip() for line in csv.reader([text], skipinitialspace=True) for part in line]


def predict(options: argparse.Namespace) -> None:
    """Predict new rows with the model of a run, to a file or to the screen."""
    with study_errors("predict"):
        from lossmith.study.base.out import check_predictions
        from lossmith.study.data.table import read_table
        from lossmith.study.selection.storage import load

        if Path(options.file).is_dir():
            return folders.predict(options)
        folders.refuse_of_folders(options, "model")
        table, model = read_table(options.file), load(options.run)
        if options.out is not None:
            check_predictions(options.out, options.run, options.file)
        predictions, note = model.predicted(table)
        if note:
            print(f"lossmith: {printable(note)}", file=sys.stderr)
        folders.put(predictions, options.out)


def metrics() -> str:
    """Return the metrics that `select` takes, a line for each task."""
    lines = (f"{task}: {', '.join(names)}" for task, names in index()["metrics"].items())
    return "\n  ".join(["metrics, with any level after @:", *lines])


def list_losses(options: argparse.Namespace) -> None:
    """Print the losses of the catalogue."""
    cards, tables = index()["cards"], index()["tables"]
    by_task = {
        task: [card["key"] for card in cards if task in card["tasks"]] for task in tables if task
    }
    try:
        asked = " ".join(options.words)
        keys = about(asked, by_task, lambda: index()["words"]) if asked else index()["pages"]
    except ValueError as error:
        raise UserError(str(error)) from error
    if options.json:
        keys = set(keys) & set(by_task.get(options.task, keys))
        print(json.dumps([card for card in cards if card["key"] in keys], indent=2))
    else:
        head, *rows = tables[options.task or ""].splitlines()
        print("\n".join([head, *(row for row in rows if row.split()[0] in keys)]))


def show(options: argparse.Namespace) -> None:
    """Print what there is to know about one loss."""
    page = index()["pages"].get(options.key)
    print(page or _unlisted(options.key))


def _unlisted(key: str) -> str:
    """Return the page of a loss that is not in the index, or say which key may be meant."""
    from lossmith.catalogue.names import UnknownLossError
    from lossmith.catalogue.pages import page

    try:
        return page(key)
    except UnknownLossError as error:
        raise UserError(str(error)) from error


@contextmanager
def study_errors(verb: str) -> Iterator[None]:
    """Turn mistakes in the input, and missing packages, into one line."""
    try:
        from lossmith.study.base.errors import InputError
    except ModuleNotFoundError as error:
        raise _missing(verb, error) from error
    try:
        yield
    except InputError as error:
        raise UserError(str(error)) from error
    except ModuleNotFoundError as error:
        raise _missing(verb, error) from error


def _missing(verb: str, error: ModuleNotFoundError) -> Exception:
    if (error.name or "lossmith").startswith("lossmith"):
        return error
    return UserError(f"{verb} needs {error.name}; install it with: pip install 'lossmith[select]'")
