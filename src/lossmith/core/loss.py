"""The contract that every loss keeps: `combine ∘ terms`, a head it reads, plain data."""

import functools
import inspect
import json
import math
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from itertools import chain
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn

from lossmith.core.adaptive import Adaptive, Number, forgets
from lossmith.core.arguments import LISTED, Constructed, parameters, unknown
from lossmith.core.card import Card
from lossmith.core.compiled import in_one_pass
from lossmith.core.left_out import without_ignored, without_left_out
from lossmith.core.ranks import Gather, is_group, kept, named, several, summed
from lossmith.core.reduce import added, check_weight, joint, mass_of, or_one, reduce, tame
from lossmith.core.schedule import Schedule
from lossmith.core.tree import check_names, mapped, tensors
from lossmith.functional.checks import at_hand, check_real, require
from lossmith.kernels.blocks import blockwise, choose_blocks, worth_blocks

if TYPE_CHECKING:
    from lossmith.core.hybrid import Hybrid
    from lossmith.core.ranks import Ranks

FORMAT = 1


class UnknownHeadError(ValueError, AttributeError):
    """A loss does not know the width of its head: the classes are not told, or parts have theirs.

    It is an AttributeError too, so that `hasattr` says no.
    """


class Loss(Adaptive, metaclass=Constructed):
    """A differentiable objective that knows the head it needs and how to read it.

    A subclass states its `card`, its `out_features` where the head has more than one output, and
    its `terms`; most derive from `Pointwise` and write `values` alone. Every argument of a
    constructor is kept as an attribute of the same name: hyperparameters as numbers of float64 on
    the CPU, which no move or cast of the model touches.

    Where a loss couples the rows of a batch, as its card's reduction says, its batch is that of
    all ranks over several processes, and every rank must call it. `gather` says whether, or names
    the process group; a loss whose constructor takes it leaves that to who builds it.
    """

    card: ClassVar[Card]

    def __init__(self, **hypers: Any) -> None:
        super().__init__()
        if not hasattr(self, "card"):
            raise TypeError(f"{type(self).__name__} has no card; state it: card = Card(key=...)")
        self.gather = self.card.reduction != "mean"
        for name, value in hypers.items():
            if name not in parameters(type(self)):
                raise unknown(type(self), name)
            self._keep(name, value)
        self.keep_observed()
        for name, start in self._begin().items():
            if not isinstance(start, nn.Parameter):
                self.register_buffer(name, start)
            else:
                keep = self.learn if start.numel() == 1 else self.register_parameter
                keep(name, nn.Parameter(start.to("meta")) if forgets() else start)

    def initial_state(self) -> dict[str, Tensor]:
        """Return what the loss learns and what `observe` writes, by name, as it is at the start.

        Parameters are learned, other tensors are state. A learned number has the shape (1,), for
        what shards parameters refuses those without dimensions.
        """
        return {}

    def _begin(self) -> dict[str, Tensor]:
        """Return the initial state, not forgotten on the meta device."""
        with torch.device("cpu") if forgets() else nullcontext():
            return self.initial_state()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Set state and learned numbers to what they are at the start."""
        for name, start in self._begin().items():
            getattr(self, name).copy_(start)
        if "observed" in self._numbers:
            self.observed.zero_()

    @property
    def gather(self) -> "Ranks":
        """Whether the batch is that of all ranks, or the process group whose it is."""
        return named(self._gather)

    @gather.setter
    def gather(self, ranks: "Ranks") -> None:
        self._gather = kept(ranks)  # a group can't be copied, its name can

    def _keep(self, name: str, value: Any) -> None:
        """Keep a constructor argument: real numbers as tensors, the rest as plain attributes."""
        if name == "gather":
            self.gather = value
            return
        hyper, owner = self.card.hypers.get(name), type(self).__name__
        real = hyper is not None and isinstance(hyper.default, float)
        if hyper is not None:
            hyper.check_type(owner, name, value)
        whole = isinstance(value, Integral) and not real  # numpy's integers and bools too
        if value is None or isinstance(value, (str, Loss)) or whole:
            if whole and not isinstance(value, bool):
                value = int(value)
            if hyper is not None and whole:
                hyper.check(owner, name, value)
            setattr(self, name, value)
            return
        if isinstance(value, (Schedule, nn.Parameter)):
            if hyper is None or hyper.fixed or not (real or hyper.default is None):
                raise TypeError(f"{owner}: {name} must be a plain value, got {value!r}")
        elif real and torch.as_tensor(value).ndim > 0 and not hyper.several:  # type: ignore[union-attr]
            raise TypeError(f"{owner}: {name} must be one number, got {value!r}")

        def check(entry: float) -> None:
            if hyper is not None:
                hyper.check(owner, name, entry)

        self.keep_number(name, value, check)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in self.card.hypers:
            given, saved = getattr(self, name, None), state.get(prefix + name)
            still = isinstance(given, Tensor) and not isinstance(given, nn.Parameter)
            if still and isinstance(saved, Tensor) and name not in self.moving:
                _warn_where_other(type(self).__name__, name, given, saved)  # type: ignore[arg-type]
        super()._load_from_state_dict(state, prefix, *rest)

    @property
    def needs(self) -> tuple[str, ...]:
        """The signals that each step of training must bring: the card's."""
        return self.card.needs

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        if "_buffers" in own and name in own["_buffers"]:  # what is read most
            return own["_buffers"][name]
        try:
            return super().__getattr__(name)
        except AttributeError:
            stated = inspect.getattr_static(type(self), name, None)
            if isinstance(stated, property) and stated.fget is not None:
                return stated.fget(
                    self
                )  # raises again what torch hides: that there is no such name
            raise

    @property
    def out_features(self) -> int:
        """The width of the head that this loss reads; UnknownHeadError where it can't know it."""
        return 1

    def decode(self, output: Tensor) -> Tensor:
        """Read a head: point predictions, or probabilities for classes."""
        return output

    @classmethod
    def for_target(cls, target: Tensor, **hypers: Any) -> Self:
        """Return the loss fitted to the training targets: class counts, bin range, scale."""
        return cls(**hypers)

    @abstractmethod
    def terms(
        self,
        input: Any,
        target: Any = None,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """Return the named scalars that the loss is made of."""

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Make one scalar of the terms: their sum."""
        return functools.reduce(torch.add, terms.values())

    def check_given(self, input: Any, target: Any) -> None:
        """Raise TypeError or ValueError unless tensors and names are those of the card."""
        card, owner = self.card, type(self).__name__
        check_names(owner, "input", input, card.input, card.optional)
        check_names(owner, "target", target, card.target, card.optional)
        for what, data in (("input", input), ("target", target)):
            for tensor in tensors(data):
                if tensor.is_complex():
                    check_real(f"{owner}: {what}", tensor)
        for tensor in tensors(input):
            if not tensor.numel() and tensor.ndim > 1 and len(tensor) and not card.reads_head:
                raise ValueError(
                    f"{owner}: input has shape {tuple(tensor.shape)}, rows that hold no numbers; "
                    "leave them out, or give each at least one"
                )

    def _check_learned(self, name: str) -> None:
        """Raise ValueError where training has moved a number out of its range."""
        hyper, number = self.card.hypers[name], getattr(self, name)
        require(
            hyper.holds(number.detach()),
            f"{type(self).__name__}: {name} was learned out of its range {hyper.range}; only a "
            "loss with a normaliser holds its own numbers",
        )

    def forward(
        self,
        input: Any,
        target: Any = None,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> Tensor:
        """Return the loss as one scalar."""
        self.check_given(input, target)
        if weight is not None:
            check_weight(type(self).__name__, weight)
            weight = weight if denominator is not None else mapped(tame, weight)
        for name in self._learned:
            if name in self.card.hypers:
                self._check_learned(name)
        value = self.combine(self.terms(input, target, weight=weight, denominator=denominator))
        if not at_hand(value) or math.isfinite(value.item()):
            return value
        return self._wide(value, input, target, weight, denominator)

    def _gathering(self, *data: Any) -> Gather:
        """Return what brings the rows of all ranks together, where they call the same."""
        mode = "training" if self.training else "evaluation"
        slopes = "" if torch.is_grad_enabled() else " without gradients"
        return Gather.of(*data, ranks=self.gather, told=f"{self.card.key} in {mode}{slopes}")

    def _wide(
        self, value: Tensor, input: Any, target: Any, weight: Any, denominator: Any
    ) -> Tensor:
        """Return the value in float64 where float32 overflowed on the way to it, else as it is."""
        given = [tensor for part in (input, target) for tensor in tensors(part)]
        fine = all(tensor.isfinite().all() for tensor in given if tensor.is_floating_point())
        if several(self.gather):  # all go on, or none: what goes on gathers again
            fine = not summed(torch.tensor(float(not fine)), self.gather).item()
        if value.dtype == torch.float64 or not fine:
            return value
        input, target, weight = (mapped(_double, part) for part in (input, target, weight))
        terms = self.terms(input, target, weight=weight, denominator=denominator)
        return self.combine(terms).to(value.dtype)

    def arguments(self) -> dict[str, Any]:
        """Return what the constructor takes to build an equal loss: schedules as such."""
        return {
            name: self._schedules.get(name, getattr(self, name)) for name in parameters(type(self))
        }

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain data."""
        return {name: plain(value) for name, value in self.arguments().items()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the loss as plain JSON, to be read by `lossmith.load`."""
        document = {"lossmith": FORMAT, **plain(self)}
        Path(path).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    def learned(self) -> dict[str, Tensor]:
        """Return the state beyond the constructor's arguments: what is learned or on a schedule."""
        still = [name for name in parameters(type(self)) if name not in self._schedules]
        state = self.state_dict(keep_vars=False)
        return {name: value for name, value in state.items() if name.split(".")[0] not in still}

    def extra_repr(self) -> str:
        """Show the constructor's arguments."""
        told = self.arguments()
        shown = {n: v if isinstance(v, Schedule) else _short(plain(v)) for n, v in told.items()}
        return ", ".join(f"{n}={v}" for n, v in shown.items() if not isinstance(told[n], Loss))

    def on(self, input: str, target: str | None = None) -> "Hybrid":
        """Return the loss as a term of a hybrid, on named parts of its input and target.

        One name stands for both: `Huber().on("price")` is the loss of input["price"] against
        target["price"].
        """
        from lossmith.core.hybrid import Hybrid

        return Hybrid.routed(self, input, target or input)

    def __add__(self, other: "Loss") -> "Hybrid":
        from lossmith.core.hybrid import Hybrid

        return Hybrid.summed(self, other)

    def __mul__(self, weight: Number) -> "Hybrid":
        from lossmith.core.hybrid import Hybrid

        return Hybrid.scaled(self, weight)

    __rmul__ = __mul__


class Pointwise(Loss, ABC):
    """A loss that is a weighted mean of one value a sample or element."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        newest = min(_place(cls, "values"), _place(cls, "weights"))
        for name in ("mean_at_once", "own_values"):  # of older values or weights: not theirs
            if newest < _place(cls, name):
                setattr(cls, name, getattr(Pointwise, name))

    @abstractmethod
    def values(self, input: Any, target: Any) -> Any:
        """Return one value a sample or element, unreduced; a dict of them for several terms."""

    def mean_at_once(self, input: Any, target: Any) -> Tensor | None:
        """Return the mean of all values where one operation forms it, else None.

        It is asked for of few numbers alone; of many, values and their sum cost no more.
        """
        return None

    def weights(self, target: Any) -> Tensor | None:
        """Return the weights that the targets themselves carry: ignored rows, classes; or None."""
        return None

    def compile(self, **options: Any) -> None:
        """Compile the loss in place, by `torch.compile` with these options.

        Where rows are independent, a call then forms value and gradients in one graph, which takes
        less time than compiling it as a function does, and no memory but the gradients'.

        >>> from lossmith import Huber
        >>> loss = Huber()
        >>> loss.compile(backend="eager")
        >>> loss(torch.tensor([3.0], requires_grad=True), torch.zeros(1))
        tensor(2.5000, grad_fn=<_OnePassBackward>)
        """
        super().compile(**options)
        if self.card.reduction == "mean" and self.card.fullgraph:
            self._compiled_call_impl = in_one_pass(self, self._compiled_call_impl, **options)

    def own_values(self, input: Any, target: Any, own: slice) -> Any:
        """Return the values of some rows of the batch; overridden where that saves the others'."""
        return mapped(lambda values: values[own], self.values(input, target))

    def terms(
        self,
        input: Any,
        target: Any = None,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted mean of the values, by name; under the loss's key if there is one."""
        if weight is not None and self.card.reduction == "mean":
            input, target, weight = without_left_out(input, target, weight)
        ranks = several(self.gather)
        if self.card.reduction == "mean" and worth_blocks(input):
            fixed = chain(self.parameters(), (weight, denominator))
            first = choose_blocks(self.values, fixed, input, target)
            if first is not None:
                return {self.card.key: self._by_blocks(first, input, target, weight, denominator)}
        elif weight is None and denominator is None and not ranks:
            mean = self.mean_at_once(input, target)
            if mean is not None:
                return {self.card.key: mean}
        if ranks:
            gather = self._gathering(input, target)
            everyone = mapped(gather, input), mapped(gather, target)
            values = self.own_values(*everyone, gather.own)
            own = self.weights(everyone[1])  # of rows among all ranks': whether there is a pair
            own = None if own is None else own[gather.own]
        else:
            own = self.weights(target)
            if self.card.reduction == "mean":
                input, own = without_ignored(input, target, own)
            values = self.values(input, target)
        parts = {self.card.key: values} if isinstance(values, Tensor) else values
        return {
            name: reduce(
                part,
                weight=joint(part, own, weight),
                denominator=denominator,
                ranks=ranks and self.gather,
            )
            for name, part in parts.items()
        }

    def _by_blocks(
        self,
        first: Tensor,
        input: Tensor,
        target: Tensor,
        weight: Tensor | None,
        denominator: Tensor | float | None,
    ) -> Tensor:
        """Return the weighted mean block by block, given the values of the first row."""
        like = first.expand(len(input), *first.shape[1:])
        weight = joint(like, self.weights(target), weight)
        count = or_one(mass_of(like, weight)) if denominator is None else denominator

        def share(input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
            input, weight = without_ignored(input, target, weight)
            return reduce(self.values(input, target), weight=weight, denominator=count)

        return blockwise(share, input, target, weight)

    def weighed(self, input: Any, target: Any, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the values and one weight a value: the targets' own times those given."""
        input, own = without_ignored(input, target, self.weights(target))
        values = added(self.values(input, target))
        both = joint(values, own, weight)
        return values, torch.ones_like(values) if both is None else both


class Batchwise(Loss, ABC):
    """A loss that is one number of the whole batch: a statistic, or a distance between sets.

    Its card's reduction is "statistic", where it takes weights, or "set", where it takes none.
    """

    @abstractmethod
    def value(self, input: Any, target: Any, weight: Tensor | None) -> Any:
        """Return the number, or a dict of several that add up."""

    def terms(
        self,
        input: Any,
        target: Any = None,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """Return the number under the loss's key, or the named ones.

        Raises:
            ValueError: if a denominator is given, or a weight where the loss takes none.
        """
        owner = type(self).__name__
        if denominator is not None:
            raise ValueError(
                f"{owner} is one number of the whole batch, not a mean over rows: it has no "
                "denominator; give it the whole batch at once"
            )
        if weight is not None and self.card.reduction == "set":
            raise ValueError(f"{owner} is one number of the batch as a whole; it takes no weight")
        if several(self.gather):
            gather = self._gathering(input, target, weight)
            input, target, weight = (mapped(gather, part) for part in (input, target, weight))
        if weight is not None:
            input, target, weight = without_left_out(input, target, weight)
        value = self.value(input, target, weight)
        return {self.card.key: value} if isinstance(value, Tensor) else value


def _double(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _short(value: Any) -> Any:
    many = isinstance(value, list) and len(value) > LISTED
    return f"[{value[0]}, …, {value[-1]}; {len(value)} numbers]" if many else value


def _place(kind: type, name: str) -> int:
    """Return how far up a class's line the class stands that defines a method."""
    return next(place for place, one in enumerate(kind.__mro__) if name in vars(one))


def _warn_where_other(owner: str, name: str, given: Tensor, saved: Tensor) -> None:
    """Warn where a state_dict brings another hyperparameter than the loss was built with."""
    if given.is_meta or saved.is_meta or given.numel() != saved.numel():
        return
    mine, theirs = (one.detach().cpu().double().flatten() for one in (given, saved))
    if not torch.equal(mine, theirs):
        built, loaded = (_short(one.tolist()) for one in (mine, theirs))
        warnings.warn(
            f"{owner} was built with {name}={built if given.ndim else mine.item()}; the state_dict "
            f"restores {loaded if given.ndim else theirs.item()}, which counts from now on; to "
            f"train on with another, write loss.{name}.fill_(…) after loading",
            stacklevel=2,
        )


def _entries(state: Tensor) -> Any:
    """Return state as plain data: one number where there is but one, whatever its shape."""
    return state.item() if state.shape == (1,) else state.tolist()


def plain(value: Any) -> Any:
    """Return losses, schedules, parameters and tensors as plain data for JSON."""
    if isinstance(value, Loss):
        state = {name: _entries(tensor) for name, tensor in value.learned().items()}
        known = {"loss": value.card.key, "arguments": value.config()}
        return {**known, "state": state} if state else known
    if isinstance(value, Schedule):
        return value.plain()
    if isinstance(value, nn.Parameter):
        return {"parameter": value.tolist()}
    if is_group(value):
        return True  # a group is of one run; in another the loss gathers from all
    return value.tolist() if isinstance(value, Tensor) else value
