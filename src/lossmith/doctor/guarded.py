"""A set-up is looked at and left as it was: modes, buffers, gradients and generators."""

import inspect
import random
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn


def modules_of(*parts: Any) -> list[nn.Module]:
    """Return the modules among parts, and those that functions among them reach.

    >>> layer = nn.Linear(1, 1)
    >>> modules_of(lambda x: layer(x)) == [layer]
    True
    """
    found: dict[int, nn.Module] = {}
    for part in parts:
        for one in _reached(part):
            found[id(one)] = one
    return list(found.values())


def _reached(part: Any) -> Iterator[nn.Module]:
    if isinstance(part, nn.Module):
        yield part
        return
    bound = getattr(part, "__self__", None)
    function = inspect.unwrap(getattr(part, "__func__", getattr(part, "func", part)))
    names: dict[str, Any] = {}
    if inspect.isfunction(function):
        seen = inspect.getclosurevars(function)
        names = {**seen.nonlocals, **seen.globals}
    given = [*getattr(part, "args", ()), *getattr(part, "keywords", {}).values()]
    for one in (bound, *names.values(), *(function.__defaults__ or () if names else ()), *given):
        if isinstance(one, nn.Module):
            yield one


@contextmanager
def left_as_it_was(parts: Iterable[Any], generators: Iterable[Any] = ()) -> Iterator[None]:
    """Restore modes, buffers and gradients of modules, and generators of random numbers."""
    modules = {id(one): one for top in modules_of(*parts) for one in top.modules()}.values()
    modes = [(one, one.training) for one in modules]
    buffers = [
        (one, name, buffer, buffer.detach().clone())
        for one in modules
        for name, buffer in one._buffers.items()
        if buffer is not None
    ]
    gradients = [
        (one, one.grad, None if one.grad is None else one.grad.clone())
        for module in modules
        for one in module.parameters(recurse=False)
    ]
    try:
        with ExitStack() as stack:
            stack.enter_context(_generators_kept(generators))
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for module, name, buffer, kept in buffers:
                buffer.copy_(kept)
                module._buffers[name] = buffer
            for parameter, gradient, held in gradients:
                parameter.grad = gradient
                if gradient is not None and held is not None:
                    gradient.copy_(held)


@contextmanager
def _generators_kept(generators: Iterable[Any]) -> Iterator[None]:
    """Restore Python's, numpy's and torch's generators, and those given."""
    numpy = sys.modules.get("numpy")
    own = [(one, one.get_state()) for one in generators if isinstance(one, torch.Generator)]
    python, arrays = random.getstate(), numpy.random.get_state() if numpy else None
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        if numpy:
            numpy.random.set_state(arrays)
        for generator, state in own:
            generator.set_state(state)
