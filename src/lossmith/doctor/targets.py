"""Findings on targets: of another kind, on another scale, marked, or left out."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lossmith.doctor.calls import Call
from lossmith.doctor.findings import Finding
from lossmith.doctor.graph import last_of
from lossmith.doctor.seen import Seen

FAR = 100.0  # times the outputs' size that targets are off, and that a bias has to travel
ENDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "relu": (0.0, torch.inf)}
ENDS["softplus"] = ENDS["relu"]
IGNORED, PADDED, LONG = 0.9, 0.2, 8  # shares that are told of; positions of a sequence


def labels_out_of_range(seen: Seen) -> Iterator[Finding]:
    """Find labels or masks that are not 0 to 1, and labels of 0 and 1 where signs are read."""
    for call, what, target, kind in _targets(seen):
        low, high = _ends(target[target != call.ignored] if call.ignored is not None else target)
        if kind == "labels" and not (low >= 0 and high <= 1):
            remedy = "map labels to 0 and 1"
            if high == 255:
                remedy = "divide the mask by 255, or use mask > 0"
            elif (low, high) == (-1, 1):
                remedy = "use (target + 1) / 2"
            yield _wrong(call, what, "labels of 0 to 1", low, high, remedy)
        elif kind == "signs" and low >= 0 and high == 1:
            yield _wrong(call, what, "labels of −1 and 1", low, high, "use 2 * target - 1")


def negative_counts(seen: Seen) -> Iterator[Finding]:
    """Find targets below 0 where counts or positive numbers are read."""
    for call, what, target, kind in _targets(seen):
        low, high = _ends(target)
        if kind in ("counts", "positive") and low < 0:
            remedy = "give the counts as they are, neither centred nor scaled"
            yield _wrong(call, what, "counts from 0 on", low, high, remedy)


def mask_for_distances(seen: Seen) -> Iterator[Finding]:
    """Find masks of 0 and 1 where a boundary loss reads signed distances."""
    for call in seen.calls:
        if call.name == "Boundary" and isinstance(call.target, Tensor) and _is_mask(call.target):
            yield Finding(
                name="a mask for signed distances",
                severity="error",
                evidence=f"Boundary reads distances to the boundary, negative within, and the "
                f"target holds 0 and 1 in all {call.target.numel()} places",
                remedy="use lossmith.functional.signed_distance(mask, classes=C), once for each "
                "image",
            )


def no_distribution(seen: Seen) -> Iterator[Finding]:
    """Find float targets of a softmax that don't sum to 1 in each row."""
    for call in seen.calls:
        input, target = call.input, call.target
        soft = call.name == "cross_entropy" and target.is_floating_point()
        if not soft or input.shape != target.shape or not target.numel():
            continue
        sums = target.detach().float().sum(1 if target.ndim > 1 else 0)
        if bool((sums - 1).abs().max() > 1e-3):
            yield Finding(
                name="targets that are no distribution",
                severity="error",
                evidence=f"cross_entropy reads float targets as probabilities, and they sum to "
                f"{sums.min():.3g} to {sums.max():.3g} a row",
                remedy="for several labels a row use BCEWithLogitsLoss; else divide by the sum",
            )


def beyond_the_head(seen: Seen) -> Iterator[Finding]:
    """Find numbers to predict that the head's last activation can't reach."""
    for call, target, input in _numbers(seen):
        squash = last_of(input).squash
        if squash not in ENDS:
            continue
        low, high = ENDS[squash]
        share = ((target < low) | (target > high)).float().mean().item()
        if share > 0:
            yield Finding(
                name="targets beyond the head's range",
                severity="error" if share > 0.01 else "warning",
                evidence=f"the head ends in {squash} and gives {low:g} to {high:g}; "
                f"{share:.1%} of the targets of {call.name} lie beyond, in "
                f"{target.min():.3g} to {target.max():.3g}",
                remedy="leave the last activation out, or scale the targets into its range",
            )


