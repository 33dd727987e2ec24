"""`suggest`: its process beside another's, its file, and what it says of tables."""

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

import lossmith
from lossmith.cli.main import main
from lossmith.study.base.errors import InputError
from lossmith.study.data.problem import frame_problem
from lossmith.study.suggest.features import features
from lossmith.study.suggest.gaussian import Prior, likeness, posterior
from lossmith.study.suggest.knowledge import FILE, Knowledge, Recorded, Records, even, load, save
from lossmith.study.suggest.suggestion import Prospect
from lossmith.study.tasks import ARRAY_TASKS, AUXILIARY, TABLE_TASKS

ROOT = Path(__file__).parents[2]
ROBUST = ("huber(delta=0.5)", "pseudo_huber(delta=0.3)", "cauchy(scale=1)", "mae")


def outliers(rows: int = 442) -> pd.DataFrame:
    """The diabetes table with a tenth of its targets moved far."""
    frame, draw = load_diabetes(as_frame=True).frame.iloc[:rows], np.random.default_rng(0)
    hit = draw.random(len(frame)) < 0.1
    return frame.assign(target=np.where(hit, 10 * frame["target"], frame["target"]))


def small() -> Knowledge:
    """What is known of two losses on four tables."""
    draw = np.random.default_rng(0)
    gains = draw.normal(0, 0.1, (4, 2))
    gains[0, 1] = np.nan
    names, prior = ("huber(delta=0.5)", "mae"), Prior(-0.1, 0.2, 0.5, 0.3)
    records = Records(names=names, gains=gains, errors=np.abs(gains), priors=(prior, prior))
    table = Recorded(package="some", table="one", target="y", condition="clean")
    return Knowledge(
        tables=(table,) * 4,
        features=("rows", "columns"),
        points=draw.normal(0, 1, (4, 2)).astype(np.float32).astype(float),
        lengths=np.array([1.0, 3.0]),
        metrics={"rmse": records},
        widen=1.2,
    )


def test_posterior_is_that_of_another_gaussian_process() -> None:
    draw = np.random.default_rng(0)
    points, new, lengths = draw.normal(size=(20, 3)), draw.normal(size=(5, 3)), np.array([1, 2, 4])
    gains, errors = draw.normal(size=20), draw.uniform(0.1, 1, 20)
    prior = Prior(mean=0.3, offset=0.7, told=1.3, own=0.4)
    mean, deviation = posterior(
        prior,
        gains,
        errors,
        likeness(points, points, lengths),
        likeness(new, points, lengths),
    )
    kernel = ConstantKernel(0.7**2) + ConstantKernel(1.3**2) * RBF(lengths)
    other = GaussianProcessRegressor(kernel, alpha=errors**2 + 0.4**2, optimizer=None)
    wanted, spread = other.fit(points, gains - 0.3).predict(new, return_std=True)
    np.testing.assert_allclose(mean, wanted + 0.3, rtol=1e-8)
    np.testing.assert_allclose(deviation, np.hypot(spread, 0.4), rtol=1e-8)


def test_posterior_without_features_is_a_random_effects_mean() -> None:
    gains, errors = np.array([0.2, -0.1, 0.4]), np.array([0.1, 0.2, 0.3])
    precision = 1 / (errors**2 + 0.5**2)
    total = precision.sum() + 1 / 0.7**2
    mean, deviation = posterior(
        Prior(0.0, 0.7, 0.0, 0.5), gains, errors, np.ones((3, 3)), np.ones((1, 3))
    )
    assert mean[0] == pytest.approx((precision @ gains) / total)
    assert deviation[0] == pytest.approx((1 / total + 0.5**2) ** 0.5)


def test_posterior_of_no_records_is_the_prior() -> None:
    nothing = np.empty(0)
    mean, deviation = posterior(
        Prior(0.1, 0.3, 0.4, 1.2), nothing, nothing, np.empty((0, 0)), np.empty((1, 0))
    )
    assert (mean[0], deviation[0]) == (0.1, pytest.approx(1.3))


def test_knowledge_is_read_as_it_was_saved(tmp_path: Path) -> None:
    known = small()
    save(tmp_path / "known.npz", {"regression": known})
    (again,) = load(tmp_path / "known.npz").values()
    assert (again.tables, again.features, again.widen) == (known.tables, known.features, 1.2)
    np.testing.assert_array_equal(again.points, known.points)
    for what in ("gains", "errors"):
        pair = getattr(again.metrics["rmse"], what), getattr(known.metrics["rmse"], what)
        np.testing.assert_allclose(*pair, atol=5e-5)
    assert again.metrics["rmse"].priors == known.metrics["rmse"].priors


