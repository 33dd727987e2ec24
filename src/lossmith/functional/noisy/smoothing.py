"""Targets softened by what the model itself believed before."""

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, class_logits, head_dim, promote
from lossmith.functional.classification.multiclass import gather_target, log_probabilities

__all__ = [
    "correct_predictions",
    "early_learning",
    "held_probabilities",
    "mixed_memory",
    "online_label_smoothing",
]


def early_learning(input: Tensor, remembered: Tensor, *, beta: Tensor | float) -> Tensor:
    """Return log(1 − Σ m·p) of the softmax p and the memory m = beta·remembered + (1 − beta)·p.

    The memory is held constant (Liu et al., 2020).
    """
    p = held_probabilities(input)
    memory = mixed_memory(remembered.to(p), p.detach(), beta=as_scalar_or_tensor(beta, p))
    return torch.log1p(-(memory * p).sum(1))


def mixed_memory(remembered: Tensor, p: Tensor, *, beta: Tensor | float) -> Tensor:
    """Return beta·remembered + (1 − beta)·p, of p that sums to 1."""
    return beta * remembered + (1 - beta) * (p / p.sum(1, keepdim=True))


def held_probabilities(input: Tensor) -> Tensor:
    """Return the softmax of rows, held within 10⁻⁴ of 0 and 1 as in the authors' code."""
    return promote(input).softmax(1).clamp(1e-4, 1 - 1e-4)


def online_label_smoothing(
    input: Tensor,
    target: Tensor,
    *,
    soft_labels: Tensor,
    alpha: Tensor | float = 0.5,
    ignore_index: int = -100,
) -> Tensor:
    """Return −alpha·log p_t − (1 − alpha)·Σ_c S_tc log p_c of soft labels S (Zhang et al., 2021).

    Shapes: input (N, C, …), target (N, …), soft_labels (C, C), a row a class -> (N, …).
    """
    input, target = class_logits(input, target, ignore_index)
    log_p, dim = log_probabilities(input), head_dim(input)
    if soft_labels.shape != (log_p.shape[dim],) * 2:
        raise ValueError(
            f"input has shape {tuple(input.shape)} but the soft labels have shape "
            f"{tuple(soft_labels.shape)}; there must be one of each class for each class"
        )
    soft = soft_labels.to(log_p)[target].movedim(-1, dim)
    share = as_scalar_or_tensor(alpha, log_p)
    return -share * gather_target(log_p, target) - (1 - share) * (soft * log_p).sum(dim)


def correct_predictions(
    input: Tensor, target: Tensor, *, ignore_index: int = -100
) -> tuple[Tensor, Tensor]:
    """Return the sum of the probabilities predicted for each class where it was likeliest.

    And how many these were.

    Shapes: input (N, C, …), target (N, …) -> (C, C), a row a class, and (C,).

    >>> logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    >>> correct_predictions(logits, torch.tensor([0, 1, -100]))[1]
    tensor([1., 0.])
    """
    kept = (target != ignore_index).flatten()
    logits, target = class_logits(input, target, ignore_index)
    p = logits.softmax(head_dim(logits)).movedim(head_dim(logits), -1)
    rows, classes = p.reshape(-1, p.shape[-1]), target.flatten()
    right = kept & (rows.argmax(1) == classes)
    sums = rows.new_zeros(rows.shape[1], rows.shape[1])
    sums.index_add_(0, classes[right], rows[right])
    return sums, torch.bincount(classes[right], minlength=len(sums)).to(sums.dtype)
