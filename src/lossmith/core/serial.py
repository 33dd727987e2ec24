"""Losses, schedules and tensors as plain data for JSON."""

from typing import Any

from torch import Tensor, nn

from lossmith.core.adaptive import Adaptive
from lossmith.core.schedule import Schedule

FORMAT = 1  # of the files that `Loss.save` writes


def plain(value: Any) -> Any:
    """Return losses, schedules, parameters and tensors as plain data for JSON."""
    if isinstance(value, Adaptive):
        return _of_loss(value)
    if isinstance(value, Schedule):
        return value.plain()
    if isinstance(value, nn.Parameter):
        return {"parameter": value.tolist()}
    return value.tolist() if isinstance(value, Tensor) else value


def document_of(loss: Any) -> dict[str, Any]:
    """Return what a file holds of a loss."""
    return {"lossmith": FORMAT, **_of_loss(loss)}


def _of_loss(loss: Any) -> dict[str, Any]:
    state = {name: _entries(tensor) for name, tensor in loss.learned().items()}
    known = {"loss": loss.card.key, "arguments": loss.config()}
    return {**known, "state": state} if state else known


def _entries(state: Tensor) -> Any:
    """Return state as plain data: one number where there is but one, whatever its shape."""
    return state.item() if state.shape == (1,) else state.tolist()
