"""Columns in pieces: each is how far a value is through it, whatever the folds beside it hold."""

from itertools import pairwise

import numpy as np
import torch

from lossmith.study.training.piecewise import (
    FEWEST,
    LEVELS,
    PIECES,
    SCALE,
    WIDEST,
    PiecewiseLinear,
)


def embedded(column: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return a column's pieces by numpy's interpolation, one at a time."""
    return SCALE * np.stack([np.interp(column, pair, (0, 1)) for pair in pairwise(edges)], axis=1)


def test_few_values_are_the_ends_of_pieces_themselves() -> None:
    train = torch.tensor([3.0, 0.0, 1.0, 1.0, 3.0]).reshape(1, 5, 1)
    seen = PiecewiseLinear.of(train)(torch.tensor([-1.0, 0.5, 1.0, 2.0, 9.0]).reshape(1, 5, 1))
    own = torch.tensor([[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1]]) * SCALE
    torch.testing.assert_close(seen[0, :, 1:], own)


def test_many_values_are_cut_at_quantiles_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    train = rng.exponential(size=12 * PIECES + 1).astype(np.float32)
    fresh = rng.exponential(size=50).astype(np.float32)
    edges = np.sort(train)[::12]
    seen = PiecewiseLinear.of(torch.from_numpy(train)[None, :, None])
    found = seen(torch.from_numpy(fresh)[:, None])
    assert seen.added == PIECES < LEVELS
    np.testing.assert_allclose(found[:, 0], fresh)
    np.testing.assert_allclose(found[:, 1:], embedded(fresh, edges), rtol=1e-4, atol=1e-5)


def test_folds_of_different_pieces_are_each_as_if_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(60, 3, generator=generator)
    second = torch.stack([first[:, 1].round(), torch.zeros(60), (first[:, 2] > 0).float()], dim=1)
    both = torch.stack([first, second])
    fresh = torch.randn(2, 7, 3, generator=generator)
    seen = PiecewiseLinear.of(both)(fresh)
    assert seen.shape[2] == 3 + 3 * PIECES
    for fold in range(2):
        alone = PiecewiseLinear.of(both[[fold]])(fresh[fold])
        torch.testing.assert_close(seen[fold, :, : alone.shape[1]], alone)
        assert not seen[fold, :, alone.shape[1] :].any()


def test_columns_of_two_values_have_no_pieces() -> None:
    columns = torch.tensor([[0.0, 5.0], [1.0, 5.0], [1.0, 5.0]])
    assert PiecewiseLinear.of(columns[None]).added == 0


def test_wide_tables_have_fewer_pieces_and_very_wide_ones_none() -> None:
    train = torch.randn(1, 40, WIDEST // 4)
    assert PiecewiseLinear.of(train).added == WIDEST // 4 * 4
    assert PiecewiseLinear.of(torch.randn(1, 40, WIDEST // FEWEST + 1)).added == 0


def test_pieces_of_hardly_any_width_stay_finite() -> None:
    tiny = torch.tensor([0.0, 1e-45, 1.0, 3e38]).reshape(1, 4, 1)
    seen = PiecewiseLinear.of(tiny)(torch.tensor([[-3e38], [0.0], [1e-45], [3e38]]))
    assert torch.isfinite(seen).all()
