"""Features of a network within: what a perceptual loss compares."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

__all__ = ["features"]


def features(model: nn.Module, input: Any, names: Iterable[str]) -> dict[str, Tensor]:
    """Return what the named modules of a model give on one input, by name.

    The model is run once, as it is: freeze it, put it in `eval` mode, and call this for the
    target under `torch.no_grad()`.

    Args:
        model: the network whose features count.
        input: what it is called with.
        names: modules by their names in `model.named_modules()`.

    Raises:
        ValueError: if the model has no module of a name, or does not run it.

    >>> model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.ReLU())
    >>> features(model, torch.tensor([-1.0, 2.0]), ["0", "1"])
    {'0': tensor([-1.,  2.]), '1': tensor([0., 2.])}
    """
    modules, names = dict(model.named_modules()), list(names)
    found: dict[str, Tensor] = {}
    unknown = [name for name in names if name not in modules]
    if unknown:
        raise ValueError(f"the model has no module {unknown[0]!r}; it has: {', '.join(modules)}")

    def keep(name: str) -> Any:
        return lambda module, given, output: found.__setitem__(name, output)

    hooks = [modules[name].register_forward_hook(keep(name)) for name in names]
    try:
        model(input)
    finally:
        for hook in hooks:
            hook.remove()
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"the model does not run its module {missing[0]!r} on this input")
    return {name: found[name] for name in names}
