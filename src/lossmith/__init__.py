"""lossmith: the loss layer for PyTorch."""

from typing import Any

from lossmith import functional
from lossmith.catalogue import cards, find, get, load
from lossmith.catalogue.lookup import misnamed
from lossmith.core import *  # noqa: F403
from lossmith.core import __all__ as _core
from lossmith.losses import *  # noqa: F403
from lossmith.losses import __all__ as _losses
from lossmith.weighting import *  # noqa: F403
from lossmith.weighting import __all__ as _weighting

__version__ = "0.1.0"

__all__ = [
    "cards",
    "find",
    "functional",
    "get",
    "load",
    "select",  # noqa: F405 - by __getattr__
    *_core,
    *_losses,
    *(name for name in _weighting if name not in _core),
]


def __getattr__(name: str) -> Any:
    # `select` needs pandas, scikit-learn and more: they load when it is first asked for.
    if name != "select":
        hint = "" if name.startswith("_") else f"; {misnamed(name, __all__)}"
        raise AttributeError(f"module 'lossmith' has no attribute {name!r}{hint}")
    try:
        from lossmith.study import select
    except ModuleNotFoundError as error:
        raise ImportError(
            f"lossmith.select needs {error.name}; install it with: pip install 'lossmith[select]'"
        ) from error
    return select
