"""What a loss's docstring says, by section; and the docstring completed by what is declared."""

import inspect
import re
from collections.abc import Mapping
from textwrap import fill
from typing import Any

from lossmith.core.hyperparameter import Hyperparameter, Switch

WIDTH = 96
SECTIONS = ("Shapes", "Use when", "Avoid when", "Source")
_START = re.compile(rf"^({'|'.join(SECTIONS)}): ", re.MULTILINE)
_MATH = re.compile(r"^\.\. math:: ((?:.+\n?)+)", re.MULTILINE)


def summary(kind: type) -> str:
    """Return the first line."""
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def section(kind: type, name: str) -> str | None:
    """Return one section as one line of text, None where there is none.

    A section is a paragraph that starts with its name and a colon.
    """
    for paragraph in (inspect.getdoc(kind) or "").split("\n\n"):
        parts = _START.split(paragraph)
        told = dict(zip(parts[1::2], parts[2::2], strict=True))
        if name in told:
            return " ".join(told[name].split())
    return None


def math(kind: type) -> str | None:
    r"""Return the formula in LaTeX, as one line; None where there is none.

    >>> from lossmith import MAE
    >>> math(MAE)
    '\\ell(x, y) = |x - y|'
    """
    found = _MATH.search(inspect.getdoc(kind) or "")
    return " ".join(found[1].split()) if found else None


def documented(kind: Any) -> str | None:
    """Return a class's own docstring with the arguments that it declares, before the sections."""
    own, hypers = vars(kind).get("__doc__"), kind.hyperparameters
    if own is None or not hypers or "Args:" in own:
        return own
    text = inspect.cleandoc(own)
    at = min(
        (
            text.find(f"\n{mark}")
            for mark in ("Use when: ", "Source: ", ">>> ")
            if f"\n{mark}" in text
        ),
        default=len(text),
    )
    return f"{text[:at].rstrip()}\n\n{_arguments(hypers)}\n\n{text[at:].lstrip()}"


def _arguments(hypers: Mapping[str, Hyperparameter]) -> str:
    lines = [_argument(name, hyper) for name, hyper in hypers.items()]
    return "\n".join(["Args:", *lines])


def _argument(name: str, hyper: Hyperparameter) -> str:
    allowed = f"; {'' if not hyper.range or hyper.range[0] == chr(39) else 'in '}{hyper.range}"
    told = hyper.doc if hyper.range is None or isinstance(hyper, Switch) else hyper.doc + allowed
    return fill(f"{name}: {told}.", WIDTH, initial_indent="    ", subsequent_indent="        ")
