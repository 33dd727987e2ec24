"""Every loss on a simulated device. Run with the guard's library and a device, it prints JSON."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from device import guard

if __name__ == "__main__":
    guard.load(sys.argv[1], sys.argv[2])

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException

from device.simulation import Simulation
from lossmith import CrossEntropy
from lossmith.catalogue import find
from lossmith.core import Progress
from lossmith.core.loss import Loss
from lossmith.core.serial import plain
from lossmith.core.tree import tree_leaves, tree_map
from lossmith.testing.cases import Case, brought, example

ROWS, DRAWN, TIMES = 4096, 8, 16
WIDTHS = {"classes", "features", "in_features", "times", "counts", "center", "class_weight"}


def widened(loss: Loss) -> Loss:
    """Return a loss like this one for so many times the classes, features or bins of time."""
    return type(loss)(**{name: _wide(name, one) for name, one in loss.arguments().items()})


def _wide(name: str, value: Any) -> Any:
    if isinstance(value, Loss):
        return widened(value)
    if value is None or name not in WIDTHS:
        return value
    if name == "times":
        return [float(place + 1) for place in range(TIMES * len(value))]
    return plain(value) * TIMES  # a number, or each of a list again


def sized(loss: Loss) -> Iterator[tuple[Loss, Any, Any]]:
    """Yield a loss with tensors like its batch, the largest first: it may not take them."""
    times = 1 if loss.card.trains_head else TIMES  # a head is as wide as the loss is built for
    for one, wider in ((widened(loss), times), (loss, TIMES), (loss, 1)):
        batch = Case(one).batch(DRAWN)
        input, target = (tree_map(lambda x, t=wider: _large(x, t), part) for part in batch)
        yield one, input, target


def _large(tensor: Tensor, times: int) -> Tensor:
    """Return a tensor without memory of more rows, so many times as wide, of float32 if real."""
    shape = (ROWS, *(times * size if size > 1 else 1 for size in tensor.shape[1:]))
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return torch.empty(shape, dtype=dtype, device="meta")


def outcome(loss: nn.Module, input: Any, target: Any, device: str, moved: bool) -> dict[str, Any]:
    """Return the outcome of a loss that is moved to the device, or of which weights alone are."""
    simulation = Simulation(device)
    with simulation.on():
        if moved:
            loss.to(device)
        else:
            for part in loss.modules():
                for name, one in part._parameters.items():
                    if one is not None:
                        part._parameters[name] = nn.Parameter(one.detach().to(device))
        input, target = (
            tree_map(lambda x: torch.empty_like(x, device=device), part) for part in (input, target)
        )
        tree_map(lambda x: x.requires_grad_(x.is_floating_point()), input)
        found = simulation.outcome(lambda: loss(input, target))
    leaves = list(tree_leaves(input))
    shapes = list(dict.fromkeys(tuple(one.shape) for one in leaves))
    return {**found, "shapes": shapes, "input": sum(one.nbytes for one in leaves)}


def of_loss(loss: Loss, device: str, moved: bool) -> dict[str, Any]:
    """Return the outcome at the largest size that a loss takes, or the error that it raises."""
    for one, input, target in sized(loss):
        try:
            return outcome(one, input, target, device, moved)
        except ValueError as error:  # of a shape
            found = {"error": str(error)}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {str(error)[:300]}"}
    return found


def of_all(device: str, moved: bool) -> dict[str, dict[str, Any]]:
    """Return the outcome of every loss by key."""
    return {key: of_loss(example(kind), device, moved) for key, kind in find().items()}


def of_building_and_observing(device: str) -> dict[str, str]:
    """Return what fails where a loss is built with a default device, or observes what is on one.

    Both may look at values, for which a program waits and at which the simulation ends.
    """
    failed = {}
    for key, kind in find().items():
        simulation, loss = Simulation(device), example(kind)
        signals = brought(kind.card, *Case(loss).batch(DRAWN)) if kind.card.required_signals else {}
        signals = {name: tree_map(_single, one) for name, one in signals.items()}
        with simulation.on():
            given = {name: tree_map(simulation.taken, one) for name, one in signals.items()}
            try:
                loss.observe(Progress(step=1, epoch=1, signals=given))
                with torch.device(device):
                    example(kind)
            except (DataDependentOutputException, DynamicOutputShapeException):
                pass
            except Exception as error:
                failed[key] = f"{type(error).__name__}: {str(error)[:300]}"
    return failed


def _single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def of_torch(device: str) -> dict[str, dict[str, Any]]:
    """Return the outcome of torch's own losses, by the key of the same loss here."""
    found = {}
    for key, own in TORCH.items():
        loss = WEIGHTED if key == "class weights" else example(find()[key])
        _, input, target = next(sized(loss))
        found[key] = {
            **outcome(own, input, target, device, moved=True),
            "name": type(own).__name__,
        }
    return found


class KLDivLoss(nn.KLDivLoss):
    """Torch's, of the logits that the loss here reads."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the divergence of two softmaxes."""
        return super().forward(input.log_softmax(1), target.log_softmax(1))


WEIGHTED = CrossEntropy(classes=2, class_weight=[1.0, 2.0])
TORCH: dict[str, nn.Module] = {
    "mse": nn.MSELoss(),
    "mae": nn.L1Loss(),
    "huber": nn.HuberLoss(),
    "smooth_l1": nn.SmoothL1Loss(),
    "cross_entropy": nn.CrossEntropyLoss(),
    "binary_cross_entropy": nn.BCEWithLogitsLoss(),
    "poisson": nn.PoissonNLLLoss(full=True),
    "kl": KLDivLoss(reduction="batchmean", log_target=True),
    "class weights": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0] * TIMES)),
}

if __name__ == "__main__":
    device = sys.argv[2]
    torch.__future__.set_swap_module_params_on_conversion(False)
    ways = {"moved": of_all(device, True), "unmoved": of_all(device, False)}
    others = {"built": of_building_and_observing(device), "torch": of_torch(device)}
    weighted = {"weighted": of_loss(WEIGHTED, device, moved=True)}
    print(json.dumps({**ways, **others, **weighted}))
