"""The catalogue as data and as text: listings, one page a loss, and the document of all."""

import inspect
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from lossmith.catalogue.lookup import find, loss_class
from lossmith.core.arguments import demanded
from lossmith.core.card import Card, Claims, Hyper, Kinds, Task
from lossmith.core.loss import Loss, plain
from lossmith.core.schedule import Schedule

CAPABILITIES = ("double_backward", "vmap", "fullgraph")
WORDS = {
    "convex": "convex",
    "lipschitz": "bounded gradient",
    "bounded": "bounded value",
    "proper": "proper",
}


def listing(task: str | None = None) -> list[dict[str, Any]]:
    """Return every fact on the cards, those of one task if given, as plain data for JSON.

    >>> [entry["key"] for entry in listing("detection")]
    ['ciou', 'diou', 'giou', 'iou']
    """
    return [entry(key) for key in find(task)]


def entry(key: str) -> dict[str, Any]:
    """Return every fact on one card as plain data; UnknownLossError if there is no such loss.

    >>> entry("huber")["hypers"]["delta"]["range"]
    '(0, inf)'
    """
    kind = loss_class(key)
    facts = _plain(kind.card)
    for name, hyper in kind.card.hypers.items():
        facts["hypers"][name]["range"] = _allowed(hyper)
    facts["capabilities"] = {name: facts.pop(name) for name in CAPABILITIES}
    return {"key": key, "name": kind.__name__, "summary": summary(kind), **facts}


def summary(kind: type[Loss]) -> str:
    """Return the first line of a loss's docstring."""
    return (inspect.getdoc(kind) or "").partition("\n")[0]


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
    card = kind.card
    facts = {
        "formula": card.formula,
        "use when": card.use_when,
        "avoid when": card.avoid_when,
        "tasks": ", ".join(card.tasks),
        "input": _kinds(card.input),
        "target": _kinds(card.target),
        "reduction": card.reduction,
        "claims": _claims(card),
        "can": _can(card),
        "paper": _paper(card),
    }
    lines = [f"{kind.__name__} ({key})", summary(kind), ""]
    lines += [f"{name:<11} {text}" for name, text in facts.items()]
    if card.hypers:
        lines += ["", "hyperparameters"]
        lines += [f"  {name} = {_hyper(kind, name)}" for name in card.hypers]
    return "\n".join(lines)


def document() -> str:
    """Return the documentation of all losses as Markdown, made from their cards."""
    lines = ["# Losses", ""]
    lines += ["Made from the cards by `python -m lossmith.catalogue.pages docs/losses.md`.", ""]
    for task in get_args(Task):
        keys = ", ".join(f"[{key}](#{key})" for key in find(task))
        lines += [f"- {task}: {keys}"] if keys else []
    for key, kind in find().items():
        lines += ["", *_section(key, kind)]
    return "\n".join(lines) + "\n"


def has_shape(card: Card) -> bool:
    """Whether a loss can be drawn over one moving output: a value a row of a model's head."""
    return card.reads_head and card.reduction == "mean" and not card.needs


def _section(key: str, kind: type[Loss]) -> list[str]:
    card = kind.card
    lines = [f"## {key}", "", f"`{kind.__name__}`: {summary(kind)}", ""]
    lines += ["```", card.formula, "```", ""]
    lines += [f"- **Use when:** {card.use_when}", f"- **Avoid when:** {card.avoid_when}"]
    lines += [f"- **Tasks:** {', '.join(card.tasks)}"]
    lines += [
        f"- **Input:** {_kinds(card.input)}; **target:** {_kinds(card.target)}; "
        f"**reduction:** {card.reduction}"
    ]
    lines += [f"- **Claims:** {_claims(card)}", f"- **Can:** {_can(card)}"]
    lines += [f"- **Paper:** {_paper(card)}", "- **References:** [parity](parity.md)"]
    if has_shape(card):
        lines += ["", f"![value and gradient of {key}](shapes/{key}.svg)"]
    if card.hypers:
        lines += ["", "| hyperparameter | default | range | a study tries | meaning |"]
        lines += ["|---|---|---|---|---|"]
        lines += [
            f"| `{name}` | {_default(kind, name)} | {_allowed(hyper) or '—'} | "
            f"{_searched(hyper) or 'the default'} | {_cell(hyper.meaning)} |"
            for name, hyper in card.hypers.items()
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


def _paper(card: Card) -> str:
    return f"{card.paper.authors}, {card.paper.title} ({card.paper.year})"


def _hyper(kind: type[Loss], name: str) -> str:
    hyper = kind.card.hypers[name]
    allowed = f", {'' if hyper.choices else 'in '}{_allowed(hyper)}" if _allowed(hyper) else ""
    tried = f"; a study tries {_searched(hyper)}" if hyper.search else ""
    return f"{_default(kind, name)}{allowed}: {hyper.meaning}{tried}"


def _default(kind: type[Loss], name: str) -> str:
    default = kind.card.hypers[name].default
    if default is None:
        return "given or fitted" if name in demanded(kind) else "none"
    return str(default)


def _allowed(hyper: Hyper) -> str | None:
    free = hyper.low is None and hyper.high is None and not hyper.choices
    return None if free else hyper.range


def _searched(hyper: Hyper) -> str:
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
