"""What goes into a module and what its outputs mean: moved, called, decoded."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lossmith.core.hybrid import Hybrid
from lossmith.core.loss import Loss
from lossmith.core.progress import Progress
from lossmith.functional.checks import sums_to_one
from lossmith.study.base.errors import InputError
from lossmith.study.metrics import Metric
from lossmith.study.multitarget.heads import heads
from lossmith.study.tasks import predicts_numbers
from lossmith.study.tasks.timed import TimedLoss


def moved(given: Any, device: torch.device) -> Any:
    """Return tensors, alone or in dicts, lists and tuples, on a device."""
    if isinstance(given, Tensor):
        return given.to(device)
    if isinstance(given, dict):
        return {name: moved(part, device) for name, part in given.items()}
    if isinstance(given, (list, tuple)):
        parts = [moved(part, device) for part in given]
        return type(given)(*parts) if hasattr(given, "_fields") else type(given)(parts)
    return given


def called(model: nn.Module, inputs: Any) -> Any:
    """Return a module's output: dicts are its keyword arguments, tuples and lists its arguments."""
    if isinstance(inputs, dict):
        return model(**inputs)
    if isinstance(inputs, (tuple, list)):
        return model(*inputs)
    return model(inputs)


def one_column(output: Any) -> Any:
    """Return outputs of one number a row as (rows,), as their targets are, and others as is."""
    one = isinstance(output, Tensor) and output.ndim == 2 and output.shape[1] == 1
    return output.squeeze(-1) if one else output


def without_head(output: Any) -> Any:
    """Return what a head of one output gives in its target's shape: of masks (N, 1, H, W) none."""
    if isinstance(output, Tensor) and output.ndim > 1:
        for dim in (1, -1):
            if output.shape[dim] == 1:
                return output.squeeze(dim)
    return output


@dataclass(frozen=True)
class HeadReader:
    """How heads are read under a metric: at levels of their distributions, or as they are decoded.

    A loss is thus not praised, or blamed, for its reading: under a quantile each predicts it.

    level: that the metric asks for. levels: where it asks for several, along dimension 1. whole:
    whether targets are whole numbers, without which a distribution of counts is none of theirs.
    horizons: of times to an event, at which survival is read beside the risk.
    """

    level: float | None = None
    levels: tuple[float, ...] = ()
    whole: bool = True
    horizons: tuple[float, ...] = ()

    @classmethod
    def of(cls, metric: Metric, target: Any) -> "HeadReader":
        """Return how a metric has the heads for some targets read."""
        asks = metric.reads is not None or bool(metric.levels)
        whole = not asks or bool((np.asarray(target) % 1 == 0).all())
        return cls(metric.reads, metric.levels, whole, tuple(metric.horizons or ()))

    def level_of(self, loss: Loss) -> float | None:
        """Return the level at which a loss's head is read; None as it is decoded."""
        return self.level if self._distributed(loss) else None

    def __call__(self, loss: Loss, output: Tensor) -> Tensor:
        """Return what a head predicts."""
        if self.horizons:
            return TimedLoss.of(loss, self.horizons).decode(output)
        if not self.levels:
            return _at(loss, output, self.level_of(loss))
        levels = self.levels if self._distributed(loss) else [None] * len(self.levels)
        return torch.stack([_at(loss, output, level) for level in levels], dim=1)

    def _distributed(self, loss: Loss) -> bool:
        return self.whole or loss.card.target != "counts"


def _at(loss: Loss, output: Tensor, level: float | None) -> Tensor:
    return loss.decode(output) if level is None else loss.quantile(output, level)


AS_DECODED = HeadReader()
LOW, HIGH = 0.05, 0.95  # the least of many probabilities lies below, the greatest above


