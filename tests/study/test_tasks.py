"""Tasks of any targets: what fits, what is to beat, how heads are sized and read."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

import lossmith
from lossmith import Brier, CrossEntropy, Dice, Focal, Tempered
from lossmith.core.hybrid import Hybrid
from lossmith.study.base.errors import InputError
from lossmith.study.metrics.labels import best_threshold
from lossmith.study.metrics.resolve import as_metric
from lossmith.study.metrics.study_metric import leaf_arrays
from lossmith.study.study import Study
from lossmith.study.tasks import ARRAY_TASKS, array_task
from lossmith.study.training.heads import HeadReader, decoded

RNG = np.random.default_rng(0)
ROWS = 24
MASKS = RNG.integers(2, size=(ROWS, 6, 6))
CLASSES = RNG.integers(3, size=(ROWS, 6, 6))
IGNORED = np.where(np.arange(6)[:, None] < 2, 255, CLASSES)
LABELS = RNG.integers(2, size=(ROWS, 4))
RELEVANCE = RNG.integers(3, size=(ROWS, 7))
TIMES = {"time": 0.1 + RNG.exponential(size=ROWS), "event": RNG.integers(2, size=ROWS)}
TOKENS = RNG.integers(9, size=(ROWS, 5))
CODES = RNG.integers(4, size=ROWS)
BOXES = np.concatenate([RNG.random((ROWS, 2)), 1 + RNG.random((ROWS, 2))], axis=1)
NUMBERS = RNG.normal(size=(ROWS, 3))
CASES: list[tuple[str, Any, str | None, str, str]] = [
    ("mean_iou", MASKS, None, "binary_cross_entropy + lovasz_hinge", "binary_cross_entropy"),
    ("mean_iou", CLASSES, None, "cross_entropy + lovasz_softmax", "cross_entropy"),
    ("dice", IGNORED, None, "cross_entropy + dice", "cross_entropy"),
    ("mean_image_dice", CLASSES, None, "cross_entropy + dice", "cross_entropy"),
    ("boundary_f1", MASKS, None, "binary_cross_entropy + binary_dice", "binary_cross_entropy"),
    ("hausdorff95", CLASSES, None, "cross_entropy + dice", "cross_entropy"),
    ("box_iou", BOXES, None, "giou", "smooth_l1"),
    ("f1_macro", LABELS, None, "binary_cross_entropy", "binary_cross_entropy"),
    ("f1_micro", LABELS, None, "binary_cross_entropy", "binary_cross_entropy"),
    ("label_ranking_loss", LABELS, None, "binary_cross_entropy", "binary_cross_entropy"),
    ("average_precision", LABELS, None, "binary_cross_entropy", "binary_cross_entropy"),
    ("ndcg@3", RELEVANCE, None, "lambda_loss", "listnet"),
    ("mrr", RELEVANCE, None, "listnet", "listnet"),
    ("concordance", TIMES, None, "cox", "cox"),
    ("perplexity", TOKENS, None, "cross_entropy", "cross_entropy"),
    ("map_at_r", CODES, "metric_learning", "multi_similarity", "triplet"),
    ("mae", NUMBERS, None, "mae", "mse"),
    ("pinball@0.9", NUMBERS, None, "quantile(level=0.9)", "mse"),
    ("wql", NUMBERS, None, "quantile(level=0.1…0.9)", "mse"),
    ("crps", NUMBERS, None, "quantile_crps", "mse"),
    ("crps", NUMBERS[:, 0], None, "quantile_crps", "mse"),
    ("interval@0.8", NUMBERS, None, "quantile(level=0.1,0.9)", "mse"),
    ("mase", {"value": NUMBERS, "scale": np.ones(ROWS)}, None, "mae", "mse"),
]
WIDTHS = {"text": 9, "metric_learning": 5}  # which the model knows


def tensors(target: Any) -> Any:
    if isinstance(target, Mapping):
        return {name: torch.as_tensor(part) for name, part in target.items()}
    return torch.as_tensor(target)


def output(task: str, width: int) -> torch.Tensor:
    shape = {
        "segmentation": (ROWS, width, 6, 6) if width > 1 else (ROWS, 6, 6),
        "ranking": (ROWS, 7),
        "survival": (ROWS, width) if width > 1 else (ROWS,),
        "text": (ROWS, width, 5),
    }.get(task, (ROWS, width))
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)


@pytest.mark.parametrize(("name", "target", "said", "default", "common"), CASES)
def test_every_loss_of_a_task_trains_and_is_read(
    name: str, target: Any, said: str | None, default: str, common: str
) -> None:
    metric = as_metric(name)
    task = array_task(metric, target, said)
    assert task is not None
    assert (task.default(metric, target).name, task.common(target).name) == (default, common)
    found = task.everyone(metric, target)
    assert len(found) >= 5
    assert {default, common, *map(_named(task, target), task.sums)} <= {one.name for one in found}
    for one in found:
        learned = tensors(task.learned(target))
        loss = one.fit(learned)
        raw = output(task.name, task.width(loss, target) or WIDTHS[task.name])
        loss(raw.squeeze(-1), learned).backward()
        assert raw.grad is not None
        assert raw.grad.isfinite().all(), one.name
        reading = HeadReader.of(metric, leaf_arrays(target)[0])
        found = decoded(loss, raw.squeeze(-1), None, reading)
        actual, predicted = task.read(metric, loss, found, target)
        assert np.isfinite(metric.score(actual, predicted)), one.name
        assert metric.influences(actual, predicted).shape == (ROWS,), one.name


def _named(task: Any, target: Any) -> Any:
    return lambda keys: task.named(keys, target).name


def test_no_loss_of_tokens_looks_at_later_ones() -> None:
    """Of next tokens, later scores are computed from the targets: a chain would see them."""
    metric = as_metric("perplexity")
    task, target = array_task(metric, TOKENS, None), torch.as_tensor(TOKENS)
    assert task is not None
    logits = torch.randn(ROWS, 9, 5)
    later = torch.cat([logits[..., :3], torch.randn(ROWS, 9, 2)], 2)
    reading = HeadReader.of(metric, TOKENS)
    for one in task.everyone(metric, TOKENS):
        loss = one.fit(target)
        for learned in loss.parameters():
            torch.nn.init.normal_(learned)
        told = [decoded(loss, given, None, reading)[..., :3] for given in (logits, later)]
        torch.testing.assert_close(*told, msg=one.name)


def test_every_metric_of_a_task_has_a_source() -> None:
    for task in ARRAY_TASKS:
        for name, baseline in task.defaults.items():
            level = {"pinball": "@0.9"} | dict.fromkeys(("recall", "precision", "hit_rate"), "@5")
            assert as_metric(name + level.get(name, ""))
            assert baseline.source, (task.name, name)


def test_ignored_pixels_are_known_to_every_loss() -> None:
    task = array_task(as_metric("dice"), IGNORED)
    assert task is not None
    raw = output("segmentation", 3)
    for one in task.everyone(as_metric("dice"), IGNORED):
        loss, target = one.fit(torch.as_tensor(IGNORED)), torch.as_tensor(IGNORED)
        parts = loss.losses.values() if isinstance(loss, Hybrid) else [loss]
        assert all(part.ignore_index == 255 for part in parts), one.name
        assert "255" not in one.name
        moved = torch.where(target[:, None] == 255, 7.0, raw)
        torch.testing.assert_close(loss(raw, target), loss(moved, target))


@pytest.mark.parametrize(
    ("key", "risk"),
    [("cox", 1), ("weibull_aft", -1), ("log_normal_aft", -1), ("deep_hit", -1)],
)
def test_a_longer_life_is_a_lower_risk(key: str, risk: int) -> None:
    metric = as_metric("concordance")
    task = array_task(metric, TIMES)
    assert task is not None
    loss = task.one(key, TIMES).fit(tensors(TIMES))
    rising = torch.linspace(-2, 2, ROWS)
    late = torch.linspace(-1, 1, loss.out_features)
    raw = rising if key == "cox" else rising[:, None] * late
    if loss.out_features == 2:
        raw = torch.stack([rising, torch.zeros(ROWS)], dim=1)
    _, found = task.read(metric, loss, decoded(loss, raw, None), TIMES)
    assert (np.sign(np.diff(found)) == risk).all()


def test_a_row_is_no_neighbour_of_itself() -> None:
    task = array_task(as_metric("map_at_r"), CODES, "metric_learning")
    assert task is not None
    actual, near = task.read(
        as_metric("map_at_r"), lossmith.SupCon(), torch.eye(4)[torch.as_tensor(CODES)], CODES
    )
    assert (np.diag(actual) == -1).all()
    assert as_metric("map_at_r").score(actual, near) == 1


def test_map_at_r_looks_at_as_many_items_as_are_relevant() -> None:
    target, scores = np.array([[1, 0, 1, 0]]), np.array([[4.0, 3.0, 2.0, 1.0]])
    assert as_metric("map_at_r").score(target, scores) == 0.5  # (1/1 + 0) / 2
    assert as_metric("map").score(target, scores) == pytest.approx((1 + 2 / 3) / 2)


def test_sums_fit_themselves() -> None:
    both, target = CrossEntropy() + 0.5 * Dice(squared=False), torch.as_tensor(CLASSES)
    fitted = both.refitted(target)
    assert fitted.out_features == 3
    assert fitted.losses["dice"].squared is False
    assert fitted.weighting.weights() == both.weighting.weights()
    raw = output("segmentation", 3)
    torch.testing.assert_close(fitted(raw, target), both(raw, target))
    made = Hybrid.for_target(target, losses=[CrossEntropy, Dice(squared=False)])
    assert made.out_features == 3


@pytest.mark.parametrize("loss", [CrossEntropy() + Dice(), "cross_entropy + dice"])
def test_a_study_sizes_the_head_of_a_sum(loss: Any) -> None:
    study = Study(None, metric="mean_iou", target=CLASSES, losses=[loss], epochs=1)
    widths = {name: study.width_of(study.fitted(name, None)) for name in study.contenders}
    assert widths == {"cross_entropy + dice": 3, "cross_entropy + lovasz_softmax": 3}


def test_losses_of_ones_own_know_the_classes_of_the_whole_target() -> None:
    target = np.array([0, 1] * 20 + [2])  # of class 2 no fold but one has a row to train on
    own = [
        CrossEntropy(label_smoothing=0.1),
        Focal(gamma=5.0),
        Brier() + Focal(),
        Tempered(Focal()),
    ]
    losses = {**{type(one).__name__: one for one in own}, "by name": "tempered"}
    with pytest.warns(UserWarning, match="class 2 has 1 of 41 rows"):
        study = Study(None, metric="log_loss", target=target, losses=losses, epochs=1)
    for name in study.contenders:
        fitted = study.fitted(name, np.arange(40))
        assert study.width_of(fitted) == 3, name
        raw = torch.zeros(3, 3)
        assert fitted(raw, torch.arange(3)).isfinite()
    kept = {name: study.fitted(name, np.arange(40)) for name in ("CrossEntropy", "Focal")}
    assert (kept["CrossEntropy"].label_smoothing, kept["Focal"].gamma) == (0.1, 5.0)


def test_a_study_of_masks_finds_its_losses() -> None:
    masks = torch.as_tensor(MASKS)
    images = masks[:, None] + 0.5 * torch.randn(
        ROWS, 1, 6, 6, generator=torch.Generator().manual_seed(0)
    )
    study = Study(None, metric="mean_iou", target=masks, epochs=1, learning_rates=[0.1])
    assert study.design.default == "binary_cross_entropy + lovasz_hinge"
    assert len(study.contenders) > 10
    for trial in study:
        with trial.seeded():
            assert trial.out_features == 1
            model = torch.nn.Conv2d(1, trial.out_features, 1)
            optimizer = torch.optim.Adam(model.parameters(), lr=trial.learning_rate)
            for _ in trial.epochs:
                for _ in range(5):
                    optimizer.zero_grad()
                    trial.loss(model(images[trial.train])[:, 0], masks[trial.train]).backward()
                    optimizer.step()
                trial.report(outputs=model(images[trial.valid])[:, 0])
    assert study.verdict().verdict in ("switch", "keep")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "masks"}, "a study's task is one of regression, .*segmentation.*got 'masks'"),
        ({"task": "segmentation"}, "needs masks"),
        ({"metric": "mae", "task": "ranking"}, "task 'ranking' is judged by ndcg, .*not mae"),
        ({"metric": "hit_rate@1"}, "say losses=: .*task='metric_learning'"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(given: dict[str, Any], message: str) -> None:
    arguments = {"metric": "mean_iou", "target": CODES, "epochs": 1} | given
    with pytest.raises(InputError, match=message) as caught:
        Study(None, **arguments)
    assert "\n" not in str(caught.value)


def test_select_finds_the_losses_of_masks_for_your_own_model() -> None:
    rows = 60
    masks = torch.randint(2, (rows, 4, 4), generator=torch.Generator().manual_seed(0))
    images = masks[:, None] + 0.1 * torch.randn(
        rows, 1, 4, 4, generator=torch.Generator().manual_seed(1)
    )

    def model(width: int) -> torch.nn.Module:
        assert width == 1
        return torch.nn.Sequential(torch.nn.Conv2d(1, width, 1), torch.nn.Flatten(1, 2))

    selection = lossmith.select(
        model=model,
        train=(images.float(), masks),
        metric="dice",
        candidates=["binary_dice"],
        epochs=1,
        learning_rates=[0.1],
    )
    assert selection.result.default == "binary_cross_entropy + binary_dice"
    assert {row.name for row in selection.result.candidates} == {
        "binary_cross_entropy + binary_dice",
        "binary_dice",
    }
    assert 0 <= selection.result.test["default"] <= 1


def test_a_pair_of_labels_sizes_the_head_of_your_own_model() -> None:
    target = torch.as_tensor(RNG.integers(2, size=(60, 3)))
    widths = []

    def model(width: int) -> torch.nn.Module:
        widths.append(width)
        return torch.nn.Linear(3, width)

    selection = lossmith.select(
        model=model,
        train=(target + torch.randn(60, 3), target),
        metric="f1_micro",
        candidates=["zlpr"],
        epochs=1,
        learning_rates=[0.1],
    )
    assert set(widths) == {3}
    assert selection.result.default == "binary_cross_entropy"


@pytest.mark.parametrize("key", ["gaussian_nll", "hl_gauss", "ensemble_crps", "quantile_crps"])
def test_a_flat_head_of_several_numbers_is_read_number_by_number(key: str) -> None:
    metric, target = as_metric("crps"), torch.as_tensor(NUMBERS)
    task = array_task(metric, NUMBERS)
    assert task is not None
    together = task.one(key, NUMBERS).fit(target)
    wide = together.out_features // 3
    raw = output("regression", 3 * wide).double()
    alone = together.loss(raw.unflatten(1, (wide, 3)), together.encode(target))
    torch.testing.assert_close(together(raw, target), alone)
    found = together.quantile(raw, 0.9)
    assert found.shape == (ROWS, 3)
    first = together.loss.quantile(raw[:, ::3], 0.9) * together.scale + together.center
    torch.testing.assert_close(found[:, 0], first)


def test_select_tells_coverage_width_and_each_step(tmp_path) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(90, 3, generator=generator)
    selection = lossmith.select(
        model=lambda width: torch.nn.Linear(3, width),
        train=(x, x + torch.randn(90, 3, generator=generator)),
        metric="interval@0.8",
        candidates=["gaussian_nll"],
        epochs=1,
        learning_rates=[0.05],
        out=tmp_path / "run",
    )
    assert selection.result.default == "quantile(level=0.1,0.9)"
    assert "these quantiles" in selection.result.source
    beside = selection.result.beside["default"]
    assert set(beside) == {"coverage", "width", "step 1", "step 2", "step 3"}
    steps = [beside[f"step {h}"] for h in (1, 2, 3)]
    assert np.mean(steps) == pytest.approx(selection.result.test["default"])
    page = (tmp_path / "run" / "report.html").read_text()
    assert "coverage" in page
    assert "these quantiles" in page


def test_every_default_is_told_with_its_reason() -> None:
    study = Study(None, metric="mae", target=NUMBERS[:, 0], epochs=1)
    assert study.verdict().result.source == "the metric asks for what it gives: the median"
    study = Study(None, metric="mean_iou", target=MASKS, epochs=1)
    assert study.verdict().result.source.startswith("the field starts with it: a surrogate of")
    study = Study(None, metric="mae", target=NUMBERS, default="mse", losses=["mae"], epochs=1)
    assert study.verdict().result.source == "it was given"


@pytest.mark.parametrize("name", ["f1_macro", "f1_micro"])
def test_labels_are_decided_by_thresholds_of_other_rows(name: str) -> None:
    metric, rng = as_metric(name), np.random.default_rng(1)
    target = (rng.random((400, 3)) < (0.05, 0.2, 0.5)).astype(int)
    logits = 1.5 * target + rng.normal(size=target.shape)
    prediction = 1 / (1 + np.exp(-(logits - 4)))  # far too low for a threshold of one half
    task = array_task(metric, target)
    assert task is not None
    actual, found = task.read(metric, lossmith.ZLPR(), prediction, target)
    assert metric.score(target, prediction) < 0.1
    assert metric.score(actual, found) > 0.5
    part = np.random.default_rng(0).permutation(400) % 5
    first = np.flatnonzero(part == 0)[0]
    moved = target.copy()
    moved[first] = 1 - moved[first]  # a row's own labels decide nothing of it
    _, again = task.read(metric, lossmith.ZLPR(), prediction, moved)
    np.testing.assert_array_equal(again[part == 0], found[part == 0])
    grid = np.linspace(0, 1, 2001)
    others = part != 0

    def chosen(label):
        scores = [
            reference.f1_score(target[others, label], prediction[others, label] >= cut)
            for cut in grid
        ]
        return max(scores)

    if name == "f1_macro":
        cut = [best_threshold(target[others, k], prediction[others, k]) for k in range(3)]
        own = [
            reference.f1_score(target[others, k], prediction[others, k] >= cut[k]) for k in range(3)
        ]
        assert all(own[k] >= chosen(k) - 1e-12 for k in range(3))


@pytest.mark.parametrize("name", ["linear_probe", "knn_accuracy"])
def test_losses_of_two_views_are_judged_by_frozen_features(name: str) -> None:
    metric = as_metric(name)
    task = array_task(metric, CODES, "self_supervised")
    assert task is not None
    found = task.everyone(metric, CODES)
    assert found[0].name == "nt_xent"
    assert {"barlow_twins", "vicreg", "info_nce", "negative_cosine"} <= {one.key for one in found}
    views = [torch.randn(ROWS, 6, requires_grad=True) for _ in range(2)]
    for one in found:
        loss = one.fit(torch.as_tensor(CODES))
        assert task.width(loss, CODES) is None
        assert loss(*views).isfinite(), one.name
        actual, features = task.read(metric, loss, decoded(loss, views[0], None), CODES)
        assert 0 <= metric.score(actual, features) <= 1


@pytest.mark.parametrize(
    ("metric", "default"),
    [("poisson_deviance", "poisson"), ("tweedie_deviance@1.3", "tweedie(power=1.3)")],
)
def test_deviances_are_elicited_by_their_losses(metric: str, default: str) -> None:
    counts = RNG.poisson(2.0, size=60).astype(float)
    study = Study(None, metric=metric, target=counts, epochs=1)
    assert study.design.default == default
    assert study.design.common == "mse"
    assert "negative_binomial" in study.contenders


@pytest.mark.parametrize(
    ("metric", "target", "task", "message"),
    [
        ("box_iou", NUMBERS, "detection", "task 'detection' needs boxes .N, 4."),
        ("box_iou", BOXES[:, [2, 1, 0, 3]], "detection", "with x1 < x2"),
        ("linear_probe", NUMBERS, "self_supervised", "needs classes .N,. of whole numbers"),
        ("mae", CODES, "self_supervised", "judged by linear_probe, knn_accuracy, not mae"),
        ("crps", MASKS, "regression", "needs numbers"),
    ],
)
def test_bad_input_of_a_task_is_one_line(metric: Any, target: Any, task: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        array_task(as_metric(metric), target, task)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("metric", ["mae", "poisson_deviance", "crps"])
def test_whole_numbers_are_no_classes_to_be_shared_out(metric: str) -> None:
    study = Study(None, metric=metric, target=np.arange(40), epochs=1)
    assert len(study.folds.folds) == 10


@pytest.mark.parametrize("metric", ["mae", "crps", "smape"])
def test_whole_numbers_are_forecast_too(metric: str) -> None:
    target = np.arange(60).reshape(20, 3)
    study = Study(None, metric=metric, target=target, epochs=1)
    assert study.aim.task.name == "regression"
    loss = study.fitted(study.design.default, None)
    width = study.width_of(loss)
    assert loss(torch.zeros(20, width), torch.as_tensor(target)).isfinite()


@pytest.mark.parametrize(
    ("metric", "target", "said"),
    [
        ("mean_iou", np.tile([[[0, 1], [-100, 2]]], (9, 1, 1)), "ignored pixels being 255"),
        ("mean_iou", np.tile([[[0, 255], [255, 0]]], (9, 1, 1)), "divide masks"),
        ("mase", np.ones((9, 3)), "dict of value"),
        ("mase", {"value": np.ones((9, 3)), "scale": np.zeros(9)}, "above 0"),
        ("concordance", {"time": np.ones(9), "events": np.ones(9)}, "dict of time and event"),
        ("perplexity", np.full((9, 4), -100), "not all, ignored"),
        ("mae", np.ones((9, 1)), "one number a row"),
        ("crps", np.ones((9, 1)), "one number a row"),
        ("accuracy", np.array(["a", "b", "c"] * 3), "pandas.factorize"),
    ],
)
def test_targets_that_tell_nothing_are_refused_in_a_clear_line(metric, target, said) -> None:
    with pytest.raises(InputError, match=said) as caught:
        Study(None, metric=metric, target=target, epochs=1)
    assert "\n" not in str(caught.value)
