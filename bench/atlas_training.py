"""How each candidate of the atlas is trained: alike but for its loss.

Tables of one number or class a row take the stacked body of a study (`StackedMLP`), all candidates,
learning rates and repeats at once. Everything else is trained repeat after repeat, by the same
optimizer, batches, seeds and running average of the weights; side by side where models are alike.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch

from atlas_loops import STEPS, answers, encoded, loop_of, marks, tensors, trained
from atlas_models import Stack
from atlas_parts import Part
from lossmith.core.loss import Loss
from lossmith.study.data.encoder import Encoder
from lossmith.study.training.budget import Budget, TrialSpec
from lossmith.study.training.heads import HeadReader, predict
from lossmith.study.training.stacked import Rows, StackedBatch

RATES = (0.003, 0.01)
Repeats = Sequence[tuple[Part, Part, Part]]  # rows to train on, to choose by, to test on


class Reading(NamedTuple):
    """What one training predicts after a share of its epochs.

    predicted: by a reader of heads what it says of the rows to choose by, and of the test rows.
    """

    candidate: str
    repeat: int
    loss: Loss
    predicted: Callable[[HeadReader], tuple[Any, Any]]


def fitting(repeats: Repeats, candidates: Mapping[str, Any]) -> dict[str, Any]:
    """Return the candidates that take the training targets of every repeat; tell of the others."""
    found = dict(candidates)
    for train, _, _ in repeats:
        target = tensors(train.target)
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
    for epoch in marks(budget.epochs):
        batch.advance(epoch - batch.epoch)
        for spec, outputs in zip(batch.trials, batch.outputs(), strict=True):
            for number, (size, output) in enumerate(zip(sizes, outputs, strict=True)):
                loss = spec.losses[number]
                yield Reading(spec.candidate, number, loss, partial(_rows, loss, output, size))


def _rows(loss: Loss, output: Any, size: int, how: HeadReader) -> tuple[Any, Any]:
    found = predict(loss, output, how)
    return found[:size], found[size:]


def looped(
    kind: str, task: Any, repeats: Repeats, candidates: Mapping[str, Any], source: Any
) -> Iterator[Reading]:
    """Train each candidate of a task of arrays at each rate on each repeat."""
    for number, parts in enumerate(repeats):
        inputs, *judged = encoded(parts)
        loop = loop_of(kind, task, inputs, parts[0].target, number, source)
        for names in [list(candidates)] if loop.alike else [[name] for name in candidates]:
            for rate in RATES:
                losses = [task.routed(candidates[name].fit(loop.target)) for name in names]
                models = Stack(loop.model(losses[0]), len(losses))
                for _ in trained(loop, models, losses, rate):
                    told = zip(
                        names, losses, *(answers(models, one) for one in judged), strict=True
                    )
                    for name, loss, *found in told:
                        loss = loop.reader(loss, models)
                        yield Reading(name, number, loss, partial(_arrays, task.head(loss), found))


def _arrays(head: Loss, outputs: Sequence[Any], how: HeadReader) -> tuple[Any, ...]:
    return tuple(how(head, one).detach().numpy() for one in outputs)


def untrained(kind: str, task: Any, repeats: Repeats) -> Iterator[Any]:
    """Yield what the model of each repeat says of the test rows before it is trained."""
    for number, parts in enumerate(repeats):
        inputs, _, test = encoded(parts)
        loop = loop_of(kind, task, inputs, parts[0].target, number)
        yield answers(Stack(loop.model(None), 1), test)[0].numpy()
