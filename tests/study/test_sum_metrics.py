"""Metrics that are functions of sums: definitions, influences and errors."""

import pickle

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

from lossmith.study.base.errors import InputError
from lossmith.study.metrics import lookup
from lossmith.study.metrics.censored import horizons
from lossmith.study.metrics.grades import METRICS as GRADES
from lossmith.study.metrics.jackknife import jackknife
from lossmith.study.metrics.resolve import METRICS, as_metric
from lossmith.study.metrics.retrieval import Ranked
from lossmith.study.metrics.units import unit_numbers
from lossmith.study.rules.paired_test import estimate

RNG = np.random.default_rng(0)
GROUPS = 150
UNITS = np.repeat(RNG.permutation(GROUPS) * 3 + 5, RNG.choice((1, 2, 5), GROUPS))
ROWS = len(UNITS)
OWN = RNG.normal(size=GROUPS * 3 + 5)[UNITS]  # what the rows of a unit share
Case = tuple[np.ndarray, np.ndarray, np.ndarray]


def both(draw) -> tuple[np.ndarray, np.ndarray]:
    """Return two models' predictions, which share most of their errors."""
    shared = draw()
    return shared + 0.5 * draw(), shared + 0.5 * draw()


def softmax(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).softmax(dim=1).numpy()


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def masks() -> Case:
    target = RNG.choice(3, (ROWS, 6, 6), p=(0.6, 0.3, 0.1))
    hot = 1.5 * np.moveaxis(np.eye(3)[target], -1, 1) * (1 + OWN[:, None, None, None])
    first, second = both(lambda: RNG.normal(size=hot.shape))
    target[RNG.random(target.shape) < 0.1] = 255
    return target, softmax(hot + first), softmax(hot + second)


def foreground() -> Case:
    target = (RNG.random((ROWS, 1, 6, 6)) < 0.3).astype(int)
    first, second = both(lambda: RNG.normal(size=target.shape))
    mean = 1.5 * (target - 0.5) * (1 + OWN[:, None, None, None])
    return target, sigmoid(mean + first), sigmoid(mean + second)


def labels() -> Case:
    target = (RNG.random((ROWS, 4)) < (0.1, 0.2, 0.4, 0.5)).astype(int)
    first, second = both(lambda: RNG.normal(size=target.shape))
    mean = 2 * target - 1 + OWN[:, None]
    return target, sigmoid(mean + first), sigmoid(mean + second)


def grades() -> Case:
    target = RNG.choice(5, ROWS, p=(0.4, 0.2, 0.2, 0.1, 0.1))
    first, second = both(lambda: RNG.normal(size=ROWS))
    return target, target + OWN + first, target + OWN + second


def tokens() -> Case:
    target = RNG.integers(6, size=(ROWS, 7))
    hot = 1.5 * np.moveaxis(np.eye(6)[target], -1, 1) * (1 + OWN[:, None, None])
    first, second = both(lambda: RNG.normal(size=hot.shape))
    target[RNG.random(target.shape) < 0.2] = -100
    return target, softmax(hot + first), softmax(hot + second)


def lists() -> Case:
    target = RNG.choice(4, (ROWS, 20), p=(0.7, 0.1, 0.1, 0.1))
    first, second = both(lambda: RNG.normal(size=target.shape))
    target[:, 15:][RNG.random((ROWS, 5)) < 0.5] = -1
    mean = 0.3 * target * (2 + OWN[:, None])
    return target, mean + first, mean + second


def forecasts() -> Case:
    target = RNG.gamma(2.0, 2.0, (ROWS, 5)) * (1 + OWN[:, None] ** 2)
    first, second = both(lambda: RNG.normal(size=target.shape))
    missing = target.copy()
    missing[RNG.random(target.shape) < 0.1] = np.nan
    return missing, target + OWN[:, None] + first, target + OWN[:, None] + second


def quantiles() -> Case:
    target, *points = forecasts()
    first, second = (np.moveaxis(p[..., None] + np.linspace(-1, 1, 9), -1, 1) for p in points)
    return target, first, second


def intervals() -> Case:
    target, first, second = quantiles()
    return target, first[:, [0, 8]], second[:, [0, 8]]


def boxes() -> Case:
    low, size = RNG.random((ROWS, 2)), 0.5 + RNG.random((ROWS, 2))
    target = np.concatenate([low, low + size], axis=1)
    first, second = both(lambda: 0.2 * RNG.normal(size=target.shape) * (1 + OWN[:, None] ** 2))
    return target, target + first, target + second


