"""Times to an event of a table: how they are read, what is refused, studied and predicted."""

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import lossmith
from lossmith import MTLR, Cox, LogNormalAFT
from lossmith.cli.main import main
from lossmith.study.base.errors import InputError
from lossmith.study.candidates import candidates_for
from lossmith.study.data.event import Event
from lossmith.study.data.problem import Problem, frame_problem
from lossmith.study.diagnose import diagnose
from lossmith.study.metrics import lookup
from lossmith.study.metrics.censored import horizons
from lossmith.study.report.censored import calibration
from lossmith.study.selection.storage import load
from lossmith.study.selection.tables import TableRequest, _problem
from lossmith.study.tasks import TABLE_TASKS, array_task
from lossmith.study.tasks.timed import TimedLoss
from lossmith.study.training.budget import Budget, TrialSpec
from lossmith.study.training.stacked import Rows, StackedBatch

RNG = np.random.default_rng(0)
ROWS = 200
RISK = RNG.normal(size=ROWS)
TIME = 300 * RNG.exponential(np.exp(-RISK))
CENSORED = 500 * RNG.exponential(size=ROWS)
DIED = (TIME <= CENSORED).astype(int)
FRAME = pd.DataFrame(
    {"x": RISK, "z": RNG.normal(size=ROWS), "time": np.minimum(TIME, CENSORED), "died": DIED}
)
ALL = {
    *("cox", "weibull_aft", "log_normal_aft", "logistic_hazard", "mtlr", "deep_hit"),
    *("pc_hazard", "bce_surv", "pmf"),
}


def problem(labels: object = DIED, positive: object = None, time: object = None) -> Problem:
    frame = FRAME.drop(columns="died")
    if time is not None:
        frame["time"] = time
    event = Event("column 'died'", pd.Series(labels))
    return frame_problem(frame, "time", "concordance", positive=positive, event=event)


@pytest.mark.parametrize(
    ("labels", "positive", "said"),
    [
        (DIED, None, "'1'"),
        (DIED.astype(float), None, "'1'"),
        (DIED == 1, None, "'True'"),
        (np.array(["no", "yes"])[DIED], None, "'yes'"),
        (np.array(["Alive", "Dead"])[DIED], None, "'Dead'"),
        (np.array(["0", "1"])[DIED], None, "'1'"),
        (DIED + 1, 2, "'2'"),
        (DIED + 1, "2", "'2'"),
        (np.array(["here", "gone"])[DIED], "gone", "'gone'"),
        (1 - DIED, "0", "'0'"),
        (np.where(DIED == 1, 2, np.arange(ROWS) % 2), 2, "'2'"),
        (
            np.where(DIED == 1, "dead", np.array(["alive", "lost"])[np.arange(ROWS) % 2]),
            "dead",
            "'dead'",
        ),
    ],
)
def test_events_are_told_by_their_name_or_said(labels: object, positive: object, said: str) -> None:
    found = problem(labels, positive)
    assert found.task == "survival"
    assert np.array_equal(found.target[:, 1], DIED)
    assert np.array_equal(found.target[:, 0], FRAME["time"])
    assert any(note.startswith(f"the event is {said} in column 'died'") for note in found.notes)
    names = {one.name for one in diagnose(found)}
    assert {"events", "median survival", "followed long enough"} <= names


def test_all_rows_may_have_the_event() -> None:
    assert problem(np.ones(ROWS, int)).target[:, 1].all()


