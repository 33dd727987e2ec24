"""The command `lossmith`: its verbs, their options and its exit codes."""

import argparse
import difflib
import errno
import os
import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import lossmith
from lossmith.cli import completion, doctor, folders, studies, suggest, verbs
from lossmith.cli.index import index
from lossmith.printable import printable

MISTAKE = 2  # of the user: one line says which
INTERRUPTED = 130  # 128 + SIGINT
BROKEN_PIPE = 141  # 128 + SIGPIPE
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}

EPILOG = """\
examples:
  lossmith select houses.csv --target price --metric mae
  lossmith predict runs/houses new.csv --out predictions.csv
  lossmith suggest houses.csv --target price --metric mae
  lossmith status runs/retina
  lossmith judge scores.csv --default dice --better higher
  lossmith doctor train.py:setup
  lossmith list --task binary
  lossmith list face recognition
  lossmith show huber

exit codes: 0 done; 1 the doctor found something; 2 a mistake in the input, told in one line; 130
stopped by Ctrl-C with nothing finished."""

SELECT_EPILOG = """\
{metrics}

Ctrl-C ends the study with what is finished: the verdict, the report and exit code 0. Before
anything is finished, and a second time, it stops at once with exit code 130 and writes nothing.

examples:
  lossmith select houses.csv --target price --metric mae --candidates mse,mae,huber --budget 60s
  lossmith select houses.csv --target price,sold_fast --metric mae,auroc
  lossmith select photos/ --metric balanced_accuracy
  lossmith select mails/ --metric average_precision --positive spam
  lossmith select scans/ --masks drawn/ --metric mean_iou
  lossmith select patients.csv --target days --event died --metric concordance
  lossmith select results.csv --target relevance --groups query --metric ndcg@10"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with 2."""
        self.exit(MISTAKE, f"lossmith: {printable(message)} (see {self.prog} --help)\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Name an option that there is not, and the nearest, before what is missing is named."""
        for given in () if self._subparsers else args or ():
            name = given.partition("=")[0]
            known = self._option_string_actions
            if not name.startswith("--") or any(one.startswith(name) for one in known):
                continue
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.error(f"there is no option {name}{hint}")
        return super().parse_known_args(args, namespace)

    def format_help(self) -> str:
        """Name the metrics where help is asked for, since the packages that know them are heavy."""
        if self.epilog == SELECT_EPILOG:
            self.epilog = SELECT_EPILOG.format(metrics=verbs.metrics())
        return super().format_help()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries; what matters is in the diagnosis
            code = _run(argv)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"lossmith: cannot write the output: {error.strerror}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print("lossmith: stopped; nothing was written", file=sys.stderr)
        return INTERRUPTED


def _run(argv: list[str]) -> int:
    try:
        options = _parser().parse_args(argv)
        options.argv = argv
        options.verb(options)
    except verbs.UserError as error:
        print(f"lossmith: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return MISTAKE
    except SystemExit as error:  # of argparse, and of a second Ctrl-C
        return error.code if isinstance(error.code, int) else MISTAKE
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="lossmith",
        description="Finds the loss that serves your data, your model and your metric best.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lossmith {lossmith.__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=Parser
    )
    _add_select(commands)
    _add_predict(commands)
    suggest.add(commands)
    doctor.add(commands)
    studies.add(commands)
    _add_listings(commands)
    completion.add(commands, parser)
    return parser


def _add_listings(commands: argparse._SubParsersAction) -> None:
    listed = commands.add_parser("list", help="list the losses of the catalogue")
    listed.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="only those that tell of them: depth, face recognition; or a task's name",
    )
    listed.add_argument(
        "--task", choices=list(index()["tables"])[1:], help="only those that can train it"
    )
    listed.add_argument("--json", action="store_true", help="every fact on every card")
    listed.set_defaults(verb=verbs.list_losses)
    shown = commands.add_parser("show", help="show what there is to know about one loss")
    shown.add_argument("key", help="the loss's key, as in lossmith list, or what others call it")
    shown.set_defaults(verb=verbs.show)


