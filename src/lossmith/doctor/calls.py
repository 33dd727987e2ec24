"""What a loss does with its arguments, whoever wrote it: each loss called in it, and how."""

import functools
import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lossmith import losses
from lossmith.catalogue import find
from lossmith.catalogue.peers import peers_of
from lossmith.core.card import Card, Elicits
from lossmith.core.hybrid import Hybrid
from lossmith.core.loss import Loss
from lossmith.core.tree import tree_leaves
from lossmith.losses.regression.transformed import TransformedTarget

# What torch's functions read. "signs" are labels of −1 and 1.
_READS: dict[Any, tuple[str, str]] = {
    F.cross_entropy: ("logits", "classes"),
    F.nll_loss: ("log_probabilities", "classes"),
    F.binary_cross_entropy: ("probabilities", "labels"),
    F.binary_cross_entropy_with_logits: ("logits", "labels"),
    F.multilabel_soft_margin_loss: ("logits", "labels"),
    F.soft_margin_loss: ("logits", "signs"),
    F.multi_margin_loss: ("scores", "classes"),
    F.mse_loss: ("values", "values"),
    F.l1_loss: ("values", "values"),
    F.smooth_l1_loss: ("values", "values"),
    F.huber_loss: ("values", "values"),
    F.poisson_nll_loss: ("values", "counts"),
    F.gaussian_nll_loss: ("values", "values"),
    F.kl_div: ("log_probabilities", "probabilities"),
}
_SQUASHING = {"softmax", "sigmoid", "log_softmax", "logsigmoid", "special_expit"}
_DIVIDING = {"div", "truediv", "true_divide"}
_ELEMENTWISE = {"sub", "rsub", "mul", "add", "eq", "pow"} | _DIVIDING


class ClassesOutOfRangeError(ValueError):
    """Classes that the head does not have: told before a device fails on them."""


@dataclass(eq=False)
class Call:
    """One loss as it was called: what it reads, what it was given, and the value it gave.

    reads: the kinds of input and target, as on a card. options: the constructor's arguments, or
    the function's.
    """

    name: str
    card: Card | None
    reads: tuple[Any, Any]
    input: Any
    target: Any
    options: Mapping[str, Any]
    loss: Loss | None = None
    value: Tensor | None = field(default=None)

    @property
    def own(self) -> bool:
        """Whether it is lossmith's."""
        return self.loss is not None

    @property
    def ignored(self) -> int | None:
        """The class that is left out."""
        return self.options.get("ignore_index")

    @property
    def mean(self) -> bool:
        """Whether it is a mean over what counts, of rows that are independent."""
        if self.loss is not None:
            return self.loss.reduction == "mean"
        return bool(self.options.get("reduction", "mean") == "mean")

    @property
    def class_weights(self) -> Tensor | None:
        """Weights of classes, or counts that make such; None where all weigh the same."""
        names = ["class_weight", "pos_weight", "positive_weight", "counts"]
        names += ["weight"] if self.reads[1] == "classes" else []  # else it is one an element
        for given in (self.options.get(name) for name in names):
            if given is None:
                continue
            numbers = torch.as_tensor(given).detach().double().flatten()
            numbers = torch.cat([numbers, numbers.new_ones(1)]) if len(numbers) == 1 else numbers
            if len(numbers) and numbers.max() != numbers.min():
                return numbers
        return None

    @property
    def elicits(self) -> tuple[Elicits | None, float | None, str | None]:
        """What its minimiser is, at which level, and on which scale of the target."""
        card, loss, scale = self.card, self.loss, None
        if isinstance(loss, TransformedTarget):
            scale = "relative" if loss.relative else loss.function
            card, loss = loss.loss.card, loss.loss
        functional = card.claims.elicits if card is not None else None
        level = None
        if functional == "quantile" and loss is not None:
            if loss.level.numel() > 1:  # it aims at several
                return None, None, None
            level = float(loss.level)
        return functional, level, None if scale == "identity" else scale

    @property
    def distributed(self) -> bool:
        """Whether its head gives a distribution, which `quantile` reads at any level."""
        loss = self.loss.loss if isinstance(self.loss, TransformedTarget) else self.loss
        return loss is not None and loss.card.input == "parameters"

    def pairs(self) -> Iterator[tuple[str, Tensor, str]]:
        """Yield each tensor of the input with its name and the kind that is read."""
        yield from _named(self.input, self.reads[0], "input")

    def targets(self) -> Iterator[tuple[str, Tensor, str]]:
        """Yield each tensor of the target with its name and the kind that is read."""
        yield from _named(self.target, self.reads[1], "target")


