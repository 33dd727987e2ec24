"""Numbers that a loss learns."""

import torch
from torch import Tensor, nn


def learned(start: Tensor) -> nn.Parameter:
    """Return a parameter of one number and of shape (1,), on the default device.

    What shards parameters refuses those without dimensions.
    """
    dtype = torch.promote_types(torch.get_default_dtype(), torch.float32)
    device = torch.get_default_device()
    return nn.Parameter(start.reshape(1).to(device, dtype))


def exact(number: Tensor) -> Tensor:
    """Return a learned number without its dimension, in float32 at least."""
    return number.reshape(()).to(torch.promote_types(number.dtype, torch.float32))
