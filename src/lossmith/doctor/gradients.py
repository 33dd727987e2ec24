"""Findings on gradients: none, not finite, saturated, away from the target, of unlike sizes."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lossmith.core.rows import row_sizes
from lossmith.doctor.calls import Call
from lossmith.doctor.findings import Finding
from lossmith.doctor.graph import last_of
from lossmith.doctor.guarded import modules_of
from lossmith.doctor.seen import Seen

MANY = 0.5  # share of rows from which on it is told
APART = 1000.0  # times that one term's gradient is another's
EDGE = {"sigmoid": 1e-4, "softmax": 1e-4, "tanh": 1e-4}  # from the ends of a squashed head
STEEP = 20.0  # difference of logits beyond which a softmax is 0 or 1 in half precision
AWAY = 0.9  # share of outputs that are drawn away from their target
ENOUGH = 8


def no_gradient(seen: Seen) -> Iterator[Finding]:
    """Find losses from which no gradient leads to the model."""
    free = seen.value is not None and seen.value.requires_grad
    if seen.failed or seen.value is None:
        return
    evidence = ""
    if seen.cut:
        evidence = seen.cut
    elif not free or not seen.gradients:
        evidence = "the value does not depend on the outputs in a way that autograd can follow"
    elif not _starts_at_nothing(seen) and not any(slope.any() for _, slope in seen.gradients):
        evidence = f"the gradient is 0 at every output, the value {seen.value.item():.3g}"
    if evidence:
        yield Finding(
            name="no gradient",
            severity="error",
            evidence=evidence,
            remedy="look for argmax, round, a comparison, detach, no_grad or requires_grad_(False) "
            "on the way, and for a loss that is flat here",
        )


def not_finite(seen: Seen) -> Iterator[Finding]:
    """Find values and gradients that are NaN or infinite, and what they may come from."""
    if seen.value is None:
        return
    value, slopes = seen.value.detach(), [slope for _, slope in seen.gradients]
    if value.isfinite() and all(bool(slope.isfinite().all()) for slope in slopes):
        return
    rows = [_rows_not_finite(slope) for slope in slopes]
    outputs = [one for one in (seen.single,) if one is not None]
    told = "the outputs are not finite themselves" if _any_not_finite(outputs) else ""
    if isinstance(seen.target, Tensor) and _any_not_finite([seen.target]):
        told = "the target holds NaN or infinity"
    share = f", the gradient not finite in {max(rows):.1%} of the rows" if any(rows) else ""
    yield Finding(
        name="not finite",
        severity="error",
        evidence=f"the value is {value.item():.3g}{share}" + (f"; {told}" if told else ""),
        remedy="mend the data"
        if told
        else "use a loss of logits in place of logarithms and quotients written by hand",
    )


def saturated_head(seen: Seen) -> Iterator[Finding]:
    """Find heads whose last activation is at its ends, so that little gradient passes."""
    output = seen.single
    if output is None or not output.numel():
        return
    squash, numbers = last_of(output).squash, output.detach()
    if squash in EDGE:
        low = -1.0 if squash == "tanh" else 0.0
        share = _share((numbers - low < EDGE[squash]) | (1 - numbers < EDGE[squash]))
        if squash == "softmax" and numbers.ndim > 1:
            share = _share(1 - numbers.amax(1) < EDGE[squash])
    elif squash == "relu":
        share = _share(numbers <= 0)
    else:
        return
    if share > MANY and not _right(seen):
        yield Finding(
            name="a saturated head",
            severity="warning",
            evidence=f"the head ends in {squash}, and {share:.0%} of its outputs are at an end of "
            "it: their gradient is about 0",
            remedy="scale the inputs of the network, or leave the last activation to the loss",
        )


def saturated_logits(seen: Seen) -> Iterator[Finding]:
    """Find logits so far apart that probabilities are 0 and 1, and wrong."""
    for call in seen.calls:
        logits = call.input
        if call.reads[0] != "logits" or not isinstance(logits, Tensor) or logits.ndim == 0:
            continue
        several = call.reads[1] == "classes" and logits.ndim > 1 and logits.shape[1] > 1
        numbers = logits.detach().float()
        far = _gap(numbers) > STEEP if several else numbers.abs() > STEEP
        if _share(far) > MANY and not _right(seen):
            yield Finding(
                name="saturated logits",
                severity="warning",
                evidence=f"{_share(far):.0%} of the rows have logits more than {STEEP:g} apart "
                f"(of size {numbers.abs().max():.3g}), and many are wrong: their probabilities are "
                "0 or 1, and errors have a gradient of one size",
                remedy="scale the inputs of the network, and start its last layer small",
            )
            return


def silent_rows(seen: Seen) -> Iterator[Finding]:
    """Find rows without a gradient, where each row should have one."""
    rows = seen.single
    if rows is None or seen.value is None or not seen.value.requires_grad or _right(seen):
        return
    of_rows = all(call.mean and (not call.own or _reads_head(call)) for call in seen.calls)
    if not of_rows or len(rows) < ENOUGH:
        return
    for tensor, slope in seen.gradients:
        sizes = row_sizes(slope)
        counted = _counted(seen, len(tensor)).to(sizes.device)
        share = _share(sizes[counted] == 0) if bool(counted.any()) else 0.0
        if MANY < share < 1:
            yield Finding(
                name="rows without a gradient",
                severity="warning",
                evidence=f"{share:.0%} of {int(counted.sum())} rows have a gradient of 0 at the "
                "outputs: nothing is learnt from them",
                remedy="look whether they are cut off by a clamp, a margin or a mask",
            )


def linear_arm(seen: Seen) -> Iterator[Finding]:
    """Find Huber losses of which all errors are beyond the quadratic part."""
    for call in seen.calls:
        delta = call.options.get("delta", call.options.get("beta"))
        robust = call.name in ("huber_loss", "smooth_l1_loss", "Huber", "SmoothL1")
        if not (robust and call.mean) or delta is None or call.input.shape != call.target.shape:
            continue
        size = (call.input - call.target.to(call.input)).detach().abs()
        share = _share(size > float(delta))
        if share > 0.95 and size.numel() >= ENOUGH:
            yield Finding(
                name="errors beyond delta",
                severity="warning",
                evidence=f"{share:.0%} of the errors are larger than {float(delta):g} (half of "
                f"them above {size.median():.3g}): {call.name} is an absolute error here",
                remedy="scale the targets, or give a delta in their unit",
            )


def away_from_target(seen: Seen) -> Iterator[Finding]:
    """Find losses that draw outputs away from their targets: of a wrong sign, or upside down."""
    output, target = seen.single, seen.target
    if output is None or not isinstance(target, Tensor) or not seen.gradients:
        return
    if any(call.own for call in seen.calls) or len(output) < ENOUGH:
        return  # lossmith's are tested for it
    pulls = _pulls(output, target, seen.gradients[0][1])
    if pulls is None or not pulls.numel():
        return
    away = _share(pulls > 0)
    if away > AWAY:
        yield Finding(
            name="a loss that draws away from the target",
            severity="error",
            evidence=f"a step down the loss moves {away:.0%} of the outputs away from their "
            "targets",
            remedy="look for a sign: a score such as Dice or accuracy is maximised, so train with "
            "1 - score",
        )


def terms_apart(seen: Seen) -> Iterator[Finding]:
    """Find terms of a sum whose gradients differ by orders of magnitude."""
    sizes = [
        (call.name, sum(one.double().square().sum().item() for one in slopes) ** 0.5)
        for call, slopes in seen.parts
    ]
    sizes = [(name, size) for name, size in sizes if 0 < size < torch.inf]
    if len(sizes) < 2:
        return
    (least, low), (most, high) = (pick(sizes, key=lambda one: one[1]) for pick in (min, max))
    if high > APART * low:
        yield Finding(
            name="terms of unlike gradients",
            severity="warning",
            evidence=f"the gradient of {most} at the outputs is {high / low:.2g} times that of "
            f"{least} ({high:.2g} and {low:.2g}): only one of them is trained",
            remedy="weigh the terms, scale the targets, or use a weighting that adapts, as "
            "lossmith.Uncertainty()",
        )


def _starts_at_nothing(seen: Seen) -> bool:
    """Return whether a loss learns, or waits for signals: a head of zeros, an empty memory."""
    if any(call.card is not None and call.card.required_signals for call in seen.calls):
        return True
    return any(one.requires_grad for top in modules_of(seen.setup.loss) for one in top.parameters())


def _reads_head(call: Call) -> bool:
    return call.card is not None and call.card.trains_head


def _pulls(output: Tensor, target: Tensor, slope: Tensor) -> Tensor | None:
    """Return what is above 0 where a step down the slope moves an output away from its target."""
    output, slope = output.detach(), slope.detach()
    if target.shape == output.shape and target.is_floating_point():
        masks = bool(((target == 0) | (target == 1)).all())
        side = torch.where(target > 0.5, -1.0, 1.0) if masks else (output - target).sign()
        chosen = (side < 0) if masks else (side != 0)  # where something is to be found
        return -(slope * side)[chosen & (slope != 0)]
    classes = output.shape[1] if output.ndim > 1 else 0
    codes = not target.is_floating_point() and target.dtype != torch.bool
    if codes and classes > 1 and target.shape == (len(output), *output.shape[2:]):
        inside = (target >= 0) & (target < classes)
        own = slope.gather(1, target.clamp(0, classes - 1).long().unsqueeze(1)).squeeze(1)
        return own[inside & (own != 0)]
    return None


def _right(seen: Seen) -> bool:
    """Return whether the model has learnt its batch already, so that no gradient is no wonder."""
    output, target = seen.single, seen.target
    if output is None or not isinstance(target, Tensor):
        return False
    output = output.detach()
    if target.shape == output.shape:
        half = 0.5 if last_of(output).squash == "sigmoid" else 0.0
        masks = bool(((target == 0) | (target == 1)).all())
        hits = (output > half) == (target > 0.5) if masks else (output - target).abs() < 1e-3
        return _share(hits) > 0.95
    if output.ndim > 1 and target.shape == (len(output), *output.shape[2:]):
        return _share(output.argmax(1) == target) > 0.95
    return False


def _counted(seen: Seen, rows: int) -> Tensor:
    """Return which rows hold a target that counts."""
    marks = [call.ignored for call in seen.calls if call.ignored is not None]
    target = seen.target
    if not marks or not isinstance(target, Tensor) or len(target) != rows:
        return torch.ones(rows, dtype=torch.bool)
    return (target != marks[0]).reshape(rows, -1).any(1).cpu()


def _gap(logits: Tensor) -> Tensor:
    top = logits.topk(2, 1).values
    return top[:, 0] - top[:, 1]


def _share(flags: Tensor) -> float:
    return flags.double().mean().item() if flags.numel() else 0.0


def _any_not_finite(parts: list[Tensor]) -> bool:
    return any(not bool(one.isfinite().all()) for one in parts if one.is_floating_point())


def _rows_not_finite(slope: Tensor) -> float:
    flat = slope.reshape(len(slope), -1) if slope.ndim else slope.reshape(1, 1)
    return _share(~flat.isfinite().all(1))
