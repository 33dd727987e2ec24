"""Softmax of embeddings' angles to learned proxies, the own class held by a margin, unreduced."""

import math

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, promote, tensor_like
from lossmith.functional.classification.multiclass import gather_target, nll
from lossmith.functional.embeddings import dots, row_lengths, unit_rows
from lossmith.functional.metric_learning.proxies import (
    class_cosines,
    margin_entropy,
    own_class,
)

__all__ = ["arc_face", "cos_face", "sphere_face"]


def arc_face(
    input: Tensor,
    target: Tensor,
    *,
    proxies: Tensor,
    scale: Tensor | float = 64.0,
    margin: Tensor | float = 0.5,
    centers: int = 1,
) -> Tensor:
    """Return cross-entropy of scale·cos θ with θ + margin for the target's class.

    Beyond θ = π − margin, where cos(θ + margin) would rise again, it is cos θ − margin·sin margin.
    Of several centers a class has, consecutive rows of proxies, the nearest counts.
    """
    cos, classes = class_cosines(input, target, proxies, centers)
    margin = tensor_like(margin, cos)
    own = gather_target(cos, classes)
    return margin_entropy(cos, classes, held_back(own, margin), scale)


def cos_face(
    input: Tensor,
    target: Tensor,
    *,
    proxies: Tensor,
    scale: Tensor | float = 64.0,
    margin: Tensor | float = 0.35,
) -> Tensor:
    """Return cross-entropy of scale·cos θ with cos θ − margin for the target's class."""
    cos, classes = class_cosines(input, target, proxies)
    return margin_entropy(
        cos, classes, gather_target(cos, classes) - as_scalar_or_tensor(margin, cos), scale
    )


def sphere_face(
    input: Tensor,
    target: Tensor,
    *,
    proxies: Tensor,
    margin: int = 4,
    annealing: Tensor | float = 0.0,
) -> Tensor:
    """Return cross-entropy of |x|·cos θ with |x|·ψ(θ) for the target's class (Liu et al., 2017).

    ψ(θ) = (−1)^k cos(mθ) − 2k for θ from kπ/m to (k + 1)π/m, m the margin, mixed with cos θ:
    (annealing·cos θ + ψ(θ)) / (1 + annealing).
    """
    rows = promote(input)  # once: gradients of several uses add up in its dtype
    cos, classes = class_cosines(rows, target, proxies)
    own, mix = gather_target(cos, classes), as_scalar_or_tensor(annealing, cos)
    # 8·margin times a row's length is a number still.
    size = row_lengths(rows).clamp(max=torch.finfo(cos.dtype).max / (64 * margin))
    logits = dots(rows, unit_rows(proxies.to(cos)))
    moved = size * (_psi(own, margin) - own) / (1 + mix)
    return nll(logits + torch.where(own_class(cos, classes), moved.unsqueeze(1), 0), classes)


def _psi(cos: Tensor, margin: int) -> Tensor:
    """Return (−1)^k cos(mθ) − 2k, by Chebyshev's polynomials: smooth where acos is not."""
    before, turned = torch.ones_like(cos), cos
    for _ in range(margin - 1):
        before, turned = turned, 2 * cos * turned - before
    edges = [math.cos(place * math.pi / margin) for place in range(1, margin)]
    passed = sum((cos.detach() <= edge).to(cos.dtype) for edge in edges) + torch.zeros_like(cos)
    return (1 - 2 * (passed % 2)) * turned - 2 * passed


def held_back(cos: Tensor, margin: Tensor) -> Tensor:
    """Return cos(θ + margin), cos θ − margin·sin margin beyond θ = π − margin, where it rises."""
    turned = turned_by(cos, margin)
    return torch.where(cos > -margin.cos(), turned, cos - margin * margin.sin())


def turned_by(cos: Tensor, angle: Tensor) -> Tensor:
    """Return cos(θ + angle)."""
    rest = 1 - cos.square()
    clear = rest > torch.finfo(cos.dtype).eps
    sine = torch.where(clear, torch.where(clear, rest, 1).sqrt(), 0)
    return cos * angle.cos() - sine * angle.sin()
