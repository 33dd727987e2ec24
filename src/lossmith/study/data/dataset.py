"""A user's own data: what is read of it, and everything that can be wrong with it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from lossmith.core.card import Task
from lossmith.study.data.units import copies, first_rows, same_inputs
from lossmith.study.errors import InputError
from lossmith.study.metrics import lookup

MINIMUM_ROWS = 50


@dataclass(frozen=True, kw_only=True)
class SupervisedDataset:
    """A dataset with its targets in memory; inputs are read batch by batch."""

    dataset: Any
    target: np.ndarray
    task: Task
    classes: int

    @cached_property
    def units(self) -> np.ndarray | None:
        """Which samples of a pair of tensors are copies of one; a dataset is not read for it."""
        return None if self.alike is None else copies(self.alike, self.target)

    @cached_property
    def alike(self) -> np.ndarray | None:
        """A code a sample, equal where inputs are; None where they are not in memory."""
        plain = isinstance(self.dataset, TensorDataset) and not self.dataset.tensors[0].is_sparse
        if not plain or not self.dataset.tensors[0].numel():
            return None
        return same_inputs(self.dataset.tensors[0])

    @classmethod
    def of(cls, train: Any, task: Task | None, metric: str) -> "SupervisedDataset":
        """Read the targets of a map-style dataset or of a pair of tensors.

        Raises:
            InputError: if the data is neither, too small, or its targets do not fit the metric.
        """
        dataset = _dataset(train)
        target = _targets(dataset)
        if len(target) < MINIMUM_ROWS:
            raise InputError(f"train has {len(target)} samples; a study needs {MINIMUM_ROWS}")
        whole = not np.issubdtype(target.dtype, np.floating)
        regression = task == "regression" or (task is None and "regression" in lookup(metric).tasks)
        if regression and (target == target[0]).all():
            raise InputError(f"every target is {target[0]:g}; there is nothing to learn")
        lookup(metric).check(target)
        if regression:
            found = cls(dataset=dataset, target=target.astype(float), task="regression", classes=0)
            return found._checked()
        if not whole or target.min() < 0:
            raise InputError(f"classes must be integers from 0, got targets of {target.dtype}")
        counts = np.bincount(target)
        if len(counts) < 2 or counts.min() < 5:
            raise InputError(
                f"class {int(counts.argmin())} has {counts.min()} samples; a study needs 5 of each"
            )
        kind: Task = "binary" if len(counts) == 2 else "multiclass"
        codes = target.astype(int)
        return cls(dataset=dataset, target=codes, task=kind, classes=len(counts))._checked()

    def _checked(self) -> Self:
        """Refuse samples that are enough only because they are copies of a few."""
        first = first_rows(self.units, len(self.target))
        counts = np.bincount(self.target[first]) if self.classes else np.array([MINIMUM_ROWS])
        if len(first) < MINIMUM_ROWS or counts.min() < 5:
            raise InputError(
                f"train has {len(self.target)} samples, but only {len(first)} differ; "
                f"a study needs {MINIMUM_ROWS} that do, and 5 of each class"
            )
        return self

    def inputs(self, rows: np.ndarray, size: int) -> Iterator[Any]:
        """Yield the inputs of some rows in batches, in order."""
        if isinstance(self.dataset, TensorDataset):
            for part in torch.as_tensor(rows).split(size):
                yield self.dataset.tensors[0][part]
            return
        subset, unused = Subset(self.dataset, rows.tolist()), torch.Generator()
        for batch in DataLoader(subset, batch_size=size, generator=unused):
            yield batch[0]


def _dataset(train: Any) -> Any:
    if isinstance(train, Dataset):
        if isinstance(train, IterableDataset) or not hasattr(train, "__len__"):
            raise InputError("train must be a map-style dataset; an iterable one has no rows")
        return train
    if isinstance(train, (tuple, list)) and len(train) == 2:
        inputs, target = (torch.as_tensor(part) for part in train)
        if len(inputs) != len(target):
            raise InputError(f"train has {len(inputs)} inputs but {len(target)} targets")
        return TensorDataset(inputs, target)
    raise InputError(
        "train must be a map-style dataset of (input, target) or a pair of tensors, "
        f"got {type(train).__name__}"
    )


def _pair(sample: Any) -> Any:
    if isinstance(sample, (tuple, list)) and len(sample) > 1:
        return sample
    raise InputError(f"train must give (input, target) for a sample, got a {type(sample).__name__}")


def _targets(dataset: Any) -> np.ndarray:
    if isinstance(dataset, TensorDataset):
        target = dataset.tensors[1].numpy()
    else:
        target = np.array([np.asarray(_pair(dataset[i])[1]) for i in range(len(dataset))])
    if target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    if target.ndim != 1:
        raise InputError(f"train must give one target a sample, got shape {target.shape[1:]}")
    if target.dtype.kind not in "buif":
        raise InputError(f"train must give targets that are numbers, got {target.dtype}")
    if not np.isfinite(target).all():
        raise InputError("train holds targets that are NaN or infinite; remove those samples")
    return target
