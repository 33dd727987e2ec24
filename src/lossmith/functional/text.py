"""Losses of tokens, and of preferences between completions."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lossmith.functional.checks import as_scalar_or_tensor, class_logits, promote, same_rows
from lossmith.functional.classification.multiclass import gather_target, log_probabilities, nll

__all__ = [
    "apo",
    "cpo",
    "dpo",
    "ipo",
    "kto",
    "orpo",
    "sequence_log_probability",
    "sim_po",
    "unlikelihood",
]

Pair = Mapping[str, Tensor]
SURE = -1e-12  # log-probabilities above it are taken as it: the odds of 1 are infinite


def sequence_log_probability(
    input: Tensor, target: Tensor, *, ignore_index: int = -100, mean: bool = False
) -> Tensor:
    """Return the log-probability of each row's tokens, added up or averaged over those not ignored.

    >>> logits = torch.zeros(1, 4, 3)
    >>> sequence_log_probability(logits, torch.tensor([[0, 1, -100]])).exp()
    tensor([0.0625])
    """
    logits, token = class_logits(input, target, ignore_index)
    kept = target != ignore_index
    logits = torch.where(kept.unsqueeze(1), logits, 0)  # whatever they hold where ignored
    each = torch.where(kept, -nll(logits, token), 0.0)
    total = each.sum(1)
    return total / kept.sum(1).clamp(min=1) if mean else total


def unlikelihood(
    input: Tensor, target: Tensor, *, alpha: Tensor | float = 1.0, ignore_index: int = -100
) -> Tensor:
    """Return −log p_y − alpha·Σ log(1 − p_c) over tokens c seen before (Welleck et al., 2020)."""
    if target.ndim != 2:
        raise ValueError(
            f"target has shape {tuple(target.shape)} and input {tuple(input.shape)}; "
            "they must be (N, T) and (N, C, T)"
        )
    logits, token = class_logits(input, target, ignore_index)
    log_p = log_probabilities(logits)
    classes = torch.arange(logits.shape[1], device=logits.device).reshape(1, -1, 1)
    here = (classes == token.unsqueeze(1)) & (target != ignore_index).unsqueeze(1)
    count = here.to(torch.int32)
    before = (count.cumsum(2) - count > 0) & ~here
    others = torch.where(before, _log_one_minus(log_p), 0.0).sum(1)
    return -gather_target(log_p, token) - as_scalar_or_tensor(alpha, others) * others


def _log_one_minus(log_p: Tensor) -> Tensor:
    """Return log(1 − p) of each class; from the others where 1 − p itself may round to 0."""
    top = log_p.argmax(1, keepdim=True)
    classes = torch.arange(log_p.shape[1], device=log_p.device).reshape(1, -1, 1)
    likeliest = classes == top
    rest = log_p.masked_fill(likeliest, torch.finfo(log_p.dtype).min).logsumexp(1, keepdim=True)
    return torch.where(likeliest, rest, torch.log1p(-log_p.masked_fill(likeliest, -1.0).exp()))


def dpo(
    input: Pair,
    target: Pair,
    *,
    beta: Tensor | float = 0.1,
    label_smoothing: Tensor | float = 0.0,
) -> Tensor:
    """Return −(1 − ε)·log σ(beta·h) − ε·log σ(−beta·h), h the log-ratio's lead (Rafailov, 2023)."""
    lead = _lead(*_against(input, target))
    margin, share = (
        as_scalar_or_tensor(beta, lead) * lead,
        as_scalar_or_tensor(label_smoothing, lead),
    )
    return -(1 - share) * logsigmoid(margin) - share * logsigmoid(-margin)


def ipo(input: Pair, target: Pair, *, tau: Tensor | float = 0.1) -> Tensor:
    """Return (h − 1/(2·tau))², h the log-ratio's lead (Azar et al., 2023)."""
    lead = _lead(*_against(input, target))
    return (lead - 1 / (2 * as_scalar_or_tensor(tau, lead))).square()


