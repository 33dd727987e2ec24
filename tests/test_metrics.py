"""Every metric against scikit-learn, on random and tied data, for many models at once."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from lossmith.study.base.errors import InputError
from lossmith.study.metrics import Metric, decide, lookup, metric, names, shifted

MODELS = 4


def regression_data(seed: int, tied: bool) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    target = random.lognormal(size=37)
    predictions = target + random.normal(size=(MODELS, 37))
    return (np.ceil(target), np.round(predictions)) if tied else (target, predictions)


def class_data(seed: int, classes: int, tied: bool) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    target = np.concatenate([np.arange(classes), random.integers(classes, size=60)])
    probabilities = random.dirichlet(np.ones(classes), size=(MODELS, len(target)))
    if tied:
        probabilities = np.ceil(probabilities * 4)
        probabilities /= probabilities.sum(axis=2, keepdims=True)
    return target, probabilities


def rmsle(target: np.ndarray, prediction: np.ndarray) -> float:
    return reference.root_mean_squared_log_error(target, np.maximum(prediction, -1 + 1e-6))


REGRESSION = {
    "rmse": reference.root_mean_squared_error,
    "mae": reference.mean_absolute_error,
    "medae": reference.median_absolute_error,
    "mape": reference.mean_absolute_percentage_error,
    "rmsle": rmsle,
    "r2": reference.r2_score,
    "pinball@0.9": lambda y, p: reference.mean_pinball_loss(y, p, alpha=0.9),
    "pinball@0.25": lambda y, p: reference.mean_pinball_loss(y, p, alpha=0.25),
}


def codes(probabilities: np.ndarray) -> np.ndarray:
    return probabilities.argmax(axis=1)


BINARY = {
    "accuracy": lambda y, p: reference.accuracy_score(y, codes(p)),
    "balanced_accuracy": lambda y, p: reference.balanced_accuracy_score(y, codes(p)),
    "f1": lambda y, p: reference.f1_score(y, codes(p)),
    "f1_macro": lambda y, p: reference.f1_score(y, codes(p), average="macro"),
    "auroc": lambda y, p: reference.roc_auc_score(y, p[:, 1]),
    "average_precision": lambda y, p: reference.average_precision_score(y, p[:, 1]),
    "log_loss": lambda y, p: reference.log_loss(y, p),
    "brier": lambda y, p: reference.brier_score_loss(y, p[:, 1]),
}

MULTICLASS = {name: value for name, value in BINARY.items() if name != "f1"} | {
    "auroc": lambda y, p: reference.roc_auc_score(y, p, multi_class="ovr", average="macro"),
    "average_precision": lambda y, p: reference.average_precision_score(y, p, average="macro"),
    "brier": lambda y, p: reference.brier_score_loss(y, p),
}


def test_all_metrics_have_a_reference() -> None:
    deviances = {"poisson_deviance", "gamma_deviance", "tweedie_deviance@1.5"}  # tests/study
    assert set(names("regression")) == set(REGRESSION) - {"pinball@0.25"} | deviances
    assert set(names("binary")) == set(BINARY)
    assert set(names("multiclass")) == set(MULTICLASS)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", REGRESSION)
def test_regression_equals_scikit_learn(name: str, tied: bool) -> None:
    for seed in range(5):
        target, predictions = regression_data(seed, tied)
        expected = [REGRESSION[name](target, prediction) for prediction in predictions]
        found = metric(name, "regression")
        np.testing.assert_allclose(found.scores(target, predictions), expected, rtol=1e-12)
        assert found.score(target, predictions[0]) == pytest.approx(expected[0], rel=1e-12)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    ("name", "classes"),
    [(name, 2) for name in BINARY] + [(name, c) for name in MULTICLASS for c in (3, 5)],
)
def test_classes_equal_scikit_learn(name: str, classes: int, tied: bool) -> None:
    expected_by = BINARY if classes == 2 else MULTICLASS
    for seed in range(5):
        target, predictions = class_data(seed, classes, tied)
        expected = [expected_by[name](target, prediction) for prediction in predictions]
        found = metric(name, "binary" if classes == 2 else "multiclass")
        np.testing.assert_allclose(found.scores(target, predictions), expected, rtol=1e-12)
        assert found.score(target, predictions[1]) == pytest.approx(expected[1], rel=1e-12)


@pytest.mark.parametrize("name", [*REGRESSION, *MULTICLASS])
def test_direction_a_perfect_prediction_is_not_beaten(name: str) -> None:
    if name in REGRESSION:
        target, predictions = regression_data(0, tied=False)
        perfect = target
    else:
        target, predictions = class_data(0, 3, tied=False)
        perfect = np.eye(3)[target]
    found = lookup(name)
    best, others = found.score(target, perfect), found.scores(target, predictions)
    assert (best <= others).all() if found.better == "lower" else (best >= others).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [*REGRESSION, *MULTICLASS])
def test_a_prediction_that_is_not_finite_scores_worst_and_alone(name: str, bad: float) -> None:
    if name in REGRESSION:
        target, predictions = regression_data(1, tied=False)
    else:
        target, predictions = class_data(1, 3, tied=False)
    found = lookup(name)
    clean = found.scores(target, predictions)
    predictions[2].flat[5] = bad
    scores = found.scores(target, predictions)
    assert scores[2] == found.worst
    np.testing.assert_array_equal(np.delete(scores, 2), np.delete(clean, 2))


@pytest.mark.parametrize("name", REGRESSION)
def test_huge_predictions_never_give_nan(name: str) -> None:
    target, _ = regression_data(1, tied=False)
    huge = np.full((1, len(target)), np.finfo(np.float64).max) * [[1], [-1]]
    assert not np.isnan(metric(name, "regression").scores(target, huge)).any()


@pytest.mark.parametrize("name", MULTICLASS)
def test_classes_missing_in_a_fold_are_left_out(name: str) -> None:
    target, predictions = class_data(2, 4, tied=False)
    rows = target != 3
    assert np.isfinite(metric(name, "multiclass").scores(target[rows], predictions[:, rows])).all()


def test_averages_go_over_the_classes_present() -> None:
    target = np.array([0, 0, 1, 1])
    prediction = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1]])
    assert metric("balanced_accuracy", "multiclass").score(target, prediction) == 0.75
    assert metric("f1_macro", "multiclass").score(target, prediction) == pytest.approx(5 / 6)


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("name", BINARY)
def test_one_class_in_a_fold_does_not_fail(name: str, code: int) -> None:
    target, (prediction, *_) = class_data(3, 2, tied=False)
    assert np.isfinite(metric(name, "binary").score(np.full_like(target, code), prediction))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", ["f1", "f1_macro"])
def test_binary_tuning_finds_the_best_of_all_thresholds(name: str, tied: bool) -> None:
    found = metric(name, "binary")
    for seed in range(20):
        target, (prediction, *_) = class_data(seed, 2, tied)
        decision = found.tune(target, prediction)
        assert decision is not None
        by_hand = [
            BINARY[name](target, np.eye(2)[(prediction[:, 1] >= threshold).astype(int)])
            for threshold in [*prediction[:, 1], 2.0]
        ]
        score = found.score(target, shifted(prediction, decision))
        assert score == pytest.approx(max(by_hand))
        assert score == BINARY[name](target, np.eye(2)[decide(prediction, decision)])


def test_multiclass_tuning_repairs_a_prior() -> None:
    random = np.random.default_rng(0)
    prior = np.array([0.9, 0.07, 0.03])
    target = random.choice(3, p=prior, size=3000)
    likelihood = np.exp(
        -0.5 * (random.normal(size=(3000, 1)) + 1.5 * target[:, None] - [0, 1.5, 3]) ** 2
    )
    prediction = likelihood * prior
    prediction /= prediction.sum(axis=1, keepdims=True)
    found = metric("f1_macro", "multiclass")
    decision = found.tune(target, prediction)
    assert decision is not None
    tuned = found.score(target, shifted(prediction, decision))
    assert tuned > found.score(target, prediction) + 0.02
    assert tuned == pytest.approx(
        reference.f1_score(target, decide(prediction, decision), average="macro")
    )


def test_each_model_takes_its_own_decision() -> None:
    target, predictions = class_data(4, 2, tied=False)
    found = metric("f1", "binary")
    decisions = np.stack([found.tune(target, prediction) for prediction in predictions])
    one_by_one = [
        found.score(target, shifted(*pair)) for pair in zip(predictions, decisions, strict=True)
    ]
    np.testing.assert_allclose(found.scores(target, shifted(predictions, decisions)), one_by_one)


def test_only_f1_is_tuned() -> None:
    target, (prediction, *_) = class_data(5, 2, tied=False)
    tuned = {name for name in names("binary") if lookup(name).tune(target, prediction) is not None}
    assert tuned == {"f1", "f1_macro"}
    assert lookup("f1").tune(target, np.full_like(prediction, np.nan)).shape == (2,)


def test_saturated_probabilities_are_decided_and_scored() -> None:
    target = np.array([0, 1, 1, 0])
    prediction = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    for name in names("binary"):
        assert np.isfinite(metric(name, "binary").score(target, prediction))
    assert decide(prediction, lookup("f1").tune(target, prediction)).tolist() == [0, 1, 0, 0]


@given(st.integers(0, 10_000), st.sampled_from(["auroc", "average_precision"]))
def test_ranking_metrics_ignore_a_monotone_change(seed: int, name: str) -> None:
    target, predictions = class_data(seed, 2, tied=True)
    found = metric(name, "binary")
    np.testing.assert_allclose(
        found.scores(target, predictions), found.scores(target, np.exp(predictions) ** 3)
    )


def test_metrics_travel_to_other_processes() -> None:
    for name in [*REGRESSION, *BINARY]:
        assert pickle.loads(pickle.dumps(lookup(name))).name == name
    assert pickle.loads(pickle.dumps(lookup("pinball@0.1"))).level == 0.1


def test_what_metrics_elicit() -> None:
    assert lookup("mae").elicits == lookup("mape").elicits == "median"
    assert lookup("rmse").elicits == lookup("rmsle").elicits == "mean"
    assert (lookup("mape").transform, lookup("rmsle").transform) == ("relative", "log1p")
    assert (lookup("pinball@0.9").elicits, lookup("pinball@0.9").level) == ("quantile", 0.9)
    assert lookup("balanced_accuracy").elicits == "balanced"


def test_predictions_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(k, 3\), got \(2, 1\)"):
        lookup("mae").scores(np.ones(3), np.ones((2, 1)))
    with pytest.raises(ValueError, match=r"\(k, 3, C\), got \(1, 3\)"):
        lookup("accuracy").score(np.zeros(3, int), np.ones(3))


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("rsme", "regression", "did you mean rmse"),
        ("zzz", "regression", "there are rmse, mae"),
        ("f1", "multiclass", "metrics for multiclass: accuracy"),
        ("mae", "binary", "mae is for regression, but the task is binary"),
        ("pinball", "regression", "pinball@0.9"),
        ("pinball@1", "regression", "between 0 and 1"),
        ("pinball@x", "regression", "between 0 and 1"),
        ("mae@0.5", "regression", "did you mean mae"),
        ("neg_mean_squared_error", "regression", "did you mean rmse or rmsle"),
        ("max_error", "regression", "did you mean"),
        ("rand_score", "binary", "there are rmse"),
    ],
)
def test_errors_name_what_to_do(name: str, task: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        metric(name, task)


def test_targets_that_a_metric_cannot_take() -> None:
    with pytest.raises(InputError, match="0 in 2 rows; use --metric mae"):
        lookup("mape").check(np.array([0.0, 1.0, 0.0]))
    with pytest.raises(InputError, match="smallest is -3"):
        lookup("rmsle").check(np.array([0.0, -3.0]))
    lookup("mae").check(np.array([0.0, -3.0]))


class WithinTen(Metric):
    """A metric written for one model alone: the share of rows predicted within 10."""

    name, label, better, best = "within_10", "within 10", "higher", 1.0

    def score(self, target: np.ndarray, prediction: np.ndarray) -> float:
        return float((abs(target - prediction) <= 10).mean())

    def influences(self, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return (abs(target - prediction) <= 10) - self.score(target, prediction)


def test_a_metric_of_one_model_scores_many() -> None:
    found, target = WithinTen(), np.array([0.0, 20.0, 40.0])
    predictions = np.array([[5.0, 5.0, 35.0], [0.0, 20.0, 40.0]])
    assert found.scores(target, predictions).tolist() == pytest.approx([2 / 3, 1.0])
    np.testing.assert_allclose(
        found.influence_matrix(target, predictions), [[1 / 3, -2 / 3, 1 / 3], [0, 0, 0]]
    )
    assert found.tune(target, predictions[0]) is None


@pytest.mark.parametrize("name", [*REGRESSION, *MULTICLASS])
def test_errors_are_lower_where_a_metric_is_better(name: str) -> None:
    found = lookup(name)
    better, worse = (1.0, 2.0) if found.better == "lower" else (2.0, 1.0)
    assert found.error(better) < found.error(worse) < found.error(found.worst)
    assert found.error(found.error(better)) == better
    assert found.error(found.best) <= found.error(better if found.better == "lower" else 0.9)
