"""Scores that somebody already has, checked and read as a study's own are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from lossmith.study.base.direction import Better, as_error
from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import listed, pluralize
from lossmith.study.data.table import nearest
from lossmith.study.metrics.units import rows_measure
from lossmith.study.rules.compare import FoldErrors

REQUIRED, OPTIONAL = ("loss", "score"), ("fold", "seed", "row", "group")


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The errors of losses that have all of the default's trainings, and how far others came.

    partial: of the others, the trainings that they share with the default: their mean score, the
    default's there, and how many they are.
    """

    errors: Mapping[str, FoldErrors]
    partial: Mapping[str, tuple[float, float, int]]
    trainings: int
    splits: int
    unit: Literal["row", "group", "score"]
    units: int
    left_out: int  # trainings without the default
    recurring: bool  # rows, in several folds under one seed


def tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """Return checked scores with the columns loss, training, fold, unit, row and score.

    Args:
        frame: with the columns loss, fold or seed or both, score, and perhaps row and group.

    Raises:
        InputError: for missing columns and entries, scores that are no finite numbers, two scores
            of one row of a training, or a row in two groups.
    """
    _check_columns(frame)
    for name in (*REQUIRED, *OPTIONAL):
        if name in frame and frame[name].isna().any():
            place = int(np.flatnonzero(frame[name].isna())[0])
            hint = "; leave a training that diverged out" if name == "score" else ""
            raise InputError(f"{name} is missing in row {place + 1} of the scores{hint}")
    scores = pd.to_numeric(frame["score"], errors="coerce").to_numpy(float)
    if not np.isfinite(scores).all():
        place = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise InputError(
            f"score must be a finite number, got {frame['score'].iloc[place]!r} in row "
            f"{place + 1} of the scores; leave a training that diverged out"
        )
    found = pd.DataFrame({"loss": frame["loss"].astype(str), "score": scores})
    for name in ("fold", "seed"):
        found[name] = frame[name].to_numpy() if name in frame else 0
    found["training"] = found.groupby(["fold", "seed"], sort=True).ngroup()
    has_rows = "row" in frame
    found["row"] = pd.factorize(frame["row"], sort=False)[0] if has_rows else found["training"]
    found["unit"] = pd.factorize(frame["group"])[0] if "group" in frame else found["row"]
    _check_once(found, frame, has_rows)
    return found


def read_scores(
    found: pd.DataFrame, default: str, better: Better, train_share: float | None
) -> Scores:
    """Return what tidy scores say of each loss, held against the default.

    Raises:
        InputError: if the default has no scores, there is nothing to hold against it, or a loss
            was scored on other rows of a fold.
    """
    parts = {str(name): _by_training(table) for name, table in found.groupby("loss", sort=False)}
    _check_losses(parts, default)
    base = parts.pop(default)
    for name, own in parts.items():
        _check_same_rows(name, own, default, base)
    bare = all(part["unit"].nunique() == 1 for part in base.values())
    kept = found[found["training"].isin(base)]
    splits = kept["fold"].nunique()
    overlap = _overlap(bare, splits, train_share)
    whole = {name: own for name, own in parts.items() if base.keys() <= own.keys()}
    return Scores(
        errors={
            name: _errors([own[one] for one in base], bare, better, overlap)
            for name, own in {default: base, **whole}.items()
        },
        partial={name: _shared(own, base) for name, own in parts.items() if name not in whole},
        trainings=len(base),
        splits=splits,
        unit="score" if bare else "row" if kept["unit"].equals(kept["row"]) else "group",
        units=len(base) if bare else kept["unit"].nunique(),
        left_out=found["training"].nunique() - len(base),
        recurring=not bare and bool(pd.concat(base.values()).duplicated(["seed", "row"]).any()),
    )


def _check_losses(parts: Mapping[str, Any], default: str) -> None:
    names = list(parts)
    if default not in parts:
        raise InputError(
            f"the default {default!r} has no scores; there are {listed(names)}"
            f"{nearest(default, names)}"
        )
    if len(names) == 1:
        raise InputError(f"there are scores of {default} alone: nothing to hold against it")


