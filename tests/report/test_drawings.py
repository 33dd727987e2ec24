"""The numbers behind the figures, against formulas written down here."""

from dataclasses import replace
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

import lossmith
from lossmith.study.base.direction import as_error
from lossmith.study.base.formatting import decimals, number
from lossmith.study.base.result import Curve, Outputs
from lossmith.study.report import figures, fit, shapes, svg
from lossmith.study.report.text import tick


def outputs(loss: lossmith.Loss, output: torch.Tensor, target: torch.Tensor) -> Outputs:
    return Outputs(name="it", loss=loss, output=output, target=target)


def test_values_and_gradients_are_those_of_the_formula():
    output, target = torch.tensor([3.0, -1.0, 0.5]), torch.tensor([1.0, 1.0, 1.0])
    value, gradient = shapes.values_and_gradients(lossmith.Huber(delta=1.0), output, target)
    np.testing.assert_allclose(value, [1.5, 1.5, 0.125])
    np.testing.assert_allclose(gradient, [1.0, 1.0, 0.5])


RACING = {
    key: kind
    for task in ("regression", "binary", "multiclass")
    for key, kind in lossmith.find(task).items()
    if kind.card.trains_head
}


@pytest.mark.parametrize("key", RACING)
def test_every_loss_that_may_race_has_a_curve(key):
    example = RACING[key].card.example
    loss, target = RACING[key](**example.arguments), torch.as_tensor(example.target)
    output = torch.randn(len(target), loss.out_features, dtype=torch.float64)
    output = output.squeeze(1) if loss.out_features == 1 else output
    value, gradient = shapes.values_and_gradients(loss, output, target)
    assert value.shape == gradient.shape == target.shape[:1]
    assert value.isfinite().all()
    assert gradient.isfinite().all()


def test_the_gradient_of_a_wide_head_is_its_length():
    output, target = torch.tensor([[0.0, 0.0, 0.0]]), torch.tensor([2])
    loss = lossmith.get("cross_entropy", classes=3)
    value, gradient = shapes.values_and_gradients(loss, output, target)
    np.testing.assert_allclose(value, [np.log(3)])
    np.testing.assert_allclose(gradient, [np.sqrt(6) / 3])  # (1/3, 1/3, -2/3)


