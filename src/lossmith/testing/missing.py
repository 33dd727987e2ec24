"""Missing numbers: NaN that counts is seen in the value; what is ignored leaves no trace."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from lossmith.core.tree import tree_map
from lossmith.testing.cases import ROWS, Case, take
from lossmith.testing.reductions import same, spoilt, vanishes

Batch = tuple[Any, Any]


def nan_shows(case: Case) -> None:
    """NaN in a row that matters gives a value of NaN, or an error: training must see it.

    A row matters if other numbers in its place give another value.
    """
    batch, others = case.batch(), case.batch(seed=1)
    usual = _value(case, batch)
    for place, name, part in _parts(batch):
        if not part.is_floating_point():
            continue
        for rows in (slice(None), slice(2, 3)):
            other = part.clone()
            other[rows] = _part(others, place, name)[rows]
            if torch.equal(_value(case, _with(batch, place, name, other)), usual):
                continue
            missing = part.clone()
            missing[rows] = torch.nan
            try:
                value = _value(case, _with(batch, place, name, missing))
            except ValueError:
                continue
            what = f"{('input', 'target')[place]} {name}".rstrip()
            assert value.isnan(), f"the value is {value.item():g} where {what} holds NaN"


def ignored_rows(case: Case) -> None:
    """Rows whose target is ignore_index are left out, NaN or not; where all are, the loss is 0."""
    batch, kept = case.batch(), torch.tensor([1, 2, 3, 4, 5])
    left = case.loss(*take(batch, kept))
    input, ignored = _ignored(case, batch, slice(0, 1))
    for given in (input, tree_map(spoilt, input)):
        value, slopes = case.slopes(given, ignored)
        same(value, left, "an ignored row and the row left out")
        for slope in slopes:
            assert (slope[0] == 0).all(), f"an ignored row has the gradient {slope[0].tolist()}"
            assert slope.isfinite().all(), "an ignored row spoils the others' gradients"
    missing = tree_map(lambda part: spoilt(part, ROWS), input)
    nothing = missing, _ignored(case, batch, slice(None))[1]
    vanishes(case, nothing, "all rows ignored")
    for count in (0, torch.tensor(0)) if case.loss.reduction in ("mean", "coupled") else ():
        vanishes(case, nothing, f"all rows ignored, denominator {count}", denominator=count)


def ignored_places(case: Case) -> None:
    """A pixel or token whose target is ignore_index may hold NaN: nothing changes."""
    batch = case.batch()
    places = _classes(batch[1]).ndim
    if places < 2:
        return
    input, ignored = _ignored(case, batch, (0,) * places)
    value, exact = case.slopes(input, ignored)
    head = (slice(None),) if input.ndim > places else ()
    missing = input.clone()
    missing[(0, *head, *(0,) * (places - 1))] = torch.nan
    got, slopes = case.slopes(missing, ignored)
    same(got, value, "an ignored place that holds NaN and one that does not")
    for slope, right in zip(slopes, exact, strict=True):
        same(slope, right, "gradients where an ignored place holds NaN and where it does not")


def _ignored(case: Case, batch: Batch, places: Any) -> Batch:
    """Return a batch, the classes or labels at some places ignored."""
    input, target = batch
    classes = _classes(target).clone()
    classes[places] = case.loss.config()["ignore_index"]
    return input, {**target, "classes": classes} if isinstance(target, Mapping) else classes


def _classes(target: Any) -> Tensor:
    classes: Tensor = target["classes"] if isinstance(target, Mapping) else target
    return classes


def _value(case: Case, batch: Batch) -> Tensor:
    torch.manual_seed(0)
    return case.loss(*batch).detach()


def _parts(batch: Batch) -> Iterator[tuple[int, str, Tensor]]:
    for place, data in enumerate(batch):
        if isinstance(data, Mapping):
            yield from ((place, name, part) for name, part in data.items())
        elif data is not None:
            yield place, "", data


def _part(batch: Batch, place: int, name: str) -> Tensor:
    data = batch[place]
    part: Tensor = data[name] if name else data
    return part


def _with(batch: Batch, place: int, name: str, part: Tensor) -> Batch:
    data = {**batch[place], name: part} if name else part
    return (data, batch[1]) if place == 0 else (batch[0], data)
