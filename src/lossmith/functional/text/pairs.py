"""Losses of preferences between two completions, unreduced."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    clamp_if_outside,
    promote,
    same_rows,
    tensor_like,
)

__all__ = ["apo", "cpo", "dpo", "exo", "ipo", "orpo", "robust_dpo", "sim_po", "sppo"]

Pair = Mapping[str, Tensor]
SURE = -1e-12  # log-probabilities above it are taken as it: the odds of 1 are infinite


def dpo(
    input: Pair,
    target: Pair,
    *,
    beta: Tensor | float = 0.1,
    label_smoothing: Tensor | float = 0.0,
) -> Tensor:
    """Return −(1 − ε)·log σ(beta·h) − ε·log σ(−beta·h), h the log-ratio's lead (Rafailov, 2023)."""
    lead = _lead(*against(input, target))
    margin, share = (
        as_scalar_or_tensor(beta, lead) * lead,
        as_scalar_or_tensor(label_smoothing, lead),
    )
    return -(1 - share) * logsigmoid(margin) - share * logsigmoid(-margin)


def robust_dpo(
    input: Pair, target: Pair, *, beta: Tensor | float = 0.1, flipped: Tensor | float = 0.1
) -> Tensor:
    """Return (−(1 − ε)·log σ(beta·h) + ε·log σ(−beta·h))/(1 − 2ε) (Chowdhury et al., 2024)."""
    lead = _lead(*against(input, target))
    margin, share = as_scalar_or_tensor(beta, lead) * lead, as_scalar_or_tensor(flipped, lead)
    # log σ(−z) = log σ(z) − z
    return -logsigmoid(margin) - share / (1 - 2 * share) * margin


def ipo(input: Pair, target: Pair, *, tau: Tensor | float = 0.1) -> Tensor:
    """Return (h − 1/(2·tau))², h the log-ratio's lead (Azar et al., 2023)."""
    lead = _lead(*against(input, target))
    return (lead - 1 / (2 * as_scalar_or_tensor(tau, lead))).square()


def exo(
    input: Pair,
    target: Pair,
    *,
    beta: Tensor | float = 0.1,
    label_smoothing: Tensor | float = 1e-3,
) -> Tensor:
    """Return KL((σ(z), σ(−z)), (1 − ε, ε)) of z = beta·h, h the log-ratio's lead (Ji, 2024)."""
    lead = _lead(*against(input, target))
    most = torch.finfo(lead.dtype).max / 4
    margin = clamp_if_outside(as_scalar_or_tensor(beta, lead) * lead, -most, most)
    share = tensor_like(label_smoothing, lead)
    won = margin.sigmoid() * (logsigmoid(margin) - torch.log1p(-share))
    return won + (-margin).sigmoid() * (logsigmoid(-margin) - share.log())


def sppo(input: Pair, target: Pair, *, beta: Tensor | float = 1e-3) -> Tensor:
    """Return (r_c − 1/(2·beta))² + (r_r + 1/(2·beta))² of log-ratios r (Wu et al., 2024)."""
    own, reference = against(input, target)
    aim = 1 / (2 * as_scalar_or_tensor(beta, own["chosen"]))
    chosen, rejected = (own[name] - reference[name] for name in ("chosen", "rejected"))
    return (chosen - aim).square() + (rejected + aim).square()


def sim_po(input: Pair, *, beta: Tensor | float = 2.0, gamma: Tensor | float = 1.0) -> Tensor:
    """Return −log σ(beta·(chosen − rejected) − gamma) (Meng et al., 2024)."""
    own = alike(input)
    lead = own["chosen"] - own["rejected"]
    return -logsigmoid(as_scalar_or_tensor(beta, lead) * lead - as_scalar_or_tensor(gamma, lead))


def orpo(input: Pair, *, lambda_: Tensor | float = 0.1) -> dict[str, Tensor]:
    """Return −chosen and −lambda·log σ of the log odds ratio (Hong et al., 2024)."""
    own = alike(input)
    ratio = _log_odds(own["chosen"]) - _log_odds(own["rejected"])
    return {
        "likelihood": -own["chosen"],
        "odds_ratio": -as_scalar_or_tensor(lambda_, ratio) * logsigmoid(ratio),
    }


def cpo(
    input: Pair, *, beta: Tensor | float = 0.1, alpha: Tensor | float = 1.0
) -> dict[str, Tensor]:
    """Return −log σ(beta·(chosen − rejected)) and −alpha·chosen (Xu et al., 2024)."""
    own = alike(input)
    lead = own["chosen"] - own["rejected"]
    return {
        "preference": -logsigmoid(as_scalar_or_tensor(beta, lead) * lead),
        "likelihood": -as_scalar_or_tensor(alpha, lead) * own["chosen"],
    }


def apo(input: Pair, target: Pair, *, beta: Tensor | float = 0.1, anchor: str = "zero") -> Tensor:
    """Return 1 − σ(beta·r_c) + σ(beta·r_r) of log-ratios r (D'Oosterlinck et al., 2024).

    With anchor "down" it is σ(beta·r_c) + 1 − σ(beta·(r_c − r_r)).
    """
    own, reference = against(input, target)
    beta = as_scalar_or_tensor(beta, own["chosen"])
    chosen, rejected = (own[name] - reference[name] for name in ("chosen", "rejected"))
    if anchor == "zero":
        return (-beta * chosen).sigmoid() + (beta * rejected).sigmoid()
    return (beta * chosen).sigmoid() + (-beta * (chosen - rejected)).sigmoid()


def _lead(own: Pair, reference: Pair) -> Tensor:
    return (own["chosen"] - reference["chosen"]) - (own["rejected"] - reference["rejected"])


def _log_odds(log_p: Tensor) -> Tensor:
    """Return log p − log(1 − p) of log p."""
    held = log_p.clamp(max=SURE)  # in 1 − p alone, so that p = 1 still has a slope
    near = held > -0.5  # expm1 keeps 1 − p near p = 1, log1p keeps it near p = 0
    close = torch.where(near, held, -0.5)
    far = torch.where(near, -0.5, held)
    return log_p - torch.where(near, (-torch.expm1(close)).log(), torch.log1p(-far.exp()))


def alike(named: Pair) -> dict[str, Tensor]:
    return same_rows({name: promote(part) for name, part in named.items()}, shapes=True)


def against(input: Pair, target: Pair) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Check the model's and the reference's numbers and return both in the model's dtype."""
    own = alike(input)
    alike({**own, **{f"the reference's {name}": part for name, part in target.items()}})
    first = next(iter(own.values()))
    return own, {name: part.to(first.dtype) for name, part in target.items()}
