"""How large the gradient of each row is, and on how few rows it rests."""

import torch
from torch import Tensor


def row_sizes(gradient: Tensor) -> Tensor:
    """Return the norm of each row of a gradient (N, …), on the CPU in float64.

    >>> row_sizes(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([5., 0.], dtype=torch.float64)
    """
    rows = gradient.detach().reshape(len(gradient), -1) if gradient.ndim else gradient.reshape(1, 1)
    return torch.linalg.vector_norm(rows.float(), dim=1).double().cpu()


def share_of_half(sizes: Tensor) -> float:
    """Return the share of rows, the largest first, that carry half of the sum of sizes.

    >>> share_of_half(torch.tensor([1.0, 1.0, 1.0, 1.0])), share_of_half(torch.tensor([9.0, 1.0]))
    (0.5, 0.5)
    """
    total = sizes.sum()
    if not sizes.numel() or not total > 0:
        return 0.0
    carried = sizes.sort(descending=True).values.cumsum(0)
    return (int((carried < total / 2).sum()) + 1) / len(sizes)
