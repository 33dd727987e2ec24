"""What PyTorch does with a loss: compile, vmap, functional gradients, autocast, casts."""

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lossmith.core import Loss, Progress
from lossmith.core.tree import tree_leaves, tree_map
from lossmith.testing.cases import Case, brought, hyper_values, rebuilding, tunable

HALVES = (torch.float16, torch.bfloat16)
SIZES = (6, 9, 12, 7, 5, 8, 10, 11, 4, 13, 14, 15)  # more than the graphs that a compiler allows


class _Counter:
    """A compiler backend that counts the graphs it is given."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        from torch._dynamo.backends.debugging import aot_eager

        self.graphs += 1
        return aot_eager(graph, inputs)

    def eagerly(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        self.graphs += 1
        return graph.forward


def compiles_once(case: Case) -> None:
    """It compiles to one full graph, and not again when a hyperparameter changes its value."""
    torch._dynamo.reset()
    loss, counter, first = copy.deepcopy(case.loss), _Counter(), 0
    compiled = torch.compile(loss, backend=counter, fullgraph=True)
    input, target = case.batch(dtype=torch.float32)
    for step in range(3):
        for name in tunable(loss):
            _set(loss, name, hyper_values(case.loss, name, 3)[step % 2])
        results = []
        for function in (compiled, loss):
            leaves = [x.clone().requires_grad_() for x in case.free(input, target)]
            value = function(*case.at(input, target, leaves))
            slopes = torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True)
            results.append((value.detach(), slopes))
        (got, slopes), (expected, right) = results
        assert torch.allclose(got, expected, rtol=1e-5, atol=1e-6), (
            f"compiled it gives {got.item()}, eager {expected.item()}"
        )
        for one, other in zip(slopes, right, strict=True):
            assert torch.allclose(one, other, rtol=1e-4, atol=1e-6), (
                "compiled and eager gradients differ"
            )
        first = first or counter.graphs
        assert counter.graphs == first, (
            f"compiled again when {', '.join(tunable(loss))} changed; "
            "keep hyperparameters as tensors, not as floats"
        )


def compiles_for_all_sizes(case: Case) -> None:
    """One graph of the first batch size and one of any other: sizes beyond compile nothing."""
    torch._dynamo.reset()
    counter = _Counter()
    compiled = torch.compile(copy.deepcopy(case.loss), backend=counter.eagerly, fullgraph=True)
    for rows in SIZES:
        input, target = case.batch(rows, dtype=torch.float32)
        got, expected = compiled(input, target), case.loss(input, target)
        assert torch.allclose(got, expected, rtol=1e-5, atol=1e-6), (
            f"compiled it gives {got.item()} of {rows} rows, eager {expected.item()}"
        )
    assert counter.graphs <= 2, (
        f"{len(SIZES)} batch sizes make {counter.graphs} graphs; no size may be written into a "
        "text, a Python number or a branch"
    )


def vmap_equals_loop(case: Case) -> None:
    """vmap over models × hyperparameters equals the loop, in values and gradients."""
    names = tunable(case.loss)
    sets = [dict(zip(names, row, strict=True)) for row in _settings(case, names)]
    drawn = [case.inputs(seed=seed) for seed in range(2)]
    others = tree_leaves(drawn[1])
    inputs = tree_map(lambda x: torch.stack([x, next(others)]), drawn[0])
    target = case.targets()
    stacked = {name: torch.stack([row[name] for row in sets]) for name in names}

    def one(input: Any, hypers: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(case.loss, hypers, (input, target))

    both = torch.func.grad_and_value(one)
    everything = (
        torch.func.vmap(torch.func.vmap(both, in_dims=(0, None)), in_dims=(None, 0))(
            inputs, stacked
        )
        if names
        else [tree_map(_row, part) for part in torch.func.vmap(lambda x: both(x, {}))(inputs)]
    )
    slopes, values = everything
    for row, hypers in enumerate(sets):
        for model, input in enumerate(drawn):
            slope, value = both(input, hypers)
            assert torch.allclose(values[row, model], value), f"vmap's value differs at {hypers}"
            for got, right in zip(tree_leaves(slopes), tree_leaves(slope), strict=True):
                assert torch.allclose(got[row, model], right), f"vmap's gradient differs: {hypers}"


def functional_gradient(case: Case) -> None:
    """torch.func.grad gives autograd's gradient."""
    input, target = case.batch()
    leaves = tuple(case.free(input, target))
    _, expected = case.slopes(input, target)

    def function(leaves: tuple[Tensor, ...]) -> Tensor:
        return case.loss(*case.at(input, target, leaves))

    for got, right in zip(torch.func.grad(function)(leaves), expected, strict=True):
        assert torch.allclose(got, right), "torch.func.grad and autograd differ"


