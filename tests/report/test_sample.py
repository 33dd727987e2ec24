"""What a report of a study shows of predictions, by task."""

import operator
from pathlib import Path

import numpy as np
import pytest
import torch

from lossmith import Study
from lossmith.study.base.errors import InputError
from lossmith.study.metrics.study_metric import mapped
from lossmith.study.tasks.sample import NUMBERS, SAMPLES, SIDE, lists, masks

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
    y = mapped(torch.as_tensor, target)
    for trial in study:
        with trial.seeded():
            body = model(trial.out_features)
            optimizer = torch.optim.Adam(body.parameters(), lr=trial.learning_rate)
            for _ in trial.epochs:
                optimizer.zero_grad()
                own = mapped(operator.itemgetter(trial.train), y)
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
    return {
        "Residuals": (x, path[:, 0], "mae", None, ["mae", "mse"], {}),
        "Calibration": (x, code, "accuracy", linear(4), ["cross_entropy", "brier"], {}),
        "Masks": (pictures, mask, "mean_iou", pixelwise, ["cross_entropy", "dice"], {}),
        "Ranked lists": (items, relevance, "ndcg@5", scorer, ["listnet", "listmle"], {}),
        "Ranked": (x, code, "map_at_r", embed, ["triplet", "contrastive"], {"metric_learning": 1}),
        "Survival": (x, censored, "concordance", scalar, ["cox", "weibull_aft"], {}),
        "Predictions": (x, path, "mae", linear(4), ["mae", "mse"], {}),
    }


@pytest.mark.parametrize("title", list(cases()))
def test_the_report_shows_what_people_look_at(title: str, tmp_path: Path) -> None:
    x, target, metric, model, losses, more = cases()[title]
    if model is None:
        model = lambda _: torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Flatten(0))  # noqa: E731
    task = {"task": next(iter(more))} if more else {}
    study = run(x, target, metric, model, losses, **task)
    page = study.report(tmp_path / "report.html").read_text()
    assert f"<h2>{title}" in page
    assert "validation rows</h2>" in page
    sample = study.verdict().sample
    assert sample is not None
    assert all(one.nbytes <= 9 * NUMBERS for one in sample.default.values())


def test_images_stand_beside_masks(tmp_path: Path) -> None:
    x, target, *rest, _ = cases()["Masks"]
    study = run(x, target, *rest)
    plain, shown = tmp_path / "plain.html", tmp_path / "images.html"
    study.report(plain)
    study.report(shown, images=x)
    assert shown.read_text().count("<image") == plain.read_text().count("<image") + 4
    with pytest.raises(InputError, match="one a row"):
        study.report(shown, images=x[:3])


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
    assert all(len(one) == NUMBERS for one in found.values())
