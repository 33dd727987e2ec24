"""Arrays by name as bytes, and back; no pickles."""

import io
import zipfile
from collections.abc import Mapping

import numpy as np


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays as the bytes of an `.npz` file."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def unpacked(data: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of such bytes.

    Raises:
        ValueError: if they are none.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as parts:
            return dict(parts)
    except (AttributeError, EOFError, KeyError, OSError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"arrays cannot be read: {error}") from error
