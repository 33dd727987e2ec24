"""The default body for tables: small MLPs, many at once, in stacked parameters."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

WIDTH = 64


class StackedMLP(nn.Module):
    """MLPs `inputs → 64 → 64 → outputs`, one for each pair of a fold and a trial.

    Folds differ in their rows and their seed. Every fold holds the same trials; they start from
    the fold's weights, see the same batches, and differ in their heads' width and in what they are
    trained with. The first layer of a fold is one product.

    Args:
        in_features: number of input columns.
        out_features: the width of each trial's head, in ascending order.
        seeds: one seed a fold.
    """

    def __init__(self, in_features: int, out_features: Sequence[int], seeds: Sequence[int]) -> None:
        super().__init__()
        self.out_features = tuple(out_features)
        trials, folds = len(out_features), len(seeds)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        first = torch.stack([_normal(g, in_features, WIDTH) for g in generators])
        second = torch.stack([_normal(g, WIDTH, WIDTH) for g in generators]) * 2**0.5
        self.w1 = nn.Parameter(first.unsqueeze(2).repeat(1, 1, trials, 1))
        self.b1 = nn.Parameter(torch.zeros(folds, 1, trials, WIDTH))
        self.w2 = nn.Parameter(second.unsqueeze(1).repeat(1, trials, 1, 1))
        self.b2 = nn.Parameter(torch.zeros(folds, trials, 1, WIDTH))
        # Heads of every width begin with the same columns, so that trials stay paired.
        widest = torch.stack([_normal(g, max(out_features), WIDTH) for g in generators]).mT
        widest = widest * (max(out_features) / WIDTH) ** 0.5
        self.heads = nn.ParameterList(
            widest[:, None, :, :width].repeat(1, count, 1, 1) for width, count in self.runs()
        )
        self.biases = nn.ParameterList(
            torch.zeros(folds, count, 1, width) for width, count in self.runs()
        )

    def runs(self) -> list[tuple[int, int]]:
        """Return the heads as (width, number of trials), in order."""
        return [(width, self.out_features.count(width)) for width in sorted(set(self.out_features))]

    def forward(self, input: Tensor) -> list[Tensor]:
        """Map (folds, rows, inputs) to (folds, trials, rows, outputs), one tensor a head width."""
        hidden = self._hidden(input, slice(None))
        parts = hidden.split([head.shape[1] for head in self.heads], dim=1)
        return [_head(*own) for own in zip(parts, self.heads, self.biases, strict=True)]

    def blocks(self, input: Tensor, most: int) -> Iterator[Tensor]:
        """Yield what `forward` returns in parts, of as many trials as make `most` numbers.

        Of one trial at least, (folds, trials, rows, outputs), in their order.
        """
        start = 0
        for (width, count), head, bias in zip(self.runs(), self.heads, self.biases, strict=True):
            each = input.shape[0] * input.shape[1] * max(width, WIDTH)
            step = max(1, most // each)
            for low in range(0, count, step):
                high = min(low + step, count)
                hidden = self._hidden(input, slice(start + low, start + high))
                yield _head(hidden, head[:, low:high], bias[:, low:high])
            start += count

    def _hidden(self, input: Tensor, trials: slice) -> Tensor:
        """Return the last layer before the heads of some trials, (folds, trials, rows, WIDTH)."""
        folds, rows = input.shape[:2]
        b1, w1, b2, w2 = (
            one.flatten(*ends)
            for one, ends in (
                (self.b1[:, :, trials], (2,)),
                (self.w1[:, :, trials], (2,)),
                (self.b2[:, trials], (0, 1)),
                (self.w2[:, trials], (0, 1)),
            )
        )
        hidden = torch.baddbmm(b1, input, w1)
        hidden = nnf.silu(hidden).view(folds, rows, -1, WIDTH).transpose(1, 2)
        hidden = torch.baddbmm(b2, hidden.reshape(-1, rows, WIDTH), w2)
        return nnf.silu(hidden).view(folds, -1, rows, WIDTH)

    def first(self, folds: int) -> "StackedMLP":
        """Return the MLPs of the first folds alone."""
        own = StackedMLP(self.w1.shape[1], self.out_features, range(folds))
        own.load_state_dict({name: value[:folds] for name, value in self.state_dict().items()})
        return own

    def slices(self, kept: Sequence[int]) -> Iterator[tuple[nn.Parameter, int, Tensor]]:
        """Yield each parameter, its dimension of trials and the indices of those kept.

        Heads that lose all their trials are left out.
        """
        everyone = torch.tensor(kept)
        for parameter, dim in ((self.w1, 2), (self.b1, 2), (self.w2, 1), (self.b2, 1)):
            yield parameter, dim, everyone
        for parameters in (self.heads, self.biases):
            start = 0
            for (_, count), parameter in zip(self.runs(), parameters, strict=True):
                own = everyone[(everyone >= start) & (everyone < start + count)] - start
                start += count
                if own.numel():
                    yield parameter, 1, own


def _head(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    folds, trials, rows, _ = hidden.shape
    flat = hidden.reshape(-1, rows, WIDTH)
    return torch.baddbmm(bias.flatten(0, 1), flat, weight.flatten(0, 1)).view(
        folds, trials, rows, -1
    )


def _normal(generator: torch.Generator, rows: int, columns: int) -> Tensor:
    return torch.randn(rows, columns, generator=generator) / rows**0.5
