"""The atlas: honest gains are honest, faults are what they say, the page is what was measured."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lossmith import Cox, NegativeCosine, NTXent, Quantile, VICReg, WeibullAFT
from lossmith.study.metrics.resolve import as_metric
from lossmith.study.metrics.survival import IntegratedBrier
from lossmith.study.tasks import ARRAY_TASKS
from lossmith.study.training.heads import HeadReader

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench/results/atlas.jsonl"
MODULES = tuple(path.stem for path in (ROOT / "bench").glob("atlas*.py"))


@pytest.fixture(autouse=True)
def bench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)


def losses_alike(studies: int, losses: int = 20) -> np.ndarray:
    """Errors of halves, losses and repeats that differ by luck alone: of rows and of trainings."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(studies, 2, losses, 1))
    trainings = random.normal(size=(studies, 1, losses, 5))
    return 10 + 0.3 * (rows + trainings + random.normal(size=(studies, 2, losses, 5)))


def test_no_gain_is_found_where_losses_are_alike() -> None:
    from atlas_gain import honest_gain

    errors = losses_alike(200)
    gains = [honest_gain(*one, 0, by_ratio=False)[0] for one in errors]
    promised = [(one.mean((0, 2))[0] - one.mean((0, 2)).min()) for one in errors]
    assert abs(np.mean(gains)) < 3 * np.std(gains) / len(gains) ** 0.5
    assert np.mean(promised) > 0.3  # what the best score would have promised


def test_a_loss_that_is_better_is_found_with_its_gain() -> None:
    from atlas_gain import honest_gain

    errors = losses_alike(50)
    errors[:, :, 7] -= 3
    found = [honest_gain(*one, 0, by_ratio=False) for one in errors]
    assert np.mean([gain for gain, _ in found]) == pytest.approx(3, abs=0.2)
    assert all(picked[7] == 1 for _, picked in found)


def test_the_luck_of_half_the_rows_earns_nothing_on_the_other() -> None:
    from atlas_gain import honest_gain

    first, second = np.ones((3, 5)), np.ones((3, 5))
    first[1], second[2] = 0.5, 0.5  # each is good on one half only
    first[2], second[1] = 1.5, 1.5
    gain, picked = honest_gain(first, second, 0, by_ratio=False)
    assert gain == -0.5
    assert picked.tolist() == [0, 0.5, 0.5]


def test_ratios_are_shares_of_the_defaults_error() -> None:
    from atlas_gain import honest_gain

    errors = np.array([[1.0, 100.0, 3.0, 5.0, 7.0]]) * np.array([[1.0], [0.75]])
    assert honest_gain(errors, errors, 0, by_ratio=True)[0] == pytest.approx(0.25)


def test_faults_hit_as_many_as_they_say() -> None:
    import atlas_faults as faults

    random = np.random.default_rng(0)
    codes = random.integers(0, 5, 4000)
    kept, noisy = faults.wrong_classes(codes, random, 0.4)
    assert np.mean(codes[kept] != noisy) == pytest.approx(0.4, abs=0.03)
    kept, tail = faults.long_tail(codes, random, 0.02)
    assert (tail == codes[kept]).all()
    assert np.bincount(tail)[-1] / np.bincount(codes)[-1] == pytest.approx(0.02, abs=0.01)
    target = {"time": random.random(4000).astype("f"), "event": np.ones(4000, "f")}
    kept, cut = faults.censored(target, random, 0.5)
    assert cut["event"].mean() == pytest.approx(0.5, abs=0.03)
    assert (cut["time"][cut["event"] == 0] <= target["time"][cut["event"] == 0]).all()
    chosen = np.eye(6, dtype=int)[random.integers(0, 6, 1000)]
    _, moved = faults.wrong_choices(chosen, random, 0.3)
    assert (moved.sum(axis=1) == 1).all()
    assert np.mean((moved != chosen).any(axis=1)) == pytest.approx(0.3, abs=0.05)
    kept, more = faults.tenfold(codes, random, 0.05)
    assert np.mean(more == 10 * codes) == pytest.approx(0.05 + 0.95 * np.mean(codes == 0), abs=0.02)
    boxes = np.tile(np.array([[0.2, 0.3, 0.6, 0.4]], "f"), (4000, 1))
    _, moved = faults.loose(boxes, random, 0.2)
    assert (moved[:, :2] < moved[:, 2:]).all()
    assert (moved - boxes).std(axis=0) == pytest.approx([0.08, 0.02, 0.08, 0.02], rel=0.1)
    masks = random.integers(0, 3, (10, 16, 16))
    assert faults.ragged(masks, random)[1].shape == masks.shape


def test_the_rows_of_a_test_are_clean_and_never_trained_on() -> None:
    from atlas_data import DATA_SETS

    for data in (one for one in DATA_SETS if one.name in ("digits", "leaves", "calls")):
        loaded = data.load()
        for condition in data.conditions:
            train, inner, test = data.repeat(loaded, condition, 1)
            assert not set(train.rows) & set(test.rows)
            assert not set(inner.rows) & set(test.rows)
            np.testing.assert_array_equal(test.target, loaded.target[test.rows])
            if loaded.by == "classes":
                assert not set(loaded.target[train.rows]) & set(loaded.target[test.rows])


