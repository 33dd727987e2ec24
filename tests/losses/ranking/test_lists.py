"""Ranking losses: definitions in loops, metrics at their limits, padding and ties."""

import math

import pytest
import torch
from torch import Tensor

import lossmith
from lossmith import functional as F

KEYS = sorted(set(lossmith.find("ranking")) - {"gbce"})  # which asks of each item whether
GENERATOR = torch.Generator().manual_seed(5)
SCORES = torch.randn(4, 6, generator=GENERATOR, dtype=torch.float64)
GRADES = torch.tensor(
    [[2, 0, 1, 0, 3, 0], [0, 0, 1, 1, -1, -1], [4, 3, 2, 1, 0, -1], [1, 1, 0, 0, 2, 2]]
)


def slope(loss, scores: Tensor, grades: Tensor) -> tuple[Tensor, Tensor]:
    leaf = scores.clone().requires_grad_()
    value = loss(leaf, grades)
    (found,) = torch.autograd.grad(value, leaf)
    return value.detach(), found


def ndcg(scores: list[float], grades: list[int]) -> float:
    def dcg(ordered: list[int]) -> float:
        return sum((2**y - 1) / math.log2(2 + place) for place, y in enumerate(ordered))

    real = [(s, y) for s, y in zip(scores, grades, strict=True) if y >= 0]
    by_score = [y for _, y in sorted(real, reverse=True)]
    return dcg(by_score) / dcg(sorted(by_score, reverse=True))


def average_precision(scores: list[float], grades: list[int]) -> float:
    real = sorted(((s, y) for s, y in zip(scores, grades, strict=True) if y >= 0), reverse=True)
    hits, found = 0, []
    for place, (_, y) in enumerate(real, start=1):
        if y > 0:
            hits += 1
            found.append(hits / place)
    return sum(found) / len(found)


@pytest.mark.parametrize("key", KEYS)
def test_padding_counts_for_nothing(key: str) -> None:
    """Also where its score is no number at all."""
    loss = lossmith.get(key)
    narrow = GRADES[1:2, :4]
    expected, right = slope(loss, SCORES[1:2, :4], narrow)
    padded = SCORES[1:2].clone()
    padded[0, 4:] = torch.tensor([math.nan, math.inf])
    value, found = slope(loss, padded, GRADES[1:2])
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(found[:, :4], right)
    assert (found[:, 4:] == 0).all()


@pytest.mark.parametrize("key", KEYS)
def test_the_order_of_items_changes_nothing(key: str) -> None:
    """Ties in the relevance must not depend on how they are sorted."""
    loss, order = lossmith.get(key), torch.tensor([3, 5, 0, 4, 1, 2])
    torch.testing.assert_close(loss(SCORES[:, order], GRADES[:, order]), loss(SCORES, GRADES))
    tied = SCORES.round()
    torch.testing.assert_close(loss(tied[:, order], GRADES[:, order]), loss(tied, GRADES))


@pytest.mark.parametrize("key", KEYS)
def test_a_constant_added_to_a_list_changes_nothing(key: str) -> None:
    loss = lossmith.get(key)
    torch.testing.assert_close(loss(SCORES + SCORES[:, :1], GRADES), loss(SCORES, GRADES))


@pytest.mark.parametrize("key", sorted(set(KEYS) - {"listnet"}))
def test_the_right_order_by_a_wide_gap_is_best(key: str) -> None:
    loss, grades = lossmith.get(key), GRADES[2:3]
    right, wrong = 20.0 * grades, -20.0 * grades
    assert loss(right, grades) < loss(SCORES[2:3], grades) < loss(wrong, grades)


@pytest.mark.parametrize("key", sorted(set(KEYS) - {"listnet"}))
@pytest.mark.parametrize("grade", [0, -1])
def test_a_list_that_orders_nothing_weighs_nothing(key: str, grade: int) -> None:
    loss = lossmith.get(key)
    empty = torch.full((1, 6), grade)
    both = torch.cat([SCORES, SCORES[:1]])
    value = loss(both, torch.cat([GRADES, empty]))
    torch.testing.assert_close(value, loss(SCORES, GRADES))
    value, found = slope(loss, SCORES[:1], empty)
    assert value == 0
    assert (found == 0).all()


