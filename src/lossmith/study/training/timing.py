"""What the default alone would cost by plain sequential training, on the same folds."""

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from lossmith.core.loss import Loss
from lossmith.study.training.averaging import WeightAverage
from lossmith.study.training.budget import batches
from lossmith.study.training.heads import one_column
from lossmith.study.training.mlp import WIDTH
from lossmith.study.training.optimizer import AdamW
from lossmith.study.training.piecewise import PiecewiseLinear
from lossmith.study.training.stacked import WEIGHT_DECAY

WARM_UP = 10  # steps before the clock starts
STEPS = 10  # on the clock at a time


def plain_mlp(features: Tensor, out_features: int) -> nn.Sequential:
    """Return the default body for some training rows as one model, written as anyone would."""
    embedding = PiecewiseLinear.of(features.unsqueeze(0))
    return nn.Sequential(
        embedding,
        nn.Linear(features.shape[1] + embedding.added, WIDTH),
        nn.SiLU(),
        nn.Linear(WIDTH, WIDTH),
        nn.SiLU(),
        nn.Linear(WIDTH, out_features),
    )


def plain_steps(
    loss: Loss,
    features: Tensor,
    target: Tensor,
    *,
    rate: float,
    seed: int,
    batch: int = 0,
    shuffle: Callable[[torch.Generator], list[Tensor]] | None = None,
) -> Iterator[nn.Sequential]:
    """Train the default body on a loss in the ordinary loop; yield it after every step.

    shuffle: makes the batches of an epoch, of `batch` rows each if None.
    """
    shuffle = shuffle or partial(batches, len(target), batch)
    torch.manual_seed(seed)
    model = plain_mlp(features, loss.out_features)
    optimizer = AdamW(model.parameters(), lr=rate, weight_decay=WEIGHT_DECAY, fused=True)
    average, order = WeightAverage(model), torch.Generator().manual_seed(seed)
    while True:
        for index in shuffle(order):
            output = one_column(model(features[index]))
            optimizer.zero_grad()
            loss(output, target[index]).backward()
            optimizer.step()
            average.update(model)
            yield model


class StepTimer:
    """The time of one step of the ordinary loop, a few at a time while a study runs.

    A study and its yardstick are thus timed under the same load of the machine.
    """

    def __init__(
        self,
        loss: Loss,
        features: Tensor,
        target: Tensor,
        shuffle: Callable[[torch.Generator], list[Tensor]],
    ) -> None:
        self.steps = plain_steps(loss, features, target, rate=1e-3, seed=0, shuffle=shuffle)
        self.seconds, self.count = 0.0, 0
        self._run(WARM_UP)

    def measure(self) -> None:
        """Time a few steps more."""
        start = time.perf_counter()
        self._run(STEPS)
        self.seconds += time.perf_counter() - start
        self.count += STEPS

    def _run(self, steps: int) -> None:
        with torch.random.fork_rng(devices=[]):  # the user's random state is left alone
            for _ in range(steps):
                next(self.steps)

    @property
    def step(self) -> float:
        """Seconds of one step."""
        return self.seconds / self.count
