"""Is the default body good enough? Beside scikit-learn's MLP and histogram boosting.

    python bench/body.py [--seeds 3] > docs/body.md

Each table's rows are split 70 : 30. The body is what `lossmith.select` hands over when its only
candidate is the metric's default loss. scikit-learn's MLP sees the same encoded features and a
standardised target, with early stopping; histogram boosting has scikit-learn's defaults, its
categories native, and the loss of the metric where it has one. Nobody is tuned on the 30 %.
"""

import argparse
import statistics
import warnings

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from lossmith import select
from lossmith.study.candidates import candidates_for
from lossmith.study.data.encoder import Encoder
from lossmith.study.data.problem import frame_problem
from lossmith.study.metrics import metric as metric_for
from lossmith.study.metrics import shifted
from tables import TABLES, Table


def boosting_features(frame: pd.DataFrame) -> pd.DataFrame:
    """Return text as categories, the frequent ones where there are too many for boosting."""
    frame = frame.copy()
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            text = frame[name].astype(str)
            frequent = text.value_counts().index[:200]
            frame[name] = text.where(text.isin(frequent)).astype("category")
    return frame


def scores(table: Table, metric: str, seed: int) -> tuple[float, float, float]:
    """Return the score of the body, of scikit-learn's MLP and of boosting on the 30 %."""
    problem = frame_problem(table.frame(), table.target, metric=metric)
    regression = problem.task == "regression"
    measure = metric_for(metric, problem.task)
    rows = np.arange(len(problem.target))
    stratify = None if regression else problem.target
    train, test = train_test_split(rows, test_size=0.3, random_state=seed, stratify=stratify)
    frame = problem.features.iloc[train].assign(**{table.target: problem.target[train]})
    default = candidates_for(
        problem.task, measure, problem.target, len(problem.classes) or None, []
    ).default
    positive = 1 if problem.task == "binary" else None
    selection = select(
        frame,
        target=table.target,
        metric=metric,
        candidates=[default],
        seed=seed,
        task=problem.task,
        positive=positive,
    )
    features, target = problem.features, problem.target
    encoder = Encoder().fit(features.iloc[train])
    inputs = encoder.transform(features.iloc[train]), encoder.transform(features.iloc[test])
    native = boosting_features(features)
    if regression:
        mlp = TransformedTargetRegressor(
            MLPRegressor(
                hidden_layer_sizes=(100,), early_stopping=True, max_iter=500, random_state=seed
            ),
            transformer=StandardScaler(),
        ).fit(inputs[0], target[train])
        loss = "absolute_error" if metric == "mae" else "squared_error"
        boosting = HistGradientBoostingRegressor(
            loss=loss, categorical_features="from_dtype", random_state=seed
        ).fit(native.iloc[train], target[train])
        found = mlp.predict(inputs[1]), boosting.predict(native.iloc[test])
    else:
        weight = "balanced" if metric == "balanced_accuracy" else None
        mlp = MLPClassifier(
            hidden_layer_sizes=(100,), early_stopping=True, max_iter=500, random_state=seed
        ).fit(inputs[0], target[train])
        boosting = HistGradientBoostingClassifier(
            categorical_features="from_dtype", class_weight=weight, random_state=seed
        ).fit(native.iloc[train], target[train])
        found = mlp.predict_proba(inputs[1]), boosting.predict_proba(native.iloc[test])
    (own,) = selection.model.predict(features.iloc[test])
    decision = selection.outputs[0].decision
    return (
        measure.score(target[test], shifted(own, decision)),
        measure.score(target[test], found[0]),
        measure.score(target[test], found[1]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    print("| table | metric | lossmith's body | scikit-learn MLP | histogram boosting |")
    print("|---|---|---|---|---|")
    for table in TABLES:
        metric = table.metrics[0]
        found = [scores(table, metric, seed) for seed in range(options.seeds)]
        medians = [statistics.median(column) for column in zip(*found, strict=True)]
        row = " | ".join(f"{value:,.4g}" for value in medians)
        print(f"| {table.name} | {metric} | {row} |", flush=True)


if __name__ == "__main__":
    main()