def decoded(
    loss: nn.Module,
    output: Any,
    decode: Callable[[Any], Any] | None,
    reading: HeadReader = AS_DECODED,
) -> Any:
    """Return predictions from raw outputs: as the loss reads them, or torch's own do; or as is.

    Of arrays and lists as of tensors; what has several parts only `decode` can read.

    Raises:
        InputError: for a tuple without `decode`.
    """
    output = tensors(output)
    if not isinstance(output, Tensor):
        if decode is not None and not _reads_its_head(loss):
            return decode(output)
        if isinstance(output, tuple):
            raise InputError(
                f"outputs= has {len(output)} parts, and the metric reads one; report it alone, or "
                "give the study decode=, which makes predictions of all where the loss does not"
            )
        return output
    _warn_of_probabilities(loss, output)
    if isinstance(loss, Hybrid) and loss.named("input"):
        return output if decode is None else decode(output)  # which part it is nobody has said
    if isinstance(loss, Loss) and (_reads_its_head(loss) or decode is None):
        return reading(loss, output) if output.is_floating_point() else output
    if decode is not None:
        return decode(output)
    if isinstance(loss, nn.CrossEntropyLoss):
        return output.softmax(dim=1)
    if isinstance(loss, nn.BCEWithLogitsLoss):
        return torch.sigmoid(output)
    return output


def _reads_its_head(loss: nn.Module) -> bool:
    """Whether a loss makes predictions of one tensor itself, which `decode=` then leaves to it."""
    return isinstance(loss, Loss) and loss.card.trains_head


def _warn_of_probabilities(loss: nn.Module, output: Tensor) -> None:
    """Warn where a loss that makes probabilities of logits is to read what such are already."""
    if not output.is_floating_point() or not _reads_logits(loss):
        return
    numbers, told = output.float(), ""
    if sums_to_one(numbers):
        told = "every row is 0 or above and sums to 1"
    elif numbers.numel() and 0 <= numbers.min() < LOW and HIGH < numbers.max() <= 1:
        told = f"all lie in 0 … 1, from {numbers.min():.2g} to {numbers.max():.2g}"
    if told:
        warnings.warn(
            f"outputs look like probabilities ({told}), but {type(loss).__name__} reads logits "
            "and makes probabilities of them again: leave the last softmax or sigmoid out",
            stacklevel=6,
        )


def _reads_logits(loss: nn.Module) -> bool:
    if isinstance(loss, Hybrid):
        return not loss.named("input") and _reads_logits(loss.reader(None))
    if isinstance(loss, Loss):
        return loss.card.input == "logits"
    return isinstance(loss, (nn.CrossEntropyLoss, nn.BCEWithLogitsLoss))


def tensors(given: Any) -> Any:
    """Return what a model gave without its graph, and arrays and lists of numbers as tensors.

    >>> tensors({"logits": np.zeros(2), "features": [1.0, 2.0]})["features"]
    tensor([1., 2.], dtype=torch.float64)
    """
    if isinstance(given, Tensor):
        return given.detach()
    if isinstance(given, Mapping):
        return {name: tensors(part) for name, part in given.items()}
    if isinstance(given, tuple) or (isinstance(given, list) and _holds_parts(given)):
        return tuple(tensors(part) for part in given)
    found = np.asarray(given)
    return torch.tensor(found) if found.dtype.kind in "fiub" else given


def _holds_parts(given: list[Any]) -> bool:
    return any(isinstance(part, (Tensor, np.ndarray, Mapping)) for part in given)


def told(loss: nn.Module, first: int, last: int, total: int) -> Iterator[int]:
    """Yield the epochs from first to last, and tell each to a loss that is on a schedule."""
    for epoch in range(first, last + 1):
        if isinstance(loss, Loss) and loss.moves:
            loss.observe(Progress(step=epoch - 1, total=total, epoch=epoch - 1))
        yield epoch


def read(loss: Loss, output: Tensor, readings: Sequence[HeadReader]) -> tuple[np.ndarray, ...]:
    """Return what one output (n, width) predicts of each target."""
    pairs = zip(heads(loss, output), readings, strict=True)
    return tuple(predict(one, part, reading) for (one, part), reading in pairs)


def predict(loss: Loss, output: Tensor, reading: HeadReader = AS_DECODED) -> np.ndarray:
    """Return points (n,), or probabilities (n, C) with two columns for a binary head of one."""
    decoded = reading(loss, output).detach().double().numpy()
    if predicts_numbers(loss) or decoded.ndim > 1:
        return decoded
    return np.stack([1 - decoded, decoded], axis=-1)
