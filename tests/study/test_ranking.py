"""Items of queries in a table: how they are read, what is refused, trained, scored, predicted."""

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import lossmith
from lossmith import MSE, ListNet
from lossmith.cli.main import main
from lossmith.study.base.errors import InputError
from lossmith.study.candidates import candidates_for
from lossmith.study.data.arrangement import Arrangement
from lossmith.study.data.problem import Problem, frame_problem
from lossmith.study.diagnose import diagnose
from lossmith.study.metrics import lookup
from lossmith.study.metrics.jackknife import jackknife
from lossmith.study.metrics.resolve import as_metric
from lossmith.study.metrics.units import of_units, unit_numbers
from lossmith.study.report.ranked import ranked
from lossmith.study.selection.storage import load
from lossmith.study.tasks.lists import NO_ITEM, ListedLoss, filled, list_batches, list_length
from lossmith.study.training.stacked import Rows

RNG = np.random.default_rng(0)
QUERY = RNG.permutation(np.repeat(np.arange(60), RNG.choice([3, 4, 6], 60)))
ROWS = len(QUERY)
X = RNG.normal(size=ROWS)
GRADE = np.clip(np.round(X + RNG.normal(size=ROWS)), 0, 2)
FRAME = pd.DataFrame(
    {"x": X, "z": RNG.normal(size=ROWS), "grade": GRADE, "query": [f"q{one}" for one in QUERY]}
)
TARGET = np.stack([GRADE, QUERY], axis=1)
LISTS = {
    *("listnet", "listmle", "lambda_loss", "ranknet", "margin_ranking", "approx_ndcg"),
    *("p_listmle", "warp", "smooth_ap", "mse"),
}


def problem(grades: object = GRADE, metric: str = "ndcg@10") -> Problem:
    frame, arrangement = Arrangement.of(FRAME.assign(grade=grades), ["grade"], "query", None)
    return frame_problem(frame, "grade", metric, "ranking", arrangement=arrangement)


def by_query(values: np.ndarray, nothing: float) -> np.ndarray:
    """Return values as lists, (queries, longest), by a plain loop."""
    found = np.full((60, 6), float(nothing))
    for query in range(60):
        own = values[query == QUERY]
        found[query, : len(own)] = own
    return found


@pytest.mark.parametrize("name", ["ndcg", "ndcg@3", "mrr", "map", "recall@2", "precision@2"])
def test_a_tables_metric_is_that_of_lists(name: str) -> None:
    score = RNG.normal(size=ROWS) + X
    metric = lookup(name)
    wanted = as_metric(name).score(by_query(GRADE, -1.0), by_query(score, 0.0))
    assert metric.score(TARGET, score) == pytest.approx(wanted)
    codes, index = unit_numbers(ROWS, QUERY)
    found = of_units(metric.influences(TARGET, score), index, len(codes))
    expected = jackknife(metric.score, TARGET, score, codes, index)
    lists = as_metric(name).influences(by_query(GRADE, -1.0), by_query(score, 0.0))
    assert found == pytest.approx(lists)
    assert np.corrcoef(found, expected)[0, 1] > 0.99


def test_a_metric_of_the_first_items_needs_to_know_how_many() -> None:
    with pytest.raises(InputError, match="needs a length"):
        lookup("recall")
    assert lookup("recall@3").name == "recall@3"
    assert lookup("mrr").constant_score(TARGET) < lookup("mrr").score(TARGET, GRADE)


def test_the_table_is_read_as_queries() -> None:
    found = problem()
    assert found.task == "ranking"
    assert np.array_equal(found.target[:, 0], GRADE)
    assert len(np.unique(found.target[:, 1])) == 60
    assert "query" not in found.features
    assert {"queries", "items of a query", "relevant items"} <= {
        one.name for one in diagnose(found)
    }
    field = candidates_for("ranking", lookup("ndcg@10"), found.target, None, None)
    assert {one.name for one in field.candidates} == LISTS
    assert (field.default, field.common) == ("lambda_loss", "listnet")


