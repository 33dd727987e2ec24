"""Findings on what trains the model: sampler, accumulation and optimizer, beside the loss."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from lossmith.core.loss import Loss
from lossmith.doctor.calls import Call
from lossmith.doctor.findings import Finding
from lossmith.doctor.guarded import modules_of
from lossmith.doctor.seen import Seen
from lossmith.doctor.setup import Setup

UNEVEN = 1.2  # times that one batch counts as many targets as another


def counted_twice(seen: Seen) -> Iterator[Finding]:
    """Find class weights beside a sampler that balances the classes already."""
    sampler = seen.setup.sampler
    drawn = getattr(sampler, "weights", None)
    if drawn is None or not len(drawn):
        return
    rows = torch.as_tensor(drawn).double()
    if rows.max() == rows.min():
        return
    for call in seen.calls:
        weights = call.class_weights
        if weights is not None:
            yield Finding(
                name="classes weighed twice",
                severity="error",
                evidence=f"{type(sampler).__name__} draws rows by weights of {_span(rows)}, and "
                f"{call.name} weighs the classes by {_span(weights)} again",
                remedy="keep one of the two: the sampler, or the weights in the loss",
            )
            return


def means_of_uneven_batches(seen: Seen) -> Iterator[Finding]:
    """Find accumulated gradients that average the means of batches of unlike counts."""
    setup = seen.setup
    if setup.accumulate <= 1:
        return
    for call in seen.calls:
        if not call.mean:
            if call.own or call.options.get("reduction") != "sum":
                yield Finding(
                    name="a loss of the whole batch, accumulated",
                    severity="warning",
                    evidence=f"{call.name} couples the rows of a batch: {setup.accumulate} batches "
                    "are no batch that is as many times as large",
                    remedy="give it the whole batch at once, or a memory, as lossmith.MoCo has",
                )
            return
        counts = _counts(setup, call)
        if len(counts) > 1 and max(counts) > UNEVEN * max(min(counts), 1):
            yield Finding(
                name="means of uneven batches",
                severity="warning",
                evidence=f"{setup.accumulate} batches are accumulated, and their means rest on "
                f"{min(counts)} to {max(counts)} targets: those of small batches weigh more",
                remedy="divide the sum of each batch by the count of all: denominator=count of "
                "lossmith's losses, reduction='sum' of torch's",
            )
        return


def untrained_numbers(seen: Seen) -> Iterator[Finding]:
    """Find numbers of a loss that are to be learnt and that no optimizer holds."""
    setup = seen.setup
    if not setup.optimizers:
        return
    held = _held(setup)
    missed = [
        f"{type(part).__name__}.{name}"
        for top in modules_of(setup.loss)
        for part in top.modules()
        for name, one in part.named_parameters(recurse=False)
        if one.requires_grad and id(one) not in held and _of_a_loss(setup, top)
    ]
    if missed:
        yield Finding(
            name="learned numbers that no optimizer holds",
            severity="error",
            evidence=f"{', '.join(dict.fromkeys(missed))} stay as they start",
            remedy="build the optimizer from lossmith.parameter_groups(model, loss)",
        )


def stale_optimizer(seen: Seen) -> Iterator[Finding]:
    """Find optimizers of the parameters of another model."""
    setup = seen.setup
    tops = modules_of(setup.model)
    own = {id(one): name for top in tops for name, one in top.named_parameters()}
    free = {id(one) for top in tops for one in top.parameters() if one.requires_grad}
    if not setup.optimizers or not free:
        return
    held = _held(setup)
    known = {*own, *(id(one) for top in modules_of(setup.loss) for one in top.parameters())}
    missed, strange = free - held, held - known
    if not free & held or (missed and strange):
        names = [own[one] for one in own if one in missed]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield Finding(
            name="parameters that no optimizer holds",
            severity="error",
            evidence=f"{', '.join(names[:3])}{more} of the model are not in the optimizer, which "
            f"holds {len(strange)} tensors of something else",
            remedy="build the optimizer after the model is complete, moved and wrapped",
        )


def _of_a_loss(setup: Setup, top: Any) -> bool:
    """Return whether a module that a loss reaches is its own, and not a network it goes through."""
    return top is setup.loss or isinstance(top, Loss)


def _held(setup: Setup) -> set[int]:
    groups = [group for one in setup.optimizers for group in one.param_groups]
    return {id(one) for group in groups for one in group["params"]}


def _counts(setup: Setup, call: Call) -> Sequence[int]:
    """Return on how many targets the mean of each batch rests."""
    targets = [target for _, target in setup.batches if isinstance(target, Tensor)]
    mark = call.ignored
    counts = [int((one != mark).sum()) if mark is not None else one.numel() for one in targets]
    last = _last_batch(setup.loader)
    if last and targets and targets[0].numel():
        counts.append(round(last * targets[0].numel() / len(targets[0])))
    return counts


def _last_batch(loader: Any) -> int:
    """Return how many rows the last batch of a loader has, 0 where it is as long as the others."""
    size = getattr(loader, "batch_size", None)
    if size is None or loader.drop_last:
        return 0
    try:
        return len(loader.sampler) % size
    except TypeError:  # a stream has no length
        return 0


def _span(numbers: Tensor) -> str:
    low, high = numbers.min().item(), numbers.max().item()
    return f"{low:.3g} to {high:.3g}"
