"""Losses of other normalisers than the softmax, evidence among them, unreduced."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as nnf

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    clamp_if_outside,
    class_logits,
    head_dim,
    is_concrete,
    promote,
    widest,
)
from lossmith.functional.classification.multiclass import gather_target, is_target
from lossmith.functional.probabilities import project_to_simplex
from lossmith.kernels import class_rows
from lossmith.kernels.choice import Why, choose, transformed

__all__ = [
    "bi_tempered",
    "entmax",
    "evidential",
    "evidential_probabilities",
    "sparse_probabilities",
    "sparsemax",
    "tempered_softmax",
]

# Of 1, by which differences are divided: values there are as near to the limit, and rounding in
# float32, or in float64, is as small.
NEAR, NEAR_WIDE = 1e-5, 1e-8
NARROW = 0.1  # as near to 1 differences lose digits of float32
STEPS = 12  # of Newton's method, which here converges from one side
CLOSE = 1e-4  # a step as small as this leaves less than rounding after two more


def sparsemax(input: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return ½ − ½·Σp² + Σp·x − x_t of p = the distribution nearest to x (Martins & Astudillo)."""
    return _of_rows(class_rows.sparsemax, _sparsemax, *class_logits(input, target, ignore_index))


def _sparsemax(input: Tensor, target: Tensor) -> Tensor:
    x, dim = _from_top(input), head_dim(input)
    p = project_to_simplex(x)
    return (1 - p.square().sum(dim)) / 2 + (p * x).sum(dim) - gather_target(x, target)


def entmax(
    input: Tensor, target: Tensor, *, alpha: Tensor | float, ignore_index: int = -100
) -> Tensor:
    """Return (1 − Σp^alpha)/(alpha·(alpha − 1)) + Σp·x − x_t of p = alpha-entmax (Peters, 2019)."""
    input, target = class_logits(input, target, ignore_index)
    t = 2 - as_scalar_or_tensor(alpha, input)
    return _of_rows(class_rows.entmax, _entmax, input, target, t=t)


def _entmax(input: Tensor, target: Tensor, t: Tensor | float) -> Tensor:
    dtype, dim = input.dtype, head_dim(input)
    t, input = _apart(t, input)
    alpha = 2 - t
    log_p, held = _log_tempered(_from_top(input), t)
    p = torch.where(held, log_p.exp(), 0.0)
    x = _from_top(input)
    # 1 − Σp^alpha as Σp·(1 − p^(alpha − 1)), so that nothing cancels near alpha = 1.
    gaps = torch.where(held, -torch.expm1((alpha - 1) * log_p), 0.0)
    entropy = (p * gaps).sum(dim) / (alpha * (alpha - 1))
    return (entropy + (p * x).sum(dim) - gather_target(x, target)).to(dtype)


def bi_tempered(
    input: Tensor,
    target: Tensor,
    *,
    t1: Tensor | float,
    t2: Tensor | float,
    ignore_index: int = -100,
) -> Tensor:
    """Return −log_t1 p_t − (1 − Σp^(2 − t1))/(2 − t1) of p = softmax at t2 (Amid et al., 2019)."""
    input, target = class_logits(input, target, ignore_index)
    t1, t = as_scalar_or_tensor(t1, input), as_scalar_or_tensor(t2, input)
    return _of_rows(class_rows.bi_tempered, _bi_tempered, input, target, t1=t1, t=t)


def _bi_tempered(input: Tensor, target: Tensor, t1: Tensor | float, t: Tensor | float) -> Tensor:
    dtype, dim = input.dtype, head_dim(input)
    t, input = _apart(t, input)
    log_p, _ = _log_tempered(_from_top(input), t)
    own = gather_target(log_p, target)
    # 1 − Σp^(2 − t1) as 1 − p_t^(2 − t1) less the others, so that nothing cancels near p_t = 1.
    others = ((2 - t1) * log_p).exp().masked_fill(is_target(log_p, target), 0).sum(dim)
    rest = -torch.expm1((2 - t1) * own) - others
    return (-torch.expm1((1 - t1) * own) / (1 - t1) - rest / (2 - t1)).to(dtype)


def sparse_probabilities(output: Tensor) -> Tensor:
    """Return sparsemax, the distribution nearest to the outputs."""
    output = promote(output)
    if _at_hand("sparse_probabilities", output, {}, decoding=True):
        return class_rows.tempered_softmax(output, head_dim(output), t=0.0)
    return project_to_simplex(_from_top(output))


def tempered_softmax(output: Tensor, *, t: Tensor | float) -> Tensor:
    """Return exp_t(x − λ) along the class dimension, where λ makes it sum to 1.

    >>> tempered_softmax(torch.tensor([0.0, 0.0]), t=1.5)
    tensor([0.5000, 0.5000])
    """
    output = promote(output)
    dtype, dim, t = output.dtype, head_dim(output), as_scalar_or_tensor(t, output)
    if not isinstance(t, Tensor) and _at_hand("tempered_softmax", output, {"t": t}, decoding=True):
        return class_rows.tempered_softmax(output, dim, t=t)
    t, output = _apart(t, output)
    log_p, held = _log_tempered(_from_top(output), t)
    p = torch.where(held, log_p.exp(), 0.0)
    return (p / p.sum(dim, keepdim=True)).to(dtype)


