"""Combinations of losses, and the weights between them."""

from typing import Any

import pytest
import torch
from torch import Tensor

import lossmith
from lossmith.losses import MSE, BinaryCrossEntropy
from lossmith.study.candidates import CandidateSet
from lossmith.study.multitarget.candidates import Combination, combinations, grid
from lossmith.study.selection.tables import term_names
from lossmith.study.tasks.candidate import Candidate


def candidate(weighting: str = "tuned weights", **more: Any) -> Combination:
    return Combination(
        targets=("price", "fast"),
        losses=(
            Candidate(key="mae", function="identity"),
            Candidate(key="binary_cross_entropy", classes=2),
        ),
        is_class=(False, True),
        weighting=weighting,
        **more,
    )


def matrix(rows: int = 40) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    price = torch.randn(rows, generator=generator).double() * 1e5 + 2e5
    return torch.stack([price, (torch.arange(rows) % 2).double()], dim=1)


def test_shares_are_those_of_the_gradient_before_any_training() -> None:
    target = matrix()
    for shares in grid(2):
        heads = candidate(shares=shares).fit(target)
        output = torch.zeros(len(target), heads.out_features, requires_grad=True)
        (gradient,) = torch.autograd.grad(heads(output, target), output)
        sizes = gradient.square().mean(0).sqrt()
        assert (sizes / sizes.sum()).tolist() == pytest.approx(shares, rel=1e-5)


def test_every_target_is_raised_over_the_others_alike() -> None:
    assert all(sum(shares) == pytest.approx(1) for shares in grid(3))
    assert len(set(grid(3))) == len(grid(3))
    for place in range(3):
        own = sorted(shares[place] for shares in grid(3))
        assert own == sorted(shares[0] for shares in grid(3))


def test_combinations_swap_one_target_at_a_time_and_all_together() -> None:
    fields = [
        CandidateSet(
            candidates=tuple(Candidate(key=key, function="identity") for key in keys),
            default=keys[0],
            common=keys[0],
        )
        for keys in (("mse", "mae", "huber", "gaussian_nll"), ("mae", "mse", "cauchy"))
    ]
    best = [["huber", "gaussian_nll", "mae"], ["cauchy"]]
    found = combinations(["a", "b"], [False, False], fields, best)
    tuned = [one.name for one in found.candidates if one.weighting == "tuned weights"]  # type: ignore
    assert found.default == tuned[0] == "mse + mae"
    assert set(tuned[1:]) == {
        "huber + mae",
        "gaussian_nll + mae",
        "mse + cauchy",
        "huber + cauchy",
        "gaussian_nll + cauchy",
    }
    adaptive = [one.name for one in found.candidates if "uncertainty" in one.name]
    assert "huber + cauchy, by uncertainty" in adaptive
    assert not any("gaussian_nll" in name for name in adaptive)  # its density can exceed 1


def test_names_of_terms_are_those_a_hybrid_takes() -> None:
    columns = ["a.b", "a b", "2nd", "items", "weighting", "class", "self", "type", "training"]
    names = term_names([*columns, "shares"])
    assert len(set(names)) == 10
    lossmith.Hybrid(**{name: MSE() for name in names})
    losses = (Candidate(key="mse"),) * 10
    one = Combination(
        targets=tuple(names), losses=losses, is_class=(False,) * 10, shares=(0.1,) * 10
    )
    assert all(one.parameters[name]["loss"] == "mse" for name in names)


def test_losses_that_learn_are_not_shared_between_settings() -> None:
    assert BinaryCrossEntropy().moves is False
    one = candidate("uncertainty").fit(matrix())
    assert any(True for _ in one.parameters())
    assert candidate("uncertainty").variants == (candidate("uncertainty"),)