def test_listnet_teaches_equal_scores_where_relevance_is_equal() -> None:
    loss = lossmith.get("listnet")
    _, found = slope(loss, torch.tensor([[1.0, 0.0, 0.0]]), torch.ones(1, 3))
    assert found[0, 0] > 0 > found[0, 1]
    assert loss(torch.ones(1, 3), -torch.ones(1, 3)) == 0


def test_listmle_is_the_plackett_luce_likelihood() -> None:
    """Summed over all orders, the likelihoods of one list of scores are 1."""
    scores, total = SCORES[:1, :3], 0.0
    for grades in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]):
        total += math.exp(-F.listmle(scores, torch.tensor([grades])).item())
    assert total == pytest.approx(1)


def test_listmle_ties_are_breslows() -> None:
    s = SCORES[0, :3]
    expected = 2 * s.logsumexp(0) - s[0] - s[1]
    torch.testing.assert_close(F.listmle(s[None], torch.tensor([[1, 1, 0]]))[0], expected)


def test_p_listmle_is_its_definition_where_nothing_ties() -> None:
    s, y = SCORES[2].tolist(), GRADES[2].tolist()
    order = sorted((i for i in range(6) if y[i] >= 0), key=lambda i: -y[i])
    total, weights = 0.0, 0.0
    for place, i in enumerate(order, start=1):
        alpha = 2.0 ** (len(order) - place) - 1
        rest = math.log(sum(math.exp(s[j]) for j in order[place - 1 :]))
        total, weights = total + alpha * (rest - s[i]), weights + alpha
    assert F.p_listmle(SCORES[2:3], GRADES[2:3]).item() == pytest.approx(total / weights)


def test_p_listmle_of_ties_has_the_mean_weight_of_their_places() -> None:
    s = SCORES[0, :3]
    expected = s.logsumexp(0) - (s[0] + s[1]) / 2  # places 1 and 2 of 3, both with a weight of 2
    torch.testing.assert_close(F.p_listmle(s[None], torch.tensor([[1, 1, 0]]))[0], expected)


def test_p_listmle_holds_for_long_lists() -> None:
    scores = torch.linspace(-3, 3, 2000).expand(1, -1)
    grades = torch.arange(2000).expand(1, -1)
    exact = F.p_listmle(scores.double(), grades)
    torch.testing.assert_close(F.p_listmle(scores, grades).double(), exact, rtol=1e-5, atol=0)


def test_smooth_metrics_are_the_metrics_where_the_sigmoid_is_steep() -> None:
    sharp = F.approx_ndcg(SCORES, GRADES, alpha=1e6)
    exact = [ndcg(s, y) for s, y in zip(SCORES.tolist(), GRADES.tolist(), strict=True)]
    torch.testing.assert_close(1 - sharp, torch.tensor(exact, dtype=torch.float64))
    sharp = F.neural_ndcg(SCORES, GRADES, temperature=1e-4)
    torch.testing.assert_close(1 - sharp, torch.tensor(exact, dtype=torch.float64))
    sharp = F.smooth_ap(SCORES, GRADES, temperature=1e-6)
    exact = [average_precision(s, y) for s, y in zip(SCORES.tolist(), GRADES.tolist(), strict=True)]
    torch.testing.assert_close(1 - sharp, torch.tensor(exact, dtype=torch.float64))


