"""What a report of a study shows of predictions, by task."""

import operator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lossmith import Study
from lossmith.core.tree import tree_map
from lossmith.study.base.errors import InputError
from lossmith.study.base.result import Sample
from lossmith.study.report.sample import sample
from lossmith.study.tasks.sample import NUMBERS, SAMPLES, SIDE, lists, masks, pictures

DRAW = np.random.default_rng(0)


def disks(rows: int, classes: int) -> tuple[torch.Tensor, np.ndarray]:
    """Return pictures of disks with their masks."""
    grid = np.stack(np.meshgrid(np.arange(12), np.arange(12), indexing="ij"))
    centres = DRAW.integers(3, 9, (rows, 2, 1, 1))
    near = ((grid - centres) ** 2).sum(axis=1) < 9
    mask = near * DRAW.integers(1, classes, (rows, 1, 1))
    pictures = mask + 0.3 * DRAW.normal(size=mask.shape)
    return torch.tensor(pictures, dtype=torch.float32), mask.astype(np.int64)


def run(x: torch.Tensor, target, metric: str, model, losses, **more) -> Study:
    """Run a study of a few short trainings."""
    study = Study(
        None,
        metric=metric,
        target=target,
        losses=losses,
        default=losses[0],
        learning_rates=[0.03],
        epochs=2,
        **more,
    )
    y = tree_map(torch.as_tensor, target)
    for trial in study:
        with trial.seeded():
            body = model(trial.out_features)
            optimizer = torch.optim.Adam(body.parameters(), lr=trial.learning_rate)
            for _ in trial.epochs:
                optimizer.zero_grad()
                own = tree_map(operator.itemgetter(trial.train), y)
                own = own["value"] if metric == "mase" else own
                trial.loss(body(x[trial.train]), own).backward()
                optimizer.step()
                with torch.no_grad():
                    if trial.report(outputs=body(x[trial.valid])):
                        break
    return study


def linear(inputs: int):
    return lambda width: torch.nn.Linear(inputs, width)


def pixelwise(width: int) -> torch.nn.Module:
    layers = torch.nn.Unflatten(1, (1, -1)), torch.nn.Conv2d(1, width or 1, 3, padding=1)
    return torch.nn.Sequential(*layers, *([torch.nn.Flatten(1, 2)] if width == 1 else []))


def cases():
    x = torch.tensor(DRAW.normal(size=(90, 4)), dtype=torch.float32)
    code = (x[:, 0] > 0).long().numpy() + (x[:, 1] > 0.5).long().numpy()
    pictures, mask = disks(30, 3)
    items = torch.tensor(DRAW.normal(size=(40, 12, 4)), dtype=torch.float32)
    relevance = (items[..., 0] > 0.8).long().numpy() * 2
    scorer = lambda _: torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Flatten(1))  # noqa: E731
    embed = lambda _: torch.nn.Linear(4, 3)  # noqa: E731
    censored = {"time": np.exp(x[:, 0].numpy()) + 0.1, "event": (x[:, 1] < 0.5).float().numpy()}
    scalar = lambda width: torch.nn.Sequential(  # noqa: E731
        torch.nn.Linear(4, width), *([torch.nn.Flatten(0)] if width == 1 else [])
    )
    path = x.numpy()[:, :1] * np.arange(1, 6) + 0.1
    scaled = {"value": path, "scale": np.ones(len(path))}
    corners = np.concatenate([x[:, :2], x[:, :2] + x[:, 2:].abs() + 0.5], axis=1)
    labels = (x.numpy() > 0.3).astype(np.int64)
    return {
        "Residuals": (x, path[:, 0], "mae", None, ["mae", "mse"], {}),
        "Calibration": (x, code, "accuracy", linear(4), ["cross_entropy", "brier"], {}),
        "Masks": (pictures, mask, "mean_iou", pixelwise, ["cross_entropy", "dice"], {}),
        "Ranked lists": (items, relevance, "ndcg@5", scorer, ["listnet", "listmle"], {}),
        "Ranked": (x, code, "map_at_r", embed, ["triplet", "contrastive"], {"metric_learning": 1}),
        "Survival": (x, censored, "concordance", scalar, ["cox", "weibull_aft"], {}),
        "Predictions": (x, path, "mae", linear(4), ["mae", "mse"], {}),
        "Predictions by scale": (x, scaled, "mase", linear(4), ["mae", "mse"], {}),
        "Quantiles": (x, path[:, 0], "wql", scalar, ["quantile_crps", "mse"], {}),
        "Boxes": (x, corners, "box_iou", linear(4), ["giou", "mae"], {}),
        "Calibration of labels": (x, labels, "f1_macro", linear(4), ["soft_f1", "zlpr"], {}),
    }


