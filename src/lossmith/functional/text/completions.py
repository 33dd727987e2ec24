"""Losses of single completions that are good or bad, unreduced."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lossmith.functional.checks import as_scalar_or_tensor, clamp_if_outside, same_rows, tensor_like
from lossmith.functional.text.pairs import Pair, against

__all__ = ["bco", "completion_ratio", "kto"]


def bco(
    input: Pair,
    target: Pair,
    *,
    average: Tensor | float,
    seen: Tensor | int,
    beta: Tensor | float = 0.1,
) -> Tensor:
    """Return −log σ(±beta·(r − mean r)) of log-ratios r (Jung et al., 2024).

    The mean is over the batch and `seen` completions before it of this average, and constant in the
    gradient.
    """
    ratio, good = completion_ratio(input, target)
    before, last = tensor_like(seen, ratio), tensor_like(average, ratio)
    count = (before + ratio.numel()).clamp(min=1)
    point = (ratio.detach() / count).sum() + last * (before / count)
    most = torch.finfo(ratio.dtype).max / 4
    lead = clamp_if_outside(as_scalar_or_tensor(beta, ratio) * (ratio - point), -most, most)
    return -good * logsigmoid(lead) - (1 - good) * logsigmoid(-lead)


def completion_ratio(input: Pair, target: Pair) -> tuple[Tensor, Tensor]:
    """Return each completion's log-ratio to the reference model, and whether it is desirable."""
    (ratio,), good = _ratios(input, target, "completion")
    return ratio, good


def _ratios(input: Pair, target: Pair, *names: str) -> tuple[list[Tensor], Tensor]:
    own, reference = against(input, {name: target[name] for name in names})
    good = target["desirable"].to(own["completion"].dtype)
    same_rows({"completion": own["completion"], "desirable": good}, shapes=True)
    return [own[name] - reference[name] for name in names], good


def kto(
    input: Pair,
    target: Pair,
    *,
    beta: Tensor | float = 0.1,
    lambda_desirable: Tensor | float = 1.0,
    lambda_undesirable: Tensor | float = 1.0,
) -> Tensor:
    """Return lambda·(1 − value) of each completion (Ethayarajh et al., 2024).

    The reference point is the mean log-ratio of mismatched completions, at least 0 and constant
    in the gradient.
    """
    (reward, other), good = _ratios(input, target, "completion", "mismatched")
    point = (other.detach() / max(other.numel(), 1)).sum().clamp(min=0)
    lead = as_scalar_or_tensor(beta, reward) * (reward - point)
    up, down = (
        as_scalar_or_tensor(lambda_desirable, reward),
        as_scalar_or_tensor(lambda_undesirable, reward),
    )
    return good * up * torch.sigmoid(-lead) + (1 - good) * down * torch.sigmoid(lead)
