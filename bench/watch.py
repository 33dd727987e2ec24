"""What watching a loss costs a training step: interleaved steps with and without it, medians.

    python bench/watch.py [--steps 2000] [--every 100]

Two equal models take steps in turn, one of them watched; time is that of the processor on the one
thread that works. The medians are those of steps that are not watched, of watched ones that are not
read, and of those that are read; beside them what both cost on average over `every` steps.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

import lossmith

HEAD = "| model | loss | step, µs | not read | read | cost of a step not read | of a step |"


@dataclass(frozen=True)
class Case:
    """A model, its batch and a loss."""

    model: Callable[[], nn.Module]
    shape: tuple[int, ...]
    loss: Callable[[], nn.Module]

    def step(self, loss: nn.Module) -> Callable[[], float]:
        """Return a training step that says how long it took."""
        torch.manual_seed(0)
        model = self.model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        x, y = torch.randn(self.shape), torch.randint(10, self.shape[:1])

        def step() -> float:
            start = time.thread_time()
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
            return time.thread_time() - start

        return step


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))


def convolutional() -> nn.Module:
    first = nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2)
    then = nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    return nn.Sequential(*first, *then, nn.Linear(800, 10))


def hybrid() -> nn.Module:
    return lossmith.CrossEntropy() + lossmith.Focal() + lossmith.Poly1()


def cases() -> Mapping[tuple[str, str], Case]:
    """Return what is measured by the names of model and loss."""
    losses = {
        "CrossEntropy": lossmith.CrossEntropy,
        "torch's CrossEntropyLoss": nn.CrossEntropyLoss,
        "CrossEntropy + Focal + Poly1": hybrid,
    }
    sizes = {
        "two layers of 128, 128 rows": (small, (128, 128)),
        "two convolutions, 64 images of 28 × 28": (convolutional, (64, 1, 28, 28)),
    }
    return {(model, loss): Case(*sizes[model], losses[loss]) for model in sizes for loss in losses}


def measure(case: Case, steps: int, every: int) -> tuple[float, float, float]:
    """Return the medians in seconds: unwatched, watched and not read, watched and read."""
    watched = case.loss()
    handle = lossmith.watch(watched, every=every, to=None)
    plain, seen = case.step(case.loss()), case.step(watched)
    times: dict[str, list[float]] = {"plain": [], "idle": [], "read": []}
    for number in range(steps):
        took: dict[Callable[[], float], float] = {}
        for step in (plain, seen) if number % 2 else (seen, plain):
            took[step] = step()
        times["plain"].append(took[plain])
        times["read" if (handle.step - 1) % every == 0 else "idle"].append(took[seen])
    handle.remove()
    first, second, third = (statistics.median(times[name]) for name in ("plain", "idle", "read"))
    return first, second, third


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--every", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{HEAD}\n|{'---|' * HEAD.count('|')}"[:-4])
    for (model, loss), case in cases().items():
        plain, idle, read = measure(case, options.steps, options.every)
        whole = ((options.every - 1) * idle + read) / options.every
        cells = [f"{1e6 * part:.0f}" for part in (plain, idle, read)]
        cells += [f"{100 * (part / plain - 1):.1f} %" for part in (idle, whole)]
        print(f"| {model} | {loss} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