@pytest.mark.parametrize("title", list(cases()))
def test_the_report_shows_what_people_look_at(title: str, tmp_path: Path) -> None:
    x, target, metric, model, losses, more = cases()[title]
    if model is None:
        model = lambda _: torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Flatten(0))  # noqa: E731
    task = {"task": next(iter(more))} if more else {}
    study = run(x, target, metric, model, losses, **task)
    page = study.report(tmp_path / "report.html").read_text()
    assert f"<h2>{title.split(' by ')[0].split(' of ')[0]}" in page
    assert "validation rows</h2>" in page
    sample = study.verdict().sample
    assert sample is not None
    assert sum(one.nbytes for one in sample.default.values()) <= 24 * NUMBERS


def test_images_stand_beside_masks(tmp_path: Path) -> None:
    x, target, *rest, _ = cases()["Masks"]
    study = run(x, target, *rest)
    plain, shown = tmp_path / "plain.html", tmp_path / "images.html"
    study.report(plain)
    study.report(shown, images=x)
    assert shown.read_text().count("<image") == plain.read_text().count("<image") + 4
    for wrong in (x[:3], x[:, None, None], x[:, None].expand(-1, 4, -1, -1)):
        with pytest.raises(InputError, match="one a row"):
            study.report(shown, images=wrong)
    rows = study.verdict().sample.default["rows"]
    assert set(rows.tolist()) <= set(study.folds.folds[0].valid.tolist())
    np.testing.assert_array_equal(study.verdict().beside(x, 2).sample.images, x[rows])


def test_masks_are_thinned_and_volumes_cut() -> None:
    target = DRAW.integers(0, 3, (9, 5, 200, 120))
    target[:, :, 0] = 255
    found = masks(target, np.eye(3)[target % 3].transpose(0, 4, 1, 2, 3))
    assert found["target"].shape == found["taken"].shape == (4, 40, 24)
    assert max(found["target"].shape[1:]) <= SIDE
    assert (found["target"][:, 0] == 255).all()
    assert (found["taken"] < 3).all()
    np.testing.assert_array_equal(found["target"][:, 1:], found["taken"][:, 1:])


def test_lists_are_by_score_and_leave_out_what_is_no_item() -> None:
    relevance, scores = np.array([[0, 2, 1, -1]]), np.array([[3.0, 2.0, 1.0, 9.0]])
    found = lists(relevance, scores)
    assert found["shown"].tolist() == [[0, 2, 1, -1]]
    assert found["target"].tolist() == [[2, 1, 0, -1]]


def test_samples_are_small() -> None:
    target = DRAW.integers(0, 50, (5_000, 8))
    found = SAMPLES["classes"](target, DRAW.dirichlet(np.ones(50), (5_000, 8)).transpose(0, 2, 1))
    assert found.pop("count") == 50
    assert all(len(one) == NUMBERS for one in found.values())
    long = np.zeros((1, 100_000))
    for kind in ("numbers", "paths"):
        assert sum(one.nbytes for one in SAMPLES[kind](long, long).values()) <= 24 * NUMBERS
    codes = np.ones((1, 9_000), int)
    found = SAMPLES["classes"](codes, np.full((1, 3, 9_000), 1 / 3, np.float32))
    assert sum(one.nbytes for one in found.values()) <= 24 * NUMBERS


def drawn(kind: str, target, prediction, wanted: str) -> None:
    found = SAMPLES[kind](target, prediction)
    shown = Sample(kind=kind, default=found, selected=found)
    result = SimpleNamespace(default="a", selected="a")
    assert wanted in sample(shown, result)[1]


