"""Losses between weights, domains and samples, optimal transport among them."""

import functools
import math

import torch
from torch import Tensor, nn

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    divisor,
    head_dim,
    matmul_full_precision,
    promote,
    same_shape,
    widest,
)
from lossmith.functional.classification.multiclass import log_probabilities, one_minus_exp
from lossmith.functional.divergence import check_rows
from lossmith.functional.embeddings import magnitude, scaled

__all__ = [
    "deep_coral",
    "entropy_minimization",
    "flat_parameters",
    "l2_sp",
    "minimum_class_confusion",
    "mmd",
    "sinkhorn_divergence",
]

_STEPS = 200  # of Newton, at each temperature
_ROUGH, _NEAR = 1e-2, 1e-5  # what the plan's margins may miss by, together: on the way, at the end


def l2_sp(input: Tensor, target: Tensor) -> Tensor:
    """Return (w − w₀)²/2 of each parameter w and its start w₀."""
    weights, start = same_shape(input, target)
    return (weights - start).square() / 2


def flat_parameters(module: nn.Module) -> Tensor:
    """Return all parameters of a module as one vector, through which gradients flow.

    >>> flat_parameters(nn.Linear(3, 2)).shape
    torch.Size([8])
    """
    return torch.cat([promote(one).flatten() for one in module.parameters()])


def entropy_minimization(input: Tensor) -> Tensor:
    """Return −Σ p_c log p_c of the softmax (Grandvalet & Bengio, 2004)."""
    log_p = log_probabilities(promote(input))
    return -(log_p.exp() * log_p).sum(head_dim(log_p))


def minimum_class_confusion(
    input: Tensor, *, weight: Tensor | None = None, temperature: Tensor | float = 2.5
) -> Tensor:
    """Return 1 − the mean over classes of C_cc / Σ_d C_cd, C = Σ_i w_i p_i p_iᵀ (Jin et al., 2020).

    p are of the softmax of logits (N, C) over the temperature; w = 1 + exp(−entropy) is constant.
    """
    rows = promote(input)
    if rows.ndim != 2:
        raise ValueError(f"input must be logits (N, C), got shape {tuple(rows.shape)}")
    log_p = log_probabilities(rows / divisor(temperature, rows))
    sure = (1 + (-entropy_minimization(log_p.detach())).exp()).log()
    if weight is not None:
        known = weight > 0
        sure = sure + torch.where(known, weight, 1).to(sure).log()
        sure = torch.where(known, sure, torch.finfo(sure.dtype).min / 2)  # below any log p
    # Σ_d C_cd is Σ_i w_i p_ic: each row's share of a class, however unlikely that is in all rows
    share = (log_p + sure.unsqueeze(1)).softmax(0)
    confusion = (share * one_minus_exp(log_p)).sum(0).mean()
    return confusion if weight is None else confusion * (weight > 0).any()


