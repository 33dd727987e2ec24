"""Losses of one output a class against integer classes, unreduced: one value a sample.

The class dimension is 1 in a batch (N, C, …) and 0 in one sample (C,). An ignored target gives
the value of class 0; `target_weights` gives it weight 0, by which a mean leaves it out.
"""

import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from lossmith.functional.checks import (
    LAST,
    as_scalar_or_tensor,
    beside,
    check_classes,
    check_range,
    clamp_if_outside,
    class_logits,
    head_dim,
    promote,
    same_shape,
)

__all__ = [
    "brier",
    "cross_entropy",
    "focal",
    "multi_hinge",
    "per_class",
    "poly1",
    "soft_weights",
    "softcapped",
    "square_loss",
    "squentropy",
    "target_weights",
    "z_penalty",
]


def cross_entropy(
    input: Tensor,
    target: Tensor,
    *,
    label_smoothing: Tensor | float = 0.0,
    ignore_index: int = -100,
) -> Tensor:
    """Return −Σ t_c log p_c of t = (1 − label_smoothing)·target + label_smoothing/C.

    A float target of input's shape holds a probability for each class.
    """
    smoothing = as_scalar_or_tensor(label_smoothing, input)
    if target.is_floating_point() and target.shape == input.shape and input.ndim > 0:
        input, target = same_shape(input, target)
        check_soft(target)
        log_p = log_probabilities(input)
        hit = (target * log_p).sum(head_dim(log_p))
    else:
        input, target = class_logits(input, target, ignore_index)
        if isinstance(smoothing, float) and smoothing == 0:
            return nll(input, target)
        log_p = log_probabilities(input)
        hit = gather_target(log_p, target)
    dim = head_dim(log_p)
    even = (log_p * (smoothing / log_p.shape[dim])).sum(dim)
    return -(1 - smoothing) * hit - even


def focal(
    input: Tensor, target: Tensor, *, gamma: Tensor | float, ignore_index: int = -100
) -> Tensor:
    """Return −(1 − p_t)^gamma · log p_t of the softmax (Lin et al., 2017)."""
    input, target = class_logits(input, target, ignore_index)
    log_p, dim = log_probabilities(input), head_dim(input)
    lowest = torch.finfo(log_p.dtype).min
    # log(1 − p_t) from the other classes: 1 − p_t itself is 0 where p_t rounds to 1.
    others = log_p.masked_fill(is_target(log_p, target), lowest).logsumexp(dim)
    return -(as_scalar_or_tensor(gamma, log_p) * others).exp() * gather_target(log_p, target)


def poly1(
    input: Tensor, target: Tensor, *, epsilon: Tensor | float, ignore_index: int = -100
) -> Tensor:
    """Return −log p_t + epsilon·(1 − p_t) of the softmax (Leng et al., 2022)."""
    log_p = -nll(*class_logits(input, target, ignore_index))
    return as_scalar_or_tensor(epsilon, log_p) * one_minus_exp(log_p) - log_p


