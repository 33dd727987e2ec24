"""Folders of real images for the tests: digits by class, and digits beside their masks."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

DIGITS = load_digits()


def grey(row: int, side: int = 8) -> Image.Image:
    image = Image.fromarray((DIGITS.images[row] * 15.9).astype(np.uint8))
    return image.resize((side, side), Image.Resampling.BILINEAR)


def by_class(root: Path, each: int = 25, classes: int = 3) -> Path:
    """A folder for each of the first digits, named zero, one, two …, with so many images each."""
    for digit, name in enumerate(["zero", "one", "two", "three"][:classes]):
        (root / name).mkdir(parents=True)
        for row in np.flatnonzero(DIGITS.target == digit)[:each]:
            grey(row).save(root / name / f"{row}.png")
    return root


def with_masks(root: Path, count: int = 60) -> tuple[Path, Path]:
    """Tiles of a photo with a digit on each, and masks of where it is; in two folders."""
    images, masks = root / "images", root / "masks"
    images.mkdir(parents=True)
    masks.mkdir()
    photo, draw = load_sample_images().images[0], np.random.default_rng(0)
    for row in range(count):
        top, left = draw.integers(0, 300, 2)
        tile = photo[top : top + 40, left : left + 48].copy()
        drawn = np.zeros((40, 48), np.uint8)
        y, x = draw.integers(0, 12, 2)
        drawn[y : y + 28, x : x + 28] = np.asarray(grey(row, 28)) > 100
        tile[drawn == 1] = 250
        Image.fromarray(tile).save(images / f"{row:03d}.png")
        Image.fromarray(drawn).save(masks / f"{row:03d}.png")
    return images, masks
