"""Is the default body good enough? Beside boosting, RealMLP and CatBoost on the same rows.

    pip install pytabkit catboost; pip install --no-deps ISLP   # the peers, and one of the tables
    python bench/body.py --out bench/results/body.jsonl [--seeds 3] [--drawn 20]
    python bench/body.py --table bench/results/body.jsonl > docs/body.md

Each table's rows are split 70 : 30; nobody is tuned on the 30 %. The tables are those that the
study was developed on, ISLP's Bikeshare, and the first tables of unseen.py's draw whose target
boosting predicts on the 70 % in part, and not wholly. What the file holds is not done again.
"""

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import cross_val_predict, train_test_split

from body_table import render
from lossmith import select
from lossmith.study.candidates import candidates_for
from lossmith.study.data.problem import Problem, frame_problem
from lossmith.study.metrics import Metric, shifted
from lossmith.study.metrics import metric as metric_for
from resume import Lines, resumed
from tables import TABLES, Table
from unseen import draw, names

LEARNABLE = {True: (0.2, 0.99), False: (0.1, 0.99)}  # of numbers R², of classes that of log loss
BIKESHARE = "islp/Bikeshare"
# Metrics of probabilities, for which label smoothing is no help, and how pytabkit calls them.
SHARP = {"log_loss": "cross_entropy", "balanced_accuracy": "cross_entropy", "auroc": "1-auc_ovr"}
LOOKED_AT = 70  # tables of the draw, at most


@dataclass(frozen=True)
class Rows:
    """A problem's rows, for training and held out."""

    problem: Problem
    measure: Metric
    train: np.ndarray
    test: np.ndarray
    seed: int

    @property
    def regression(self) -> bool:
        """Whether the target is a number."""
        return self.problem.task == "regression"

    @property
    def target(self) -> np.ndarray:
        """The target of the rows for training."""
        return self.problem.target[self.train]

    def balanced(self, found: np.ndarray) -> np.ndarray:
        """Return probabilities under classes of equal size where the metric asks for it."""
        if self.measure.name != "balanced_accuracy":
            return found
        even = found / np.bincount(self.target)
        return even / even.sum(axis=1, keepdims=True)


def boosting_features(frame: pd.DataFrame) -> pd.DataFrame:
    """Return text as categories, the frequent ones where there are too many for boosting."""
    frame = frame.copy()
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            text = frame[name].astype(str)
            frequent = text.value_counts().index[:200]
            frame[name] = text.where(text.isin(frequent)).astype("category")
    return frame


def lossmith(rows: Rows) -> np.ndarray:
    """Return what `select` hands over when its only candidate is the metric's default loss."""
    problem, measure = rows.problem, rows.measure
    frame = problem.features.iloc[rows.train].assign(**{"the target": rows.target})
    classes = len(problem.classes) or None
    default = candidates_for(problem.task, measure, problem.target, classes, []).default
    selection = select(
        frame,
        target="the target",
        metric=measure.name,
        candidates=[default],
        seed=rows.seed,
        task=problem.task,
        positive=1 if problem.task == "binary" else None,
        groups=False,
    )
    print(f"    {selection.result.sentence} {selection.result.cost.seconds:.0f} s", flush=True)
    (own,) = selection.model.predict(problem.features.iloc[rows.test])
    return shifted(own, selection.outputs[0].decision)


def boosting(rows: Rows) -> np.ndarray:
    """Return what histogram boosting predicts, its categories native, with the metric's loss."""
    native = boosting_features(rows.problem.features)
    model: HistGradientBoostingRegressor | HistGradientBoostingClassifier
    shared = {"categorical_features": "from_dtype", "random_state": rows.seed}
    if rows.regression:
        loss = "absolute_error" if rows.measure.name == "mae" else "squared_error"
        model = HistGradientBoostingRegressor(loss=loss, **shared)
    else:
        weight = "balanced" if rows.measure.name == "balanced_accuracy" else None
        model = HistGradientBoostingClassifier(class_weight=weight, **shared)
    return _predicted(model.fit(native.iloc[rows.train], rows.target), native.iloc[rows.test])


def realmlp(rows: Rows) -> np.ndarray:
    """Return what RealMLP-TD-S predicts, told the metric where it knows it; gaps are medians."""
    from pytabkit import RealMLP_TD_S_Classifier, RealMLP_TD_S_Regressor

    native = boosting_features(rows.problem.features)
    numbers = native.select_dtypes("number").columns
    native[numbers] = native[numbers].astype(float)
    for name in numbers[native[numbers].isna().any()]:
        native[f"{name} is missing"] = native[name].isna().astype(float)
        middle = native[name].iloc[rows.train].median()
        native[name] = native[name].fillna(0.0 if np.isnan(middle) else middle)
    shared = {"random_state": rows.seed, "device": "cpu", "n_threads": 1}
    if rows.regression:
        model = RealMLP_TD_S_Regressor(**shared)
    else:
        told = SHARP.get(rows.measure.name)
        sharp = {} if told is None else {"val_metric_name": told, "use_ls": False}
        model = RealMLP_TD_S_Classifier(**shared, **sharp)
    model.fit(native.iloc[rows.train], rows.target)
    return rows.balanced(_predicted(model, native.iloc[rows.test]))


