"""Ordered grades of a table: their order, how metrics decide them, and what is refused."""

import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import cohen_kappa_score

import lossmith
from lossmith.cli.main import main
from lossmith.cli.verbs import listed
from lossmith.study.base.errors import InputError
from lossmith.study.candidates import candidates_for
from lossmith.study.data.problem import Problem, frame_problem
from lossmith.study.metrics import lookup
from lossmith.study.metrics.resolve import as_metric
from lossmith.study.selection.storage import load
from lossmith.study.study import Study

RNG = np.random.default_rng(0)
NUMBER = RNG.integers(4, size=120)
WORDS = np.array(["poor", "fair", "good", "excellent"])


def table(grades: object) -> pd.DataFrame:
    return pd.DataFrame({"x": NUMBER + RNG.normal(size=120), "grade": grades})


def problem(grades: object, order: object = None, metric: str = "grade_mae") -> Problem:
    return frame_problem(table(grades), "grade", metric, order=order)


@pytest.mark.parametrize(
    ("grades", "order", "labels"),
    [
        (NUMBER + 3, None, "3 4 5 6"),
        ((NUMBER + 8).astype(str).astype(object), None, "8 9 10 11"),
        (WORDS[NUMBER], None, "poor fair good excellent"),
        (np.array(["High", "Low", "Very_High"])[NUMBER % 3], None, "Low High Very_High"),
        (
            np.array(["zeta", "beta", "eta", "alpha"])[NUMBER],
            ["zeta", "beta", "eta", "alpha"],
            None,
        ),
        (np.array(["A", "B", "C", "D"])[NUMBER], ["D", "C", "B", "A"], "D C B A"),
        (NUMBER, ["3", "2", "1", "0"], "3 2 1 0"),
        (
            pd.Categorical(np.array(list("dcba"))[NUMBER], categories=list("dcba"), ordered=True),
            None,
            "d c b a",
        ),
    ],
)
def test_grades_are_in_the_order_given_or_told(
    grades: object, order: object, labels: str | None
) -> None:
    found = problem(grades, order)
    wanted = labels.split() if labels else list(order)  # type: ignore[call-overload]
    assert found.task == "ordinal"
    assert list(found.classes) == wanted
    assert (
        found.labels[found.target].astype(str).tolist() == np.asarray(grades).astype(str).tolist()
    )
    assert f"the grades from low to high: {' < '.join(wanted)}" in found.notes


@pytest.mark.parametrize(
    "labels",
    [
        ["1. < HS", "2. HS", "3. College", "10. Degree"],
        ["18-24", "25-34", "35-64", "65+"],
        ["$500-1,000", "$1,000-5,000", "$5,000-20,000", "$20,000 or more"],
        ["stage 1", "stage 2", "stage 3", "stage 4b"],
    ],
)
def test_numbers_that_begin_grades_tell_their_order(labels: list[str]) -> None:
    assert list(problem(np.array(labels)[NUMBER]).classes) == labels
    named = np.array([*labels[:3], "other"])[NUMBER]
    with pytest.raises(InputError, match="can't be told"):
        problem(named)


def test_an_order_that_is_asked_for_can_be_pasted() -> None:
    labels = ["< 5 km", "far, far away", "here", "nowhere's end"]
    with pytest.raises(InputError, match="--order ") as caught:
        problem(np.array(labels)[NUMBER])
    (order,) = shlex.split(str(caught.value).rpartition("--order ")[2])
    assert sorted(listed(order)) == labels


