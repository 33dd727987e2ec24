"""Scenes of things with places: masks and boxes that shift, images and sounds that are spoilt."""

from typing import Any

import torch
from torch import Tensor

from lossmith.core import Loss
from scenes.scene import Path, Scene, alone, made, normal, shape_of

SIDE, RADIUS = 32, 6
SIDES = {3: (1, 4, 64), 4: (1, 1, 192, 192)}  # of images; MS-SSIM needs 176 pixels


def disc(shift: Tensor | float) -> Tensor:
    """Return how far inside a disc each pixel is, positive inside, for a disc moved sideways."""
    places = torch.arange(SIDE, dtype=torch.float64)
    y, x = places[:, None] - 16.3, places[None] - 10.2 - shift  # off the grid: no ties
    return RADIUS - (x.square() + y.square() + 1e-6).sqrt()


def masks(kind: type[Loss]) -> Scene:
    """A predicted disc slides over the true one and off it."""
    truth = disc(0.0)
    inside, target = (truth > 0), kind.card.target
    channels = len(shape_of(kind.card.example.input)) - len(shape_of(kind.card.example.target))
    two = channels == 1 or len(shape_of(kind.card.example.input)) == 4

    def path(t: Tensor) -> tuple[Any, Any]:
        logits = 2 * disc(2 * RADIUS * t)
        logits = torch.stack([-logits, logits] if two else [logits], int(not two))
        logits = logits[None] if two else logits.reshape(1, SIDE, SIDE)
        if target == "classes":
            return logits, inside.long()[None]
        if target in ("labels", "counts"):  # one blob
            return logits, inside.double().reshape(1, SIDE, SIDE)
        return logits, torch.stack([truth, -truth])[None]

    return Scene(
        "shift of the predicted disc, in diameters",
        "A predicted disc, its logits 2 a pixel from its edge, slides sideways from the true one; "
        "past 1 they no longer overlap.",
        (0, 1.5),
        alone(kind, path, counts=[float((~inside).sum()), float(inside.sum())]),
        points=19,  # whole pixels
    )


def boxes(kind: type[Loss]) -> Scene:
    """A predicted box slides over the true one and off it."""
    target = torch.tensor([[0.0, 0.0, 1.0, 1.0]], dtype=torch.float64)

    def of(width: float, height: float) -> Path:
        x = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
        half = torch.tensor([-width, -height, width, height], dtype=torch.float64) / 2
        return lambda t: ((0.5 + half + t * x)[None], target)

    return Scene(
        "shift of the box, in sides of the true one",
        "A predicted box slides sideways from the true unit square.",
        (-2, 2),
        {
            "same shape": (made(kind), of(1.0, 1.0)),
            "twice as wide, half as high": (made(kind), of(2.0, 0.5)),
        },
    )


def delayed(kind: type[Loss]) -> Scene:
    """A series whose one bump comes early or late."""
    time = torch.arange(32, dtype=torch.float64)

    def bump(late: Tensor | float) -> Tensor:
        return (-((time - 15.5 - late) / 2).square() / 2).exp()[None]

    def of(height: float) -> Path:
        return lambda t: (height * bump(t), bump(0.0))

    return Scene(
        "time steps that the predicted bump comes late",
        "A series of 32 steps has one bump of height 1, predicted early or late; a curve for each "
        "predicted height.",
        (-8, 8),
        {f"{height:g} high": (made(kind), of(height)) for height in (1.0, 0.5)},
        points=33,
    )


def likeness(kind: type[Loss]) -> Scene:
    """An image, a sound or features: spoilt by noise, or fainter, by equal errors."""
    clean = _signal(kind)
    size = clean.square().mean().sqrt()
    noise = normal(*clean.shape, seed=1)
    noise = noise * size / noise.square().mean().sqrt()
    paired = kind.card.target is not None

    def noisy(t: Tensor) -> tuple[Any, Any]:
        return clean + t * noise, (clean if paired else None)

    def fainter(t: Tensor) -> tuple[Any, Any]:
        return (1 - t) * clean, (clean if paired else None)

    return Scene(
        "size of the error, as a share of the signal's",
        f"{'What is predicted is right' if paired else 'A smooth image is as it was'} but for "
        "noise, or but for being fainter, by the same root mean square error.",
        (0.02, 0.98),
        {"noise": (made(kind), noisy), "fainter": (made(kind), fainter)},
        points=33,
    )


def _signal(kind: type[Loss]) -> Tensor:
    """Return something like an image, a sound, or features: smooth in its last dimensions."""
    shown = shape_of(kind.card.example.input)
    if "audio" in kind.card.tasks:
        t = torch.arange(4096, dtype=torch.float64) / 4096
        return ((2 * torch.pi * 80 * t).sin() + (2 * torch.pi * 230 * t).sin() / 2)[None]
    if len(shown) < 3:
        return normal(16, 8)
    shape = SIDES[len(shown)]
    y, x = (torch.linspace(0, 1, side, dtype=torch.float64) for side in shape[-2:])
    if len(shape) == 3:  # patches, as masked autoencoders normalise them
        rows = normal(*shape) + 2 * torch.arange(shape[1])[:, None] * (6 * x).sin()
        return (rows - rows.mean(-1, keepdim=True)) / rows.std(-1, keepdim=True)
    waves = (9 * x[None] + 4 * y[:, None]).sin() * (7 * y[:, None]).cos()
    return (0.5 + 0.3 * waves).expand(shape)