def brier(input: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return Σ (p_c − 1[c = target])² of the softmax, from 0 to 2 (Brier, 1950)."""
    input, target = class_logits(input, target, ignore_index)
    dim = head_dim(input)
    return (input.softmax(dim) - is_target(input, target).to(input.dtype)).square().sum(dim)


def square_loss(
    input: Tensor,
    target: Tensor,
    *,
    k: Tensor | float = 1.0,
    M: Tensor | float = 1.0,  # noqa: N803 - the paper's symbol
    ignore_index: int = -100,
) -> Tensor:
    """Return (k·(x_t − M)² + Σ_{c≠t} x_c²) / C of the raw outputs (Hui & Belkin, 2021)."""
    input, target = class_logits(input, target, ignore_index)
    hit = is_target(input, target).to(input.dtype)
    scale = 1 + (as_scalar_or_tensor(k, input) - 1) * hit
    return (scale * (input - as_scalar_or_tensor(M, input) * hit).square()).mean(head_dim(input))


def squentropy(input: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return −log p_t + Σ_{c≠t} x_c² / (C − 1) (Hui, Belkin & Wright, 2023)."""
    input, target = class_logits(input, target, ignore_index)
    dim = head_dim(input)
    wrong = input.masked_fill(is_target(input, target), 0).square().sum(dim)
    return wrong / max(input.shape[dim] - 1, 1) + nll(input, target)


def multi_hinge(input: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return max(0, 1 + max_{c≠t} x_c − x_t) (Crammer & Singer, 2001)."""
    input, target = class_logits(input, target, ignore_index)
    lowest = torch.finfo(input.dtype).min
    rival = input.masked_fill(is_target(input, target), lowest).amax(head_dim(input))
    return (1 + rival - gather_target(input, target)).relu()


def z_penalty(input: Tensor) -> Tensor:
    """Return (log Σ exp x_c)² of the logits, 0 where they are normalised (Chowdhery, 2022)."""
    input = promote(input)
    total = input.logsumexp(head_dim(input))
    if input.dtype == torch.float64:  # in which float32 is formed again where its squares overflow
        most = torch.finfo(input.dtype).max ** 0.5 / 100
        total = total.clamp(-most, most)
    return total.square()


def softcapped(input: Tensor, *, softcap: Tensor | float) -> Tensor:
    """Return the logits within ±softcap: softcap·tanh(x/softcap) (Gemma Team, 2024)."""
    input = promote(input)
    cap = as_scalar_or_tensor(softcap, input)
    return cap * (input / cap).tanh()


def log_probabilities(input: Tensor) -> Tensor:
    """Return the log-softmax, held at a hundredth of the lowest number of the dtype.

    Only inputs that differ by more are touched; −inf would make NaN of a product with 0.
    """
    log_p = input.log_softmax(head_dim(input))
    return clamp_if_outside(log_p, low=torch.finfo(log_p.dtype).min / 100)


def nll(input: Tensor, target: Tensor) -> Tensor:
    """Return −log p_t of the softmax for logits and targets that were checked, held as above."""
    value = nll_loss(input.log_softmax(head_dim(input)), target, reduction="none")
    return clamp_if_outside(value, high=torch.finfo(value.dtype).max / 100)


def gather_target(values: Tensor, target: Tensor) -> Tensor:
    """Return the value of each target's class."""
    dim = head_dim(values)
    return values.gather(dim, target.unsqueeze(dim)).squeeze(dim)


def target_weights(
    target: Tensor, class_weight: Tensor | None = None, *, ignore_index: int = -100
) -> Tensor:
    """Return the weight of each integer target's class, 0 where it is ignored.

    >>> target_weights(torch.tensor([1, 0, -100]), torch.tensor([1.0, 3.0]))
    tensor([3., 1., 0.])
    """
    ignored = target.long() == ignore_index
    if class_weight is None:
        return ~ignored
    target = target.long().masked_fill(ignored, 0)
    check_classes(target, class_weight.numel())
    return beside(class_weight, target)[target].masked_fill(ignored, 0)


def check_soft(target: Tensor) -> None:
    """Raise ValueError unless a soft target holds a distribution along the class dimension."""
    message = (
        "target holds {}; a soft target is one probability a class, summing to 1: where several "
        "classes may hold at once, or input is one logit a row, use BinaryCrossEntropy"
    )
    check_range(target, 0, 1, message.format("numbers outside 0 … 1"))
    total = target.sum(head_dim(target))
    check_range(
        total, 0.98, 1.02, message.format("probabilities that do not sum to 1")
    )  # of halves


def soft_weights(target: Tensor, class_weight: Tensor) -> Tensor:
    """Return the mean class weight of each soft target."""
    weight = per_class("class_weight", class_weight, target).to(target)
    return (target * weight).sum(head_dim(target))


def per_class(name: str, numbers: Tensor, input: Tensor) -> Tensor:
    """Return one number a class in the shape that spreads over input's class dimension."""
    dim = head_dim(input)
    if numbers.shape != input.shape[dim : dim + 1]:
        last = input.ndim > 2 and numbers.shape == input.shape[-1:]
        raise ValueError(
            f"{name} has shape {tuple(numbers.shape)} but input of shape {tuple(input.shape)} "
            f"has {input.shape[dim]} classes; give one number a class"
            f"{LAST.format(len(numbers)) if last else ''}"
        )
    return numbers.reshape(-1, *(1,) * (input.ndim - 1 - dim))


def is_target(values: Tensor, target: Tensor) -> Tensor:
    """Return where along the class dimension each target's class lies."""
    dim = head_dim(values)
    classes = torch.arange(values.shape[dim], device=values.device)
    return classes.reshape(-1, *(1,) * (values.ndim - 1 - dim)) == target.unsqueeze(dim)


def one_minus_exp(log_p: Tensor) -> Tensor:
    """Return 1 − p of log p, value and gradient exact near 0 and 1 alike."""
    # The value cancels near p = 1 without expm1; expm1's derivative cancels near p = 0.
    return torch.where(log_p > -0.5, -torch.expm1(log_p), 1 - log_p.exp())
