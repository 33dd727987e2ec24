"""Divergences of distributions a row, unreduced; distributions are logits (N, C), softmaxed."""

import math

import torch
from torch import Tensor

from lossmith.functional.checks import promote, same_shape
from lossmith.functional.classification.multiclass import log_probabilities
from lossmith.functional.embeddings import row_lengths

__all__ = [
    "chamfer",
    "jensen_shannon_divergence",
    "kl",
    "ordered_wasserstein",
    "reverse_kl",
    "total_variation_distance",
    "wasserstein_1d",
]


def chamfer(input: Tensor, target: Tensor, *, squared: bool = True) -> Tensor:
    """Return the mean distance of points to the nearest of the other cloud, both ways added.

    Clouds are (N, P, D) and (N, Q, D); distances are squared, or not (Fan et al., 2017).
    """
    shapes = tuple(input.shape), tuple(target.shape)
    fine = len(shapes[0]) == len(shapes[1]) == 3 and shapes[0][::2] == shapes[1][::2]
    if not fine or 0 in (shapes[0][1], shapes[1][1]):
        raise ValueError(
            f"input has shape {shapes[0]} but target has shape {shapes[1]}; clouds must be "
            "(N, P, D) and (N, Q, D), of a point each at least"
        )
    first = promote(input)
    second = target.to(first.dtype)
    # What is nearest depends on no scale, and is a constant of the gradient.
    size = torch.maximum(*(one.detach().abs().amax((1, 2)) for one in (first, second)))
    size = size.clamp(min=1e-30).reshape(-1, 1, 1)
    apart = torch.cdist(
        first.detach() / size,
        second.detach() / size,
        compute_mode="donot_use_mm_for_euclid_dist",  # which cancels
    )
    there = _to_nearest(first, second, apart.argmin(2), squared)
    return there + _to_nearest(second, first, apart.argmin(1), squared)


def _to_nearest(points: Tensor, others: Tensor, nearest: Tensor, squared: bool) -> Tensor:
    gap = points - others.gather(1, nearest.unsqueeze(2).expand(-1, -1, points.shape[2]))
    return (gap.square().sum(2) if squared else row_lengths(gap)).mean(1)


def kl(input: Tensor, target: Tensor) -> Tensor:
    """Return KL(p‖q) = Σ p_c (log p_c − log q_c) of p = softmax(target), q = softmax(input)."""
    log_q, log_p = log_distributions(input, target)
    return relative_entropy(log_p, log_q)


def reverse_kl(input: Tensor, target: Tensor) -> Tensor:
    """Return KL(q‖p) = Σ q_c (log q_c − log p_c) of p = softmax(target), q = softmax(input)."""
    log_q, log_p = log_distributions(input, target)
    return relative_entropy(log_q, log_p)


def jensen_shannon_divergence(input: Tensor, target: Tensor) -> Tensor:
    """Return (KL(p‖m) + KL(q‖m))/2 of m = (p + q)/2, from 0 to log 2."""
    log_q, log_p = log_distributions(input, target)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return (relative_entropy(log_p, log_m) + relative_entropy(log_q, log_m)) / 2


def total_variation_distance(input: Tensor, target: Tensor) -> Tensor:
    """Return Σ |p_c − q_c| / 2, from 0 to 1."""
    log_q, log_p = log_distributions(input, target)
    return (log_p.exp() - log_q.exp()).abs().sum(1) / 2


def ordered_wasserstein(input: Tensor, target: Tensor) -> Tensor:
    """Return Σ_k |P(c ≤ k) − Q(c ≤ k)|: Wasserstein-1 between classes one unit apart."""
    log_q, log_p = log_distributions(input, target)
    # the last sum is 1 − 1, of which rounding must leave nothing
    return (log_p.exp() - log_q.exp()).cumsum(1)[:, :-1].abs().sum(1)


def wasserstein_1d(input: Tensor, target: Tensor) -> Tensor:
    """Return the mean of |x_(k) − y_(k)| over the sorted samples of each row (N, S)."""
    check_rows(input, target, "samples (N, S)")
    input, target = same_shape(input, target)
    gap = (input.sort(1).values - target.sort(1).values).abs()
    return gap.sum(1) / max(gap.shape[1], 1)


def relative_entropy(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return Σ p (log p − log q) along dimension 1."""
    gap = log_p - log_q
    near = gap.abs() < 0.01
    small = torch.where(near, gap, 0)
    # Where they are near, Σ (q − p) = 0 is added by parts, so that what is first order cancels.
    series = small.square() * (1 / 2 - small * (1 / 6 - small * (1 / 24 - small / 120)))
    p = log_p.exp()
    return torch.where(near, p * series, p * gap + (log_q.exp() - p)).sum(1)


def log_distributions(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check logits (N, C) and return the logarithms of both distributions, all finite."""
    check_rows(input, target, "logits (N, C)")
    input, target = same_shape(input, target)
    return log_probabilities(input), log_probabilities(target)


def check_rows(input: Tensor, target: Tensor, what: str) -> None:
    """Raise ValueError unless input has two dimensions."""
    if input.ndim != 2:
        raise ValueError(
            f"input has shape {tuple(input.shape)} and target {tuple(target.shape)}; both must be "
            f"{what}"
        )
