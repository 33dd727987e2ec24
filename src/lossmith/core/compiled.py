"""A loss compiled to its value and gradients in one pass.

Compiled as any module, a loss gives two graphs: one for the value, which writes down what the other
needs for the gradients. In one graph both are formed while a number is at hand.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lossmith.kernels.choice import transformed
from lossmith.kernels.value_and_grad import value_and_grad

Call = Callable[..., Tensor]
HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


def in_one_pass(loss: nn.Module, hooked: Any, **options: Any) -> Call:
    """Return a call of the loss that forms value and gradients in one compiled graph.

    options are those of `torch.compile`; hooked is the call where the loss has hooks.
    """
    bare = _Forward(loss)
    alone: Call = torch.compile(bare, **options)
    both = torch.compile(torch.func.grad_and_value(bare.of), **options)

    def call(input: Any, target: Any = None, **given: Any) -> Tensor:
        if any(getattr(loss, hooks) for hooks in HOOKS):
            return hooked(input, target, **given)
        named = dict(_named({"input": input, "target": target, **given, "loss": bare.learned()}))
        free = {n: t for n, t in named.items() if isinstance(t, Tensor) and t.requires_grad}
        if torch.compiler.is_compiling() or transformed():
            return bare(input, target, **given)
        if not (free and torch.is_grad_enabled()):
            return alone(input, target, **given)
        fixed = {name: given for name, given in named.items() if name not in free}

        def slopes(*tensors: Tensor) -> tuple[Tensor, list[Tensor]]:
            detached = (tensor.detach() for tensor in tensors)
            found, value = both(dict(zip(free, detached, strict=True)), fixed)
            return value, [found[name] for name in free]

        def plain(*tensors: Tensor) -> Tensor:
            return bare.of(dict(zip(free, tensors, strict=True)), fixed)

        return value_and_grad(slopes, plain, *free.values())

    return call


class _Forward(nn.Module):
    """The loss without its compiled call, as a function of everything it depends on, by name."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, *args: Any, **given: Any) -> Tensor:
        value: Tensor = self.loss.forward(*args, **given)
        return value

    def learned(self) -> dict[str, Tensor]:
        return dict(self.loss.named_parameters())

    def of(self, free: Mapping[str, Any], fixed: Mapping[str, Any]) -> Tensor:
        given: dict[str, Any] = {}
        for path, one in (*free.items(), *fixed.items()):
            name, _, part = path.partition(".")
            if part:
                given.setdefault(name, {})[part] = one
            else:
                given[name] = one
        learned = {f"loss.{name}": tensor for name, tensor in given.pop("loss", {}).items()}
        args = given.pop("input"), given.pop("target")
        value: Tensor = torch.func.functional_call(self, learned, args, given)
        return value


def _named(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{part}", tensor) for part, tensor in value.items())
        else:
            yield name, value
