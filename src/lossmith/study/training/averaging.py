"""A running average of weights, good at any moment of training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

EVERY = 2  # steps between two updates
WINDOW = 8.0  # the average looks back over about 1/WINDOW of the updates so far


class WeightAverage:
    """The power-law average of a model's weights (Karras et al., 2024, in its simplest form).

    Its window grows with training, so that stopping early loses nothing and no learning rate
    has to be lowered towards an end that a training may not reach.
    """

    def __init__(self, model: nn.Module) -> None:
        self.steps = 0
        self.weights = [tensor.detach().clone() for tensor in _floating(model)]

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        if self.steps % EVERY == 0:
            share = WINDOW / (self.steps / EVERY + WINDOW)
            torch._foreach_lerp_(self.weights, [t.detach() for t in _floating(model)], share)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Give the model the averaged weights for a while."""
        live = [tensor.detach().clone() for tensor in _floating(model)]
        _assign(model, self.weights)
        try:
            yield
        finally:
            _assign(model, live)

    def install(self, model: nn.Module) -> None:
        """Give the model the averaged weights for good."""
        _assign(model, self.weights)

    def of(self, model: nn.Module) -> dict[Tensor, Tensor]:
        """Return the average of each of the model's tensors."""
        return dict(zip(_floating(model), self.weights, strict=True))

    def restart(self, model: nn.Module, averages: dict[Tensor, Tensor], steps: int) -> None:
        """Go on averaging another model, from given averages."""
        self.steps = steps
        self.weights = [averages[tensor] for tensor in _floating(model)]


def _floating(model: nn.Module) -> list[Tensor]:
    state = [*model.parameters(), *model.buffers()]
    return [tensor for tensor in state if tensor.is_floating_point()]


@torch.no_grad()
def _assign(model: nn.Module, values: list[Tensor]) -> None:
    for tensor, value in zip(_floating(model), values, strict=True):
        tensor.copy_(value)
