"""Losses of embeddings by pairs of their classes."""

import torch
from torch import Tensor

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    check_classes,
    divisor,
    paired_rows,
    promote,
)
from lossmith.functional.embeddings import cosines, distances, dots, root, unit_rows
from lossmith.functional.similarity import greatest_cosine, log_sums

__all__ = [
    "circle",
    "contrastive",
    "fast_ap",
    "has_positive_and_negative",
    "margin_based",
    "multi_similarity",
    "n_pair",
    "sup_con",
    "triplet",
    "triplets_of",
    "with_positive",
]


def contrastive(input: Tensor, target: Tensor, *, margin: Tensor | float = 1.0) -> Tensor:
    """Return the mean over all others of d²/2 if alike, max(0, margin − d)²/2 if not."""
    rows, classes = check_embeddings(input, target)
    alike, unlike = pair_masks(classes)
    gap = distances(rows, rows)
    apart = (as_scalar_or_tensor(margin, gap) - gap).relu()
    # Each part is masked before it is squared: far out the other part's square has no number.
    part = torch.where(alike, gap, torch.where(unlike, apart, 0))
    return part.square().sum(1) / (2 * max(rows.shape[0] - 1, 1))


def triplet(
    input: Tensor,
    target: Tensor,
    *,
    margin: Tensor | float = 0.2,
    mining: str = "semi_hard",
    squared: bool = True,
) -> Tensor:
    """Return the mean of max(0, margin + d(anchor, positive) − d(anchor, negative)) an anchor.

    Over all its triplets ("all"), one for each positive with the nearest negative beyond it, else
    the farthest ("semi_hard"), or the farthest positive and nearest negative ("hardest").
    """
    rows, classes = check_embeddings(input, target)
    alike, unlike = pair_masks(classes)
    gap = (2 - 2 * cosines(rows, rows)).clamp(min=0)
    gap = gap if squared else root(gap)
    margin, most = as_scalar_or_tensor(margin, gap), torch.finfo(gap.dtype).max / 8
    if rows.shape[0] == 0:
        return gap.sum(1)
    if mining == "hardest":
        near = torch.where(unlike, gap, most).amin(1)
        far = torch.where(alike, gap, -most).amax(1)
        return _mean((margin + far - near).relu().unsqueeze(1), triplets_of(target, mining) > 0)
    if mining == "all":
        excess = (margin + gap.unsqueeze(2) - gap.unsqueeze(1)).relu()
        kept = alike.unsqueeze(2) & unlike.unsqueeze(1)
        return _mean(excess.flatten(1), kept.flatten(1))
    chosen = _semi_hard(gap, unlike)
    return _mean((margin + gap - chosen).relu(), alike & unlike.any(1, keepdim=True))


def _semi_hard(gap: Tensor, unlike: Tensor) -> Tensor:
    """Return the least distance to an unlike row beyond each distance of a row, else the largest.

    Equal distances share the gradient, as in torch.amin.
    """
    most = torch.finfo(gap.dtype).max / 8
    ranked = torch.where(unlike, gap, most).sort(1).values
    place = torch.searchsorted(ranked.detach(), gap.detach().contiguous(), right=True)
    found = place.clamp(max=gap.shape[0] - 1)
    mean = _means_of_equals(ranked).gather(1, found)
    nearest = ranked.detach().gather(1, found) + (mean - mean.detach())  # a mean of equals rounds
    farthest = torch.where(unlike, gap, -most).amax(1, keepdim=True)
    chosen = torch.where(place < unlike.sum(1, keepdim=True), nearest, farthest)
    return chosen + 0 * torch.where(unlike, gap, 0).detach().sum(1, keepdim=True)  # NaN, if any is


