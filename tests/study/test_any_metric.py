"""Any metric: what is accepted, its direction, and influences against the analytic ones."""

import os
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn

import lossmith
from lossmith.study.base.errors import InputError
from lossmith.study.metrics import lookup, names
from lossmith.study.metrics.catalogue import parsed
from lossmith.study.metrics.jackknife import jackknife, sample
from lossmith.study.metrics.resolve import as_metric, metric_names
from lossmith.study.metrics.units import rows_measure, unit_numbers
from lossmith.study.tasks import ROW_TASKS

RNG = np.random.default_rng(0)
GROUPS = 120
UNITS = np.repeat(RNG.permutation(GROUPS) * 7 + 2, RNG.choice((1, 2, 6), GROUPS))
ROWS = len(UNITS)
OWN = RNG.normal(size=GROUPS * 7 + 2)[UNITS]
VALUES = RNG.gamma(4.0, 2.0, ROWS)
POINTS = VALUES * RNG.normal(1.0, 0.2, ROWS) + 1 + OWN
POSITIVE = (RNG.random(ROWS) < 0.35).astype(int)
ODDS = 1 / (1 + np.exp(-(2 * POSITIVE - 1 + OWN + RNG.normal(size=ROWS))))
PAIRS = np.stack([1 - ODDS, ODDS], axis=1)


def largest(target, prediction):
    """The largest error but a tenth of them."""
    return np.quantile(abs(target - prediction), 0.9)


def spread(target, prediction):
    return ((target - prediction) ** 2).mean() ** 0.5


def profit(target: torch.Tensor, prediction: torch.Tensor) -> torch.Tensor:
    return torch.where(prediction >= 0.3, 5.0 * target - 1.0, 0.0).sum() / len(target)


# Times and lists have metrics of tables too, which are tested by their own data.
OF_ROWS = sorted({name for task in ROW_TASKS for name in names(task)})


def data_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    return (VALUES, POINTS) if name in names("regression") else (POSITIVE, PAIRS)


def bootstrap(metric, target, prediction, units, draws: int) -> np.ndarray:
    rng, (codes, index) = np.random.default_rng(1), unit_numbers(len(target), units)
    rows = np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index))[:-1])
    drawn = (rng.integers(len(codes), size=len(codes)) for _ in range(draws))
    whole = (np.concatenate([rows[unit] for unit in one]) for one in drawn)
    return np.array([metric.score(target[one], prediction[one]) for one in whole])


@pytest.mark.parametrize("name", OF_ROWS)
def test_a_name_is_scored_as_in_tables(name: str) -> None:
    target, prediction = data_of(name)
    metric, table = as_metric(name), lookup(name)
    assert (metric.name, metric.better) == (table.name, table.better)
    assert metric.score(target, prediction) == pytest.approx(table.score(target, prediction))
    expected = table.influences(target, prediction)
    assert metric.influences(target, prediction) == pytest.approx(expected, abs=1e-9)
    assert metric.cheap
    assert name in metric_names()


# A median is no smooth function, and all of two grades are within one.
@pytest.mark.parametrize("name", [n for n in OF_ROWS if n not in ("medae", "within_one")])
def test_the_jackknife_gives_the_analytic_influences(name: str) -> None:
    target, prediction = data_of(name)
    table = as_metric(name)
    metric = as_metric(lambda y, p: table.score(y, p), better=table.better)
    assert not metric.cheap
    for units in (None, UNITS):
        ours = metric.influences(target, prediction, units)
        analytic = table.influences(target, prediction, units)
        assert np.corrcoef(ours, analytic)[0, 1] > 0.9995
        assert ours.std() == pytest.approx(analytic.std(), rel=0.05)  # of average precision
        assert abs(ours.sum()) < 1e-9


@pytest.mark.parametrize("name", ["mae", "rmse", "r2", "auroc", "f1_macro", "log_loss"])
def test_errors_of_groups_are_those_of_the_bootstrap(name: str) -> None:
    target, prediction = data_of(name)
    metric = as_metric(name)
    found = metric.influences(target, prediction, UNITS)
    error = bootstrap(metric, target, prediction, UNITS, 500)
    assert found.std() / GROUPS**0.5 == pytest.approx(error.std(), rel=0.12)