@pytest.mark.parametrize("width", [(), (1,)])
def test_the_curve_of_one_output_is_exact_on_the_target_scale(width):
    target = torch.linspace(100.0, 900.0, 81, dtype=torch.float64)
    loss = lossmith.TransformedTarget(lossmith.Huber(delta=0.5), center=500.0, scale=200.0)
    rows = outputs(loss, torch.linspace(-2, 2, 81).reshape(81, *width), target)
    if width:
        loss_rows = replace(rows, output=rows.output.squeeze(-1))
        np.testing.assert_allclose(shapes.errors(rows), shapes.errors(loss_rows))
        return
    curve = shapes.shape(rows, -300.0, 150.0)
    scaled = np.abs(curve.x) / 200
    expected = np.where(scaled <= 0.5, scaled**2 / 2, 0.5 * (scaled - 0.25))
    np.testing.assert_allclose(curve.value, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(curve.gradient, np.minimum(scaled, 0.5), rtol=1e-9, atol=1e-12)
    assert curve.x.min() < -295
    assert curve.x.max() > 145


def test_the_curve_of_a_wide_head_joins_medians_of_rows():
    generator = torch.Generator().manual_seed(0)
    output = 3 * torch.randn(999, 4, generator=generator)
    target = torch.randint(0, 4, (999,), generator=generator)
    curve = shapes.shape(
        outputs(lossmith.get("cross_entropy", classes=4), output, target), 0.0, 1.0
    )
    assert len(curve.x) > 20
    assert (np.diff(curve.x) > 0).all()
    np.testing.assert_allclose(curve.value, -np.log(curve.x), rtol=0.02, atol=0.003)
    np.testing.assert_allclose(
        curve.errors, output.softmax(1)[range(999), target].numpy(), rtol=1e-6
    )


def test_errors_of_one_logit_are_probabilities_of_the_true_class():
    loss = lossmith.get("binary_cross_entropy")
    rows = outputs(loss, torch.tensor([2.0, 2.0]), torch.tensor([1, 0]))
    likely = 1 / (1 + np.exp(-2.0))
    np.testing.assert_allclose(shapes.errors(rows), [likely, 1 - likely], rtol=1e-6)


@pytest.mark.parametrize("key", ["poisson", "gamma"])
def test_errors_of_a_positive_target_are_residuals_and_its_curve_is_exact(key):
    target = torch.tensor([2.0, 4.0, 6.0])
    rows = outputs(lossmith.get(key), torch.tensor([3.0, 4.0, 8.0]).log(), target)
    np.testing.assert_allclose(shapes.errors(rows), [1.0, 0.0, 2.0], atol=1e-6)
    curve = shapes.shape(rows, -3.0, 3.0)  # of the median target, 4
    assert curve.x.min() < -2.9
    assert abs(curve.x[curve.value.argmin()]) < 0.05
    mean = 4 + curve.x
    slope = mean - 4 if key == "poisson" else 1 - 4 / mean
    np.testing.assert_allclose(curve.gradient, np.abs(slope), rtol=1e-6, atol=1e-9)


def test_the_curve_reaches_errors_that_no_output_is_near():
    rows = outputs(lossmith.Cauchy(scale=1.0), torch.zeros(9), torch.linspace(-1, 1, 9))
    curve = shapes.shape(rows, -5000.0, 10.0)
    assert curve.x.min() < -4990


def test_gross_errors_do_not_squeeze_the_drawn_range():
    output = torch.cat([torch.linspace(-1.0, 1.0, 900), torch.full((100,), -1e6)])
    low, high = shapes.limits((outputs(lossmith.MSE(), output, torch.zeros(1000)),))
    assert -20 < low < -1 < 0.9 < high <= 1


def test_the_drawn_range_holds_the_central_rows_and_zero():
    loss, target = lossmith.MSE(), torch.zeros(1000)
    outlying = torch.cat([torch.linspace(2.0, 3.0, 995), torch.full((5,), 1e9)])
    low, high = shapes.limits((outputs(loss, outlying, target),))
    assert low == 0
    assert 2.9 < high < 3.0


def study(better, **names):
    """Return as much of a result as limits are drawn from."""
    return SimpleNamespace(error=lambda score: as_error(score, better), **names)


@given(st.lists(st.floats(0.5, 2), min_size=5, max_size=30), st.sampled_from(["lower", "higher"]))
def test_one_bad_curve_does_not_squash_the_rest(scores, better):
    result = study(better, default="0", selected="bad")
    sign = 1 if better == "lower" else -1
    good = [
        Curve(
            name=str(n),
            epochs=tuple(range(len(scores))),
            scores=tuple(sign * s for s in scores),
            best_epoch=0,
        )
        for n in range(3)
    ]
    bad = replace(good[0], name="bad", scores=(sign * 1e9,) * len(scores))
    low, high = figures._curve_limits(result, (*good, bad))
    assert high - low < 5
    assert low < sign * min(scores) < high


def test_the_default_is_seen_however_much_better_the_others_are():
    result = study("lower", default="mse", selected="0")
    good = [Curve(name=str(n), epochs=(1, 2, 3), scores=(4, 2, 1), best_epoch=3) for n in range(3)]
    default = Curve(name="mse", epochs=(1, 2, 3), scores=(90, 20, 30), best_epoch=2)
    low, high = figures._curve_limits(result, (*good, default))
    assert low < 1
    assert 20 < high < 25


def test_the_forest_holds_zero_and_all_but_absurd_intervals(switch):
    result, _ = switch
    rows = figures.compared(result)
    absurd = replace(rows[0], difference_low=-1e12, difference_high=1e12)
    low, high = figures._difference_limits([*rows[1:], absurd])
    assert low < 0 < high
    assert high < 1e11
    assert all(
        low < (row.difference_low or 0) and (row.difference_high or 0) < high for row in rows[1:]
    )


def test_the_best_candidate_is_on_top(switch, binary):
    for result, _ in (switch, binary):
        sign = 1 if result.better == "lower" else -1
        differences = [sign * row.difference_to_default for row in figures.compared(result)]
        assert differences == sorted(differences)
        assert len(differences) == sum(
            c.status in ("finished", "selected") for c in result.candidates
        )


def wilson(hits: int, rows: int) -> tuple[float, float]:
    z, share = 1.959963984540054, hits / rows
    center = (share + z**2 / (2 * rows)) / (1 + z**2 / rows)
    half = z / (1 + z**2 / rows) * np.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2))
    return center - half, center + half


