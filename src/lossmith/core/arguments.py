"""What a constructor takes, and the one line that says so where it is given something else."""

import difflib
import functools
import inspect
from abc import ABCMeta
from collections.abc import Collection, Iterable
from typing import Any, TypeVar, dataclass_transform

from torch import Tensor

from lossmith.core import hyperparameter as declare

LISTED = 20  # the most names that an error lists
OF_REDUCTION = ("reduction", "size_average", "reduce")  # torch's arguments of one meaning
OF_CLASSES = ("class_weight", "alpha")  # what losses of classes call torch's weight

T = TypeVar("T")


@dataclass_transform(
    kw_only_default=True,
    field_specifiers=(
        declare.Real,
        declare.OptionalReal,
        declare.Reals,
        declare.RealOrReals,
        declare.Table,
        declare.PerClass,
        declare.Whole,
        declare.OptionalWhole,
        declare.Wholes,
        declare.Switch,
        declare.Gathering,
        declare.Choice,
        declare.Inner,
    ),
)
class Constructed(ABCMeta):
    """The type of losses: their constructors take what their classes declare.

    Before one is built, it looks whether the constructor takes the call. Python would say the same
    for an argument that is unknown, but not what to write instead.
    """

    @property
    def __signature__(cls) -> inspect.Signature:
        if getattr(cls.__init__, "takes_declared", False):  # type: ignore[misc]
            hypers = cls.hyperparameters.items()  # type: ignore[attr-defined]
            taken = [hyper.parameter(name) for name, hyper in hypers]
            return inspect.Signature(sorted(taken, key=lambda one: one.kind))
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
        taken = list(signature.parameters.values())[1:]  # without self
        return signature.replace(parameters=taken, return_annotation=inspect.Signature.empty)

    def __call__(cls: type[T], *given: Any, **named: Any) -> T:  # type: ignore[misc]
        """Return an instance; TypeError where an argument is unknown, missing or out of place."""
        if hasattr(cls, "card"):  # else it is no loss yet, and says so
            _check(cls, given, named)
            if getattr(cls.__init__, "takes_declared", False):  # type: ignore[misc]
                taken = parameters(cls)  # type: ignore[arg-type]
                given, named = (), {**dict(zip(taken, given, strict=False)), **named}
        return super().__call__(*given, **named)  # type: ignore[misc,no-any-return]


@functools.cache
def parameters(kind: type) -> dict[str, inspect.Parameter]:
    """Return what a constructor takes by name; one without any has the base's catch-all."""
    everything = inspect.signature(kind).parameters
    return {n: p for n, p in everything.items() if p.kind is not inspect.Parameter.VAR_KEYWORD}


@functools.cache
def _takes_any(kind: type) -> bool:
    return len(parameters(kind)) < len(inspect.signature(kind).parameters)


@functools.cache
def demanded(kind: type) -> list[str]:
    """Return the arguments without a default: `for_target` fits them, or they are given."""
    return [n for n, p in parameters(kind).items() if p.default is inspect.Parameter.empty]


def unknown(kind: Any, name: str) -> TypeError:
    """Return the error for an argument that a loss does not have."""
    return TypeError(f"{kind.__name__} has no hyperparameter {name!r}; {_instead(kind, name)}")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known names that a word may be meant to be, as a question; None if there is none.

    >>> nearest("detla", ["delta", "floor"])
    'did you mean delta?'
    """
    by_letters = {name.lower(): name for name in sorted(known)}
    same = [word.lower()] if word.lower() in by_letters else []
    near = same or difflib.get_close_matches(word.lower(), by_letters, n=3, cutoff=0.6)
    return f"did you mean {', '.join(by_letters[name] for name in near)}?" if near else None


def short(value: Any) -> Any:
    """Return a long list as text of its ends, anything else as it is."""
    many = isinstance(value, list) and len(value) > LISTED
    return f"[{value[0]}, …, {value[-1]}; {len(value)} numbers]" if many else value


def listed(names: Collection[str]) -> str | None:
    """Return a few names as text, None where they are too many to read."""
    return f"there are {', '.join(sorted(names))}" if len(names) <= LISTED else None


def _check(kind: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    taken = parameters(kind)
    by_place = [n for n, p in taken.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    if len(given) > len(by_place):
        raise TypeError(_by_name(kind, given, by_place))
    for name in named:
        if name not in taken and not _takes_any(kind):  # what takes any checks them itself
            raise unknown(kind, name)
    there = {**named, **dict(zip(by_place, given, strict=False))}
    none = {n for n, value in there.items() if value is None and n in kind.hyperparameters}
    missing = [name for name in demanded(kind) if name not in there or name in none]
    if missing:
        raise TypeError(f"{kind.__name__} needs {', '.join(missing)}{_where_from(kind, missing)}")


def _where_from(kind: Any, missing: list[str]) -> str:
    """Return how to find what is missing, where `for_target` does."""
    found = [name for name in missing if name in kind.hyperparameters]
    if not found or not all(kind.hyperparameters[name].fitted for name in found):
        return ""
    return (
        f"; give them, or fit them to the training targets with {kind.__name__}.for_target(target)"
    )


def _by_name(kind: Any, given: tuple[Any, ...], by_place: list[str]) -> str:
    """Return what is wrong with arguments that stand in a place, not under a name."""
    owner = kind.__name__
    if len(given) > 1 and all(isinstance(one, Tensor) for one in given):
        return f"{owner} is built first, then called with tensors: {owner}()(input, target)"
    if any(isinstance(one, str) and one in ("mean", "sum", "none") for one in given):
        return str(unknown(kind, "reduction"))
    names = [f"{name}=" for name in parameters(kind) if name not in by_place]
    names += ["**losses"] if "losses" in inspect.signature(kind).parameters else []
    after = f" after {', '.join(by_place)}" if by_place else ""
    if not names:
        return f"{owner} takes no hyperparameters{after}, got {given!r}"
    text = f"{owner} takes its arguments{after} by name: {', '.join(names)}"
    weights = [name for name in OF_CLASSES if _of_classes(kind, name)]
    return f"{text}; torch's first, weight, is {weights[0]}=" if weights else text


def _instead(kind: Any, name: str) -> str:
    """Return what to write instead of an argument that a loss does not have."""
    taken = {**parameters(kind), **(kind.hyperparameters if _takes_any(kind) else {})}
    if name in OF_REDUCTION:
        if kind.reduction in ("statistic", "set"):
            return "it is one number of the whole batch"
        values = ", values unreduced loss.values(input, target)" if hasattr(kind, "values") else ""
        return f"it is the weighted mean; the sum is loss(input, target, denominator=1){values}"
    if name == "weight":
        return _instead_of_weight(kind)
    known = listed(taken) if taken else "it has none"
    return nearest(name, taken) or known or "lossmith show names all"


def _instead_of_weight(kind: Any) -> str:
    for name in OF_CLASSES:
        if _of_classes(kind, name):
            return f"one weight a class is {name}=, one a row an argument of the call"
    if kind.reduction == "set":
        return "nor does it take weights: it is one number of the batch as a whole"
    what = "weight[target]" if kind.card.target == "classes" else "weight"
    return f"weights are an argument of the call: loss(input, target, weight={what})"


def _of_classes(kind: Any, name: str) -> bool:
    return isinstance(kind.hyperparameters.get(name), declare.PerClass)
