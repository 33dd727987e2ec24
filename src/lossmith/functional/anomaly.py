"""Losses of what is normal: far from it is an anomaly, of which some examples may be known."""

import math

import torch
from torch import Tensor

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    check_flags,
    clamp_if_outside,
    class_logits,
    flat_rows,
    promote,
    same_shape,
    tensor_like,
)
from lossmith.functional.classification.multiclass import nll
from lossmith.functional.embeddings import row_lengths

__all__ = [
    "deep_sad",
    "deep_svdd",
    "deviation",
    "energy_margin",
    "hypersphere_classification",
    "hypersphere_distance",
    "soft_boundary_svdd",
    "svdd_center",
]

_NEAR = 1e-6  # the authors' of Deep SAD, added to a distance before it is inverted
_NONE = 1e-31  # what FCDD's authors take the logarithm of where there is no distance


def deep_svdd(input: Tensor, *, center: Tensor) -> Tensor:
    """Return each row's squared distance to the centre (Ruff et al., 2018)."""
    rows = promote(input)
    if rows.ndim != 2 or rows.shape[1] != len(center):
        raise ValueError(
            f"input must be (N, {len(center)}), as long as the center, got {tuple(rows.shape)}"
        )
    return (rows - center.to(rows)).square().sum(1)


def soft_boundary_svdd(
    input: Tensor, *, center: Tensor, radius: Tensor | float, nu: Tensor | float
) -> Tensor:
    """Return R² + max(0, d² − R²)/nu of each row's distance d to the centre (Ruff et al., 2018)."""
    distance = deep_svdd(input, center=center)
    squared = tensor_like(radius, distance).square()
    return squared + (distance - squared).relu() / tensor_like(nu, distance)


def svdd_center(output: Tensor, *, least: float = 0.1) -> Tensor:
    """Return the mean of embeddings (N, D), of which no entry is nearer to 0 than `least`.

    An entry of 0 could be met by weights of 0, for all rows alike.

    >>> svdd_center(torch.tensor([[1.0, 0.02], [3.0, -0.06]]))
    tensor([ 2.0000, -0.1000])
    """
    mean = flat_rows(promote(output), dims=2).mean(0)
    return torch.where(mean < 0, mean.clamp(max=-least), mean.clamp(min=least))


def deep_sad(
    input: Tensor,
    anomaly: Tensor,
    labelled: Tensor | None = None,
    *,
    center: Tensor,
    eta: Tensor | float = 1.0,
) -> Tensor:
    """Return d², eta·d² where labelled as normal, eta/(d² + 1e-6) as anomaly (Ruff et al., 2020).

    Where it is not said what is labelled, anomalies are.
    """
    rows = promote(input)
    most = torch.finfo(rows.dtype).max / 4  # twice that is a number
    distance = deep_svdd(clamp_if_outside(rows, -most, most), center=center)
    odd = _flags("anomaly", anomaly, input)
    known = odd if labelled is None else _flags("labelled", labelled, input)
    value = torch.where(odd, 1 / (distance + _NEAR), distance)
    return torch.where(known, as_scalar_or_tensor(eta, distance) * value, distance)


def deviation(
    input: Tensor,
    target: Tensor,
    *,
    margin: Tensor | float = 5.0,
    mean: Tensor | float = 0.0,
    spread: Tensor | float = 1.0,
) -> Tensor:
    """Return |z|, max(0, margin − z) of anomalies, z = (x − mean)/spread (Pang et al., 2019)."""
    scores, labels = same_shape(input, target)
    if scores.ndim != 1:
        raise ValueError(f"input must hold one score a row, (N,), got {tuple(scores.shape)}")
    odd = _flags("target", labels, scores)
    most = torch.finfo(scores.dtype).max / 4
    away = scores - as_scalar_or_tensor(mean, scores)
    away = clamp_if_outside(away / as_scalar_or_tensor(spread, scores), -most, most)
    return torch.where(odd, (as_scalar_or_tensor(margin, scores) - away).relu(), away.abs())


def hypersphere_distance(input: Tensor) -> Tensor:
    """Return the mean over places of √(‖x‖² + 1) − 1 of embeddings (N, D, …), one a row.

    >>> hypersphere_distance(torch.tensor([[0.0, 0.0], [0.6, 0.45]]))  # √1.5625 − 1
    tensor([0.0000, 0.2500])
    """
    rows = promote(input)
    if rows.ndim < 2:
        raise ValueError(f"input must be embeddings (N, D, …), got shape {tuple(rows.shape)}")
    radius = row_lengths(rows.movedim(1, -1))
    far = radius * (radius / (torch.hypot(radius, torch.ones_like(radius)) + 1))
    return far if far.ndim == 1 else far.flatten(1).mean(1)


def hypersphere_classification(input: Tensor, target: Tensor) -> Tensor:
    """Return h of `hypersphere_distance`, −log(1 − e^{−h}) of anomalies (Ruff et al., 2021).

    h is 1e-31 at least there.
    """
    distance = hypersphere_distance(input)
    odd = _flags("target", target, input)
    near = distance < math.log(2)  # NaN is not, and stays
    far = torch.log1p(-(-torch.where(near, 1.0, distance)).exp())
    close = torch.where(near, distance, 1.0).clamp(min=_NONE)
    return torch.where(odd, -torch.where(near, (-torch.expm1(-close)).log(), far), distance)


def energy_margin(
    input: Tensor,
    classes: Tensor,
    outlier: Tensor,
    *,
    weight: Tensor | None = None,
    inlier_margin: Tensor | float = -25.0,
    outlier_margin: Tensor | float = -7.0,
    strength: Tensor | float = 0.1,
) -> tuple[Tensor, Tensor]:
    """Return mean −log p_y of inliers, strength·(mean max(0, E − m_in)² + mean max(0, m_out − E)²).

    E is −log Σ exp x of the logits (N, C), its means over inliers and outliers (Liu et al., 2020).
    Classes of outliers are not looked at.
    """
    if input.ndim != 2 or classes.shape != input.shape[:1]:
        raise ValueError(
            f"input has shape {tuple(input.shape)} but classes have shape {tuple(classes.shape)}; "
            "logits must be (N, C) and classes (N,)"
        )
    odd = _flags("outlier", outlier, input)
    # Of ignore_index 0, which changes nothing: there is no mark for an inlier without a class.
    logits, classes = class_logits(input, classes.masked_fill(odd, 0), ignore_index=0)
    most = torch.finfo(logits.dtype).max ** 0.499  # beyond, the square is no number
    energy = clamp_if_outside(-logits.logsumexp(1), -most, most)
    near = energy - as_scalar_or_tensor(inlier_margin, logits)
    far = as_scalar_or_tensor(outlier_margin, logits) - energy
    counts = torch.ones_like(energy) if weight is None else weight.to(energy)
    inside, outside = torch.where(odd, 0, counts), torch.where(odd, counts, 0)
    gaps = _mean(near.relu().square(), inside) + _mean(far.relu().square(), outside)
    return _mean(nll(logits, classes), inside), as_scalar_or_tensor(strength, gaps) * gaps


def _flags(name: str, labels: Tensor, input: Tensor) -> Tensor:
    """Return labels as truth values; raise unless they are 0 or 1, one a row."""
    if labels.shape != input.shape[:1]:
        raise ValueError(
            f"input has shape {tuple(input.shape)} but {name} has shape {tuple(labels.shape)}; one "
            "label a row, nothing is broadcast"
        )
    check_flags(name, labels)
    return labels == 1


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    total = weight.sum()
    values = torch.where(weight > 0, values, 0)
    return (weight * values).sum() / torch.where(total > 0, total, 1)
