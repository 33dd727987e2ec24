"""`judge`: is a loss better than the default, by scores that somebody already has."""

from collections.abc import Mapping
from math import ceil
from typing import Any

import pandas as pd

from lossmith.study.base.direction import Better
from lossmith.study.base.errors import InputError
from lossmith.study.base.result import CandidateResult, Comparison, Cost, Finding, Result
from lossmith.study.data.table import plain_frame
from lossmith.study.rules.decision import equivalents, measured, ordered
from lossmith.study.rules.paired_test import LEVEL, holm
from lossmith.study.trials.optuna_trials import direction, is_optuna, scores_of
from lossmith.study.trials.scores import Scores, read_scores, shared_note, tidy
from lossmith.study.trials.verdict import ONE_SPLIT, Verdict, least, sentence


def judge(
    data: Any,
    *,
    default: str,
    better: Better | None = None,
    metric: str = "score",
    train_share: float | None = None,
    tried: int | None = None,
    loss: str = "loss",
    fold: str = "fold",
    seed: str = "seed",
    name: str = "scores",
    command: str = "",
) -> Verdict:
    """Return whether a loss is better than the default, by scores of trainings already done.

    It is the test of a `Study`: losses are paired by fold, seed and row, their differences tested
    by clusters of rows (or groups) and of trainings, and p-values corrected for all losses tried.
    A loss that lacks some of the default's trainings is shown, and never selected.

    Args:
        data: a table with columns loss, fold and score, and where there are: seed (of a training),
            row (then score is that row's, and a fold's score is their mean), group (of rows that
            belong together). Or an Optuna study: `loss` and `fold` are parameters or user
            attributes of its trials, and each loss stands at the best of its other parameters.
        default: the loss to beat.
        better: "lower" or "higher"; an Optuna study says it by itself.
        metric: what the scores are, for the report.
        train_share: of the rows that trained, for scores without rows: all other folds, if None.
        tried: losses tried beside the default, where the data leaves some out.
        loss: what this column, or an Optuna study's parameter, is called.
        fold: the same of folds; it may be an Optuna user attribute that lists one score a fold.
        seed: the same of seeds.
        name: of the report.
        command: that is told in the report.

    Returns:
        a `Verdict`: print it, or `write` its report.

    Raises:
        InputError: with one line that says what is wrong with the data.

    >>> scores = {"loss": ["ce"] * 6 + ["dice"] * 6, "fold": [0, 1, 2, 3, 4, 5] * 2}
    >>> base, gain = [0.61, 0.58, 0.66, 0.60, 0.63, 0.59], [0.05, 0.04, 0.05, 0.06, 0.05, 0.04]
    >>> scores["score"] = base + [score + more for score, more in zip(base, gain)]
    >>> print(judge(scores, default="ce", better="higher", metric="mean_iou").sentence)
    Switch from ce to dice: mean IoU 0.6117 → 0.6600 (corrected p = 6.4e-05).
    """
    settings: dict[str, dict[str, Any]] = {}
    notes: tuple[Finding, ...] = ()
    if not isinstance(data, pd.DataFrame) and is_optuna(data):
        better = better or direction(data)
        frame, settings, notes = scores_of(data, loss, fold, seed)
    else:
        frame = _frame(data).rename(columns={loss: "loss", fold: "fold", seed: "seed"})
    if better not in ("lower", "higher"):
        raise InputError(f"say which scores are better: 'lower' or 'higher', got {better!r}")
    scores = read_scores(tidy(frame), default, better, train_share)
    comparison = _comparison(scores, tried)
    corrected, selected = _selected(scores, default, comparison)
    candidates = ordered(_rows(scores, default, selected, corrected, better, settings), better)
    result = Result(
        task="scores",
        metric=metric,
        better=better,
        target=name,
        rows={"total": scores.units} if scores.unit == "row" else {},
        diagnosis=(*_notes(scores, train_share), *notes),
        default=default,
        common="",
        selected=selected,
        verdict="switch" if selected != default else "keep",
        sentence=sentence(metric, default, selected, candidates, comparison),
        equivalents=equivalents(scores.errors, selected),
        candidates=candidates,
        test={},
        cost=Cost(seconds=0.0, default_seconds=0.0, ratio=0.0, trainings=0),
        seed=0,
        interrupted=False,
        versions={},
        command=command,
        comparison=comparison,
    )
    return Verdict(result=result, curves=(), finished=True)