def test_models_side_by_side_train_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import atlas_loops as loops
    from atlas_models import Stack

    monkeypatch.setitem(loops.OTHER_STEPS, "self_supervised", 8)
    inputs = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    loop = loops.loop_of("self_supervised", None, inputs, np.arange(64) % 4, 0)

    def features(*losses: torch.nn.Module) -> list[torch.Tensor]:
        models, found = Stack(loop.model(None), len(losses)), []
        for _ in loops.trained(loop, models, losses, 0.01):
            found = loops.answers(models, inputs)
        return found

    losses = NTXent(), VICReg(), NegativeCosine()
    side_by_side = features(*losses)
    for one, loss in zip(side_by_side, losses, strict=True):
        torch.testing.assert_close(one, features(loss)[0], rtol=0, atol=0.01)
    assert (side_by_side[0] - side_by_side[1]).abs().max() > 0.1


def test_cox_is_read_as_curves_by_the_hazard_of_its_training_rows() -> None:
    import atlas_loops as loops
    from atlas_models import Stack

    random = np.random.default_rng(0)
    time = random.integers(1, 30, 200).astype("f")
    event = (random.random(200) < 0.6).astype("f")
    task = next(one for one in ARRAY_TASKS if one.name == "survival")
    loop = loops.loop_of("survival", task, torch.ones(200, 3), {"time": time, "event": event}, 0)
    models = Stack(loop.model(Cox()), 1)
    with torch.no_grad():
        for weight in models.parameters():
            weight.zero_()  # no row is at more risk than another: Nelson and Aalen's hazard
    steps = [(t, ((time == t) & (event == 1)).sum() / (time >= t).sum()) for t in np.unique(time)]
    loss = loop.reader(Cox(), models)
    for end in loss.times.tolist():
        expected = np.exp(-sum(share for t, share in steps if t <= end))
        assert loss.survival(torch.zeros(1), torch.tensor([end])).item() == pytest.approx(expected)
    aft = WeibullAFT()
    assert loop.reader(aft, models) is aft


def test_horizons_are_of_the_whole_set_and_censoring_is_of_the_rows_scored() -> None:
    from atlas import study_metric
    from lossmith.study.metrics.censored import horizons

    random = np.random.default_rng(0)
    target = {"time": random.random(100) + 0.1, "event": (random.random(100) < 0.5) * 1.0}
    metric = study_metric("integrated_brier", False, target)
    assert metric.horizons == horizons(*target.values())
    few = {name: one[:40] for name, one in target.items()}
    curves = random.random((40, len(metric.horizons)))
    own = IntegratedBrier(metric.horizons).fitted(few)
    assert metric.score(few, curves) == own.score(few, curves)
    assert metric.score(few, curves) != metric.fitted(target).score(few, curves)


def test_mase_is_told_how_far_a_naive_forecast_is_off_in_each_rows_past() -> None:
    from atlas_data import DATA_SETS
    from atlas_parts import Part, asked

    for data in (one for one in DATA_SETS if one.task == "forecasting"):
        past = np.random.default_rng(0).random((3, 48)).astype("f")
        part = Part(past, np.zeros((3, 2), "f"), np.arange(3))
        found = asked(data, as_metric("mase"), part)
        for row, scale in zip(past, found["scale"], strict=True):
            off = [abs(row[t] - row[t - data.season]) for t in range(data.season, 48)]
            assert scale == pytest.approx(np.mean(off))
        assert found["value"] is part.target is asked(data, as_metric("mae"), part)


def test_heads_are_read_at_the_levels_that_a_metric_asks_for() -> None:
    from atlas_training import _arrays

    loss = Quantile(level=(0.1, 0.5, 0.9))
    output = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    for name, levels in (("interval@0.8", (0.1, 0.9)), ("mae", (0.5,))):
        how = HeadReader.of(as_metric(name), np.zeros(5))
        (found,) = _arrays(loss, [output], how)
        expected = np.stack([loss.quantile(output, level).numpy() for level in levels], 1)
        np.testing.assert_array_equal(found, expected.squeeze())


def test_every_comparison_planned_is_measured_and_judges_what_is_to_be_beaten() -> None:
    from atlas_data import DATA_SETS

    lines = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    found = [tuple(one[key] for key in ("task", "data", "condition", "metric")) for one in lines]
    planned = {
        (data.task, data.name, condition, metric)
        for data in DATA_SETS
        for condition in data.conditions
        for metric in data.metrics
    }
    assert set(found) == planned
    assert len(found) == len(planned)
    assert all({one["default"], one["common"], one["best"]} <= set(one["scores"]) for one in lines)


def test_every_task_has_two_sets_clean_and_with_a_fault() -> None:
    from atlas import ARRAYS
    from atlas_data import DATA_SETS
    from lossmith.study.tasks import AUXILIARY, TABLE_TASKS

    for task in {*TABLE_TASKS, *ARRAYS, *AUXILIARY}:
        own = [data for data in DATA_SETS if data.task == task]
        assert len(own) >= 2
        assert all(len(data.conditions) >= 2 for data in own)


def test_the_page_is_what_was_measured() -> None:
    from atlas_page import Row, page

    rows = [Row(json.loads(line)) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    text = (ROOT / "docs/atlas.md").read_text(encoding="utf-8")
    assert text == page(rows), "run `python bench/atlas.py table`"