def broken(**changed: Any) -> dict[str, Any]:
    return {"regression rmse gains": np.zeros((4, 2), "<i2"), **changed}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"regression points": np.zeros((3, 2))}, "points must be numbers of shape"),
        ({"regression rmse gains": np.zeros((4, 1), "<i2")}, "gains must be numbers of shape"),
        ({"regression rmse errors": np.full((4, 2), "x")}, "errors must be numbers"),
        ({"regression rmse errors": np.array([[None] * 2] * 4)}, "allow_pickle"),
        ({"regression points": None}, "regression points"),
        ({"about": np.array("[]")}, "must be an object"),
        ({"about": np.array('{"format": 9, "kinds": {}}')}, "of format 9"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    path = tmp_path / "known.npz"
    save(path, {"regression": small()})
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files} | change
    kept = {name: array for name, array in arrays.items() if array is not None}
    np.savez(path, **kept)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=told):
        load(path)


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    for content in (None, b"nothing", b""):
        path = tmp_path / "known.npz"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError, match=r"known\.npz does not hold"):
            load(path)


def test_what_is_shipped_is_small_and_of_no_table_held_out() -> None:
    assert FILE.stat().st_size < 300_000
    lines = [
        json.loads(line) for line in (ROOT / "bench/results/suggest.jsonl").read_text().splitlines()
    ]
    held = {(line["package"], line["table"]) for line in lines if line["held_out"]}
    learned = {(t.package, t.table) for known in load().values() for t in known.tables}
    assert held
    assert learned
    assert not held & learned


@pytest.mark.parametrize(
    ("kind", "load_it"), [("regression", load_diabetes), ("classes", load_wine)]
)
def test_what_is_shipped_knows_the_features_that_tables_have(kind: str, load_it: Any) -> None:
    frame = load_it(as_frame=True).frame
    found = features(frame_problem(frame, "target", "rmse" if kind == "regression" else "accuracy"))
    known = load()[kind]
    assert set(known.features) == set(found)
    assert np.isfinite(known.points).all()
    assert (known.lengths > 0).all()
    for records in known.metrics.values():
        assert all(prior.own > 0 and prior.told >= 0 for prior in records.priors)


def strange(rows: int = 60) -> dict[str, pd.DataFrame]:
    draw = np.random.default_rng(0)
    number, word = draw.normal(size=rows), draw.choice(["a", "b"], rows)
    mostly = np.where(np.arange(rows) < 2, 1e300, 1.0)
    return {
        "told in full": pd.DataFrame({"x": number, "y": number}),
        "one value but two": pd.DataFrame({"x": number, "y": mostly}),
        "words alone": pd.DataFrame({"x": word, "y": number}),
        "empty cells": pd.DataFrame({"x": np.where(number > 0, np.nan, 1), "z": word, "y": number}),
        "zeros": pd.DataFrame({"x": number, "y": np.where(number > 1, 5.0, 0.0)}),
        "alike": pd.DataFrame({"x": np.arange(rows) % 2, "y": number}),
        "far from zero": pd.DataFrame({"x": number, "y": 1e9 + 2e-7 * (np.arange(rows) % 3)}),
        "huge": pd.DataFrame({"x": 1e300 * number, "y": 1e300 * number}),
    }


@pytest.mark.parametrize("name", list(strange()))
@pytest.mark.filterwarnings("error::RuntimeWarning:lossmith")
def test_features_of_strange_tables_are_finite(name: str) -> None:
    frame = strange()[name]
    assert np.isfinite([*features(frame_problem(frame, "y", "mae")).values()]).all()
    classes = frame.assign(y=np.where(frame["y"].rank() % 3 > 1, "u", "v"))
    if classes["y"].nunique() > 1:
        assert np.isfinite([*features(frame_problem(classes, "y", "accuracy")).values()]).all()


