"""The yardstick of the cost: an ordinary loop, timed beside the race."""

from functools import partial

import pytest
import torch

from lossmith.losses import MSE
from lossmith.study.training.budget import batches
from lossmith.study.training.timing import STEPS, WARM_UP, StepTimer, plain_steps

X = torch.randn(80, 3, generator=torch.Generator().manual_seed(0))
Y = X.sum(dim=1)


def test_it_learns() -> None:
    steps = plain_steps(MSE(), X, Y, rate=1e-2, batch=16, seed=0)
    models = [next(steps) for _ in range(300)]
    models[-1].eval()
    assert MSE()(models[-1](X).squeeze(-1), Y).item() < 0.2


def test_a_pace_is_the_mean_of_all_that_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 1.0, 10.0, 13.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    timer = StepTimer(MSE(), X, Y, partial(batches, len(X), 16))
    timer.measure()
    timer.measure()
    assert timer.count == 2 * STEPS
    assert timer.step == pytest.approx(4.0 / (2 * STEPS))
    assert WARM_UP > 0
    assert torch.equal(torch.rand(2), expected)
