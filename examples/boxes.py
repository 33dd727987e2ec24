"""Where is the digit? Box losses beside Smooth L1, judged by IoU.

python examples/boxes.py

Each image is a noisy canvas of 32 × 32 pixels with one scikit-learn digit somewhere, one to three
times its size; the box to be found is that of its ink. The same small network is trained from the
same starts with each loss on the four corners' coordinates.
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import interpolate

import lossmith

SIDE, EPOCHS, SEEDS = 32, 15, 2


def canvases(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return noisy canvases (N, 1, H, W) of one digit each, and the boxes of ink (N, 4)."""
    digits = torch.tensor(load_digits().images / 16, dtype=torch.float32)[:1400]
    generator = torch.Generator().manual_seed(seed)
    images, boxes = torch.zeros(len(digits), 1, SIDE, SIDE), torch.zeros(len(digits), 4)
    for image, box, digit in zip(images, boxes, digits, strict=True):
        size = int(torch.randint(8, 25, (), generator=generator))
        row, column = torch.randint(SIDE - size + 1, (2,), generator=generator).tolist()
        ink = interpolate(digit[None, None], size=(size, size), mode="bilinear")[0, 0]
        image[0, row : row + size, column : column + size] = ink
        down, across = (image[0] > 0.3).nonzero(as_tuple=True)
        box[:] = torch.stack([across.min(), down.min(), across.max() + 1, down.max() + 1])
    return images + 0.3 * torch.randn(images.shape, generator=generator), boxes / SIDE


class Finder(nn.Module):
    """A small convolutional network that gives a box's centre and size, returned as corners."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 12, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(12, 24, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(24 * (SIDE // 4) ** 2, 64),
            nn.ReLU(),
            nn.Linear(64, 4),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return x1, y1, x2, y2 in units of the canvas."""
        centre, size = self.layers(images).sigmoid().chunk(2, 1)
        return torch.cat([centre - size / 2, centre + size / 2], 1)


def train(loss: lossmith.Loss, images: Tensor, boxes: Tensor, seed: int) -> nn.Module:
    """Return the network trained with a loss."""
    torch.manual_seed(seed)
    model = Finder()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(50):
            optimizer.zero_grad()
            loss(model(images[rows]), boxes[rows]).backward()
            optimizer.step()
    return model


@torch.no_grad()
def scores(model: nn.Module, images: Tensor, boxes: Tensor) -> Tensor:
    """Return the mean IoU and the share of boxes above 0.75."""
    shared = 1 - lossmith.functional.iou(model(images), boxes)
    return torch.stack([shared.mean(), (shared > 0.75).float().mean()])


def main() -> None:
    """Train with each loss from the same starts and print the IoU on untouched canvases."""
    images, boxes = canvases()
    fit, test = slice(1000), slice(1000, None)
    same = boxes[fit].mean(0).expand_as(boxes[test])
    always = 1 - lossmith.functional.iou(same, boxes[test])
    print(f"{'the mean box always':20} IoU {always.mean():.3f}")
    losses = {
        "Smooth L1": lossmith.SmoothL1(beta=1 / 9),
        "IoU": lossmith.IoU(),
        "GIoU": lossmith.GIoU(),
        "CIoU": lossmith.CIoU(),
        "Smooth L1 + GIoU": lossmith.SmoothL1(beta=1 / 9) + lossmith.GIoU(),
    }
    for name, loss in losses.items():
        runs = [
            scores(train(loss, images[fit], boxes[fit], seed), images[test], boxes[test])
            for seed in range(SEEDS)
        ]
        mean, spread = torch.stack(runs).mean(0), torch.stack(runs).std(0)
        print(
            f"{name:20} IoU {mean[0]:.3f} ± {spread[0]:.3f}, above 0.75: {mean[1]:.1%} "
            f"over {SEEDS} starts"
        )


if __name__ == "__main__":
    main()
