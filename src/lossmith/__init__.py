"""lossmith: the loss layer for PyTorch."""

from importlib import import_module
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
    "Study",  # noqa: F405 - by __getattr__, as those of _LATER
    "cards",
    "check_setup",  # noqa: F405
    "find",
    "functional",
    "get",
    "judge",  # noqa: F405
    "load",
    "select",  # noqa: F405
    "watch",  # noqa: F405
    *_core,
    *_losses,
    *(name for name in _weighting if name not in _core),
]


_LATER = {
    "Study": "study.study",
    "check_setup": "doctor.check",
    "judge": "study.judge",
    "select": "study.selection.select",
    "watch": "integrations.watch",
}  # and the modules they are in


def __getattr__(name: str) -> Any:
    # Studies need pandas, scikit-learn and more, which load when one is first asked for.
    if name not in _LATER:
        hint = "" if name.startswith("_") else f"; {misnamed(name, __all__)}"
        raise AttributeError(f"module 'lossmith' has no attribute {name!r}{hint}")
    try:
        return getattr(import_module(f"lossmith.{_LATER[name]}"), name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"lossmith.{name} needs {error.name}; install it with: pip install 'lossmith[select]'"
        ) from error
