"""Embeddings whose first numbers are embeddings themselves."""

from torch import Tensor

__all__ = ["first_features"]


def first_features(rows: Tensor, count: int) -> Tensor:
    """Return the first numbers of embeddings (…, D); ValueError where they have fewer."""
    if rows.ndim == 0 or rows.shape[-1] < count:
        raise ValueError(
            f"embeddings have shape {tuple(rows.shape)}, but their first {count} numbers are asked "
            "for; leave out of dims what is wider"
        )
    return rows[..., :count]
