"""Losses of many classes with their gradients, some rows at a time, where Python may look at them.

    p = base^(1/(1 − t))    base = max(0, (1 − t)·u − τ)    u = x − max x    Σp = 1

τ is Newton's for (Σp)^(1 − t) = 1, which is convex or concave in τ and linear of equal outputs, so
that it comes from one side in a few steps. A loss of p has a gradient that follows from p: no graph
goes through these steps. Where the exponent is whole, as at the papers' temperatures, products do
for powers: none of sparsemax, a square of 1.5-entmax.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

from lossmith.kernels.blocks import BLOCK
from lossmith.kernels.value_and_grad import value_and_grad

STEPS = 60  # as many as there is never need of
WHOLE = 8  # a power so high is had by products
MOST_EVIDENCE = 1e8  # beyond, the divergence is held: its terms cancel to their last digits
# Of t = 2s − 1, s = 1/(1 + e): (e·ψ(1 + e) − log Γ(1 + e) − e − ½·log s)/(1 − s) to the last digit
# of float64, the first 21 terms of its Chebyshev series. Torch's gammas take a number at a time.
GAMMAS = (
    -4.612841492431204e-01,
    -4.102041663603117e-02,
    1.996892873025428e-03,
    4.6710223899469824e-04,
    -1.8974251273611134e-04,
    2.8505983795193685e-05,
    5.777293146785312e-06,
    -5.7342841926651645e-06,
    2.1724361872138324e-06,
    -3.6968571370503776e-07,
    -1.3698892705756747e-07,
    1.5997222224801994e-07,
    -8.361221756917687e-08,
    2.4205345898892448e-08,
    -2.0386954133945354e-09,
    5.4172028620440725e-11,
    3.7314918460096874e-09,
    -6.66963246933226e-09,
    2.2240690629126288e-09,
    1.4233761727600637e-09,
    -7.645602300473953e-10,
)
SLOPES = tuple(power * one for power, one in enumerate(GAMMAS))[1:]
# Of rows (n, C) and their classes (n,): values (n,), and their gradients written if wanted.
Rows = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def values(
    rows: Rows, plain: Callable[[Tensor, Tensor], Tensor], input: Tensor, target: Tensor
) -> Tensor:
    """Return a value a row of input (N, C, …) or (C,), whose gradient is formed with it.

    plain is of (n, C) and (n,), too, and can be differentiated as often as one likes.
    """
    dim = min(1, target.ndim)
    every = input.movedim(dim, -1).reshape(-1, input.shape[dim])
    classes = target.reshape(-1)

    def run(every: Tensor) -> tuple[Tensor, list[Tensor]]:
        grad = torch.empty_like(every)
        return _in_blocks(rows, every, classes, grad), [grad]

    if every.requires_grad and torch.is_grad_enabled():
        found = value_and_grad(run, lambda every: plain(every, classes), every)
    else:
        found = _in_blocks(rows, every, classes, None)
    return found.reshape(target.shape)


@torch.no_grad()
def _in_blocks(rows: Rows, every: Tensor, classes: Tensor, grad: Tensor | None) -> Tensor:
    count = max(1, BLOCK // every.shape[1])
    grads = [None] * len(every) if grad is None else grad.split(count)
    parts = zip(every.split(count), classes.split(count), grads, strict=False)
    return torch.cat([rows(*part) for part in parts])


def sparsemax(x: Tensor, target: Tensor, grad: Tensor | None) -> Tensor:
    """Return the loss of sparsemax, the 2-entmax."""
    return entmax(x, target, grad, t=0.0)


def entmax(x: Tensor, target: Tensor, grad: Tensor | None, *, t: float) -> Tensor:
    """Return the loss of (2 − t)-entmax, of sparsemax at t = 0; its gradient is p − 1[target].

    Σp^alpha of the formula is Σ p·base, so that it is −τ and a part of Σ p·u.
    """
    alpha, below = 2 - t, _below_top(x)
    power, base, tau = _tempered(below, t)
    p = power.mul_(base)
    own = target.unsqueeze(1)
    mean = (p * below).sum(1)
    if grad is not None:
        grad.copy_(p).scatter_add_(1, own, grad.new_full(own.shape, -1.0))
    lead = (1 + tau.squeeze(1)) / (1 - t)
    return (lead + (1 - t) * mean) / alpha - below.gather(1, own).squeeze(1)


def bi_tempered(x: Tensor, target: Tensor, grad: Tensor | None, *, t1: float, t: float) -> Tensor:
    """Return −log_t1 p_t − (1 − Σp^(2 − t1))/(2 − t1) of p = softmax at t.

    By p it has the gradient p^(1 − t1) less p_t^(−t1) at the target; by x, p^t·(1 − p^t/Σp^t).
    """
    power, base, _ = _tempered(_below_top(x), t)
    own = target.unsqueeze(1)
    log_p = base.gather(1, own).log() / (1 - t)
    raised = _power(base, (2 - t1) / (1 - t))  # p^(2 − t1)
    others = raised.scatter(1, own, 0.0).sum(1, keepdim=True)
    if grad is not None:
        hit = ((t - t1) * log_p).exp() * torch.expm1(log_p)  # nothing cancels near p_t = 1
        torch.div(raised, base, out=grad).scatter_(1, own, hit)
        grad.addcmul_(power, grad.sum(1, keepdim=True) / power.sum(1, keepdim=True), value=-1)
    rest = -torch.expm1((2 - t1) * log_p) - others
    return (-torch.expm1((1 - t1) * log_p) / (1 - t1) - rest / (2 - t1)).squeeze(1)


@torch.no_grad()
def tempered_softmax(output: Tensor, dim: int, *, t: float) -> Tensor:
    """Return exp_t(x − λ) along a dimension, where λ makes it sum to 1."""
    last = output.movedim(dim, -1)
    every = last.reshape(-1, last.shape[-1])
    found = torch.empty_like(every)
    count = max(1, BLOCK // every.shape[1])
    for x, p in zip(every.split(count), found.split(count), strict=True):
        power, base, _ = _tempered(_below_top(x), t)
        torch.mul(power, base, out=p)
        p /= p.sum(1, keepdim=True)
    return found.reshape(last.shape).movedim(-1, dim)


def _below_top(x: Tensor) -> Tensor:
    return (x - x.amax(1, keepdim=True)).clamp_(min=torch.finfo(x.dtype).min / 100)


def _tempered(below: Tensor, t: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return p^t, base and τ; p itself is the product of the first two."""
    lifted, exponent = ((1 - t) * below).clamp_(max=torch.finfo(below.dtype).max), t / (1 - t)
    tau = below.new_full((len(below), 1), -1.0)
    least = 16 * torch.finfo(below.dtype).eps
    for _ in range(STEPS):
        base = (lifted - tau).clamp_(min=0)
        power = _power(base, exponent)
        total = (power * base).sum(1, keepdim=True)
        step = (total - total**t) / power.sum(1, keepdim=True)
        tau += step
        if not (step.abs() > least * tau.abs()).any():  # of NaN nothing is
            break
    base = (lifted - tau).clamp_(min=0)
    return _power(base, exponent), base, tau