def _comparison(scores: Scores, tried: int | None) -> Comparison:
    rivals = len(scores.errors) + len(scores.partial) - 1
    if tried is not None and tried < rivals:
        raise InputError(f"tried must be at least {rivals}, the losses beside the default")
    return Comparison(
        trainings=scores.trainings,
        splits=scores.splits,
        seeds=ceil(scores.trainings / scores.splits),
        planned=scores.trainings,
        unit=scores.unit,
        units=scores.units,
        looks=0,
        rivals=tried or rivals,
        paired=True,
    )


def _selected(scores: Scores, default: str, comparison: Comparison) -> tuple[dict[str, float], str]:
    """Return the corrected p-values, and the best of those that are proven, or the default."""
    base = scores.errors[default]
    others = {name: one for name, one in scores.errors.items() if name != default}
    doubts = {name: one.p_value(base) for name, one in others.items()}
    corrected = holm(doubts, comparisons=comparison.rivals)
    enough = comparison.trainings >= least(comparison)
    proven = [name for name, p_value in corrected.items() if p_value < LEVEL and enough]
    return corrected, min(
        proven, key=lambda name: others[name].difference(base).mean, default=default
    )


def _frame(data: Any) -> pd.DataFrame:
    """Return a table, columns by name or records as one."""
    records = isinstance(data, list) and data and all(isinstance(one, Mapping) for one in data)
    if not isinstance(data, Mapping) and not records:
        return plain_frame(data)
    try:
        return pd.DataFrame(data)
    except ValueError as error:
        raise InputError(f"the scores are no table: {error}") from error


def _rows(
    scores: Scores,
    default: str,
    selected: str,
    corrected: Mapping[str, float],
    better: Better,
    settings: Mapping[str, dict[str, Any]],
) -> list[CandidateResult]:
    base = scores.errors[default]
    status = {default: "default"} | ({selected: "selected"} if selected != default else {})
    rows = [
        measured(name, one, base, better, status.get(name, "finished"), corrected.get(name))  # type: ignore[arg-type]
        for name, one in scores.errors.items()
    ]
    for name, (mean, beside, folds) in scores.partial.items():
        rows.append(
            CandidateResult(
                name=name,
                parameters={},
                status="unfinished",
                score=mean if folds else None,
                folds=folds,
                note=shared_note(folds, scores.trainings),
                default_score=beside if folds else None,
            )
        )
    return [_with(row, settings.get(row.name, {})) for row in rows]


def _with(row: CandidateResult, parameters: dict[str, Any]) -> CandidateResult:
    row.parameters.update(parameters)
    return row


def _notes(scores: Scores, train_share: float | None) -> tuple[Finding, ...]:
    """Return what the user should know of scores at hand."""
    found = []
    if scores.unit == "score":
        assumed = scores.splits > 1 and train_share is None
        found.append(
            Finding(
                name="evidence",
                value="bare scores",
                meaning="one number is known of each training, so these are all the evidence; "
                "one score a row (column row) says more"
                + ("; folds are taken to train on all other folds" if assumed else ""),
            )
        )
    if scores.splits == 1:
        found.append(ONE_SPLIT)
    if scores.recurring:
        found.append(
            Finding(
                name="rows",
                value="recurring",
                meaning="folds share rows: rows of one name count as the same row",
            )
        )
    if scores.left_out:
        found.append(
            Finding(
                name="default",
                value=f"lacks {scores.left_out}",
                meaning="trainings of other losses that the default has no score for are left out",
            )
        )
    return tuple(found)
