"""Shapes and heads: what is refused, what a head decodes to, what `for_target` gives."""

import contextlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lossmith.core import Loss
from lossmith.core.arguments import demanded
from lossmith.core.tree import tree_map
from lossmith.testing.cases import ROWS, Case, domain, refusal, training_targets
from lossmith.testing.gradients import extremes
from lossmith.testing.minimise import minimiser

LEVELS = (0.02, 0.3, 0.5, 0.9)


def strict_shapes(case: Case) -> None:
    """An input and a target whose shapes don't fit are a ValueError that names both."""
    input, target = case.batch()
    wrong = {
        "one more row of input": (case.inputs(ROWS + 1), target),
        "one row of target": (input, target[:1]),
        "a target with one more dimension": (input, target.unsqueeze(-1)),
        "a target without dimensions": (input, target[0]),
        "an input with one more dimension": (input.unsqueeze(-1), target),
    }
    if case.width > 1:
        wrong["a head of one output"] = (input[:, 0], target)
        if case.card.target == "values":
            wrong["a head of one output more"] = (torch.cat([input, input[:, :1]], 1), target)
    for what, (input, target) in wrong.items():
        message = refusal(ValueError, what, case.loss, input, target)
        for shape in (tuple(input.shape), tuple(target.shape)):
            assert str(shape) in message, f"{what}: the error does not name {shape}: {message}"


def strict_rows(case: Case) -> None:
    """Tensors whose rows don't fit together are a ValueError that names the shape."""
    input, target = case.batch()
    both = {("input", name): part for name, part in _named(input)}
    both |= {("target", name): part for name, part in _named(target)}
    for (where, name), tensor in both.items() if len(both) > 1 else ():
        other = torch.cat([tensor, tensor[:1]])
        given = {"input": input, "target": target}
        whole = given[where]
        given[where] = {**whole, name: other} if isinstance(whole, dict) else other
        what = f"one more row of {where} {name}".rstrip()
        message = refusal(ValueError, what, case.loss, given["input"], given["target"])
        shape = str(tuple(other.shape))
        assert shape in message, f"{what}: the error does not name {shape}: {message}"


def _named(data: Any) -> list[tuple[str, Tensor]]:
    if data is None:
        return []
    return list(data.items()) if isinstance(data, dict) else [("", data)]


def strict_names(case: Case) -> None:
    """A missing or unknown name, and a tensor for named ones, are errors that name what fits."""
    input, target = case.batch()
    for what, data, at in (("input", input, 0), ("target", target, 1)):
        wrong: list[Any] = [torch.zeros(ROWS)] if isinstance(data, dict) or data is None else [{}]
        wrong += [{}, {**data, "nobody": torch.zeros(ROWS)}] if isinstance(data, dict) else []
        for other in wrong:
            given = (other, target) if at == 0 else (input, other)
            message = refusal((TypeError, ValueError), f"{what} {other}", case.loss, *given)
            assert what in message, f"the error does not name {what}: {message}"
        for name, part in data.items() if isinstance(data, dict) else ():
            for bad in (None, part.tolist(), part.numpy(), 1.0):
                other = {**data, name: bad}
                given = (other, target) if at == 0 else (input, other)
                message = refusal(TypeError, f"{name}={bad!r}", case.loss, *given)
                assert name in message, f"the error does not name {name}: {message}"


def scalars(case: Case) -> None:
    """One number in place of a batch, or a row without one, is read or refused clearly."""
    input, target = case.batch()
    number = [tree_map(lambda x: x.flatten()[0], part) for part in (input, target)]
    row = [tree_map(lambda x: x[0], part) for part in (input, target)]
    for given in (number, [number[0], target], [input, number[1]], row):
        with contextlib.suppress(TypeError, ValueError):
            case.loss(*given)


def labels_of_any_dtype(case: Case) -> None:
    """Labels and counts may be floats, integers or, of labels, bools: the value is the same."""
    input, target = case.batch(dtype=torch.float32)
    kinds = case.card.target
    named = kinds if isinstance(kinds, Mapping) else {"": kinds}
    for name, kind in named.items():
        if kind not in ("labels", "counts"):
            continue
        whole = (target[name] if name else target).round()
        most = torch.uint8 if kind == "counts" else torch.bool
        for dtype in (torch.float64, torch.int64, torch.int16, most):
            other = whole.to(dtype)
            value = case.loss(input, {**target, name: other} if name else other)
            right = case.loss(input, {**target, name: whole} if name else whole)
            assert torch.equal(value, right), f"{kind} of {dtype} give {value}, not {right}"


def strict_weight(case: Case) -> None:
    """A weight that is not one a sample or one a value is a ValueError that names its shape."""
    input, target = case.batch()
    shapes = ((ROWS + 1,), (1,), (1, ROWS))
    for shape in (*shapes, (ROWS, 1), (ROWS, 1, 1)) if case.card.trains_head else shapes:
        weight = torch.ones(shape, dtype=torch.float64)
        what = f"a weight of shape {shape}"
        message = refusal(ValueError, what, case.loss, input, target, weight=weight)
        for named in (shape, (ROWS,)):
            assert str(named)[:-1] in message, f"{what}: the error does not name {named}: {message}"


