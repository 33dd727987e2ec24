"""The small models of the atlas, and how each candidate is trained: alike but for its loss.

Tables of one number or class a row take the stacked body of a study (`StackedMLP`), all candidates,
learning rates and repeats at once. Everything else is trained one after another: by the same
optimizer, batches, seeds and running average of the weights.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from atlas_parts import Part, at, first
from lossmith.core.driver import parameter_groups
from lossmith.core.loss import Loss
from lossmith.study.data.encoder import Encoder
from lossmith.study.training.averaging import WeightAverage
from lossmith.study.training.budget import Budget, TrialSpec, batches
from lossmith.study.training.heads import predict
from lossmith.study.training.stacked import WEIGHT_DECAY, Rows, StackedBatch

RATES = (0.003, 0.01)
SHARES = (0.25, 0.5, 1.0)  # of the epochs, after which the inner rows are scored
STEPS = 300  # of a training
FEWER = {"segmentation": 150, "tokens": 100}  # of the larger models
BATCHES = {"segmentation": 16, "tokens": 32}  # rows a step; 32 or 64 of the others
WIDTH, EMBEDDING = 64, 16
Repeats = Sequence[tuple[Part, Part, Part]]  # rows to train on, to choose by, to test on


class Reading(NamedTuple):
    """What one training predicts after a share of its epochs."""

    candidate: str
    repeat: int
    loss: Loss
    inner: Any
    test: Any


def fitting(repeats: Repeats, candidates: Mapping[str, Any]) -> dict[str, Any]:
    """Return the candidates that take the training targets of every repeat; tell of the others."""
    found = dict(candidates)
    for train, _, _ in repeats:
        target = _tensors(train.target)
        for name, candidate in list(found.items()):
            try:
                candidate.fit(target)
            except ValueError as error:
                del found[name]
                print(f"{name} takes no part: {error}", file=sys.stderr)
    return found


def stacked(repeats: Repeats, candidates: Mapping[str, Any]) -> Iterator[Reading]:
    """Train all candidates of a table at all rates and repeats side by side."""
    train, judged, sizes = [], [], []
    for parts in repeats:
        encoder = Encoder().fit(parts[0].inputs)
        x, inner, test = (torch.from_numpy(encoder.transform(part.inputs)) for part in parts)
        train.append((x, torch.from_numpy(parts[0].target)))
        judged.append(torch.cat([inner, test]))
        sizes.append(len(inner))
    rows = Rows(train, judged, list(range(len(repeats))))
    specs = [
        TrialSpec(
            candidate=name,
            learning_rate=rate,
            losses=tuple(candidate.fit(target) for _, target in train),
        )
        for name, candidate in candidates.items()
        for rate in RATES
    ]
    usual = Budget.for_rows(rows.target.shape[1])
    steps = rows.target.shape[1] // usual.batch
    budget = replace(usual, epochs=max(4, round(STEPS / steps)))
    batch = StackedBatch(rows, specs, budget)
    for epoch in _marks(budget.epochs):
        batch.advance(epoch - batch.epoch)
        for spec, outputs in zip(batch.trials, batch.outputs(), strict=True):
            for number, (size, output) in enumerate(zip(sizes, outputs, strict=True)):
                loss = spec.losses[number]
                found = predict(loss, output)
                yield Reading(spec.candidate, number, loss, found[:size], found[size:])


def one_by_one(
    kind: str, task: Any, repeats: Repeats, candidates: Mapping[str, Any]
) -> Iterator[Reading]:
    """Train each candidate of a task of arrays at each rate on each repeat."""
    for number, parts in enumerate(repeats):
        inputs = _encoded(parts)
        target = _tensors(parts[0].target)
        for name, candidate in candidates.items():
            for rate in RATES:
                loss = candidate.fit(target)
                model = make(kind, task, loss, inputs[0], parts[0].target, number)
                for _ in _trained(model, loss, inputs[0], target, rate, kind, number):
                    found = [_outputs(model, one) for one in inputs[1:]]
                    yield Reading(name, number, loss, *(loss.decode(one) for one in found))


def _trained(
    model: nn.Module,
    loss: Loss,
    inputs: Tensor,
    target: Any,
    rate: float,
    kind: str,
    seed: int,
) -> Iterator[int]:
    """Train a model, and yield after each share of the epochs with its averaged weights on."""
    rows = len(inputs)
    size = min(rows, BATCHES.get(kind, 32 if rows < 1000 else 64))
    epochs = max(4, round(FEWER.get(kind, STEPS) / (rows // size)))
    budget = Budget(epochs=epochs, batch=size)
    groups = parameter_groups(model, loss, weight_decay=WEIGHT_DECAY)
    optimizer = torch.optim.AdamW(groups, lr=rate, fused=True)
    average, order = WeightAverage(model), torch.Generator().manual_seed(seed)
    marks = _marks(epochs)
    for epoch in range(epochs):
        if loss.moves:
            loss.observe(budget.progress(epoch))
        for chosen in batches(rows, size, order):
            value = loss(model(inputs[chosen]), at(target, chosen))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            average.update(model)
        if epoch + 1 in marks:
            with average.applied(model):
                yield epoch + 1


def _marks(epochs: int) -> list[int]:
    return sorted({max(1, round(share * epochs)) for share in SHARES})


@torch.no_grad()
def _outputs(model: nn.Module, inputs: Tensor) -> Tensor:
    return torch.cat([model(some) for some in inputs.split(256)])


def _encoded(parts: Sequence[Part]) -> list[Tensor]:
    if isinstance(parts[0].inputs, pd.DataFrame):
        encoder = Encoder().fit(parts[0].inputs)
        return [torch.from_numpy(encoder.transform(part.inputs)) for part in parts]
    return [torch.from_numpy(np.ascontiguousarray(part.inputs)) for part in parts]


def _tensors(target: Any) -> Any:
    if isinstance(target, Mapping):
        return {name: torch.from_numpy(one) for name, one in target.items()}
    return torch.from_numpy(target)


def make(kind: str, task: Any, loss: Loss, inputs: Tensor, target: Any, seed: int) -> nn.Module:
    """Return a task's model with the head that a loss needs."""
    torch.manual_seed(seed)
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
    if kind == "forecasting":
        return Scaled(inputs, mlp(inputs.shape[1], task.width(loss, target)))
    width = task.width(loss, target)
    return (
        mlp(inputs.shape[1], width)
        if width > 1
        else nn.Sequential(mlp(inputs.shape[1], width), nn.Flatten(0))
    )


def mlp(inputs: int, outputs: int) -> nn.Sequential:
    """Return two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, WIDTH),
        nn.SiLU(),
        nn.Linear(WIDTH, WIDTH),
        nn.SiLU(),
        nn.Linear(WIDTH, outputs),
    )


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
