"""Losses by name: their keys, what they were called before, and what others call them."""

import re
from collections.abc import Iterable

from lossmith import losses
from lossmith.catalogue.peers import PEERS, WORDS, Peer, bare, letters, peers_of, plain
from lossmith.core.arguments import nearest
from lossmith.core.loss import Loss

TOLD = 2  # the most others whose differences an error tells

CLASSES: dict[str, type[Loss]] = {
    kind.card.key: kind for kind in (getattr(losses, name) for name in losses.__all__)
}

_BY_CLASS = {kind.__name__: kind for kind in CLASSES.values()}
_BY_LETTERS = {plain(key): kind for key, kind in CLASSES.items()}

# What older files and records call them.
_FORMER: dict[str, type[Loss]] = {
    key: kind for kind in CLASSES.values() for key in kind.card.former_keys
}


class UnknownLossError(KeyError):
    """No loss of the catalogue has this key."""

    def __str__(self) -> str:
        return str(self.args[0])


def loss_class(key: str) -> type[Loss]:
    """Return the class of a key, of another name for the same loss, or of a former one.

    Raises:
        UnknownLossError: if there is none; a KeyError that says what to write instead.
        TypeError: if it is no text.

    >>> loss_class("huber").__name__, loss_class("L1Loss").__name__
    ('Huber', 'MAE')
    """
    if not isinstance(key, str):
        raise TypeError(f"a loss is asked for by its key, as 'huber'; got {key!r}")
    kind = CLASSES.get(key) or _FORMER.get(key) or _BY_CLASS.get(key) or _alias(key)
    if kind is not None:
        return kind
    hint = _hint(key, "") or nearest(key.removesuffix("_loss"), CLASSES)
    raise UnknownLossError(f"no loss is called {key!r}; {hint or 'lossmith list names all'}")


def _alias(name: str) -> type[Loss] | None:
    """Return the loss whose key is so spelled, or that all who use a name mean, at its defaults."""
    own, found, spelt = _BY_LETTERS.get(plain(name)), peers_of(name), letters(name)
    theirs = any(spelt == letters(one) for _, peer in found for one in peer.called)
    if own is not None and (not found or (spelt == letters(own.card.key) and not theirs)):
        return own
    meant = {peer.alias for _, peer in found}
    return _BY_CLASS.get(meant.pop() or "") if len(meant) == 1 else None


def _hint(name: str, module: str) -> str:
    """Return in one line what to write instead of another's name, and in what they differ."""
    found = peers_of(name)
    if not found:
        return ""
    own = _BY_LETTERS.get(plain(name))
    first = [f"{own.__name__}()"] if own else []
    told = {peer.differs: _difference(library, peer) for library, peer in found if peer.differs}
    if len(told) <= TOLD:
        options = [*first, *(one for _, peer in found for one in peer.options)]
        return " ".join([_asked(options, module), "; ".join(told.values())]).strip()
    options = [*first, *(f"{one}()" for _, peer in found for one in peer.classes)]
    libraries = ", ".join(dict.fromkeys(library for library, _ in found))
    page = _written(options[0], "")
    return f"{_asked(options, module)} {libraries} differ: see lossmith show {page}"


def _asked(options: list[str], module: str) -> str:
    written = dict.fromkeys(_written(one, module) for one in options)
    return f"did you mean {' or '.join(written)}?" if written else ""


def _written(option: str, module: str) -> str:
    """Return an expression as it is typed: a key alone, or a class of the module."""
    kind = bare(option)
    if kind is not None:
        return f"{module}{kind}" if module else _BY_CLASS[kind].card.key
    return re.sub(r"\b(?=[A-Z]\w*\()", module, option)


def _difference(library: str, peer: Peer) -> str:
    owner = f"{library}'" if library.endswith("s") else f"{library}'s"
    return peer.differs if library == WORDS else f"{owner} {peer.theirs}: {peer.differs}"


def misnamed(name: str, known: Iterable[str]) -> str:
    """Return what an attribute that the package lacks may be meant to be, of those known."""
    for key, kind in _FORMER.items():
        if name.lower() == key.replace("_", ""):
            return f"it is called {kind.__name__} now"
    near = _hint(name, "lossmith.") or nearest(name.removesuffix("Loss"), known)
    return near or "lossmith list names all losses"


def peers(kind: type[Loss]) -> list[tuple[str, Peer]]:
    """Return what others call a loss, alone or as a part of a sum, each after its library.

    >>> from lossmith import MAE
    >>> [(library, peer.theirs) for library, peer in peers(MAE)][:1]
    [('torch', 'L1Loss')]
    """
    name = kind.__name__
    return [(library, p) for library, rows in PEERS.items() for p in rows if name in p.classes]
