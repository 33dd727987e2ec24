"""Which rows are one unit: copies of a row tell nothing of how well another row is predicted."""

from hashlib import blake2b

import numpy as np
import pandas as pd
import torch
from torch import Tensor


def same_features(features: pd.DataFrame) -> np.ndarray:
    """Return a code a row, equal where all features are."""
    return pd.util.hash_pandas_object(features, index=False).to_numpy()


def same_inputs(inputs: Tensor) -> np.ndarray:
    """Return a code a row, equal where all of a tensor's numbers are."""
    numbers = inputs.detach().cpu().contiguous().reshape(len(inputs), -1)
    rows = numbers.view(torch.uint8).numpy()
    return pd.factorize(np.array([blake2b(row, digest_size=16).digest() for row in rows]))[0]


def copies(inputs: np.ndarray, target: np.ndarray) -> np.ndarray | None:
    """Return a code a row, equal where inputs and target are, or None where all rows differ.

    None also where features are so coarse that equal rows are a matter of course: most rows then
    have the features of another with another target, and few targets recur.

    Args:
        inputs: a code a row, equal where all features are.
        target: (n,), or (n, T) of several targets.
    """
    columns = target.reshape(len(inputs), -1)
    table = pd.DataFrame(columns).assign(inputs=inputs)
    targets = table.groupby(list(range(columns.shape[1])), sort=False).ngroup().to_numpy()
    units = table.groupby(list(table), sort=False).ngroup().to_numpy()
    count = int(units.max()) + 1
    if count == len(units):
        return None
    by_features = pd.Series(targets).groupby(inputs)
    contradicted = (by_features.transform("nunique") > 1).mean()
    recurring = targets.max() + 1 <= count / 2 or by_features.ngroups == 1
    return None if recurring and contradicted > 0.5 else units


def units_by_class(classes: np.ndarray, units: np.ndarray | None) -> np.ndarray:
    """Return in how many units each class stands."""
    if units is None:
        return np.bincount(classes)
    return np.bincount(pd.DataFrame({"unit": units, "class": classes}).drop_duplicates()["class"])


def first_rows(units: np.ndarray | None, rows: int) -> np.ndarray:
    """Return one row of each unit; every row where all differ."""
    return np.arange(rows) if units is None else np.unique(units, return_index=True)[1]
