"""Softmax of angles to proxies with margins that follow training or the rows, unreduced."""

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, tensor_like
from lossmith.functional.classification.multiclass import gather_target
from lossmith.functional.embeddings import row_lengths
from lossmith.functional.metric_learning.margins import held_back, turned_by
from lossmith.functional.metric_learning.proxies import class_cosines, margin_entropy

__all__ = ["curricular_face", "mag_face", "own_cosines"]


def curricular_face(
    input: Tensor,
    target: Tensor,
    *,
    proxies: Tensor,
    pace: Tensor | float,
    scale: Tensor | float = 64.0,
    margin: Tensor | float = 0.5,
) -> Tensor:
    """Return ArcFace's cross-entropy with cosines of hard classes times pace + cos (Huang, 2020).

    A class is hard where its cosine exceeds cos(θ + margin) of the target's.
    """
    cos, classes = class_cosines(input, target, proxies)
    margin, own = tensor_like(margin, cos), gather_target(cos, classes)
    hard = cos > turned_by(own, margin).unsqueeze(1)
    rivals = torch.where(hard, cos * (as_scalar_or_tensor(pace, cos) + cos), cos)
    return margin_entropy(rivals, classes, held_back(own, margin), scale)


def own_cosines(input: Tensor, target: Tensor, *, proxies: Tensor) -> Tensor:
    """Return the cosine of each row to the proxy of its class, a constant."""
    cos, classes = class_cosines(input.detach(), target, proxies.detach())
    return gather_target(cos, classes)


def mag_face(
    input: Tensor,
    target: Tensor,
    *,
    proxies: Tensor,
    scale: Tensor | float = 64.0,
    lengths: tuple[Tensor | float, Tensor | float] = (10.0, 110.0),
    margins: tuple[Tensor | float, Tensor | float] = (0.45, 0.8),
    strength: Tensor | float = 35.0,
) -> dict[str, Tensor]:
    """Return cross-entropy with margins in proportion to lengths, and strength·(1/a + a/u²).

    a is a row's length held within l … u; where cos θ is not above 0 there is no margin (Meng et
    al., 2021).
    """
    cos, classes = class_cosines(input, target, proxies)
    low, high, least, most = (tensor_like(one, cos) for one in (*lengths, *margins))
    a, own = torch.clamp(row_lengths(input), low, high), gather_target(cos, classes)
    margin = least + (most - least) / (high - low) * (a - low)
    held = torch.where(own > 0, turned_by(own, margin), own)
    short = as_scalar_or_tensor(strength, cos) * (1 / a + a / high**2)
    return {"classes": margin_entropy(cos, classes, held, scale), "lengths": short}