def mmd(
    input: Tensor,
    target: Tensor,
    *,
    kernels: int = 5,
    spread: Tensor | float = 2.0,
    unbiased: bool = False,
) -> Tensor:
    """Return the squared maximum mean discrepancy of two samples (N, D) under a sum of Gaussians.

    The kernels are exp(−d²/(b·spread^k)) with k around 0 and b the mean of d² over all pairs of
    the two samples together, a constant of the gradient.
    """
    check_rows(input, target, "samples (N, D)")
    first, second = same_shape(input, target)
    count, rows = first.shape[0], torch.cat([first, second])
    if count == 0:
        return rows.sum()
    squares = _squared_distances(scaled(rows))
    same = torch.eye(2 * count, dtype=torch.bool, device=rows.device)
    squares = torch.where(same, 0, squares)
    width = squares.detach().sum() / (2 * count * (2 * count - 1))
    width = torch.where(width > 0, width, 1)
    spread, places = as_scalar_or_tensor(spread, rows), range(kernels)
    widths = (-width * spread ** (place - kernels // 2) for place in places)
    alike = functools.reduce(torch.add, ((squares / one).exp_() for one in widths))
    pairs = max(count * (count - 1), 1) if unbiased else count * count
    if unbiased:
        alike = torch.where(same, 0, alike)
    sums = alike.reshape(2, count, 2, count).sum(
        (1, 3)
    )  # a slice's gradient is a matrix of its own
    return (sums[0, 0] + sums[1, 1]) / pairs - 2 * sums[0, 1] / (count * count)


def deep_coral(input: Tensor, target: Tensor) -> Tensor:
    """Return ‖cov(input) − cov(target)‖²_F/(4 D²) of two samples (N, D)."""
    check_rows(input, target, "samples (N, D)")
    first, second = same_shape(input, target)
    size = torch.maximum(magnitude(first), magnitude(second))
    gap = (_covariance(first / size) - _covariance(second / size)) * size * size
    return gap.square().sum() / (4 * max(first.shape[1], 1) ** 2)


def _covariance(rows: Tensor) -> Tensor:
    count = rows.shape[0]
    away = rows - rows.sum(0) / max(count, 1)
    return matmul_full_precision(away.T, away) / max(count - 1, 1)


def _squared_distances(rows: Tensor) -> Tensor:
    rows = rows - rows.detach().mean(0)
    lengths = rows.square().sum(1)
    squares = lengths.unsqueeze(1) + lengths.unsqueeze(0) - 2 * matmul_full_precision(rows, rows.T)
    return squares.clamp(min=0)


def sinkhorn_divergence(
    input: Tensor, target: Tensor, *, blur: Tensor | float = 0.05, scaling: Tensor | float = 0.5
) -> Tensor:
    """Return OT(x, y) − OT(x, x)/2 − OT(y, y)/2 of two samples (N, D), of half squared distances.

    OT is regularised by the entropy of the plan at a temperature of blur².
    """
    check_rows(input, target, "samples (N, D)")
    first, second = same_shape(input, promote(target))
    both = torch.cat([first, second]).detach()
    if not first.numel() or not both.isfinite().all():
        return first.sum() + second.sum()
    size, dtype = magnitude(both), first.dtype
    wide = widest(first.device)
    middle = (both / size).to(wide).mean(0)
    first, second = ((one / size).to(wide) - middle for one in (first, second))
    scales = float(blur) / size.item(), float(scaling)
    with torch.autocast(first.device.type, enabled=False):
        between = _transport(first, second, *scales)
        within = _transport(first, first, *scales) + _transport(second, second, *scales)
    return ((between - within / 2) * size.to(wide).square()).to(dtype)


def _transport(first: Tensor, second: Tensor, blur: float, scaling: float) -> Tensor:
    """Return the entropic cost; its gradient holds the plan constant, as it may at the minimum."""
    cost = _costs(first, second)
    with torch.no_grad():
        plan, level = _annealed(cost, blur, scaling)
    spent = (plan * cost).sum()
    return level + spent - spent.detach()


def _costs(first: Tensor, second: Tensor) -> Tensor:
    """Return half the squared distance of each row of first to each of second."""
    lengths, others = (rows.square().sum(1) for rows in (first, second))
    return ((lengths.unsqueeze(1) + others) / 2 - first @ second.T).clamp(min=0)


def _annealed(cost: Tensor, blur: float, scaling: float) -> tuple[Tensor, Tensor]:
    """Return the plan of least entropic cost, and this cost, from a temperature where all is near.

    Each temperature starts where the last one ended.
    """
    width = max(2 * cost.max().item() ** 0.5, blur)
    potential = torch.zeros_like(cost[0])
    while width > blur:
        potential, *_ = _minimum(cost, potential, width * width, _ROUGH)
        width = max(width * scaling, blur)
    _, plan, level = _minimum(cost, potential, width * width, _NEAR)
    return plan, level


def _minimum(
    cost: Tensor, start: Tensor, epsilon: float, near: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the potential of the columns at the dual's maximum, the plan and the value there.

    A step that does not gain is taken again, shorter, as in Levenberg's and Marquardt's method.
    """
    one = torch.eye(len(start), dtype=cost.dtype, device=cost.device)
    potential, damping, idle = start, 1.0, 0
    plan, level = _dual(cost, potential, epsilon)
    for _ in range(_STEPS):
        margin = plan.sum(0)
        slope = 1 / len(margin) - margin
        miss = slope.abs().sum().item()
        if not miss > near or damping > 1e12 or idle > 5:  # rounding alone is left
            break
        bend = margin.diag() - len(plan) * plan.T @ plan
        held = (damping * miss + 1e-14) / len(margin) * one
        other = potential + torch.linalg.solve(bend + held, epsilon * slope)
        tried = _dual(cost, other, epsilon)
        better = bool(tried[1] >= level - 1e-15 * level.abs())
        idle += bool(tried[1] <= level + 1e-15 * level.abs()) and better
        if better:
            potential, (plan, level) = other, tried
        damping = damping / 10 if better else damping * 10
    return potential, plan, level


def _dual(cost: Tensor, potential: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return the plan that a potential of the columns stands for, and the dual's value there."""
    rows, columns = cost.shape
    exponents = (potential - cost) / epsilon
    total = exponents.logsumexp(1)
    plan = (exponents - total.unsqueeze(1)).exp() / rows
    return plan, potential.mean() - epsilon * (total.mean() - math.log(columns))