def survival() -> Case:
    time = np.ceil(8 * RNG.exponential(np.exp(-OWN)))  # with ties
    first, second = both(lambda: RNG.normal(size=ROWS))
    target = np.stack([time, RNG.random(ROWS) < 0.6], axis=1)
    return target, np.round(OWN + first, 1), np.round(OWN + second, 1)


def curves() -> Case:
    target, first, second = survival()
    falling = np.linspace(0.0, 2.0, len(horizons(*target.T)))
    return target, *(sigmoid(1 - falling - one[:, None]) for one in (first, second))


CASES = {
    "mean_iou": masks(),
    "mean_iou of one class": foreground(),
    "dice": masks(),
    "mean_image_dice": masks(),
    "mean_image_dice of one class": foreground(),
    "f1_micro": labels(),
    "f1_macro": labels(),
    "hamming": labels(),
    "label_ranking_loss": labels(),
    "quadratic_kappa": grades(),
    "within_one": grades(),
    "grade_mae": grades(),
    "perplexity": tokens(),
    "token_accuracy": tokens(),
    **{name: lists() for name in ("recall@5", "precision@3", "hit_rate@2")},
    **{name: lists() for name in ("mrr", "map", "map@5", "ndcg", "ndcg@5")},
    "wql": quantiles(),
    "crps": quantiles(),
    "interval@0.8": intervals(),
    "smape": forecasts(),
    "concordance": survival(),
    "concordance_uno": survival(),
    "integrated_brier": curves(),
    "map_at_r": lists(),
    "box_iou": boxes(),
}


ELSEWHERE = {"mase", "boundary_f1", "hausdorff95", "linear_probe", "knn_accuracy"}  # is their test


def case_of(case: str):
    """Return a metric with what it takes from all targets, targets, and two predictions."""
    target, *predictions = CASES[case]
    return (as_metric(case.partition(" ")[0]).fitted(target), target, *predictions)


def bootstrap(metric, target, predictions, units, draws=400) -> np.ndarray:
    """Return the scores of units drawn with replacement, (draws, predictions)."""
    rng, (codes, index) = np.random.default_rng(1), unit_numbers(len(target), units)
    rows = [np.flatnonzero(index == unit) for unit in range(len(codes))]
    found = []
    for _ in range(draws):
        drawn = np.concatenate([rows[unit] for unit in rng.integers(len(codes), size=len(codes))])
        found.append([metric.score(target[drawn], one[drawn]) for one in predictions])
    return np.array(found)


def test_every_metric_has_a_case() -> None:
    covered = {name.partition(" ")[0].partition("@")[0] for name in CASES}
    assert covered - {one.name for one in GRADES} == set(METRICS) - ELSEWHERE


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("units", [None, UNITS], ids=["rows", "groups"])
def test_influences_are_those_of_the_jackknife(case: str, units) -> None:
    metric, target, prediction, _ = case_of(case)
    found = metric.influences(target, prediction, units)
    codes, index = unit_numbers(ROWS, units)
    expected = jackknife(metric.score, target, prediction, codes, index, most=ROWS)
    assert found.shape == codes.shape
    assert abs(found.sum()) < 1e-9 * len(codes)
    assert np.corrcoef(found, expected)[0, 1] > 0.999
    assert found.std() == pytest.approx(expected.std(), rel=0.05)


@pytest.mark.parametrize("case", CASES)
def test_errors_are_those_of_a_bootstrap_over_groups(case: str) -> None:
    metric, target, first, second = case_of(case)
    drawn = bootstrap(metric, target, (first, second), UNITS)
    own, other = (metric.influences(target, one, UNITS) for one in (first, second))
    root = len(own) ** 0.5
    assert own.std() / root == pytest.approx(drawn[:, 0].std(), rel=0.13)
    assert (own - other).std() / root == pytest.approx((drawn[:, 0] - drawn[:, 1]).std(), rel=0.13)


