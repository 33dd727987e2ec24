"""Softmax of angles to proxies with margins that follow training or the rows, unreduced."""

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, tensor_like
from lossmith.functional.classification.multiclass import gather_target
from lossmith.functional.embeddings import row_lengths
from lossmith.functional.metric_learning.margins import held_back, turned_by
from lossmith.functional.metric_learning.proxies import class_cosines, margin_entropy

__all__ = ["ada_face", "curricular_face", "mag_face", "norms", "own_cosines"]


def ada_face(
    input: Tensor,
    target: Tensor,
    *,
    proxies: Tensor,
    mean: Tensor | float,
    deviation: Tensor | float,
    scale: Tensor | float = 64.0,
    margin: Tensor | float = 0.4,
    concentration: Tensor | float = 0.333,
) -> Tensor:
    """Return cross-entropy of scale·cos θ, scale·(cos(θ + g) − a) for the target's class.

    g = −margin·z and a = margin + margin·z, where z from −1 to 1 is concentration times how many
    deviations a row's length, a constant of the gradient, lies off the mean (Kim et al., 2022).
    """
    cos, classes = class_cosines(input, target, proxies)
    margin, own = tensor_like(margin, cos), gather_target(cos, classes)
    far = (norms(input) - tensor_like(mean, cos)) / (tensor_like(deviation, cos) + 1e-3)
    quality = (as_scalar_or_tensor(concentration, cos) * far).clamp(-1, 1)
    angle = -margin * quality
    turned = turned_by(own, angle)
    turned = torch.where((angle < 0) & (own > angle.cos()), 1, turned)  # θ + g from 0 to π
    turned = torch.where((angle > 0) & (own < -angle.cos()), -1, turned)
    return margin_entropy(cos, classes, turned - margin * (1 + quality), scale)


def norms(input: Tensor) -> Tensor:
    """Return the length of each row, held within 0.001 … 100 as in AdaFace; a constant."""
    return row_lengths(input.detach()).clamp(0.001, 100)


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
