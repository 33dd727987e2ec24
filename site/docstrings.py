"""Docstrings as Markdown: formulas, inline mathematics and examples that run."""

import re
from textwrap import dedent, indent
from typing import Any

import griffe

_INLINE = re.compile(r":math:`([^`]+)`")
_BLOCK = re.compile(r"^([ ]*)\.\. math::((?:[^\n]+\n?)+)", re.MULTILINE)
_EXAMPLE = re.compile(r"^>>> (?:[^\n]+\n?)+", re.MULTILINE)


def as_markdown(text: str) -> str:
    """Return reStructuredText's mathematics and doctests as Markdown has them."""
    text = _BLOCK.sub(_formula, _INLINE.sub(r"$\1$", text))
    return _EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", text)


def _formula(found: re.Match[str]) -> str:
    latex = " ".join(dedent(found[2]).split())
    return indent(f"```math\n{latex}\n```\n", found[1])


class Docstrings(griffe.Extension):
    """What mkdocstrings reads of every docstring."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
