"""`select` and `predict` of a folder of images or texts: their options, and what they do."""

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lossmith.cli.mistake import UserError
from lossmith.printable import printable

OF_TABLES = {
    "target": "the class is the name of a file's folder, and a mask is given by --masks",
    "order": "grades are of tables",
    "event": "times to an event are of tables",
    "time": "an order of time is of tables",
    "task": "files by class are classified, and images with --masks are segmented",
    "keep_outliers": "outliers are of numbers",
    "ensemble": "of files one model is trained",
    "preset": "of files, --candidates and --epochs keep it short",
}
OPTIONS = ("masks", "model", "size", "epochs", "augment")


def add_select(parser: argparse.ArgumentParser) -> None:
    """Add the options of `select` that are for a folder of images or texts."""
    group = parser.add_argument_group("of a folder of images or texts")
    group.add_argument(
        "--masks", metavar="DIR", help="masks of class codes, of the images' names (255: ignored)"
    )
    group.add_argument(
        "--model",
        metavar="PLACE",
        help="module:function or file.py:function of a body of your own, by its number of outputs "
        "(default: a small convolutional network, for masks a U-Net, for texts a mean of n-grams)",
    )
    group.add_argument(
        "--size", type=int, help="pixels of a side that images are squeezed to (default: 32 or 64)"
    )
    group.add_argument("--epochs", type=int, help="of a training (default: by the number of files)")
    group.add_argument(
        "--augment",
        metavar="WAY,…",
        help="shift, flip or none, as images are trained on (default: shift,flip)",
    )


def refuse_of_folders(options: argparse.Namespace, *names: str) -> None:
    """Raise UserError for options of folders where a table is given."""
    given = [name for name in names if getattr(options, name) is not None]
    if given:
        raise UserError(
            f"--{given[0]} is for a folder of images or texts, and {options.file} is a file"
        )


def study(
    options: argparse.Namespace, out: Path, screen: Any, progress: Callable[[float, str], None]
) -> Any:
    """Return what a study of a folder found."""
    from lossmith.study.folders.augment import ways_of
    from lossmith.study.folders.request import FolderRequest
    from lossmith.study.folders.select import select_folder

    for name, instead in OF_TABLES.items():
        if getattr(options, name):
            option = name.replace("_", "-")
            raise UserError(f"--{option} is for tables, and {options.file} is a folder: {instead}")
    return select_folder(
        FolderRequest(
            root=Path(options.file),
            metric=options.metric,
            masks=None if options.masks is None else Path(options.masks),
            model=options.model,
            size=options.size,
            epochs=options.epochs,
            ways=None if options.augment is None else ways_of(options.augment),
            groups=None if options.groups == "none" else options.groups,
            positive=options.positive,
            candidates=options.candidates,
            seed=options.seed,
            budget=options.budget,
            out=out,
            force=options.force,
            command=shlex.join(["lossmith", *options.argv]),
        ),
        told=screen.opening,
        progress=progress,
    )


def predict(options: argparse.Namespace) -> None:
    """Predict a folder: a table of its files' classes, or a folder of masks."""
    from lossmith.study.base.out import check_predictions
    from lossmith.study.folders.saved import load_folder_model, write_masks

    folder = Path(options.file)
    model = load_folder_model(Path(options.run), options.model)
    if model.inputs.masked:
        if options.out is None:
            raise UserError("masks are written to a folder: give --out FOLDER")
        count = write_masks(model, folder, Path(options.out))
        print(printable(f"{count:,} masks of class codes: {options.out}"))
        return
    if options.out is not None:
        check_predictions(options.out, options.run, options.file)
    put(model.table(folder), options.out)


def put(predictions: Any, out: str | None) -> None:
    """Write predictions to a file, or to the screen."""
    from lossmith.study.base.out import writing_to

    text = predictions.to_csv(index=False, lineterminator="\n")
    if out is not None:
        with writing_to(Path(out)):
            Path(out).write_text(text, encoding="utf-8")
        return
    if sys.stdout.isatty():  # a person reads it, not a program
        text = "\n".join(map(printable, text.split("\n")))
    sys.stdout.write(text)
