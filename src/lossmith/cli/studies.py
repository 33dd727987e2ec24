"""The verbs about a study of one's own loop, and about scores at hand."""

import argparse
import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lossmith.cli.verbs import UserError, study_errors
from lossmith.printable import printable

TERMINATED = 143  # 128 + SIGTERM
JUDGE_EPILOG = """\
columns: loss, fold and score, and where there are: seed (of the training), row (then score is that
row's, and a fold's score is their mean), group (of rows that belong together). Without row, folds
and seeds are all the evidence there is.

example:
  lossmith judge scores.csv --default dice --better higher --out report.html"""

WORK_EPILOG = """\
TRAIN stands in a module of yours beside a function study(address) that returns
lossmith.Study(address, ...): every worker opens the study by it.

SIGTERM gives the trial back at once, to be taken by another worker.

examples:
  lossmith work runs/retina retina.py:train
  torchrun --nproc-per-node 4 --no-python lossmith work runs/retina retina.py:train --torchrun"""

ADDRESS = "the study's folder, or postgresql://user@host/database?study=NAME"


def add(commands: "argparse._SubParsersAction") -> None:
    """Add the verbs to the command line."""
    status = commands.add_parser("status", help="show how a study of your own loop goes")
    status.add_argument("address", help=ADDRESS)
    status.add_argument("--once", action="store_true", help="print once, and do not follow it")
    status.set_defaults(verb=show_status)
    verdict = commands.add_parser("verdict", help="print the verdict of a study of your own loop")
    verdict.add_argument("address", help=ADDRESS)
    verdict.set_defaults(verb=show_verdict)
    report = commands.add_parser("report", help="write the report of a study of your own loop")
    report.add_argument("address", help=ADDRESS)
    report.add_argument(
        "--out", metavar="FILE", help="the page (default: report.html in the folder)"
    )
    report.set_defaults(verb=write_report)
    _add_work(commands)
    export = commands.add_parser(
        "export", help="write a study of your own loop to Optuna's storage"
    )
    export.add_argument("address", help=ADDRESS)
    export.add_argument(
        "--optuna",
        required=True,
        metavar="STORAGE",
        help="as sqlite:///trials.db; optuna-dashboard STORAGE shows it then",
    )
    export.set_defaults(verb=export_study)
    _add_judge(commands)


def _add_work(commands: "argparse._SubParsersAction") -> None:
    parser = commands.add_parser(
        "work",
        help="train what a study of your own loop asks for, beside other workers",
        description="Trains what a study asks for, until it ends; any number of workers may join "
        "and leave.",
        epilog=WORK_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("address", metavar="ADDRESS", help=f"{ADDRESS}; begun if it is new")
    parser.add_argument(
        "train", metavar="TRAIN", help="module:function or file.py:function, of a trial"
    )
    parser.add_argument(
        "--torchrun", action="store_true", help="all ranks of torchrun train one trial together"
    )
    parser.set_defaults(verb=work)


def _add_judge(commands: "argparse._SubParsersAction") -> None:
    parser = commands.add_parser(
        "judge",
        help="say which loss is better by scores that you already have",
        description="Says whether a loss is better than the default beyond doubt, by scores of "
        "trainings that you already have.",
        epilog=JUDGE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", help="the scores: .csv, .tsv or .parquet")
    parser.add_argument("--default", required=True, metavar="NAME", help="the loss to beat")
    parser.add_argument("--better", required=True, choices=("lower", "higher"))
    parser.add_argument("--metric", default="score", help="what the scores are, for the report")
    parser.add_argument(
        "--train-share",
        type=float,
        metavar="SHARE",
        help="of the rows that trained, for scores without rows (default: all other folds)",
    )
    parser.add_argument(
        "--tried", type=int, metavar="N", help="losses tried, where the file leaves some out"
    )
    parser.add_argument("--out", metavar="FILE", help="write the report, too: report.html")
    parser.set_defaults(verb=judge)


def show_status(options: argparse.Namespace) -> None:
    """Show how a study goes; on a terminal until it ends, or Ctrl-C."""
    with study_errors("status"):
        from lossmith.cli.watch import watch

        watch(options.address, once=options.once)


def show_verdict(options: argparse.Namespace) -> None:
    """Print the verdict of a study."""
    with study_errors("verdict"):
        from lossmith.study.trials.onlooker import verdict_in

        _print(str(verdict_in(options.address)))


def export_study(options: argparse.Namespace) -> None:
    """Write the trials of a study where others read them."""
    with study_errors("export"):
        from lossmith.study.trials.onlooker import export_to_optuna

        name, count = export_to_optuna(options.address, options.optuna)
        _print(f"{count} trials of study {name}: {options.optuna}")


def write_report(options: argparse.Namespace) -> None:
    """Write the report of a study."""
    with study_errors("report"):
        from lossmith.study.trials.onlooker import verdict_in

        place = Path(options.out) if options.out else _page_in(options.address)
        verdict_in(options.address).write(place)
        _print(f"Report: {place}")


def work(options: argparse.Namespace) -> None:
    """Train what a study asks for; say each training that has ended."""
    with study_errors("work"):
        from lossmith.study.launch.worker import opened
        from lossmith.study.trials.place import absolute

        study, train = opened(absolute(options.address), options.train)
        signal.signal(signal.SIGTERM, _leave)
        study.run(_told(train), on="torchrun" if options.torchrun else None)


def _told(train: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Return what trains, with a line of each training; of several ranks the first one's."""
    say = _print if os.environ.get("RANK", "0") == "0" else str

    def trained(trial: Any) -> None:
        try:
            train(trial)
        except Exception as error:
            say(f"{trial.id}: failed after epoch {trial.epoch}: {error}")
            raise
        say(f"{trial.id}: {trial.outcome or 'done'} after epoch {trial.reported}")

    return trained


def _leave(*_: object) -> None:
    raise SystemExit(TERMINATED)


def _page_in(address: str) -> Path:
    """Return where the report of a study goes that was not told."""
    from lossmith.study.journal import is_url

    if is_url(address):
        raise UserError("say where to write the report of a study in a database: --out report.html")
    if (Path(address) / "loss.json").is_file():
        raise UserError(
            f"{address} is a run of select, whose report.html tells more; give --out to write "
            "another page"
        )
    return Path(address) / "report.html"


def judge(options: argparse.Namespace) -> None:
    """Print the verdict of scores at hand; write the report where asked."""
    with study_errors("judge"):
        from lossmith.study.data.table import read_table
        from lossmith.study.judge import judge as judged

        verdict = judged(
            read_table(options.file),
            default=options.default,
            better=options.better,
            metric=options.metric,
            train_share=options.train_share,
            tried=options.tried,
            name=Path(options.file).stem,
            command=shlex.join(["lossmith", *options.argv]),
        )
        _print(str(verdict))
        if options.out:
            verdict.write(Path(options.out))
            _print(f"Report: {options.out}")


def _print(text: str) -> None:
    """Print lines, which may hold names and messages of anybody."""
    for line in text.split("\n"):
        print(printable(line))