def test_the_paired_test_of_groups_has_the_error_of_the_bootstrap() -> None:
    metric, target, first, second = case_of("quadratic_kappa")
    folds = [np.flatnonzero(UNITS % 2), np.flatnonzero(UNITS % 2 - 1)]
    values, units, variance = [], [], 0.0
    for rows in folds:
        pair = [one[rows] for one in (first, second)]
        scores = [metric.score(target[rows], one) for one in pair]
        a, b = (metric.influences(target[rows], one, UNITS[rows]) for one in pair)
        values.append(scores[0] - scores[1] + a - b)
        units.append(np.unique(UNITS[rows]))
        variance += np.subtract(*bootstrap(metric, target[rows], pair, UNITS[rows]).T).var() / 4
    found = estimate(values, units)
    assert (found.high - found.low) / 2 / 1.98 == pytest.approx(variance**0.5, rel=0.15)


@pytest.mark.parametrize("case", CASES)
def test_order_type_and_device_do_not_matter(case: str) -> None:
    metric, target, prediction, _ = case_of(case)
    again = pickle.loads(pickle.dumps(metric))
    order = RNG.permutation(ROWS)
    tensors = torch.from_numpy(target[order]), torch.from_numpy(prediction[order])
    tensors[1].requires_grad_()
    assert again.score(*tensors) == pytest.approx(metric.score(target, prediction), rel=1e-12)
    with torch.inference_mode():
        shuffled = again.influences(*tensors, units=UNITS[order])
    assert shuffled == pytest.approx(metric.influences(target, prediction, UNITS), abs=1e-9)
    assert metric.influences(target, prediction)[order] == pytest.approx(
        again.influences(*tensors), abs=1e-9
    )
    assert as_metric(metric.name).name == metric.name


@pytest.mark.parametrize("case", CASES)
def test_a_prediction_that_is_not_finite_is_worst(case: str) -> None:
    metric, target, prediction, _ = case_of(case)
    for value in (np.nan, np.inf)[: 1 if isinstance(metric, Ranked) else 2]:
        broken = prediction.copy()
        broken[0] = value
        assert metric.score(target, broken) == metric.worst
        assert not metric.influences(target, broken).any()


def test_overlaps_are_their_definition() -> None:
    target, prediction, _ = CASES["mean_iou"]
    chosen, held = prediction.argmax(axis=1), target != 255
    pair = target[held], chosen[held]
    expected = reference.jaccard_score(*pair, average="macro")
    assert as_metric("mean_iou").score(target, prediction) == pytest.approx(expected)
    assert as_metric("mean_iou").score(target, chosen) == pytest.approx(expected)
    expected = reference.f1_score(*pair, average="macro")
    assert as_metric("dice").score(target, prediction) == pytest.approx(expected)
    target, prediction, _ = CASES["mean_iou of one class"]
    chosen = prediction >= 0.5
    expected = reference.jaccard_score(target.ravel(), chosen.ravel())
    for one in (prediction, prediction[:, 0], chosen):
        assert as_metric("mean_iou").score(target, one) == pytest.approx(expected)
        assert as_metric("mean_iou").score(target[:, 0], one) == pytest.approx(expected)
    each = [
        reference.f1_score(a.ravel(), b.ravel()) if a.any() or b.any() else None
        for a, b in zip(target, chosen, strict=True)
    ]
    expected = np.mean([one for one in each if one is not None])
    assert as_metric("mean_image_dice").score(target, prediction) == pytest.approx(expected)


def test_classes_that_are_nowhere_do_not_count() -> None:
    target = np.array([[0, 0, 1, 255]])
    prediction = np.eye(4)[[[0, 1, 1, 3]]].transpose(0, 2, 1)
    assert as_metric("mean_iou").score(target, prediction) == pytest.approx(0.5)
    assert as_metric("dice").score(target, prediction) == pytest.approx(2 / 3)


def test_scores_of_labels_are_those_of_scikit_learn() -> None:
    target, prediction, _ = CASES["f1_macro"]
    chosen = prediction >= 0.5
    for average in ("micro", "macro"):
        expected = reference.f1_score(target, chosen, average=average)
        assert as_metric(f"f1_{average}").score(target, prediction) == pytest.approx(expected)
    expected = reference.label_ranking_loss(target, prediction)
    assert as_metric("label_ranking_loss").score(target, prediction) == pytest.approx(expected)
    coarse = prediction.round(1)  # with ties
    expected = reference.label_ranking_loss(target, coarse)
    assert as_metric("label_ranking_loss").score(target, coarse) == pytest.approx(expected)
    expected = reference.average_precision_score(target, prediction, average="macro")
    assert as_metric("average_precision").score(target, prediction) == pytest.approx(expected)
    expected = reference.hamming_loss(target, chosen)
    assert as_metric("hamming").score(target, prediction) == pytest.approx(expected)


