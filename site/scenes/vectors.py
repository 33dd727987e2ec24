"""Scenes of embeddings: angles to what should be near, views that part, features that collapse."""

from typing import Any

import torch
from torch import Tensor

from lossmith.core import Loss
from scenes.scene import (
    HALF_TURN,
    Path,
    Scene,
    alone,
    made,
    normal,
    ones,
    shape_of,
    turned,
    zeros,
)

EYE = torch.eye(8, dtype=torch.float64)


def proxies(kind: type[Loss]) -> Scene:
    """Learned directions of classes: a row turns from its own to another's."""
    loss, target = made(kind, features=32), torch.tensor([0])
    held = torch.eye(32, dtype=torch.float64)[: len(loss.proxies)]
    with torch.no_grad():
        loss.proxies.copy_(held)

    def path(t: Tensor) -> tuple[Any, Any]:
        return turned(held[0], held[-1], t)[None], target

    return Scene(
        "angle to the proxy of its class, radians",
        "An embedding turns away from its class's proxy, towards and past that of another class; "
        "all proxies are at right angles.",
        (0, HALF_TURN),
        {"loss": (loss, path)},
    )


def pairs(kind: type[Loss]) -> Scene:
    """Rows of classes: an anchor and its positive part."""
    target = torch.tensor([0, 0, 1, 1])

    def path(t: Tensor) -> tuple[Any, Any]:
        rows = [
            EYE[0],
            turned(EYE[0], EYE[1], t),
            turned(EYE[2], EYE[3], torch.tensor(0.5)),
            EYE[2],
        ]
        return torch.stack(rows), target

    return Scene(
        "angle between anchor and positive, radians",
        "Two unit rows of one class turn apart; two of another class stay, 0.5 from each other and "
        "at right angles to the first.",
        (0, HALF_TURN),
        alone(kind, path),
    )


def views(kind: type[Loss]) -> Scene:
    """Two views of each row turn apart."""

    def path(t: Tensor) -> tuple[Any, Any]:
        seen = [turned(EYE[row], EYE[row + 4], t) for row in range(4)]
        return torch.stack(seen), EYE[:4].clone()

    return Scene(
        "angle between the two views, radians",
        "Four rows at right angles: the first view of each turns away from its second.",
        (0, HALF_TURN),
        alone(kind, path),
    )


def graded(kind: type[Loss]) -> Scene:
    """Pairs with a likeness each: the most alike part."""
    target = torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64)
    angles = torch.tensor([1.0, 1.5], dtype=torch.float64)

    def path(t: Tensor) -> tuple[Any, Any]:
        parted = [turned(EYE[at], EYE[at + 3], one) for at, one in enumerate([t, *angles])]
        return {"first": torch.stack(parted), "second": EYE[:3].clone()}, target

    return Scene(
        "angle between the most alike, radians",
        "The pair of likeness 1 turns apart; those of 0.5 and 0 stay at 1 and 1.5 radians.",
        (0, HALF_TURN),
        alone(kind, path),
    )


def collapse(kind: type[Loss]) -> Scene:
    """Embeddings whose features become one, or whose views part."""
    rows = torch.linalg.qr(normal(32, 8) - normal(32, 8).mean(0)).Q
    rows = (rows - rows.mean(0)) * len(rows) ** 0.5
    noise = normal(32, 8, seed=1)
    stacked = len(shape_of(kind.card.example.input)) == 3  # views of a sample in one input
    paired = stacked or kind.card.target is not None

    def batch(first: Tensor, second: Tensor) -> tuple[Any, Any]:
        if stacked:
            return torch.stack([first, second], 1), None
        return first, (second if paired else None)

    def same(t: Tensor) -> tuple[Any, Any]:
        mixed = (1 - t) * rows + t * rows[:, :1]
        return batch(mixed, mixed)

    def apart(t: Tensor) -> tuple[Any, Any]:
        return batch((1 - t) * rows + t * noise, rows)

    both = " In the other the first view turns into noise." if paired else ""
    curves: dict[str, tuple[Loss, Path]] = {"features collapse": (made(kind), same)}
    curves |= {"views part": (made(kind), apart)} if paired else {}
    return Scene(
        "share",
        "32 rows of 8 uncorrelated features, each of which mixes by that share with the first, "
        f"until all are one.{both}",
        (0, 0.98),
        curves if paired else {"loss": curves["features collapse"]},
    )


