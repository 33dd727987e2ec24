"""How much do wrong labels cost, and which loss forgives them? Digits with 40 % wrong labels.

python examples/noisy_labels.py

A small network learns scikit-learn's digits from labels of which 40 % were replaced by another
class at random, long enough to learn them by heart. The table is the accuracy on untouched digits
with right labels, over two seeds, and the share of the wrong labels that were learnt.
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from lossmith import (
    ActivePassive,
    BiTempered,
    CrossEntropy,
    EarlyLearning,
    GeneralizedCrossEntropy,
    HardBootstrapping,
    JensenShannon,
    Loss,
    LossScheduler,
    Piecewise,
    SymmetricCrossEntropy,
)

ROWS, WRONG, EPOCHS, BATCH, SEEDS = 1200, 0.4, 40, 100, 2
STEPS = EPOCHS * ROWS // BATCH


def losses() -> dict[str, Loss]:
    """Return the losses to compare, at the papers' numbers for ten classes."""
    later = Piecewise(((0.0, 0.0), (0.3, 0.5)), hold=True)
    return {
        "cross-entropy": CrossEntropy(),
        "hard bootstrapping": HardBootstrapping(),
        "generalized cross-entropy": GeneralizedCrossEntropy(),
        "the same, truncated later": GeneralizedCrossEntropy(k=later),
        "symmetric cross-entropy": SymmetricCrossEntropy(),
        "active-passive (NCE + RCE)": ActivePassive(),
        "Jensen-Shannon": JensenShannon(pi=0.9),
        "bi-tempered": BiTempered(t1=0.2, t2=2.0),
        "early learning (ELR)": EarlyLearning(samples=ROWS, classes=10),
    }


def corrupted(labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return labels of which a share is another class, and where."""
    wrong = torch.rand(len(labels), generator=generator) < WRONG
    other = (labels + torch.randint(1, 10, labels.shape, generator=generator)) % 10
    return torch.where(wrong, other, labels), wrong


def train(loss: Loss, images: Tensor, labels: Tensor, seed: int) -> nn.Module:
    """Return a network trained under a loss; the same start and batches for every loss."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    clock = LossScheduler(loss, total_steps=STEPS)
    for _ in range(EPOCHS):
        for rows in torch.randperm(ROWS).split(BATCH):
            logits, target = model(images[rows]), labels[rows]
            remembers = isinstance(loss, EarlyLearning)
            value = loss(logits, {"classes": target, "indices": rows} if remembers else target)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            signals = {"logits": logits.detach(), "indices": rows} if remembers else {}
            clock.step(**signals)
    return model


def main() -> None:
    """Train under each loss and print what it kept and what it learnt by heart."""
    digits = load_digits()
    everything = torch.tensor(digits.data / 16, dtype=torch.float32)
    print(f"{'loss':32} {'accuracy':>9} {'wrong labels learnt':>20}")
    for name in losses():
        scores = []
        for seed in range(SEEDS):
            generator = torch.Generator().manual_seed(seed)
            order = torch.randperm(len(everything), generator=generator)
            images, truth = everything[order], torch.tensor(digits.target)[order]
            labels, wrong = corrupted(truth[:ROWS], generator)
            model = train(losses()[name], images[:ROWS], labels, seed)
            said = model(images).argmax(1)
            right = (said[ROWS:] == truth[ROWS:]).float().mean()
            learnt = (said[:ROWS] == labels)[wrong].float().mean()
            scores.append(torch.stack([right, learnt]))
        right, learnt = torch.stack(scores).mean(0).tolist()
        print(f"{name:32} {right:9.3f} {learnt:20.3f}")


if __name__ == "__main__":
    main()
