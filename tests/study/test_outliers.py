"""Gross errors are found where they are, and not where a tail is merely heavy."""

from collections.abc import Callable

import numpy as np
import pytest

from lossmith.study.trials.outliers import FAR, has_outliers, residual_scales

ROWS = 2000
SEEDS = range(5)
Noise = Callable[[np.random.Generator], np.ndarray]

CLEAN: dict[str, Noise] = {
    "normal": lambda rng: rng.normal(size=ROWS),
    "uniform": lambda rng: rng.uniform(-1, 1, ROWS),
    "laplace": lambda rng: rng.laplace(size=ROWS),
    "exponential": lambda rng: rng.exponential(size=ROWS),
    "lognormal": lambda rng: rng.lognormal(size=ROWS),
    "gamma": lambda rng: rng.gamma(0.7, size=ROWS),
    "student 3": lambda rng: rng.standard_t(3, ROWS),
    "student 2": lambda rng: rng.standard_t(2, ROWS),
    "two scales": lambda rng: rng.normal(size=ROWS) * rng.choice([1, 3], ROWS),
}


def some(rng: np.random.Generator, share: float) -> np.ndarray:
    return rng.random(ROWS) < share


WRONG: dict[str, Noise] = {
    "10 % at ±10 sd": lambda rng: np.where(
        some(rng, 0.1), rng.choice([-15.0, 15.0], ROWS), rng.normal(size=ROWS)
    ),
    "10 % times 10": lambda rng: (
        np.where(some(rng, 0.1), 10, 1) * (20 + 2 * rng.normal(size=ROWS)) - 20
    ),
    "5 % a constant": lambda rng: np.where(some(rng, 0.05), -999.0, rng.normal(size=ROWS)),
    "2 % huge": lambda rng: np.where(some(rng, 0.02), 1e6, rng.normal(size=ROWS)),
    "10 % wide": lambda rng: np.where(some(rng, 0.1), 100, 1) * rng.normal(size=ROWS),
}


def scales(residual: np.ndarray, models: int = 5) -> np.ndarray:
    """Return the scales of a target from models that all miss it by about the noise."""
    rng = np.random.default_rng(1)
    signal = rng.normal(size=len(residual)) * 3
    predictions = signal + 0.05 * rng.normal(size=(models, len(residual)))
    return residual_scales(signal + residual, predictions, log=False)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CLEAN)
def test_heavy_tails_are_no_gross_errors(name: str, seed: int) -> None:
    assert not has_outliers(scales(CLEAN[name](np.random.default_rng(seed))))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", WRONG)
def test_gross_errors_are_found(name: str, seed: int) -> None:
    assert has_outliers(scales(WRONG[name](np.random.default_rng(seed))))


def test_the_rows_that_do_not_count_are_the_wrong_ones() -> None:
    rng = np.random.default_rng(0)
    wrong = some(rng, 0.1)
    found = scales(np.where(wrong, 15.0, rng.normal(size=ROWS))) > FAR
    assert np.array_equal(found, wrong)


def test_a_few_wild_rows_are_no_reason_to_leave_rows_out() -> None:
    residual = np.random.default_rng(0).normal(size=ROWS)
    residual[:9] = 1e6
    assert not has_outliers(scales(residual))


def test_a_model_gone_wild_is_outvoted() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(size=ROWS)
    wild = np.where(some(rng, 0.1), 1000.0, 0.0)
    predictions = np.stack([np.zeros(ROWS), wild, np.full(ROWS, 0.01)])
    assert not has_outliers(residual_scales(target, predictions, log=False))


def test_scales_are_robust_standard_deviations() -> None:
    residual = np.random.default_rng(0).normal(size=20_001) * 7
    found = residual_scales(residual, np.zeros((1, 20_001)), log=False)
    assert np.sqrt((found**2).mean()) == pytest.approx(1, rel=0.03)


def test_errors_count_in_logs_where_the_metric_does() -> None:
    target = np.expm1(np.random.default_rng(0).normal(5, 1, ROWS))
    predictions = np.full((1, ROWS), np.expm1(5.0))
    distance = np.abs(np.log1p(target) - 5)
    expected = distance / (1.4826 * np.median(distance))
    assert np.allclose(residual_scales(target, predictions, log=True), expected)
    below = residual_scales(np.zeros(3), np.array([[-5.0, -0.5, 1.0]]), log=True)
    assert np.isfinite(below).all()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9, 1.0])
def test_zeros_do_not_crash(share: float) -> None:
    rng = np.random.default_rng(0)
    target = np.where(some(rng, share), 0.0, rng.exponential(size=ROWS))
    for middle in (0.0, 0.5, float(target.mean())):
        found = residual_scales(target, np.full((3, ROWS), middle), log=False)
        assert np.isfinite(found).all()
        has_outliers(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_amounts_among_zeros_are_no_gross_errors(seed: int) -> None:
    """Seven in eight rows are 0, as claims and sales are; models cannot tell which."""
    rng = np.random.default_rng(seed)
    target = np.where(some(rng, 0.88), 0.0, rng.lognormal(4, 0.5, ROWS))
    predictions = np.abs(rng.normal(2, 2, (5, ROWS)))
    assert not has_outliers(residual_scales(target, predictions, log=False))


@pytest.mark.parametrize("seed", SEEDS)
def test_errors_in_proportion_to_a_skewed_target_are_no_gross_errors(seed: int) -> None:
    """A tenth of the target, whose logarithm has a standard deviation of 2.5, is missed."""
    rng = np.random.default_rng(seed)
    target = rng.lognormal(0, 2.5, ROWS)
    predictions = target * (1 + 0.1 * rng.normal(size=(1, ROWS)))
    assert not has_outliers(residual_scales(target, predictions, log=False))
