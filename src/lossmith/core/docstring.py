"""What a loss's docstring says, by section; and the docstring completed by what is declared."""

import inspect
import re
from collections.abc import Mapping
from textwrap import fill
from typing import Any

from lossmith.core.declaration import Hyperparameter
from lossmith.core.hyperparameter import Choice, Reals, Wholes

WIDTH = 96
SECTIONS = ("Shapes", "Use when", "Avoid when", "Source")
_START = re.compile(rf"^({'|'.join(SECTIONS)}): ", re.MULTILINE)
_REFUSED = {
    "mean": ("a weight is negative",),
    "coupled": ("a weight is negative",),
    "statistic": ("a weight is negative", "a denominator is given"),
    "set": ("a weight or a denominator is given",),
}
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


def allowed(hyper: Hyperparameter) -> str:
    """Return what a hyperparameter may be, as text; empty where its doc or its kind says it all.

    >>> from lossmith import Huber
    >>> allowed(Huber.hyperparameters["delta"])
    'in (0, inf)'
    """
    if hyper.range is None:
        return ""
    if isinstance(hyper, Choice):
        told = all(f'"{choice}"' in hyper.doc for choice in hyper.choices)
        return "" if told else hyper.range
    several = isinstance(hyper, (Reals, Wholes))
    return f"{'each ' if several else ''}in {hyper.range}"


def documented(kind: Any) -> str | None:
    """Return a class's own docstring with the arguments that it declares and the errors raised.

    They stand before the sections on use, unless the docstring has its own.
    """
    own = vars(kind).get("__doc__")
    if own is None:
        return None
    added = (
        [_arguments(kind.hyperparameters)] if kind.hyperparameters and "Args:" not in own else []
    )
    added += [_errors(kind)] if hasattr(kind, "card") and "Raises:" not in own else []
    if not added:
        return str(own)
    text = inspect.cleandoc(own)
    marks = ("\nUse when: ", "\nSource: ", "\n>>> ")
    at = min((text.find(mark) for mark in marks if mark in text), default=len(text))
    return "\n\n".join([text[:at].rstrip(), *added, text[at:].lstrip()]).rstrip()


def _arguments(hypers: Mapping[str, Hyperparameter]) -> str:
    lines = [_entry(_named(name, hyper), hyper.doc) for name, hyper in hypers.items()]
    return "\n".join(["Args:", *lines])


def _named(name: str, hyper: Hyperparameter) -> str:
    within = allowed(hyper)
    return f"{name}, {within}" if within else name


def _errors(kind: Any) -> str:
    card, hypers = kind.card, kind.hyperparameters.values()
    data = "input" if card.target is None else "input or target"
    data += " is no such tensor" + (" by name" if isinstance(card.input, Mapping) else "")
    of_kind = ["an argument is of another kind"] if hypers else []
    within = ["an argument is out of range"] if any(hyper.range for hyper in hypers) else []
    head = card.input != "embeddings" or "classes" in kind.hyperparameters
    outside = ["a class lies outside the head"] if head and "classes" in _kinds(card.target) else []
    fits = [*within, "shapes do not fit", *outside, *_REFUSED[kind.reduction]]
    wrong = {"TypeError": [*of_kind, data], "ValueError": fits}
    return "\n".join(
        ["Raises:", *(_entry(error, f"if {_or(why)}") for error, why in wrong.items())]
    )


def _kinds(kinds: Any) -> tuple[str, ...]:
    return tuple(kinds.values()) if isinstance(kinds, Mapping) else (kinds,)


def _or(parts: list[str]) -> str:
    return ", or ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _entry(name: str, text: str) -> str:
    return fill(
        f"{name}: {text}.",
        WIDTH,
        initial_indent="    ",
        subsequent_indent="        ",
        break_on_hyphens=False,
    )