@pytest.mark.parametrize("columns", [1, 2])
def test_reliability_of_two_classes(columns):
    positive = np.repeat([0.05, 0.72], [20, 10])
    target = np.concatenate([np.repeat([1, 0], [2, 18]), np.repeat([1, 0], [9, 1])])
    probability = positive if columns == 1 else np.stack([1 - positive, positive], axis=1)
    one = fit.decided(fit.Model("default", probability, "-"), target)
    curve = fit.reliability(one.stated, one.hit)
    np.testing.assert_allclose(curve.predicted, [0.05, 0.72])
    np.testing.assert_allclose(curve.observed, [0.1, 0.9])
    np.testing.assert_allclose([curve.low[0], curve.high[0]], wilson(2, 20))
    np.testing.assert_allclose(curve.error, (20 * 0.05 + 10 * 0.18) / 30)


def test_reliability_of_many_classes_is_that_of_the_likeliest():
    probability = np.array([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.0, 0.05, 0.95]])
    one = fit.decided(fit.Model("default", probability, "-"), np.array([0, 1, 2]))
    curve = fit.reliability(one.stated, one.hit)
    np.testing.assert_allclose(curve.predicted, [0.6, 0.95])
    np.testing.assert_allclose(curve.observed, [0.5, 1.0])


@given(st.floats(-1e9, 1e9), st.integers(0, 4))
def test_numbers_read_back(value, places):
    text = number(value, places)
    assert float(text.replace(",", "").replace("−", "-")) == pytest.approx(
        value, abs=0.51 * 10**-places
    )


@given(st.floats(1e-6, 1e9))
def test_decimals_show_two_digits_of_the_scale(scale):
    shown = round(scale, decimals([scale]))
    assert abs(shown - scale) <= max(0.051 * scale, 0)


@given(st.floats(-1e6, 1e6), st.sampled_from([1, 2, 2.5, 5]), st.integers(-4, 6))
def test_ticks_can_be_told_apart(start, digit, power):
    step = digit * 10.0**power
    ticks = [round(start / step) * step + n * step for n in range(5)]
    for short in (False, True):
        labels = [tick(value, ticks, short=short) for value in ticks]
        assert len(set(labels)) == 5


@pytest.mark.parametrize("both", [True, False])
def test_names_of_curves_stay_within_the_frame(keep, both: bool) -> None:
    result, evidence = keep
    name = "log1p(student_t_nll) + class_balanced(beta=0.9999), by geometric_mean"
    selected = name if both else result.selected
    shown = replace(result, default=name, selected=selected)
    curves = tuple(replace(curve, name=name) for curve in evidence.curves[:1])
    for size in ((7.6, 3.5), (3.6, 3.0)):
        with matplotlib.rc_context(svg._STYLE):
            figure = Figure(figsize=size, layout="constrained")
            figures._draw_curves(figure, shown, curves + evidence.curves[1:])
            figure.draw_without_rendering()
            assert figure.legends[0].get_window_extent().x1 <= figure.bbox.x1