def classes_in_range(case: Case) -> None:
    """Integer classes outside the head are an error, compiled or not."""
    input, target = case.batch(dtype=torch.float32)
    torch._dynamo.reset()
    compiled = torch.compile(case.loss, backend="eager", fullgraph=True)
    for bad in (-1, case.classes):
        target = target.index_fill(0, torch.tensor([0]), bad)
        refusal(ValueError, f"class {bad}", case.loss, input, target)
        if case.card.fullgraph:
            refusal(Exception, f"class {bad}, compiled,", compiled, input, target)


def classes_are_integers(case: Case) -> None:
    """Classes given as one float a row are a TypeError."""
    input, target = case.batch()
    refusal((TypeError, ValueError), "float classes", case.loss, input, target.double())


def keeps_to_its_classes(case: Case) -> None:
    """A loss built for so many classes refuses a head of another width, and says which."""
    known = case.loss.arguments()
    width = case.classes if case.card.trains_head else next(iter(case.inputs(1))).shape[0]
    other = type(case.loss)(**{**known, "classes": width + 1})
    message = refusal(ValueError, "a head of one class less", other, *case.batch())
    assert str(other.out_features) in message, f"the error does not name the head: {message}"


def finds_no_class_in_a_mark(case: Case) -> None:
    """for_target does not take 255 among a few classes for a class, unless it is told so."""
    target, kind, told = torch.tensor([0, 1, 2, 255]), type(case.loss), case.loss.arguments()
    given = {name: told[name] for name in demanded(kind) if name != "classes"}
    if kind.for_target.__func__ is Loss.for_target.__func__:  # type: ignore[attr-defined]
        return
    message = refusal(ValueError, "255 among three classes", kind.for_target, target, **given)
    assert "255" in message, f"the error does not name 255: {message}"
    if "ignore_index" in case.loss.hyperparameters:
        found = kind.for_target(target, ignore_index=255, **given).arguments()["classes"]
        assert found == 3, f"for_target with ignore_index=255 gives {found}"


def refuses_complex(case: Case) -> None:
    """A complex tensor is a TypeError: its imaginary part is never dropped in silence."""
    for place, data in enumerate(case.batch()):
        for name, part in _named(data):
            batch: list[Any] = list(case.batch())
            other = part.to(torch.complex64)
            batch[place] = {**data, name: other} if isinstance(data, dict) else other
            refusal(TypeError, f"complex {('input', 'target')[place]} {name}", case.loss, *batch)


def refuses_rows_of_nothing(case: Case) -> None:
    """A row without a number, an image of no channels say, is a ValueError that names the shape."""
    input, target = case.batch()
    cut = tree_map(lambda part: part[:, :0] if part.ndim > 1 else part, input)
    if any(part.ndim > 1 for _, part in _named(input)):
        message = refusal(ValueError, "a row of no numbers", case.loss, cut, target)
        assert f"({ROWS}, 0" in message, f"the error does not name the shape: {message}"


def integers_of_any_size(case: Case) -> None:
    """Integers count the same whatever dtype holds them."""
    input, target = case.batch()
    torch.manual_seed(0)
    wide = case.loss(input, target)
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32):
        torch.manual_seed(0)
        value = case.loss(input, tree_map(partial(_narrowed, dtype=dtype), target))
        assert torch.equal(value, wide), f"{dtype} gives {value.item():g}, int64 {wide.item():g}"


def _narrowed(part: Tensor, dtype: torch.dtype) -> Tensor:
    return part if part.is_floating_point() else part.to(dtype)


def decodes(case: Case) -> None:
    """decode reads any head: points or quantiles, or probabilities that sum to 1, in float32."""
    far, _ = next(extremes(case, 1e4, torch.float32))
    for input in (case.inputs(), case.inputs(scale=30.0), far):
        for dtype in (torch.float64, torch.float32):
            _decoded(case, input.to(dtype))
    _decoded(case, next(extremes(case, 65504.0, torch.float16))[0].half())
    for half in (torch.float16, torch.bfloat16):
        head = case.inputs().to(half)
        rounded, whole = (case.loss.decode(one) for one in (head, head.float()))
        assert torch.equal(rounded.to(whole), whole), (
            f"decode gives {rounded.tolist()} of {half}, {whole.tolist()} of the same in float32"
        )


def decodes_rows_alone(case: Case) -> None:
    """decode reads each row by itself: in a batch, without a batch dimension, and mapped."""
    input = case.inputs()
    whole = case.loss.decode(input)
    rows = torch.stack([case.loss.decode(row) for row in input])
    assert torch.allclose(whole, rows), "decode of a batch and of its rows differ"
    if case.card.vmap:
        mapped = torch.func.vmap(case.loss.decode)(input)
        assert torch.allclose(whole, mapped), "decode and vmap of decode differ"


