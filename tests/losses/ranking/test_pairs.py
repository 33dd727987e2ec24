"""Pairs of items that are relevant or not, weighed by the rank of the relevant one."""

import pytest
import torch

import lossmith
from lossmith import functional as F

GENERATOR = torch.Generator().manual_seed(3)
SCORES = torch.randn(5, 8, generator=GENERATOR, dtype=torch.float64)
GRADES = torch.tensor(
    [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, -1, -1, -1],
        [1, 1, 1, 1, 0, 1, 1, 1],
        [-1, 0, 0, 2, 0, 1, 0, 0],
        [1, 1, -1, 1, -1, 1, 1, 1],
    ]
)


def warp(scores: list[float], grades: list[int], margin: float) -> float:
    """WSABIE's error of one list, term by term."""
    found = []
    for score, grade in zip(scores, grades, strict=True):
        if grade <= 0:
            continue
        others = [s for s, y in zip(scores, grades, strict=True) if y == 0]
        violating = [s for s in others if margin + s >= score]
        level = sum(1 / place for place in range(1, len(violating) + 1))
        costs = [level * (margin - score + s) / len(violating) for s in violating]
        found.append(sum(costs))
    return sum(found) / len(found)


@pytest.mark.parametrize("margin", [0.0, 0.3, 1.0, 5.0])
def test_warp_is_its_definition(margin: float) -> None:
    expected = [warp(s, y, margin) for s, y in zip(SCORES.tolist(), GRADES.tolist(), strict=True)]
    found = F.warp(SCORES, GRADES, margin=margin)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_warp_counts_ranks_as_constants() -> None:
    """Its gradient is that of the hinges, weighed by what the ranks are."""
    leaf = SCORES[:1].clone().requires_grad_()
    (found,) = torch.autograd.grad(F.warp(leaf, GRADES[:1]).sum(), leaf)
    violating = SCORES[0, 1:] + 1 >= SCORES[0, 0]
    rank = int(violating.sum())
    share = sum(1 / place for place in range(1, rank + 1)) / rank
    expected = torch.cat([torch.tensor([-share * rank]), share * violating])
    torch.testing.assert_close(found[0], expected.double())


def test_drawing_until_one_violates_estimates_warp() -> None:
    """The paper's training: the rank guessed by how many were drawn, the hinge of the last one.

    Where all items are within the margin the first draw is one, and the guess is their number.
    """
    scores, grades = 0.1 * SCORES[:1], GRADES[:1]
    others, generator = scores[0, 1:], torch.Generator().manual_seed(0)
    drawn = torch.randint(len(others), (20_000,), generator=generator)
    level = sum(1 / place for place in range(1, len(others) + 1))
    estimate = (level * (1 - scores[0, 0] + others[drawn])).mean()
    torch.testing.assert_close(estimate, F.warp(scores, grades)[0], rtol=1e-2, atol=0)


def test_warp_leaves_out_lists_of_one_kind() -> None:
    loss = lossmith.WARP()
    torch.testing.assert_close(loss(SCORES, GRADES), loss(SCORES[:4], GRADES[:4]))
