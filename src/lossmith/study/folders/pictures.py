"""Pictures read with Pillow at a small size, and one line for what a study does not take."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import pluralize

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
GREY = ("1", "L", "LA", "La")
COLOUR = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")
CODES = ("1", "L", "P")  # of masks
TURNED = (5, 6, 7, 8)  # orientations of a camera that swap width and height
ORIENTATION = 0x0112


@dataclass(frozen=True)
class Looks:
    """What a picture's header says: width and height as it is shown, and whether it is grey."""

    width: int
    height: int
    grey: bool


def look(file: Path) -> Looks:
    """Return what an image's header says.

    Raises:
        InputError: if it is no image, is animated or has several pages, or has 16 bits.
    """
    with _opened(file, GREY + COLOUR) as image:
        width, height = image.size
        if image.getexif().get(ORIENTATION) in TURNED:
            width, height = height, width
        return Looks(width, height, image.mode in GREY)


def pixels(file: Path, size: int, channels: int) -> np.ndarray:
    """Return an image, squeezed to a square, as bytes (channels, size, size).

    A photo is turned as its camera held it; what is transparent is white.
    """
    from PIL import Image, ImageOps

    with _opened(file, GREY + COLOUR) as image:
        image.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at a smaller scale
        image = ImageOps.exif_transpose(image)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("L" if channels == 1 else "RGB")
        small = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
    return small.reshape(size, size, channels).transpose(2, 0, 1)


def codes(file: Path, shape: Looks) -> np.ndarray:
    """Return a mask's class codes (height, width), of the size that its image has.

    Raises:
        InputError: if it holds colours or 16 bits, is compressed with losses, or has another size.
    """
    if file.suffix.lower() in (".jpg", ".jpeg"):
        raise InputError(f"mask {file} is a JPEG, which blurs class codes; save masks as PNG")
    with _opened(file, CODES, "mask ") as image:
        found = np.asarray(image)
    if found.shape != (shape.height, shape.width):
        high, wide = found.shape
        raise InputError(
            f"mask {file} is {wide} × {high} pixels, but its image is {shape.width} × "
            f"{shape.height}; a mask has one code a pixel of its image"
        )
    return found.astype(np.uint8)


def shrunk(mask: np.ndarray, size: int) -> np.ndarray:
    """Return a mask at a smaller size, each pixel the code that lies at its middle."""
    from PIL import Image

    small = Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST)
    return np.asarray(small)


@contextmanager
def _opened(file: Path, modes: tuple[str, ...], what: str = "") -> Iterator["Image.Image"]:
    """Open an image of a mode that is taken; whatever is wrong with it is one line."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":  # a photo with a preview
                raise InputError(
                    f"{what}{file} is animated, or has {pluralize(frames, 'page')}; save each as "
                    "an image of its own"
                )
            if image.mode not in modes:
                raise InputError(f"{what}{file} {_refused(image.mode, modes)}")
            yield image
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(
            f"{what}{file} can't be read as an image: it is of no kind that is known"
        ) from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{what}{file} is too large an image: {error}") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, ArithmeticError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{what}{file} can't be read as an image: {reason}") from error


def _refused(mode: str, modes: tuple[str, ...]) -> str:
    if mode in (*GREY, *COLOUR):
        return f"is in colour or transparent ({mode}); save class codes in one channel of 8 bits"
    what = "class codes" if modes is CODES else "it"
    return f"has pixels of more than 8 bits ({mode}); save {what} with 8 bits a channel"
