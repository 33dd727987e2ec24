"""Scenes of a model's outputs: heads, labels, lists that are ranked, survival."""

from typing import Any

import torch
from torch import Tensor

from lossmith.core import Loss
from lossmith.testing.cases import Case
from scenes.scene import Path, Scene, alone, made, ones, shape_of, zeros

LABELS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
OFF = torch.tensor([0.5, -1.0, 2.0, -3.0], dtype=torch.float64)


def classes(kind: type[Loss]) -> Scene:
    """One output a class, or a place of several: the true class's moves."""
    shape = shape_of(kind.card.example.input)
    loss = made(kind)
    width = getattr(loss, "out_features", 1) if len(shape) == 2 else 3
    beyond = tuple(3 for _ in shape[2:])

    def path(t: Tensor) -> tuple[Any, Any]:
        row = torch.cat([t[None], zeros(width - 1)]).reshape(width, *(1 for _ in beyond))
        places = torch.arange(3) if beyond else torch.zeros(1, dtype=torch.long)
        if beyond:  # another class is right in each place
            return torch.stack([row.roll(int(c), 0)[:, 0] for c in places], 1)[None], places[None]
        target = places.clone()
        if isinstance(kind.card.target, str):
            return row[None], target
        return row[None], {name: target.clone() for name in kind.card.target}

    what = "logit" if kind.card.input == "logits" else "output"
    return Scene(
        f"{what} of the true class",
        f"The true class's {what} moves, those of the other {width - 1} stay at 0.",
        (-6, 6),
        {"loss": (loss, path)},
    )


def aligned(kind: type[Loss]) -> Scene:
    """Frames that spell a sequence: the logits of one alignment move."""
    places = torch.tensor([[0, 2, 2, 1, 1, 2]])  # 2 is the blank
    one_hot = torch.nn.functional.one_hot(places, 3).double()
    if len(shape_of(kind.card.example.input)) == 4:  # a grid of frames and labels said so far
        one_hot = _way(((0, 0, 0), (0, 1, 2), (1, 1, 2), (2, 1, 1), (2, 2, 2), (3, 2, 2)))
    frames = one_hot.shape[1]
    target = {
        "classes": torch.tensor([[0, 1]]),
        "lengths": torch.tensor([2]),
        "frames": torch.tensor([frames]),
    }
    return Scene(
        "logits of one right alignment",
        f"{frames} frames spell two labels: the logits of one alignment move together, those of "
        "the other two classes stay at 0.",
        (-6, 6),
        alone(kind, lambda t: (t * one_hot, target)),
    )


def _way(steps: tuple[tuple[int, int, int], ...]) -> Tensor:
    """Return 1 where a way through frames and labels takes a class, (1, T, S + 1, C)."""
    taken = zeros(1, *(max(ends) + 1 for ends in zip(*steps, strict=True)))
    for frame, said, one in steps:
        taken[0, frame, said, one] = 1.0
    return taken


def ordered(kind: type[Loss]) -> Scene:
    """Outputs between ordered classes: all move together."""
    case = Case(made(kind))

    def of(label: int) -> Path:
        return lambda t: (t.expand(case.head(1)), torch.tensor([label]))

    return Scene(
        "all outputs",
        "All outputs of the head move together, from the lowest class to the highest; a curve for "
        "each true class.",
        (-6, 6),
        {f"class {c} is true": (case.loss, of(c)) for c in range(case.classes)},
    )


def label(kind: type[Loss]) -> Scene:
    """One logit, or score, of a label: both labels."""
    what = "score" if kind.card.input == "scores" else "logit"

    def of(one: float) -> Path:
        return lambda t: (t[None], one * ones(1))

    return Scene(
        what,
        f"The {what} moves; a curve for each label.",
        (-6, 6),
        {f"label {one}": (made(kind), of(float(one))) for one in (1, 0)},
    )


def value(kind: type[Loss]) -> Scene:
    """One output for a number."""
    loss, target = made(kind), _shown(kind)
    reads = bool((loss.decode(ones(1)) == 1).all())
    start = target if reads else zeros(1)
    what = "prediction less target" if reads else "output of the head"
    low = -4.0 if kind.card.target == "values" or not reads else -0.95 * target.item()
    return Scene(
        what,
        f"The {'prediction' if reads else 'one output'} moves; the target is {target.item():g}.",
        (low, 4),
        {"loss": (loss, lambda t: (start + t, target))},
    )


def several(kind: type[Loss]) -> Scene:
    """Parameters of a distribution: the output that the prediction is read from moves."""
    loss, target = made(kind), _shown(kind)
    width = loss.out_features
    moved = int(read_from(loss).nonzero()[0])
    places = torch.eye(width, dtype=torch.float64)

    def of(second: float) -> Path:
        return lambda t: ((t * places[moved] + second * places[moved + 1])[None], target)

    middle = target.item() if loss.decode(places[moved][None]) == 1 else 0.0
    others = ", all others at 0" if width > 2 else ""
    return Scene(
        f"output {moved + 1} of the head",
        f"Output {moved + 1} of {width} moves, of which the prediction is read; a curve for each "
        f"value of the next one{others}. The target is {target.item():g}.",
        (middle - 4, middle + 4),
        {f"output {moved + 2} at {second:g}": (loss, of(second)) for second in (-1.0, 0.0, 1.0)},
    )


