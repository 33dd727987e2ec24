"""Findings on what the loss takes the outputs for: logits, probabilities or their logarithms."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lossmith.doctor.calls import Call
from lossmith.doctor.findings import Finding
from lossmith.doctor.graph import last_of, log_normalised, squashed
from lossmith.doctor.seen import Seen
from lossmith.functional.checks import sums_to_one

_BOUNDED = {
    "relu": "none is below 0, where it is 0 it has no gradient",
    "softplus": "none is below 0",
    "tanh": "none is beyond 1, so no probability comes near 0 or 1",
}
_READ = {"probabilities": "probabilities", "log_probabilities": "log-probabilities"}
_LOSS = {
    "binary_cross_entropy": "use BCEWithLogitsLoss, which takes logits as they are",
    "nll_loss": "use CrossEntropyLoss, which takes logits as they are",
}


def probabilities_as_logits(seen: Seen) -> Iterator[Finding]:
    """Find a softmax or sigmoid before a loss that applies one itself."""
    name = "probabilities passed as logits"
    for call in seen.calls:
        for what, tensor, kind in (*call.pairs(), *_foreign(call)):
            found = squashed(tensor) if kind == "logits" else None
            by_row = found == "log_softmax" and call.reads[1] == "labels"
            if found in ("softmax", "sigmoid") or by_row:
                yield Finding(
                    name=name,
                    severity="error",
                    evidence=f"{call.name} applies its own {_own(call)} to {what}, which "
                    f"{_told(tensor, str(found))}",
                    remedy="leave the last activation out of the model, and apply it where you "
                    "predict",
                )
                return
    for again, tensor in seen.squashed:
        if squashed(tensor) in ("softmax", "sigmoid"):
            yield Finding(
                name=name,
                severity="error",
                evidence=f"the loss applies {again} to what {_told(tensor, str(squashed(tensor)))}",
                remedy="apply it once: in the loss, or in the model",
            )
            return


def bounded_logits(seen: Seen) -> Iterator[Finding]:
    """Find logits that an activation holds on one side or within bounds."""
    for call in seen.calls:
        for what, tensor, kind in call.pairs():
            squash = last_of(tensor).squash
            if kind == "logits" and squash in _BOUNDED:
                yield Finding(
                    name="logits that are bounded",
                    severity="warning",
                    evidence=f"{call.name} reads logits, and {what} comes out of a {squash}: "
                    f"{_BOUNDED[squash]}",
                    remedy="leave the last activation out of the model",
                )
                return


def logits_as_probabilities(seen: Seen) -> Iterator[Finding]:
    """Find raw outputs before a loss that reads probabilities or their logarithms."""
    for call in seen.calls:
        for what, tensor, kind in (*call.pairs(), *_foreign(call)):
            wrong = ""
            if kind == "probabilities":
                wrong = _no_probabilities(tensor)
            elif kind == "log_probabilities" and not call.own:
                wrong = _no_logarithms(tensor)
            if wrong:
                yield Finding(
                    name=f"{_is(tensor)} passed as {_READ[kind]}",
                    severity="error",
                    evidence=f"{call.name} reads {kind.replace('_', '-')}, and {what} {wrong}",
                    remedy=_LOSS.get(
                        call.name,
                        "put it through softmax, or log_softmax where logarithms are read",
                    ),
                )
                return


def overlap_of_logits(seen: Seen) -> Iterator[Finding]:
    """Find a loss written by hand that takes raw outputs for probabilities: a Dice, an IoU."""
    output, target = seen.single, seen.target
    ratio = {"mul", "div"} <= seen.operations and not seen.calls and not seen.squashed
    if not ratio or not isinstance(target, Tensor) or output is None:
        return
    masks = target.numel() > 0 and bool(((target == 0) | (target == 1)).all())
    if masks and bool((output < 0).any()) and last_of(output).squash is None:
        yield Finding(
            name="an overlap of raw outputs",
            severity="error",
            evidence="the loss divides sums of outputs and of a mask of 0 and 1, and outputs reach "
            f"from {output.min():.3g} to {output.max():.3g}",
            remedy="put the outputs through a sigmoid or softmax in the loss, or use "
            "lossmith.BinaryDice or lossmith.Dice, which do",
        )


def softmax_over_the_batch(seen: Seen) -> Iterator[Finding]:
    """Find a softmax along dimension 0, which sums over rows instead of classes."""
    given = [one for call in seen.calls for _, one, _ in call.pairs()]
    given += [one for one in (seen.single,) if one is not None]
    for tensor in given:
        last = last_of(tensor)
        if last.over_batch and len(tensor) > 1:
            yield Finding(
                name="a softmax over the batch",
                severity="error",
                evidence=f"outputs of shape {tuple(tensor.shape)} sum to 1 along dimension 0: "
                "rows compete with each other",
                remedy="give the softmax dim=1",
            )
            return


def mean_of_a_divergence(seen: Seen) -> Iterator[Finding]:
    """Find torch's kl_div with the mean that divides by the classes too."""
    for call in seen.calls:
        if call.name == "kl_div" and call.options.get("reduction") == "mean":
            classes = call.input.shape[-1] if call.input.ndim > 1 else 1
            yield Finding(
                name="a divergence divided by its classes",
                severity="warning",
                evidence=f"kl_div with reduction='mean' divides by {classes} classes as well",
                remedy="use reduction='batchmean'",
            )


def _foreign(call: Call) -> list[tuple[str, Tensor, str]]:
    """Return the parts of a target that are no labels: a teacher's logits, probabilities."""
    if call.options.get("log_target"):
        return []
    return [one for one in call.targets() if one[2] in ("logits", "probabilities")]


def _is(tensor: Tensor) -> str:
    return "probabilities" if sums_to_one(tensor) else "logits"


def _own(call: Call) -> str:
    return "sigmoid" if call.reads[1] in ("labels", "signs") else "softmax"


def _told(tensor: Tensor, found: str) -> str:
    """Return by what one knows that a tensor holds probabilities."""
    if last_of(tensor).squash:
        return f"comes out of a {found}"
    if found == "softmax":
        return "sums to 1 in every row"
    return f"lies between {tensor.min():.3g} and {tensor.max():.3g} in all {tensor.numel()} places"


def _no_probabilities(tensor: Tensor) -> str:
    if last_of(tensor).squash in ("softmax", "sigmoid") or not tensor.numel():
        return ""
    low, high = tensor.min(), tensor.max()
    if not (low >= 0 and high <= 1):
        return f"reaches from {low:.3g} to {high:.3g}"
    return "is the raw output of a layer" if last_of(tensor).known else ""


def _no_logarithms(tensor: Tensor) -> str:
    if last_of(tensor).squash == "log_softmax" or not tensor.numel():
        return ""
    if sums_to_one(tensor):
        return "holds probabilities, not their logarithms"
    if bool((tensor > 1e-6).any()):
        return f"reaches up to {tensor.max():.3g}, where logarithms of probabilities end at 0"
    if not log_normalised(tensor):
        spread = torch.logsumexp(tensor.detach().float(), 1 if tensor.ndim > 1 else 0).exp()
        return f"stands for probabilities that sum to {spread.min():.3g} to {spread.max():.3g}"
    return ""
