"""Findings on shapes: what would broadcast, and heads of other classes than the targets'."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lossmith.doctor.calls import Call
from lossmith.doctor.findings import Finding
from lossmith.doctor.graph import last_of
from lossmith.doctor.seen import Seen

SURE = 20  # rows a class, after which one that was not seen is not there


def broadcast(seen: Seen) -> Iterator[Finding]:
    """Find outputs and targets of different shapes, which torch spreads over each other."""
    for call in seen.calls:
        input, target = call.input, call.target
        elementwise = not call.own and call.reads[1] in ("values", "labels", "counts", "signs")
        if elementwise and input.shape != target.shape:
            yield _spread(call.name, tuple(input.shape), tuple(target.shape), input, target)
            return
    if seen.broadcast:
        output, target = seen.output, seen.target
        yield _spread("the loss", tuple(output.shape), tuple(target.shape), output, target)


def _spread(
    name: str, given: tuple[int, ...], wanted: tuple[int, ...], input: Tensor, target: Tensor
) -> Finding:
    remedy = "give both one shape"
    if given == (*wanted, 1):
        remedy = "use output.squeeze(-1)"
    elif wanted == (*given, 1):
        remedy = "use target.squeeze(-1)"
    pairs = max(len(given), len(wanted)) and f"each output meets {_met(given, wanted)} targets"
    return Finding(
        name="shapes that broadcast",
        severity="error",
        evidence=f"{name} spreads outputs of shape {given} and targets of shape {wanted} over each "
        f"other: {pairs}",
        remedy=remedy,
    )


def _met(given: tuple[int, ...], wanted: tuple[int, ...]) -> int:
    """Return with how many targets an output is compared."""
    width = max(len(given), len(wanted))
    first, second = ((1,) * (width - len(one)) + one for one in (given, wanted))
    met = 1
    for one, other in zip(first, second, strict=True):
        met *= other if one == 1 else 1
    return max(met, 1)


def class_count(seen: Seen) -> Iterator[Finding]:
    """Find heads of another number of classes than the targets have."""
    output = seen.single
    single = output is not None and output.ndim > 1 and output.shape[1:].numel() == 1
    if single and output is not None and last_of(output).squash == "softmax":
        yield _alone("the model's softmax of one output is 1 whatever it gives")
    for call in seen.calls:
        classes = _classes(call)
        if classes == 1:
            yield _alone(f"{call.name} of a head of one class is 0 whatever it gives")
            return
        told = _targets(seen, call) if classes else None
        if classes is None or told is None or not told.numel() or told.min() < 0:
            continue
        most = int(told.max()) + 1
        if most > classes:
            yield _beyond(call, classes, told)
        elif most < classes and told.numel() >= SURE * classes:
            yield Finding(
                name="classes that no target names",
                severity="warning",
                evidence=f"the head has {classes} classes, and {told.numel()} targets name 0 to "
                f"{most - 1} alone",
                remedy=f"give the head {most} outputs, unless the others are in other data",
            )
        return


def _alone(evidence: str) -> Finding:
    return Finding(
        name="one output under a softmax",
        severity="error",
        evidence=evidence,
        remedy="give the head an output a class, or use BCEWithLogitsLoss with float targets of "
        "the head's shape",
    )


def _beyond(call: Call, classes: int, told: Tensor) -> Finding:
    most, named = int(told.max()), len(told.unique())
    remedy = f"give the head {most + 1} outputs"
    if most == 255 and named == 2:
        remedy = "classes are 0 and 1: use (mask > 0).long()"
    elif most == 255:
        remedy = "255 marks pixels to leave out: pass ignore_index=255"
    elif int(told.min()) == 1 and most == classes:
        remedy = "classes count from 0: use target - 1"
    return Finding(
        name="classes that the head does not have",
        severity="error",
        evidence=f"{call.name} reads a head of {classes} classes, and targets reach to {most} "
        f"({named} different ones)",
        remedy=remedy,
    )


def _classes(call: Call) -> int | None:
    """Return the classes of a head that a softmax reads."""
    input, target = call.input, call.target
    alone = isinstance(input, Tensor) and isinstance(target, Tensor)
    if not alone or call.reads != ("logits", "classes") or input.ndim == 0:
        return None
    ordered = call.card is not None and call.card.tasks == ("ordinal",)  # heads of their own width
    return None if ordered else int(input.shape[1 if input.ndim > 1 else 0])


def _targets(seen: Seen, call: Call) -> Tensor | None:
    """Return the classes that targets name, in all batches where these are read as they come."""
    target = call.target
    if target.is_floating_point():
        return None
    parts = [target.flatten()]
    if target is seen.target:
        parts = [one.to(target.device).flatten() for _, one in seen.setup.batches]
    whole = [one[one != call.ignored] if call.ignored is not None else one for one in parts]
    return torch.cat(whole)
