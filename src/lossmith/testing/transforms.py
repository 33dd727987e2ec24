"""What PyTorch does with a loss: compile, vmap, functional gradients, autocast, casts."""

import copy
from typing import Any

import torch
from torch import Tensor

from lossmith.testing.cases import Case, hyper_values, tunable


class _Counter:
    """A compiler backend that counts the graphs it is given."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        from torch._dynamo.backends.debugging import aot_eager

        self.graphs += 1
        return aot_eager(graph, inputs)


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
            leaf = input.clone().requires_grad_()
            value = function(leaf, target)
            results += [value.detach(), *torch.autograd.grad(value, leaf)]
        assert torch.allclose(results[0], results[2], rtol=1e-5, atol=1e-7), (
            f"compiled it gives {results[0].item()}, eager {results[2].item()}"
        )
        assert torch.allclose(results[1], results[3], rtol=1e-4, atol=1e-7), (
            "compiled and eager gradients differ"
        )
        first = first or counter.graphs
        assert counter.graphs == first, (
            f"compiled again when {', '.join(tunable(loss))} changed; "
            "keep hyperparameters as buffers, not as floats"
        )


def vmap_equals_loop(case: Case) -> None:
    """vmap over models × hyperparameters equals the loop, in values and gradients."""
    names = tunable(case.loss)
    sets = [dict(zip(names, row, strict=True)) for row in _settings(case, names)]
    inputs = torch.stack([case.inputs(seed=seed) for seed in range(2)])
    target = case.targets()
    stacked = {name: torch.stack([row[name] for row in sets]) for name in names}

    def one(input: Tensor, hypers: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(case.loss, hypers, (input, target))

    both = torch.func.grad_and_value(one)
    slopes, values = (
        torch.func.vmap(torch.func.vmap(both, in_dims=(0, None)), in_dims=(None, 0))(
            inputs, stacked
        )
        if names
        else [part.unsqueeze(0) for part in torch.func.vmap(lambda x: both(x, {}))(inputs)]
    )
    for row, hypers in enumerate(sets):
        for model, input in enumerate(inputs):
            slope, value = both(input, hypers)
            assert torch.allclose(values[row, model], value), f"vmap's value differs at {hypers}"
            assert torch.allclose(slopes[row, model], slope), f"vmap's gradient differs at {hypers}"


def functional_gradient(case: Case) -> None:
    """torch.func.grad gives autograd's gradient."""
    input, target = case.batch()
    leaf = input.clone().requires_grad_()
    (expected,) = torch.autograd.grad(case.loss(leaf, target), leaf)
    got = torch.func.grad(lambda x: case.loss(x, target))(input)
    assert torch.allclose(got, expected), "torch.func.grad and autograd differ"


def autocast(case: Case) -> None:
    """Autocast to bfloat16 leaves the computation in float32."""
    input, target = case.batch(dtype=torch.float32)
    expected = case.loss(input, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = case.loss(input, target)
    assert got.dtype == torch.float32, f"autocast makes the loss {got.dtype}"
    assert torch.equal(got, expected), f"autocast changes {expected.item()} to {got.item()}"


def casts_keep_hypers(case: Case) -> None:
    """Casting the model to half precision rounds no hyperparameter."""
    for cast in (torch.bfloat16, torch.float16):
        loss = copy.deepcopy(case.loss)
        for name in tunable(loss):
            _set(loss, name, torch.as_tensor(getattr(loss, name)) / 3)  # thirds are never exact
        before = {name: value.double() for name, value in loss.state_dict().items()}
        for name, after in loss.to(cast).state_dict().items():
            assert torch.equal(after.double(), before[name]), (
                f".to({cast}) rounds {name} from {before[name].tolist()} to {after.tolist()}"
            )


def _settings(case: Case, names: list[str]) -> list[list[Tensor]]:
    """Two settings of the hyperparameters; one where there are none."""
    columns = [hyper_values(case.loss, name, 2) for name in names]
    return [[column[row % len(column)] for column in columns] for row in range(2 if names else 1)]


def _set(loss: torch.nn.Module, name: str, value: Tensor) -> None:
    present = getattr(loss, name)
    if isinstance(present, Tensor):
        with torch.no_grad():
            present.copy_(value)
    else:
        setattr(loss, name, float(value))