@pytest.mark.parametrize("sizes", [(1,), (1, 2, 6)])
def test_a_sample_of_units_keeps_the_error(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    units = np.repeat(np.arange(2000), rng.choice(sizes, 2000))
    target = rng.gamma(4.0, 2.0, len(units))
    first = target + rng.normal(size=2000)[units] + rng.normal(size=len(units))
    second = first + 0.5 * rng.normal(size=len(units))
    metric = as_metric(spread, better="lower")
    found, other = (metric.influences(target, one, units) for one in (first, second))
    assert np.count_nonzero(abs(found) > 1e-12) == 400
    assert abs(found.sum()) < 1e-9
    drawn, again = (bootstrap(metric, target, one, units, 300) for one in (first, second))
    assert found.std() / 2000**0.5 == pytest.approx(drawn.std(), rel=0.15)
    assert (found - other).std() / 2000**0.5 == pytest.approx((drawn - again).std(), rel=0.15)


def test_a_sample_is_of_codes_and_so_shared_between_folds() -> None:
    codes = np.arange(3000)
    drawn = codes[sample(codes, 400)]
    assert len(np.unique(drawn)) == 400
    assert abs(drawn.mean() - 1500) < 150
    half = codes[::2]
    again = half[sample(half, 200)]
    assert len(np.intersect1d(again, drawn)) > 170
    assert np.array_equal(sample(codes[:300], 400), np.arange(300))


def test_the_jackknife_of_a_mean_is_exact_for_groups_of_any_size() -> None:
    codes, index = unit_numbers(ROWS, UNITS)
    found = jackknife(lambda y, p: float(abs(y - p).mean()), VALUES, POINTS, codes, index)
    score, expected = rows_measure(abs(VALUES - POINTS), UNITS)
    assert score == pytest.approx(abs(VALUES - POINTS).mean())
    assert found == pytest.approx(expected)
    assert expected == pytest.approx(as_metric("mae").influences(VALUES, POINTS, UNITS))


def test_order_of_rows_and_a_single_unit() -> None:
    metric, order = as_metric(largest, better="lower"), RNG.permutation(ROWS)
    ours = metric.influences(VALUES, POINTS, UNITS)
    assert metric.influences(VALUES[order], POINTS[order], UNITS[order]) == pytest.approx(ours)
    assert metric.influences(VALUES, POINTS, np.full(ROWS, 4)).tolist() == [0]


def test_a_function_is_given_what_was_reported() -> None:
    metric = as_metric(profit, better="higher")
    target, prediction = torch.from_numpy(POSITIVE), torch.from_numpy(ODDS).requires_grad_()
    found = metric.influences(target, prediction)
    expected = np.where(ODDS >= 0.3, 5 * POSITIVE - 1, 0)
    assert metric.score(target, prediction) == pytest.approx(expected.mean())
    assert found == pytest.approx(expected - expected.mean(), abs=1e-5)
    seen = as_metric(
        lambda y, p: isinstance(y, np.ndarray) and isinstance(p, np.ndarray), better="lower"
    )
    with pytest.raises(InputError):  # a boolean of Python has one element, strings have none
        as_metric(lambda y, p: "0.5", better="lower").score(target, prediction)
    assert seen.score(POSITIVE, prediction) == 1
    assert seen.score(POSITIVE.tolist(), ODDS.tolist()) == 1


def test_dicts_are_taken_apart_by_rows() -> None:
    def weighted(target, prediction):
        return ((target["y"] - prediction["point"]) ** 2 * target["w"]).mean()

    metric = as_metric(weighted, better="lower")
    target, prediction = {"y": VALUES, "w": ODDS}, {"point": POINTS}
    expected = (VALUES - POINTS) ** 2 * ODDS
    for tensors in (False, True):
        if tensors:
            target = {name: torch.tensor(part) for name, part in target.items()}
            prediction = {"point": torch.tensor(POINTS)}
        assert metric.score(target, prediction) == pytest.approx(expected.mean())
        found = metric.influences(target, prediction)
        assert found == pytest.approx(expected - expected.mean())
    prediction["point"][0] = np.nan
    assert metric.score(target, prediction) == np.inf
    with pytest.raises(InputError, match="one prediction for each target"):
        metric.score(target, {"point": POINTS[1:]})
    with pytest.raises(InputError, match="no dict"):
        as_metric("mae").score(target, VALUES)
    with pytest.raises(InputError, match="no dict"):
        as_metric(sklearn.r2_score).score(VALUES, prediction)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_tensors_of_an_accelerator_are_scored_on_the_cpu() -> None:
    pair = torch.from_numpy(POSITIVE).cuda(), torch.from_numpy(ODDS).cuda()
    for metric in (as_metric(profit, better="higher"), as_metric("auroc")):
        assert metric.score(*pair) == pytest.approx(metric.score(*(one.cpu() for one in pair)))


def test_half_precision_is_read() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        prediction = torch.from_numpy(ODDS).to(dtype)
        exact = as_metric("brier").score(POSITIVE, prediction.double())
        assert as_metric("brier").score(POSITIVE, prediction) == pytest.approx(exact, rel=1e-2)


@pytest.mark.parametrize("metric", ["mae", "auroc", "f1_macro", profit, sklearn.log_loss])
def test_a_prediction_that_is_nan_is_worst(metric) -> None:
    made = as_metric(metric, better="higher" if metric is profit else None)
    target, prediction = torch.from_numpy(POSITIVE), torch.from_numpy(ODDS)
    prediction = prediction.clone()
    prediction[3] = torch.nan
    assert made.score(target, prediction) == made.worst
    assert abs(made.worst) == np.inf
    assert not made.influences(target, prediction).any()


def test_elements_of_rows_are_pooled_and_their_rows_are_the_units() -> None:
    target, prediction = RNG.normal(size=(2, 50, 3, 4))
    metric, errors = as_metric("mae"), abs(target - prediction).mean(axis=(1, 2))
    assert metric.score(target, prediction) == pytest.approx(errors.mean())
    assert metric.influences(target, prediction) == pytest.approx(errors - errors.mean())
    assert metric.score(target, prediction[..., None]) == pytest.approx(errors.mean())
    pixels = RNG.integers(3, size=(40, 5, 5))
    odds = RNG.dirichlet(np.ones(3), size=pixels.shape).transpose(0, 3, 1, 2)
    right = (odds.argmax(axis=1) == pixels).mean(axis=(1, 2))
    assert as_metric("accuracy").score(pixels, odds) == pytest.approx(right.mean())
    assert as_metric("accuracy").influences(pixels, odds) == pytest.approx(right - right.mean())


def test_ignored_pixels_do_not_count() -> None:
    pixels = RNG.integers(-1, 3, size=(40, 5, 5))
    odds = RNG.dirichlet(np.ones(3), size=pixels.shape).transpose(0, 3, 1, 2)
    metric, held = as_metric("accuracy"), pixels >= 0
    hit = (odds.argmax(axis=1) == pixels)[held]
    assert metric.score(pixels, odds) == pytest.approx(hit.mean())
    found = metric.influences(pixels, odds)
    share = 40 / held.sum()
    expected = [
        share * ((o == p)[p >= 0] - hit.mean()).sum()
        for o, p in zip(odds.argmax(1), pixels, strict=True)
    ]
    assert found == pytest.approx(np.array(expected))


def test_several_labels_are_averaged() -> None:
    target = (RNG.random((200, 3)) < (0.1, 0.3, 0.5)).astype(float)
    prediction = np.clip(0.3 * target + RNG.random((200, 3)) * 0.7, 0, 1)
    for name, function in {
        "average_precision": sklearn.average_precision_score,
        "auroc": sklearn.roc_auc_score,
    }.items():
        metric = as_metric(name)
        assert metric.score(target, prediction) == pytest.approx(function(target, prediction))
        ours = metric.influences(target, prediction)
        other = as_metric(function).influences(target.astype(int), prediction)
        assert np.corrcoef(ours, other)[0, 1] > 0.999
        wider = np.hstack([target, np.zeros((200, 1))]), np.hstack([prediction, prediction[:, :1]])
        assert metric.score(*wider) == pytest.approx(metric.score(target, prediction))
    with pytest.raises(InputError, match="f1_macro or f1_micro"):
        as_metric("f1").score(target, prediction)


SKLEARN = {
    sklearn.accuracy_score: ("higher", POSITIVE, PAIRS),
    sklearn.f1_score: ("higher", POSITIVE, ODDS),
    sklearn.matthews_corrcoef: ("higher", POSITIVE, PAIRS),
    sklearn.cohen_kappa_score: ("higher", POSITIVE, PAIRS),
    sklearn.hamming_loss: ("lower", POSITIVE, PAIRS),
    sklearn.zero_one_loss: ("lower", POSITIVE, ODDS),
    sklearn.roc_auc_score: ("higher", POSITIVE, ODDS),
    sklearn.log_loss: ("lower", POSITIVE, ODDS),
    sklearn.brier_score_loss: ("lower", POSITIVE, ODDS),
    sklearn.mean_absolute_error: ("lower", VALUES, POINTS),
    sklearn.mean_poisson_deviance: ("lower", VALUES, abs(POINTS)),
    sklearn.r2_score: ("higher", VALUES, POINTS),
}


@pytest.mark.parametrize("function", SKLEARN, ids=lambda function: function.__name__)
def test_functions_of_scikit_learn_say_which_is_better(function) -> None:
    better, target, prediction = SKLEARN[function]
    metric = as_metric(function)
    assert (metric.name, metric.better) == (function.__name__, better)
    by_class = prediction if prediction.ndim == 1 else prediction.argmax(axis=1)
    if function in (sklearn.f1_score, sklearn.zero_one_loss):
        by_class = by_class >= 0.5
    assert metric.score(target, prediction) == pytest.approx(function(target, by_class))
    other = "lower" if better == "higher" else "higher"
    with pytest.raises(InputError, match="leave it out"):
        as_metric(function, better=other)
    assert pickle.loads(pickle.dumps(metric)).better == better


def test_regression_errors_of_binary_targets_are_not_cut() -> None:
    metric = as_metric(sklearn.mean_squared_error)
    assert metric.score(POSITIVE, ODDS) == pytest.approx(((POSITIVE - ODDS) ** 2).mean())


SCORERS = [one for one in sklearn.get_scorer_names() if parsed(one)[0] in OF_ROWS]


@pytest.mark.parametrize("name", SCORERS)
def test_scorers_are_their_functions_and_their_names_are_known(name: str) -> None:
    metric, expected = as_metric(sklearn.get_scorer(name)), as_metric(name)
    assert metric.better == ("lower" if name.startswith("neg_") else "higher") == expected.better
    target, prediction = data_of(expected.name)
    assert metric.score(target, prediction) == pytest.approx(expected.score(target, prediction))
    ours, analytic = (one.influences(target, prediction) for one in (metric, expected))
    assert np.corrcoef(ours, analytic)[0, 1] > 0.9995
    assert pickle.loads(pickle.dumps(metric)).name == metric.name


def test_own_scorers_and_partial_functions_keep_their_arguments() -> None:
    scorer = sklearn.make_scorer(sklearn.fbeta_score, beta=2)
    expected = sklearn.fbeta_score(POSITIVE, ODDS >= 0.5, beta=2)
    made = partial(sklearn.fbeta_score, beta=2)
    for metric in (scorer, made):
        for prediction in (ODDS, PAIRS):
            assert as_metric(metric).score(POSITIVE, prediction) == pytest.approx(expected)
    own = sklearn.make_scorer(largest, greater_is_better=False)
    assert as_metric(own).better == "lower"
    assert as_metric(own).score(VALUES, POINTS) == largest(VALUES, POINTS)


def test_metrics_of_torchmetrics() -> None:
    torchmetrics = pytest.importorskip("torchmetrics")
    accuracy = torchmetrics.classification.MulticlassAccuracy(3, average="micro")
    accuracy.update(torch.tensor([0]), torch.tensor([0]))
    target = RNG.integers(3, size=ROWS)
    prediction = RNG.dirichlet(np.ones(3), size=ROWS).astype(np.float32)
    metric = pickle.loads(pickle.dumps(as_metric(accuracy)))
    assert (metric.name, metric.better) == ("MulticlassAccuracy", "higher")
    right = (prediction.argmax(axis=1) == target).astype(float)
    assert metric.score(target, prediction) == pytest.approx(right.mean())
    found = metric.influences(torch.from_numpy(target), torch.from_numpy(prediction))
    assert found == pytest.approx(right - right.mean(), abs=1e-9)
    assert accuracy.compute() == 1  # the user's own object is left as it was
    error = as_metric(torchmetrics.MeanSquaredError())
    assert error.better == "lower"
    single = VALUES.astype(np.float32), POINTS.astype(np.float32)
    assert error.influences(*single) == pytest.approx(
        as_metric(sklearn.mean_squared_error).influences(VALUES, POINTS), abs=1e-3
    )
    auroc = as_metric(torchmetrics.AUROC(task="binary"))
    for odds in (ODDS, PAIRS):
        assert auroc.score(POSITIVE, odds) == pytest.approx(
            as_metric("auroc").score(POSITIVE, ODDS), abs=1e-5
        )
    broken = np.where(ODDS > 0.9, np.nan, ODDS)
    assert auroc.score(POSITIVE, broken) == -np.inf
    with pytest.raises(InputError, match="torchmetrics"):
        as_metric(torchmetrics.MetricCollection([accuracy]))
    with pytest.raises(InputError, match="one number"):
        as_metric(torchmetrics.ConfusionMatrix("binary"), better="higher").score(POSITIVE, ODDS)
    with pytest.raises(InputError, match="which way"):
        as_metric(torchmetrics.MeanMetric())


def test_torchmetrics_is_not_imported() -> None:
    code = (
        "import sys; from lossmith.study.metrics.resolve import as_metric; as_metric('mae');"
        "as_metric(lambda y, p: 0.0, better='lower'); assert 'torchmetrics' not in sys.modules"
    )
    path = str(Path(lossmith.__file__).parents[1])
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": path})


NO_METRICS = {
    "no direction": (largest, None, "which way does largest improve"),
    "a wrong direction": (largest, "min", "must be 'lower' or 'higher'"),
    "a contradiction": ("mae", "higher", "leave it out"),
    "a loss": (torch.nn.L1Loss(), "lower", r"a function of \(target, prediction\)"),
    "a number": (3, "lower", "a metric is a name"),
    "a class": (dict, "lower", "a metric is a name"),
    "a name": ("acuracy", None, "did you mean accuracy"),
    "a level": ("pinball@2", None, "between 0 and 1"),
}


@pytest.mark.parametrize("case", NO_METRICS)
def test_what_is_no_metric_is_one_clear_line(case: str) -> None:
    metric, better, message = NO_METRICS[case]
    with pytest.raises(InputError, match=message) as raised:
        as_metric(metric, better=better)
    assert "\n" not in str(raised.value)


def test_what_does_not_fit_is_one_clear_line() -> None:
    metric = as_metric(largest, better="lower")
    for target, prediction in ((VALUES, POINTS[1:]), (VALUES[:0], POINTS[:0]), (1.0, 2.0)):
        with pytest.raises(InputError, match="one prediction for each target"):
            metric.score(target, prediction)
    with pytest.raises(InputError, match="rows="):
        as_metric(lambda y, p: y - p, better="lower").score(VALUES, POINTS)
    for units in (UNITS[1:], UNITS.astype(str)):
        with pytest.raises(InputError, match="one integer for each"):
            metric.influences(VALUES, POINTS, units)
    with pytest.raises(InputError, match=r"loss\.decode"):
        as_metric("log_loss").score(POSITIVE, 9 * ODDS - 4)
    with pytest.raises(InputError, match="targets' shape"):
        as_metric("mae").score(VALUES, PAIRS)


def test_targets_are_checked() -> None:
    for name, target, message in (
        ("mape", np.array([0.0, 1.0]), "mape divides"),
        ("mae", np.array([np.nan, 1.0]), "1 are NaN"),
        ("auroc", np.array([0.5, 1.0]), "integer targets"),
    ):
        with pytest.raises(InputError, match=message):
            as_metric(name).check(torch.from_numpy(target))
    as_metric(largest, better="lower").check(VALUES)


def test_rows_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="one score for each"):
        rows_measure(np.zeros((3, 2)))
    score, found = rows_measure(np.array([1.0, np.inf]))
    assert score == np.inf
    assert not found.any()
