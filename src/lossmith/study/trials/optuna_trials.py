"""The trials of an Optuna study as scores, by what its objects hold; Optuna is not imported."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lossmith.study.base.direction import Better, as_error
from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import listed
from lossmith.study.base.result import Finding

Setting = tuple[tuple[str, Any], ...]


def is_optuna(data: Any) -> bool:
    """Tell whether an object is an Optuna study."""
    return hasattr(data, "trials") and hasattr(data, "directions")


def direction(study: Any) -> Better:
    """Return which of lower and higher an Optuna study asks for."""
    names = [getattr(one, "name", str(one)).upper() for one in study.directions]
    if len(names) != 1:
        raise InputError("the Optuna study has several objectives; give a table of one's scores")
    return "higher" if names[0].endswith("MAXIMIZE") else "lower"


def scores_of(
    study: Any, loss: str, fold: str, seed: str
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]], tuple[Finding, ...]]:
    """Return the scores of complete trials, each loss at its best setting of the other parameters.

    Args:
        study: the Optuna study.
        loss: the parameter, or user attribute, that names the loss.
        fold: that which says the fold; or a user attribute that lists one score a fold.
        seed: that which says the seed, if any.

    Raises:
        InputError: where trials do not say their loss or fold, or settings differ between folds.
    """
    tried: dict[str, dict[Setting, dict[tuple[Any, Any], float]]] = {}
    for trial in study.trials:
        if getattr(trial.state, "name", str(trial.state)).rpartition(".")[2] != "COMPLETE":
            continue
        known = {**trial.user_attrs, **trial.params}
        name, where = (_said(known, key, trial) for key in (loss, fold))
        rest = {k: v for k, v in trial.params.items() if k not in (loss, fold, seed)}
        several = isinstance(where, Sequence) and not isinstance(where, str)
        scores = dict(enumerate(where)) if several else {where: trial.value}
        trainings = tried.setdefault(str(name), {}).setdefault(tuple(sorted(rest.items())), {})
        for place, score in scores.items():
            key = place, known.get(seed, 0)
            trainings.setdefault(key, float(score))  # of equal trials the first
    if not tried:
        raise InputError("the Optuna study has no complete trial")
    better = direction(study)
    best = {name: _best(settings, better) for name, settings in tried.items()}
    _check_folds(tried, best)
    rows = [
        (name, place, number, score)
        for name, setting in best.items()
        for (place, number), score in tried[name][setting].items()
    ]
    frame = pd.DataFrame(rows, columns=["loss", "fold", "seed", "score"])
    return frame, {name: dict(setting) for name, setting in best.items()}, _notes(tried)


def _said(known: Mapping[str, Any], key: str, trial: Any) -> Any:
    if key not in known:
        raise InputError(
            f"trial {trial.number} of the Optuna study has no parameter or user attribute {key!r} "
            f"(it has: {listed(sorted(known))}); say which names the loss by loss=, which the "
            "fold, or lists one score a fold, by fold="
        )
    return known[key]


def _best(settings: Mapping[Setting, Mapping[Any, float]], better: Better) -> Setting:
    """Return the setting with the best mean score of those with the most scores."""
    return min(
        settings,
        key=lambda one: (
            -len(settings[one]),
            as_error(float(np.mean(list(settings[one].values()))), better),
        ),
    )


def _check_folds(
    tried: Mapping[str, Mapping[Setting, Mapping[Any, float]]], best: Mapping[str, Setting]
) -> None:
    """Raise where each setting was tried on one fold alone, though there are several."""
    trainings = {
        key for settings in tried.values() for scores in settings.values() for key in scores
    }
    if len(trainings) > 1 and all(len(tried[name][setting]) == 1 for name, setting in best.items()):
        names = {key for setting in best.values() for key, _ in setting}
        raise InputError(
            f"no setting of {listed(sorted(names)) or 'the loss'} was tried on more than one fold; "
            "run each setting on every fold, or in one trial that lists its scores"
        )


def _notes(tried: Mapping[str, Mapping[Setting, Any]]) -> tuple[Finding, ...]:
    counts = {name: len(settings) for name, settings in tried.items()}
    if max(counts.values()) == 1:
        return ()
    unequal = len(set(counts.values())) > 1
    return (
        Finding(
            name="settings",
            value=_counted(counts.items()),
            meaning="each loss is shown at the best of its settings, chosen on these scores"
            + (": the more it was tried at, the luckier its best" if unequal else ""),
            level="warning" if unequal else "info",
        ),
    )


def _counted(counts: Iterable[tuple[str, int]]) -> str:
    return listed([f"{name} {count}" for name, count in counts])
