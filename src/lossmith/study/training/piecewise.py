"""Numbers as a network can use them: every column once more, in pieces between its quantiles."""

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

LEVELS = 32  # distinct values up to which each step between two is a piece
PIECES = 12  # of a column with more values, equally many rows in each
WIDEST = 256  # pieces of all columns together; wide tables get fewer a column
FEWEST = 3  # pieces a column below which a table has none
STEEPEST = 1e30  # a piece of hardly any width is a step
SCALE = 0.5  # of a piece beside the columns themselves


class PiecewiseLinear(nn.Module):
    r"""Columns, and for every piece :math:`[a, b]` of one how far a value is through it.

    .. math:: \tfrac12 \min(1, \max(0, (x - a) / (b - a)))

    A step, a bend or a level of its own is then one weight of the first layer, which a small
    network otherwise needs thousands of steps to form (Gorishniy et al., *On Embeddings for
    Numerical Features in Tabular Deep Learning*, 2022). Pieces end at quantiles of the training
    rows, or at the values themselves where these are few. Nothing here is trained, so all trials
    of a fold share what a batch becomes; folds have pieces of their own.

    Args:
        columns: of which each piece is, (folds, pieces).
        low: where each begins, (folds, pieces).
        steepness: 1 / (b - a), and 0 for pieces that a fold lacks, (folds, pieces).
    """

    columns: Tensor
    low: Tensor
    steepness: Tensor

    def __init__(self, columns: Tensor, low: Tensor, steepness: Tensor) -> None:
        super().__init__()
        self.register_buffer("columns", columns)
        self.register_buffer("low", low)
        self.register_buffer("steepness", steepness)

    @classmethod
    def of(cls, features: Tensor) -> "PiecewiseLinear":
        """Return the pieces of the training rows of several folds, (folds, rows, columns)."""
        folds = [_pieces(fold) for fold in features]
        most = max(len(columns) for columns, _, _ in folds)
        padded = [
            [nnf.pad(part, (0, most - len(part))) for part in parts]
            for parts in zip(*folds, strict=True)
        ]
        return cls(*(torch.stack(parts) for parts in padded))

    @property
    def added(self) -> int:
        """How many columns there are more than before."""
        return self.low.shape[1]

    def forward(self, input: Tensor) -> Tensor:
        """Map (folds, rows, columns), or (rows, columns) of one, to columns + pieces."""
        if input.ndim == 2:
            return self(input.unsqueeze(0)).squeeze(0)
        places = self.columns.unsqueeze(1).expand(-1, input.shape[1], -1)
        through = (input.gather(2, places) - self.low.unsqueeze(1)) * self.steepness.unsqueeze(1)
        return torch.cat([input, through.clamp_(0, 1).mul_(SCALE)], dim=2)


def _pieces(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the columns, beginnings and steepness of one fold's pieces."""
    values = [column.unique() for column in features.T]
    many = [column for column, distinct in enumerate(values) if len(distinct) > 2]
    wanted = [_wanted(len(values[column])) for column in many]
    affordable = [most for most in range(LEVELS + 1) if _total(wanted, most) <= WIDEST]
    many = many if affordable[-1] >= FEWEST else []
    edges = [_edges(features[:, column], values[column], affordable[-1]) for column in many]
    columns = [torch.full((len(ends) - 1,), c) for c, ends in zip(many, edges, strict=True)]
    empty = [features.new_empty(0)]
    return (
        torch.cat([torch.empty(0, dtype=torch.long), *columns]),
        torch.cat(empty + [ends[:-1] for ends in edges]),
        torch.cat(empty + [(1 / ends.diff()).clamp(max=STEEPEST) for ends in edges]),
    )


def _wanted(values: int) -> int:
    """Return how many pieces a column of so many values has."""
    return values - 1 if values - 1 <= LEVELS else PIECES


def _total(wanted: list[int], most: int) -> int:
    return sum(min(own, most) for own in wanted)


def _edges(column: Tensor, values: Tensor, most: int) -> Tensor:
    """Return where a column's pieces begin and end: its values, or quantiles of its rows."""
    wanted = _wanted(len(values))
    if wanted == len(values) - 1 <= most:
        return values
    ranks = torch.linspace(0, len(column) - 1, min(PIECES, most) + 1).round().long()
    return column.sort().values[ranks].unique()
