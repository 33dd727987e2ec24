"""`watch`: what each term of a loss does while it trains, now and then."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.compiler import is_compiling
from torch.utils.hooks import RemovableHandle

from lossmith.core.hybrid import Hybrid
from lossmith.core.loss import Loss
from lossmith.core.rows import of_half, row_sizes
from lossmith.core.tree import tree_leaves
from lossmith.integrations.logs import WATCHED, numbers
from lossmith.integrations.readings import Reading, Sink, TermReading, sink_of

HARDEST = 5  # rows that are named


def watch(loss: nn.Module, *, every: int = 100, to: Any = print, prefix: str = "loss") -> "Watch":
    """Watch a loss while it trains; return the handle, also a context, that ends it.

    Every so many steps each term is read: its value, its share of the gradient at the outputs,
    on what share of the rows half of that gradient rests, which rows are the hardest; and numbers
    that are learned or on a schedule. A term is a loss of a hybrid. A step is a call of the loss
    in training: where no gradient is kept, as in evaluation, nothing is counted. Gradients are
    read beside training and change nothing of it, to the bit.

    Args:
        loss: of lossmith, of torch, or a module that holds losses of lossmith.
        every: steps from one reading to the next; the first step is read.
        to: a function of a `Reading`; a rich `Console`; TensorBoard's `SummaryWriter`; the module
            `mlflow`; a run of W&B; a logger or a module of Lightning; a `Trainer` of Transformers.
            None keeps the reading in `last` alone. The `LossCallback` of Lightning, Transformers
            and skorch logs the last reading in any case.
        prefix: of the names in logs.

    Raises:
        TypeError: if the loss is no module, or `to` nothing that takes readings.
        ValueError: if `every` is below 1, or the loss is compiled, so that no one can look in.

    >>> from lossmith import MSE
    >>> loss, output = MSE(), torch.tensor([1.0, 2.0], requires_grad=True)
    >>> with watch(loss, to=None) as watching:
    ...     loss(output, torch.zeros(2)).backward()
    >>> watching.last.terms["mse"].value
    2.5
    """
    return Watch(loss, every=every, to=to, prefix=prefix)


class Watch:
    """A loss that is watched; `last`, which `print` shows, was seen last. `remove()` ends it."""

    def __init__(self, loss: nn.Module, *, every: int, to: Any, prefix: str) -> None:
        if not isinstance(loss, nn.Module):
            raise TypeError(f"watch needs a module, got {loss!r}; a function has no hooks")
        if every < 1:
            raise ValueError(f"every must be 1 or more, got {every}")
        self.loss, self.every, self.prefix = loss, every, prefix
        self.step = 0
        self.last: Reading | None = None
        self._send: Sink = sink_of(to)
        self._terms = dict(_terms(loss))
        self._seen: dict[str, TermReading] = {}
        self._open: list[RemovableHandle] = []
        for name, (term, _) in self._terms.items():
            if term._compiled_call_impl is not None:
                raise ValueError(
                    f"watch: {name} is compiled, and no hook sees into it; watch the loss as it "
                    "is, and compile the model alone"
                )
        first, *self._others = self._terms
        self._first, self._due = first, 1
        self._handles = [self._terms[first][0].register_forward_hook(self._count, with_kwargs=True)]
        WATCHED[loss] = self._scalars

    def remove(self) -> None:
        """Watch no longer."""
        for handle in (*self._handles, *self._open):
            handle.remove()
        WATCHED.pop(self.loss, None)

    def __repr__(self) -> str:
        return f"<Watch of {', '.join(self._terms)}, every {self.every} steps, {self.step} seen>"

    def __str__(self) -> str:
        return repr(self) if self.last is None else str(self.last)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _scalars(self) -> dict[str, float]:
        return {} if self.last is None else self.last.scalars()

    def _count(self, term: nn.Module, args: Any, given: Any, value: Any) -> None:
        """Count a step; where it is due, read the first term and hook the others."""
        if not value.requires_grad or is_compiling():
            return
        self.step += 1
        if self.step < self._due:
            return
        self._end()  # of a reading that some term never came to
        self._due = self.step + self.every
        self._open = [
            self._terms[name][0].register_forward_hook(partial(self._read, name), with_kwargs=True)
            for name in self._others
        ]
        self._read(self._first, term, args, given, value)

    def _read(self, name: str, term: nn.Module, args: Any, given: Any, value: Any) -> None:
        if name in self._seen or not value.requires_grad:
            return  # of a loss that is called twice a step, the first call
        input = args[0] if args else given.get("input")
        self._seen[name] = _reading(input, value, _weight(self._terms[name][1]))
        if len(self._seen) == len(self._terms):
            self._end()

    def _end(self) -> None:
        """End a reading, and report it."""
        for handle in self._open:
            handle.remove()
        self._open = []
        if self._seen:
            self._report()

    def _report(self) -> None:
        total = sum(term.gradient for term in self._seen.values())
        shared = {
            name: TermReading(**{**vars(term), "share": term.gradient / total if total else 0.0})
            for name, term in self._seen.items()
        }
        self._seen = {}
        moving = numbers(self.loss, self.prefix)
        self.last = Reading(step=self.step, terms=shared, numbers=moving, prefix=self.prefix)
        self._send(self.last)


Path = tuple[tuple[Hybrid, str], ...]  # the hybrids above a term, and what each calls it


def _terms(module: nn.Module) -> Iterator[tuple[str, tuple[nn.Module, Path]]]:
    """Yield the losses that are watched by name, with the hybrids that weigh them."""
    found = list(_within(module, (), ()))
    if not found:
        found = [((type(module).__name__,), (module, ()))]
    yield from (("/".join(names), term) for names, term in found)


def _within(
    module: nn.Module, names: tuple[str, ...], path: Path
) -> Iterator[tuple[tuple[str, ...], tuple[nn.Module, Path]]]:
    if isinstance(module, Hybrid):
        for name, part in module.losses.items():
            yield from _within(part, (*names, name), (*path, (module, name)))
    elif isinstance(module, Loss):
        yield names or (module.card.key,), (module, path)
    else:
        for name, part in module.named_children():
            yield from _within(part, (*names, name), path)


def _weight(path: Path) -> float:
    """Return a term's present factor: the product of what the hybrids above it weigh it by."""
    factor = 1.0
    for hybrid, name in path:
        factor *= hybrid.weighting.weights().get(name, 1.0)
    return factor


def _reading(input: Any, value: Tensor, weight: float) -> TermReading:
    """Return what a term does at a step, without its share."""
    number = value.sum().item()
    given = input if isinstance(input, (Tensor, Mapping)) else None
    free = [one for one in tree_leaves(given) if isinstance(one, Tensor) and one.requires_grad]
    if not free or value.numel() != 1:
        return TermReading(value=number, weight=weight)
    slopes = torch.autograd.grad(value, free, retain_graph=True, allow_unused=True)
    sizes = [row_sizes(slope) for slope in slopes if slope is not None]
    sizes = [one for one in sizes if len(one) == len(sizes[0])]
    if not sizes or not len(sizes[0]):
        return TermReading(value=number, weight=weight)
    rows = sizes[0] if len(sizes) == 1 else torch.stack(sizes).square().sum(0).sqrt()
    half, hardest = of_half(rows)
    return TermReading(
        value=number,
        weight=weight,
        gradient=abs(weight) * rows.norm().item(),
        half=half,
        hardest=tuple(hardest[:HARDEST].tolist()),
    )
