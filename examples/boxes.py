"""Where is the digit? Box losses beside Smooth L1, judged by IoU.

python examples/boxes.py [folder]

Each of 600 images is a noisy canvas of 24 × 24 pixels with one scikit-learn digit somewhere, one to
two times its size; the box to be found is that of its ink. A small network gives a box's corners.
"""

import sys

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import interpolate

import lossmith
from lossmith import Study

COUNT, SIDE, EPOCHS = 600, 24, 10


def canvases(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return noisy canvases (N, 1, H, W) of one digit each, and the boxes of ink (N, 4)."""
    digits = torch.tensor(load_digits().images / 16, dtype=torch.float32)[:COUNT]
    generator = torch.Generator().manual_seed(seed)
    images, boxes = torch.zeros(len(digits), 1, SIDE, SIDE), torch.zeros(len(digits), 4)
    for image, box, digit in zip(images, boxes, digits, strict=True):
        size = int(torch.randint(8, 19, (), generator=generator))
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
            nn.Conv2d(1, 8, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(8, 16, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * (SIDE // 4) ** 2, 64),
            nn.ReLU(),
            nn.Linear(64, 4),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return x1, y1, x2, y2 in units of the canvas."""
        centre, size = self.layers(images).sigmoid().chunk(2, 1)
        return torch.cat([centre - size / 2, centre + size / 2], 1)


@torch.no_grad()
def iou(model: nn.Module, images: Tensor, boxes: Tensor) -> Tensor:
    """Return the intersection over union of each box."""
    return 1 - lossmith.functional.iou(model(images), boxes)


def main(folder: str = "runs/boxes") -> None:
    """Compare the losses on five folds, twice, and print the verdict."""
    images, boxes = canvases()
    smooth = lossmith.SmoothL1(beta=1 / 9)
    study = Study(
        folder,
        metric="mean IoU",
        better="higher",
        target=boxes,
        losses={
            "Smooth L1": smooth,
            "IoU": lossmith.IoU(),
            "GIoU": lossmith.GIoU(),
            "CIoU": lossmith.CIoU(),
            "Smooth L1 + GIoU": smooth + lossmith.GIoU(),
        },
        default="Smooth L1",
        learning_rates=[1e-3, 3e-3],
        epochs=EPOCHS,
    )
    for trial in study:
        with trial.seeded():
            model = Finder()
            optimizer = torch.optim.Adam(model.parameters(), lr=trial.learning_rate)
            trial.restore(model=model, optimizer=optimizer)
            for _ in trial.epochs:
                for part in torch.randperm(len(trial.train)).split(50):
                    rows = torch.as_tensor(trial.train)[part]
                    optimizer.zero_grad()
                    trial.loss(model(images[rows]), boxes[rows]).backward()
                    optimizer.step()
                trial.save(model=model, optimizer=optimizer)  # so that it may pause
                if trial.report(rows=iou(model, images[trial.valid], boxes[trial.valid])):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
