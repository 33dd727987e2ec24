"""Tensors alone or by name: what a loss is given, treated alike."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from lossmith.functional.checks import check_tensor

Data = Tensor | Mapping[str, Tensor] | None


def tree_leaves(data: Data) -> Iterator[Tensor]:
    """Yield the tensor, or each of the named ones."""
    if isinstance(data, Mapping):
        yield from data.values()
    elif data is not None:
        yield data


def tree_map(function: Callable[[Any], Any], data: Any) -> Any:
    """Return what is alone or named, each put through a function; None stays None."""
    if isinstance(data, Mapping):
        return {name: function(tensor) for name, tensor in data.items()}
    return None if data is None else function(data)


def check_names(owner: str, what: str, data: Any, kinds: Any, optional: tuple[str, ...]) -> None:
    """Raise unless data is a tensor, named tensors or nothing, as the card's kinds say.

    Raises:
        TypeError: if a tensor is given for named tensors, or the other way round, or a named part
            is no tensor.
        ValueError: if a name is missing or unknown.
    """
    if kinds is None:
        if data is not None:
            raise TypeError(f"{owner} takes no {what}, got {type(data).__name__}")
    elif not isinstance(kinds, Mapping):
        if not isinstance(data, Tensor):
            raise TypeError(f"{owner}: {what} must be a tensor, got {type(data).__name__}")
    elif not isinstance(data, Mapping):
        names = ", ".join(kinds)
        raise TypeError(
            f"{owner}: {what} must be a dict of the tensors {names}; got {type(data).__name__}"
        )
    else:
        missing = [name for name in kinds if name not in data and name not in optional]
        unknown = [name for name in data if name not in kinds]
        if missing or unknown:
            raise ValueError(
                f"{owner}: {what} must hold {', '.join(kinds)}; "
                f"missing: {', '.join(missing) or 'none'}, unknown: {', '.join(unknown) or 'none'}"
            )
        for name, part in data.items():
            check_tensor(f"{owner}: {what}[{name!r}]", part, f"torch.as_tensor({name})")