def _named(data: Any, kinds: Any, what: str) -> Iterator[tuple[str, Tensor, str]]:
    if isinstance(data, Tensor) and isinstance(kinds, str):
        yield what, data, kinds
    elif isinstance(data, Mapping) and isinstance(kinds, Mapping):
        for name, part in data.items():
            if isinstance(part, Tensor) and name in kinds:
                yield f"{what}[{name!r}]", part, kinds[name]


class Recorder(TorchFunctionMode):
    """Writes down the losses of torch and of lossmith that run, and what else tells of a loss."""

    def __init__(self, shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.squashed: list[tuple[str, Tensor]] = []
        self.broadcast: tuple[int, ...] | None = None
        self.operations: set[str] = set()  # on two tensors
        self._shapes, self._depth = shapes, 0

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run a function of torch and write down what is told of it."""
        kwargs = kwargs or {}
        if self._depth:
            return function(*args, **kwargs)
        call = None
        if function in _READS:
            call = _called(function, args, kwargs)
            self.calls.append(call)
            _check_range(call)
        name = getattr(function, "__name__", "").strip("_")
        if name in _SQUASHING and args and isinstance(args[0], Tensor):
            self.squashed.append((name, args[0]))
        value = function(*args, **kwargs)
        if call is not None:
            call.value = value
        if name in _ELEMENTWISE and all(isinstance(one, Tensor) for one in (*args, value)):
            self.operations.add("div" if name in _DIVIDING else name)
            self._look_at_shapes(args, value)
        return value

    def _look_at_shapes(self, args: Any, value: Tensor) -> None:
        given = {tuple(one.shape) for one in args}
        wide = all(value.numel() > one.numel() for one in args)
        if wide and self._shapes and given == set(self._shapes):
            self.broadcast = tuple(value.shape)

    @contextmanager
    def listening(self, modules: Iterable[nn.Module]) -> Iterator[None]:
        """Write down the calls of lossmith's losses among modules while this is entered."""
        parts = {id(one): one for top in modules for one in top.modules()}.values()
        losses = [one for one in parts if isinstance(one, Loss) and not isinstance(one, Hybrid)]
        handles = [one.register_forward_pre_hook(self._enter, with_kwargs=True) for one in losses]
        handles += [one.register_forward_hook(self._leave) for one in losses]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, loss: Any, args: Any, given: Any) -> None:
        if self._depth == 0:
            names = dict(zip(("input", "target"), args, strict=False))
            data = {**given, **names}
            card, reads = loss.card, (loss.card.input, loss.card.target)
            pair = data.get("input"), data.get("target")
            name = type(loss).__name__
            self.calls.append(Call(name, card, reads, *pair, options=vars_of(loss), loss=loss))
        self._depth += 1

    def _leave(self, loss: Any, args: Any, value: Any) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.calls[-1].value = value


def vars_of(loss: Loss) -> dict[str, Any]:
    """Return a loss's hyperparameters by name."""
    return {name: getattr(loss, name, None) for name in loss.hyperparameters}


def _called(function: Any, args: Any, kwargs: Any) -> Call:
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    options = dict(bound.arguments)
    input, target = options.pop("input"), options.pop("target")
    return Call(
        function.__name__, _card_of(function.__name__), _READS[function], input, target, options
    )


@functools.cache
def _card_of(name: str) -> Card | None:
    """Return the card of the loss that has the same minimiser as torch's function."""
    here = [one for library, peer in peers_of(name) if library == "torch" for one in peer.classes]
    kind = getattr(losses, here[0]) if here else find().get(name)
    return kind.card if kind else None


def _check_range(call: Call) -> None:
    """Raise where integer classes are none of the head's."""
    input, target = call.input, call.target
    if call.reads[1] != "classes" or not isinstance(target, Tensor) or target.is_floating_point():
        return
    classes = input.shape[1 if input.ndim > 1 else 0]
    counted = target[target != call.ignored]
    if counted.numel() and not 0 <= counted.min() <= counted.max() < classes:
        raise ClassesOutOfRangeError(
            f"targets reach from {counted.min()} to {counted.max()}, the head has {classes} classes"
        )


def tensors_of(data: Any) -> list[Tensor]:
    """Return the tensors in what a loss was given."""
    if isinstance(data, (list, tuple)):
        return [one for part in data for one in tensors_of(part)]
    return [one for one in tree_leaves(data) if isinstance(one, Tensor)] if _holds(data) else []


def _holds(data: Any) -> bool:
    return isinstance(data, (Tensor, Mapping))
