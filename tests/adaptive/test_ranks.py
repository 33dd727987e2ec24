"""Adaptive losses over 2 and 4 processes: the same on every rank, and as in one process."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from lossmith import (
    DWA,
    MAE,
    MSE,
    AdaptiveBarron,
    CrossEntropy,
    Huber,
    Hybrid,
    Loss,
    LossScheduler,
    ModelWithLoss,
    OnlineLabelSmoothing,
    QuantileTracking,
    SoftAdapt,
    Tempered,
    Uncertainty,
    parameter_groups,
)

ROWS, STEPS = 8, 6
X = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(0))


class Both(nn.Module):
    """Two heads for a hybrid."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        out = self.head(x)
        return {"a": out[:, 0], "b": out[:, 1]}


def one_output() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))


CASES: dict[str, Callable[[], tuple[nn.Module, Loss]]] = {
    "quantile_tracking": lambda: (one_output(), QuantileTracking(Huber(), level=0.5)),
    "smoothing": lambda: (nn.Linear(3, 3), OnlineLabelSmoothing(classes=3)),
    "barron": lambda: (one_output(), AdaptiveBarron()),
    "temperature": lambda: (
        nn.Linear(3, 3),
        Tempered(CrossEntropy(), temperature=nn.Parameter(torch.tensor(1.0))),
    ),
    "uncertainty": lambda: (Both(), Hybrid(a=MSE(), b=MAE(), weighting=Uncertainty())),
    "dwa": lambda: (Both(), Hybrid(a=MSE(), b=MAE(), weighting=DWA())),
    "softadapt": lambda: (Both(), Hybrid(a=MSE(), b=MAE(), weighting=SoftAdapt())),
}


def target_of(name: str) -> Any:
    values = X.sum(1)
    if name in ("temperature", "smoothing"):
        return torch.arange(ROWS) % 3
    return values if name in ("quantile_tracking", "barron") else {"a": values, "b": 2 * values}


def rows_of(data: Any, rows: slice) -> Any:
    return {n: part[rows] for n, part in data.items()} if isinstance(data, dict) else data[rows]


def trained(name: str, rows: slice, wrap: Callable[[nn.Module], nn.Module]) -> list[float]:
    torch.manual_seed(0)
    both = ModelWithLoss(*CASES[name]())
    loss = both.loss
    optimizer = torch.optim.Adam(parameter_groups(both.model, loss), lr=0.05)
    clock = LossScheduler(loss, total_steps=STEPS, steps_per_epoch=2, optimizer=optimizer)
    trainer = wrap(both)
    target = rows_of(target_of(name), rows)
    for _ in range(STEPS):
        value, output = trainer(X[rows], target)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        signals = {"input": output, "target": target}
        if "terms" in clock.required_signals:
            signals["terms"] = loss.terms(output, target)
        clock.step(**{signal: signals[signal] for signal in clock.required_signals})
    return [x for v in both.state_dict().values() for x in v.double().flatten().tolist()]


def work(rank: int, ranks: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous{ranks}", rank=rank, world_size=ranks
    )
    size = ROWS // ranks
    wrap = nn.parallel.DistributedDataParallel
    rows = slice(rank * size, rank * size + size)
    states = {name: trained(name, rows, wrap) for name in CASES}
    Path(folder, f"{ranks}-{rank}.json").write_text(json.dumps(states), encoding="utf-8")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("ranks")
    for ranks in (2, 4):
        running = [
            subprocess.Popen(
                [sys.executable, __file__, str(rank), str(ranks), str(place)],
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(ranks)
        ]
        for one in running:
            _, told = one.communicate(timeout=300)
            assert one.returncode == 0, told
    return place


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("name", CASES)
def test_ranks_agree_and_equal_one_process(name: str, ranks: int, folder: Path) -> None:
    states = [
        json.loads((folder / f"{ranks}-{rank}.json").read_text())[name] for rank in range(ranks)
    ]
    assert all(state == states[0] for state in states)
    alone = trained(name, slice(None), lambda module: module)
    assert states[0] == pytest.approx(alone, rel=1e-4, abs=1e-5)


if __name__ == "__main__":
    work(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
