"""Gradients that can themselves be differentiated: those of a plain form of what ran fast."""

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor


def needs_double_backward(*grads: Tensor) -> bool:
    """Return whether gradients must be differentiable, or are of several grads at once."""
    if torch.compiler.is_compiling():
        return False
    batched = any(map(torch._C._functorch.is_legacy_batchedtensor, grads))
    return torch.is_grad_enabled() or batched


def recompute_gradients(
    reference: Callable[..., Any], args: Sequence[Any], wanted: Sequence[bool], *grads: Tensor
) -> list[Tensor | None]:
    """Return the gradients of reference(*args) by those of args that are wanted, under grads.

    One of args may depend on another; by views of them, each gradient is that of its own place.
    """
    create = torch.is_grad_enabled()
    with torch.enable_grad():
        pairs: Iterator[Any] = zip_longest(args, wanted, fillvalue=False)
        apart: list[Any] = [one.view_as(one) if want else one for one, want in pairs]
        found = reference(*apart)
    places = [one for one, want in zip(apart, wanted, strict=False) if want]
    given: Iterator[Tensor] = iter(
        torch.autograd.grad(found, places, grads, create_graph=create, allow_unused=True)
        if places
        else ()
    )
    return [next(given) if want else None for want in wanted]
