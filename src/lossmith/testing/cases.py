"""What a loss is tried on: instances, inputs and targets that follow from its card alone."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossmith.catalogue.lookup import built
from lossmith.core import Card, Choice, Loss
from lossmith.core.arguments import demanded
from lossmith.core.declaration import Ranged
from lossmith.core.tree import tree_leaves, tree_map
from lossmith.testing.draws import draw, generator

ROWS = 6


@dataclass(frozen=True)
class Case:
    """One instance of a loss, with the batches it is tried on."""

    loss: Loss

    @property
    def card(self) -> Card:
        """The card of the loss."""
        return self.loss.card

    @property
    def width(self) -> int:
        """The width of the head."""
        return self.loss.out_features

    @property
    def classes(self) -> int:
        """The number of classes that the head decodes to."""
        if self.card.target != "classes":
            return 2
        head = torch.zeros(self.head(1), dtype=torch.float64)
        return self.loss.decode(head).shape[1]

    @property
    def domain(self) -> tuple[float, float]:
        """The range of targets that the card's example spans."""
        return domain(self.card)

    def targets(self, rows: int = ROWS, *, seed: int = 0) -> Any:
        """Draw targets of the card's kind: float64, or integers for classes."""
        if self.card.trains_head:
            return draw_targets(self.card, rows, classes=self.classes, seed=seed)
        return draw(self.card.target, self.card.example.target, rows, seed=seed + 1)

    def inputs(self, rows: int = ROWS, *, scale: float = 1.0, seed: int = 0) -> Any:
        """Draw inputs of the card's kind, heads of standard deviation `scale`, in float64."""
        if self.card.trains_head:
            return scale * torch.randn(
                self.head(rows), generator=generator(seed), dtype=torch.float64
            )
        return draw(self.card.input, self.card.example.input, rows, scale=scale, seed=seed)

    def batch(
        self, rows: int = ROWS, *, dtype: torch.dtype = torch.float64, seed: int = 0
    ) -> tuple[Any, Any]:
        """Draw an input of `dtype` and its target."""
        input, target = self.inputs(rows, seed=seed), self.targets(rows, seed=seed)
        input = tree_map(lambda x: x.to(dtype) if x.is_floating_point() else x, input)
        return input, target

    def head(self, rows: int) -> tuple[int, ...]:
        """Return the shape of an input for so many rows; a head of one output adds no dimension."""
        return (rows,) if self.width == 1 else (rows, self.width)

    def each(self, input: Any, target: Any) -> Tensor:
        """Return the loss of each row taken alone."""
        if not self.card.vmap:
            rows = range(len(next(tree_leaves(input))))
            return torch.stack([self.loss(*take((input, target), slice(i, i + 1))) for i in rows])
        if self.card.trains_head:
            return torch.func.vmap(self.loss)(input, target)

        def one(input: Any, target: Any) -> Tensor:
            input, target = (tree_map(lambda x: x.unsqueeze(0), part) for part in (input, target))
            return self.loss(input, target)

        return torch.func.vmap(one, in_dims=(0, None if target is None else 0))(input, target)

    def free(self, input: Any, target: Any) -> list[Tensor]:
        """Return what gradients are taken of: the real tensors, of both sides if symmetric."""
        given = [*tree_leaves(input), *(tree_leaves(target) if self.card.symmetric else ())]
        return [tensor for tensor in given if tensor.is_floating_point()]

    def at(self, input: Any, target: Any, free: Iterable[Tensor]) -> tuple[Any, Any]:
        """Return the batch with other tensors in the places of those that `free` returns."""
        others = iter(free)

        def other(tensor: Tensor) -> Tensor:
            return next(others) if tensor.is_floating_point() else tensor

        input = tree_map(other, input)
        return input, tree_map(other, target) if self.card.symmetric else target

    def slopes(self, input: Any, target: Any, **given: Any) -> tuple[Tensor, list[Tensor]]:
        """Return the value at a batch and the gradients of what is free there."""
        leaves = [x.detach().clone().requires_grad_() for x in self.free(input, target)]
        value = self.loss(*self.at(input, target, leaves), **given)
        found = torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True)
        return value.detach(), list(found)


def take(batch: tuple[Any, Any], rows: slice | Tensor) -> tuple[Any, Any]:
    """Return some rows of a batch."""
    input, target = (tree_map(lambda x: x[rows], part) for part in batch)
    return input, target


