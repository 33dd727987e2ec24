"""Which loss teaches an autoencoder what is normal, where anomalies are among its training rows.

python examples/applications/anomalies.py [folder] [--report] [--picture FILE]

Nine sensors of a process of the space shuttle (river's Shuttle, 49,097 readings, 7 % of them
anomalies). Nobody has cleaned the training rows: the autoencoder sees the anomalies too and must
not learn them. A reading is as strange as it is reconstructed badly, by mean absolute error,
whatever the loss. The study judges the losses by average precision on five folds of 20,000
readings, twice; then those that were measured in full, and PyOD's usual detectors, learn from all
20,000 and rank the others.

Welsch's loss, to which a large error counts no more than a middling one, is chosen: average
precision 0.72 with squared errors, 0.97 with it. On the untouched readings an isolation forest
does nearly as well and needs no network (0.967 and 0.959). And with more epochs every autoencoder
learns the anomalies too: Welsch's only later (the picture, on the left). Labels, which a plant
seldom has, chose the loss and when to stop.

Needs the extra `applications`.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold
from torch import Tensor, nn

import lossmith
from lossmith import Study

try:
    from pyod.models.ecod import ECOD
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN
    from pyod.models.lof import LOF
    from river.datasets import Shuttle
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is missing: pip install '.[applications]'")

ROWS, EPOCHS = 20_000, 8
DETECTORS: tuple[Callable[[], object], ...] = (lambda: IForest(random_state=0), ECOD, LOF, KNN)


def load() -> tuple[Tensor, np.ndarray]:
    """Return the readings (N, 9) and which of them are anomalies, in random order."""
    rows, labels = zip(*((list(x.values()), y) for x, y in Shuttle()), strict=True)
    order = np.random.default_rng(0).permutation(len(rows))
    return torch.tensor(rows, dtype=torch.float32)[order], np.array(labels, dtype=int)[order]


def scaled(x: Tensor, train: Tensor | np.ndarray) -> Tensor:
    """Return readings in quartile ranges from the median of some rows, ten at most."""
    low, middle, high = x[train].quantile(torch.tensor([0.25, 0.5, 0.75]), dim=0)
    return ((x - middle) / (high - low).clamp(min=1.0)).clamp(-10, 10)


class Autoencoder(nn.Sequential):
    """Nine sensors through four numbers."""

    def __init__(self) -> None:
        wide, narrow = 32, 4
        super().__init__(
            *(nn.Linear(9, wide), nn.ReLU(), nn.Linear(wide, narrow)),
            *(nn.Linear(narrow, wide), nn.ReLU(), nn.Linear(wide, 9)),
        )

    def epoch(self, x: Tensor, loss: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Train on every row once."""
        for part in torch.randperm(len(x)).split(256):
            optimizer.zero_grad()
            loss(self(x[part]), x[part]).backward()
            optimizer.step()

    @torch.no_grad()
    def strangeness(self, x: Tensor) -> Tensor:
        """Return how badly each row is reconstructed, from 0 to 1 as the metric wants it."""
        error = (self(x) - x).abs().mean(1)
        return error / (1 + error)


def started(loss: nn.Module, rate: float) -> tuple[Autoencoder, torch.optim.Optimizer]:
    """Return a new autoencoder and its optimizer, which learns the loss's own numbers too."""
    model = Autoencoder()
    return model, torch.optim.Adam(lossmith.parameter_groups(model, loss), lr=rate)


def compare(folder: str, x: Tensor, anomaly: np.ndarray) -> Study:
    """Let a study compare the losses by cross-validation."""
    study = Study(
        folder,
        metric="average_precision",
        losses=["mse", "mae", "huber", "cauchy", "geman_mcclure", "welsch", "adaptive_barron"],
        default="mse",
        splits=list(
            RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0).split(x, anomaly)
        ),
        learning_rates=[1e-3, 4e-3],
        epochs=EPOCHS,
    )
    for trial in study:
        with trial.seeded():
            model, optimizer = started(trial.loss, trial.learning_rate)
            trial.restore(model=model, optimizer=optimizer)
            seen = scaled(x, trial.train)
            for _ in trial.epochs:
                model.epoch(seen[trial.train], trial.loss, optimizer)
                trial.save(model=model, optimizer=optimizer)
                score = model.strangeness(seen[trial.valid])
                if trial.report(outputs=score, target=anomaly[trial.valid]):
                    break
    return study


def ranked(study: Study, x: Tensor, rows: int) -> dict[str, np.ndarray]:
    """Return how strange each finds the untouched readings after learning from all the others."""
    seen, found = scaled(x, np.arange(rows)), {}
    for one in study.verdict().candidates:
        if one.difference_to_default is None:
            continue
        torch.manual_seed(0)
        loss, (rate, epochs) = study.fitted(one.name, None), study.best_setting(one.name)
        model, optimizer = started(loss, rate)
        for _ in range(epochs):
            model.epoch(seen[:rows], loss, optimizer)
        found[f"autoencoder, {one.name}"] = model.strangeness(seen[rows:]).numpy()
    for build in DETECTORS:
        detector = build().fit(seen[:rows].numpy())
        found[type(detector).__name__] = detector.decision_function(seen[rows:].numpy())
    return found


def draw(study: Study, truth: np.ndarray, found: dict[str, np.ndarray], path: str) -> None:
    """Draw the study's scores by epoch, and precision over recall on untouched readings."""
    import matplotlib.pyplot as plt
    from PIL import Image
    from sklearn.metrics import precision_recall_curve

    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
    frame, selected = study.frame(), study.verdict().selected
    frame = frame[frame.learning_rate == 1e-3]
    for name, own in frame.groupby("loss"):
        mean = own.groupby("epoch").score.mean()
        left.plot(mean.index, mean, label=name, linewidth=2.5 if name == selected else 1)
    left.set(xlabel="epoch", ylabel="average precision on the folds", ylim=(0, 1))
    left.legend(fontsize=7)
    for name, score in found.items():
        precision, recall, _ = precision_recall_curve(truth, score)
        right.plot(recall[::50], precision[::50], label=name, linewidth=1)
    right.set(xlabel="recall", ylabel="precision on untouched readings", ylim=(0, 1.02))
    right.legend(fontsize=7)
    figure.savefig(path, dpi=80)
    Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(path)


def main(folder: str, report: bool = False, picture: str | None = None) -> None:
    """Compare the losses, print the verdict, and rank untouched readings beside PyOD."""
    x, anomaly = load()
    rows = min(ROWS, len(x) // 2)
    study = compare(folder, x[:rows], anomaly[:rows])
    print(study.verdict())
    truth, found = anomaly[rows:], ranked(study, x, rows)
    print(f"\n{len(truth):,} untouched readings          AUROC   average precision")
    for name, score in sorted(
        found.items(), key=lambda one: -average_precision_score(truth, one[1])
    ):
        precision = average_precision_score(truth, score)
        print(f" {name:<32} {roc_auc_score(truth, score):8.4f} {precision:12.3f}")
    if report:
        print(study.report())
    if picture:
        draw(study, truth, found, picture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", default=f"runs/applications/{Path(__file__).stem}")
    parser.add_argument("--report", action="store_true", help="write the study's report.html")
    parser.add_argument("--picture", metavar="FILE", help="draw the results")
    main(**vars(parser.parse_args()))
