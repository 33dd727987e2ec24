"""The contract that every loss keeps: `combine ∘ terms`, a head it reads, plain data.

The four ways to reduce rows are in `bases`; how a loss becomes plain data, in `serial`.
"""

import functools
import inspect
import json
import math
import os
import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.compiler import is_dynamo_compiling

from lossmith.core import execution
from lossmith.core.adaptive import Adaptive, Number, forgets
from lossmith.core.arguments import Constructed, parameters, short, unknown
from lossmith.core.card import Card, Reduction
from lossmith.core.declaration import REQUIRED, Hyperparameter, Ranged
from lossmith.core.declared import Fitted, functions_of, hyperparameters_of
from lossmith.core.docstring import documented
from lossmith.core.reduce import checked_weight
from lossmith.core.schedule import Schedule
from lossmith.core.serial import document_of, plain
from lossmith.core.tree import check_names, tree_leaves, tree_map
from lossmith.functional.checks import check, check_real, wrapped

if TYPE_CHECKING:
    from lossmith.core.hybrid import Hybrid


class UnknownHeadError(ValueError, AttributeError):
    """A loss does not know the width of its head: the classes are not told, or parts have theirs.

    It is an AttributeError too, so that `hasattr` says no.
    """


class Loss(Adaptive, metaclass=Constructed):
    """A differentiable objective that knows the head it needs and how to read it.

    A subclass derives from one of the four ways in which the rows of a batch become one number,
    `Pointwise`, `Coupled`, `Statistic` and `SetLoss`; declares its hyperparameters; and states its
    `card` and the `function` that computes it, or writes the method that does. Each hyperparameter
    is an argument of the constructor and an attribute of the same name: real numbers as tensors of
    float64 on the CPU, which no move or cast of the model touches.
    """

    card: ClassVar[Card]
    reduction: ClassVar[Reduction] = "mean"
    hyperparameters: ClassVar[Mapping[str, Hyperparameter]] = MappingProxyType({})
    function: ClassVar[Callable[..., Any]]  # of input, target and the hyperparameters it takes
    takes: ClassVar[dict[str, dict[str, Any]]] = {}  # which those are, of each function stated
    mean_function: ClassVar[Callable[..., Tensor | None]]  # `function`'s mean in one operation
    has_mean: ClassVar[bool] = False  # whether a call asks it
    composite: ClassVar[type["Hybrid"]]  # what adding, scaling and routing losses gives

    def __init_subclass__(cls, composes: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        if composes:
            Loss.composite = cls  # type: ignore[assignment]
        cls.hyperparameters = MappingProxyType(hyperparameters_of(cls))
        cls.takes = functions_of(cls)
        cls.for_target = Fitted.of(cls)  # type: ignore[method-assign]
        cls.__doc__ = documented(cls)

    def __init__(self, **given: Any) -> None:
        super().__init__()
        if not hasattr(self, "card"):
            raise TypeError(f"{type(self).__name__} has no card; state it: card = Card(key=...)")
        for name in given:
            if name not in self.hyperparameters:
                raise unknown(type(self), name)
        for name, hyper in self.hyperparameters.items():
            value = given.get(name, hyper.default)
            if value is not REQUIRED:
                hyper.keep(self, name, value)
        self.register_observed()
        for name, start in self._begin().items():
            if not isinstance(start, nn.Parameter):
                self.register_buffer(name, start)
            else:
                keep = self.learn if start.numel() == 1 else self.register_parameter
                keep(name, nn.Parameter(start.to("meta")) if forgets() else start)
        self.__post_init__()

    if TYPE_CHECKING:  # torch types no call

        def __call__(
            self,
            input: Any,
            target: Any = None,
            *,
            weight: Tensor | Mapping[str, Any] | None = None,
            denominator: Tensor | float | None = None,
        ) -> Tensor:
            """Return the loss as one scalar."""
            ...

    __init__.takes_declared = True  # type: ignore[attr-defined]  # for the constructor's signature

    def __post_init__(self) -> None:
        """Finish the constructor: check hyperparameters together, make what follows from them."""

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

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in self.hyperparameters:
            given, saved = getattr(self, name, None), state.get(prefix + name)
            still = isinstance(given, Tensor) and not isinstance(given, nn.Parameter)
            if still and isinstance(saved, Tensor) and name not in self.moving:
                _warn_where_other(type(self).__name__, name, given, saved)  # type: ignore[arg-type]
        super()._load_from_state_dict(state, prefix, *rest)

    @property
    def required_signals(self) -> tuple[str, ...]:
        """The signals that each step of training must bring: the card's."""
        return self.card.required_signals

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        if "_buffers" in own and name in own["_buffers"]:  # what is read most
            return own["_buffers"][name]
        try:
            return super().__getattr__(name)
        except AttributeError:
            stated = inspect.getattr_static(type(self), name, None)
            if isinstance(stated, property) and stated.fget is not None:
                return stated.fget(self)  # raises again what torch hides: that there is none
            raise

    @property
    def out_features(self) -> int:
        """The width of the head that this loss reads; UnknownHeadError where it can't know it."""
        return 1

    def decode(self, output: Tensor) -> Tensor:
        """Read a head: point predictions, or probabilities for classes."""
        return output

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Read a head at a level between 0 and 1: the quantile of the distribution that it gives.

        A head that gives a point and no distribution is read as that point, whatever the level.
        """
        return self.decode(output)

    @classmethod
    def for_target(cls, target: Tensor, **hypers: Any) -> Self:
        """Return the loss fitted to the training targets: class counts, bin range, scale.

        Asked of an instance it is `refitted`: what the instance was told is kept.
        """
        return cls(**hypers)

    def refitted(self, target: Any, **known: Any) -> Self:
        """Return a loss like this one, fitted to training targets; what it was told is kept.

        What its card leaves to `for_target`, as counts, is found anew. known: what of it need not
        be found, as classes=10; what the loss has no use for is left aside.
        """
        fitted = {name for name, hyper in self.hyperparameters.items() if hyper.fitted}
        kept = {name: value for name, value in self.arguments().items() if name not in fitted}
        takes = fitted | inspect.signature(type(self).for_target).parameters.keys()
        told = {name: value for name, value in known.items() if name in takes}
        return type(self).for_target(target, **{**kept, **told})

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
        card = self.card
        tensors_alone = type(input) is Tensor and type(target) is Tensor
        if tensors_alone and isinstance(card.input, str) and isinstance(card.target, str):
            fine = not (input.is_complex() or target.is_complex())
            if fine and (input.numel() or input.ndim < 2 or not len(input) or card.trains_head):
                return  # what nearly all calls bring
        owner = type(self).__name__
        check_names(owner, "input", input, card.input, card.optional)
        check_names(owner, "target", target, card.target, card.optional)
        for what, data in (("input", input), ("target", target)):
            for tensor in tree_leaves(data):
                if tensor.is_complex():
                    check_real(f"{owner}: {what}", tensor)
        for tensor in tree_leaves(input):
            if not tensor.numel() and tensor.ndim > 1 and len(tensor) and not card.trains_head:
                raise ValueError(
                    f"{owner}: input has shape {tuple(tensor.shape)}, rows that hold no numbers; "
                    "leave them out, or give each at least one"
                )

    def _check_learned(self) -> None:
        """Raise ValueError where training has moved a number out of its range."""
        for name in self._learned:
            if name not in self.hyperparameters:
                continue
            hyper, number = self.hyperparameters[name], getattr(self, name)
            if isinstance(hyper, Ranged):
                check(
                    hyper.holds(number.detach()),
                    f"{type(self).__name__}: {name} was learned out of its range {hyper.range}; "
                    "only a loss with a normaliser holds its own numbers",
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
        look = not is_dynamo_compiling()
        if look and self.has_mean and weight is None and denominator is None:
            mean = execution.at_once(self, input, target)
            if mean is not None:
                return mean
        self.check_given(input, target)
        if weight is not None:
            weight = checked_weight(type(self).__name__, weight, look, of_mean=denominator is None)
        if self._learned:
            self._check_learned()
        value = self.combine(self.terms(input, target, weight=weight, denominator=denominator))
        plain = look and type(value) is Tensor and value.is_cpu and not wrapped(value)
        if plain and not math.isfinite(value.item()):
            return self._wide(value, input, target, weight, denominator)
        return value

    def _wide(
        self, value: Tensor, input: Any, target: Any, weight: Any, denominator: Any
    ) -> Tensor:
        """Return the value in float64 where float32 overflowed on the way to it, else as it is."""
        given = [tensor for part in (input, target) for tensor in tree_leaves(part)]
        fine = all(tensor.isfinite().all() for tensor in given if tensor.is_floating_point())
        fine = execution.agreed(self, fine)
        if value.dtype == torch.float64 or not fine:
            return value
        input, target, weight = (tree_map(_double, part) for part in (input, target, weight))
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

    @classmethod
    def of_plain(cls, arguments: Mapping[str, Any]) -> Self:
        """Return the loss of the arguments that `config` told, read back."""
        return cls(**arguments)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the loss as plain JSON, to be read by `lossmith.load`.

        Raises:
            TypeError: if its class has the card of its base, as which it would be read back.
        """
        Path(path).write_text(json.dumps(document_of(self), indent=2) + "\n", encoding="utf-8")

    def extra_state(self) -> dict[str, Tensor]:
        """Return the state beyond the constructor's arguments: what is learned or on a schedule."""
        still = [name for name in parameters(type(self)) if name not in self._schedules]
        state = self.state_dict(keep_vars=False)
        return {name: value for name, value in state.items() if name.split(".")[0] not in still}

    def extra_repr(self) -> str:
        """Show the constructor's arguments."""
        told = self.arguments()
        shown = {n: v if isinstance(v, Schedule) else short(plain(v)) for n, v in told.items()}
        return ", ".join(f"{n}={v}" for n, v in shown.items() if not isinstance(told[n], Loss))

    def on(self, input: str | None, target: str | None = None) -> "Hybrid":
        """Return the loss as a term of a hybrid, on named parts of its input and target.

        One name stands for both: `Huber().on("price")` is the loss of input["price"] against
        target["price"]. `.on(None, "classes")` reads the whole input against target["classes"].
        """
        return self.composite.routed(self, input, target or input)

    def __add__(self, other: "Loss") -> "Hybrid":
        return self.composite.summed(self, other)

    def __mul__(self, weight: Number) -> "Hybrid":
        return self.composite.scaled(self, weight)

    __rmul__ = __mul__


def _double(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _warn_where_other(owner: str, name: str, given: Tensor, saved: Tensor) -> None:
    """Warn where a state_dict brings another hyperparameter than the loss was built with."""
    if given.is_meta or saved.is_meta or given.numel() != saved.numel():
        return
    mine, theirs = (one.detach().cpu().double().flatten() for one in (given, saved))
    if not torch.equal(mine, theirs):
        built, loaded = (short(one.tolist()) for one in (mine, theirs))
        warnings.warn(
            f"{owner} was built with {name}={built if given.ndim else mine.item()}; the state_dict "
            f"restores {loaded if given.ndim else theirs.item()}, which counts from now on; to "
            f"train on with another, write loss.{name}.fill_(…) after loading",
            stacklevel=2,
        )