def _check_columns(frame: pd.DataFrame) -> None:
    names = [str(name) for name in frame.columns]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError(f"two columns of the scores are called {min(twice)!r}; rename one")
    missing = [name for name in REQUIRED if name not in names]
    if not missing and not {"fold", "seed"} & set(names):
        missing = ["fold"]
    if missing:
        raise InputError(
            f"the scores have no column {missing[0]!r}{nearest(missing[0], names)}; needed are "
            f"loss, fold and score, beside them seed, row and group; there are: {listed(names)}"
        )
    if "group" in names and "row" not in names:
        raise InputError("a column group is of rows: give their column row, too")
    if not len(frame):
        raise InputError("there are no scores")


def _check_once(found: pd.DataFrame, frame: pd.DataFrame, has_rows: bool) -> None:
    """Raise where a row of a training has two scores, or a row two groups."""
    twice = found.duplicated(["loss", "training", "row"])
    if twice.any():
        first = int(np.flatnonzero(twice)[0])
        row = f"row {frame['row'].iloc[first]} of " if has_rows else ""
        hint = "" if "seed" in frame else "; tell trainings apart by a column seed"
        rows = "" if has_rows else "; tell rows apart by a column row"
        raise InputError(
            f"{found['loss'].iloc[first]} has two scores for {row}fold "
            f"{found['fold'].iloc[first]}{hint}{rows}"
        )
    groups = found.groupby("row")["unit"].nunique()
    if (groups > 1).any():
        place = int(np.flatnonzero(found["row"] == groups[groups > 1].index[0])[0])
        named = frame["row"].iloc[place]
        raise InputError(f"row {named} is in two groups; a row belongs to one")


def _by_training(table: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """Return the scores of each training, its rows in order."""
    return {int(str(one)): part.sort_values("row") for one, part in table.groupby("training")}


def _check_same_rows(
    name: str, own: Mapping[int, pd.DataFrame], default: str, base: Mapping[int, pd.DataFrame]
) -> None:
    for one in own.keys() & base.keys():
        ours, theirs = own[one]["row"].to_numpy(), base[one]["row"].to_numpy()
        if not np.array_equal(ours, theirs):
            raise InputError(
                f"{name} and {default} were scored on different rows of fold "
                f"{own[one]['fold'].iloc[0]}: {name} lacks {len(np.setdiff1d(theirs, ours))} and "
                f"has {len(np.setdiff1d(ours, theirs))} more; score all losses on the same rows"
            )


def _shared(
    own: Mapping[int, pd.DataFrame], base: Mapping[int, pd.DataFrame]
) -> tuple[float, float, int]:
    """Return the mean scores on the trainings that a loss shares with the default, both's."""
    trainings = own.keys() & base.keys()
    if not trainings:
        return np.nan, np.nan, 0
    ours, theirs = (np.mean([one[t]["score"].mean() for t in trainings]) for one in (own, base))
    return float(ours), float(theirs), len(trainings)


def _overlap(bare: bool, splits: int, train_share: float | None) -> float:
    """Return the validation rows for each training row, which counts for bare scores."""
    if train_share is None:
        return 1 / (splits - 1) if bare and splits > 1 else 0.0
    if not 0 < train_share < 1:
        raise InputError(f"train_share must lie between 0 and 1, as 0.8, got {train_share}")
    if not bare:
        raise InputError("train_share is for scores without a column row; leave it out")
    return (1 - train_share) / train_share if splits > 1 else 0.0


def _errors(
    parts: Sequence[pd.DataFrame], bare: bool, better: Better, overlap: float
) -> FoldErrors:
    measures = [rows_measure(part["score"].to_numpy(), part["unit"].to_numpy()) for part in parts]
    trainings = range(len(parts))
    return FoldErrors(
        errors=as_error(np.array([score for score, _ in measures]), better),
        influences=tuple(np.zeros(1) if bare else as_error(own, better) for _, own in measures),
        rows=tuple(
            np.array([one]) if bare else np.unique(parts[one]["unit"].to_numpy())
            for one in trainings
        ),
        epochs=(0,) * len(parts),
        best_epoch=0,
        by_ratio=better == "lower",
        overlap=overlap,
    )


def shared_note(mine: int, all_: int) -> str:
    """Return what is said of a loss that lacks some of the default's trainings."""
    return f"scores of {mine} of {pluralize(all_, 'training')}"