def sim_po(input: Pair, *, beta: Tensor | float = 2.0, gamma: Tensor | float = 1.0) -> Tensor:
    """Return −log σ(beta·(chosen − rejected) − gamma) (Meng et al., 2024)."""
    own = _alike(input)
    lead = own["chosen"] - own["rejected"]
    return -logsigmoid(as_scalar_or_tensor(beta, lead) * lead - as_scalar_or_tensor(gamma, lead))


def orpo(input: Pair, *, lambda_: Tensor | float = 0.1) -> dict[str, Tensor]:
    """Return −chosen and −lambda·log σ of the log odds ratio (Hong et al., 2024)."""
    own = _alike(input)
    ratio = _log_odds(own["chosen"]) - _log_odds(own["rejected"])
    return {
        "likelihood": -own["chosen"],
        "odds_ratio": -as_scalar_or_tensor(lambda_, ratio) * logsigmoid(ratio),
    }


def cpo(
    input: Pair, *, beta: Tensor | float = 0.1, alpha: Tensor | float = 1.0
) -> dict[str, Tensor]:
    """Return −log σ(beta·(chosen − rejected)) and −alpha·chosen (Xu et al., 2024)."""
    own = _alike(input)
    lead = own["chosen"] - own["rejected"]
    return {
        "preference": -logsigmoid(as_scalar_or_tensor(beta, lead) * lead),
        "likelihood": -as_scalar_or_tensor(alpha, lead) * own["chosen"],
    }


def apo(input: Pair, target: Pair, *, beta: Tensor | float = 0.1, anchor: str = "zero") -> Tensor:
    """Return 1 − σ(beta·r_c) + σ(beta·r_r) of log-ratios r (D'Oosterlinck et al., 2024).

    With anchor "down" it is σ(beta·r_c) + 1 − σ(beta·(r_c − r_r)).
    """
    own, reference = _against(input, target)
    beta = as_scalar_or_tensor(beta, own["chosen"])
    chosen, rejected = (own[name] - reference[name] for name in ("chosen", "rejected"))
    if anchor == "zero":
        return (-beta * chosen).sigmoid() + (beta * rejected).sigmoid()
    return (beta * chosen).sigmoid() + (-beta * (chosen - rejected)).sigmoid()


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
    names = ("completion", "mismatched")
    own, reference = _against(input, {name: target[name] for name in names})
    good = target["desirable"].to(own["completion"].dtype)
    same_rows({"completion": own["completion"], "desirable": good}, shapes=True)
    reward, other = (own[name] - reference[name] for name in names)
    point = (other.detach() / max(other.numel(), 1)).sum().clamp(min=0)
    lead = as_scalar_or_tensor(beta, reward) * (reward - point)
    up, down = (
        as_scalar_or_tensor(lambda_desirable, reward),
        as_scalar_or_tensor(lambda_undesirable, reward),
    )
    return good * up * torch.sigmoid(-lead) + (1 - good) * down * torch.sigmoid(lead)


def _lead(own: Pair, reference: Pair) -> Tensor:
    return (own["chosen"] - reference["chosen"]) - (own["rejected"] - reference["rejected"])


def _log_odds(log_p: Tensor) -> Tensor:
    """Return log p − log(1 − p) of log p."""
    held = log_p.clamp(max=SURE)  # in 1 − p alone, so that p = 1 still has a slope
    near = held > -0.5  # expm1 keeps 1 − p near p = 1, log1p keeps it near p = 0
    close = torch.where(near, held, -0.5)
    far = torch.where(near, -0.5, held)
    return log_p - torch.where(near, (-torch.expm1(close)).log(), torch.log1p(-far.exp()))


def _alike(named: Pair) -> dict[str, Tensor]:
    return same_rows({name: promote(part) for name, part in named.items()}, shapes=True)


def _against(input: Pair, target: Pair) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Check the model's and the reference's numbers and return both in the model's dtype."""
    own = _alike(input)
    _alike({**own, **{f"the reference's {name}": part for name, part in target.items()}})
    first = next(iter(own.values()))
    return own, {name: part.to(first.dtype) for name, part in target.items()}
