"""A small training loop, as users write theirs, with what can go wrong in one."""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo  # by optimizers; here once, rather than in every process
from sklearn.model_selection import KFold
from torch import nn

from lossmith.study.study import Study
from lossmith.study.trials.trial import Trial

ROWS = 120
DRAW = np.random.default_rng(0)
X = torch.tensor(DRAW.normal(size=(ROWS, 4)), dtype=torch.float32)
Y = X.sum(1) + torch.tensor(DRAW.standard_t(1.5, size=ROWS), dtype=torch.float32)


def study(address: Path | str | None, **more: Any) -> Study:
    """Return a study of four losses on five folds, with what is given besides or instead."""
    settings: dict[str, Any] = {
        "metric": "mae",
        "target": Y,
        "losses": ["mse", "huber", "log_cosh"],
        "default": "mse",
        "splits": list(KFold(5, shuffle=True, random_state=0).split(X)),
        "learning_rates": (0.01, 0.1),
        "epochs": 6,
    }
    return Study(address, **settings | more)


def train(trial: Trial, saves: bool = False, log: Path | None = None, pause: float = 0.0) -> None:
    """Train a net with dropout, shuffled batches and augmentation by numpy; report outputs."""
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=trial.learning_rate)
    trial.restore(model=model, optimizer=optimizer)
    for epoch in trial.epochs:
        if log is not None:
            with log.open("a") as file:
                file.write(f"{trial.id} {epoch}\n")
        time.sleep(pause)
        model.train()
        for rows in torch.as_tensor(trial.train)[torch.randperm(len(trial.train))].split(48):
            batch = X[rows] + 0.05 * torch.tensor(np.random.normal(size=(len(rows), 4))).float()
            optimizer.zero_grad()
            trial.loss(model(batch).squeeze(-1), Y[rows]).backward()
            optimizer.step()
        if saves:
            trial.save(model=model, optimizer=optimizer)
        model.eval()
        with torch.no_grad():
            outputs = model(X[trial.valid]).squeeze(-1)
        if trial.report(outputs=outputs):
            return


def work(folder: Path, **how: Any) -> None:
    """Train what a folder's study asks for, to its end."""
    torch.set_num_threads(1)
    study(folder).run(lambda trial: train(trial, **how))


def start(function: Callable[..., Any], *arguments: Any, **more: Any) -> BaseProcess:
    """Return a forked process that runs a function."""
    process = get_context("fork").Process(target=function, args=arguments, kwargs=more)
    process.start()
    return process


def work_with_kills(folder: Path, workers: int, kills: int, seed: int, **how: Any) -> int:
    """Let processes work on a study, some killed at random moments; return how many were."""
    draw, killed = np.random.default_rng(seed), 0
    running = [start(work, folder, **how) for _ in range(workers)]
    while any(process.exitcode != 0 for process in running):
        time.sleep(float(draw.uniform(0.02, 0.4)) if killed < kills else 0.02)
        place = int(draw.integers(workers))
        process = running[place]
        if killed < kills and process.exitcode is None:
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
            running[place] = start(work, folder, **how)
            killed += 1
        for process in running:
            if process.exitcode not in (None, 0):
                raise RuntimeError(f"a worker ended with {process.exitcode}")
    return killed