def catboost(rows: Rows) -> np.ndarray:
    """Return what CatBoost predicts, with the metric's loss."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    native = boosting_features(rows.problem.features)
    texts = native.select_dtypes("category").columns
    native[texts] = native[texts].astype(object).fillna("missing").astype(str)
    shared = {"random_seed": rows.seed, "thread_count": 1, "verbose": False}
    shared |= {"allow_writing_files": False, "cat_features": [*texts]}
    if rows.regression:
        loss = "MAE" if rows.measure.name == "mae" else "RMSE"
        model = CatBoostRegressor(loss_function=loss, **shared)
    else:
        weight = "Balanced" if rows.measure.name == "balanced_accuracy" else None
        model = CatBoostClassifier(auto_class_weights=weight, **shared)
    return _predicted(model.fit(native.iloc[rows.train], rows.target), native.iloc[rows.test])


MODELS: dict[str, Callable[[Rows], np.ndarray]] = {
    "boosting": boosting,
    "lossmith": lossmith,
    "RealMLP-TD-S": realmlp,
    "CatBoost": catboost,
}


def _predicted(model, features: pd.DataFrame) -> np.ndarray:
    found = model.predict_proba(features) if hasattr(model, "predict_proba") else None
    return np.asarray(model.predict(features) if found is None else found, dtype=float)


def bikeshare() -> pd.DataFrame:
    """Return ISLP's table without the two columns that sum to the target."""
    spec = importlib.util.find_spec("ISLP")
    folder = Path(spec.submodule_search_locations[0])  # importing it asks for much else
    frame = pd.read_csv(folder / "data" / "Bikeshare.csv")
    return frame.drop(columns=["casual", "registered", "Unnamed: 0"], errors="ignore")


def drawn(package: str, item: str) -> tuple[pd.DataFrame, str, str] | None:
    """Return a table of the draw, its target and metric."""
    found = draw(package, item, np.random.default_rng(sum(map(ord, package + item))))
    return None if found is None else (found[0], found[1], found[3])


def table_of(name: str) -> tuple[pd.DataFrame, str, str]:
    """Return a table by name, its target and metric."""
    if name == BIKESHARE:
        return bikeshare(), "bikers", "rmse"
    known: dict[str, Table] = {table.name: table for table in TABLES}
    if name in known:
        return known[name].frame(), known[name].target, known[name].metrics[0]
    return drawn(*name.split("/"))


def rows_of(name: str, seed: int) -> Rows:
    """Return a table's rows, split 70 : 30."""
    frame, target, metric = table_of(name)
    problem = frame_problem(frame, target, metric=metric)
    stratify = None if problem.task == "regression" else problem.target
    every = np.arange(len(problem.target))
    train, test = train_test_split(every, test_size=0.3, random_state=seed, stratify=stratify)
    return Rows(problem, metric_for(metric, problem.task), train, test, seed)


def skill(job: tuple[str]) -> Lines:
    """Return how much of a drawn target boosting predicts on the 70 %, cross-validated."""
    warnings.filterwarnings("ignore")
    (name,) = job
    if drawn(*name.split("/")) is None:
        return [{"drawn": name, "skill": 0.0, "number": False}]
    rows = rows_of(name, 0)
    features, target = boosting_features(rows.problem.features).iloc[rows.train], rows.target
    shared = {"categorical_features": "from_dtype", "random_state": 0}
    if rows.regression:
        found = cross_val_predict(HistGradientBoostingRegressor(**shared), features, target, cv=3)
        value = 1 - ((target - found) ** 2).mean() / target.var()
    else:
        model = HistGradientBoostingClassifier(**shared)
        found = cross_val_predict(model, features, target, cv=3, method="predict_proba")
        chances, share = found[np.arange(len(target)), target], np.bincount(target) / len(target)
        value = 1 - np.log(chances.clip(1e-15)).mean() / (share * np.log(share)).sum()
    return [{"drawn": name, "skill": float(value), "number": rows.regression}]


def learnable(out: Path, count: int) -> list[str]:
    """Return the first tables of the draw with a target to learn."""
    file = out.with_name(f"{out.stem}_drawn.jsonl")
    jobs = [("/".join(pair),) for pair in names()[:LOOKED_AT]]
    for _ in resumed(skill, jobs, ("drawn",), file, 1):
        pass
    lines = pd.read_json(file, lines=True).itertuples()
    fits = (line.drawn for line in lines if _fits(line.skill, bool(line.number)))
    return list(fits)[:count]


def _fits(skill: float, number: bool) -> bool:
    low, high = LEARNABLE[number]
    return low <= skill <= high


def fit(job: tuple[str, int, str]) -> Lines:
    """Train one model on one table; return its line."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    name, seed, model = job
    rows = rows_of(name, seed)
    start = time.process_time()
    found = MODELS[model](rows)
    score = rows.measure.score(rows.problem.target[rows.test], found)
    line = {"table": name, "seed": seed, "model": model, "metric": rows.measure.name}
    line |= {"rows": len(rows.train), "better": rows.measure.better, "score": float(score)}
    return [line | {"cpu": time.process_time() - start}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench/results/body.jsonl"))
    parser.add_argument("--table", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--drawn", type=int, default=20)
    parser.add_argument("--models", default=",".join(MODELS))
    options = parser.parse_args()
    if options.table is not None:
        print(render(options.table))
        return
    tables = [BIKESHARE, *(table.name for table in TABLES), *learnable(options.out, options.drawn)]
    models, seeds = options.models.split(","), range(options.seeds)
    wanted = [(name, seed, model) for model in models for name in tables for seed in seeds]
    for done, lines in resumed(fit, wanted, ("table", "seed", "model"), options.out, 1):
        for line in lines:
            print(done, line["table"], line["model"], f"{line['score']:.5g}", flush=True)


if __name__ == "__main__":
    main()
