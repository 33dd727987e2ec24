"""Train many trials at once in stacked parameters, one optimizer a learning rate."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as nnf

from lossmith.core.driver import parameter_groups
from lossmith.study.tasks.lists import NO_ITEM, filled, list_batches
from lossmith.study.tasks.timed import TimedLoss
from lossmith.study.training.averaging import WeightAverage
from lossmith.study.training.budget import Budget, TrialSpec, batches
from lossmith.study.training.heads import one_column
from lossmith.study.training.mlp import StackedMLP
from lossmith.study.training.optimizer import AdamW
from lossmith.study.training.piecewise import PiecewiseLinear
from lossmith.study.training.stacked_loss import stack_key, stacked_loss

WEIGHT_DECAY = 0.05
MOST = 1 << 22  # numbers of outputs that are scored, or differentiated, at once

Item = TypeVar("Item")


class Rows:
    """The rows of several folds, equally many to train on in each.

    Args:
        train: features and targets of each fold; columns may differ in number, short ones are
            padded with zeros.
        valid: features of each fold's validation rows.
        seeds: of each fold.
        length: of the lists that rows are items of, by the second of their targets; 0 for none.
            A row that is no item then comes last.
    """

    def __init__(
        self,
        train: Sequence[tuple[Tensor, Tensor]],
        valid: Sequence[Tensor],
        seeds: Sequence[int],
        length: int = 0,
    ) -> None:
        shortest = min(len(target) for _, target in train)
        columns = max(features.shape[1] for features, _ in train)
        self.features = torch.stack([_pad(x[:shortest], columns) for x, _ in train])
        self.target = torch.stack([target[:shortest] for _, target in train])
        self.valid = [_pad(x, columns) for x in valid]
        self.embedding = PiecewiseLinear.of(self.features)
        self.seeds = tuple(seeds)
        self.lists: list[Tensor] = []
        if length:
            lists = [filled(target, length) for target in self.target]
            fewest = min(map(len, lists))
            self.lists = [one[:fewest] for one in lists]
            self.features = nnf.pad(self.features, (0, 0, 0, 1))
            self.target = nnf.pad(self.target, (0, 0, 0, 1), value=NO_ITEM)

    def batches(self, fold: int, batch: int, order: torch.Generator) -> list[Tensor]:
        """Shuffle a fold's rows, or its lists, into batches."""
        if self.lists:
            return list_batches(self.lists[fold], batch, order)
        return batches(self.target.shape[1], batch, order)

    @property
    def width(self) -> int:
        """How many numbers a body sees of a row."""
        return self.features.shape[-1] + self.embedding.added

    def batch(self, chosen: Tensor) -> Tensor:
        """Return what bodies see of each fold's chosen rows, (folds, rows, width)."""
        folds = torch.arange(len(self.seeds)).unsqueeze(1)
        return self.embedding(self.features[folds, chosen])


