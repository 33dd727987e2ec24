"""What a class of losses states: its hyperparameters, and what its functions take."""

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from lossmith.core.declaration import Hyperparameter

FUNCTIONS = ("function", "mean_function")  # what a class may state instead of a method
_ASIDE = "_declares_"
_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Fitted(classmethod):
    """`for_target`, which of an instance keeps what that was told, as `refitted` does.

    Without it Python would hand over the class, and `Focal(gamma=5.0).for_target(y)` lose its 5.
    """

    @classmethod
    def of(cls, kind: type) -> Any:
        """Return a class's `for_target` as this, its own or the one it inherits."""
        stated = inspect.getattr_static(kind, "for_target")
        return cls(stated.__func__) if type(stated) is classmethod else stated

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return super().__get__(None, owner) if instance is None else instance.refitted


def hyperparameters_of(kind: type) -> Mapping[str, Hyperparameter]:
    """Take the declarations off a class; return them with those it inherits, its own first.

    A class keeps each under a name aside, so that Python's inheritance finds the one that counts,
    also one of a mixin that is no loss. What a class states otherwise under a name, as a property
    or a plain value, takes that hyperparameter away: None stands aside.

    Raises:
        TypeError: if one is declared under the name of a method or property.
    """
    own = _own(kind)
    names, stated = dict.fromkeys(own), set(vars(kind))
    for base in kind.__bases__:
        collected = getattr(base, "hyperparameters", None)
        inherited = hyperparameters_of(base) if collected is None else collected
        for name in inherited:
            names.setdefault(name)
            if name in stated and name not in own:
                setattr(kind, _ASIDE + name, None)
        if collected is None:
            stated |= vars(base).keys()
    found = {name: getattr(kind, _ASIDE + name) for name in names}
    return {name: one for name, one in found.items() if one is not None}


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


def _own(kind: type) -> list[str]:
    """Set aside what a class itself declares, so that instances have it as attributes."""
    own = {name: one for name, one in vars(kind).items() if isinstance(one, Hyperparameter)}
    for name, one in own.items():
        if name.startswith(_ASIDE):  # of a mixin that another class has taken in
            continue
        delattr(kind, name)
        stated = getattr(kind, name, None)
        if callable(stated) or isinstance(stated, property):
            raise TypeError(
                f"{kind.__name__}: {name} is a method or property of losses; call the "
                "hyperparameter otherwise"
            )
        setattr(kind, _ASIDE + name, one)
    return [name.removeprefix(_ASIDE) for name in own]


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
