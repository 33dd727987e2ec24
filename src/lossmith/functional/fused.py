"""Torch's own losses, each in one operation, without torch's broadcasting.

They fail under vmap within vmap (torch 2.13).
"""

from typing import Any

import torch

losses: Any = torch._C._nn  # the functions that torch.nn.functional calls
NONE, MEAN = 0, 1  # torch's numbers for how they are reduced
