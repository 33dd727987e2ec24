"""Several targets of one table: one measure of them all, tuned weights, learned weights, a run."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import lossmith
from lossmith.losses import MAE, MSE, BinaryCrossEntropy, CrossEntropy
from lossmith.study import fleet as fleet_module
from lossmith.study.candidates import Candidate, Field
from lossmith.study.conclude import Selection
from lossmith.study.errors import InputError
from lossmith.study.fleet import WEIGHT_DECAY, Rows, StackedFleet
from lossmith.study.folder import load
from lossmith.study.joint.candidates import JointCandidate, combinations, grid
from lossmith.study.joint.heads import Heads
from lossmith.study.joint.problem import diagnosed, joint_problem
from lossmith.study.joint.scores import JointMetric, JointScorer
from lossmith.study.joint.study import _fields, term_names
from lossmith.study.members import Budget, Key, Member
from lossmith.study.metrics import lookup
from lossmith.study.result import Weights
from lossmith.study.scores import Scorer
from lossmith.study.select import select
from lossmith.study.table import read_table

N = 240


def houses(rows: int = N) -> pd.DataFrame:
    """Return a table whose price, sale and grade hang together, with gaps."""
    rng = np.random.default_rng(0)
    area, age = rng.gamma(4, 30, rows), rng.uniform(0, 90, rows)
    price = 1000 * area * np.exp(-age / 100) * np.exp(0.1 * rng.normal(size=rows))
    fast = np.where(price / area + 80 * rng.normal(size=rows) > 600, "yes", "no")
    frame = pd.DataFrame(
        {
            "area": area,
            "age": age,
            "heating": rng.choice(["gas", "oil", "wood"], rows),
            "price": price,
            "sold.fast": fast,
            "grade": np.digitize(area, [90, 140]),
        }
    )
    frame.loc[3, "price"] = np.nan
    frame.loc[5, "sold.fast"] = ""
    return frame


# ---- the measure


class Cells:
    """Two cells of one repeat over given targets."""

    def __init__(self, *targets: np.ndarray) -> None:
        self.targets = targets

    def valid_target(self, cell: int) -> np.ndarray:
        return self.targets[cell]

    def siblings(self, cell: int, cells: Any) -> list[int]:
        return [other for other in cells if other != cell]


def scored(seed: int, gross: bool = False) -> tuple[JointScorer, Any, list[np.ndarray], Any]:
    rng = np.random.default_rng(seed)
    y = [rng.normal(size=60) for _ in range(2)]
    if gross:
        y[0][:6] += 100
        y[1][:6] += 100
    c = [rng.permutation(np.arange(60) % 2) for _ in range(2)]
    metrics = lookup("rmse"), lookup("auroc")
    scorers = [Scorer(m, Cells(*t), True) for m, t in zip(metrics, (y, c), strict=True)]
    units = JointMetric.of(metrics, [np.concatenate(y), np.concatenate(c)])
    joint = JointScorer(units, scorers)
    track = joint.track(Key("a", 0.1))
    p = [rng.uniform(size=60) for _ in range(2)]
    predictions = {
        cell: (0.5 * y[cell][None] * (y[cell] < 50), np.stack([1 - p[cell], p[cell]], -1)[None])
        for cell in (0, 1)
    }
    joint.record([track], predictions, epoch=1)
    return joint, track, y, predictions


def test_the_measure_is_the_geometric_mean_of_errors_over_those_of_constants() -> None:
    joint, track, _, _ = scored(0)
    rmse, auroc = (part.scores[0][1] for part in track.parts)
    constant = joint.metric.units
    expected = np.sqrt(rmse / constant[0] * (1 - auroc) / constant[1])
    assert track.scores[0][1] == pytest.approx(expected)
    assert constant[1] == pytest.approx(0.5)


def test_a_change_of_one_per_cent_is_one_in_the_mean_over_targets_whatever_the_units() -> None:
    joint, *_ = scored(0)
    before = joint.metric.combine([2.0, 0.8], 100)
    after = joint.metric.combine([2.0 * 0.98, 1 - 0.2 * 1.01], 100)
    assert np.log(after / before) == pytest.approx((np.log(0.98) + np.log(1.01)) / 2)


def test_units_are_those_of_the_best_constant() -> None:
    rng = np.random.default_rng(0)
    target = rng.gamma(2, 3, 200)
    zeros = np.where(target > 6, target, 0.0)
    metrics = [lookup("mape"), lookup("medae")]
    found = JointMetric.of(metrics, [target, zeros])
    constants = np.linspace(target.min(), target.max(), 2000)
    best = min(np.abs((target - constant) / target).mean() for constant in constants)
    assert found.units == (pytest.approx(best, rel=1e-2), 1.0)
    assert np.isfinite(found.combine([0.3, 0.2], 200))


def test_influences_are_those_of_the_joint_score() -> None:
    """A row's influence is how the score moves with the row's weight, by finite differences."""
    joint, track, y, predictions = scored(1)
    regression = joint.scorers[0].metric
    influence, base = track.influences[0][1], track.scores[0][1]
    assert influence.sum() == pytest.approx(0, abs=1e-4)
    row, copies = 7, 60
    target = np.concatenate([np.tile(y[0], copies), y[0][[row]]])
    codes = np.concatenate([np.tile(joint.scorers[1].cells.valid_target(0), copies)])
    codes = np.concatenate([codes, codes[[row]]])
    tiled = [np.concatenate([np.tile(p[0], (copies, 1) if p.ndim > 2 else copies), p[0][[row]]])
             for p in predictions[0]]  # fmt: skip
    scores = [regression.score(target, tiled[0]), lookup("auroc").score(codes, tiled[1])]
    moved = joint.metric.combine(scores, len(target))
    assert (moved - base) * len(target) == pytest.approx(influence[row], rel=0.05, abs=0.01)


def test_rows_with_gross_errors_count_for_the_other_target_alone() -> None:
    joint, track, y, _ = scored(2, gross=True)
    before = track.scores[0][1]
    joint.find_gross([0, 1])
    assert joint.contaminated
    assert joint.rows(0, 0).sum() == 54
    assert joint.rows(1, 0).all()
    assert track.scores[0][1] < before
    assert len(track.influences[0][1]) == len(y[0])
    assert track.influences[0][1].mean() == pytest.approx(0, abs=1e-6)


# ---- candidates and their weights


def candidate(weighting: str = "tuned weights", **more: Any) -> JointCandidate:
    return JointCandidate(
        targets=("price", "fast"),
        losses=(
            Candidate(key="mae", function="identity"),
            Candidate(key="binary_cross_entropy", classes=2),
        ),
        whole=(False, True),
        weighting=weighting,
        **more,
    )


def matrix(rows: int = 40) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    price = torch.randn(rows, generator=generator).double() * 1e5 + 2e5
    return torch.stack([price, (torch.arange(rows) % 2).double()], dim=1)


def test_shares_are_those_of_the_gradient_before_any_training() -> None:
    target = matrix()
    for shares in grid(2):
        heads = candidate(shares=shares).fit(target)
        output = torch.zeros(len(target), heads.out_features, requires_grad=True)
        (gradient,) = torch.autograd.grad(heads(output, target), output)
        sizes = gradient.square().mean(0).sqrt()
        assert (sizes / sizes.sum()).tolist() == pytest.approx(shares, rel=1e-5)


def test_every_target_is_raised_over_the_others_alike() -> None:
    assert all(sum(shares) == pytest.approx(1) for shares in grid(3))
    assert len(set(grid(3))) == len(grid(3))
    for place in range(3):
        own = sorted(shares[place] for shares in grid(3))
        assert own == sorted(shares[0] for shares in grid(3))


def test_combinations_swap_one_target_at_a_time_and_all_together() -> None:
    fields = [
        Field(
            candidates=tuple(Candidate(key=key, function="identity") for key in keys),
            default=keys[0],
            naive=keys[0],
        )
        for keys in (("mse", "mae", "huber", "gaussian_nll"), ("mae", "mse", "cauchy"))
    ]
    best = [["huber", "gaussian_nll", "mae"], ["cauchy"]]
    found = combinations(["a", "b"], [False, False], fields, best)
    tuned = [one.name for one in found.candidates if one.weighting == "tuned weights"]  # type: ignore
    assert found.default == tuned[0] == "mse + mae"
    assert set(tuned[1:]) == {
        "huber + mae",
        "gaussian_nll + mae",
        "mse + cauchy",
        "huber + cauchy",
        "gaussian_nll + cauchy",
    }
    adaptive = [one.name for one in found.candidates if "uncertainty" in one.name]
    assert "huber + cauchy, by uncertainty" in adaptive
    assert not any("gaussian_nll" in name for name in adaptive)  # its density can exceed 1


def test_names_of_terms_are_those_a_hybrid_takes() -> None:
    columns = ["a.b", "a b", "2nd", "items", "weighting", "class", "self", "type", "training"]
    names = term_names([*columns, "shares"])
    assert len(set(names)) == 10
    lossmith.Hybrid(**{name: MSE() for name in names})
    losses = (Candidate(key="mse"),) * 10
    one = JointCandidate(
        targets=tuple(names), losses=losses, whole=(False,) * 10, shares=(0.1,) * 10
    )
    assert all(one.parameters[name]["loss"] == "mse" for name in names)


# ---- heads in a fleet


def heads(*, learned: bool) -> Heads:
    weighting = lossmith.Uncertainty() if learned else lossmith.Fixed({"a": 0.3})
    hybrid = lossmith.Hybrid(a=MAE(), b=CrossEntropy(classes=3), weighting=weighting)
    return Heads(hybrid, (False, True))


def test_heads_are_the_hybrid_on_named_parts() -> None:
    torch.manual_seed(0)
    loss, output = heads(learned=False), torch.randn(7, 4)
    target = torch.stack([torch.randn(7).double(), (torch.arange(7) % 3).double()], 1)
    named = loss.hybrid(
        {"a": output[:, 0], "b": output[:, 1:]}, {"a": target[:, 0], "b": target[:, 1].long()}
    )
    torch.testing.assert_close(loss(output, target), named)
    predicted = loss.predict(output)
    assert [part.shape for part in predicted] == [(7,), (7, 3)]
    np.testing.assert_allclose(predicted[1], output[:, 1:].softmax(-1), rtol=1e-6)


ROWS, BATCH, EPOCHS, SEEDS = 21, 8, 4, (3, 11)


def joint_rows() -> Rows:
    generator = torch.Generator().manual_seed(0)
    codes = (torch.arange(ROWS) % 3).double()
    train = [
        (
            torch.randn(ROWS, 5, generator=generator),
            torch.stack([torch.randn(ROWS, generator=generator).double(), codes], dim=1),
        )
        for _ in SEEDS
    ]
    return Rows(train, [torch.randn(6, 5, generator=generator) for _ in SEEDS], SEEDS)


def members(*names: str) -> list[Member]:
    losses = {"learned": heads(learned=True), "fixed": heads(learned=False)}
    return [
        Member(
            candidate=name,
            learning_rate=0.01,
            losses=tuple(copy.deepcopy(losses[name]) for _ in SEEDS),
        )
        for name in names
    ]


def log_variances(one: Member) -> Tensor:
    return torch.stack([loss.hybrid.weighting.log_variance.detach() for loss in one.losses])  # type: ignore


def test_learned_weights_in_a_fleet_are_those_of_the_ordinary_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fleet_module, "dropout_masks", lambda *_: None)
    data, (one,) = joint_rows(), members("learned")
    start = StackedFleet(data, members("learned"), Budget(epochs=EPOCHS, batch=BATCH))
    body = start.stacks[0].model
    fleet = StackedFleet(data, [one], Budget(epochs=EPOCHS, batch=BATCH))
    fleet.advance(EPOCHS)
    for cell in range(len(SEEDS)):
        loss, layers = heads(learned=True), []
        for weight, bias in (
            (body.w1[cell, :, 0], body.b1[cell, 0, 0]),
            (body.w2[cell, 0], body.b2[cell, 0, 0]),
            (body.heads[0][cell, 0], body.biases[0][cell, 0, 0]),
        ):
            linear = nn.Linear(*weight.shape)
            linear.weight.data = weight.detach().T.clone()
            linear.bias.data = bias.detach().clone()
            layers += [linear, nn.SiLU()]
        model = nn.Sequential(*layers[:-1])
        groups = lossmith.parameter_groups(model, loss, weight_decay=WEIGHT_DECAY)
        optimizer, order = torch.optim.AdamW(groups, lr=0.01), torch.Generator()
        order.manual_seed(SEEDS[cell])
        for _ in range(EPOCHS):
            shuffled = torch.randperm(ROWS, generator=order)
            for index in shuffled[: ROWS // BATCH * BATCH].split(BATCH):
                optimizer.zero_grad()
                loss(model(data.features[cell, index]), data.target[cell, index]).backward()
                optimizer.step()
        expected = loss.hybrid.weighting.log_variance.detach()  # type: ignore[union-attr]
        torch.testing.assert_close(log_variances(one)[cell], expected, rtol=1e-4, atol=1e-6)


def test_members_that_leave_change_nothing_for_those_that_learn() -> None:
    data, budget = joint_rows(), Budget(epochs=EPOCHS, batch=BATCH)
    with_others, alone = members("fixed", "learned"), members("learned")
    fleet = StackedFleet(data, with_others, budget)
    fleet.advance(2)
    fleet.keep([[m.candidate for m in fleet.members].index("learned")])
    fleet.advance(2)
    other = StackedFleet(data, alone, budget)
    other.advance(4)
    torch.testing.assert_close(log_variances(with_others[1]), log_variances(alone[0]))
    assert log_variances(alone[0]).abs().min() > 0
    for kept, single in zip(fleet.outputs()[0], other.outputs()[0], strict=True):
        torch.testing.assert_close(kept, single)


# ---- the problem


def test_rows_are_those_that_have_every_target() -> None:
    frame = houses()
    found = joint_problem(frame, ["price", "sold.fast"], ["mae", "auroc"], [None] * 2, [None] * 2)
    assert found.dropped == 2
    assert found.target.shape == (N - 2, 2)
    assert "sold.fast" not in found.features
    assert "grade" in found.features
    findings = diagnosed(found)
    names = [[one.name for one in own] for own in findings]
    assert "rows" in names[0]
    assert "rows" not in names[1]


def test_texts_read_as_missing_classes_are_named(tmp_path: Path) -> None:
    frame = houses()
    frame["sold.fast"] = np.where(np.arange(N) % 3 == 0, "NA", frame["sold.fast"].astype(str))
    frame.to_csv(tmp_path / "t.csv", index=False)
    table = read_table(tmp_path / "t.csv")
    found = joint_problem(table, ["price", "sold.fast"], ["mae", "auroc"], [None] * 2, [None] * 2)
    assert "(read as missing: 'NA'; rename the class if it is one)" in found.problems[0].notes[-1]


def test_what_all_targets_share_is_noted_once() -> None:
    frame = houses().assign(empty=np.nan)
    found = joint_problem(frame, ["price", "sold.fast"], ["mae", "auroc"], [None] * 2, [None] * 2)
    first, second = (one.notes for one in found.problems)
    assert first[-1] == "2 rows without a value of every target were left out"
    assert sum("empty" in note for note in (*first, *second)) == 1
    assert any("positive class" in note for note in second)


def test_candidates_asked_for_race_for_the_targets_that_they_can_train() -> None:
    frame = houses().assign(change=lambda t: t["area"] - 120, rooms=lambda t: t["age"] // 9)
    measures = lookup("mae"), lookup("pinball@0.9")
    problem = joint_problem(
        frame, ["change", "rooms"], ["mae", "pinball@0.9"], [None] * 2, [None] * 2
    )
    split = problem.split(0)
    found = _fields(problem, measures, split, ["poisson", "quantile", "huber"])
    keys = [{one.key for one in field.candidates if isinstance(one, Candidate)} for field in found]
    assert "huber" in keys[0] & keys[1]
    assert {"poisson", "quantile"} <= keys[1] - keys[0]
    with pytest.raises(InputError, match="no candidate is called"):
        _fields(problem, measures, split, ["huber(delta=77)"])


def test_rare_combinations_of_classes_fall_back_to_the_rarest_class() -> None:
    frame = houses()
    both = joint_problem(frame, ["grade", "sold.fast"], ["accuracy"] * 2, [None] * 2, [None] * 2)
    strata = both.strata()
    assert strata is not None
    assert np.bincount(strata).min() >= 5


@pytest.mark.parametrize(
    ("target", "metric", "more", "told"),
    [
        (["price", "sold.fast"], ["mae"], {}, "2 targets but 1 of metric"),
        (["price", "price"], ["mae", "rmse"], {}, "'price' is named twice"),
        (["price", "sold_fast"], ["mae", "auroc"], {}, "did you mean 'sold.fast'"),
        (["price", "sold.fast"], ["mae", "rmse"], {}, "not a number"),
        ("price", ["mae", "auroc"], {}, "a list of metrics is for several columns"),
        ([], [], {}, "a list of metrics is for several columns"),
        (["price"], ["mae"], {}, "needs two or more"),
        (["price"], ["mae", "auroc"], {}, "1 targets but 2 of metric"),
        (["price", "sold.fast"], "mae", {}, "several targets need as many metrics"),
        (["price", "grade"], ["mae", "f1"], {}, "target 'grade': metric f1"),
        (["price", "sold.fast"], ["mae", "auroc"], {"positive": {"sold": 1}}, "mean 'sold.fast'"),
        (["price", "grade"], ["mae", "accuracy"], {"task": {"age": "binary"}}, "no target"),
        (["price", "sold.fast"], ["mae", "auroc"], {"positive": "no"}, "say which positive"),
        (["price", "grade"], ["mae", "accuracy"], {"candidates": ["nll"]}, "no loss is called"),
        (["price", "age"], ["mae", "mae"], {"candidates": ["focal"]}, "none of the targets"),
    ],
)
def test_mistakes_are_told_in_one_line(
    target: Any, metric: Any, more: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        select(houses(), target=target, metric=metric, epochs=1, **more)


# ---- the whole study


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Selection, Path]:
    out = tmp_path_factory.mktemp("joint") / "run"
    found = select(
        houses(),
        target=["price", "sold.fast", "grade"],
        metric=["mae", "f1", "accuracy"],
        task={"grade": "multiclass"},
        positive={"sold.fast": "yes"},
        candidates=["huber", "gaussian_nll", "brier", "focal"],
        epochs=5,
        learning_rates=(3e-3, 1e-2),
        out=out,
    )
    return found, out


def test_each_target_has_its_own_paired_interval(studied: tuple[Selection, Path]) -> None:
    found, _ = studied
    result = found.result
    assert [one.name for one in result.targets] == ["price", "sold.fast", "grade"]
    assert [one.metric for one in result.targets] == ["mae", "f1", "accuracy"]
    default = next(row for row in result.candidates if row.name == result.default)
    assert default.parameters["shares"]
    for row in result.candidates:
        if row.status in ("finished", "selected"):
            for one in result.targets:
                part = row.by_target[one.name]
                own, base = part["score"], default.by_target[one.name]["score"]
                assert part["difference_to_default"] == pytest.approx(own - base)
                low, high = part["difference_low"], part["difference_high"]
                assert low <= part["difference_to_default"] <= high


def test_every_loss_at_every_weighting_is_corrected_for(studied: tuple[Selection, Path]) -> None:
    found, _ = studied
    measures = [lookup(name) for name in ("mae", "f1", "accuracy")]
    keys = ["huber", "gaussian_nll", "brier", "focal"]
    fields = _fields(found.problem, measures, found.race.trainer.split, keys)  # type: ignore
    assert found.race.screened == 3 * sum(len(field.candidates) - 1 for field in fields)


def test_a_switch_is_better_in_the_mean_and_beyond_doubt(studied: tuple[Selection, Path]) -> None:
    result = studied[0].result
    rows = {row.name: row for row in result.candidates}
    if result.verdict == "switch":
        chosen = rows[result.selected]
        assert chosen.p_value is not None
        assert chosen.p_value < 0.05
        assert chosen.difference_to_default is not None
        assert chosen.difference_to_default < 0
    else:
        assert result.selected == result.default


def test_predictions_of_a_saved_run_are_those_of_the_study(
    studied: tuple[Selection, Path],
) -> None:
    found, out = studied
    new = houses().drop(columns=["price", "sold.fast", "grade"])
    expected, loaded = found.predict(new), load(out).predict(new)
    pd.testing.assert_frame_equal(expected, loaded)
    assert {"prediction_price", "prediction_sold.fast", "probability_grade_1"} <= set(expected)
    saved = pd.read_csv(out / "predictions.csv")
    assert list(saved)[:4] == ["row", "target_price", "target_sold.fast", "target_grade"]
    assert set(saved["prediction_sold.fast"]) <= {"yes", "no"}
    error = (saved["target_price"] - saved["prediction_price"]).abs().mean()
    assert error == pytest.approx(found.result.targets[0].test["selected"], rel=1e-5)


def test_the_loss_handed_over_is_a_hybrid_for_ones_own_loop(
    studied: tuple[Selection, Path],
) -> None:
    found, out = studied
    loss = lossmith.load(out / "loss.json")
    assert isinstance(loss, lossmith.Hybrid)
    assert list(loss.losses) == ["price", "sold_fast", "grade"]
    output = {
        name: torch.zeros(2, one.out_features).squeeze(-1) for name, one in loss.losses.items()
    }  # type: ignore
    target = {"price": torch.ones(2), "sold_fast": torch.ones(2), "grade": torch.tensor([0, 1])}
    torch.testing.assert_close(loss(output, target), found.loss(output, target))


def test_the_report_draws_the_trade_off_and_its_code_runs(
    studied: tuple[Selection, Path], tmp_path: Path
) -> None:
    from lossmith.study.report.joint import snippet

    found, out = studied
    page = (out / "report.html").read_text()
    assert "Trade-off" in page
    assert "sold.fast" in page
    assert len(found.evidence.weights) == len(grid(3))
    program = snippet(found.result)
    (tmp_path / "loss.json").write_bytes((out / "loss.json").read_bytes())
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    document = json.loads((out / "result.json").read_text())
    assert [one["name"] for one in document["targets"]] == ["price", "sold.fast", "grade"]


def test_a_figure_of_two_targets_draws_the_weights_of_these_two() -> None:
    from lossmith.study.report.tradeoff import _between

    weights = [Weights(shares=shares, changes=(0.0,) * 3) for shares in grid(3)]
    drawn = [one.shares for one in _between(weights, 2)]
    assert len(drawn) == 7
    assert all(shares[1] == min(shares) for shares in drawn)
    assert [shares[0] for shares in drawn] == sorted(shares[0] for shares in drawn)
    pairs = [Weights(shares=shares, changes=(0.0,) * 2) for shares in grid(2)]
    assert len(_between(pairs, 1)) == len(pairs)


def test_a_study_stopped_at_once_says_so() -> None:
    def stop(_: float, text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(InputError, match="stopped before any"):
        select(houses(), target=["price", "grade"], metric=["mae", "accuracy"], progress=stop)


def test_every_budget_leaves_time_for_combinations() -> None:
    found = select(
        houses(),
        target=["price", "grade"],
        metric=["mae", "accuracy"],
        candidates=["huber", "focal"],
        budget=1e-6,
    )
    assert found.result.interrupted
    assert found.verdict == "keep"
    assert all(row.cells for row in found.result.candidates)


@pytest.fixture(scope="module")
def with_gross_errors() -> tuple[Selection, list[Any]]:
    """Return a study of a target with gross errors, and what it said before training."""
    frame, shown = houses(), []
    frame.loc[::12, "price"] = 1e9
    found = select(
        frame,
        target=["price", "sold.fast"],
        metric=["rmse", "auroc"],
        candidates=["huber"],
        epochs=6,
        learning_rates=(1e-2,),
        on_diagnosis=lambda one, findings: shown.extend((*findings, *one.notes)),
    )
    return found, shown


def test_only_what_was_not_known_before_training_follows_the_first_findings(
    with_gross_errors: tuple[Selection, list[Any]],
) -> None:
    found, shown = with_gross_errors
    (gross,) = found.result.diagnosis[len(shown) :]
    assert gross.name == "price: gross errors in the target"


def test_rows_left_out_are_left_out_of_every_epoch_and_of_the_unit(
    with_gross_errors: tuple[Selection, list[Any]],
) -> None:
    race = with_gross_errors[0].race
    assert race.cells == list(range(10))
    for track in race.final_tracks().values():
        for cell, scores in track.scores.items():
            rows = len(race.trainer.valid_target(cell))
            for epoch, score in scores.items():
                parts = [part.scores[cell][epoch] for part in track.parts]  # type: ignore
                assert score == race.metric.combine(parts, rows)
    assert race.metric.units[0] < 1e6


def test_a_study_stopped_late_keeps_what_is_finished() -> None:
    def stop(_: float, text: str) -> None:
        if text.startswith("measuring"):
            raise KeyboardInterrupt

    found = select(
        houses(),
        target=["price", "grade"],
        metric=["mae", "accuracy"],
        candidates=["huber", "brier"],
        epochs=4,
        progress=stop,
    )
    assert found.result.interrupted
    assert found.verdict == "keep"


def test_losses_that_learn_are_not_shared_between_settings() -> None:
    assert BinaryCrossEntropy().moves is False
    one = candidate("uncertainty").fit(matrix())
    assert any(True for _ in one.parameters())
    assert candidate("uncertainty").variants == (candidate("uncertainty"),)