def test_features_see_what_was_done_to_a_target() -> None:
    clean = features(frame_problem(load_diabetes(as_frame=True).frame, "target", "mae"))
    moved = features(frame_problem(outliers(), "target", "mae"))
    for name in ("target outliers", "target kurtosis", "residual outliers", "residual tail"):
        assert moved[name] > clean[name], name
    frame = load_breast_cancer(as_frame=True).frame
    wrong = np.random.default_rng(0).random(len(frame)) < 0.2
    noisy = frame.assign(target=np.where(wrong, 1 - frame["target"], frame["target"]))
    pair = [features(frame_problem(one, "target", "accuracy")) for one in (frame, noisy)]
    assert pair[1]["told by neighbours"] < pair[0]["told by neighbours"]
    assert pair[1]["alone"] > pair[0]["alone"]


def test_robust_losses_are_expected_to_beat_squares_where_targets_are_wrong() -> None:
    found = lossmith.suggest(outliers(), target="target", metric="rmse")
    assert found.default == "mse"
    changes = {one.name: one.change for one in found.losses}
    assert all(changes[name] < -0.02 for name in ROBUST)
    assert found.likely
    assert found.likely[0].name in found.sentence
    assert [one.change for one in found.losses] == sorted(changes.values())
    assert all(one.low <= one.change <= one.high for one in found.losses)
    assert found.alike[0].likeness >= found.alike[-1].likeness


def test_r2_is_expected_to_change_as_the_square_of_rmse() -> None:
    frame = load_diabetes(as_frame=True).frame
    pair = [lossmith.suggest(frame, target="target", metric=m).losses[0] for m in ("r2", "rmse")]
    assert 1 + pair[0].change == pytest.approx((1 + pair[1].change) ** 2)
    assert pair[0].probability == pair[1].probability


def test_without_features_cells_of_one_data_set_are_alike_and_yours_are_not() -> None:
    prior = Prior(0.0, 0.7, 0.4, 0.5)
    gains = np.array([[-0.3, 0.1], [-0.2, np.nan], [-0.25, 0.0]])
    records = Records(
        names=("dice", "jaccard"),
        gains=gains,
        errors=np.full_like(gains, 0.02),
        priors=(prior, prior),
        default="cross_entropy + dice",
    )
    known = Knowledge(
        tables=tuple(
            Recorded(package="atlas", table=name, target="", condition="clean")
            for name in ("nuclei", "nuclei", "handwriting")
        ),
        features=(),
        points=np.empty((3, 0)),
        lengths=np.empty(0),
        metrics={"mean_iou": records},
        widen=1.5,
    )
    y, s = even(gains[:, 0], records.errors[:, 0])
    alike = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1.0]])
    covariance = 0.7**2 + 0.4**2 * alike + np.diag(s**2 + 0.5**2)
    by = np.full(3, 0.7**2) @ np.linalg.inv(covariance)
    spread = (0.7**2 + 0.4**2 - by @ np.full(3, 0.7**2) + 0.5**2) ** 0.5
    mean, deviation = known.forecast("mean_iou", "dice", known.point({}))
    assert (mean, deviation) == (pytest.approx(by @ y), pytest.approx(1.5 * spread))


