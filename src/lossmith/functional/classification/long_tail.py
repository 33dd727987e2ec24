"""Losses of long tails whose weights follow what training saw of each class, unreduced."""

import torch
from torch import Tensor

from lossmith.functional.binary.elementwise import binary_cross_entropy
from lossmith.functional.checks import as_scalar_or_tensor, class_logits, head_dim, tensor_like
from lossmith.functional.classification.multiclass import gather_target, is_target, nll

__all__ = ["equalization_gradients", "equalization_v2", "seesaw"]

Number = Tensor | float

_UNSEEN = 100.0  # the ratio of a class whose gradients were never gathered: its weights are 1
_LEAST = 1e-10


def seesaw(
    input: Tensor,
    target: Tensor,
    *,
    counts: Tensor,
    p: Number = 0.8,
    q: Number = 2.0,
    epsilon: Number = 0.01,
    ignore_index: int = -100,
) -> Tensor:
    """Return −log softmax(x + log S)_y, S of the other classes alone (Wang et al., 2021).

    S_c = min(1, n_c/n_y)^p · max(1, σ_c/max(σ_y, epsilon))^q of counts n, at least 1, and of the
    softmax σ, which is held constant.
    """
    logits, target = class_logits(input, target, ignore_index)
    dim = head_dim(logits)
    p, q = as_scalar_or_tensor(p, logits), as_scalar_or_tensor(q, logits)
    many = counts.to(logits).clamp(min=1).log()
    many = many.reshape(-1, *(1,) * (logits.ndim - 1 - dim)).expand_as(logits)
    log_p = logits.detach().log_softmax(dim)
    least = tensor_like(epsilon, logits).log()
    own = torch.maximum(gather_target(log_p, target), least).unsqueeze(dim)
    rarer = (many - gather_target(many, target).unsqueeze(dim)).clamp(max=0)
    push = torch.where(is_target(logits, target), 0, p * rarer + q * (log_p - own).clamp(min=0))
    return nll(logits + push, target)


def equalization_v2(
    input: Tensor,
    target: Tensor,
    *,
    positive: Tensor,
    negative: Tensor,
    alpha: Number = 4.0,
    gamma: Number = 12.0,
    mu: Number = 0.8,
    background: bool = False,
    ignore_index: int = -100,
) -> Tensor:
    """Return Σ_c w_c·(binary cross-entropy of 1[c = y]), one sigmoid a class (Tan et al., 2021).

    w is 1 + alpha·(1 − f) of the target's class and f of the others, f = σ(gamma·(positive/negative
    − mu)) of the gradients gathered. The last class has weights of 1 where it is the background.
    """
    logits, target = class_logits(input, target, ignore_index)
    hit = is_target(logits, target).to(logits.dtype)
    weight = _weights(hit, positive, negative, (alpha, gamma, mu), background)
    return (weight * binary_cross_entropy(logits, hit)).sum(head_dim(logits))


def equalization_gradients(
    input: Tensor,
    target: Tensor,
    *,
    positive: Tensor,
    negative: Tensor,
    alpha: Number = 4.0,
    gamma: Number = 12.0,
    mu: Number = 0.8,
    background: bool = False,
    ignore_index: int = -100,
) -> tuple[Tensor, Tensor]:
    """Return the sizes of a batch's gradients of each logit, as positive and as negative."""
    kept = target != ignore_index
    logits, target = class_logits(input, target, ignore_index)
    dim = head_dim(logits)
    hit = is_target(logits, target).to(logits.dtype)
    weight = _weights(hit, positive, negative, (alpha, gamma, mu), background)
    sizes = torch.where(kept.unsqueeze(dim), weight * (logits.sigmoid() - hit).abs(), 0)
    others = [axis for axis in range(sizes.ndim) if axis != dim]
    seen, unseen = sizes * hit, sizes * (1 - hit)
    return (seen.sum(others), unseen.sum(others)) if others else (seen, unseen)


def _weights(
    hit: Tensor,
    positive: Tensor,
    negative: Tensor,
    numbers: tuple[Number, Number, Number],
    background: bool,
) -> Tensor:
    alpha, gamma, mu = (as_scalar_or_tensor(one, hit) for one in numbers)
    none = positive + negative <= 0  # so that NaN stays
    ratio = torch.where(none, _UNSEEN, positive / (negative + _LEAST)).to(hit)
    balance = (gamma * (ratio - mu)).sigmoid()
    if background:
        balance = torch.cat([balance[:-1], torch.ones_like(balance[-1:])])
    balance = balance.reshape(-1, *(1,) * (hit.ndim - 1 - head_dim(hit)))
    return hit * (1 + alpha * (1 - balance)) + (1 - hit) * balance
