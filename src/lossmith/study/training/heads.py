"""What goes into a module and what its outputs mean: moved, called, decoded."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lossmith.core.loss import Loss
from lossmith.core.progress import Progress
from lossmith.study.multitarget.heads import heads


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


def decoded(loss: nn.Module, output: Any, decode: Callable[[Any], Any] | None) -> Any:
    """Return predictions from raw outputs: as the loss reads them, or torch's own do; or as is."""
    if not isinstance(output, Tensor):
        return output
    output = output.detach()
    if isinstance(loss, Loss) and (loss.card.trains_head or decode is None):
        return loss.decode(output) if output.is_floating_point() else output
    if decode is not None:
        return decode(output)
    if isinstance(loss, nn.CrossEntropyLoss):
        return output.softmax(dim=1)
    if isinstance(loss, nn.BCEWithLogitsLoss):
        return torch.sigmoid(output)
    return output


def told(loss: nn.Module, first: int, last: int, total: int) -> Iterator[int]:
    """Yield the epochs from first to last, and tell each to a loss that is on a schedule."""
    for epoch in range(first, last + 1):
        if isinstance(loss, Loss) and loss.moves:
            loss.observe(Progress(step=epoch - 1, total=total, epoch=epoch - 1))
        yield epoch


def read(loss: Loss, output: Tensor) -> tuple[np.ndarray, ...]:
    """Return what one output (n, width) predicts of each target."""
    return tuple(predict(one, part) for one, part in heads(loss, output))


def predict(loss: Loss, output: Tensor) -> np.ndarray:
    """Return points (n,), or probabilities (n, C) with two columns for a binary head of one."""
    decoded = loss.decode(output).detach().double().numpy()
    numbers = loss.card.tasks == ("regression",) or "ranking" in loss.card.tasks
    if numbers or decoded.ndim > 1:
        return decoded
    return np.stack([1 - decoded, decoded], axis=-1)