def autocast(case: Case) -> None:
    """Autocast to bfloat16 leaves the computation in float32."""
    input, target = case.batch(dtype=torch.float32)
    expected = case.loss(input, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = case.loss(input, target)
    assert got.dtype == torch.float32, f"autocast makes the loss {got.dtype}"
    assert torch.equal(got, expected), f"autocast changes {expected.item()} to {got.item()}"


def casts_keep_hypers(case: Case) -> None:
    """Casting the model to half precision rounds no hyperparameter and no state."""
    for cast in HALVES:
        loss = copy.deepcopy(case.loss)
        for name in tunable(loss):
            _set(loss, name, torch.as_tensor(getattr(loss, name)) / 3)  # thirds are never exact
        before = {name: value.double() for name, value in _numbers(loss).items()}
        for name, after in _numbers(loss.to(cast)).items():
            assert torch.equal(after.double(), before[name]), (
                f".to({cast}) rounds {name} from {before[name].tolist()} to {after.tolist()}"
            )


def half_precision_follows(case: Case) -> None:
    """State that a model cast to half precision, or built in it, gathers is that of float32."""
    batches = [case.batch(seed=seed) for seed in range(20)]
    for half in HALVES:
        seen = [tuple(tree_map(_to(half), part) for part in batch) for batch in batches]
        progress = [
            Progress(step=count, epoch=count // 5, signals=brought(case.card, *batch))
            for count, batch in enumerate(seen, 1)
        ]
        before = torch.get_default_dtype()
        torch.set_default_dtype(half)
        try:
            built = type(case.loss)(**rebuilding(case.loss))
        finally:
            torch.set_default_dtype(before)
        right = copy.deepcopy(case.loss).float()
        wide = {name: one for name, one in right.named_parameters() if one.numel() > 1}
        for one in wide.values():  # which are the model's, as its weights are
            one.data = one.data.to(half).float()
        built.load_state_dict(right.state_dict())  # which may have seen something already
        cast = copy.deepcopy(right)
        for loss in (right, cast.to(half), built):
            for step in progress:
                loss.observe(step)
            expected = right.state_dict()
            for name in expected.keys() - wide.keys():
                value = loss.state_dict()[name]
                assert torch.equal(value, expected[name]), (
                    f"in {half} {name} becomes {value.tolist()}, in float32 "
                    f"{expected[name].tolist()}"
                )


def overflow_is_left_out(case: Case) -> None:
    """A step that brings NaN or infinity, as one that overflows in float16, spoils no state."""
    good = case.batch()
    for number in (torch.nan, torch.inf):
        loss = copy.deepcopy(case.loss)
        before = copy.deepcopy(loss.state_dict())
        bad = brought(case.card, *(tree_map(partial(_filled, number), part) for part in good))
        loss.observe(Progress(step=1, epoch=0, signals=bad))
        real = {name: one for name, one in loss.state_dict().items() if one.is_floating_point()}
        spoilt = [name for name, one in real.items() if not one.isfinite().all()]
        assert not spoilt, f"a step of {number} leaves {', '.join(spoilt)} not finite"
        if any(one.isnan().any() for part in bad.values() for one in tree_leaves(part)):
            moved = [name for name, one in real.items() if not torch.equal(one, before[name])]
            assert not moved, f"a step of NaN moves {', '.join(moved)}"
        loss.observe(Progress(step=2, epoch=0, signals=brought(case.card, *good)))
        assert loss(*good).isfinite(), f"after a step of {number} the value is not finite"


def _filled(number: float, part: Tensor) -> Tensor:
    return torch.full_like(part, number) if part.is_floating_point() else part


def _settings(case: Case, names: list[str]) -> list[list[Tensor]]:
    """Two settings of the hyperparameters; one where there are none."""
    columns = [hyper_values(case.loss, name, 2) for name in names]
    return [[column[row % len(column)] for column in columns] for row in range(2 if names else 1)]


def _numbers(loss: Loss) -> dict[str, Tensor]:
    """Return hyperparameters, state and learned numbers; what is no number is the model's."""
    weights = [name for name, one in loss.named_parameters() if one.numel() > 1]
    return {name: value for name, value in loss.state_dict().items() if name not in weights}


def _row(tensor: Tensor) -> Tensor:
    return tensor.unsqueeze(0)


def _to(dtype: torch.dtype) -> Any:
    return lambda x: x.to(dtype) if x.is_floating_point() else x


def _set(loss: torch.nn.Module, name: str, value: Tensor) -> None:
    present = getattr(loss, name)
    if isinstance(present, Tensor):
        with torch.no_grad():
            present.copy_(value)
    else:
        setattr(loss, name, float(value))
