"""Metrics of forecasts and their distributions: definitions, influences and errors."""

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn import metrics as reference

from lossmith.study.base.errors import InputError
from lossmith.study.metrics.jackknife import jackknife
from lossmith.study.metrics.resolve import as_metric

RNG = np.random.default_rng(0)
ROWS = 60
VALUES = RNG.normal(size=(ROWS, 4))
POINTS = VALUES + RNG.normal(size=(ROWS, 4))
PAST = RNG.normal(size=(ROWS, 12)).cumsum(axis=1)
SCALES = abs(np.diff(PAST, axis=1)).mean(axis=1)


def test_mase_is_the_mean_of_the_rows_scaled_errors() -> None:
    target = {"value": VALUES, "scale": SCALES}
    rows = abs(VALUES - POINTS).mean(axis=1) / SCALES  # as GluonTS: each series by its own past
    metric = as_metric("mase")
    assert metric.score(target, POINTS) == pytest.approx(rows.mean())
    np.testing.assert_allclose(metric.influences(target, POINTS), rows - rows.mean())
    missing = VALUES.copy()
    missing[0, 1:] = np.nan
    found = metric.score({"value": missing, "scale": SCALES}, POINTS)
    assert found == pytest.approx(np.nanmean(abs(missing - POINTS) / SCALES[:, None]))


def test_crps_is_near_that_of_the_distribution() -> None:
    metric = as_metric("crps")
    spread = stats.norm(POINTS, 1.0)
    read = np.stack([spread.ppf(level) for level in metric.levels], axis=1)
    pinballs = [
        reference.mean_pinball_loss(VALUES, read[:, k], alpha=level)
        for k, level in enumerate(metric.levels)
    ]
    assert metric.score(VALUES, read) == pytest.approx(2 * np.mean(pinballs))
    fine = np.stack([spread.ppf((k + 0.5) / 400) for k in range(400)], axis=1)
    below, above = (VALUES[0, 0] - 40, VALUES[0, 0] + 40)
    exact = integrate.quad(
        lambda x: (stats.norm.cdf(x, POINTS[0, 0]) - (x >= VALUES[0, 0])) ** 2,
        below,
        above,
        points=[VALUES[0, 0]],
    )[0]
    assert metric.score(VALUES[:1, :1], fine[:1, :, :1]) == pytest.approx(exact, rel=1e-3)


def test_the_interval_score_is_winklers() -> None:
    metric = as_metric("interval@0.8")
    ends = np.stack([POINTS - 1, POINTS + 0.5], axis=1)
    outside = np.maximum(ends[:, 0] - VALUES, 0) + np.maximum(VALUES - ends[:, 1], 0)
    assert metric.levels == (0.1, 0.9)
    assert metric.score(VALUES, ends) == pytest.approx((1.5 + 2 / 0.2 * outside).mean())
    beside = metric.beside(VALUES, ends)
    assert beside == {"coverage": (outside == 0).mean(), "width": pytest.approx(1.5)}
    expected = jackknife(metric.score, VALUES, ends, np.arange(ROWS), np.arange(ROWS))
    np.testing.assert_allclose(metric.influences(VALUES, ends), expected)


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("mase", VALUES, "mase needs targets as a dict of value .* and scale"),
        ("mase", {"value": VALUES, "scale": np.zeros(ROWS)}, "scale, which must be one number abo"),
        ("mase", {"value": VALUES, "scale": SCALES[:, None]}, "one number above 0 a row"),
        ("crps", VALUES, "crps needs predictions .rows, levels"),
        ("interval@0.8", VALUES, "interval@0.8 needs predictions .rows, levels"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(name: str, target, message: str) -> None:
    metric = as_metric(name)
    with pytest.raises(InputError, match=message) as caught:
        metric.score(target, POINTS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["interval@2", "interval@x", "mase@3", "crps@3"])
def test_arguments_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(InputError):
        as_metric(name)