@pytest.mark.parametrize("classes", [2, 3])
def test_f1_of_classes_is_that_of_tables(classes: int) -> None:
    target = RNG.integers(classes, size=200)
    prediction = softmax(RNG.normal(size=(200, classes)) + np.eye(classes)[target])
    table = lookup("f1_macro").score(target, prediction)
    accuracy = (prediction.argmax(axis=1) == target).mean()
    for one in (prediction, prediction.argmax(axis=1), *([prediction[:, 1]] * (classes == 2))):
        assert as_metric("f1_macro").score(target, one) == pytest.approx(table)
        assert as_metric("f1_micro").score(target, one) == pytest.approx(accuracy)


def test_ignored_labels_do_not_count() -> None:
    target, prediction = np.array([[1, 0, -1], [0, 1, 1]]), np.array([[0.9, 0.8, 0.9], [0.1] * 3])
    assert as_metric("hamming").score(target, prediction) == pytest.approx(3 / 5)
    assert as_metric("f1_micro").score(target, prediction) == pytest.approx(2 * 1 / (2 + 3))


def test_scores_of_grades_are_those_of_scikit_learn() -> None:
    target, prediction, _ = CASES["quadratic_kappa"]
    chosen = np.rint(prediction).astype(int)
    expected = reference.cohen_kappa_score(target, chosen, weights="quadratic")
    assert as_metric("quadratic_kappa").score(target, prediction) == pytest.approx(expected)
    assert as_metric("quadratic_kappa").score(np.ones(4), np.ones(4)) == 0
    assert as_metric("within_one").score(target, prediction) == (abs(target - chosen) <= 1).mean()
    hot = np.eye(5)[np.clip(chosen, 0, 4)]
    assert as_metric("within_one").score(target, hot) == pytest.approx(
        (abs(target - np.clip(chosen, 0, 4)) <= 1).mean()
    )


def test_tokens_that_are_ignored_do_not_count() -> None:
    target, prediction, _ = CASES["perplexity"]
    logits, codes = torch.from_numpy(prediction).log(), torch.from_numpy(target)
    expected = torch.nn.functional.cross_entropy(logits, codes, ignore_index=-100).exp().item()
    assert as_metric("perplexity").score(target, prediction) == pytest.approx(expected)
    right = (prediction.argmax(axis=1) == target)[target >= 0].mean()
    assert as_metric("token_accuracy").score(target, prediction) == pytest.approx(right)


def test_ranked_lists_are_their_definitions() -> None:
    target = np.array([[0, 3, 0, 1, -1], [1, 0, 0, 0, 0], [0, 0, 0, -1, -1]])
    scores = np.array([[5.0, 4, 3, 2, 9], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]])
    expected = {
        "recall@2": (1 / 2 + 0) / 2,
        "precision@2": (1 / 2 + 0) / 2,
        "hit_rate@2": (1 + 0) / 2,
        "mrr": (1 / 2 + 1 / 5) / 2,
        "mrr@4": (1 / 2 + 0) / 2,
        "map": ((1 / 2 + 2 / 4) / 2 + 1 / 5) / 2,
        "map@2": (1 / 2 / 2 + 0) / 2,
    }
    for name, value in expected.items():
        assert as_metric(name).score(target, scores) == pytest.approx(value), name
    full, random = np.maximum(CASES["ndcg"][0], 0), CASES["ndcg"][1]
    held = (full > 0).any(axis=1)
    for k in (None, 5):
        name = "ndcg" if k is None else f"ndcg@{k}"
        value = reference.ndcg_score(full[held], random[held], k=k)
        assert as_metric(name).score(full, random) == pytest.approx(value)


def test_items_of_infinite_scores_have_their_place() -> None:
    target, scores = np.array([[0, 1, 0]]), np.array([[-np.inf, 1.0, -np.inf]])
    assert as_metric("mrr").score(target, scores) == 1
    assert as_metric("mrr").score(target, -scores) == 1 / 3


def test_equal_scores_and_single_items() -> None:
    target = RNG.random((30, 8)) < 0.2
    assert as_metric("hit_rate@1").score(target[~target.all(axis=1)], np.zeros((30, 8))) == 0
    places = RNG.integers(8, size=30)
    scores = RNG.normal(size=(30, 8)) + np.eye(8)[places]
    hot = np.eye(8)[places]
    assert as_metric("mrr").score(places, scores) == as_metric("mrr").score(hot, scores)


