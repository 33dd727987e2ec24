"""Losses of labels whose confusions are known, unreduced: one value a sample."""

import torch
from torch import Tensor

from lossmith.functional.checks import class_logits, head_dim
from lossmith.functional.classification.multiclass import log_probabilities

__all__ = ["forward_correction"]


def forward_correction(
    input: Tensor, target: Tensor, *, transition: Tensor, ignore_index: int = -100
) -> Tensor:
    """Return −log Σ_c p_c T_ct of the softmax p and target t (Patrini et al., 2017).

    T_ct, row c and column t of transition over the row's sum, is the chance that class c is
    labelled as t.
    """
    logits, classes = class_logits(input, target, ignore_index)
    log_p, dim = log_probabilities(logits), head_dim(logits)
    if transition.shape != (log_p.shape[dim],) * 2:
        raise ValueError(
            f"transition has shape {tuple(transition.shape)} but input of shape "
            f"{tuple(input.shape)} has {log_p.shape[dim]} classes; give one row and one column each"
        )
    table, lowest = transition.to(log_p), torch.finfo(log_p.dtype).min / 100
    table = table / table.sum(1, keepdim=True)
    some = table > 0
    chances = torch.where(some, torch.where(some, table, 1).log(), lowest)
    return -(log_p + chances.T[classes].movedim(-1, dim)).logsumexp(dim)