@pytest.mark.parametrize("task", [task for task, one in load().items() if not one.features])
def test_a_task_of_the_atlas_is_answered_without_data(task: str) -> None:
    known = load()[task]
    studied = {*TABLE_TASKS, *AUXILIARY, *(one.name for one in ARRAY_TASKS)}
    assert len({one.table for one in known.tables}) > 1
    for metric, records in known.metrics.items():
        found = lossmith.suggest(task=task, metric=metric)
        assert found.default == records.default not in {one.name for one in found.losses}
        assert {one.name for one in found.losses} == set(records.names)
        assert "None of your data were looked at" in " ".join(found.notes)
        assert all(one.likeness is None for one in found.alike)
        assert len(found.alike) > 1
        told = found.study.partition('task="')[2].partition('"')[0]
        assert told in studied, found.study


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"metric": "dice"}, "give a table and its target, or one of the tasks .*segmentation"),
        ({"metric": "auroc", "task": "binary"}, "give a table and its target"),
        ({"metric": "auroc", "task": "segmentation"}, "only under mean_iou"),
        ({"metric": "dice", "task": "segmentation", "target": "x"}, "give a table and the column"),
    ],
)
def test_what_the_atlas_does_not_tell_is_one_line(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        lossmith.suggest(**given)


def test_the_command_answers_of_a_task(capsys: pytest.CaptureFixture[str]) -> None:
    main(["suggest", "--task", "segmentation", "--metric", "dice"])
    shown = capsys.readouterr().out
    assert "segmentation, 1 − Dice of each loss against" in shown
    assert "Cells of the atlas" in shown
    assert "nuclei" in shown


def test_nothing_likely_is_said_so() -> None:
    found = lossmith.suggest(outliers(), target="target", metric="rmse")
    unsure = tuple(replace(one, probability=0.6) for one in found.losses)
    assert "Nothing is likely to beat mse here: keep it." in str(replace(found, losses=unsure))
    trifle = Prospect(name="mae", change=-0.001, low=-0.01, high=0.0, probability=0.95)
    assert not trifle.likely


def test_a_table_unlike_all_recorded_ones_is_said_so() -> None:
    draw = np.random.default_rng(0)
    wide = (
        pd.DataFrame(draw.normal(size=(300, 400))).add_prefix("x").assign(y=draw.normal(size=300))
    )
    found = lossmith.suggest(wide, target="y", metric="mae")
    assert "columns 400 (recorded:" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"metric": "pinball@0.5"}, "nothing is known of losses under pinball@0.5"),
        ({"metric": "quadratic_kappa", "task": "ordinal", "target": "grade"}, "ordinal tasks"),
        ({"metric": "ndcg@10"}, "ranking tasks"),
        ({"metric": "concordance"}, "survival tasks"),
        ({"metric": "mea"}, "did you mean"),
        ({"target": "targte"}, "did you mean 'target'"),
        ({"metric": "auroc"}, "regression|distinct|classes"),
        ({"target": ["target", "age"]}, "one target under one metric"),
    ],
)
def test_mistakes_are_one_line(given: dict[str, Any], told: str) -> None:
    frame = load_diabetes(as_frame=True).frame
    frame["grade"] = pd.qcut(frame["target"], 4, labels=False)
    with pytest.raises(InputError, match=told) as error:
        lossmith.suggest(frame, **{"target": "target", "metric": "mae", **given})
    assert "\n" not in str(error.value)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    outliers(200).to_csv("table.csv", index=False)
    return "table.csv"


def test_command_prints_losses_alike_tables_and_the_study(
    table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["suggest", table, "--target", "target", "--metric", "rmse"]) == 0
    told = capsys.readouterr().out
    for part in ("RMSE of each loss against mse", "huber(delta=0.5)", "% alike", "80 %"):
        assert part in told
    assert "lossmith select table.csv --target target --metric rmse" in told


def test_command_prints_json(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["suggest", table, "--target", "target", "--metric", "rmse", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["default"] == "mse"
    assert found["likely"][0] == found["losses"][0]["name"]
    assert found["study"].startswith("lossmith select table.csv")


@pytest.mark.parametrize(
    "more",
    [
        ("--target", "target", "--metric", "pinball@0.5"),
        ("--target", "nothing", "--metric", "mae"),
        ("--target", "target", "--metric", "mae", "--task", "ordinal"),
        ("--target", "target"),
    ],
)
def test_command_ends_with_2_and_one_line(
    table: str, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["suggest", table, *more]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("lossmith: ")


@pytest.fixture
def learning(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What learns the prior, of the benchmark."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    return importlib.import_module("suggest_fit")


def test_the_prior_is_learned_by_the_marginal_likelihood(learning: Any) -> None:
    draw = np.random.default_rng(0)
    points, gains, errors = draw.normal(size=(9, 2)), draw.normal(size=9), draw.uniform(0.1, 1, 9)
    measured = np.append(gains, np.nan)[:, None], np.append(errors, np.nan)[:, None]
    part = learning.Part.of(*measured)
    k = torch.from_numpy(likeness(*[np.vstack([points, points[:1]])] * 2, np.ones(2)))
    (prior,) = part.priors(told=True)
    kernel = ConstantKernel(prior.offset**2) + ConstantKernel(prior.told**2) * RBF(1.0)
    other = GaussianProcessRegressor(kernel, alpha=errors**2 + prior.own**2, optimizer=None)
    wanted = other.fit(points, gains - prior.mean).log_marginal_likelihood()
    found = -part.surprise(k, told=True).item() - 9 / 2 * np.log(2 * np.pi)
    assert found == pytest.approx(wanted)


def test_deviations_widen_until_intervals_hold_four_fifths(learning: Any) -> None:
    draw = np.random.default_rng(0)
    own, noise = np.full(20_000, 0.5), np.full(20_000, 0.3)
    off = np.abs(draw.normal(0, np.hypot(2 * own, noise)))
    assert learning._widening(off, own, noise) == pytest.approx(2, abs=0.05)
