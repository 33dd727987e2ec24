"""The verdict's test against scipy, a hand-written formula, and data where nothing is better."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.model_selection import KFold

from lossmith.study.verdict import estimate, holm

NORMAL = np.random.default_rng(0).normal(-0.3, 1.0, 10)


def test_without_overlap_it_is_the_t_test() -> None:
    found = estimate(NORMAL, 0.0)
    expected = stats.ttest_1samp(NORMAL, 0.0, alternative="less")
    interval = stats.ttest_1samp(NORMAL, 0.0).confidence_interval(0.95)
    assert found.mean == pytest.approx(NORMAL.mean())
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_overlap_widens_it_as_nadeau_and_bengio_say() -> None:
    count, overlap = len(NORMAL), 0.25
    variance = sum((x - sum(NORMAL) / count) ** 2 for x in NORMAL) / (count - 1)
    error = ((1 / count + overlap) * variance) ** 0.5
    t = sum(NORMAL) / count / error
    found = estimate(NORMAL, overlap)
    assert found.p_value == pytest.approx(stats.t(count - 1).cdf(t))
    assert found.high - found.low == pytest.approx(2 * stats.t(count - 1).ppf(0.975) * error)


def test_better_is_below_zero() -> None:
    assert estimate(NORMAL - 3, 0.25).p_value < 0.01
    assert estimate(NORMAL + 3, 0.25).p_value > 0.99
    assert estimate(-NORMAL, 0.25).p_value == pytest.approx(1 - estimate(NORMAL, 0.25).p_value)


def test_one_cell_or_no_difference_proves_nothing() -> None:
    lone = estimate(np.array([-5.0]), 0.25)
    assert (lone.p_value, lone.low, lone.high) == (1.0, -np.inf, np.inf)
    assert estimate(np.zeros(10), 0.25).p_value == 1.0


def test_two_equal_differences_of_a_coarse_metric_are_no_proof() -> None:
    assert estimate(np.array([-0.02, -0.02]), 0.25).p_value > 0.05
    assert estimate(np.full(10, -0.02), 0.25).p_value < 0.01


def by_hand(p_values: list[float], comparisons: int) -> list[float]:
    """Holm's adjusted p-values: max over j ≤ i of min(1, (m − j + 1) p_(j))."""
    order = sorted(p_values)
    return [
        max(min(1.0, (comparisons - j) * order[j]) for j in range(order.index(p) + 1))
        for p in p_values
    ]


def test_holm_worked_by_hand() -> None:
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}, 4)
    assert found == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})


P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8, unique=True)


@given(P_VALUES, st.integers(0, 5))
def test_holm_properties(p_values: list[float], dropped: int) -> None:
    names = [str(i) for i in range(len(p_values))]
    comparisons = len(p_values) + dropped
    found = holm(dict(zip(names, p_values, strict=True)), comparisons)
    assert [found[name] for name in names] == pytest.approx(by_hand(p_values, comparisons))
    ranked = [found[names[i]] for i in np.argsort(p_values)]
    assert ranked == sorted(ranked)
    assert all(found[name] >= p for name, p in zip(names, p_values, strict=True))
    padded = {**dict(zip(names, p_values, strict=True)), **{f"x{i}": 1.0 for i in range(dropped)}}
    assert {n: p for n, p in holm(padded, comparisons).items() if n in names} == found


def fold_scores(learners: int, rng: np.random.Generator) -> np.ndarray:
    """Cross-validate ridge on different columns, all worth the same; (learners, cells) errors.

    No learner is better than another before the data are drawn, and folds overlap as in a study.
    """
    rows, width, ridge = 60, 3, 1.0
    x = rng.normal(size=(rows, learners, width))
    y = x.sum(axis=(1, 2)) / (learners * width) ** 0.5 + rng.normal(size=rows)
    scores = []
    for repeat in range(2):
        folds = KFold(5, shuffle=True, random_state=int(rng.integers(2**31)) + repeat)
        for train, valid in folds.split(x):
            inside = x[train].transpose(1, 0, 2)
            gram = inside.transpose(0, 2, 1) @ inside + ridge * np.eye(width)
            moment = inside.transpose(0, 2, 1) @ y[train][:, None]
            beta = np.linalg.solve(gram, moment)
            predictions = (x[valid].transpose(1, 0, 2) @ beta)[..., 0]
            scores.append(np.sqrt(((predictions - y[valid]) ** 2).mean(axis=1)))
    return np.stack(scores, axis=1)


def test_where_nothing_is_better_false_switches_are_at_most_nominal() -> None:
    rng, studies, learners, level = np.random.default_rng(7), 300, 8, 0.05
    corrected = uncorrected = single = 0
    for _ in range(studies):
        scores = fold_scores(learners, rng)
        gaps = {str(i): scores[i] - scores[0] for i in range(1, learners)}
        honest = {name: estimate(gap, 0.25).p_value for name, gap in gaps.items()}
        naive = {name: estimate(gap, 0.0).p_value for name, gap in gaps.items()}
        single += honest["1"] < level
        corrected += min(holm(honest, learners - 1).values()) < level
        uncorrected += min(holm(naive, learners - 1).values()) < level
    allowed = stats.binom(studies, level).ppf(0.999)
    assert corrected <= allowed
    assert single <= allowed
    assert uncorrected > allowed  # what the correction for overlapping folds is for


def test_a_real_gain_is_seen() -> None:
    rng, found = np.random.default_rng(3), 0
    for _ in range(20):
        scores = fold_scores(1, rng)[0]
        better = scores * rng.normal(0.9, 0.02, len(scores))
        gap = estimate(better - scores, 0.25).p_value
        found += holm({"better": gap}, 20)["better"] < 0.05
    assert found >= 10
