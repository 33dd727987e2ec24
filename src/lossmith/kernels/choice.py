"""Which path runs: every fast one says so, and so does the plain one where a fast one exists."""

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import forward_ad


@dataclass(frozen=True)
class Choice:
    """The path that a call took, and why."""

    kernel: str
    fast: bool
    reason: str

    def __str__(self) -> str:
        return f"{self.kernel}: {'fast' if self.fast else 'plain'}, {self.reason}"


Why = str | Callable[[], str]
listeners = 0  # calls of `explain` that run; without one no path asks whether it is heard
_seen: ContextVar[list[Choice] | None] = ContextVar("lossmith_choices", default=None)


def choose(kernel: str, obstacles: Iterable[tuple[bool, Why]], reason: Why) -> bool:
    """Return whether the fast path runs: nothing stands in its way; tell `explain`.

    A text with a size in it is given as a function: formed while a compiler traces, it would tie
    the graph to that size.
    """
    obstacle = next((why for stands, why in obstacles if stands), None)
    seen = None if torch.compiler.is_compiling() else _seen.get()
    if seen is not None:
        why = reason if obstacle is None else obstacle
        seen.append(Choice(kernel, obstacle is None, why if isinstance(why, str) else why()))
    return obstacle is None


def transformed() -> bool:
    """Return whether torch.func transforms the call, or derivatives are carried forward."""
    if torch.compiler.is_dynamo_compiling():
        return False
    carried = forward_ad._current_level >= 0
    return carried or torch._C._functorch.peek_interpreter_stack() is not None


def explain(call: Callable[..., Any], *args: Any, **kwargs: Any) -> list[Choice]:
    """Call a loss or a function once and return which paths it took, and why.

    The list is empty where there is one path only, and for what is compiled: there the choice was
    made when it was traced. Errors of the call are raised.

    >>> import lossmith
    >>> loss = lossmith.LinearCrossEntropy(in_features=4, classes=3)
    >>> for choice in explain(loss, torch.zeros(2, 4), torch.tensor([0, 2])):
    ...     print(choice)
    linear_cross_entropy: plain, 6 logits are fewer than 4194304
    """
    global listeners
    seen: list[Choice] = []
    token = _seen.set(seen)
    listeners += 1
    try:
        call(*args, **kwargs)
    finally:
        listeners -= 1
        _seen.reset(token)
    return seen
