"""One trial over several ranks: rank 0 asks and reports, and a rank that fails ends the trial."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from sklearn.model_selection import KFold
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lossmith.study.study import Study
from lossmith.study.trials.trial import Trial
from shared.own_loop import X, Y


def study(address: str) -> Study:
    return Study(
        address,
        metric="mae",
        target=Y,
        losses=["mse", "huber", broken],
        default="mse",
        splits=list(KFold(5, shuffle=True, random_state=0).split(X)),
        learning_rates=[0.1],
        epochs=10,
    )


def broken(input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Fail on one of two ranks; the other waits for nobody."""
    if dist.get_rank() == dist.get_world_size() - 1:
        raise ArithmeticError("one rank fails")
    return (input - target).square().mean()


def train(trial: Trial) -> None:
    """Train on the rows of this rank; gradients are the mean over ranks."""
    body = nn.Linear(4, 1)
    model: Any = body if trial.name == "broken" else DistributedDataParallel(body)
    optimizer = torch.optim.SGD(model.parameters(), lr=trial.learning_rate)
    trial.restore(model=body, optimizer=optimizer)
    rows = torch.as_tensor(trial.train)[dist.get_rank() :: dist.get_world_size()]
    for _ in trial.epochs:
        optimizer.zero_grad()
        trial.loss(model(X[rows]).squeeze(-1), Y[rows]).backward()
        optimizer.step()
        trial.save(model=body, optimizer=optimizer)
        # What other ranks report does not count: it would be refused for its length.
        outputs = body(X[trial.valid]).squeeze(-1).detach() if dist.get_rank() == 0 else None
        if trial.report(outputs=outputs):
            break


def under_torchrun(place: Path, ranks: int) -> str:
    """Return what `lossmith work` says under torchrun."""
    command = ["torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", "-m"]
    command += ["lossmith.cli.main", "work", str(place), f"{__file__}:train", "--torchrun"]
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not dist.is_available(), reason="this torch has no torch.distributed")
def test_two_ranks_train_one_trial_together(tmp_path: Path) -> None:
    said = {ranks: under_torchrun(tmp_path / str(ranks), ranks) for ranks in (1, 2)}
    assert "broken@0.1#0: failed after epoch 1: " in said[2]
    one, two = (study(str(tmp_path / str(ranks))) for ranks in (1, 2))
    assert str(two.verdict()) == str(one.verdict())
    columns = ["loss", "fold", "epoch", "state"]
    frames = [s.frame().sort_values(columns).reset_index(drop=True) for s in (one, two)]
    assert frames[0][columns].equals(frames[1][columns])
    assert (frames[0].score - frames[1].score).abs().max() < 1e-4
    failed = [r.note for r in two.journal.facts().records.values() if r.state == "failed"]
    assert len(failed) == 1
    assert "one rank fails" in failed[0]
