"""Data of the atlas for boxes, for views of one thing, and for bodies trained before.

From installed packages as in `atlas_sources`; small sets are made from real images.
"""

import numpy as np
from sklearn import datasets
from torch import from_numpy
from torch.nn import functional as nnf

from atlas_sources import Array, Loaded, leaves, mnist_once, nucleus_image, tiles

SIDE = 32  # of a picture with a box


def boxed_nuclei() -> Loaded:
    """Return tiles (N, 1, 32, 32) of an image of nuclei, the box of the largest part of one."""
    image, cells = nucleus_image()
    found = [_largest(tile) for tile in tiles(cells)]
    held = np.array([box is not None for box in found])
    boxes = np.array([box for box in found if box is not None], np.float32)
    return Loaded(tiles(image)[held, None], boxes)


def _largest(cells: Array) -> Array | None:
    names, sizes = np.unique(cells[cells > 0], return_counts=True)
    return _box(cells == names[sizes.argmax()]) if len(names) and sizes.max() >= 40 else None


def _box(mask: Array) -> Array:
    """Return the box of a mask, x1 y1 x2 y2 as shares of the picture's side."""
    y, x = np.nonzero(mask)
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], np.float32) / len(mask)


def boxed_digits(count: int = 1600) -> Loaded:
    """Return crops (N, 1, 32, 32) of photographs with a digit each, of any size, and its box."""
    random = np.random.default_rng(0)
    photos = [photo.mean(2) / 255 for photo in datasets.load_sample_images().images]
    chosen = random.permutation(5000)[:count]
    images, boxes = np.zeros((count, 1, SIDE, SIDE), np.float32), np.zeros((count, 4), np.float32)
    for row, digit in enumerate(mnist_once()[0][chosen].reshape(-1, 28, 28) / 255):
        photo = photos[row % 2]
        top, left = (random.integers(size - SIDE) for size in photo.shape)
        side = random.integers(14, 31)
        y, x = random.integers(SIDE - side + 1, size=2)
        ink = np.zeros((SIDE, SIDE))
        ink[y : y + side, x : x + side] = _resized(digit[None, None], side)[0, 0]
        images[row, 0] = photo[top : top + SIDE, left : left + SIDE] * (1 - ink) + ink
        boxes[row] = _box(ink > 0.3)
    return Loaded(images, boxes)


def _resized(images: Array, side: int) -> Array:
    return nnf.interpolate(from_numpy(images), side, mode="bilinear", antialias=True).numpy()


def pictured(loaded: Loaded, side: int) -> Loaded:
    """Return rows of pixels as pictures (N, 1, side, side)."""
    return loaded._replace(inputs=loaded.inputs.to_numpy().reshape(-1, 1, side, side))


def species() -> Loaded:
    """Return leaves of 32 species, dealt by rows."""
    return leaves()._replace(by="rows")


def other_hands(count: int = 1500) -> Loaded:
    """Return MNIST's digits in 8 × 8 pixels, after scikit-learn's of other writers."""
    images, target = mnist_once()
    chosen = np.random.default_rng(0).permutation(len(images))[:count]
    padded = np.pad(images[chosen].reshape(-1, 28, 28) / 255, ((0, 0), (2, 2), (2, 2)))
    small = padded.reshape(-1, 8, 4, 8, 4).mean((2, 4)).reshape(count, 64)
    inputs, known = datasets.load_digits(return_X_y=True)
    source = (inputs / 16).astype(np.float32), known
    return Loaded(small.astype(np.float32), target[chosen].astype(int), source=source)


def other_species() -> Loaded:
    """Return leaves of 16 species, after those of 16 others."""
    frame, codes, *_ = leaves()
    known = np.isin(codes, np.random.default_rng(0).permutation(32)[:16])
    values = frame.to_numpy(np.float32)
    values = (values - values[known].mean(0)) / values[known].std(0).clip(1e-6)
    own, source = (np.unique(codes[some], return_inverse=True)[1] for some in (~known, known))
    return Loaded(values[~known], own, source=(values[known], source))