def test_forecasts_are_their_definitions() -> None:
    target, prediction = np.array([[2.0, -4.0], [np.nan, 0.0]]), np.array([[1.0, 4.0], [5.0, 0.0]])
    assert as_metric("smape").score(target, prediction) == pytest.approx((2 / 3 + 2 + 0) / 3)
    levels = np.stack([prediction - 1, prediction + 1], axis=1)
    held = np.isfinite(target)
    expected = sum(
        2 * reference.mean_pinball_loss(target[held], levels[:, place][held], alpha=level)
        for place, level in enumerate((0.1, 0.9))
    ) / (2 * abs(target[held]).mean())
    assert as_metric("wql@0.1,0.9").score(target, levels) == pytest.approx(expected)
    thirds = as_metric("wql").score(target, levels)
    assert thirds == pytest.approx(as_metric(f"wql@{1 / 3},{2 / 3}").score(target, levels))
    as_metric("smape").check(target)


def test_concordance_is_its_definition() -> None:
    metric = as_metric("concordance")
    time, event = np.array([1.0, 2, 2, 3]), np.array([1, 1, 0, 1])
    risk = np.array([3.0, 1, 1, 2])
    # comparable: 0 with all others, 1 with the censored 2 (a tie) and with 3
    expected = (3 + 0.5 + 0) / 5
    target = {"time": torch.from_numpy(time), "event": torch.from_numpy(event)}
    for one in (target, np.stack([time, event], axis=1)):
        metric.check(one)
        assert metric.score(one, risk) == pytest.approx(expected)
        assert metric.score(one, torch.from_numpy(risk)[:, None]) == pytest.approx(expected)
    assert metric.influences(target, risk, np.array([1, 1, 2, 2])).shape == (2,)
    assert metric.score({"time": time, "event": 0 * event}, risk) == -np.inf
    for wrong, message in (
        (time, "time and event"),
        ({"t": time}, "time and event"),
        ({"time": time, "event": event * 2}, "events of 0"),
        ({"time": time * np.nan, "event": event}, "4 are NaN"),
    ):
        with pytest.raises(InputError, match=message):
            metric.check(wrong)


MISTAKES = {
    "recall": "needs a length",
    "recall@0": "needs a length",
    "ndcg@x": "whole number",
    "dice@3": "takes no number",
    "wql@1.5": "levels between 0 and 1",
    "concordance_uno@soon": "a time above 0",
    "concordance@3": "takes no number",
    "mean_uoi": "did you mean mean_iou",
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_wrong_name_says_what_is_right(name: str) -> None:
    with pytest.raises(InputError, match=MISTAKES[name]) as raised:
        as_metric(name)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "target", "prediction", "message"),
    [
        ("mean_iou", np.zeros((2, 4, 4)), np.zeros((2, 3, 5, 5)), "targets' shape"),
        ("mean_iou", np.zeros((2, 4)), np.full((2, 4), 3.0), "loss.decode"),
        ("f1_macro", np.full(2, 0.5), np.zeros(2), "integer targets"),
        ("perplexity", np.zeros((2, 4), int), np.zeros((2, 4)), "classes along dimension 1"),
        ("perplexity", np.zeros((2, 4), int), np.full((2, 3, 4), -2.0), "loss.decode"),
        ("mrr", np.zeros((2, 4)), np.zeros((2, 5)), "targets' shape"),
        ("wql", np.zeros((2, 4)), np.zeros((2, 4)), "one for each"),
        ("wql@0.5", np.zeros((2, 4)), np.zeros((2, 3, 4)), "one for each"),
        ("dice", np.zeros((2, 4)), np.zeros((3, 4)), "one prediction for each target"),
    ],
)
def test_shapes_that_do_not_fit_are_one_clear_line(name, target, prediction, message) -> None:
    with pytest.raises(InputError, match=message) as raised:
        as_metric(name).score(target, prediction)
    assert "\n" not in str(raised.value)


def test_targets_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match="divide masks"):
        as_metric("dice").check(torch.tensor([[0, 255], [255, 0]]))
    with pytest.raises(InputError, match="integer targets"):
        as_metric("quadratic_kappa").check(np.array([0.5, 1.0]))
