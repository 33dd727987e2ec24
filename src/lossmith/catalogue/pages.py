"""The catalogue as data and as text: listings, one page a loss, and the document of all."""

import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from lossmith.catalogue.formula import as_text, readable
from lossmith.catalogue.lookup import find, loss_class
from lossmith.core.card import Card, Claims, Kinds, Task
from lossmith.core.docstring import SECTIONS, allowed, math, section, summary
from lossmith.core.hyperparameter import REQUIRED, Hyperparameter
from lossmith.core.loss import Loss
from lossmith.core.schedule import Schedule
from lossmith.core.serial import plain

CAPABILITIES = ("double_backward", "vmap", "fullgraph")
WORDS = {
    "convex": "convex",
    "lipschitz": "bounded gradient",
    "bounded": "bounded value",
    "proper": "proper",
}


def listing(task: str | None = None) -> list[dict[str, Any]]:
    """Return every fact of all losses, those of one task if given, as plain data for JSON.

    >>> [entry["key"] for entry in listing("detection")]
    ['ciou', 'diou', 'giou', 'iou']
    """
    return [entry(key) for key in find(task)]


def entry(key: str) -> dict[str, Any]:
    """Return every fact of one loss as plain data; UnknownLossError if there is no such loss.

    >>> entry("huber")["hypers"]["delta"]["range"]
    '(0, inf)'
    """
    kind = loss_class(key)
    facts = {**_plain(kind.card), **prose(kind), "reduction": kind.reduction}
    facts["hypers"] = {name: _facts(hyper) for name, hyper in kind.hyperparameters.items()}
    facts["capabilities"] = {name: facts.pop(name) for name in CAPABILITIES}
    return {"key": key, "name": kind.__name__, "summary": summary(kind), **facts}


def prose(kind: type[Loss]) -> dict[str, str]:
    """Return what a loss's docstring says: its formula, shapes, when, when not and source."""
    latex = math(kind)
    found = {"formula": latex and as_text(latex), "math": latex}
    found |= {name.lower().replace(" ", "_"): section(kind, name) for name in SECTIONS}
    return {
        name: text if name == "math" else readable(text) for name, text in found.items() if text
    }


def _facts(hyper: Hyperparameter) -> dict[str, Any]:
    hidden = ("kw_only", "make", "accepts", "default")
    facts = {f.name: _plain(getattr(hyper, f.name)) for f in fields(hyper) if f.name not in hidden}
    return {
        "kind": type(hyper).__name__,
        "default": None if hyper.default is REQUIRED else _plain(hyper.default),
        "required": hyper.default is REQUIRED,
        "range": hyper.range,
        **facts,
        "doc": readable(hyper.doc),
    }


def table(task: str | None = None) -> str:
    """Return the losses as aligned lines, those of one task if given: key, tasks, summary."""
    rows = [("loss", "tasks", "what it is")]
    rows += [(key, ", ".join(kind.card.tasks), summary(kind)) for key, kind in find(task).items()]
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"{key:<{wide[0]}}  {tasks:<{wide[1]}}  {text}" for key, tasks, text in rows]
    return "\n".join(lines)


def page(key: str) -> str:
    """Return what there is to know about one loss; UnknownLossError if there is no such loss."""
    kind = loss_class(key)
    card, told = kind.card, prose(kind)
    facts = {
        "formula": told.get("formula"),
        "shapes": told.get("shapes"),
        "use when": told.get("use_when"),
        "avoid when": told.get("avoid_when"),
        "tasks": ", ".join(card.tasks),
        "input": _kinds(card.input),
        "target": _kinds(card.target),
        "reduction": kind.reduction,
        "claims": _claims(card),
        "can": _can(card),
        "source": told.get("source"),
    }
    lines = [f"{kind.__name__} ({key})", summary(kind), ""]
    lines += [f"{name:<11} {text}" for name, text in facts.items() if text]
    if kind.hyperparameters:
        lines += ["", "hyperparameters"]
        lines += [f"  {name} = {_hyper(hyper)}" for name, hyper in kind.hyperparameters.items()]
    return "\n".join(lines)


def document() -> str:
    """Return the documentation of all losses as Markdown, made from their classes."""
    lines = ["# Losses", ""]
    lines += ["Made from the classes by `python -m lossmith.catalogue.pages docs/losses.md`.", ""]
    for task in get_args(Task):
        keys = ", ".join(f"[{key}](#{key})" for key in find(task))
        lines += [f"- {task}: {keys}"] if keys else []
    for key, kind in find().items():
        lines += ["", *_section(key, kind)]
    return "\n".join(lines) + "\n"


def has_shape(kind: type[Loss]) -> bool:
    """Whether a loss can be drawn over one moving output: a value a row of a model's head."""
    return kind.card.trains_head and kind.reduction == "mean" and not kind.card.needs


def _section(key: str, kind: type[Loss]) -> list[str]:
    card, told = kind.card, prose(kind)
    lines = [f"## {key}", "", f"`{kind.__name__}`: {summary(kind)}", ""]
    lines += ["```math", told["math"], "```", ""]
    lines += [f"- **Shapes:** {told['shapes']}"]
    lines += [f"- **Use when:** {told['use_when']}", f"- **Avoid when:** {told['avoid_when']}"]
    lines += [f"- **Tasks:** {', '.join(card.tasks)}"]
    lines += [
        f"- **Input:** {_kinds(card.input)}; **target:** {_kinds(card.target)}; "
        f"**reduction:** {kind.reduction}"
    ]
    lines += [f"- **Claims:** {_claims(card)}", f"- **Can:** {_can(card)}"]
    lines += [f"- **Source:** {told['source']}", "- **References:** [parity](parity.md)"]
    if has_shape(kind):
        lines += ["", f"![value and gradient of {key}](shapes/{key}.svg)"]
    if kind.hyperparameters:
        lines += ["", "| hyperparameter | default | range | a study tries | meaning |"]
        lines += ["|---|---|---|---|---|"]
        lines += [
            f"| `{name}` | {_default(hyper)} | {hyper.range or '—'} | "
            f"{_searched(hyper) or 'the default'} | {_cell(readable(hyper.doc))} |"
            for name, hyper in kind.hyperparameters.items()
        ]
    return lines


def _claims(card: Card) -> str:
    claims: Claims = card.claims
    words = [word for name, word in WORDS.items() if getattr(claims, name)]
    words += [f"elicits {claims.elicits}"] if claims.elicits else []
    return ", ".join(words) or "none"


def _kinds(kinds: Kinds | None) -> str:
    if isinstance(kinds, Mapping):
        return ", ".join(f"{name}: {kind}" for name, kind in kinds.items())
    return kinds or "none"


def _can(card: Card) -> str:
    words = [name.replace("_", " ") for name in CAPABILITIES if getattr(card, name)]
    words += ["hold a part constant in its gradient"] if card.detached else []
    words += ["learn numbers of its own"] if card.learns else []
    return ", ".join(words) or "train"


def _hyper(hyper: Hyperparameter) -> str:
    within = ", ".join(text for text in (_default(hyper), allowed(hyper)) if text)
    tried = f"; a study tries {_searched(hyper)}" if hyper.search else ""
    return f"{within}: {readable(hyper.doc)}{tried}"


def _default(hyper: Hyperparameter) -> str:
    if hyper.default is REQUIRED:
        return "given or fitted"
    return "none" if hyper.default is None else str(hyper.default)


def _searched(hyper: Hyperparameter) -> str:
    return ", ".join(str(value) for value in hyper.search)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _plain(value: Any) -> Any:
    if isinstance(value, (Loss, Schedule, Tensor)):
        return plain(value)
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