def spread(kind: type[Loss]) -> Scene:
    """Several outputs that are predictions themselves: all move, nearer or further apart."""
    loss, target = made(kind), _shown(kind)
    places = torch.linspace(-1, 1, loss.out_features, dtype=torch.float64)

    def of(apart: float) -> Path:
        return lambda t: ((target + t + apart * places)[None], target)

    return Scene(
        "middle of the predictions less target",
        f"The head's {len(places)} predictions move together; a curve for each distance between "
        "the outermost and their middle.",
        (-4, 4),
        {f"{apart:g} to each side": (loss, of(apart)) for apart in (0.0, 1.0, 2.0)},
    )


def histogram(kind: type[Loss]) -> Scene:
    """A logit for each bin of a number: a bump of two widths moves over the bins."""
    loss, target = made(kind), _shown(kind)
    places = torch.arange(loss.out_features, dtype=torch.float64)

    def of(width: float) -> Path:
        return lambda t: (-(((places - t) / width) ** 2 / 2)[None], target)

    return Scene(
        "bin in the middle of the predicted bump",
        f"A predicted bump moves over the bins; a curve for each width. "
        f"The target is {target.item():g}.",
        (-0.5, len(places) - 0.5),
        {f"deviation of {width:g} bins": (loss, of(width)) for width in (1.0, 2.0)},
    )


def batch(kind: type[Loss]) -> Scene:
    """A number of the batch: one of five predictions moves."""
    target = zeros(5)
    return Scene(
        "first row's prediction less target",
        "The first of five rows moves; the others stay off their targets by "
        f"{', '.join(f'{one:g}' for one in OFF.tolist())}.",
        (-4, 4),
        alone(kind, lambda t: (torch.cat([t[None], OFF]), target)),
    )


def labels(kind: type[Loss]) -> Scene:
    """Labels of a batch as a whole: all logits on their label's side by the same."""
    shape = (12,) if len(shape_of(kind.card.example.input)) == 1 else (4, 3)
    target = LABELS.double().reshape(shape)
    return Scene(
        "logits on the side of their label",
        "All twelve logits move: t where the label is 1, −t where it is 0; five labels are 1.",
        (-6, 6),
        alone(kind, lambda t: (t * (2 * target - 1), target)),
    )


def class_batch(kind: type[Loss]) -> Scene:
    """Classes of a batch as a whole: the true class's output of each row moves by the same."""
    loss = made(kind)
    target = torch.arange(2 * loss.out_features) % loss.out_features
    one_hot = torch.nn.functional.one_hot(target).double()
    return Scene(
        "logit of the true class",
        f"In each of {len(target)} rows, two a class, the true class's logit moves, the others "
        "stay at 0.",
        (-6, 6),
        {"loss": (loss, lambda t: (t * one_hot, target))},
    )


def ranked(kind: type[Loss]) -> Scene:
    """A list of documents: the score of the most relevant moves."""
    target = torch.tensor([[2.0, 1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    others = torch.tensor([1.0, 1.5, 0.5, -0.5], dtype=torch.float64)
    return Scene(
        "score of the most relevant document",
        "The score of the document of relevance 2 moves; another of relevance 1 stays at 1, three "
        "without at 1.5, 0.5 and −0.5.",
        (-4, 6),
        alone(kind, lambda t: (torch.cat([t[None], others])[None], target)),
    )


def survival(kind: type[Loss]) -> Scene:
    """Times that may be censored: the first output of the row in the middle moves."""
    loss = made(kind)
    width = getattr(loss, "out_features", 1)
    time = torch.tensor([2.5, 0.5, 1.5, 3.5, 4.0], dtype=torch.float64)

    def of(event: float) -> Path:
        events = torch.cat([event * ones(1), ones(4)])
        others = zeros(5) if width == 1 else zeros(5, width)
        first = (0,) if width == 1 else (0, 0)

        def path(t: Tensor) -> tuple[Any, Any]:
            head = others.index_put(tuple(torch.tensor([i]) for i in first), t[None])
            return head, {"time": time, "event": events}

        return path

    what = "score" if width == 1 else f"first of its {width} outputs"
    return Scene(
        f"{what} of the middle row",
        "Five rows with times from 0.5 to 4: an output of the one at 2.5 moves, whose event was "
        "seen or which was censored then; all other outputs stay at 0.",
        (-4, 2),
        {"event": (loss, of(1.0)), "censored": (loss, of(0.0))},
    )


def read_from(loss: Loss) -> Tensor:
    """Return for each output of a head whether the prediction is read from it."""
    read = zeros(loss.out_features) > 0
    for start in (zeros(1, loss.out_features), ones(1, loss.out_features)):
        head = start.requires_grad_()
        (slope,) = torch.autograd.grad(loss.decode(head).sum(), head)
        read = read if read.any() else slope[0] != 0  # the direction of a head of 0 is none
    return read


def _shown(kind: type[Loss]) -> Tensor:
    return torch.as_tensor(kind.card.example.target, dtype=torch.float64).max()[None]