def _of_rows(
    rows: Callable[..., Tensor],
    plain: Callable[..., Tensor],
    input: Tensor,
    target: Tensor,
    **numbers: Tensor | float,
) -> Tensor:
    """Return a loss's values: some rows at a time with their gradients, or plainly."""
    if _at_hand(rows.__name__, input, numbers):
        return class_rows.values(partial(rows, **numbers), partial(plain, **numbers), input, target)
    return plain(input, target, **numbers)


def _at_hand(
    kernel: str, input: Tensor, numbers: Mapping[str, Tensor | float], *, decoding: bool = False
) -> bool:
    return choose(kernel, _obstacles(input, numbers, decoding), "some rows at a time")


def _obstacles(
    input: Tensor, numbers: Mapping[str, Tensor | float], decoding: bool
) -> Iterator[tuple[bool, Why]]:
    t = numbers.get("t", 0.0)
    yield transformed() or not is_concrete(input), "only what a CPU holds is looked at at no cost"
    yield any(isinstance(one, Tensor) for one in numbers.values()), "a hyperparameter is learned"
    yield not isinstance(t, Tensor) and abs(1 - t) <= NARROW, "nearly a softmax, in more digits"
    yield input.numel() == 0, "no rows"
    yield decoding and input.requires_grad and torch.is_grad_enabled(), "decoded with a gradient"


def _apart(t: Tensor | float, input: Tensor) -> tuple[Tensor | float, Tensor]:
    """Return a temperature a little apart from 1, and the input in float64 where it is near.

    Differences are divided by 1 − t, which magnifies their rounding.
    """
    if isinstance(t, Tensor):
        return torch.where((1 - t).abs() < NEAR, 1 - NEAR * (1 - t).sign(), t), input
    if t == 1 or abs(1 - t) > NARROW or input.device.type == "mps":
        return t, input
    return 1 - math.copysign(max(abs(1 - t), NEAR_WIDE), 1 - t), input.double()


def _from_top(input: Tensor) -> Tensor:
    """Return what lies below the largest output, within the dtype."""
    below = input - input.detach().amax(head_dim(input), keepdim=True)
    return clamp_if_outside(below, torch.finfo(input.dtype).min / 100)


def _log_tempered(x: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return log exp_t(x − λ) of the normalised outputs, and where they are above 0.

    Newton's method for (Σ exp_t(x − λ))^(1 − t) = 1, which is convex or concave in λ, so that it
    comes from one side, in as few steps as it takes where that can be looked at. Two last steps
    carry the gradients: one makes the first derivative that of the solution, two the second.
    """
    fixed = x.detach()
    top = torch.zeros_like(fixed.sum(head_dim(x), keepdim=True))
    for _ in range(STEPS):
        before, top = top, _newton(fixed, top, t)
        if is_concrete(top) and bool(((top - before).abs() < CLOSE).all()):
            break
    for _ in range(2):
        top = _newton(x, top, t)
    return _log_exp(x - top, t)


def _newton(x: Tensor, top: Tensor, t: Tensor | float) -> Tensor:
    log_p, held = _log_exp(x - top, t)
    dim = head_dim(x)
    total, slope = (
        torch.where(held, (power * log_p).exp(), 0.0).sum(dim, keepdim=True) for power in (1, t)
    )
    return top + (total - (t * total.log()).exp()) / ((1 - t) * slope)


def _log_exp(u: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return log exp_t(u), 0 where exp_t is 0, and where it is above 0."""
    lifted = (1 - t) * u
    held = ~(lifted <= -1)  # NaN stays
    return torch.where(held, lifted, 0.0).log1p() / (1 - t), held


def evidential(
    input: Tensor, target: Tensor, *, coefficient: Tensor | float, ignore_index: int = -100
) -> Tensor:
    """Return the expected Brier score and the price of wrong evidence (Sensoy et al., 2018)."""
    input, target = class_logits(input, target, ignore_index)
    coefficient = as_scalar_or_tensor(coefficient, input)
    return _of_rows(class_rows.evidential, _evidential, input, target, coefficient=coefficient)


def _evidential(logits: Tensor, target: Tensor, coefficient: Tensor | float) -> Tensor:
    dim = head_dim(logits)
    evidence = nnf.softplus(logits)
    truth = nnf.one_hot(target, logits.shape[dim]).movedim(-1, dim).to(logits.dtype)
    share, total = _shares(evidence, dim)
    noise = share * (1 - share) / (total + 1)
    price = _divergence(evidence * (1 - truth), dim)
    return ((truth - share).square() + noise).sum(dim) + coefficient * price


def evidential_probabilities(output: Tensor) -> Tensor:
    """Return the expected probability of each class, (1 + evidence)/(classes + all evidence)."""
    output = promote(output)
    return _shares(nnf.softplus(output), head_dim(output))[0]


def _shares(evidence: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return the expected probabilities and the sum of the concentrations, never infinite."""
    concentration = 1 + clamp_if_outside(evidence, high=torch.finfo(evidence.dtype).max / 1e6)
    total = concentration.sum(dim, keepdim=True)
    return concentration / total, total


def _divergence(evidence: Tensor, dim: int) -> Tensor:
    """Return the KL divergence of Dirichlet(1 + evidence) from the uniform one."""
    classes = evidence.shape[dim]
    extra = clamp_if_outside(evidence.to(widest(evidence.device)), high=class_rows.MOST_EVIDENCE)
    total = classes + extra.sum(dim, keepdim=True)
    value = torch.lgamma(total).squeeze(dim) - torch.lgamma(1 + extra).sum(dim)
    slope = (extra * (torch.digamma(1 + extra) - torch.digamma(total))).sum(dim)
    return (value + slope - math.lgamma(classes)).to(evidence.dtype)
