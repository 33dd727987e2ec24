"""Losses of a student against a teacher, or another view, of itself."""

import math

import torch
from torch import Tensor

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    matmul_full_precision,
    promote,
    same_shape,
)
from lossmith.functional.embeddings import cosines, unit_rows

__all__ = ["dino", "ibot", "msn", "negative_cosine", "sinkhorn", "swav"]


def negative_cosine(input: Tensor, target: Tensor) -> Tensor:
    """Return −cos of each row and its target.

    Shapes: input and target (…, D) -> (…).
    """
    input, target = same_shape(input, target)
    if input.ndim == 0:
        raise ValueError("input must have a dimension of features, got a scalar")
    return -(unit_rows(input) * unit_rows(target)).sum(-1)


def log_softmax_at(logits: Tensor, temperature: Tensor | float) -> Tensor:
    """Return log softmax(logits / temperature) over the last dimension, finite at any size."""
    shifted = logits - logits.detach().amax(-1, keepdim=True)
    most = torch.finfo(shifted.dtype).max / 4
    return (shifted / as_scalar_or_tensor(temperature, shifted)).clamp(min=-most).log_softmax(-1)


def dino(
    input: Tensor,
    target: Tensor,
    centre: Tensor,
    *,
    student_temperature: Tensor | float,
    teacher_temperature: Tensor | float,
) -> Tensor:
    """Return each sample's cross-entropy of all pairs of a teacher's view and another of a student.

    Shapes: input (N, V, K), target (N, G, K), its views the first of input's, centre (K,) -> (N,).
    """
    input, target = _views(input, target)
    student = log_softmax_at(input, student_temperature)
    teacher = log_softmax_at(target - centre.to(target), teacher_temperature).exp()
    pairs = -matmul_full_precision(teacher, student.transpose(1, 2))
    same = torch.eye(*pairs.shape[1:], dtype=torch.bool, device=pairs.device)
    return pairs.masked_fill(same, 0.0).sum((1, 2)) / (~same).sum()


def ibot(
    input: Tensor,
    target: Tensor,
    mask: Tensor,
    centre: Tensor,
    *,
    student_temperature: Tensor | float,
    teacher_temperature: Tensor | float,
) -> Tensor:
    """Return each image's mean cross-entropy over its masked patches; 0 where none is masked.

    Shapes: input and target (N, P, K), mask (N, P), centre (K,) -> (N,).
    """
    input, target = same_shape(input, target)
    if input.ndim != 3 or mask.shape != input.shape[:2]:
        raise ValueError(
            f"input must be (N, P, K) and mask (N, P), got {tuple(input.shape)} and "
            f"{tuple(mask.shape)}"
        )
    mask = mask.to(input.dtype)
    input, target = (torch.where((mask != 0).unsqueeze(-1), x, 0) for x in (input, target))
    student = log_softmax_at(input, student_temperature)
    teacher = log_softmax_at(target - centre.to(target), teacher_temperature).exp()
    patches = -(teacher * student).sum(-1)
    return (mask * patches).sum(1) / mask.sum(1).clamp(min=1)


def swav(
    input: Tensor,
    *,
    temperature: Tensor | float,
    epsilon: Tensor | float,
    iterations: int,
    assigning: int,
    own: slice = slice(None),
) -> Tensor:
    """Return each sample's mean cross-entropy of the codes of some views and the other views.

    Shapes: input (N, V, K), scores with the prototypes -> (N,), or as many as `own` picks.
    """
    input = promote(input)
    if input.ndim != 3 or not 1 <= assigning <= input.shape[1] or input.shape[1] < 2:
        raise ValueError(
            f"input must be (N, V, K) with {max(assigning, 2)} views or more, got "
            f"{tuple(input.shape)}"
        )
    codes = sinkhorn(input[:, :assigning].detach(), epsilon=epsilon, iterations=iterations)[own]
    student = log_softmax_at(input[own], temperature)
    pairs = -matmul_full_precision(codes, student.transpose(1, 2))
    same = torch.eye(*pairs.shape[1:], dtype=torch.bool, device=pairs.device)
    return pairs.masked_fill(same, 0.0).sum((1, 2)) / (~same).sum()


def msn(
    input: Tensor,
    target: Tensor,
    *,
    prototypes: Tensor,
    temperature: Tensor | float = 0.1,
    sharpening: Tensor | float = 0.25,
    balanced: bool = True,
) -> dict[str, Tensor]:
    """Return cross-entropy of views with their target's clusters, and how uneven clusters are used.

    Shapes: input (N, V, D), views; target (N, D); prototypes (K, D) (Assran et al., 2022).
    """
    input = promote(input)
    if input.ndim != 3 or not input.shape[1] or target.shape != input.shape[::2]:
        raise ValueError(
            f"input must be (N, V, D) and target (N, D), got {tuple(input.shape)} and "
            f"{tuple(target.shape)}"
        )
    if prototypes.shape[1] != input.shape[2]:
        raise ValueError(
            f"input has shape {tuple(input.shape)} but prototypes have shape "
            f"{tuple(prototypes.shape)}; both need as many features"
        )
    if input.shape[0] == 0:
        zero = input.sum() + 0 * prototypes.sum()
        return {"cross_entropy": zero, "mean_entropy": zero}
    prototypes = prototypes.to(input)
    views = log_softmax_at(cosines(input, prototypes), temperature)
    sharp = cosines(target.detach().to(input.dtype), prototypes.detach())
    codes = log_softmax_at(log_softmax_at(sharp, temperature), sharpening)
    codes = sinkhorn(codes, epsilon=1.0, iterations=3) if balanced else codes.exp()
    count = torch.zeros_like(views[:, :, 0]).flatten().logsumexp(0)  # its logarithm
    mean = views.flatten(0, 1).logsumexp(0) - count
    return {
        "cross_entropy": -(codes.unsqueeze(1) * views).sum(2).mean(),
        "mean_entropy": (mean.exp() * mean).sum() + math.log(len(prototypes)),
    }


def sinkhorn(scores: Tensor, *, epsilon: Tensor | float, iterations: int) -> Tensor:
    """Return codes: each sample's shares of the prototypes, all prototypes used alike.

    Sinkhorn and Knopp's iteration on exp(scores / epsilon), in logarithms, which no score breaks.

    Shapes: scores (N, …, K) -> (N, …, K), each row of K summing to 1.
    """
    if scores.numel() == 0:
        return scores
    most = torch.finfo(scores.dtype).max / 4
    codes = ((scores - scores.max()) / as_scalar_or_tensor(epsilon, scores)).clamp(min=-most)
    for _ in range(iterations):
        codes = codes - codes.logsumexp(0, keepdim=True)
        codes = codes.log_softmax(-1)
    return codes.exp()


def _views(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check views of logits (N, V, K) against a teacher's (N, G, K)."""
    fine = input.ndim == target.ndim == 3 and input.shape[::2] == target.shape[::2]
    if not fine or not 1 <= target.shape[1] <= input.shape[1] or input.shape[1] < 2:
        raise ValueError(
            f"input must be (N, V, K) and target (N, G, K), its views the first of input's, got "
            f"{tuple(input.shape)} and {tuple(target.shape)}"
        )
    input = promote(input)
    return input, target.to(input.dtype)
