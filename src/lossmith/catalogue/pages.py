"""The catalogue as data and as text: listings, and one page a loss."""

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from torch import Tensor

from lossmith.catalogue.formula import as_text, readable
from lossmith.catalogue.lookup import find
from lossmith.catalogue.names import loss_class, peers
from lossmith.catalogue.peers import Peer, bare
from lossmith.core.card import Card, Claims, Kinds
from lossmith.core.declaration import REQUIRED, Hyperparameter
from lossmith.core.docstring import SECTIONS, allowed, math, section, summary
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

    >>> [entry["key"] for entry in listing("anomaly")][:2]
    ['deep_sad', 'deep_svdd']
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
    facts["peers"] = [{"library": library, **asdict(peer)} for library, peer in peers(kind)]
    facts["capabilities"] = {name: facts.pop(name) for name in CAPABILITIES}
    return {"key": kind.card.key, "name": kind.__name__, "summary": summary(kind), **facts}


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
    lines = [f"{kind.__name__} ({kind.card.key})", summary(kind), ""]
    told = {"formula": prose(kind).get("formula"), **facts(kind)}
    lines += [f"{name:<11} {text}" for name, text in told.items() if text]
    if kind.hyperparameters:
        lines += ["", "hyperparameters"]
        lines += [f"  {name} = {_hyper(hyper)}" for name, hyper in kind.hyperparameters.items()]
    if others := peers(kind):
        lines += ["", "called elsewhere"]
        lines += [f"  {library}: {called(kind, peer)}" for library, peer in others]
    return "\n".join(lines)


def called(kind: type[Loss], peer: Peer) -> str:
    """Return what others call a loss, what to write for it, and in what they differ."""
    here = "" if bare(peer.here) == kind.__name__ else f" is {peer.here}"
    same = ["the same"] if peer.same else []
    told = "; ".join([*same, *([peer.differs] if peer.differs else [])])
    return f"{', '.join((peer.theirs, *peer.names))}{here}{told and ': ' + told}"


def facts(kind: type[Loss]) -> dict[str, str]:
    """Return what docstring and card say, by the names that pages call it; the formula aside."""
    card, told = kind.card, prose(kind)
    said = {
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
    return {name: text for name, text in said.items() if text}


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
    within = ", ".join(text for text in (default(hyper), allowed(hyper)) if text)
    tried = f"; a study tries {searched(hyper)}" if hyper.search else ""
    return f"{within}: {readable(hyper.doc)}{tried}"


def default(hyper: Hyperparameter) -> str:
    """Return a hyperparameter's default as text."""
    if hyper.default is REQUIRED:
        return "given or fitted"
    return "none" if hyper.default is None else str(hyper.default)


def searched(hyper: Hyperparameter) -> str:
    """Return the values of a hyperparameter that a study tries, as text."""
    return ", ".join(str(value) for value in hyper.search)


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
