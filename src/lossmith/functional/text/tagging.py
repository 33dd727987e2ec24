"""The linear-chain conditional random field: sequences of tags whose neighbours bear on each other.

Tokens that are ignored are left out of the chain, wherever they stand: their neighbours meet.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from lossmith.functional.checks import clamp_if_outside, class_logits, promote
from lossmith.functional.classification.multiclass import gather_target

__all__ = ["crf", "crf_best_path", "crf_marginals"]

Sum = Callable[[Tensor], Tensor]


def crf(
    input: Tensor,
    target: Tensor,
    *,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
    ignore_index: int = -100,
) -> Tensor:
    """Return −log of the chance of each row's tags among all sequences (Lafferty et al., 2001).

    Shapes: input (N, C, T), target (N, T), transitions (C, C) from row to column, start and end
    (C,), to (N,). All scores are taken less those of the tags themselves, so that nothing cancels.
    """
    if target.ndim != 2:
        raise ValueError(
            f"target has shape {tuple(target.shape)} and input {tuple(input.shape)}; "
            "they must be (N, T) and (N, C, T)"
        )
    logits, tag = class_logits(input, target, ignore_index)
    if not logits.numel():
        return logits.sum((1, 2))
    kept = target != ignore_index
    chain, start, end = (one.to(logits) for one in (transitions, start, end))
    logits = torch.where(kept.unsqueeze(1), logits, 0)
    far = torch.finfo(logits.dtype).max / (8 * logits.shape[2])
    ahead = clamp_if_outside(logits - gather_target(logits, tag).unsqueeze(1), -far, far)
    first, before, last = _neighbours(kept)
    step = chain[tag.gather(1, before), tag]
    step = torch.where(first, start[tag], step)
    *_, score = _scores(ahead, kept, chain, start, step)
    return (score + end).logsumexp(1) - end[tag.gather(1, last).squeeze(1)]


def crf_marginals(output: Tensor, *, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Return the chance of each tag at each token, (N, C, T) or of one row (C, T), from a head.

    >>> zero = torch.zeros(2)
    >>> crf_marginals(torch.zeros(1, 2, 3), transitions=torch.zeros(2, 2), start=zero, end=zero)
    tensor([[[0.5000, 0.5000, 0.5000],
             [0.5000, 0.5000, 0.5000]]])
    """
    logits = promote(output)
    if logits.ndim == 2:
        whole = crf_marginals(output[None], transitions=transitions, start=start, end=end)
        return whole[0]
    logits = logits - logits.amax(1, keepdim=True)
    kept = torch.ones_like(logits[:, 0], dtype=torch.bool)
    chain, start, end = (one.to(logits) for one in (transitions, start, end))
    there = _scores(logits, kept, chain, start)
    back = _scores(logits.flip(2), kept, chain.T, end)
    both = torch.stack(there, 2) + torch.stack(back, 2).flip(2) - logits
    return both.softmax(1)


def crf_best_path(
    output: Tensor,
    kept: Tensor | None = None,
    *,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
    ignore_index: int = -100,
) -> Tensor:
    """Return the likeliest sequence of tags (N, T), by Viterbi; ignore_index where not kept.

    >>> chain = torch.tensor([[0.0, -9.0], [-9.0, 0.0]])  # tags stay
    >>> head = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 0.5, 0.0]]])
    >>> crf_best_path(head, transitions=chain, start=torch.zeros(2), end=torch.zeros(2))
    tensor([[0, 0, 0]])
    """
    logits = promote(output)
    kept = torch.ones_like(logits[:, 0], dtype=torch.bool) if kept is None else kept != 0
    chain, start, end = (one.to(logits) for one in (transitions, start, end))
    logits = torch.where(kept.unsqueeze(1), logits, 0)
    scores = _scores(logits, kept, chain, start, sum_of=lambda paths: paths.amax(1))
    tag = (scores[-1] + end).argmax(1)
    path = [tag]
    for t in range(logits.shape[2] - 1, 0, -1):  # where t is not kept, t − 1 has the same tag
        from_here = (scores[t - 1] + chain.T[tag]).argmax(1)
        tag = torch.where(kept[:, t] & kept[:, :t].any(1), from_here, tag)
        path.append(tag)
    return torch.stack(path[::-1], 1).masked_fill(~kept, ignore_index)


def _scores(
    logits: Tensor,
    kept: Tensor,
    chain: Tensor,
    start: Tensor,
    step: Tensor | None = None,
    *,
    sum_of: Sum = lambda paths: paths.logsumexp(1),
) -> list[Tensor]:
    """Return the summed scores (N, C) of all paths that end in each tag, token by token.

    `step` (N, T) is taken off at each: what the transition to one path's own tag adds.
    """
    first, _, _ = _neighbours(kept)
    score, found = start.expand(logits.shape[:2]), []
    for t in range(logits.shape[2]):
        came = sum_of(score.unsqueeze(2) + chain)
        came = torch.where(first[:, t : t + 1], start, came) + logits[:, :, t]
        came = came if step is None else came - step[:, t : t + 1]
        score = torch.where(kept[:, t : t + 1], came, score)
        found.append(score)
    return found


def _neighbours(kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return which token is the first kept, the place of the one before each, and of the last."""
    place = torch.arange(kept.shape[1], device=kept.device).expand_as(kept)
    latest = torch.where(kept, place, -1).cummax(1).values
    before = torch.cat([torch.full_like(latest[:, :1], -1), latest[:, :-1]], 1)
    return kept & (before < 0), before.clamp(min=0), latest[:, -1:].clamp(min=0)