def _add_select(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "select",
        help="find the best loss for a table or a folder of images or texts, and a metric",
        description="Finds the best loss for a table: CSV, TSV, Parquet or Excel; or for images or "
        "texts (.txt): one folder a class; or for images beside --masks.",
        epilog=SELECT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file",
        help="the table: .csv, .tsv, .parquet, .feather or .xlsx, also as .gz or .zip; or a folder "
        "of images or texts",
    )
    parser.add_argument(
        "--target",
        metavar="COLUMN",
        help="the column to predict, or several: a,b, a name with a comma in double quotes",
    )
    parser.add_argument(
        "--metric", required=True, help="what a good prediction is, see below; one for each target"
    )
    parser.add_argument("--out", metavar="FOLDER", help="of the run (default: runs/NAME of FILE)")
    parser.add_argument(
        "--force", action="store_true", help="replace the run of lossmith that FOLDER holds"
    )
    parser.add_argument(
        "--candidates", type=_keys, metavar="KEY,…", help="losses to compare (default: all)"
    )
    parser.add_argument(
        "--task",
        help=f"{', '.join(index()['metrics'])} (default: by target and metric); "
        "of several: a=binary",
    )
    parser.add_argument(
        "--positive",
        metavar="CLASS",
        help="of two (default: the rarer one); of several targets: a=yes,b=no",
    )
    parser.add_argument(
        "--event",
        metavar="COLUMN",
        help="which times are those of events, the others being censored; --positive says by "
        "which value (default: 1, yes, died, …)",
    )
    parser.add_argument(
        "--order",
        metavar="GRADE,…",
        help="the grades of an ordinal task from low to high (default: as the column says it)",
    )
    parser.add_argument(
        "--groups",
        metavar="COLUMN",
        help="which rows belong together, as those of a patient, or of a query to rank; none: rows "
        "are independent; of files a regular expression on their paths",
    )
    parser.add_argument(
        "--time", metavar="COLUMN", help="judge models by later rows than those they trained on"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument(
        "--budget", type=_seconds, metavar="TIME", help="time after which the study ends: 60s, 5m"
    )
    parser.add_argument(
        "--keep-outliers",
        action="store_true",
        help="score every row, even gross errors in the target",
    )
    parser.add_argument(
        "--ensemble",
        choices=index()["ensembles"],
        help="which four models predict: of the selected loss (default), or of the finalists that "
        "predict best together",
    )
    parser.add_argument(
        "--preset",
        choices=index()["presets"],
        help="how much is trained: best for a final model (default), fast for a first look",
    )
    folders.add_select(parser)
    parser.set_defaults(verb=verbs.select)


def _add_predict(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "predict",
        help="predict new rows with the model of a run",
        description="Predicts new rows: a column prediction and, for classes, one "
        "probability_CLASS each; of times to an event risk and survival_TIME; or a folder of "
        "images or texts, or images' masks.",
        epilog="example:\n  lossmith predict runs/houses new.csv --out predictions.csv",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", help="the folder that lossmith select wrote")
    parser.add_argument("file", help="the new rows, in a file or a folder like that of select")
    parser.add_argument(
        "--out", metavar="FILE", help="the CSV to write (default: the screen); of masks a folder"
    )
    parser.add_argument("--model", metavar="PLACE", help="of a folder: the body, as select got it")
    parser.set_defaults(verb=verbs.predict)


def _seconds(text: str) -> float:
    """Return seconds from 60, 60s, 2m or 1h."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip().lower())
    seconds = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 60s, 5m or 1h")
    return seconds


def _keys(text: str) -> list[str]:
    """Return the keys between commas that stand outside parentheses."""
    keys = [key.strip() for key in re.split(r",(?![^(]*\))", text)]
    if not all(keys):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of losses; write mse,mae,huber")
    return keys


if __name__ == "__main__":
    sys.exit(main())
