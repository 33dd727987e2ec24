"""How a study scales over workers: simulated to 1,000, the journal measured, a few processes real.

    python bench/scaling.py [--epoch 60] [--study FOLDER]

A study of digits is recorded (or read from FOLDER): every loss that fits, three learning rates, ten
folds, trainings that pause at rungs. It is replayed by the real rules with workers that take as
long as was recorded, scaled to a mean of so many seconds an epoch, and hold the journal as long as
is measured here. Prints tables in Markdown.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from lossmith.study.study import Study
from lossmith.study.trials.trial import Trial
from shared import own_loop
from shared.replay import Recorded, Replay

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
SPREAD = 0.1  # of workers' speeds, as the standard deviation of their logarithm
DRAWS = 5  # of workers' speeds, whose mean is shown
SLOW, SLOWER = 0.05, 4.0  # share of workers that are stragglers, and how many times slower
ROWS = 1000  # whose values a report of the journal's measurement carries
DIGITS = load_digits()
X = torch.tensor(DIGITS.images / 16, dtype=torch.float32).flatten(1)
Y = torch.tensor(DIGITS.target)


def digits(folder: Path) -> Study:
    return Study(folder, metric="accuracy", target=Y, epochs=20)


def train(trial: Trial) -> None:
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, trial.out_features or 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=trial.learning_rate)
    trial.restore(model=model, optimizer=optimizer)
    for _ in trial.epochs:
        for rows in torch.as_tensor(trial.train)[torch.randperm(len(trial.train))].split(128):
            optimizer.zero_grad()
            trial.loss(model(X[rows]), Y[rows]).backward()
            optimizer.step()
        trial.save(model=model, optimizer=optimizer)
        with torch.no_grad():
            if trial.report(outputs=model(X[trial.valid])):
                return


def reports(folder: Path, processes: int, seconds: float = 3.0) -> tuple[float, float]:
    """Return reports a second of so many processes, and a report's median milliseconds."""
    context = get_context("fork")
    queue: Any = context.Queue()

    def report() -> None:
        study = _endless(folder)
        trial, rows, taken = study.ask(), np.random.default_rng(0).normal(size=ROWS), []
        assert trial is not None
        until = time.monotonic() + seconds
        for epoch in trial.epochs:
            start = time.monotonic()
            if start > until:
                break
            trial.report(epoch, rows=rows)
            taken.append(time.monotonic() - start)
        queue.put(taken)

    _begun(folder)
    running = [context.Process(target=report) for _ in range(processes)]
    for process in running:
        process.start()
    taken = [queue.get() for _ in running]
    for process in running:
        process.join()
    return sum(map(len, taken)) / seconds, 1000 * float(np.median(np.concatenate(taken)))


def _endless(folder: Path) -> Study:
    whole = np.arange(2 * ROWS)
    losses = {f"loss {number}": nn.L1Loss() for number in range(16)}
    splits = [(np.roll(whole, k)[:ROWS], np.roll(whole, k)[ROWS:]) for k in range(3)]
    return Study(
        folder, metric="rows", better="lower", losses=losses, default="loss 0", splits=splits,
        learning_rates=[0.1], epochs=1_000_000,
    )  # fmt: skip


def _begun(folder: Path) -> None:
    """Begin the study up to where all its losses may train."""
    for trial in _endless(folder):
        if trial.name != "loss 0":
            break
        for epoch in (1, 2, 1_000_000):
            if trial.report(epoch, rows=np.ones(ROWS)):
                break


def asking(study: Study, times: int = 5) -> float:
    """Return the median seconds of asking a study that holds all it will ever hold."""
    taken = []
    for _ in range(times):
        start = time.monotonic()
        study.ask()
        taken.append(time.monotonic() - start)
    return float(np.median(taken))