def assigned(kind: type[Loss]) -> Scene:
    """Cosines with prototypes: each row's views pick one of their own, alike or not."""

    def of(shift: int) -> Path:
        own, other = EYE[:4, :4], EYE[:4, :4].roll(shift, 1)
        return lambda t: (torch.stack([t * own, t * other], 1), None)

    return Scene(
        "cosine with the prototype that a view picks",
        "Four rows of two views: each view's cosine with one of four prototypes rises, with the "
        "same one or with another.",
        (0, 1),
        {"views agree": (made(kind), of(0)), "views disagree": (made(kind), of(1))},
    )


def own_head(kind: type[Loss]) -> Scene:
    """A loss that holds its head: the row moves along its class's weights."""
    loss = made(kind)
    with torch.no_grad():
        loss.head.weight.copy_(torch.eye(3))
    target = torch.tensor([0, 1, 2])

    return Scene(
        "component along the own class's weights",
        "Three rows of three classes move along the weights of their class, which are orthonormal.",
        (-6, 6),
        {"loss": (loss, lambda t: (t * EYE[:3, :3], target))},
    )


def samples(kind: type[Loss]) -> Scene:
    """Two samples that should be alike: one is shifted or stretched."""
    shape = {"mean": (1, 16), "set": (16, 4)}[kind.reduction]
    one_row = torch.as_tensor(kind.card.example.input).ndim == 1
    base = normal(16) if one_row else normal(*shape)

    def shifted(t: Tensor) -> tuple[Any, Any]:
        return base + t, base

    def stretched(t: Tensor) -> tuple[Any, Any]:
        return (1 + t) * base, base

    return Scene(
        "shift, or stretch less one",
        f"{'Sixteen numbers' if one_row or kind.reduction == 'mean' else 'Sixteen rows'} are "
        "compared with themselves: shifted by that much, or stretched by that much more.",
        (-1, 2),
        {"shifted": (made(kind), shifted), "stretched": (made(kind), stretched)},
    )


def anomalies(kind: type[Loss]) -> Scene:
    """A row moves away from where normal ones lie, normal itself or an anomaly."""
    loss, way = made(kind), ones(2) / 2**0.5
    centre = loss.center if "center" in kind.hyperparameters else zeros(2)

    def of(odd: float) -> Path:
        label = odd * ones(1)
        named = {"anomaly": label, "labelled": ones(1)}
        target = label if isinstance(kind.card.target, str) else named
        return lambda t: ((centre + t * way)[None], target)

    return Scene(
        "distance from the centre",
        "A row moves away from the centre; a curve for each label.",
        (0.3, 3),
        {"normal": (loss, of(0.0)), "anomaly": (made(kind), of(1.0))},
    )


def gradients(kind: type[Loss]) -> Scene:
    """Penalties of the discriminator's gradient: its length."""
    way = ones(1, 4) / 2
    return Scene(
        "length of the discriminator's gradient",
        "The discriminator's gradient at a row grows in length.",
        (0, 3),
        alone(kind, lambda t: (t * way, None)),
    )


def code(kind: type[Loss]) -> Scene:
    """An encoding and its code part."""
    held, way = normal(4, 8), zeros(4, 8) + 8**-0.5

    def path(t: Tensor) -> tuple[Any, Any]:
        return {"encoded": held + t * way, "code": held}, None

    return Scene(
        "distance of the encoding from its code",
        "Four encodings move away from their codes.",
        (-2, 2),
        alone(kind, path),
    )
