"""A user's own data: what is read of it, and everything that can be wrong with it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from lossmith.core.card import Task
from lossmith.core.loss import Loss
from lossmith.study.base.errors import InputError
from lossmith.study.data.problem import MINIMUM_ROWS
from lossmith.study.data.units import copies, first_rows, same_inputs
from lossmith.study.metrics import Metric
from lossmith.study.metrics.study_metric import StudyMetric
from lossmith.study.tasks import ROW_TASKS, ArrayTask, array_task, table_task

Augment = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # of inputs and targets
LOOKED_AT = 8  # samples that are read twice, to see whether validation rows stand still


@dataclass(frozen=True, kw_only=True)
class SupervisedDataset:
    """A dataset with its targets in memory; inputs are read batch by batch.

    dataset: what training reads. valid: the same rows as they are judged, without augmentation.
    task: None where targets are of a kind that tables do not have; classes: of class targets.
    """

    dataset: Any
    valid: Any
    target: np.ndarray
    task: Task | None
    classes: int
    collate: Callable[[list[Any]], Any] | None = None
    workers: int = 0  # of a loader
    augment: Augment | None = None  # of a pair of tensors, batch by batch as they train
    other: ArrayTask | None = None  # the task of targets that tables do not have, where it is known

    @classmethod
    def of(
        cls,
        train: Any,
        task: Task | None,
        metric: Metric | None,
        *,
        other: StudyMetric | None = None,
        valid: Any = None,
        collate: Callable[[list[Any]], Any] | None = None,
        workers: int = 0,
        augment: Augment | None = None,
    ) -> "SupervisedDataset":
        """Read the targets of a map-style dataset or of a pair of tensors.

        metric: of tables, whose targets are one number or class a row; None for any other.
        other: the metric, for targets of another kind.

        Raises:
            InputError: if the data is neither, too small, or its targets do not fit the metric.
        """
        dataset = _dataset("train", train)
        judged = dataset if valid is None else _dataset("valid", valid)
        if len(judged) != len(dataset):
            raise InputError(
                f"valid has {len(judged)} samples and train {len(dataset)}; valid holds the same "
                "samples in the same order, without augmentation"
            )
        target = _targets(judged)
        if len(target) < MINIMUM_ROWS:
            raise InputError(f"train has {len(target)} samples; a study needs {MINIMUM_ROWS}")
        found: Task | None = None
        classes = 0
        if metric is not None and target.ndim == 1:
            found, classes = _task(target, task, metric)
        one = cls(
            dataset=dataset,
            valid=judged,
            target=target if found is None else target.astype(ROW_TASKS[found].kind),
            task=found,
            classes=classes,
            collate=collate,
            workers=workers,
            augment=augment,
            other=None if found or other is None else array_task(other, target),
        )
        one._check_copies()
        return one

    def _check_copies(self) -> None:
        """Refuse samples that are enough only because they are copies of a few."""
        first = first_rows(self.units, len(self.target))
        counts = np.bincount(self.target[first]) if self.classes else np.array([MINIMUM_ROWS])
        if len(first) < MINIMUM_ROWS or counts.min() < 5:
            raise InputError(
                f"train has {len(self.target)} samples, but only {len(first)} differ; "
                f"a study needs {MINIMUM_ROWS} that do, and 5 of each class"
            )

    @cached_property
    def units(self) -> np.ndarray | None:
        """Which samples of a pair of tensors are copies of one; a dataset is not read for it."""
        return None if self.alike is None else copies(self.alike, self.target)

    @cached_property
    def alike(self) -> np.ndarray | None:
        """A code a sample, equal where inputs are; None where they are not in memory."""
        if not self.plain or self.dataset.tensors[0].is_sparse:
            return None
        return same_inputs(self.dataset.tensors[0]) if self.dataset.tensors[0].numel() else None

    @property
    def width(self) -> int:
        """How many numbers a row a loss reads that does not say so itself."""
        if self.task is None and self.target.ndim == 2:
            return self.target.shape[1]
        classes = self.classes
        if self.task is None and self.target.dtype.kind in "iu":
            classes = int(self.target.max()) + 1
        return classes if classes > 2 else 1

    def width_of(self, loss: Any) -> int | None:
        """Return the width of the head that a loss reads; None where it does not say."""
        if not isinstance(loss, Loss):
            return None
        return loss.out_features if self.other is None else self.other.width(loss, self.target)

    @property
    def plain(self) -> bool:
        """Whether rows lie in memory as tensors."""
        return isinstance(self.dataset, TensorDataset) and self.collate is None

    def batches(self, rows: np.ndarray, size: int, *, training: bool) -> Iterator[tuple[Any, Any]]:
        """Yield (inputs, targets) of some rows in batches, in order."""
        dataset = self.dataset if training else self.valid
        if isinstance(dataset, TensorDataset) and self.collate is None:
            target = torch.from_numpy(self.target)
            for part in torch.as_tensor(rows).split(size):
                batch = dataset.tensors[0][part], target[part]
                yield self.augment(*batch) if training and self.augment is not None else batch
            return
        seed = int(torch.randint(2**62, ())) if training else 0  # of the loader's processes
        loader = DataLoader(
            Subset(dataset, rows.tolist()),
            batch_size=size,
            num_workers=self.workers,
            collate_fn=self.collate,
            generator=torch.Generator().manual_seed(seed),
        )
        for start, batch in zip(range(0, len(rows), size), loader, strict=True):
            if not isinstance(batch, (tuple, list)) or len(batch) < 2:
                raise InputError(
                    f"a batch must be (inputs, targets), got a {type(batch).__name__}; let "
                    "collate_fn return such a pair"
                )
            own = torch.from_numpy(self.target[rows[start : start + size]])
            theirs = self.collate is not None or self.task is None  # masks move with augmentation
            yield batch[0], batch[1] if theirs else own

    def moving_rows(self) -> bool:
        """Tell whether the rows that judge change from one reading to the next."""
        if isinstance(self.valid, TensorDataset):
            return False
        rows = np.linspace(0, len(self.valid) - 1, LOOKED_AT).astype(int)
        return any(not _equal(self.valid[int(i)][0], self.valid[int(i)][0]) for i in rows)


def _task(target: np.ndarray, task: Task | None, metric: Metric) -> tuple[Task, int]:
    """Return the task of targets of one number or class a row, and how many classes there are."""
    if task is not None and task not in metric.tasks:
        raise InputError(
            f"task {task!r} does not go with {metric.name}, which is for "
            f"{' or '.join(metric.tasks)}"
        )
    of = next(one for one in ROW_TASKS.values() if one.name in metric.tasks)
    of.check(target)
    metric.check(target)
    classes = of.classes_of(target) or 0
    found = table_task(metric, classes).name
    if task not in (None, found):
        raise InputError(f"task {task!r} does not go with targets of {classes} classes")
    return found, classes


def _dataset(name: str, given: Any) -> Any:
    if isinstance(given, Dataset):
        if isinstance(given, IterableDataset) or not hasattr(given, "__len__"):
            raise InputError(f"{name} must be a map-style dataset; an iterable one has no rows")
        return given
    if isinstance(given, (tuple, list)) and len(given) == 2:
        inputs, target = (_tensor(name, part) for part in given)
        if len(inputs) != len(target):
            raise InputError(f"{name} has {len(inputs)} inputs but {len(target)} targets")
        return TensorDataset(inputs, target)
    raise InputError(
        f"{name} must be a map-style dataset of (input, target) or a pair of tensors, "
        f"got {type(given).__name__}"
    )


def _tensor(name: str, part: Any) -> Tensor:
    try:
        return torch.as_tensor(part)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{name} as a pair holds a {type(part).__name__} that is no tensor; give inputs of "
            "several parts as a map-style dataset"
        ) from error


def _pair(sample: Any) -> Any:
    if isinstance(sample, (tuple, list)) and len(sample) > 1:
        return sample
    raise InputError(f"train must give (input, target) for a sample, got a {type(sample).__name__}")


def _targets(dataset: Any) -> np.ndarray:
    if isinstance(dataset, TensorDataset):
        target = dataset.tensors[1].numpy()
    else:
        parts = [np.asarray(_pair(dataset[i])[1]) for i in range(len(dataset))]
        if len({part.shape for part in parts}) > 1:
            raise InputError("train must give targets of one shape for all samples")
        target = np.array(parts)
    if target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    if target.dtype.kind not in "buif":
        raise InputError(f"train must give targets that are numbers, got {target.dtype}")
    if not np.isfinite(target).all():
        raise InputError("train holds targets that are NaN or infinite; remove those samples")
    return target


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return all(_equal(one[name], other[name]) for name in one)
    if isinstance(one, (tuple, list)):
        return all(map(_equal, one, other))
    if isinstance(one, Tensor):
        return bool(torch.equal(one, other))
    return bool(np.array_equal(np.asarray(one), np.asarray(other)))
