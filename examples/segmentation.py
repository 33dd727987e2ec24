"""Dice beside cross-entropy where the object is small: digits in noise, judged by IoU.

python examples/segmentation.py

Each image is a canvas with one scikit-learn digit somewhere in strong noise; the mask to be found
is the digit's ink, 5 % of the pixels. The same small network is trained briefly from the same
start with each loss. Its pixels are cut at a probability of ½, as they would be in use.
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import lossmith

SIDE, EPOCHS, SEEDS = 20, 8, 2


def canvases(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return noisy canvases (N, 1, H, W) of one digit each, and the masks of ink (N, H, W)."""
    digits = torch.tensor(load_digits().images / 16, dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    clean = torch.zeros(len(digits), SIDE, SIDE)
    corners = torch.randint(SIDE - 8, (len(digits), 2), generator=generator).tolist()
    for canvas, digit, (row, column) in zip(clean, digits, corners, strict=True):
        canvas[row : row + 8, column : column + 8] = digit
    noise = torch.randn(clean.shape, generator=generator)
    return (clean + 0.5 * noise).unsqueeze(1), (clean > 0.5).float()


def make_model() -> nn.Module:
    """Return a fresh network of one logit a pixel."""
    return nn.Sequential(
        nn.Conv2d(1, 12, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(12, 12, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(12, 1, 5, padding=2),
        nn.Flatten(1, 2),
    )


def train(loss: lossmith.Loss, images: Tensor, masks: Tensor, seed: int) -> nn.Module:
    """Return the network trained with a loss."""
    torch.manual_seed(seed)
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            loss(model(images[rows]), masks[rows]).backward()
            optimizer.step()
    return model


@torch.no_grad()
def iou(model: nn.Module, images: Tensor, masks: Tensor) -> float:
    """Return the mean over images of intersection over union, at a probability of ½."""
    found, true = model(images) > 0, masks > 0.5
    shared, either = (found & true).flatten(1).sum(1), (found | true).flatten(1).sum(1)
    return (shared / either.clamp(min=1)).mean().item()


def main() -> None:
    """Train with each loss from the same starts and print the IoU on untouched canvases."""
    images, masks = (part[:1000] for part in canvases())
    fit, test = slice(700), slice(700, None)
    print(f"{masks.mean():.1%} of the pixels are ink")
    losses = {
        "cross-entropy": lossmith.BinaryCrossEntropy(),
        "Dice": lossmith.BinaryDice(),
        "cross-entropy + Dice": lossmith.BinaryCrossEntropy() + lossmith.BinaryDice(),
        "cross-entropy + Lovász": lossmith.BinaryCrossEntropy() + lossmith.LovaszHinge(),
    }
    for name, loss in losses.items():
        scores = torch.tensor(
            [
                iou(train(loss, images[fit], masks[fit], seed), images[test], masks[test])
                for seed in range(SEEDS)
            ]
        )
        print(f"{name:24} IoU {scores.mean():.3f} ± {scores.std():.3f} over {SEEDS} starts")


if __name__ == "__main__":
    main()
