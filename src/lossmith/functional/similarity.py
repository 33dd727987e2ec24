"""Sums over the products of every row with every row: what contrastive losses are made of.

By way of N × N products where they are few; else a tile at a time, in memory of N × D.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from lossmith.kernels import products, softplus
from lossmith.kernels.choice import Why, choose, transformed

FEW_PRODUCTS = 1 << 20


def log_sums(
    left: Tensor,
    right: Tensor | None,
    skip: Tensor,
    *,
    columns: bool = False,
    bound: float | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Return log-sums of exponentials of products, of each row and if asked of each column.

    .. math:: \log \sum_{j \notin \mathrm{skip}_i} e^{l_i \cdot r_j} \qquad
        \log \sum_{i : j \notin \mathrm{skip}_i} e^{l_i \cdot r_j}

    The lowest number of the dtype stands for the log-sum of nothing. Time is that of four matrix
    products, of two where right is None.

    Args:
        left: (N, D).
        right: (M, D), or None for left itself, where skip must be mutual.
        skip: (N, K) the column numbers that each row leaves out.
        columns: whether the columns' sums are wanted too; they leave out the same products.
        bound: what no product exceeds in size, if Python knows: it spares a device passes.

    >>> rows, _ = log_sums(torch.eye(2), None, torch.tensor([[0], [1]]))
    >>> rows
    tensor([0., 0.])
    """
    count = left.shape[0] * (left if right is None else right).shape[0]
    with torch.autocast(left.device.type, enabled=False):
        if _choose("log_sums", count):
            return products.tiled(left, right, skip, columns, bound)
        return products.reference(left, right, skip, columns)


def softplus_sums(
    left: Tensor, right: Tensor, bias: Tensor, skip: Tensor, *, row_weight: Tensor | None = None
) -> Tensor:
    r"""Return sums of log(1 + e^x) over products of each row.

    .. math:: \sum_{j \notin \mathrm{skip}_i} \log(1 + e^{l_i \cdot r_j + b})

    Time is that of three matrix products where `reduce` gets the same weights as row_weight, else
    of five.

    Args:
        left: (N, D).
        right: (M, D).
        bias: 0-dim, added to each product.
        skip: (N, K) the column numbers that each row leaves out.
        row_weight: (N,), what each row will weigh; 1 unless given.

    >>> softplus_sums(torch.zeros(1, 2), torch.zeros(3, 2), torch.zeros(()), torch.tensor([[0]]))
    tensor([1.3863])
    """
    with torch.autocast(left.device.type, enabled=False):
        if _choose("softplus_sums", left.shape[0] * right.shape[0]):
            known = left.new_ones(left.shape[0]) if row_weight is None else row_weight
            return softplus.tiled(left, right, bias, skip, known)
        return softplus.reference(left, right, bias, skip)


def greatest_cosine(scale: Tensor | float) -> float | None:
    """Return what no cosine over a scale exceeds; None where Python does not know the scale."""
    return None if isinstance(scale, Tensor) else 1 / scale


def _choose(kernel: str, count: int) -> bool:
    if torch.compiler.is_exporting():
        return False  # an exported graph holds torch's own operations, whatever the batch
    obstacles: Sequence[tuple[bool, Why]] = (
        (transformed(), "torch.func needs operations that it can transform"),
        (count < FEW_PRODUCTS, lambda: f"{count} products are fewer than {FEW_PRODUCTS}"),
    )
    return choose(kernel, obstacles, lambda: f"{count} products, a tile at a time")
