"""What a class of losses states: its hyperparameters, and what its functions take."""

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from lossmith.core.adaptive import Adaptive
from lossmith.core.hyperparameter import Hyperparameter

FUNCTIONS = ("function", "mean_function")  # what a class may state instead of a method
_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def hyperparameters_of(kind: type) -> Mapping[str, Hyperparameter]:
    """Take the declarations off a class; return them with those it inherits, its own first.

    Of bases the first in the order of methods counts, as for any attribute, mixins that are no
    losses included. What a class states otherwise under a name, as a property or a plain value,
    takes that hyperparameter away.

    Raises:
        TypeError: if one is declared under the name of a method or property.
    """
    found: dict[str, Hyperparameter] = {}
    stated: set[str] = set()
    for base in kind.__mro__:
        if base in Adaptive.__mro__:
            continue
        for name, one in _own(base).items():
            if name not in stated:
                found.setdefault(name, one)
        stated |= vars(base).keys()
    return found


def functions_of(kind: type) -> dict[str, dict[str, Any]]:
    """Return the keyword-only arguments of each function that a class states, with their defaults.

    A function reads no self, whether it is said to be static or not.

    Raises:
        TypeError: if one needs more than input and target by place.
    """
    takes = {}
    for name in FUNCTIONS:
        if isinstance(inspect.getattr_static(kind, name, None), FunctionType):
            setattr(kind, name, staticmethod(getattr(kind, name)))
        stated = getattr(kind, name, None)
        if callable(stated):
            takes[name] = _taken(f"{kind.__name__}.{name}", stated)
    return takes


def _own(base: type) -> Mapping[str, Hyperparameter]:
    """Take what a class itself declares off it, once, so that instances have it as attributes."""
    own = {name: one for name, one in vars(base).items() if isinstance(one, Hyperparameter)}
    for name in own:
        delattr(base, name)
        stated = getattr(base, name, None)
        if callable(stated) or isinstance(stated, property):
            raise TypeError(
                f"{base.__name__}: {name} is a method or property of losses; call the "
                "hyperparameter otherwise"
            )
    if own:
        base.declares = own  # type: ignore[attr-defined]
    return vars(base).get("declares", {})


def _taken(owner: str, function: Callable[..., Any]) -> dict[str, Any]:
    try:
        everything = inspect.signature(function).parameters.values()
    except ValueError:  # of C, as torch's own: it tells none
        return {}
    needed = [p.name for p in everything if p.kind in _BY_PLACE and p.default is p.empty]
    if len(needed) > 2:
        raise TypeError(
            f"{owner} takes {', '.join(needed)} by place; input and target are all that it is "
            "given so, hyperparameters stand after *"
        )
    return {p.name: p.default for p in everything if p.kind is p.KEYWORD_ONLY}