def test_neural_order_is_doubly_stochastic() -> None:
    """So that equal gains have the same discounted sum whatever the scores."""
    grades = torch.ones(4, 6).long()
    torch.testing.assert_close(F.neural_ndcg(SCORES, grades), torch.zeros(4, dtype=torch.float64))


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_smooth_ap_is_its_definition(temperature: float) -> None:
    def above(s: list[float], i: int, among: list[int]) -> float:
        return sum(1 / (1 + math.exp((s[i] - s[j]) / temperature)) for j in among if j != i)

    expected = []
    for s, y in zip(SCORES.tolist(), GRADES.tolist(), strict=True):
        real = [i for i in range(6) if y[i] >= 0]
        relevant = [i for i in real if y[i] > 0]
        ratios = [(1 + above(s, i, relevant)) / (1 + above(s, i, real)) for i in relevant]
        expected.append(1 - sum(ratios) / len(ratios))
    found = F.smooth_ap(SCORES, GRADES, temperature=temperature)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_lambda_loss_bounds_ndcg() -> None:
    """NDCG-Loss2 bounds the NDCG cost from above (theorem 2 of the paper)."""
    for seed in range(20):
        scores = 3 * torch.randn(1, 6, generator=torch.Generator().manual_seed(seed)).double()
        bound = F.lambda_loss(scores, GRADES[:1]).item()
        assert bound >= 1 - ndcg(scores[0].tolist(), GRADES[0].tolist())


def test_lambdarank_weighs_a_pair_by_what_its_exchange_changes() -> None:
    scores, grades = [3.0, 2.0, 1.0], [0, 2, 1]
    found = F.lambda_loss(torch.tensor([scores]), torch.tensor([grades]), scheme="lambdarank")
    expected = 0.0
    for i, j in ((1, 0), (1, 2), (2, 0)):
        swapped = list(scores)
        swapped[i], swapped[j] = scores[j], scores[i]
        change = abs(ndcg(swapped, grades) - ndcg(scores, grades))
        expected += change * math.log2(1 + math.exp(scores[j] - scores[i]))
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_a_steep_ranknet_is_the_margin_loss_at_zero() -> None:
    sigma = 1e4
    smooth = F.ranknet(SCORES, GRADES, sigma=sigma) / sigma
    torch.testing.assert_close(
        smooth, F.margin_ranking(SCORES, GRADES, margin=0.0), atol=1e-3, rtol=0
    )


def test_integer_and_float_grades_are_alike() -> None:
    for key in KEYS:
        loss = lossmith.get(key)
        assert loss(SCORES, GRADES) == loss(SCORES, GRADES.double())


def test_what_is_no_list_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(6,\).*\(N, L\)"):
        lossmith.get("ranknet")(SCORES[0], GRADES[0])
    with pytest.raises(ValueError, match=r"\(4, 6\).*\(4, 5\)"):
        lossmith.get("listnet")(SCORES, GRADES[:, :5])


def test_gbce_without_calibration_is_cross_entropy_of_items() -> None:
    grades = torch.tensor([[1, 0, 0, 0, 0, 0]] * 4)
    plain = lossmith.BinaryCrossEntropy()(SCORES, grades.double())
    torch.testing.assert_close(
        lossmith.GBCE(sampling_rate=0.1, calibration=0.0)(SCORES, grades), plain
    )
    torch.testing.assert_close(
        lossmith.GBCE(sampling_rate=1.0, calibration=1.0)(SCORES, grades), plain
    )


def test_calibrated_gbce_learns_from_a_sample_the_probabilities_of_all_items() -> None:
    """An item that is relevant in 1 of 5 lists, sampled in a tenth of the others."""
    score = torch.zeros(1, requires_grad=True, dtype=torch.float64)
    loss = lossmith.GBCE(sampling_rate=0.1, calibration=1.0)
    rows = torch.cat([score.expand(10, 1), score.expand(4, 1)])
    grades = torch.tensor([[1]] * 10 + [[0]] * 4)  # of 40 where it is not relevant
    optimizer = torch.optim.LBFGS([score], max_iter=50)

    def step() -> Tensor:
        optimizer.zero_grad()
        value = loss(torch.cat([score.expand(10, 1), score.expand(4, 1)]), grades)
        value.backward()
        return value

    optimizer.step(step)
    assert rows.shape == (14, 1)
    assert score.sigmoid().item() == pytest.approx(0.2, abs=1e-4)
