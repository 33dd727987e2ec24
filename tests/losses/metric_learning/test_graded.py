"""Pairs of graded similarity against plain loops, and what neither order nor size changes."""

import math

import pytest
import torch
from torch import Tensor

import lossmith
from lossmith import AnglE, CoSENT
from lossmith import functional as F

GENERATOR = torch.Generator().manual_seed(4)
FIRST, SECOND = torch.randn(2, 9, 6, generator=GENERATOR, dtype=torch.float64)
GRADES = torch.tensor([0.0, 1, 1, 2, 2, 2, 3, 4, 4])
PAIRS = {"first": FIRST, "second": SECOND}


def loop(alike: list[float], scale: float) -> float:
    grades = GRADES.tolist()
    total = 1.0
    for i in range(9):
        total += sum(
            math.exp(scale * (alike[j] - alike[i])) for j in range(9) if grades[i] > grades[j]
        )
    return math.log(total)


def test_cosent_is_its_sum() -> None:
    cosines = torch.nn.functional.cosine_similarity(FIRST, SECOND).tolist()
    got = CoSENT(scale=3.0)(PAIRS, GRADES).item()
    assert got == pytest.approx(loop(cosines, 3.0), rel=1e-12)


def test_angle_is_of_complex_products() -> None:
    def unit(rows: Tensor) -> Tensor:
        rows = rows / rows.norm(dim=1, keepdim=True)
        return torch.complex(rows[:, :3], rows[:, 3:])

    product = (unit(FIRST) * unit(SECOND).conj()).sum(1)
    sizes = (product.real + product.imag).abs().tolist()
    got = AnglE(scale=3.0)(PAIRS, GRADES).item()
    assert got == pytest.approx(loop(sizes, 3.0), rel=1e-12)


@pytest.mark.parametrize("loss", [CoSENT(), AnglE()], ids=repr)
def test_only_the_order_of_grades_and_directions_count(loss) -> None:
    value = loss(PAIRS, GRADES)
    other = {"first": 3 * FIRST, "second": 0.5 * SECOND}
    torch.testing.assert_close(loss(other, GRADES.exp()), value)
    assert loss(PAIRS, torch.ones(9)).item() == 0


@pytest.mark.parametrize("loss", [CoSENT(), AnglE()], ids=repr)
def test_what_does_not_fit_is_refused(loss) -> None:
    with pytest.raises(ValueError, match=r"\(9, 6\).*\(9, 1\)"):
        loss(PAIRS, GRADES.unsqueeze(1))
    with pytest.raises(ValueError, match="NaN"):
        loss(PAIRS, torch.full((9,), math.nan))


def test_right_order_by_far_costs_nothing() -> None:
    turn = torch.tensor([0.0, 0.8, 1.57])
    pairs = {
        "first": torch.tensor([[1.0, 0.0]]).repeat(3, 1),
        "second": torch.stack([turn.cos(), turn.sin()], 1),
    }
    assert CoSENT(scale=100.0)(pairs, torch.tensor([2.0, 1.0, 0.0])) < 1e-6


def test_rank_n_contrast_is_its_definition() -> None:
    generator = torch.Generator().manual_seed(2)
    rows = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    target = torch.tensor([1.0, 1.0, 2.0, 4.0, 3.0, 0.5, 2.0], dtype=torch.float64)
    alike = [[-math.dist(a, b) / 0.7 for b in rows.tolist()] for a in rows.tolist()]
    apart = (target[:, None] - target).abs().tolist()
    expected = []
    for i in range(7):
        costs = []
        for j in set(range(7)) - {i}:
            rivals = [k for k in range(7) if k != i and apart[i][k] >= apart[i][j]]
            total = sum(math.exp(alike[i][k]) for k in rivals)
            costs.append(math.log(total) - alike[i][j])
        expected.append(sum(costs) / 6)
    found = F.rank_n_contrast(rows, target, temperature=0.7)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_rank_n_contrast_takes_targets_of_several_numbers_by_their_sum_of_distances() -> None:
    rows = torch.randn(5, 2, generator=torch.Generator().manual_seed(3))
    target = torch.tensor([[0.0, 1.0], [2.0, 0.0], [1.0, 1.0], [5.0, 0.0], [0.0, 0.0]])
    loss = lossmith.RankNContrast()
    torch.testing.assert_close(loss(rows, target[:, :1]), loss(rows, target[:, 0]))
    turned = torch.stack([target.sum(1), target[:, 0] - target[:, 1]], 1)  # another geometry
    assert loss(rows, turned) != loss(rows, target)


def test_rank_n_contrast_puts_rows_in_the_order_of_their_targets() -> None:
    rows = torch.randn(12, 2, generator=torch.Generator().manual_seed(5)).requires_grad_()
    target = torch.linspace(0, 3, 12)
    loss, optimizer = lossmith.RankNContrast(temperature=0.5), torch.optim.Adam([rows], 0.1)
    for _ in range(300):
        optimizer.zero_grad()
        loss(rows, target).backward()
        optimizer.step()
    far = torch.cdist(rows, rows)[0].detach()
    assert (far.argsort() == torch.arange(12)).all()
