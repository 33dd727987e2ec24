"""The best pairing of sources: as by assignment, silent sources, and what is refused."""

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from lossmith import functional as F
from lossmith.losses import MAE, MSE, SISDR, CrossEntropy, PermutationInvariant


def sources(parts: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, parts, 16, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_it_is_the_assignment_of_least_cost(parts: int) -> None:
    input, target = sources(parts), sources(parts, seed=1)
    pairs = (input.unsqueeze(2) - target.unsqueeze(1)).square().mean(3)
    for row, value in zip(pairs, F.best_permutation(pairs), strict=True):
        where = linear_sum_assignment(row.numpy())
        torch.testing.assert_close(value, row[where].mean())
    loss = PermutationInvariant(MSE())
    torch.testing.assert_close(loss(input, target), F.best_permutation(pairs).mean())
    order = torch.randperm(parts, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(loss(input[:, order], target), loss(input, target))


def test_the_gradient_is_that_of_the_best_pairing() -> None:
    target = sources(3)
    input = (target[:, [2, 0, 1]] + 0.01 * sources(3, seed=1)).requires_grad_()
    slope = torch.autograd.grad(PermutationInvariant()(input, target), input)[0]
    plain = torch.autograd.grad(SISDR()(input, target[:, [2, 0, 1]]), input)[0]
    torch.testing.assert_close(slope, plain)


def test_silent_sources_count_in_no_pairing() -> None:
    input, target = sources(3), sources(3, seed=1)
    target[0, 1] = 0
    target[1] = 0
    best = min(
        F.si_sdr(input[0, i : i + 1], target[0, :1]) + F.si_sdr(input[0, j : j + 1], target[0, 2:])
        for i in range(3)
        for j in range(3)
        if i != j
    )
    whole = PermutationInvariant()(input[2:], target[2:])
    value = PermutationInvariant()(input, target)
    torch.testing.assert_close(value, (best[0] + 3 * whole) / 5)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(TypeError, match="loss must compare values with values"):
        PermutationInvariant(CrossEntropy())
    with pytest.raises(ValueError, match=r"\(N, S, …\)"):
        PermutationInvariant(MAE())(torch.zeros(3, 2), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="8 parts"):
        PermutationInvariant(MAE())(torch.zeros(1, 8, 2), torch.zeros(1, 8, 2))
