"""lossmith: the loss layer for PyTorch."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PACKAGES = ("core", "losses", "weighting")  # whose public names are this package's, too
_HOMES = {  # of the other public names
    "cards": "catalogue",
    "find": "catalogue",
    "get": "catalogue",
    "load": "catalogue",
    "Study": "study.study",
    "check_setup": "doctor.check",
    "judge": "study.judge",
    "select": "study.selection.select",
    "suggest": "study.suggest.suggest",
    "watch": "integrations.watch",
}

if TYPE_CHECKING:
    from lossmith import functional as functional
    from lossmith.catalogue import cards as cards
    from lossmith.catalogue import find as find
    from lossmith.catalogue import get as get
    from lossmith.catalogue import load as load
    from lossmith.core import *  # noqa: F403
    from lossmith.doctor.check import check_setup as check_setup
    from lossmith.integrations.watch import watch as watch
    from lossmith.losses import *  # noqa: F403
    from lossmith.study.judge import judge as judge
    from lossmith.study.selection.select import select as select
    from lossmith.study.study import Study as Study
    from lossmith.study.suggest.suggest import suggest as suggest
    from lossmith.weighting import *  # noqa: F403


def __getattr__(name: str) -> Any:
    # Names load when first asked for: the command line starts without torch, losses without pandas.
    if name.startswith("_") and name != "__all__":
        raise AttributeError(f"module 'lossmith' has no attribute {name!r}")
    value = _public() if name == "__all__" else _found(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_public()})


def _public() -> list[str]:
    names = {name for package in _PACKAGES for name in _part(package).__all__}
    return sorted({"functional", *_HOMES, *names})


def _found(name: str) -> Any:
    if find_spec(f"lossmith.{name}"):
        return _part(name)
    if name in _HOMES:
        return _at_home(name)
    for package in map(_part, _PACKAGES):
        if name in package.__all__:
            return getattr(package, name)
    from lossmith.catalogue.names import misnamed

    hint = misnamed(name, _public())
    raise AttributeError(f"module 'lossmith' has no attribute {name!r}; {hint}")


def _at_home(name: str) -> Any:
    try:
        return getattr(_part(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"lossmith.{name} needs {error.name}; install it with: pip install 'lossmith[select]'"
        ) from error


def _part(name: str) -> Any:
    return import_module(f"lossmith.{name}")