def quantiles_rise(case: Case) -> None:
    """Quantiles of any head are finite and rise with the level; of a density each has its mass."""
    far, _ = next(extremes(case, 1e4, torch.float32))
    for input in (case.inputs(), case.inputs(scale=30.0), far):
        found = torch.stack([case.loss.quantile(input, level) for level in LEVELS])
        assert found.shape[1:] == case.loss.decode(input).shape, f"of shape {tuple(found.shape)}"
        assert found.isfinite().all(), f"quantiles {found.tolist()} of finite heads"
        assert (found.diff(dim=0) >= 0).all(), f"quantiles fall: {found.tolist()}"
    if case.card.target == "counts":
        _masses_of_counts(case)
    elif case.card.claims.proper:
        _masses(case)


def _masses(case: Case) -> None:
    """The density exp(−loss) below a quantile holds its level of the whole."""
    for head in case.inputs(5):
        low, middle, high = (case.loss.quantile(head, level) for level in (1e-5, 0.5, 1 - 1e-5))
        unit = (high - low) / 1e4
        first, last = (float(((end - middle) / unit).asinh()) for end in (low, high))
        grid = middle + torch.linspace(first, last, 40001, dtype=torch.float64).sinh() * unit
        density = (-case.each(head.expand(len(grid), *head.shape), grid)).exp()
        mass = torch.cumulative_trapezoid(density, grid)
        whole = mass[-1] / (1 - 2e-5)
        for level in LEVELS:
            place = torch.searchsorted(grid, case.loss.quantile(head, level))
            below = 1e-5 + (mass[place - 1] / whole).item()
            assert abs(below - level) < 1e-3, (
                f"{below:.4f} of the density lies below the quantile of {level}"
            )


def _masses_of_counts(case: Case) -> None:
    """The probabilities exp(−loss) up to a quantile reach its level, and before it do not."""
    counts = torch.arange(500, dtype=torch.float64)
    for head in case.inputs(5):
        chance = (-case.each(head.expand(len(counts), *head.shape), counts)).exp()
        for level in LEVELS:
            found = int(case.loss.quantile(head, level))
            below = chance[:found].sum().item()
            assert below < level <= below + chance[found].item() + 1e-9, (
                f"the quantile of {level} is {found}, below which is {below:.4f}"
            )


def decodes_what_it_learns(case: Case) -> None:
    """Where all targets are nearly alike, the head of least loss decodes to them."""
    if case.card.target not in ("classes", "labels"):
        low, high = domain(case.card)
        span, aim = high - low, low + 0.4 * (high - low)
        pair = torch.tensor([aim - 0.01 * span, aim + 0.01 * span], dtype=torch.float64)
        found = case.loss.decode(minimiser(case, pair))
        assert ((found - aim).abs() <= 0.02 * span).all(), (
            f"learns {found.tolist()} from targets around {aim:g}"
        )
        return
    classes = case.classes
    target = torch.arange(classes).to(case.targets().dtype)
    for aim in range(classes):
        weight = torch.full((classes,), 0.1 / (classes - 1), dtype=torch.float64)
        weight[aim] = 0.9
        found = case.loss.decode(minimiser(case, target, weight))
        likely = found.argmax(-1) if case.card.target == "classes" else found.round()
        assert (likely == aim).all(), f"learns {found.tolist()} where 9 targets of 10 are {aim}"


def fits_targets(case: Case) -> None:
    """The loss that for_target gives sizes its head for those targets and accepts them."""
    targets = training_targets(case.card)
    assert isinstance(case.width, int), f"out_features is {case.width!r}, not an int"
    assert case.width >= 1, f"out_features is {case.width}"
    if case.card.target == "classes":
        assert case.classes == 4, f"for_target of four classes decodes to {case.classes}"
    value = case.loss(case.inputs(len(targets)), targets)
    assert value.isfinite(), f"the fitted loss gives {value.item()}"


def _decoded(case: Case, input: Tensor) -> None:
    loss: Loss = case.loss
    out, rows = loss.decode(input), len(input)
    assert out.isfinite().all(), f"decode gives {out.tolist()} for finite heads"
    kind = case.card.target
    if kind not in ("classes", "labels"):
        shapes = {(rows,), (rows, case.width)} if case.width > 1 else {(rows,)}
    else:
        shapes = {(rows, case.classes) if kind == "classes" else case.head(rows)}
        assert ((out >= 0) & (out <= 1)).all(), "decode gives probabilities outside 0 … 1"
    assert tuple(out.shape) in shapes, f"decode gives shape {tuple(out.shape)}, not {shapes}"
    if kind == "classes":
        assert torch.allclose(out.float().sum(1), torch.ones(rows), atol=1e-2), (
            "the probabilities do not sum to 1"
        )
