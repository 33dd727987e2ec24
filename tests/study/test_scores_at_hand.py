"""`judge`: the verdict on scores that somebody already has."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lossmith
from lossmith.study.base.errors import InputError
from lossmith.study.rules.paired_test import estimate

GAINS = {"ce": 0.0, "dice": 0.03, "focal": 0.0}


def scores(
    gains: dict[str, float] = GAINS,
    rows: int = 300,
    folds: int = 5,
    seeds: int = 1,
    group: int = 1,
    seed: int = 0,
) -> pd.DataFrame:
    """One score a row: what a row and its group have in common, luck of trainings, noise."""
    draw = np.random.default_rng(seed)
    level = np.repeat(draw.normal(size=rows // group), group)
    likes = {name: 0.05 * np.repeat(draw.normal(size=rows // group), group) for name in gains}
    fold = np.arange(rows) // group % folds
    parts = [
        pd.DataFrame(
            {
                "loss": name,
                "fold": number,
                "seed": time,
                "row": (own := np.flatnonzero(fold == number)),
                "group": own // group,
                "score": 0.5
                + 0.1 * level[own]
                + likes[name][own]
                + gain
                + draw.normal(0, 0.005)
                + draw.normal(0, 0.03, len(own)),
            }
        )
        for time in range(seeds)
        for number in range(folds)
        for name, gain in gains.items()
    ]
    return pd.concat(parts, ignore_index=True)


def bare(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.groupby(["loss", "fold", "seed"], as_index=False)["score"].mean()


def row_of(verdict: Any, name: str) -> Any:
    return next(row for row in verdict.candidates if row.name == name)


def test_it_is_the_paired_test_by_row_and_training() -> None:
    frame = scores(seeds=2).drop(columns="group")
    verdict = lossmith.judge(frame, default="ce", better="higher", metric="dice")
    wide = frame.pivot(index=["fold", "seed", "row"], columns="loss", values="score")
    trainings = [part for _, part in (wide["ce"] - wide["dice"]).groupby(level=["fold", "seed"])]
    rows = [one.index.get_level_values(2) for one in trainings]
    known = estimate([one.to_numpy() for one in trainings], rows)
    found = row_of(verdict, "dice")
    assert found.difference_to_default == pytest.approx(-known.mean)
    assert found.difference_low == pytest.approx(-known.high)
    assert found.difference_high == pytest.approx(-known.low)
    assert found.p_value == pytest.approx(2 * known.p_value)  # Holm, of two
    assert (verdict.selected, verdict.verdict) == ("dice", "switch")
    assert row_of(verdict, "ce").score == pytest.approx(
        wide["ce"].groupby(level=[0, 1]).mean().mean()
    )


@pytest.mark.parametrize("group", [1, 5])
def test_its_interval_is_a_bootstraps(group: int) -> None:
    frame = scores(rows=600, folds=30, group=group, seed=3)
    verdict = lossmith.judge(frame, default="ce", better="higher")
    found = row_of(verdict, "dice")
    wide = frame.pivot(index=["fold", "group", "row"], columns="loss", values="score")
    difference = (wide["dice"] - wide["ce"]).groupby(level="fold").mean().to_numpy()
    draw = np.random.default_rng(0)
    means = difference[draw.integers(0, 30, (4000, 30))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    width = high - low
    assert found.difference_low == pytest.approx(low, abs=0.15 * width)
    assert found.difference_high == pytest.approx(high, abs=0.15 * width)


def test_groups_are_the_units() -> None:
    frame = scores(rows=600, group=20, folds=1, seeds=5)
    lone = lossmith.judge(frame.drop(columns="group"), default="ce", better="higher")
    grouped = lossmith.judge(frame, default="ce", better="higher")
    widths = [
        row_of(v, "focal").difference_high - row_of(v, "focal").difference_low
        for v in (lone, grouped)
    ]
    assert widths[1] > 1.2 * widths[0]
    assert grouped.result.comparison.unit == "group"
    assert grouped.result.comparison.units == 30


def test_equal_losses_are_seldom_told_apart() -> None:
    names = dict.fromkeys(["a", "b", "c", "d"], 0.0)
    switches = sum(
        lossmith.judge(scores(names, seed=seed), default="a", better="lower").verdict == "switch"
        for seed in range(100)
    )
    assert switches <= 10  # of 5 expected at most


def test_bare_scores_allow_for_folds_that_are_alike() -> None:
    frame = bare(scores())
    plain = lossmith.judge(frame, default="ce", better="higher")
    wide = frame.pivot(index="fold", columns="loss", values="score")
    difference = (wide["dice"] - wide["ce"]).to_numpy()
    known = estimate([np.array([-d]) for d in difference], [np.arange(1)] * 5, overlap=1 / 4)
    assert row_of(plain, "dice").p_value == pytest.approx(2 * known.p_value)
    half = lossmith.judge(frame, default="ce", better="higher", train_share=0.5)
    assert row_of(half, "dice").p_value > row_of(plain, "dice").p_value
    assert "all the evidence" in plain.result.diagnosis[0].meaning


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (bare(scores(folds=4)), "4 trainings of each can't prove"),
        (scores(folds=1), "one training can't prove"),
        (scores(folds=2), "give at least 3 folds or seeds"),
    ],
)
def test_few_trainings_prove_nothing(frame: pd.DataFrame, told: str) -> None:
    verdict = lossmith.judge(frame, default="ce", better="higher")
    assert verdict.selected == "ce"
    assert told in verdict.sentence


def test_one_split_under_several_seeds_is_told() -> None:
    frame = scores(folds=1, seeds=5).drop(columns="fold")
    verdict = lossmith.judge(frame, default="ce", better="higher")
    assert verdict.selected == "dice"
    assert any("same rows" in finding.meaning for finding in verdict.result.diagnosis)


def test_a_loss_that_lacks_trainings_is_shown_and_never_selected() -> None:
    frame = scores()
    frame = frame[(frame["loss"] != "dice") | (frame["fold"] < 3)]
    verdict = lossmith.judge(frame, default="ce", better="higher")
    found = row_of(verdict, "dice")
    assert verdict.selected == "ce"
    assert (found.status, found.folds, found.p_value) == ("unfinished", 3, None)
    own = frame[(frame["loss"] == "ce") & (frame["fold"] < 3)]
    assert found.default_score == pytest.approx(own.groupby("fold")["score"].mean().mean())
    assert "not measured in full" in str(verdict)


def test_trainings_without_the_default_are_left_out_and_told() -> None:
    frame = scores()
    frame = frame[(frame["loss"] != "ce") | (frame["fold"] < 4)]
    verdict = lossmith.judge(frame, default="ce", better="higher")
    assert row_of(verdict, "dice").folds == 4
    assert [one.value for one in verdict.result.diagnosis] == ["lacks 1"]


def test_losses_that_were_tried_and_left_out_count() -> None:
    few, many = (
        lossmith.judge(scores(), default="ce", better="higher", tried=tried) for tried in (2, 40)
    )
    assert row_of(many, "dice").p_value == pytest.approx(20 * row_of(few, "dice").p_value)


def without(column: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.drop(columns=column)


def with_score(value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(
        score=frame["score"].astype(object).where(frame.index != 7, value)
    )


@pytest.mark.parametrize(
    ("change", "arguments", "told"),
    [
        (without("score"), {}, "no column 'score'"),
        (lambda f: f.rename(columns={"loss": "Loss"}), {}, "no column 'loss'; did you mean 'Loss'"),
        (lambda f: f.drop(columns=["fold", "seed"]), {}, "no column 'fold'"),
        (without("row"), {}, "a column group is of rows"),
        (with_score(np.nan), {}, "score is missing in row 8"),
        (with_score(np.inf), {}, "must be a finite number, got inf in row 8"),
        (with_score("bad"), {}, "must be a finite number, got 'bad' in row 8"),
        (lambda f: f.assign(fold=f["fold"].where(f.index != 2)), {}, "fold is missing in row 3"),
        (lambda f: pd.concat([f, f.head(1)]), {}, "two scores for row 0 of fold 0"),
        (lambda f: f.drop(columns=["row", "group"]), {}, "two scores for fold 0; tell rows apart"),
        (lambda f: f.drop(index=3), {}, "ce lacks 1 and has 0 more|lacks 0 and has 1 more"),
        (lambda f: f[f["loss"] == "ce"], {}, "scores of ce alone"),
        (lambda f: f.head(0), {}, "no scores"),
        (
            lambda f: f.assign(group=np.arange(len(f)) % 7),
            {},
            "is in two groups",
        ),
        (
            None,
            {"default": "dyce"},
            "'dyce' has no scores; there are .*dice.*; did you mean 'dice'",
        ),
        (None, {"better": "up"}, "'lower' or 'higher', got 'up'"),
        (None, {"train_share": 0.8}, "without a column row"),
        (lambda f: bare(f), {"train_share": 80}, "between 0 and 1"),
        (None, {"tried": 1}, "at least 2"),
        (lambda f: f.assign(name=f["loss"]), {"loss": "name"}, "two columns .* 'loss'"),
        (lambda f: {"loss": ["a"], "score": [1, 2]}, {}, "no table"),
        (lambda f: 3, {}, "must be a pandas"),
    ],
)
def test_mistakes_are_one_clear_line(
    change: Callable[[pd.DataFrame], Any] | None, arguments: dict[str, Any], told: str
) -> None:
    data = scores() if change is None else change(scores())
    with pytest.raises(InputError, match=told) as caught:
        lossmith.judge(data, **{"default": "ce", "better": "higher"} | arguments)
    assert "\n" not in str(caught.value)


# ---- Optuna


def trial(number: int, params: dict, value: float, state: str = "COMPLETE", **attrs: Any) -> Any:
    return SimpleNamespace(
        number=number,
        params=params,
        value=value,
        state=SimpleNamespace(name=state),
        user_attrs=attrs,
    )


def optuna_study(trials: list[Any]) -> Any:
    return SimpleNamespace(trials=trials, directions=[SimpleNamespace(name="MAXIMIZE")])


def test_an_optuna_study_with_a_fold_each_trial() -> None:
    table = bare(scores())
    trials = [
        trial(n, {"loss": row.loss, "lr": rate, "fold": row.fold}, row.score - (rate > 0.01))
        for rate in (0.01, 0.1)
        for n, row in enumerate(table.itertuples())
    ]
    trials.append(trial(99, {"loss": "ce", "lr": 0.01, "fold": 0}, np.nan, state="FAIL"))
    verdict = lossmith.judge(optuna_study(trials), default="ce")
    known = lossmith.judge(table, default="ce", better="higher")
    assert row_of(verdict, "dice").p_value == row_of(known, "dice").p_value
    assert row_of(verdict, "dice").parameters == {"lr": 0.01}
    (told,) = (one for one in verdict.result.diagnosis if one.name == "settings")
    assert (told.value, told.level) == ("ce 2, dice 2, focal 2", "info")


def test_an_optuna_study_whose_trials_list_the_scores_of_folds() -> None:
    table = bare(scores())
    trials = [
        trial(n, {"criterion": name}, own["score"].mean(), scores=own["score"].tolist())
        for n, (name, own) in enumerate(table.groupby("loss"))
    ]
    verdict = lossmith.judge(
        optuna_study(trials), default="ce", loss="criterion", fold="scores", metric="dice"
    )
    known = lossmith.judge(table, default="ce", better="higher")
    assert row_of(verdict, "dice").p_value == row_of(known, "dice").p_value


@pytest.mark.parametrize(
    ("trials", "told"),
    [
        ([], "no complete trial"),
        ([trial(4, {"criterion": "ce"}, 0.5)], "trial 4 .* 'loss'"),
        ([trial(4, {"loss": "ce"}, 0.5)], "trial 4 .* 'fold'"),
        (
            [trial(n, {"loss": "ce", "fold": n, "lr": 0.1 * n}, 0.5) for n in range(3)],
            "no setting of lr was tried on more than one fold",
        ),
    ],
)
def test_an_optuna_study_that_does_not_say(trials: list[Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        lossmith.judge(optuna_study(trials), default="ce")


def test_more_settings_of_one_loss_are_warned_of() -> None:
    trials = [
        trial(n, {"loss": name, "fold": n, "lr": rate}, 0.5 + 0.01 * n)
        for name, rates in (("ce", [0.1]), ("dice", [0.1, 0.2]))
        for rate in rates
        for n in range(5)
    ]
    verdict = lossmith.judge(optuna_study(trials), default="ce")
    assert "luckier" in verdict.warnings[0]
