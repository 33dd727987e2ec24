"""Which scene shows what a loss does: the first that its card fits and its numbers bear out."""

from collections.abc import Callable, Iterator, Mapping

from lossmith.core import Card, Loss
from lossmith.testing.cases import Case
from scenes import outputs, parts, signals, vectors
from scenes.scene import Drawn, Scene, drawn, made

Make = Callable[[type[Loss]], Scene]


def drawing(kind: type[Loss]) -> Drawn:
    """Return the drawing of a loss.

    A card fits more scenes than a loss may take: one that the loss refuses, or that says nothing
    of it, is no scene of its own.
    """
    for scene in fitting(kind):
        try:
            found = drawn(scene(kind))
        except (TypeError, ValueError):  # as losses refuse what is not theirs
            continue
        if found.tells:
            return found
    raise AssertionError(f"{kind.__name__} has no drawing: no scene is finite and not constant")


def fitting(kind: type[Loss]) -> Iterator[Make]:
    """Yield the scenes that the card of a loss fits, the most telling first."""
    card, tasks = kind.card, set(kind.card.tasks)
    if card.trains_head and not (card.target == "labels" and kind.reduction != "mean"):
        yield _head(kind)
    if isinstance(card.input, Mapping):
        yield from _named(set(card.input), set(tasks))
    elif isinstance(card.target, Mapping) and "event" in card.target:
        yield outputs.survival
    else:
        yield from _single(kind, card, tasks)
    yield parts.descent


def _head(kind: type[Loss]) -> Make:
    card, loss = kind.card, made(kind)
    if card.target == "classes" and kind.reduction != "mean":
        return outputs.class_batch
    if card.target == "classes":
        return outputs.classes if loss.out_features == Case(loss).classes else outputs.ordered
    if kind.reduction != "mean":
        return outputs.batch
    if card.target == "labels":
        return outputs.label
    if loss.out_features == 1:
        return outputs.value
    if card.input == "logits":
        return outputs.histogram
    own = card.input == "values" and outputs.read_from(loss).all()
    return outputs.spread if own else outputs.several


def _named(names: set[str], tasks: set[str]) -> Iterator[Make]:
    if {"real", "fake"} <= names:
        yield parts.players
    if {"chosen", "rejected"} <= names:
        yield parts.preferred
    if "completion" in names:
        yield parts.desired
    if {"mean", "log_variance"} <= names:
        yield parts.latent
    if {"first", "second"} <= names:
        yield vectors.graded
    if "solution" in names:
        yield parts.planned if "cost" in names else parts.wanted
    if {"encoded", "code"} <= names:
        yield vectors.code


def _single(kind: type[Loss], card: Card, tasks: set[str]) -> Iterator[Make]:
    target = frozenset(card.target) if isinstance(card.target, Mapping) else card.target
    if "segmentation" in tasks:
        yield signals.masks
    if "series" in tasks:
        yield signals.delayed
    if "advantage" in (target or ()):
        yield parts.judged
    if "anomaly" in tasks and card.input == "embeddings" and target is not None:
        yield vectors.anomalies
    if tasks & {"transfer", "divergence"} and card.input != "logits":
        yield vectors.samples
    if card.input == "embeddings":
        yield from _embeddings(kind, tasks)
    if card.input == "logits" and (target == "logits" or "teacher" in (target or ())):
        yield parts.taught
    elif card.input == "logits" and "lengths" in (target or ()):
        yield outputs.aligned
    elif card.input == "logits" and "classes" in (target or ()):
        yield outputs.classes
    if (card.input, target) in _BETWEEN:
        yield _BETWEEN[card.input, target]
    if "gan" in tasks and target is None:
        yield vectors.gradients
    if target in (None, card.input):
        yield signals.likeness


def _embeddings(kind: type[Loss], tasks: set[str]) -> Iterator[Make]:
    target, told = kind.card.target, kind.hyperparameters
    if target == "classes" and "in_features" in told:
        yield vectors.own_head
    elif target == "classes":
        yield vectors.proxies if "features" in told else vectors.pairs
    elif "self_supervised" in tasks and (target is None or kind.reduction in ("set", "statistic")):
        yield vectors.collapse
    elif tasks & {"self_supervised", "metric_learning"}:
        yield vectors.views


_BETWEEN: Mapping[tuple[str, str | None], Make] = {  # by the kinds of input and target
    ("boxes", "boxes"): signals.boxes,
    ("logits", "labels"): outputs.labels,
    ("scores", "counts"): outputs.ranked,
    ("scores", "labels"): outputs.label,
    ("scores", None): vectors.assigned,
}