def joined(first: tuple[Any, Any], second: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return the rows of two batches as one."""
    input, target = (joined_data(a, b) for a, b in zip(first, second, strict=True))
    return input, target


def joined_data(first: Any, second: Any) -> Any:
    """Return the rows of two tensors, or of named ones, as one."""
    others = tree_leaves(second)
    return tree_map(lambda x: torch.cat([x, next(others)]), first)


def domain(card: Card) -> tuple[float, float]:
    """Return the range of targets that the card's example spans; a point becomes one unit."""
    target = torch.as_tensor(card.example.target, dtype=torch.float64)
    low, high = target.min().item(), target.max().item()
    return low, high if high > low else low + 1.0


def draw_targets(card: Card, rows: int, *, classes: int, seed: int = 0) -> Tensor:
    """Draw targets of the card's kind at random."""
    uniform = torch.rand(rows, generator=generator(seed + 1), dtype=torch.float64)
    if card.target == "classes":
        return (uniform * classes).long()
    if card.target == "labels":
        return uniform.round()
    low, high = domain(card)
    drawn = low + (high - low) * uniform
    return drawn.round() if card.target == "counts" else drawn


def training_targets(card: Card) -> Tensor:
    """Return forty known targets: classes 20, 10, 6, 4 times, labels 28, 12, or skewed values."""
    if card.target == "classes":
        return torch.arange(4).repeat_interleave(torch.tensor([20, 10, 6, 4]))
    if card.target == "labels":
        return torch.arange(2.0).repeat_interleave(torch.tensor([28, 12])).double()
    return skewed(card, 40)


def skewed(card: Card, rows: int) -> Tensor:
    """Return values over the card's domain whose mean, median and quantiles all differ."""
    low, high = domain(card)
    grid = (torch.arange(rows, dtype=torch.float64) + 0.5) / rows
    drawn = low + (high - low) * (0.05 + 0.8 * grid**3)
    return drawn.round() if card.target == "counts" else drawn


def example(kind: type[Loss]) -> Loss:
    """Return the loss that the card's example is about."""
    return kind(**kind.card.example.arguments)


def fitted(kind: type[Loss], **hypers: Any) -> Loss:
    """Return the loss fitted to known targets; what that does not find is the example's."""
    if not kind.card.trains_head:
        return kind(**{**kind.card.example.arguments, **hypers})
    targets = training_targets(kind.card)
    try:
        return kind.for_target(targets, **hypers)
    except TypeError:
        given = {name: kind.card.example.arguments[name] for name in demanded(kind)}
        return kind.for_target(targets, **{**given, **hypers})


def rebuilding(loss: Loss) -> dict[str, Any]:
    """Return the arguments that the constructor takes to build an equal loss."""
    children, config = dict(loss.named_children()), loss.config()
    return {n: children[n] if n in children else built(value) for n, value in config.items()}


def brought(card: Card, input: Any, target: Any) -> dict[str, Any]:
    """Return the signals that a step with this batch brings, by the names that the card needs.

    Raises:
        KeyError: if a signal is no part of a batch that is known.
    """
    parts = {"input": input, "target": target, "teacher": target, "keys": target}
    for kind, data in ((card.input, input), (card.target, target)):
        parts.update(data if isinstance(data, Mapping) else {str(kind): data})
    if "teacher" in card.required_signals or "teacher_patches" in card.required_signals:
        parts["teacher_patches"] = parts["teacher"]
    return {name: parts[name] for name in card.required_signals}


def variants(loss: type[Loss] | Loss) -> Iterator[Loss]:
    """Yield the instance given; of a class its example, the fitted, each searched value, choice."""
    if isinstance(loss, Loss):
        yield loss
        return
    yield example(loss)
    yield fitted(loss)
    for name, hyper in loss.hyperparameters.items():
        choices = hyper.choices if isinstance(hyper, Choice) else ()
        for value in dict.fromkeys((*hyper.search, *choices)):
            yield fitted(loss, **{name: value})


def hyper_values(loss: Loss, name: str, count: int) -> list[Any]:
    """Return `count` allowed values of a hyperparameter, the present one first."""
    hyper, present = loss.hyperparameters[name], torch.as_tensor(getattr(loss, name))
    values = [present]
    for factor in (0.9, 0.8, 1.1, 0.5, 1.2):
        candidate = (present.double() if present.abs().sum() > 0 else present + 0.1) * factor
        assert isinstance(hyper, Ranged), f"{name} is a number that declares no range"
        low = -torch.inf if hyper.low is None else hyper.low
        high = torch.inf if hyper.high is None else hyper.high
        edges = not hyper.exclusive and ((candidate == low) | (candidate == high))
        if ((candidate > low) & (candidate < high) | edges).all():
            values.append(candidate)
    return values[:count]


def tunable(loss: Loss) -> list[str]:
    """Return the hyperparameters that are real numbers, so that they may change while training."""
    return [name for name in loss.hyperparameters if _is_real(getattr(loss, name, None))]


def refusal(
    error: type[Exception] | tuple[type[Exception], ...],
    what: str,
    call: Callable[..., object],
    *args: Any,
    **kwargs: Any,
) -> str:
    """Return the message of the error that a call must raise; AssertionError where it does not."""
    try:
        call(*args, **kwargs)
    except error as raised:
        return str(raised)
    except Exception as raised:
        raise AssertionError(f"{what} raises {type(raised).__name__}: {raised}") from raised
    raise AssertionError(f"{what} is accepted; it must be an error")


def _is_real(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, Tensor) and value.is_floating_point())