@pytest.mark.parametrize(
    ("labels", "time", "message"),
    [
        (DIED + 1, None, "holds '1' and '2'.*can't be told.*--positive 1 or --positive 2"),
        (np.array(["here", "gone"])[DIED], None, "'here' and 'gone'|'gone' and 'here'"),
        (np.arange(ROWS) % 3, None, "holds '0', '1' and '2', and .* all others being censored: --"),
        (np.arange(ROWS) % 9, None, "'5' and 3 others; an event column holds few values"),
        (np.zeros(ROWS), None, "0 rows have the event; a study needs 20"),
        ((np.arange(ROWS) < 19).astype(int), None, "19 rows have the event; a study needs 20"),
        ((np.arange(ROWS) < 1).astype(int), None, "1 row has the event; a study needs 20"),
        (DIED, FRAME["time"] - FRAME["time"].min(), "'time' is 0 in 1 of 200 rows.*above 0"),
        (DIED, -FRAME["time"], "in 200 of 200 rows; times to an event are above 0"),
        (DIED, ["soon", *map(str, TIME[1:])], "holds 'soon', which is no time to an event"),
        (DIED, pd.date_range("2020", periods=ROWS), "holds '2020-01-01 00:00:00', which is no"),
        (DIED, TIME > 300, "which is no time to an event"),
        (DIED, np.ones(ROWS), "fewer than two different times"),
    ],
)
def test_what_is_no_time_or_event_is_told_in_one_line(
    labels: object, time: object, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        problem(labels, time=time)
    assert "\n" not in str(caught.value)


def test_times_may_be_text_and_rows_without_one_are_left_out() -> None:
    found = problem(time=[None, *map(str, FRAME["time"][1:])])
    assert found.dropped == 1
    assert np.allclose(found.target[:, 0], FRAME["time"][1:])
    assert np.array_equal(found.target[:, 1], DIED[1:])


COMMAND = ["--target", "time", "--event", "died"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "time", "--metric", "concordance"], "say which column tells"),
        (["--target", "time", "--metric", "mae", "--task", "survival"], "task survival is of"),
        ([*COMMAND, "--metric", "mae"], "metrics for survival: concordance, concordance_uno"),
        ([*COMMAND, "--metric", "concordance", "--task", "binary"], "--event is for times"),
        ([*COMMAND, "--metric", "concordance", "--positive", "2"], "--positive is '2', but"),
        ([*COMMAND, "--metric", "concordance_uno@soon"], "needs a time above 0"),
        ([*COMMAND, "--metric", "concordance_uno@1e-9"], "is of events before 1e-09, and 0 of"),
        (
            [*COMMAND, "--metric", "concordance", "--candidates", "mse"],
            "survival task; these can: bce_surv, ",
        ),
        (["--target", "time", "--event", "dead", "--metric", "concordance"], "is not there"),
        (["--target", "time", "--event", "time", "--metric", "concordance"], "is the target"),
        (["--target", "time", "--event", "gap", "--metric", "concordance"], "no value in 1 row"),
        (
            ["--target", "time,x", "--event", "died", "--metric", "concordance,mae"],
            "for one target",
        ),
        ([*COMMAND, "--metric", "concordance", "--order", "1,2"], "--order is for grades"),
    ],
)
def test_the_command_refuses_in_one_line(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "t.csv"
    FRAME.assign(gap=[None, *DIED[1:]]).to_csv(file, index=False)
    assert main(["select", str(file), *options, "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]
    assert len(said) == 1


@pytest.mark.parametrize(
    ("metric", "default"),
    [
        ("concordance", "cox"),
        ("concordance_uno@300", "cox"),
        ("integrated_brier", "logistic_hazard"),
    ],
)
def test_every_loss_of_times_takes_part(metric: str, default: str) -> None:
    found = candidates_for("survival", lookup(metric), problem().target, None, None)
    assert {one.name for one in found.candidates} == ALL
    assert (found.default, found.common) == (default, "cox")


def test_folds_share_out_events_evenly() -> None:
    request = TableRequest(
        data=FRAME, target="time", event="died", metric="concordance", learning_rates=(0.01,)
    )
    made, _ = _problem(request)
    split = made.split(0)
    event = made.target[:, 1]
    shares = [event[fold.valid].mean() for fold in split.folds]
    assert np.ptp(shares) < 0.05
    assert "died" not in made.features


def test_a_stack_trains_each_loss_as_it_trains_alone_and_reads_all_alike() -> None:
    target = torch.from_numpy(problem().target)
    features = torch.from_numpy(FRAME[["x", "z"]].to_numpy(np.float32, copy=True))
    folds = [(features[:150], target[:150]), (features[50:], target[50:])]
    field = candidates_for("survival", lookup("concordance"), target.numpy(), None, None)
    ends = horizons(*target.numpy().T)

    def trained(names: set[str]) -> dict[str, list[torch.Tensor]]:
        trials = [
            TrialSpec(
                candidate=one.name,
                learning_rate=0.01,
                losses=tuple(one.fit(own) for _, own in folds),
            )
            for one in field.candidates
            if one.name in names
        ]
        valid = [features[150:], features[:50]]
        stack = StackedBatch(Rows(folds, valid, [1, 2]), trials, Budget(epochs=4, batch=50))
        stack.advance(4)
        found = zip(stack.trials, stack.outputs(), strict=True)
        return {
            trial.candidate: [loss.decode(raw) for loss, raw in zip(trial.losses, own, strict=True)]
            for trial, own in found
        }

    together = trained(ALL)
    for name in ("cox", "deep_hit", "weibull_aft"):
        for mine, alone in zip(together[name], trained({name})[name], strict=True):
            assert torch.allclose(mine[:, 1:], alone[:, 1:], atol=1e-4)  # Cox's risks may shift
    for name, own in together.items():
        for part in own:
            assert part.shape == (50, 1 + len(ends)), name
            assert part.isfinite().all()
            assert ((part[:, 1:] >= 0) & (part[:, 1:] <= 1)).all()
            falls = (part[:, 1:].diff(dim=1) <= 1e-9).all()
            assert falls or name == "bce_surv"


def test_what_diverged_is_read_as_nothing() -> None:
    loss = TimedLoss(Cox(), (1.0, 2.0))
    loss.calibrate(torch.tensor([torch.nan, 0.0]), torch.tensor([[1.0, 1.0], [2.0, 0.0]]))
    assert loss.decode(torch.zeros(2)).isnan().all()


def test_risks_are_higher_where_events_are_sooner() -> None:
    low, high = torch.tensor([[-2.0, -2.0], [2.0, 2.0]]), torch.tensor([[3.0, 0.0], [0.0, 0.0]])
    for loss, output in ((MTLR(times=[1.0, 2.0]), low), (LogNormalAFT(), high)):
        first, second = TimedLoss(loss, (0.5, 1.5)).decode(output)[:, 0].tolist()
        assert first < second


@pytest.mark.parametrize("metric", ["concordance", "integrated_brier"])
def test_a_run_predicts_risks_and_survival(
    metric: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = lossmith.select(
        FRAME,
        target="time",
        event="died",
        metric=metric,
        candidates=["cox", "weibull_aft", "deep_hit", "bce_surv"],
        epochs=3,
        learning_rates=[0.01],
        out=tmp_path / "run",
    )
    predicted = selection.predict(FRAME)
    curves = [name for name in predicted if name.startswith("survival_")]
    assert list(predicted) == ["risk", *curves]
    assert len(curves) == 3
    assert np.corrcoef(predicted["risk"].rank(), RISK)[0, 1] > 0.5
    later = predicted[curves].to_numpy()
    assert (np.diff(later, axis=1) <= 1e-9).all()
    pd.testing.assert_frame_equal(load(tmp_path / "run").predict(FRAME), predicted)
    rows = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert list(rows) == ["row", "target", "event", *predicted]
    assert np.allclose(rows["target"], FRAME["time"][rows["row"]])
    result = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    assert result["task"] == "survival"
    assert result["verdict"] in ("switch", "keep")
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    program = unescape(re.findall(r"<pre><code>(import.*?)</code>", page, flags=re.S)[0])
    monkeypatch.chdir(tmp_path / "run")
    exec(program, {})
    for words in ("Survival on the test rows", "Kaplan and Meier", "high risk", "the event is"):
        assert words in page
    reader = lossmith.load(tmp_path / "run" / "loss.json")
    assert hasattr(reader, "survival")
    if isinstance(reader, Cox):
        assert reader.times is not None
        trained = np.setdiff1d(np.arange(ROWS), rows["row"])
        assert predicted["risk"][trained].mean() == pytest.approx(0, abs=1e-4)
        mean = predicted[curves[1]].mean()
        late = (FRAME["time"] > float(curves[1].removeprefix("survival_"))).mean()
        assert late < mean < late + 0.3  # those censored before may have lived on


def test_a_run_whose_files_do_not_fit_is_refused(tmp_path: Path) -> None:
    given = {"target": "time", "event": "died", "metric": "concordance", "candidates": ["pmf"]}
    lossmith.select(FRAME, **given, epochs=1, learning_rates=[0.01], out=tmp_path / "run")
    file = tmp_path / "run" / "model.json"
    facts = json.loads(file.read_text(encoding="utf-8"))
    for horizons_ in ([], [2.0, 1.0]):
        facts["targets"][0]["horizons"] = horizons_
        file.write_text(json.dumps(facts), encoding="utf-8")
        with pytest.raises(InputError, match=r"model\.json predicts at"):
            load(tmp_path / "run")


def test_calibration_is_kaplan_meier_of_rows_predicted_alike() -> None:
    time, event = np.arange(1.0, 51.0), np.ones(50)
    bins = calibration(time, event, np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], 10), 5.0)
    assert [one.predicted for one in bins] == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert [one.observed for one in bins] == pytest.approx([0.5, 1, 1, 1, 1])


def test_the_task_of_a_loop_of_ones_own_is_told_apart_from_that_of_a_table() -> None:
    from lossmith.study.metrics.resolve import as_metric

    assert "survival" in TABLE_TASKS
    with pytest.raises(InputError, match="needs a dict of time and event"):
        array_task(as_metric("concordance"), np.zeros(9), "survival")
    target = {"time": FRAME["time"].to_numpy(), "event": DIED}
    found = array_task(as_metric("concordance_uno"), target)
    assert found is not None
    assert found.default(as_metric("concordance_uno"), target).key == "cox"


def test_an_event_is_for_tables() -> None:
    with pytest.raises(InputError, match="event is for tables"):
        lossmith.select(
            model=lambda width: torch.nn.Linear(2, width),
            train=(torch.zeros(60, 2), torch.zeros(60)),
            metric="mae",
            event="died",
        )
