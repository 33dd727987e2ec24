"""How far confidence is from accuracy, of a batch, and a loss that bounds confidence."""

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, class_logits, divisor, head_dim
from lossmith.functional.classification.multiclass import gather_target, is_target, nll
from lossmith.functional.embeddings import unit_rows

__all__ = ["logit_norm", "mdca", "mmce"]


def logit_norm(
    input: Tensor, target: Tensor, *, temperature: Tensor | float = 0.04, ignore_index: int = -100
) -> Tensor:
    """Return −log p_t of the softmax of x/(temperature·‖x‖) (Wei et al., 2022)."""
    logits, classes = class_logits(input, target, ignore_index)
    return nll(unit_rows(logits, head_dim(logits)) / divisor(temperature, logits), classes)


def mmce(
    input: Tensor,
    target: Tensor,
    *,
    weight: Tensor,
    width: Tensor | float = 0.4,
    ignore_index: int = -100,
) -> Tensor:
    """Return Σ_ij (c_i − r_i)(c_j − r_j)·exp(−|r_i − r_j|/width)/N² (Kumar et al., 2018).

    r is the largest probability of the softmax, c whether its class is the target's.
    """
    logits, classes, counts = _rows(input, target, weight, ignore_index)
    guess = logits.argmax(1)
    log_p = logits.log_softmax(1)
    sure = gather_target(log_p, guess).exp()
    lowest = torch.finfo(logits.dtype).min
    doubt = log_p.masked_fill(is_target(log_p, guess), lowest).logsumexp(1).exp()  # 1 − r, exact
    gap = counts * torch.where(guess == classes, doubt, -sure)
    apart = (sure.unsqueeze(1) - sure).abs() / as_scalar_or_tensor(width, logits)
    total = counts.sum()
    return (gap * ((-apart).exp() * gap.unsqueeze(1)).sum(0)).sum() / _or_one(total).square()


def mdca(input: Tensor, target: Tensor, *, weight: Tensor, ignore_index: int = -100) -> Tensor:
    """Return the mean over classes of |mean p_c − share of class c| (Hebbalaguppe et al., 2022)."""
    logits, classes, counts = _rows(input, target, weight, ignore_index)
    counts = counts.unsqueeze(1)
    gap = counts * (logits.softmax(1) - is_target(logits, classes).to(logits.dtype))
    return (gap.sum(0) / _or_one(counts.sum())).abs().mean()


def _rows(
    input: Tensor, target: Tensor, weight: Tensor, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits (R, C), classes (R,) and how much each row counts."""
    kept = target != ignore_index
    logits, target = class_logits(input, target, ignore_index)
    logits = logits.movedim(head_dim(logits), -1)
    logits = torch.where(kept.unsqueeze(-1), logits, 0).reshape(-1, logits.shape[-1])
    return logits, target.flatten(), torch.where(kept, weight, 0).flatten()


def _or_one(total: Tensor) -> Tensor:
    return torch.where(total > 0, total, 1)
