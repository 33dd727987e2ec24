"""Which loss forgives wrong labels? Digits of which 40 % are labelled as another class.

python examples/noisy_labels.py [folder]

The study sees what one would have: its validation labels are wrong as often as those it trains on,
so that no accuracy can be much above 0.6. At the end the losses to keep and to switch to meet 597
untouched digits with right labels.
"""

import sys

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from lossmith import (
    ActivePassive,
    BiTempered,
    CrossEntropy,
    GeneralizedCrossEntropy,
    HardBootstrapping,
    JensenShannon,
    LossScheduler,
    Piecewise,
    Study,
    SymmetricCrossEntropy,
)

ROWS, WRONG, EPOCHS = 1200, 0.4, 20
LOSSES = {  # at the papers' numbers for ten classes
    "cross-entropy": CrossEntropy(),
    "hard bootstrapping": HardBootstrapping(),
    "generalized cross-entropy": GeneralizedCrossEntropy(),
    "the same, truncated later": GeneralizedCrossEntropy(
        k=Piecewise(((0.0, 0.0), (0.3, 0.5)), hold=True)
    ),
    "symmetric cross-entropy": SymmetricCrossEntropy(),
    "active-passive (NCE + RCE)": ActivePassive(),
    "Jensen-Shannon": JensenShannon(pi=0.9),
    "bi-tempered": BiTempered(t1=0.2, t2=2.0),
}


def load() -> tuple[Tensor, Tensor, Tensor]:
    """Return images (N, 64), their classes, and these with a share replaced by another class."""
    digits, random = load_digits(), torch.Generator().manual_seed(0)
    order = torch.randperm(len(digits.target), generator=random)
    truth = torch.tensor(digits.target)[order]
    wrong = torch.rand(len(truth), generator=random) < WRONG
    other = (truth + torch.randint(1, 10, truth.shape, generator=random)) % 10
    images = torch.tensor(digits.data / 16, dtype=torch.float32)[order]
    return images, truth, torch.where(wrong, other, truth)


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, loss: nn.Module, x: Tensor, y: Tensor
) -> None:
    """Train for one epoch."""
    for rows in torch.randperm(len(y)).split(100):
        optimizer.zero_grad()
        loss(model(x[rows]), y[rows]).backward()
        optimizer.step()


def start(learning_rate: float) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return a network that can learn all labels by heart, and its optimizer."""
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    return model, torch.optim.Adam(model.parameters(), lr=learning_rate)


def main(folder: str = "runs/noisy_labels") -> None:
    """Compare the losses on wrong labels, print the verdict, and how it fares on right ones."""
    images, truth, labels = load()
    x, y = images[:ROWS], labels[:ROWS]
    study = Study(
        folder,
        metric="accuracy",
        target=y,
        losses=LOSSES,
        default="cross-entropy",
        learning_rates=[1e-3, 4e-3],
        epochs=EPOCHS,
    )
    for trial in study:
        with trial.seeded():
            model, optimizer = start(trial.learning_rate)
            for _ in trial.epochs:  # tells a loss on a schedule where it is
                train(model, optimizer, trial.loss, x[trial.train], y[trial.train])
                if trial.report(outputs=model(x[trial.valid])):
                    break
    verdict = study.verdict()
    print(verdict)
    for name in dict.fromkeys([verdict.default, verdict.selected]):
        rate, epochs = study.best_setting(name)
        torch.manual_seed(0)
        model, optimizer = start(rate)
        loss = study.fitted(name, None)
        clock = LossScheduler(loss, total_steps=EPOCHS)
        for _ in range(epochs):
            train(model, optimizer, loss, x, y)
            clock.step()
        right = (model(images[ROWS:]).argmax(1) == truth[ROWS:]).float().mean()
        print(f"{name}: {right:.3f} of {len(truth) - ROWS} untouched digits right")


if __name__ == "__main__":
    main(*sys.argv[1:])