@pytest.mark.parametrize(
    ("grades", "order", "message"),
    [
        (np.array(list("wxyz"))[NUMBER], None, "order of 'w', 'x', 'y', 'z'.*--order w,x,y,z"),
        (WORDS[NUMBER], ["poor", "fair", "good"], "it also holds 'excellent'"),
        (WORDS[NUMBER], ["poor", "fair", "good", "best"], "it holds no 'best'"),
        (WORDS[NUMBER], [*WORDS, "poor"], "it has each grade once"),
        (NUMBER % 2, None, "2 distinct values; grades are three at least"),
        (np.where(np.arange(120) < 2, 9, NUMBER), None, "class '9'.*has 2 rows"),
    ],
)
def test_a_wrong_order_is_told_in_one_line(grades: object, order: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        problem(grades, order)
    assert "\n" not in str(caught.value)


def test_an_order_is_for_grades() -> None:
    with pytest.raises(InputError, match="--order is for grades, but the task of 'grade' is multi"):
        problem(WORDS[NUMBER], list(WORDS), "accuracy")


def test_each_metric_decides_what_it_asks_for() -> None:
    split = np.array([[[0.45, 0.0, 0.1, 0.45]]])
    target = np.array([2])
    assert lookup("grade_mae").scores(target, split)[0] == 0  # the median
    assert lookup("within_one").scores(np.array([0]), split)[0] == 0
    skewed = np.array([[[0.6, 0.0, 0.0, 0.4]]])  # of mean 1.2
    assert lookup("grade_mae").scores(np.array([0]), skewed)[0] == 0
    assert lookup("quadratic_kappa").grades(skewed)[0, 0] == 1  # type: ignore[attr-defined]


def test_kappa_is_that_of_others() -> None:
    chosen = np.clip(NUMBER + RNG.integers(-1, 2, size=120), 0, 3)
    hard = np.eye(4)[chosen]
    wanted = cohen_kappa_score(NUMBER, chosen, weights="quadratic")
    assert lookup("quadratic_kappa").score(NUMBER, hard) == pytest.approx(wanted)
    assert as_metric("quadratic_kappa").score(NUMBER, chosen) == pytest.approx(wanted)
    spread = RNG.dirichlet(np.ones(4), size=120)
    mean = np.rint(spread @ np.arange(4)).astype(int)
    assert as_metric("quadratic_kappa").score(NUMBER, spread) == pytest.approx(
        cohen_kappa_score(NUMBER, mean, weights="quadratic")
    )
    assert lookup("quadratic_kappa").constant_score(NUMBER) == pytest.approx(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metric", "mae", "--task", "ordinal"], "metrics for ordinal: quadratic_kappa"),
        (["--metric", "grade_mae", "--order", "poor,good"], "--order must name each grade"),
        (["--metric", "grade_mae,mae", "--order", "a,b"], "--order is for one target"),
    ],
)
def test_the_command_refuses_in_one_line(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "t.csv"
    table(WORDS[NUMBER]).to_csv(file, index=False)
    target = "grade,x" if "," in options[1] else "grade"
    assert main(["select", str(file), "--target", target, *options]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]
    assert len(said) == 1


def test_a_run_predicts_the_grade_that_the_metric_asks_for(tmp_path: Path) -> None:
    frame = table(WORDS[NUMBER])
    selection = lossmith.select(
        frame,
        target="grade",
        metric="quadratic_kappa",
        candidates=["corn", "coral"],
        epochs=3,
        learning_rates=[0.01],
        out=tmp_path / "run",
    )
    predicted = selection.predict(frame)
    chances = predicted[[f"probability_{word}" for word in WORDS]].to_numpy()
    mean = np.rint(chances @ np.arange(4) / chances.sum(axis=1)).astype(int)
    assert predicted["prediction"].tolist() == WORDS[mean].tolist()
    pd.testing.assert_frame_equal(load(tmp_path / "run").predict(frame), predicted)
    assert "ordinal" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_under_kappa_the_loss_to_beat_is_kappas_own() -> None:
    """In tables and loops alike; cross-entropy is what people start with, and shown."""
    found = candidates_for("ordinal", lookup("quadratic_kappa"), NUMBER, 4, ["corn"])
    assert (found.default, found.common) == ("weighted_kappa", "cross_entropy")
    assert {one.name for one in found.candidates} >= {"weighted_kappa", "cross_entropy", "corn"}
    study = Study(None, metric="quadratic_kappa", target=NUMBER, epochs=1)
    assert (study.design.default, study.design.common) == ("weighted_kappa", "cross_entropy")
    assert "its value" in study.verdict().result.source
    for metric in ("grade_mae", "within_one"):
        assert Study(None, metric=metric, target=NUMBER, epochs=1).design.default == "cross_entropy"


def test_true_probabilities_are_not_what_kappa_asks_for() -> None:
    """Of a weak feature the rounded means are all one grade; kappa's loss tells rows apart."""
    draw = torch.Generator().manual_seed(0)
    feature = torch.randint(5, (4000,), generator=draw)
    tilted = torch.tensor([[0.30, 0.40, 0.30]]) + 0.03 * torch.arange(-2, 3)[
        :, None
    ] * torch.tensor([-1.0, 0.0, 1.0])
    grade = torch.multinomial(tilted[feature], 1, generator=draw).squeeze(1)
    kappa = {}
    for key in ("cross_entropy", "weighted_kappa"):
        loss = lossmith.get(key, classes=3)
        logits = torch.zeros(5, 3, requires_grad=True)
        optimizer = torch.optim.Adam([logits], lr=0.1)
        for _ in range(200):
            optimizer.zero_grad()
            loss(logits[feature], grade).backward()
            optimizer.step()
        chances = loss.decode(logits.detach()[feature]).numpy()
        kappa[key] = as_metric("quadratic_kappa").score(grade.numpy(), chances)
    assert kappa["cross_entropy"] == pytest.approx(0, abs=0.01)
    assert kappa["weighted_kappa"] > 0.05
