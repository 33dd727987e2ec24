"""The verdict's test against the t-test, a hand-written formula, and data with nothing to gain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.model_selection import KFold

from lossmith.study.rules.compare import FoldErrors
from lossmith.study.rules.paired_test import Estimate, estimate, holm

CELLS, ROWS = 10, 200
RNG = np.random.default_rng(0)
FOLDS = [np.arange(ROWS)[fold::5] for fold in range(5)] * 2  # each row twice


def trainings(
    of_rows: float, of_trainings: float, mean: float = 0.0, seed: int = 0
) -> list[np.ndarray]:
    """Draw one value a row and training: what the row adds, what the training adds, noise."""
    rng = np.random.default_rng(seed)
    own = of_rows * rng.normal(size=ROWS)
    return [
        mean + own[rows] + of_trainings * rng.normal() + 0.1 * rng.normal(size=len(rows))
        for rows in FOLDS
    ]


def test_rows_that_occur_once_and_cells_alike_give_the_t_test() -> None:
    values = RNG.normal(-0.1, 1.0, 100).reshape(5, 20)
    values += values.mean() - values.mean(axis=1, keepdims=True)  # trainings do not differ
    rows = np.arange(100).reshape(5, 20)
    found = estimate(list(values), list(rows))
    error = values.std(ddof=1) / 10
    fourth = ((values - values.mean()) ** 4).sum() / ((values - values.mean()) ** 2).sum() ** 2
    assert found.mean == pytest.approx(values.mean())
    freedom = (100 / 99) ** 2 / fourth
    assert found.p_value == pytest.approx(stats.t(freedom).cdf(values.mean() / error))
    margin = stats.t(freedom).ppf(0.975) * error
    assert (found.low, found.high) == pytest.approx((found.mean - margin, found.mean + margin))


def by_formula(values: list[np.ndarray], rows: list[np.ndarray]) -> tuple[float, float]:
    """Cameron, Gelbach and Miller by loops: the t-statistic and its degrees of freedom."""
    count = len(values)
    mean = sum(training.mean() for training in values) / count
    of_row: dict[int, float] = {}
    of_cell, single = [], 0.0
    for training, numbers in zip(values, rows, strict=True):
        parts = [(value - mean) / (count * len(training)) for value in training]
        of_cell.append(sum(parts))
        single += sum(part**2 for part in parts)
        for number, part in zip(numbers, parts, strict=True):
            of_row[int(number)] = of_row.get(int(number), 0.0) + part
    row_variance = sum(v**2 for v in of_row.values()) * len(of_row) / (len(of_row) - 1)
    cell_variance = sum(v**2 for v in of_cell) * count / (count - 1)
    variance = row_variance + max(0.0, cell_variance - single)
    fourth = sum(v**4 for v in of_row.values()) + cell_variance**2 / (count - 1)
    return mean / variance**0.5, variance**2 / fourth


@pytest.mark.parametrize(
    ("of_rows", "of_trainings"), [(1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.1, 0.0)]
)
def test_it_is_the_two_way_clustered_test(of_rows: float, of_trainings: float) -> None:
    values = trainings(of_rows, of_trainings, mean=-0.05)
    t, freedom = by_formula(values, FOLDS)
    assert estimate(values, FOLDS).p_value == pytest.approx(stats.t(freedom).cdf(t))


@pytest.mark.parametrize(("of_rows", "of_trainings"), [(1.0, 0.0), (1.0, 0.3), (0.0, 0.3)])
def test_the_interval_covers_the_truth(of_rows: float, of_trainings: float) -> None:
    def covers(found: Estimate) -> bool:
        return found.low <= 0.0 <= found.high

    drawn = [estimate(trainings(of_rows, of_trainings, seed=seed), FOLDS) for seed in range(400)]
    assert 0.93 <= np.mean([covers(one) for one in drawn]) <= 0.995
    false = np.mean([one.p_value < 0.05 for one in drawn])
    assert 0.02 <= false <= 0.08


def test_few_rows_that_decide_are_little_proof() -> None:
    even = [np.full(len(rows), -1.0) + 0.1 * RNG.normal(size=len(rows)) for rows in FOLDS]
    few = [np.where(rows < 3, -70.0, 0.0) for rows in FOLDS]
    assert estimate(even, FOLDS).p_value < 1e-6
    assert estimate(few, FOLDS).p_value > 0.01


@given(st.floats(-5, 5), st.floats(0.1, 10))
def test_shift_and_scale(shift: float, scale: float) -> None:
    values = trainings(1.0, 0.2)
    plain = estimate(values, FOLDS)
    moved = estimate([scale * training + shift for training in values], FOLDS)
    assert moved.mean == pytest.approx(scale * plain.mean + shift)
    assert moved.high - moved.low == pytest.approx(scale * (plain.high - plain.low))


def test_better_is_below_zero() -> None:
    values = trainings(1.0, 0.2)
    assert estimate([training - 3 for training in values], FOLDS).p_value < 0.001
    assert estimate([training + 3 for training in values], FOLDS).p_value > 0.999
    mirrored = estimate([-training for training in values], FOLDS).p_value
    assert mirrored == pytest.approx(1 - estimate(values, FOLDS).p_value)


def test_one_cell_no_difference_or_no_number_proves_nothing() -> None:
    lone = estimate([np.full(5, -5.0)], [np.arange(5)])
    assert (lone.p_value, lone.low, lone.high) == (1.0, -np.inf, np.inf)
    assert estimate([np.zeros(40)] * 10, FOLDS).p_value == 1.0
    assert estimate([np.full(40, -np.inf)] * 10, FOLDS).p_value == 1.0


def test_two_equal_differences_of_a_coarse_metric_are_no_proof() -> None:
    assert estimate([np.full(40, -0.02)] * 2, FOLDS[:2]).p_value > 0.05
    assert estimate([np.full(40, -0.02)] * 10, FOLDS).p_value < 0.01


def test_scores_of_two_decimals_prove_no_more_than_their_signs() -> None:
    ours, theirs = [0.10, 0.09, 0.08, 0.07, 0.06], [0.11, 0.10, 0.09, 0.08, 0.07]
    differences = [np.array([a - b]) for a, b in zip(ours, theirs, strict=True)]
    assert len({float(one[0]) for one in differences}) > 1  # equal but for rounding
    found = estimate(differences, [np.arange(1)] * 5)
    assert found.p_value == pytest.approx(0.5**5)


@pytest.mark.parametrize(("spread", "proves"), [(0.0, False), (1e-4, True)])
def test_one_training_repeated_proves_nothing(spread: float, proves: bool) -> None:
    def scores(level: float) -> FoldErrors:
        errors = level + spread * np.arange(5)
        return FoldErrors(
            errors=errors,
            influences=(np.zeros(1),) * 5,
            rows=tuple(np.array([k]) for k in range(5)),
            epochs=(1,) * 5,
            best_epoch=1,
            by_ratio=True,
        )

    ours, theirs = scores(0.07), scores(0.1)
    assert (ours.p_value(theirs) < 0.05) == proves
    assert np.isfinite(ours.difference(theirs).low) == proves


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


Values = list[np.ndarray]


def studied(
    learners: int, rng: np.random.Generator, noise: str, gain: float = 0.0
) -> tuple[list[Values], Values]:
    """Cross-validate ridge on random features, drawn anew for every training.

    No learner is better than another, but each training has its luck, and folds overlap as in a
    study; the last learner's errors are less by a share. Returns each learner's errors by training
    and row, on the scale of the logarithm, and the rows.
    """
    rows, width = 100, 12
    x = rng.normal(size=(rows, 4))
    errors = {"normal": rng.normal, "heavy": lambda size: rng.standard_t(3, size)}
    y = np.sin(x[:, 0]) + x[:, 1] + 0.7 * errors[noise](size=rows)
    found: list[Values] = [[] for _ in range(learners)]
    where = []
    for _ in range(2):
        folds = KFold(5, shuffle=True, random_state=int(rng.integers(2**31)))
        for train, valid in folds.split(x):
            where.append(valid)
            for own in found:
                features = np.tanh(x @ rng.normal(size=(4, width)))
                inside = features[train]
                gram = inside.T @ inside + np.eye(width)
                beta = np.linalg.solve(gram, inside.T @ y[train])
                squares = (features[valid] @ beta - y[valid]) ** 2
                squares *= (1 - gain) ** 2 if own is found[-1] else 1.0
                mean = squares.mean()
                own.append(np.log(mean) / 2 + (squares - mean) / (2 * mean))
    return found, where


@pytest.mark.parametrize("noise", ["normal", "heavy"])
def test_where_nothing_is_better_false_switches_are_rare(noise: str) -> None:
    rng, studies, learners, level = np.random.default_rng(7), 150, 8, 0.05
    switched = single = 0
    for _ in range(studies):
        found, rows = studied(learners, rng, noise)
        gaps = [[a - b for a, b in zip(own, found[0], strict=True)] for own in found[1:]]
        p_values = {str(i): estimate(gap, rows).p_value for i, gap in enumerate(gaps)}
        single += p_values["0"] < level
        switched += min(holm(p_values, learners - 1).values()) < level
    assert single <= stats.binom(studies, level).ppf(0.999)
    assert switched <= stats.binom(studies, 0.02).ppf(0.999)


def test_a_real_gain_is_seen() -> None:
    rng, found = np.random.default_rng(3), 0
    for _ in range(20):
        (default, better), rows = studied(2, rng, "normal", gain=0.25)
        gap = [a - b for a, b in zip(better, default, strict=True)]
        found += holm({"better": estimate(gap, rows).p_value}, 40)["better"] < 0.05
    assert found >= 15
