"""The small models of the atlas."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as nnf
from torch.utils._pytree import tree_map

from atlas_parts import first
from lossmith.core.loss import Loss

WIDTH, EMBEDDING = 64, 16
STUDENT, TEACHER = 16, 512  # widths of the two in distillation


def make(kind: str, task: Any, loss: Loss, inputs: Tensor, target: Any) -> nn.Module:
    """Return a task's model with the head that a loss needs."""
    if kind == "segmentation":
        return Blocks(task.width(loss, target))
    if kind == "tokens":
        return Characters(1 + int(max(inputs.max(), first(target).max())), task.width(loss, target))
    if kind == "ranking":
        return (
            Items(inputs.shape[-1]) if inputs.ndim == 3 else mlp(inputs.shape[1], target.shape[1])
        )
    if kind == "retrieval":
        return mlp(inputs.shape[1], EMBEDDING)
    if kind == "detection":
        return Finder(torch.from_numpy(target).mean(0))
    if kind == "forecasting":
        return Scaled(inputs, mlp(inputs.shape[1], task.width(loss, target)))
    width = task.width(loss, target)
    return (
        mlp(inputs.shape[1], width)
        if width > 1
        else nn.Sequential(mlp(inputs.shape[1], width), nn.Flatten(0))
    )


def mlp(inputs: int, outputs: int, width: int = WIDTH) -> nn.Sequential:
    """Return two hidden layers."""
    return nn.Sequential(hidden(inputs, width), nn.Linear(width, outputs))


def hidden(inputs: int, width: int = WIDTH) -> nn.Sequential:
    """Return two layers, which end in features."""
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())


class Tuned(nn.Module):
    """A body that may be trained before, with a head."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body, self.head = hidden(inputs), nn.Linear(WIDTH, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs (N, C)."""
        return self.head(self.body(inputs))


class Encoding(nn.Module):
    """Features (N, D) of pictures or measurements; a projector and a predictor of what it gives.

    Both train the features and are left aside when these are judged.
    """

    def __init__(self, inputs: Tensor) -> None:
        super().__init__()
        self.body = pictures(inputs.shape[-1], 1) if inputs.ndim == 4 else hidden(inputs.shape[1])
        self.projector, self.predictor = _projector(), _projector()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return features."""
        return self.body(inputs)


def _projector() -> nn.Sequential:
    wide = 2 * WIDTH
    norm = nn.BatchNorm1d(wide, track_running_stats=False)  # it never sees rows one by one
    return nn.Sequential(nn.Linear(WIDTH, wide), norm, nn.SiLU(), nn.Linear(wide, WIDTH))


def pictures(side: int, channels: int) -> nn.Sequential:
    """Return two convolutions, each of half the resolution, and a layer to features."""
    small = (side + 3) // 4
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(32 * small * small, WIDTH),
        nn.SiLU(),
    )


class Finder(nn.Module):
    """The box of the one object of a picture; it starts at the mean box."""

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.body, self.head = pictures(16, 4), nn.Linear(WIDTH, 4)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.copy_(mean)

    def forward(self, images: Tensor) -> Tensor:
        """Return boxes (N, 4) of images (N, 1, 32, 32)."""
        return self.head(self.body(nnf.pixel_unshuffle(images, 2)))


class Stack(nn.Module):
    """Models of one shape side by side; one alone as it is."""

    def __init__(self, model: nn.Module, count: int) -> None:
        super().__init__()
        self.alone = model if count == 1 else None
        self.count, self.shape = count, (model,)  # a tuple, for its own weights are not trained
        own = {} if count == 1 else dict(model.named_parameters())
        self.names = [f"model.{name}" for name in own]
        copies = (one.detach().expand(count, *one.shape).clone() for one in own.values())
        self.weights = nn.ParameterList(copies)

    def each(self, see: Callable[[nn.Module, Any], Any], given: Any) -> list[Any]:
        """Return what a function sees of each model that is given the same."""
        if self.alone is not None:
            return [see(self.alone, given)]
        frame = _Seen(self.shape[0], see)
        weights = dict(zip(self.names, self.weights, strict=True))
        found = vmap(lambda own: functional_call(frame, own, (given,)))(weights)
        return [tree_map(lambda part, n=n: part[n], found) for n in range(self.count)]


class _Seen(nn.Module):
    def __init__(self, model: nn.Module, see: Callable[[nn.Module, Any], Any]) -> None:
        super().__init__()
        self.model, self.see = model, see

    def forward(self, given: Any) -> Any:
        return self.see(self.model, given)


class Scaled(nn.Module):
    """A series' model, which sees it centred and scaled by the training rows."""

    def __init__(self, inputs: Tensor, body: nn.Module) -> None:
        super().__init__()
        self.mean, self.scale, self.body = inputs.mean(), inputs.std(), body

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs (N, P H), H of each of a head's P parts."""
        return self.body((inputs - self.mean) / self.scale)


class Items(nn.Module):
    """A score for each item of a query, of its own features."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.body = mlp(features, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return scores (Q, I) of items (Q, I, F)."""
        return self.body(inputs).squeeze(-1)


class Blocks(nn.Module):
    """Convolutions over blocks of 2 × 2 pixels; a head of one output is (N, H, W)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(4, 16, 3, padding=1)
        self.deep = nn.Conv2d(16, 16, 3, padding=1)
        self.wide = nn.Conv2d(16, 16, 3, padding=2, dilation=2)
        self.norm = nn.GroupNorm(4, 16)
        self.head = nn.Conv2d(16, 4 * outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits a pixel, (N, C, H, W) of images (N, 1, H, W)."""
        first = nnf.silu(self.down(nnf.pixel_unshuffle(images, 2)))
        found = nnf.silu(self.norm(self.deep(first)))
        found = first + nnf.silu(self.wide(found))
        output = nnf.pixel_shuffle(self.head(found), 2)
        return output.squeeze(1) if output.shape[1] == 1 else output


class Characters(nn.Module):
    """Causal convolutions over the characters so far."""

    def __init__(self, known: int, outputs: int) -> None:
        super().__init__()
        self.letters = nn.Embedding(known, 32)
        self.layers = nn.ModuleList(nn.Conv1d(a, 64, 4) for a in (32, 64))
        self.head = nn.Conv1d(64, outputs, 1)

    def forward(self, codes: Tensor) -> Tensor:
        """Return logits (N, V, T) of codes (N, T)."""
        found = self.letters(codes).mT
        for layer in self.layers:
            found = nnf.silu(layer(nnf.pad(found, (3, 0))))
        return self.head(found)