def _power(base: Tensor, exponent: float) -> Tensor:
    """Return a new tensor of base to a power; to 0 it is 1 above 0, but 0 at 0."""
    whole = round(exponent)
    if abs(exponent - whole) > 1e-9 or abs(whole) > WHOLE:
        return base.pow(exponent)
    if whole == 0:
        return base.sign()
    found = base.clone() if whole > 0 else base.reciprocal()
    return _product(found, abs(whole))


def _product(base: Tensor, count: int) -> Tensor:
    if count == 1:
        return base
    half = _product(base, count // 2)
    return half * half * base if count % 2 else half * half


def evidential(x: Tensor, target: Tensor, grad: Tensor | None, *, coefficient: float) -> Tensor:
    """Return the expected Brier score and `coefficient` times the divergence of wrong evidence.

    The divergence has by each evidence e of their sum E and C classes the gradient
    e·ψ'(1 + e) − E·ψ'(C + E): the digammas cancel. Evidence is held in it.
    """
    own = target.unsqueeze(1)
    evidence = softplus(x)
    share = 1 + evidence.clamp(max=torch.finfo(x.dtype).max / 1e6)
    total = share.sum(1, keepdim=True)
    share /= total
    miss = share.scatter_add(1, own, share.new_full(own.shape, -1.0))
    noise = (share * (1 - share)).sum(1, keepdim=True) / (total + 1)
    wrong = evidence.scatter_(1, own, 0.0)
    extra = wrong.clamp(max=MOST_EVIDENCE)
    price, slope = _divergence(extra, grad is not None)
    if grad is not None and slope is not None:
        torch.add(2 * miss, (1 - 2 * share) / (total + 1), out=grad)
        grad.sub_((grad * share).sum(1, keepdim=True)).div_(total).sub_(noise / (total + 1))
        slope.masked_fill_(wrong > MOST_EVIDENCE, 0).scatter_(1, own, 0.0)
        grad.add_(slope, alpha=coefficient).mul_(x.sigmoid())
    fit = (miss.square_().sum(1, keepdim=True) + noise).squeeze(1)
    return fit + (coefficient * price).to(fit.dtype)


def _divergence(extra: Tensor, wanted: bool) -> tuple[Tensor, Tensor | None]:
    """Return the KL divergence of Dirichlet(1 + extra) from the uniform one, and its gradient.

    Of each number e it has e·ψ(1 + e) − log Γ(1 + e), whose slope is e·ψ'(1 + e), both formed less
    what cancels in the sum: e, and 1.
    """
    classes, sums = extra.shape[1], extra.sum(1, dtype=torch.float64)
    total = sums + classes
    inverse = (1 + extra).reciprocal_()
    near, far = 2 * inverse - 1, extra * inverse
    curve = _polynomial(near, GAMMAS)
    own = torch.addcmul(inverse.log().div_(2), far, curve).sum(1)
    common = torch.lgamma(total) - sums * torch.digamma(total) + sums - math.lgamma(classes)
    if not wanted:
        return common + own, None
    bend = _polynomial(near, SLOPES).mul_(far)
    slope = curve.sub_(bend, alpha=2).mul_(inverse).sub_(0.5).mul_(inverse)
    shared = sums * torch.polygamma(1, total) - 1
    return common + own, slope.sub_(shared.to(slope.dtype).unsqueeze(1))


def _polynomial(x: Tensor, coefficients: Sequence[float]) -> Tensor:
    """Return a polynomial, the constant first (Horner)."""
    found = torch.full_like(x, coefficients[-1])
    for one in x.new_tensor(coefficients[-2::-1]).unbind():
        torch.addcmul(one, found, x, out=found)
    return found
