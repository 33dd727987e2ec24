"""Losses by the size of gradients: bins, weights, and what they leave out."""

import pytest
import torch

from lossmith.losses import GHMC, GHMR, BinaryCrossEntropy


def test_one_bin_is_the_plain_mean() -> None:
    g = torch.Generator().manual_seed(0)
    input = torch.randn(40, generator=g, dtype=torch.float64)
    target = torch.rand(40, generator=g, dtype=torch.float64).round()
    torch.testing.assert_close(GHMC(bins=1)(input, target), BinaryCrossEntropy()(input, target))
    loss = GHMR(bins=1, mu=0.5)
    expected = ((input - target).square() + 0.25).sqrt().mean() - 0.5
    torch.testing.assert_close(loss(input, target), expected)


def test_easy_rows_do_not_drown_others() -> None:
    easy, hard = torch.full((1000,), -9.0), torch.zeros(1)
    input, target = torch.cat([easy, hard]).requires_grad_(), torch.cat([0 * easy, hard + 1])
    slope = torch.autograd.grad(GHMC()(input, target), input)[0]
    assert slope[-1] == pytest.approx(-0.25)
    assert slope[:-1].sum() < 1e-4


def test_a_row_that_weighs_nothing_takes_no_bin() -> None:
    input, target = torch.tensor([0.0, 9.0, -9.0]), torch.tensor([1.0, 1.0, 1.0])
    weight = torch.tensor([1.0, 1.0, 0.0])
    torch.testing.assert_close(GHMC()(input, target, weight=weight), GHMC()(input[:2], target[:2]))
    assert GHMC()(input, target, weight=torch.zeros(3)) == 0
    with pytest.raises(ValueError, match="outside 0 … 1"):
        GHMC()(input, 2 * target)