def _means_of_equals(ranked: Tensor) -> Tensor:
    """Return for each number of sorted rows the mean of those that equal it."""
    level = torch.ones_like(ranked, dtype=torch.long)
    level[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    level = level.cumsum(1) - 1
    sums, counts = (
        torch.zeros_like(each).scatter_add(1, level, each)
        for each in (ranked, torch.ones_like(ranked))
    )
    return (sums / counts.clamp(min=1)).gather(1, level)


def triplets_of(target: Tensor, mining: str) -> Tensor:
    """Return how many triplets `triplet` forms with each row as the anchor."""
    alike, unlike = (mask.sum(1) for mask in pair_masks(target))
    if mining == "all":
        return alike * unlike
    formed = (alike > 0) & (unlike > 0)
    return formed.to(alike.dtype) if mining == "hardest" else formed * alike


def n_pair(input: Tensor, target: Tensor) -> Tensor:
    """Return log(1 + Σ_{j≠i} exp(a_i·p_j − a_i·p_i)) of anchors a (input) and positives p."""
    anchors, positives = paired_rows(input, target)
    return -dots(anchors, positives).log_softmax(1).diagonal()


def multi_similarity(
    input: Tensor,
    target: Tensor,
    *,
    alpha: Tensor | float = 2.0,
    beta: Tensor | float = 50.0,
    base: Tensor | float = 1.0,
    epsilon: Tensor | float = 0.1,
    mining: bool = True,
) -> Tensor:
    """Return log(1 + Σ_P e^{−alpha(s − base)})/alpha + log(1 + Σ_N e^{beta(s − base)})/beta.

    With mining, positives are kept whose cosine is below that of the nearest negative + epsilon,
    and negatives whose cosine is above that of the farthest positive − epsilon.
    """
    rows, classes = check_embeddings(input, target)
    alike, unlike = pair_masks(classes)
    cos = cosines(rows, rows)
    if mining and rows.shape[0] > 0:
        slack, known = as_scalar_or_tensor(epsilon, cos), cos.detach()
        nearest = torch.where(unlike, known, -torch.inf).amax(1, keepdim=True)
        farthest = torch.where(alike, known, torch.inf).amin(1, keepdim=True)
        # Dropped are those that are easy, which NaN is not.
        alike, unlike = alike & ~(known - slack >= nearest), unlike & ~(known + slack <= farthest)
    alpha, beta, base = (as_scalar_or_tensor(one, cos) for one in (alpha, beta, base))
    pull = log_one_plus(-alpha * (cos - base), alike) / alpha
    return pull + log_one_plus(beta * (cos - base), unlike) / beta


def circle(
    input: Tensor,
    target: Tensor,
    *,
    gamma: Tensor | float = 80.0,
    margin: Tensor | float = 0.4,
) -> Tensor:
    """Return log(1 + Σ_N e^{gamma a_n (s_n − m)} Σ_P e^{−gamma a_p (s_p − 1 + m)}).

    The paces a_n = max(0, s_n + m) and a_p = max(0, 1 + m − s_p) are constants of the gradient.
    """
    rows, classes = check_embeddings(input, target)
    alike, unlike = pair_masks(classes)
    cos = cosines(rows, rows)
    gamma, margin = as_scalar_or_tensor(gamma, cos), as_scalar_or_tensor(margin, cos)
    paces = (1 + margin - cos.detach()).relu(), (cos.detach() + margin).relu()
    pull = -gamma * paces[0] * (cos - 1 + margin)
    push = gamma * paces[1] * (cos - margin)
    lowest = torch.finfo(cos.dtype).min
    both = alike.any(1) & unlike.any(1)
    total = sum(
        torch.where(kept, part, lowest).logsumexp(1)
        for part, kept in ((pull, alike), (push, unlike))
    )
    exponent = torch.where(both, total, 0)
    return torch.where(both, torch.logaddexp(exponent, torch.zeros_like(exponent)), 0)


def fast_ap(input: Tensor, target: Tensor, *, bins: int = 10) -> Tensor:
    """Return 1 − Σ_b h⁺_b H⁺_b / H_b / N⁺ of soft histograms of squared distances (Cakir, 2019).

    h are an anchor's counts of others in a bin, H those up to it, ⁺ those of its class.
    """
    rows, classes = check_embeddings(input, target)
    alike, unlike = pair_masks(classes)
    place = (2 - 2 * cosines(rows, rows)).clamp(min=0) * (bins / 4)  # in bins, 0 … bins
    bin = torch.arange(bins + 1, device=rows.device, dtype=rows.dtype)
    share = (1 - (place.unsqueeze(2) - bin).abs()).relu()
    own = (share * alike.unsqueeze(2)).sum(1)
    near = (own + (share * unlike.unsqueeze(2)).sum(1)).cumsum(1)
    found = (own * own.cumsum(1) / torch.where(near > 0, near, 1)).sum(1)
    count = alike.sum(1)
    return torch.where(count > 0, 1 - found / count.clamp(min=1), 0)


def margin_based(
    input: Tensor, target: Tensor, *, beta: Tensor, margin: Tensor | float = 0.2
) -> Tensor:
    """Return the mean of max(0, margin ± (d − beta)) over triplets' pairs that cost (Wu, 2017).

    Each triplet of an anchor, one of its class and one of another has two pairs, + and −. beta is
    one number, or one a class, of the anchor's.
    """
    rows, classes = check_embeddings(input, target)
    alike, unlike = pair_masks(classes)
    unit = unit_rows(rows)
    gap, beta = distances(unit, unit), beta.to(rows)
    if beta.numel() > 1:
        check_classes(classes, beta.numel())
        beta = beta[classes].unsqueeze(1)
    alpha = as_scalar_or_tensor(margin, gap)
    total, count = gap.new_zeros(()), gap.new_zeros(())
    for cost, kept, others in ((gap - beta, alike, unlike), (beta - gap, unlike, alike)):
        cost = torch.where(kept, (alpha + cost).relu(), 0)
        times = others.sum(1, keepdim=True).to(gap.dtype)  # triplets of each pair
        total = total + (times * cost).sum()
        count = count + (times * (cost.detach() > 0)).sum()
    return total / count.clamp(min=1)


def sup_con(
    input: Tensor,
    target: Tensor,
    *,
    temperature: Tensor | float = 0.1,
    own: slice = slice(None),
) -> Tensor:
    """Return −mean over positives p of log(exp(s_ip/temperature) / Σ_{a≠i} exp(s_ia/temperature)).

    s are cosines; it is L_out of the paper. An anchor without a positive has the value 0. `own`
    picks the anchors whose values are wanted, as a process does that holds a part of the batch.
    """
    rows, classes = check_embeddings(input, target)
    scale = divisor(temperature, rows)
    rows = unit_rows(rows) / scale**0.5
    label, counts = _groups(classes)
    sums = torch.zeros_like(rows).index_add(0, label, rows)
    alike = (counts[label] - 1)[own]
    anchors, places = rows[own], torch.arange(rows.shape[0], device=rows.device)[own].unsqueeze(1)
    across, bound = None if own == slice(None) else rows, greatest_cosine(scale)
    others, _ = log_sums(anchors, across, places, bound=bound)
    positives = (anchors * (sums[label][own] - anchors)).sum(1) / alike.clamp(min=1)
    return (others - positives).masked_fill(alike == 0, 0)


def with_positive(target: Tensor) -> Tensor:
    """Return which rows have another of their class in the batch."""
    label, counts = _groups(target)
    return counts[label] > 1


def _groups(classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return a number below N for each row's class, and how many rows have each number."""
    _check_classes(classes)
    ranked, order = classes.sort()
    fresh = torch.ones_like(ranked)
    fresh[1:] = (ranked[1:] != ranked[:-1]).to(ranked.dtype)
    label = torch.empty_like(order).scatter(0, order, fresh.long().cumsum(0) - 1)
    return label, torch.zeros_like(label).index_add(0, label, torch.ones_like(label))


def has_positive_and_negative(target: Tensor) -> Tensor:
    """Return which rows have both another of their class and one of another class."""
    alike, unlike = pair_masks(target)
    return alike.any(1) & unlike.any(1)


def pair_masks(target: Tensor) -> tuple[Tensor, Tensor]:
    """Return which pairs of different rows are of one class, and which are not, each (N, N)."""
    _check_classes(target)
    same = target.unsqueeze(1) == target.unsqueeze(0)
    itself = torch.eye(target.shape[0], dtype=torch.bool, device=target.device)
    return same & ~itself, ~same


def _check_classes(target: Tensor) -> None:
    if target.ndim != 1:
        raise ValueError(f"target must hold one class a row, (N,), got shape {tuple(target.shape)}")


def check_embeddings(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check embeddings (N, D) and integer classes (N,), and return them to compute with."""
    if input.ndim != 2 or target.shape != input.shape[:1]:
        raise ValueError(
            f"input has shape {tuple(input.shape)} and target {tuple(target.shape)}; embeddings "
            "must be (N, D) and classes (N,)"
        )
    if target.is_floating_point() or target.dtype == torch.bool:
        raise TypeError(f"target must hold integer classes, got {target.dtype}; use target.long()")
    return promote(input), target.long()


def log_one_plus(exponents: Tensor, kept: Tensor, dim: int = 1) -> Tensor:
    """Return log(1 + Σ exp) along a dimension over the entries kept."""
    exponents = torch.where(kept, exponents, torch.finfo(exponents.dtype).min)
    one = torch.zeros_like(exponents.sum(dim, keepdim=True))
    return torch.cat([one, exponents], dim).logsumexp(dim)


def _mean(values: Tensor, kept: Tensor) -> Tensor:
    kept = kept if kept.ndim > 1 else kept.unsqueeze(1)
    return torch.where(kept, values, 0).sum(1) / kept.sum(1).clamp(min=1)