def unscaled(seen: Seen) -> Iterator[Finding]:
    """Find numbers to predict that are far larger than what the head gives."""
    for call, target, input in _numbers(seen):
        given = max(input.detach().double().square().mean().sqrt().item(), 1.0)
        size = target.double().abs().median().item()
        if size > FAR * given and last_of(input).squash not in ENDS:
            yield Finding(
                name="unscaled targets",
                severity="warning",
                evidence=f"targets of {call.name} have the size {size:.3g} (median of "
                f"|y|), outputs {given:.2g} at most: the head's bias has "
                f"to travel {size / given:.0f} times as far",
                remedy="standardise the targets of training, or use lossmith."
                "TransformedTarget.for_target(target, loss=…), which decodes back",
            )


def ignored_share(seen: Seen) -> Iterator[Finding]:
    """Find batches of which little counts, or nothing."""
    for call in seen.calls:
        target, mark = call.target, call.ignored
        if mark is None or not isinstance(target, Tensor) or not target.numel():
            continue
        share = (target == mark).double().mean().item()
        if share >= IGNORED:
            yield Finding(
                name="targets that are ignored",
                severity="error" if share == 1 else "warning",
                evidence=f"{share:.1%} of the targets of {call.name} are ignore_index={mark}",
                remedy="look how the mark came to be there"
                if share == 1
                else "accumulate batches by their counts, or draw rows that hold more",
            )
            return


def padding_learnt(seen: Seen) -> Iterator[Finding]:
    """Find sequences whose padding is a class like any other."""
    for call in seen.calls:
        target, ours = call.target, call.reads[1] == "classes"
        if not ours or not isinstance(target, Tensor) or target.is_floating_point():
            continue
        if target.ndim != 2 or target.shape[1] < LONG:
            continue
        last = target[:, -1].mode().values
        run = (target == last).flip(1).cumprod(1).flip(1).bool()
        rows = (target[:, -1] == last).float().mean().item()
        share = run.float().mean().item()
        whole = run.all(1).float().mean().item()
        if int(last) != call.ignored and rows >= 0.5 and share >= PADDED and whole < 0.5:
            yield Finding(
                name="padding that is learnt",
                severity="warning",
                evidence=f"{rows:.0%} of the sequences end in runs of class {int(last)}, "
                f"{share:.0%} of all positions, and {call.name} counts them",
                remedy=f"pass ignore_index={int(last)}, or mark padding with -100",
            )
            return


def _targets(seen: Seen) -> Iterator[tuple[Call, str, Tensor, str]]:
    """Yield each target of each loss that ran, with its kind."""
    for call in seen.calls:
        for what, target, kind in call.targets():
            if target.numel():
                yield call, what, target.detach(), kind


def _numbers(seen: Seen) -> Iterator[tuple[Call, Tensor, Tensor]]:
    """Yield numbers to predict and the output that predicts them, for losses of plain residuals."""
    for call in seen.calls:
        input, target = call.input, call.target
        plain = call.reads == ("values", "values") and call.name != "TransformedTarget"
        if call.card is not None and "regression" not in call.card.tasks:
            plain = False
        if plain and isinstance(input, Tensor) and isinstance(target, Tensor):
            finite = target.detach()[target.isfinite()]
            if finite.numel():
                yield call, finite, input


def _is_mask(target: Tensor) -> bool:
    return target.numel() > 0 and bool(((target == 0) | (target == 1)).all())


def _ends(target: Tensor) -> tuple[float, float]:
    return (target.min().item(), target.max().item()) if target.numel() else (0.0, 0.0)


def _wrong(call: Call, what: str, wanted: str, low: float, high: float, remedy: str) -> Finding:
    return Finding(
        name="targets of another kind",
        severity="error",
        evidence=f"{call.name} reads {wanted}, and {what} reaches from {low:.4g} to {high:.4g}",
        remedy=remedy,
    )
