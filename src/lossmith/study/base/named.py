"""Functions by name, `module:function` or `file.py:function`: what another process can find."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from lossmith.study.base.errors import InputError


def function_at(place: str) -> tuple[ModuleType, Callable[..., Any]]:
    """Return the function of a name, and the module that it is in.

    Raises:
        InputError: if there is none, or its module cannot be imported.
    """
    where, _, name = place.rpartition(":")
    if not where or not name:
        raise InputError(f"{place!r} is no module:function and no file.py:function")
    module = _module(where)
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"{where} has no function {name!r}")
    return module, function


def place_of(function: Any) -> str:
    """Return the name by which another process finds a function.

    Raises:
        InputError: if it has none, as a lambda or a function within another has.
    """
    home, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    module = sys.modules.get(home or "")
    if not name.isidentifier() or getattr(module, name, None) is not function:
        raise InputError(
            f"{function!r} has no name by which another process finds it; put it at the top of a "
            "module, and give the function or 'module:function'"
        )
    if home != "__main__":
        return f"{home}:{name}"
    file = getattr(module, "__file__", None)
    if file is None:
        raise InputError(
            f"{name} was written at a prompt, where other processes can't find it; put it into a "
            "file and give 'file.py:function'"
        )
    return f"{Path(file).resolve()}:{name}"


def home_of(thing: Any) -> str:
    """Return the last word of the name of a thing's module, however it was imported or begun."""
    home = str(getattr(thing, "__module__", ""))
    if home == "__main__":
        home = Path(getattr(sys.modules[home], "__file__", None) or home).stem
    return home.rpartition(".")[2]


def _module(where: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return _of_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except InputError:
        raise
    except Exception as error:  # whatever a user's code raises
        raise InputError(f"{where} can't be imported: {type(error).__name__}: {error}") from error


def _of_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise InputError(f"there is no file {file}")
    known = sys.modules.get(file.stem)
    if (
        known is not None
        and Path(getattr(known, "__file__", None) or "").resolve() == file.resolve()
    ):
        return known
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    sys.path.insert(0, str(file.resolve().parent))  # of what it imports beside it
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(file.stem, module)  # of what is pickled, as a data set for a loader
    spec.loader.exec_module(module)
    return module
