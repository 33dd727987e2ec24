"""Which loss finds the functions of a gene best: fourteen labels a row, judged by macro F1.

python examples/own_loop/multilabel.py [folder]

River's yeast set: 2,417 genes, 103 measurements and 14 functions each, 4 on average. A label is
given at a probability of ½, so that losses which raise the rare labels may gain.
"""

import sys

import torch
from river.datasets import Yeast
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from lossmith import Study


def load() -> tuple[Tensor, Tensor]:
    """Return measurements (N, 103) and labels (N, 14)."""
    rows = list(Yeast())
    x = torch.tensor([list(features.values()) for features, _ in rows])
    y = torch.tensor([[float(label) for label in labels.values()] for _, labels in rows])
    return x, y


def soft_macro_f1(logits: Tensor, target: Tensor) -> Tensor:
    """A loss of one's own: one less the F1 of each label by probabilities, averaged."""
    p = logits.sigmoid()
    hits = (p * target).sum(0)
    return 1 - (2 * hits / (p.sum(0) + target.sum(0)).clamp(min=1e-6)).mean()


def main(folder: str = "runs/own_loop/multilabel") -> None:
    """Compare the losses on five folds, twice, and print the verdict."""
    x, y = load()
    study = Study(
        folder,
        metric="f1_macro",
        target=y,
        losses=["binary_cross_entropy", "binary_focal", "asymmetric", "zlpr", soft_macro_f1],
        default="binary_cross_entropy",
        learning_rates=[1e-3, 4e-3],
        epochs=12,
        decode=torch.sigmoid,
    )
    for trial in study:
        with trial.seeded():
            scaler = StandardScaler().fit(x[trial.train])
            scaled = torch.tensor(scaler.transform(x), dtype=torch.float32)
            model = nn.Sequential(nn.Linear(103, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 14))
            optimizer = torch.optim.AdamW(model.parameters(), lr=trial.learning_rate)
            trial.restore(model=model, optimizer=optimizer)
            for _ in trial.epochs:
                model.train()
                for part in torch.randperm(len(trial.train)).split(100):
                    rows = torch.as_tensor(trial.train)[part]
                    optimizer.zero_grad()
                    trial.loss(model(scaled[rows]), y[rows]).backward()
                    optimizer.step()
                model.eval()
                trial.save(model=model, optimizer=optimizer)
                if trial.report(outputs=model(scaled[trial.valid])):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
