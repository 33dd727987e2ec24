"""Torch's own losses, each in one operation, without torch's broadcasting.

They fail under vmap within vmap (torch 2.13).
"""

from typing import Any

import torch
from torch import Tensor

losses: Any = torch._C._nn  # the functions that torch.nn.functional calls
NONE, MEAN, SUM = 0, 1, 2  # torch's numbers for how they are reduced


def reduction(mean: bool, input: Tensor) -> int:
    """Return torch's number for a mean, which is 0 of nothing, or for none."""
    if not mean:
        return NONE
    return MEAN if input.numel() else SUM  # torch's mean of nothing is NaN