class StackedTrials:
    """Trials of one learning rate over the same folds: one model, one optimizer."""

    def __init__(
        self, rows: Rows, trials: Sequence[TrialSpec], keys: Sequence[str] | None = None
    ) -> None:
        keys = keys or [stack_key(trial.losses) for trial in trials]
        ordered = sorted(
            zip(trials, keys, strict=True), key=lambda pair: (pair[0].out_features, pair[1])
        )
        self.trials, self.keys = [trial for trial, _ in ordered], [key for _, key in ordered]
        self.model = StackedMLP(rows.width, [t.out_features for t in self.trials], rows.seeds)
        self.losses = torch.nn.ModuleList(loss for t in self.trials for loss in t.losses)
        self.optimizer = AdamW(
            parameter_groups(self.model, self.losses, weight_decay=WEIGHT_DECAY),
            lr=self.trials[0].learning_rate,
            fused=True,
        )
        self.average = WeightAverage(self.model)
        self.shares = [
            Counter(key for _, key in group)
            for _, group in groupby(ordered, key=lambda pair: pair[0].out_features)
        ]

    def parts(self, outputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return views (folds, trials, rows, outputs) of outputs, one for each kind of loss."""
        found: dict[str, Tensor] = {}
        for output, shares in zip(outputs, self.shares, strict=True):
            found |= zip(shares, output.split(list(shares.values()), dim=1), strict=True)
        return found

    def averaged(self) -> StackedMLP:
        """Return the model with its averaged weights, done with training."""
        self.average.install(self.model)
        return self.model

    def kept(self, rows: Rows, indices: Sequence[int]) -> "StackedTrials":
        """Return a stack of some of the trials, as if the others had never been there."""
        smaller = StackedTrials(
            rows, [self.trials[i] for i in indices], [self.keys[i] for i in indices]
        )
        averages = self.average.of(self.model)
        values: dict[Tensor, Tensor] = {}
        everyone = range(len(indices))
        for new, (old, dim, index) in zip(
            [parameter for parameter, _, _ in smaller.model.slices(everyone)],
            self.model.slices(indices),
            strict=True,
        ):
            new.data = old.data.index_select(dim, index)
            values[new] = averages[old].index_select(dim, index)
            smaller.optimizer.state[new] = {
                name: value.index_select(dim, index) if value.ndim else value
                for name, value in self.optimizer.state.get(old, {}).items()
            }
        for own in smaller.losses.parameters():
            smaller.optimizer.state[own] = self.optimizer.state.get(own, {})
        smaller.average.restart(smaller.model, values, self.average.steps)
        return smaller

    def state_dict(self) -> dict[str, Any]:
        """Return the weights, their average, and the states of the losses and the optimizer."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.weights,
            "steps": self.average.steps,
            "losses": self.losses.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state of the same trials."""
        for part in ("model", "losses", "optimizer"):
            getattr(self, part).load_state_dict(state[part])
        self.average.weights, self.average.steps = list(state["average"]), state["steps"]


class StackedBatch:
    """Trials of any loss and learning rate over the same folds, trained side by side."""

    def __init__(self, rows: Rows, trials: Sequence[TrialSpec], budget: Budget) -> None:
        self.rows, self.budget, self.epoch = rows, budget, 0
        by_rate = sorted(trials, key=lambda trial: trial.learning_rate)
        self.stacks = [
            StackedTrials(rows, list(group))
            for _, group in groupby(by_rate, key=lambda trial: trial.learning_rate)
        ]
        self.objectives = self._objectives()
        self.orders = [torch.Generator().manual_seed(seed) for seed in rows.seeds]

    @property
    def trials(self) -> list[TrialSpec]:
        """The trials, in the order of `outputs`."""
        return [trial for stack in self.stacks for trial in stack.trials]

    def advance(self, epochs: int) -> None:
        """Train every trial for some epochs."""
        for _ in range(epochs):
            self._observe()
            orders = [
                self.rows.batches(fold, self.budget.batch, order)
                for fold, order in enumerate(self.orders)
            ]
            for chosen in zip(*orders, strict=True):
                index = torch.stack(chosen)
                self._step(self.rows.batch(index), index)

    def _observe(self) -> None:
        """Tell losses on schedules which epoch begins."""
        progress = self.budget.progress(self.epoch)
        for trial in self.trials:
            for loss in trial.losses:
                if loss.moves:
                    loss.observe(progress)
        self.epoch += 1

    def _step(self, features: Tensor, index: Tensor) -> None:
        outputs = [stack.model(features) for stack in self.stacks]
        slopes = [[torch.empty_like(one) for one in own] for own in outputs]
        for stack in self.stacks:
            stack.optimizer.zero_grad()
        self._differentiate(outputs, slopes, index)
        torch.autograd.backward([*chain(*outputs)], [*chain(*slopes)])
        for stack in self.stacks:
            stack.optimizer.step()
            stack.average.update(stack.model)

    @torch.no_grad()
    def _differentiate(
        self, outputs: Sequence[Sequence[Tensor]], slopes: Sequence[Sequence[Tensor]], index: Tensor
    ) -> None:
        """Write the losses' gradients with respect to the outputs.

        Of as many kinds of loss at once as have `MOST` numbers of outputs: what losses of many
        classes keep for their gradients is gigabytes, and slow for not fitting any cache.
        """
        pairs = zip(self.stacks, outputs, slopes, strict=True)
        both = [(stack.parts(own), stack.parts(slope)) for stack, own, slope in pairs]
        kinds = {
            key: [(own[key], slope[key]) for own, slope in both if key in own]
            for key in self.objectives
        }
        for group in _grouped(kinds, lambda key: sum(own.numel() for own, _ in kinds[key])):
            leaves = [torch.cat([own for own, _ in kinds[k]], 1).requires_grad_() for k in group]
            with torch.enable_grad():
                parts = zip(group, leaves, strict=True)
                torch.autograd.backward([self.objectives[k](leaf, index) for k, leaf in parts])
            for key, leaf in zip(group, leaves, strict=True):
                _divide(leaf.grad, [slope for _, slope in kinds[key]])

    def outputs(self) -> list[list[Tensor]]:
        """Return each trial's raw outputs on each fold's validation rows, averaged weights."""
        return [trial for block in self.blocks() for trial in block]

    @torch.no_grad()
    def blocks(self) -> Iterator[list[list[Tensor]]]:
        """Yield the outputs of some trials after the other, as many at once as are `MOST` numbers.

        Of many classes or rows those of all trials are gigabytes.
        """
        lengths = [len(features) for features in self.rows.valid]
        padded = torch.stack([_pad(x.mT, max(lengths)).mT for x in self.rows.valid])
        for group in _grouped(self._judged(self.rows.embedding(padded)), Tensor.numel):
            yield _by_fold([one for part in group for one in part.unbind(1)], lengths)

    def _judged(self, features: Tensor) -> Iterator[Tensor]:
        """Yield the outputs of some trials after the other on rows, averaged weights."""
        for stack in self.stacks:
            with stack.average.applied(stack.model):
                self._calibrate(stack)
                yield from stack.model.blocks(features, MOST)

    def _calibrate(self, stack: StackedTrials) -> None:
        """Tell the losses that are read by outputs of training rows what these are now."""
        if not any(_waits(trial) for trial in stack.trials):
            return
        seen = self.rows.embedding(self.rows.features)
        outputs = [one for part in stack.model(seen) for one in part.unbind(1)]
        for trial, output in zip(stack.trials, outputs, strict=True):
            if _waits(trial):
                for loss, raw, target in zip(trial.losses, output, self.rows.target, strict=True):
                    loss.calibrate(one_column(raw), target)  # type: ignore[operator]

    def keep(self, kept: Sequence[int]) -> None:
        """Go on with some of the trials only."""
        start, remaining = 0, []
        for stack in self.stacks:
            own = [i - start for i in sorted(kept) if start <= i < start + len(stack.trials)]
            start += len(stack.trials)
            if own:
                remaining.append(stack.kept(self.rows, own))
        self.stacks = remaining
        self.objectives = self._objectives()

    def state_dict(self) -> dict[str, Any]:
        """Return all that training has changed, as tensors and numbers."""
        return {
            "epoch": self.epoch,
            "stacks": [stack.state_dict() for stack in self.stacks],
            "generators": [generator.get_state() for generator in self.orders],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state of the same trials."""
        self.epoch = state["epoch"]
        for stack, own in zip(self.stacks, state["stacks"], strict=True):
            stack.load_state_dict(own)
        for one, own in zip(self.orders, state["generators"], strict=True):
            one.set_state(own)

    def _objectives(self) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
        """Return one function for each kind of loss, over the trials that have it."""
        groups: dict[str, list[TrialSpec]] = {}
        for stack in self.stacks:
            for trial, key in zip(stack.trials, stack.keys, strict=True):
                groups.setdefault(key, []).append(trial)
        return {
            key: stacked_loss([trial.losses for trial in group], self.rows.target)
            for key, group in groups.items()
        }


def _grouped(items: Iterable[Item], size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Yield items in groups of at most `MOST` numbers together, or of one that has more."""
    group: list[Item] = []
    total = 0
    for item in items:
        own = size(item)
        if group and total + own > MOST:
            yield group
            group, total = [], 0
        group.append(item)
        total += own
    yield group


def _divide(whole: Tensor | None, parts: Sequence[Tensor]) -> None:
    """Write what lies side by side along dimension 1 into its parts."""
    assert whole is not None
    found = whole.split([part.shape[1] for part in parts], dim=1)
    for part, own in zip(parts, found, strict=True):
        part.copy_(own)


def _by_fold(outputs: Sequence[Tensor], lengths: Sequence[int]) -> list[list[Tensor]]:
    return [
        [one_column(trial[fold, :length]) for fold, length in enumerate(lengths)]
        for trial in outputs
    ]


def _waits(trial: TrialSpec) -> bool:
    return isinstance(trial.losses[0], TimedLoss) and trial.losses[0].waits


def _pad(features: Tensor, columns: int) -> Tensor:
    return nnf.pad(features, (0, columns - features.shape[1]))
