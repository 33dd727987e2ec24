"""Draw docs/shapes/<key>.svg: what each loss does in the scene that its card fits.

    python site/shapes.py docs/shapes

Its title says what moves, its description a few of its numbers: caption and text alternative.
"""

import re
import sys
from html import unescape
from pathlib import Path

import torch

from lossmith.catalogue import find
from lossmith.core import Loss
from plot import Curve, document
from scenes import drawing
from scenes.scene import Drawn, settings

APART = 4.0  # how much larger or smaller than the value a gradient may be on the same axis


def draw(kind: type[Loss]) -> str:
    """Return the drawing of one loss as an SVG document."""
    found = drawing(kind)
    title = f"{found.scene.caption[:-1]}{settings(kind)}."
    return document(title, found.scene.moves, found.x.tolist(), curves(found))


def curves(found: Drawn) -> list[Curve]:
    """Return the lines of a drawing: several values, or one with its gradient."""
    first, *others = found.values.values()
    near = 0.01 * float(first.max() - first.min())
    if others and not all(torch.allclose(one, first, rtol=0, atol=near) for one in others):
        return [Curve(name, value.tolist()) for name, value in found.values.items()]
    gradient = next(iter(found.gradients.values()))
    ratio = float(gradient.abs().max() / first.abs().max())
    other = not 1 / APART < ratio < APART
    name = f"loss: {', '.join(found.values)}" if others else "loss"
    return [Curve(name, first.tolist()), Curve("gradient", gradient.tolist(), other)]


def words(svg: str) -> tuple[str, str]:
    """Return the title and the description of a drawing."""
    found = re.search("<title>(.*?)</title><desc>(.*?)</desc>", svg)
    assert found is not None
    return unescape(found[1]), unescape(found[2])


def main(out: str) -> None:
    """Draw all, and remove the drawings of losses that are no more."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    for key, kind in find().items():
        (folder / f"{key}.svg").write_text(draw(kind), encoding="utf-8")
    for path in folder.glob("*.svg"):
        if path.stem not in find():
            path.unlink()


if __name__ == "__main__":
    main(sys.argv[1])