def test_tokens_that_count_are_looked_at_where_others_are_ignored() -> None:
    target = np.full((3, 6_000), -100)
    target[2, -5:] = [0, 1, 2, 3, 499]
    found = SAMPLES["classes"](target, np.full((3, 500, 6_000), 1 / 500, np.float32))
    assert found["target"].tolist() == [0, 1, 2, 3, 499]
    drawn("classes", target, np.full((3, 500, 6_000), 1 / 500, np.float32), "of 500 classes")


def test_few_seen_classes_of_many_are_read_by_their_own_probability() -> None:
    probable = np.array([[0.7, 0.2, 0.1], [0.6, 0.4, 0.0]])
    drawn("classes", np.array([0, 1]), probable, "likeliest class")


def test_decisions_have_no_calibration() -> None:
    target = np.array([0, 1, 2, 2])
    found = SAMPLES["classes"](target, np.array([0, 2, 2, 1]))
    assert "stated" not in found
    drawn("classes", target, np.array([0, 2, 2, 1]), "Recall by class")


def test_a_single_row_and_a_single_class_are_drawn() -> None:
    drawn("classes", np.array([0]), np.array([[0.9, 0.1]]), "<svg")
    drawn("numbers", np.array([1.0]), np.array([[2.0]]), "<svg")
    drawn("paths", np.ones((1, 1)), np.ones((1, 9, 1)), "<svg")
    drawn("spans", np.ones(1), np.ones((1, 2)), "<svg")
    drawn("masks", np.zeros((1, 2, 3), int), np.zeros((1, 2, 3)), "<svg")
    drawn("boxes", np.array([[0.0, 0, 1, 1]]), np.array([[3.0, 2, 1, 0]]), "<svg")
    drawn("lists", np.array([[0.0, 0.5]]), np.array([[1.0, 2.0]]), "0.5 0")
    censored = {"time": np.array([1.0, 2.0]), "event": np.zeros(2)}
    drawn("risks", censored, np.array([[1.0], [2.0]]), "<svg")


def test_masks_of_one_channel_and_ignored_pixels_are_seen() -> None:
    target = np.array([[[0, 1], [-100, 255]]])
    found = masks(target, np.full((1, 1, 2, 2), 0.7))
    assert found["target"].tolist() == [[[0, 1], [255, 255]]]
    assert found["taken"].tolist() == [[[1, 1], [1, 1]]]
    drawn("masks", np.full((1, 2, 2), 255), np.full((1, 2, 2), 0.7), "<svg")


def test_lists_take_places_and_unsigned_relevances() -> None:
    found = lists(np.array([[0, 2, 1], [0, 0, 0]], np.uint8), np.array([[3.0, 2, 1], [1, 2, 3]]))
    assert found["target"].tolist() == [[2, 1, 0]]
    assert found["shown"].tolist() == [[0, 2, 1]]
    assert lists(np.array([1]), np.array([[3.0, 2, 1]]))["shown"].tolist() == [[0, 1, 0]]


def test_pictures_of_volumes_are_middle_slices() -> None:
    images, rows = DRAW.normal(size=(4, 5, 6, 7)), np.array([1, 3])
    np.testing.assert_array_equal(pictures(images, rows, 3), images[rows, 2])
    np.testing.assert_array_equal(pictures(images[:, None], rows, 3), images[rows, 2])
    colours = np.stack([images] * 3, axis=1)
    np.testing.assert_array_equal(pictures(colours, rows, 3)[..., 0], images[rows, 2])


@pytest.mark.parametrize("levels", [1, 2, 99, 100])
def test_of_quantiles_the_ends_and_the_middle_are_kept(levels: int) -> None:
    target, ends = DRAW.normal(size=(9, 500)), [0, -1]
    prediction = np.sort(DRAW.normal(size=(9, levels, 500)), axis=1)
    found = SAMPLES["paths"](target, prediction)
    assert sum(one.nbytes for one in found.values()) <= 24 * NUMBERS
    np.testing.assert_array_equal(
        found["prediction"][:, ends], prediction[found["rows"]][:, ends][..., found["steps"] - 1]
    )
    drawn("paths", target, prediction, "<svg")
    drawn("spans", target[:, 0], prediction[..., 0], "<svg")
