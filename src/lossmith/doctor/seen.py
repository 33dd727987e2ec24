"""One forward and one backward through the loss, written down for all findings."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from lossmith.doctor.calls import Call, Recorder, tensors_of
from lossmith.doctor.guarded import modules_of
from lossmith.doctor.setup import Setup, changed, device_of, outputs_of


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen of a set-up.

    output: what the loss was given. gradients: each of its tensors that has one, with it. calls:
    the losses that ran. squashed: what the loss put through softmax or sigmoid. broadcast: the
    shape that output and target were spread to. operations: the elementwise ones of two tensors
    in a loss written by hand. cut: why no gradient leads from the output back into a model that
    is to be trained. failed: which part raised, and what.
    """

    setup: Setup
    input: Any = None
    output: Any = None
    target: Any = None
    value: Tensor | None = None
    gradients: Sequence[tuple[Tensor, Tensor]] = ()
    calls: Sequence[Call] = ()
    squashed: Sequence[tuple[str, Tensor]] = ()
    broadcast: tuple[int, ...] | None = None
    operations: frozenset[str] = frozenset()
    cut: str = ""
    failed: tuple[str, Exception] | None = field(default=None)

    @property
    def single(self) -> Tensor | None:
        """The output where it is one tensor of rows."""
        rows = isinstance(self.output, Tensor) and self.output.ndim > 0
        return self.output if rows else None

    @cached_property
    def parts(self) -> list[tuple[Call, list[Tensor]]]:
        """Each loss that ran, with the gradient of its part of the value at its input."""
        found: list[tuple[Call, list[Tensor]]] = []
        for call in () if self.failed else self.calls:
            free = [one for one in tensors_of(call.input) if one.requires_grad]
            share = _slopes(self.value, [] if call.value is None else [call.value])
            if free and share and share[0] is not None:
                slopes = _slopes(call.value, free, share[0])
                found.append((call, [one for one in slopes if one is not None]))
        return found


def _slopes(value: Any, free: Sequence[Tensor], above: Any = None) -> Sequence[Any]:
    """Return the gradient at each tensor, None where there is none."""
    if value is None or not value.requires_grad or not free:
        return [None] * len(free)
    if above is None and value.numel() != 1:
        return [None] * len(free)
    found: Sequence[Any] = torch.autograd.grad(
        value, free, above, retain_graph=True, allow_unused=True
    )
    return found


def look(setup: Setup) -> Seen:
    """Return what one batch shows: the model forward, and the loss."""
    modules = modules_of(setup.model, setup.loss)
    device = device_of(modules)
    input, target = (changed(lambda one: one.to(device), part) for part in setup.batches[0])
    eager = torch.compiler.set_stance("force_eager")
    with torch.enable_grad(), eager, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they warn of is among the findings
        try:
            output = outputs_of(setup.model, input)
        except Exception as error:  # whatever a user's model raises
            return Seen(setup=setup, input=input, target=target, failed=("model", error))
        output, cut = _free(output, _trained(setup.model), _trained(setup.loss))
        recorder = Recorder(_shapes(output, target))
        value, failed = None, None
        try:
            with recorder, recorder.listening(modules_of(setup.loss)):
                value = _value(setup.loss, output, target)
        except Exception as error:  # whatever a user's loss raises
            failed = ("loss", error)
        free, slopes = [one for one in tensors_of(output) if one.requires_grad], []
        try:
            slopes = list(_slopes(value, free))
        except RuntimeError as error:
            failed = ("backward pass", error)
    return Seen(
        setup=setup,
        input=input,
        output=output,
        target=target,
        value=value,
        gradients=[pair for pair in zip(free, slopes, strict=False) if pair[1] is not None],
        calls=recorder.calls,
        squashed=recorder.squashed,
        broadcast=recorder.broadcast,
        operations=frozenset(recorder.operations),
        cut=cut,
        failed=failed,
    )


def _trained(part: Any) -> set[bool]:
    """Return whether parameters are trained, of all there are."""
    return {one.requires_grad for top in modules_of(part) for one in top.parameters()}


def _free(output: Any, model: set[bool], loss: set[bool]) -> tuple[Any, str]:
    """Return an output that has gradients, and why it had none where something is to be trained."""
    parts = [one for one in tensors_of(output) if one.is_floating_point()]
    if not parts or any(one.requires_grad for one in parts):
        return output, ""
    cut = ""
    if True in model:
        cut = "the model has parameters to train, and its output carries no gradient"
    elif model and True not in loss:  # which may be a head, or proxies, on a frozen body
        cut = "all parameters of the model are frozen: requires_grad is False"
    return changed(_leaf, output), cut


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_() if tensor.is_floating_point() else tensor


def _shapes(output: Any, target: Any) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    if not (isinstance(output, Tensor) and isinstance(target, Tensor)):
        return None
    return tuple(output.shape), tuple(target.shape)


def _value(loss: Any, output: Any, target: Any) -> Tensor:
    value = loss(output) if target is None else loss(output, target)
    if not isinstance(value, Tensor):
        raise TypeError(f"the loss gives {type(value).__name__}, not a tensor")
    if value.numel() != 1:
        raise ValueError(f"the loss gives a tensor of shape {tuple(value.shape)}, not one number")
    return value
