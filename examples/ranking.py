"""Lists put in order: ranking losses beside regression on the grades, judged by NDCG.

python examples/ranking.py [folder]

There is no small public set of real queries that installs from a registry, so the lists are made:
ten images of scikit-learn's digits each, the grade of an image is its digit modulo 5. A linear
scorer cannot solve it. No image is in two lists, and training draws its lists from the training
folds' images alone.
"""

import sys

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from lossmith import Study

LENGTH, BATCH, EPOCHS, STEPS = 10, 32, 12, 10


def load() -> tuple[Tensor, Tensor]:
    """Return lists of images (L, 10, 64) and their grades (L, 10)."""
    digits = load_digits()
    order = torch.randperm(1790, generator=torch.Generator().manual_seed(0))
    images = torch.tensor(digits.data / 16, dtype=torch.float32)[order]
    grades = torch.tensor(digits.target % 5)[order]
    return images.reshape(-1, LENGTH, 64), grades.reshape(-1, LENGTH)


def main(folder: str = "runs/ranking") -> None:
    """Compare the losses on five folds, twice, and print the verdict."""
    images, grades = load()
    study = Study(
        folder,
        metric="ndcg",
        target=grades,
        losses=["mse", "ranknet", "listnet", "listmle", "lambda_loss", "approx_ndcg"],
        default="mse",
        learning_rates=[3e-3, 1e-2],
        epochs=EPOCHS,
    )
    for trial in study:
        with trial.seeded():
            model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1), nn.Flatten(-2))
            optimizer = torch.optim.Adam(model.parameters(), lr=trial.learning_rate)
            x, y = images[trial.train].flatten(0, 1), grades[trial.train].flatten()
            for _ in trial.epochs:
                for _ in range(STEPS):
                    rows = torch.randint(len(y), (BATCH, LENGTH))
                    optimizer.zero_grad()
                    trial.loss(model(x[rows]), y[rows]).backward()
                    optimizer.step()
                if trial.report(outputs=model(images[trial.valid])):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
