"""One row of what others call a loss: their name, what to write here, and in what it differs."""

import ast
import re
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Peer:
    """What others call a loss, and what it is here.

    theirs: as they write it, with the settings that matter. here: what to write, several with
    "or" between them where it depends; empty where there is no such loss. differs: in what they
    differ, or what to set. names: what else it is called. same: `here` gives the value of `theirs`
    for the same input and target. held: a parity test compares both at the settings that `differs`
    names. Where it is neither, `here` is only the nearest.
    """

    theirs: str
    here: str = ""
    differs: str = ""
    names: tuple[str, ...] = ()
    same: bool = False
    held: bool = False

    @property
    def called(self) -> tuple[str, ...]:
        """All names of it, without settings."""
        return (self.theirs.partition("(")[0], *self.names)

    @cached_property
    def options(self) -> list[str]:
        """What to write, one expression each."""
        return self.here.split(" or ") if self.here else []

    @cached_property
    def classes(self) -> list[str]:
        """The losses in what to write, without those inside another."""
        found = [
            one for option in self.options for one in _terms(ast.parse(option, mode="eval").body)
        ]
        return list(dict.fromkeys(found))

    @property
    def alias(self) -> str | None:
        """The class that it is another name of: the same value, both at their defaults."""
        exact = self.same and "(" not in self.theirs
        return bare(self.here) if exact else None


def _terms(node: ast.AST) -> list[str]:
    """Return the classes that a sum is of."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return [node.func.id]
    return [one for child in ast.iter_child_nodes(node) for one in _terms(child)]


def bare(option: str) -> str | None:
    """Return the class of an expression that is no more than a loss at its defaults.

    >>> bare("Huber()"), bare("Huber(delta=2.0)")
    ('Huber', None)
    """
    found = re.fullmatch(r"(\w+)\(\)", option)
    return found[1] if found else None


def letters(name: str) -> str:
    """Return a name without case and marks between words.

    >>> letters("Smooth-L1 loss"), letters("reg:squarederror")
    ('smoothl1loss', 'regsquarederror')
    """
    return re.sub(r"[^a-z0-9+]", "", name.lower())


def plain(name: str) -> str:
    """Return the letters of a name without the word loss at its end.

    >>> plain("SmoothL1Loss"), plain("smooth_l1")
    ('smoothl1', 'smoothl1')
    """
    return letters(name).removesuffix("loss") or letters(name)
