"""Mutual information: what one image tells of another."""

import math

import torch

from lossmith import MutualInformation

GRID = torch.arange(4, dtype=torch.float64) / 3
ROWS, COLUMNS = GRID.reshape(1, 4, 1).expand(1, 4, 4), GRID.reshape(1, 1, 4).expand(1, 4, 4)


def test_images_that_tell_nothing_of_each_other_have_none() -> None:
    assert MutualInformation(bins=4)(ROWS, COLUMNS).abs() < 1e-12
    assert MutualInformation()(ROWS, torch.full_like(ROWS, 0.5)).abs() < 1e-12


def test_any_map_of_grey_values_that_loses_nothing_tells_all() -> None:
    loss = MutualInformation(bins=4, sigma=0.05)
    mapped = GRID[torch.tensor([2, 0, 3, 1])].reshape(1, 4, 1).expand(1, 4, 4)
    for other in (ROWS, 1 - ROWS, mapped):
        torch.testing.assert_close(loss(ROWS, other).item(), -math.log(4))


def test_it_is_symmetric_and_knows_no_places() -> None:
    g = torch.Generator().manual_seed(0)
    one, other = torch.rand(2, 1, 5, 5, generator=g, dtype=torch.float64)
    loss, order = MutualInformation(), torch.randperm(25, generator=g)
    torch.testing.assert_close(loss(one, other), loss(other, one))
    moved = (image.flatten(1)[:, order] for image in (one, other))
    torch.testing.assert_close(loss(*moved), loss(one, other))
    torch.testing.assert_close(
        MutualInformation(data_range=255.0)(255 * one, 255 * other), loss(one, other)
    )
