"""What `lossmith status` shows: how a study goes, followed until it ends."""

import time
from collections.abc import Iterable
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lossmith.printable import printable
from lossmith.study.base.direction import as_error
from lossmith.study.base.formatting import decimals, number
from lossmith.study.metrics import metric_name
from lossmith.study.trials.onlooker import follow
from lossmith.study.trials.progress import LossProgress, Progress

EVERY = 1.0  # seconds between two looks
WIDTH = 100  # of output that goes to no terminal
SHOWN = 12  # lines of failures


def watch(address: str | Path, *, once: bool, console: Console | None = None) -> None:
    """Print how a study goes; on a terminal, unless once, until it ends or Ctrl-C."""
    out = console or Console(highlight=False)
    if not out.is_terminal and console is None:
        out.width = WIDTH
    looks = follow(address)
    progress = next(looks)
    if out.is_terminal and not once and not progress.ended:
        with Live(pictured(progress), console=out, transient=True, auto_refresh=False) as live:
            try:
                while not progress.ended:
                    time.sleep(EVERY)
                    progress = next(looks)
                    live.update(pictured(progress), refresh=True)
            except KeyboardInterrupt:
                pass
    out.print(pictured(progress))


def pictured(progress: Progress) -> RenderableType:
    """Return a study's state as it is shown."""
    head = Text(printable(progress.name), style="bold")
    head.append(
        f": {printable(metric_name(progress.metric))} ({progress.better} is better), "
        f"{'ended' if progress.ended else 'not ended'}; {_counted(progress)}",
        style="not bold",
    )
    parts: list[RenderableType] = [head, _losses(progress)]
    parts += _block("Runs", progress.running)
    parts += _block("Next", [] if progress.ended else [progress.awaited])
    parts += _block("Decided", progress.decisions)
    parts += _block("Failed", progress.failed[:SHOWN])
    if len(progress.failed) > SHOWN:
        parts.append(Padding(f"and {len(progress.failed) - SHOWN} more", (0, 0, 0, 2)))
    return Group(*parts)


def _counted(progress: Progress) -> str:
    words = {"planned": "waiting", "stopped": "stopped early"}
    counts = [f"{count} {words.get(state, state)}" for state, count in progress.counts.items()]
    return "trainings: " + (", ".join(sorted(counts)) or "none yet")


def _losses(progress: Progress) -> Table:
    places = decimals(row.best and 0.01 * abs(row.best.score) for row in progress.losses)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("loss", overflow="fold")
    table.add_column("state", no_wrap=True)
    for heading in ("learning rate", "folds", "epochs", f"best {metric_name(progress.metric)}"):
        table.add_column(printable(heading), justify="right")
    for row in sorted(progress.losses, key=lambda row: _standing(progress, row)):
        table.add_row(*(Text(printable(cell)) for cell in _cells(progress, row, places)))
    return table


def _standing(progress: Progress, row: LossProgress) -> tuple[int, float]:
    """Return a loss's place: scores compare on as many folds only."""
    if row.best is None:
        return 0, 0.0
    return -len(row.best.folds), as_error(row.best.score, progress.better)


def _cells(progress: Progress, row: LossProgress, places: int) -> Iterable[str]:
    name = f"{row.name} (default)" if row.name == progress.default else row.name
    folds, epochs = f"{row.folds}/{progress.folds}", f"{row.epoch}/{progress.epochs}"
    if row.best is None:
        return name, row.state, "", folds, epochs, ""
    rate = f"{row.best.setting.learning_rate:g}"
    rate += f", best of {row.rates}" if row.rates > 1 else ""
    on = len(row.best.folds)
    score = f"{number(row.best.score, places)} on {on} fold{'s' * (on > 1)}"
    return name, row.state, rate, folds, epochs, score


def _block(title: str, lines: Iterable[str]) -> list[RenderableType]:
    shown = [Padding(Text(printable(line)), (0, 0, 0, 2)) for line in lines]
    return [Text(title, style="bold"), *shown] if shown else []
