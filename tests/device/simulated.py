"""Every loss on a simulated device: kernels, and what a device would have to wait for.

Tensors are fake: they have shape, dtype and device, and torch's own rules of what may meet. Numbers
on the CPU are real, as they are for a program on a device. Run with the guard's library and a
device, it prints the outcomes as JSON.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from device import guard

if __name__ == "__main__":
    guard.load(sys.argv[1], sys.argv[2])

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from lossmith import CrossEntropy
from lossmith.catalogue import find
from lossmith.core import Progress
from lossmith.core.loss import Loss
from lossmith.core.tree import tree_map
from lossmith.testing.cases import Case, brought, example

ROWS = 8
NO_KERNEL = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "detach"}
NO_KERNEL |= {"alias", "_unsafe_view", "set_", "lift_fresh", "_reshape_alias", "device"}
WAITS = {"_linalg_check_errors", "_linalg_eigh", "_linalg_svd", "masked_select", "_unique2"}
WAITS |= {"nonzero", "is_nonzero", "equal", "_ctc_loss", "_use_cudnn_ctc_loss"}
# What torch's own code makes of one operation: top, three for infinities, sub, exp, sum, log, add.
SEVERAL = {"logsumexp": 9}


class Simulation(TorchDispatchMode):
    """Counts kernels and waits on a device; refuses float64 where the device has none."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device, self.fake = device, FakeTensorMode(allow_non_fake_inputs=True)
        self.kernels, self.waits = 0, list[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, func._schema.name.split("::")[1]
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        here = any(one.device.type == self.device for one in given)
        goes = torch.device(kwargs.get("device") or "cpu").type
        if not here and goes == "cpu" and not any(isinstance(one, FakeTensor) for one in given):
            with _disable_current_modes():
                return func(*args, **kwargs)
        away = kwargs.get("device") is not None and goes == "cpu"
        if here and (name in WAITS or away or (name == "copy_" and args[0].is_cpu)):
            self.waits.append(f"{name} to cpu" if away else name)
        out = func(*args, **kwargs)
        self._count(func, name, [one for one in tree_leaves(out) if isinstance(one, Tensor)], here)
        return out

    def _count(self, func: Any, name: str, out: list[Tensor], here: bool) -> None:
        mine = [one for one in out if one.device.type == self.device]
        if self.device == "mps" and any(one.dtype == torch.float64 for one in mine):
            raise TypeError(f"mps has no float64, which {name} gives")
        idle = mine and not any(one.numel() for one in mine)  # of no number there is no kernel
        if (here or mine) and name not in NO_KERNEL and not func.is_view and not idle:
            self.kernels += SEVERAL.get(name, 1)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Run what is within on the simulated device."""
        with self.fake, self:
            yield

    def taken(self, tensor: Tensor) -> Tensor:
        """Return a tensor like one that is real, on the device."""
        return self.fake.from_tensor(tensor).to(self.device)


def outcome(call: Callable[..., Tensor], input: Any, target: Any, simulation: Any) -> Any:
    """Return the kernels of a loss forward and backward, and what it waits for."""
    free = tree_map(lambda x: x.detach().requires_grad_(x.is_floating_point()), input)
    simulation.kernels, simulation.waits = 0, []
    value = call(free, target)
    forward = simulation.kernels
    if value.device.type != simulation.device:
        raise RuntimeError(f"the value is on {value.device}")
    if value.requires_grad:
        value.backward()
    found = {"forward": forward, "backward": simulation.kernels - forward}
    return {**found, "waits": simulation.waits}


def batch(case: Case, simulation: Simulation, rows: int = ROWS) -> tuple[Any, Any]:
    """Return a batch on the device, of float32 where real."""
    input, target = (tree_map(_single, part) for part in case.batch(rows))
    with simulation.on():
        return tree_map(simulation.taken, input), tree_map(simulation.taken, target)


def _single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def of_loss(loss: Loss, device: str, moved: bool) -> dict[str, Any]:
    """Return the outcome of a loss that is moved to the device, or of which weights alone are."""
    simulation = Simulation(device)
    input, target = batch(Case(loss), simulation)
    with simulation.on():
        if moved:
            loss.to(device)
        else:
            for part in loss.modules():
                for name, one in part._parameters.items():
                    if one is not None:
                        part._parameters[name] = nn.Parameter(one.detach().to(device))
        return outcome(loss, input, target, simulation)


def of_all(device: str, moved: bool) -> dict[str, dict[str, Any]]:
    """Return the outcome of every loss, or the error that it raises, by key."""
    found = {}
    for key, kind in find().items():
        try:
            found[key] = of_loss(example(kind), device, moved)
        except Exception as error:
            found[key] = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
    return found


def of_building_and_observing(device: str) -> dict[str, str]:
    """Return what fails where a loss is built with a default device, or observes what is on one.

    Both may look at values, for which a program waits and at which the simulation ends.
    """
    failed = {}
    for key, kind in find().items():
        simulation, loss = Simulation(device), example(kind)
        signals = brought(kind.card, *Case(loss).batch(ROWS)) if kind.card.required_signals else {}
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


def of_torch(device: str) -> dict[str, dict[str, Any]]:
    """Return the outcome of torch's own losses, by the key of the same loss here."""
    found = {}
    for key, own in TORCH.items():
        simulation = Simulation(device)
        loss = WEIGHTED if key == "class weights" else example(find()[key])
        given = batch(Case(loss), simulation)
        with simulation.on():
            found[key] = outcome(own.to(device), *given, simulation)
    return found


WEIGHTED = CrossEntropy(classes=2, class_weight=[1.0, 2.0])
TORCH: dict[str, nn.Module] = {
    "mse": nn.MSELoss(),
    "mae": nn.L1Loss(),
    "huber": nn.HuberLoss(),
    "smooth_l1": nn.SmoothL1Loss(),
    "cross_entropy": nn.CrossEntropyLoss(),
    "binary_cross_entropy": nn.BCEWithLogitsLoss(),
    "poisson": nn.PoissonNLLLoss(),
    "class weights": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0])),
}

if __name__ == "__main__":
    device = sys.argv[2]
    torch.__future__.set_swap_module_params_on_conversion(False)
    ways = {"moved": of_all(device, True), "unmoved": of_all(device, False)}
    others = {"built": of_building_and_observing(device), "torch": of_torch(device)}
    weighted = {"weighted": of_loss(WEIGHTED, device, moved=True)}
    print(json.dumps({**ways, **others, **weighted}))