@pytest.mark.parametrize(
    ("grades", "message"),
    [
        (["good", *GRADE[1:].astype(str)], "holds 'good', which is no relevance"),
        (GRADE - 1, "holds -1; relevances are 0 or above"),
        (np.zeros(ROWS), "0 queries hold rows of different relevance; a study needs 20"),
    ],
)
def test_what_is_no_relevance_is_told_in_one_line(grades: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        problem(grades)
    assert "\n" not in str(caught.value)


GROUPS = ["--groups", "query"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metric", "ndcg@10"], "say which column tells the rows of one query"),
        (["--metric", "mae", "--task", "ranking"], "say which column tells the rows of one query"),
        (["--metric", "ndcg@10", "--groups", "none"], "say which column tells"),
        (["--metric", "mae", "--task", "ranking", *GROUPS], "metrics for ranking: ndcg"),
        (["--metric", "mrr", "--task", "binary", *GROUPS], "is for ranking, but --task says"),
        (["--metric", "mrr,mae", *GROUPS], "task ranking is for one target"),
        (["--metric", "recall", *GROUPS], "recall needs a length"),
        (
            ["--metric", "mrr", "--groups", "few"],
            "4 queries hold rows of different relevance; a study needs 20",
        ),
        (["--metric", "mrr", "--groups", "nobody"], "'nobody', which is not there"),
        (
            ["--metric", "mrr", "--candidates", "huber", *GROUPS],
            "cannot train a ranking task; these can: ",
        ),
    ],
)
def test_the_command_refuses_in_one_line(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "t.csv"
    FRAME.assign(few=np.arange(ROWS) % 4).to_csv(file, index=False)
    out = ["--out", str(tmp_path / "run")]
    target = "grade,x" if "," in options[1] else "grade"
    assert main(["select", str(file), "--target", target, *options, *out]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]
    assert len(said) == 1


def test_batches_are_whole_queries_filled_up() -> None:
    target = torch.from_numpy(TARGET)
    lists = filled(target, list_length(TARGET))
    assert lists.shape == (60, 6)
    held = lists[lists < ROWS]
    assert sorted(held.tolist()) == list(range(ROWS))
    seen = []
    for chosen in list_batches(lists, 40, torch.Generator().manual_seed(0)):
        for own in chosen.view(-1, 6):
            rows = own[own < ROWS]
            assert len(set(QUERY[rows])) == 1
            assert len(rows) == (QUERY[rows[0]] == QUERY).sum()
            seen += [QUERY[rows[0]]]
    assert len(seen) == len(set(seen)) > 50
    short = filled(target, 3)
    assert (short < ROWS).all()


def test_a_row_that_is_no_item_comes_last() -> None:
    features, target = torch.randn(ROWS, 2), torch.from_numpy(TARGET)
    rows = Rows([(features, target)] * 2, [features] * 2, [0, 1], 6)
    chosen = rows.batches(0, 24, torch.Generator())[0]
    assert (rows.target[0, chosen[chosen == ROWS], 0] == NO_ITEM).all()
    assert torch.equal(rows.target[0, :-1], target)


@pytest.mark.parametrize("inner", [ListNet(), MSE()])
def test_what_fills_up_a_list_has_no_part_in_the_loss(inner: lossmith.Loss) -> None:
    loss = ListedLoss(inner, 3)
    target = torch.tensor([[2.0, 0], [0.0, 0], [NO_ITEM, -1], [1.0, 1], [0.0, 1], [0.0, 1]])
    output = torch.randn(6, dtype=torch.float64)
    output.requires_grad_()
    value = loss(output, target)
    (slope,) = torch.autograd.grad(value, output)
    assert slope[2] == 0
    held = [0, 1, 3, 4, 5]
    if isinstance(inner, MSE):
        assert torch.allclose(value, inner(output[held], target[held, 0]))
    else:
        first = inner(output[None, :2], target[None, :2, 0])
        second = inner(output[None, 3:], target[None, 3:, 0])
        assert torch.allclose(value, (first + second) / 2)


def test_a_run_scores_the_items_of_new_queries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = lossmith.select(
        FRAME,
        target="grade",
        task="ranking",
        groups="query",
        metric="ndcg@3",
        candidates=["ranknet", "mse", "smooth_ap"],
        epochs=4,
        learning_rates=[0.01],
        out=tmp_path / "run",
    )
    predicted = selection.predict(FRAME)
    assert list(predicted) == ["prediction"]
    assert np.corrcoef(predicted["prediction"].rank(), X)[0, 1] > 0.5
    pd.testing.assert_frame_equal(load(tmp_path / "run").predict(FRAME), predicted)
    rows = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert list(rows) == ["row", "target", "query", "prediction"]
    assert rows["query"].nunique() == rows["row"].map(lambda row: QUERY[row]).nunique()
    result = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    assert (result["task"], result["metric"]) == ("ranking", "ndcg@3")
    again = lookup("ndcg@3").score(rows[["target", "query"]].to_numpy(), rows["prediction"])
    assert result["test"]["selected"] == pytest.approx(again, abs=1e-6)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    program = unescape(re.findall(r"<pre><code>(import.*?)</code>", page, flags=re.S)[0])
    monkeypatch.chdir(tmp_path / "run")
    exec(program, {})
    for words in ("Lists on the test rows", "Mean relevance", "best order"):
        assert words in page


def test_lists_of_a_report_are_in_the_order_of_scores() -> None:
    found = ranked(np.array([0.0, 2, 1, 1]), np.array([5, 5, 5, 9]), np.array([3.0, 3, 1, 0]))
    assert found[0].tolist() == [0, 2, 1]  # of equal scores the less relevant item first
    assert found[1, 0] == 1
    assert np.isnan(found[1, 1:]).all()
