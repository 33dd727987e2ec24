"""Losses as estimators: scikit-learn's cross_val_score over skorch nets, judged from the scores.

python examples/own_loop/cross_validation.py

The progress of diabetes in 442 patients (scikit-learn). A net of skorch is an estimator like any
other, with the loss as its criterion, so pipelines, searches, splitters and scorers of scikit-learn
work as ever; here each loss finds its learning rate within the training folds. `lossmith.judge`
takes the scores that come out and gives them a study's paired test. Bare scores, one a fold, are
then all the evidence there is.
"""

from pathlib import Path

import torch
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV, RepeatedKFold, ShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import lossmith
from lossmith.integrations.skorch import NeuralNetRegressor

LOSSES = {
    "mse": lossmith.MSE,
    "mae": lossmith.MAE,
    "huber": lossmith.Huber,
    "log_cosh": lossmith.LogCosh,
}


def make_model() -> nn.Module:
    """Return a network of one number a row."""
    return nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1), nn.Flatten(0))


def estimator(loss: type[lossmith.Loss]) -> GridSearchCV:
    """Return a net that trains under a loss, on scaled columns and targets, at its best rate."""
    net = NeuralNetRegressor(
        make_model,
        criterion=loss,
        optimizer=torch.optim.Adam,
        max_epochs=20,
        batch_size=32,
        train_split=None,
        verbose=0,
    )
    scaled = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), net), transformer=StandardScaler()
    )
    return GridSearchCV(
        scaled,
        {"regressor__neuralnetregressor__lr": [3e-3, 1e-2]},
        scoring="neg_mean_absolute_error",
        cv=ShuffleSplit(1, test_size=0.25, random_state=0),
    )


def main() -> None:
    """Score each loss on five folds, twice, and print the verdict."""
    x, y = load_diabetes(return_X_y=True)
    x, y = x.astype("float32"), y.astype("float32")
    folds = RepeatedKFold(n_splits=5, n_repeats=2, random_state=0)
    table: dict[str, list] = {"loss": [], "fold": [], "score": []}
    for name, loss in LOSSES.items():
        torch.manual_seed(0)  # the same weights and batches for every loss
        scores = cross_val_score(estimator(loss), x, y, cv=folds, scoring="neg_mean_absolute_error")
        table["loss"] += [name] * len(scores)
        table["fold"] += range(len(scores))
        table["score"] += (-scores).tolist()
    verdict = lossmith.judge(table, default="mse", better="lower", metric="mae", train_share=0.8)
    print(verdict)
    verdict.write(Path("cross_validation.html"))  # the report


if __name__ == "__main__":
    main()
