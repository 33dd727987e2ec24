"""Evidence for classes: a Dirichlet distribution over their probabilities, unreduced."""

import math

import torch
from torch import Tensor
from torch.nn import functional as nnf

from lossmith.functional.checks import class_logits, head_dim, held, in_dtype, promote, widest

_MOST = 1e8  # evidence beyond which the divergence is held: its terms cancel to their last digits


def evidential(
    input: Tensor, target: Tensor, *, coefficient: Tensor | float, ignore_index: int = -100
) -> Tensor:
    """Return the expected Brier score and the price of wrong evidence (Sensoy et al., 2018)."""
    logits, target = class_logits(input, target, ignore_index)
    dim = head_dim(logits)
    evidence = nnf.softplus(logits)
    truth = nnf.one_hot(target, logits.shape[dim]).movedim(-1, dim).to(logits.dtype)
    share, total = _shares(evidence, dim)
    noise = share * (1 - share) / (total + 1)
    price = _divergence(evidence * (1 - truth), dim)
    return ((truth - share).square() + noise).sum(dim) + in_dtype(coefficient, logits) * price


def evidential_probabilities(output: Tensor) -> Tensor:
    """Return the expected probability of each class, (1 + evidence)/(classes + all evidence)."""
    output = promote(output)
    return _shares(nnf.softplus(output), head_dim(output))[0]


def _shares(evidence: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return the expected probabilities and the sum of the concentrations, never infinite."""
    concentration = 1 + held(evidence, high=torch.finfo(evidence.dtype).max / 1e6)
    total = concentration.sum(dim, keepdim=True)
    return concentration / total, total


def _divergence(evidence: Tensor, dim: int) -> Tensor:
    """Return the KL divergence of Dirichlet(1 + evidence) from the uniform one."""
    classes = evidence.shape[dim]
    extra = held(evidence.to(widest(evidence.device)), high=_MOST)
    total = classes + extra.sum(dim, keepdim=True)
    value = torch.lgamma(total).squeeze(dim) - torch.lgamma(1 + extra).sum(dim)
    slope = (extra * (torch.digamma(1 + extra) - torch.digamma(total))).sum(dim)
    return (value + slope - math.lgamma(classes)).to(evidence.dtype)
