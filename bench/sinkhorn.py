"""What SinkhornDivergence's default costs, and how far it is from an annealing in small steps.

python bench/sinkhorn.py
"""

import statistics
import time

import torch
from torch import Tensor

from lossmith import SinkhornDivergence

ROWS, FEATURES, REPEATS = (20, 50, 100, 200, 300), 3, 5


def found(x: Tensor, y: Tensor, scaling: float) -> tuple[float, Tensor, float]:
    """Return the value, the gradient and the seconds of both."""
    leaf = x.clone().requires_grad_()
    start = time.perf_counter()
    value = SinkhornDivergence(scaling=scaling)(leaf, y)
    (slope,) = torch.autograd.grad(value, leaf)
    return value.item(), slope, time.perf_counter() - start


def main() -> None:
    """Print a row for each number of samples."""
    torch.set_num_threads(1)
    print("| rows | value off by | gradient off by | ms |\n| --- | --- | --- | --- |")
    for rows in ROWS:
        generator = torch.Generator().manual_seed(0)
        x, y = torch.randn(2, rows, FEATURES, generator=generator, dtype=torch.float64)
        right, exact, _ = found(x, y + 0.5, 0.9)
        runs = [found(x, y + 0.5, 0.5) for _ in range(REPEATS)]
        value, slope, _ = runs[0]
        apart = ((slope - exact).norm() / exact.norm()).item()
        milliseconds = 1e3 * statistics.median(seconds for *_, seconds in runs)
        print(f"| {rows} | {abs(value / right - 1):.0e} | {apart:.0e} | {milliseconds:.0f} |")


if __name__ == "__main__":
    main()
