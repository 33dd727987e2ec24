"""Metrics of censored times beside scikit-survival 0.28.0, and what they take from a study."""

import numpy as np
import pytest

from lossmith.study.base.errors import InputError
from lossmith.study.metrics import lookup
from lossmith.study.metrics.censored import Steps, horizons
from lossmith.study.metrics.resolve import as_metric
from lossmith.study.metrics.survival import IntegratedBrier

RNG = np.random.default_rng(0)


def draw(rows: int) -> tuple[np.ndarray, np.ndarray]:
    risk = RNG.normal(size=rows)
    time = np.ceil(10 * RNG.exponential(np.exp(-risk)))
    censored = np.ceil(15 * RNG.exponential(size=rows))
    return risk, np.stack([np.minimum(time, censored), time <= censored], axis=1)


_, TRAIN = draw(60)
RISK, TEST = draw(40)
RISK = np.round(RISK + RNG.normal(size=40), 1)
ENDS = (1.0, 2.0, 3.5, 5.0, 9.0)
CURVE = np.exp(-np.outer(np.exp(0.5 * RISK), ENDS) / 10)


@pytest.mark.parametrize(
    ("name", "value"),  # concordance_index_ipcw(train, test, risk, tau), and its censored one
    [
        ("concordance_uno@6", 0.7155500885926743),
        ("concordance_uno@12", 0.7146100335616158),
        ("concordance", 0.6955403087478559),
    ],
)
def test_concordance_is_that_of_others(name: str, value: float) -> None:
    assert as_metric(name).fitted(TRAIN).score(TEST, RISK) == pytest.approx(value, rel=1e-12)
    beside = np.concatenate([RISK[:, None], CURVE], axis=1)
    assert lookup(name).fitted(TRAIN).score(TEST, beside) == pytest.approx(value, rel=1e-12)


def test_the_brier_score_is_that_of_others() -> None:
    metric = IntegratedBrier(ENDS).fitted(TRAIN)  # integrated_brier_score(train, test, curve, ends)
    assert metric.score(TEST, CURVE) == pytest.approx(0.192973292844031, rel=1e-12)
    time, event = TEST.T
    assert metric.score({"time": time, "event": event}, CURVE) == metric.score(TEST, CURVE)


def test_without_censoring_all_weights_are_1() -> None:
    seen = np.stack([TEST[:, 0], np.ones(40)], axis=1)
    late = as_metric(f"concordance_uno@{seen[:, 0].max()}")
    assert late.score(seen, RISK) == pytest.approx(as_metric("concordance").score(seen, RISK))
    alive = seen[:, :1] > ENDS
    expected = np.trapezoid((CURVE - alive) ** 2, ENDS, axis=1).mean() / 8
    assert IntegratedBrier(ENDS).score(seen, CURVE) == pytest.approx(expected)


def test_a_study_states_horizons_and_censoring_once() -> None:
    found = as_metric("integrated_brier").fitted(TRAIN)
    own = TRAIN[TRAIN[:, 1] == 1, 0]
    assert found.horizons == horizons(*TRAIN.T)
    assert found.horizons[0] == pytest.approx(np.quantile(own, 0.05), rel=1e-3)
    assert as_metric("concordance_uno").fitted(TRAIN).tau == found.horizons[-1]
    assert as_metric("concordance_uno@7").fitted(TRAIN).tau == 7
    with pytest.raises(InputError, match=rf"each of the {len(found.horizons)} horizons"):
        found.score(TEST, CURVE)


def test_the_share_not_censored_leaves_events_at_the_same_time_out() -> None:
    time, event = np.array([1.0, 1.0, 2.0, 3.0]), np.array([1, 0, 1, 0])
    at = [0.5, 1.0, 2.5, 9.0]
    assert Steps.uncensored(time, event).at(at) == pytest.approx([1, 2 / 3, 2 / 3, 0])
    assert Steps.surviving(time, event).at(at) == pytest.approx([1, 0.75, 0.375, 0.375])


def test_the_best_constants_are_those_of_all_rows() -> None:
    assert lookup("concordance").constant_score(TEST) == 0.5
    metric = as_metric("integrated_brier")
    ends = np.array(horizons(*TEST.T))
    same = np.tile(Steps.surviving(*TEST.T).at(ends), (40, 1))
    assert metric.constant_score(TEST) == pytest.approx(metric.score(TEST, same))
    assert metric.constant_score(TEST) < metric.score(TEST, same * 0.9)
    assert lookup("integrated_brier").constant_score(TEST) == metric.constant_score(TEST)


@pytest.mark.parametrize("target", [np.zeros((5, 2)), np.ones((5, 2))])
def test_events_without_an_order_have_no_horizons(target: np.ndarray) -> None:
    with pytest.raises(InputError, match="fewer than two different times"):
        as_metric("integrated_brier").fitted(target)
