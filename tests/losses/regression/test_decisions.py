"""Decisions by predicted costs: bounds on their regret, and what noise makes of the best."""

import itertools

import pytest
import torch
from torch import Tensor

from lossmith import CrossEntropy, PerturbedFenchelYoung, SPOPlus

PAIRS = torch.tensor(
    [[float(i in pair) for i in range(5)] for pair in itertools.combinations(range(5), 2)]
).double()  # two of five are to be taken


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cheapest(cost: Tensor) -> Tensor:
    return PAIRS[(cost @ PAIRS.T).argmin(-1)]


def spo_plus(guess: Tensor, cost: Tensor) -> Tensor:
    made = {"cost": guess, "solution": cheapest(2 * guess.detach() - cost)}
    return SPOPlus().values(made, {"cost": cost, "solution": cheapest(cost)})


def test_spo_plus_is_never_below_the_regret_and_zero_where_costs_are_known() -> None:
    guess, cost = drawn(200, 5), drawn(200, 5, seed=1)
    regret = (cost * (cheapest(guess) - cheapest(cost))).sum(1)
    assert (spo_plus(guess, cost) >= regret - 1e-12).all()
    assert (regret >= 0).all()
    torch.testing.assert_close(spo_plus(cost, cost), torch.zeros(200, dtype=torch.float64))


def test_spo_plus_is_convex_in_the_guess_and_its_gradient_a_subgradient() -> None:
    first, second, cost = (drawn(100, 5, seed=seed) for seed in range(3))
    middle = ((first + second) / 2).requires_grad_()
    value = spo_plus(middle, cost)
    ends = spo_plus(first, cost), spo_plus(second, cost)
    assert (value <= (ends[0] + ends[1]) / 2 + 1e-12).all()
    (slope,) = torch.autograd.grad(value.sum(), middle)
    assert (ends[0] >= value + (slope * (first - middle)).sum(1) - 1e-12).all()


def test_spo_plus_is_its_formula_by_its_maximum() -> None:
    """max_w (c − 2ĉ)·w + 2ĉ·w*(c) − z*(c), as the paper writes it."""
    guess, cost = drawn(50, 5), drawn(50, 5, seed=1)
    best = cheapest(cost)
    most = ((cost - 2 * guess) @ PAIRS.T).amax(1)
    expected = most + 2 * (guess * best).sum(1) - (cost * best).sum(1)
    torch.testing.assert_close(spo_plus(guess, cost), expected)


def test_spo_plus_learns_costs_that_decide_right() -> None:
    cost = drawn(20, 5, seed=4)
    guess = drawn(20, 5, seed=5).requires_grad_()
    optimizer = torch.optim.SGD([guess], lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        spo_plus(guess, cost).mean().backward()
        optimizer.step()
    assert torch.equal(cheapest(guess), cheapest(cost))


def test_under_gumbel_noise_one_of_several_is_cross_entropy_up_to_a_constant() -> None:
    score, eye = drawn(1, 4).requires_grad_(), torch.eye(4, dtype=torch.float64)
    uniform = torch.rand(1, 200_000, 4, generator=torch.Generator().manual_seed(1)).double()
    noise = -(-uniform.clamp(min=1e-12).log()).log()
    made = eye[(score.detach().unsqueeze(1) + noise).argmax(2)]
    value = PerturbedFenchelYoung()({"score": score, "noise": noise, "solution": made}, eye[2:3])
    right = CrossEntropy()(score, torch.tensor([2]))
    assert (value - right).item() == pytest.approx(0.5772, abs=0.02)  # the mean of the noise
    slopes = [torch.autograd.grad(one, score)[0] for one in (value, right)]
    torch.testing.assert_close(*slopes, atol=5e-3, rtol=0)


def test_the_gradient_of_fenchel_young_is_the_mean_solution_less_the_one_wanted() -> None:
    score, noise = drawn(3, 5).requires_grad_(), drawn(3, 7, 5, seed=1)
    made = cheapest(-(score.detach().unsqueeze(1) + 0.5 * noise))
    wanted = cheapest(drawn(3, 5, seed=2))
    loss = PerturbedFenchelYoung(sigma=0.5)
    value = loss.values({"score": score, "noise": noise, "solution": made}, wanted)
    (slope,) = torch.autograd.grad(value.sum(), score)
    torch.testing.assert_close(slope, made.mean(1) - wanted)


def test_what_does_not_fit_is_refused() -> None:
    rows, cube = torch.zeros(2, 3), torch.zeros(2, 4, 3)
    with pytest.raises(ValueError, match="one shape"):
        SPOPlus()({"cost": rows, "solution": rows}, {"cost": rows, "solution": rows[:, :2]})
    with pytest.raises(ValueError, match=r"rows \(N, D\)"):
        SPOPlus()({"cost": cube, "solution": cube}, {"cost": cube, "solution": cube})
    with pytest.raises(ValueError, match=r"\(N, M, D\) and \(N, M, D\)"):
        PerturbedFenchelYoung()({"score": rows, "noise": cube[:, :1], "solution": cube}, rows)