def steady(recorded: Recorded) -> float:
    """Let each loss take its median seconds an epoch, whatever else ran; return the mean."""
    by_loss: dict[str, list[float]] = {}
    for training, record in recorded.records.items():
        by_loss.setdefault(training.setting.candidate, []).extend(r.seconds for r in record.reports)
    for training, record in recorded.records.items():
        median = float(np.median(by_loss[training.setting.candidate]))
        reports = tuple(said._replace(seconds=median) for said in record.reports)
        recorded.records[training] = replace(record, reports=reports)
    return recorded.seconds / sum(len(record.reports) for record in recorded.records.values())


def simulated(
    recorded: Recorded, workers: int, scale: float, held: dict[str, float], slow: float, seed: int
) -> Replay:
    """Return a replay by workers of which some are slow."""
    draw = np.random.default_rng(seed)
    speeds = np.exp(SPREAD * draw.normal(size=workers))
    speeds[draw.random(workers) < slow] *= SLOWER
    one = Replay(recorded, workers, lambda s, worker: s * scale * speeds[worker], **held).run()
    assert json.dumps(one.decisions) == json.dumps(recorded.decisions)
    return one


def scaling(recorded: Recorded, epoch: float, held: dict[str, float]) -> None:
    print(f"\nSimulated, {epoch:g} s an epoch:\n")
    print(
        "| workers | hours | times faster | idle | with stragglers | operations/s | journal held |"
    )
    print("|---|---|---|---|---|---|---|")
    scale, first = epoch / steady(recorded), 0.0
    for workers in WORKERS:
        runs, late = (
            [simulated(recorded, workers, scale, held, slow, seed) for seed in range(DRAWS)]
            for slow in (0.0, SLOW)
        )
        time, slower, operations, busy, locked = (
            float(np.mean(values))
            for values in (
                [run.now for run in runs],
                [run.now for run in late],
                [run.operations / run.now for run in runs],
                [run.busy / (workers * run.now) for run in runs],
                [run.held / run.now for run in runs],
            )
        )
        first = first or time
        cells = [
            f"{workers:,}",
            f"{time / 3600:.2f}",
            f"{first / time:.1f}",
            f"{100 * (1 - busy):.0f} %",
            f"{slower / 3600:.2f}",
            f"{operations:.2f}",
            f"{100 * locked:.1f} %",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def real(place: Path) -> None:
    print(f"\nReal processes on {os.cpu_count()} cores, trainings that sleep 0.1 s an epoch:\n")
    print("| processes | seconds | times faster |")
    print("|---|---|---|")
    first = 0.0
    for processes in (1, 2, 4, 8):
        study = own_loop.study(place / f"real{processes}", epochs=10)
        start = time.monotonic()
        study.run(lambda trial: own_loop.train(trial, saves=True, pause=0.1), workers=processes)
        taken = time.monotonic() - start
        first = first or taken
        print(f"| {processes} | {taken:.1f} | {first / taken:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epoch", type=float, nargs="*", default=[60.0, 1.0])
    parser.add_argument("--study", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        study = digits(options.study or place / "digits")
        study.run(train)
        recorded = Recorded(study.folder)
        trained = sum(bool(r.reports) for r in recorded.records.values())
        print(f"{len(study.contenders)} losses, {trained} trainings, {recorded.seconds:.0f} s here")
        print("\n| processes | reports/s | median ms |\n|---|---|---|")
        alone = float("inf")
        for processes in (1, 2, 4, 8):
            many, each = reports(place / f"journal{processes}", processes)
            print(f"| {processes} | {many:.0f} | {each:.1f} |", flush=True)
            alone = min(alone, each)
        held = {"reporting": alone / 1000, "asking": asking(study)}
        print(f"\nOne report holds the journal for {alone:.1f} ms, asking for "
              f"{1000 * held['asking']:.0f} ms at the end of this study.")  # fmt: skip
        real(place)
        for epoch in options.epoch:
            scaling(recorded, epoch, held)


if __name__ == "__main__":
    main()
