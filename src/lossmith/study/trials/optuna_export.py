"""A study's trainings as trials of an Optuna study, for its dashboard and its readers."""

from typing import Any

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.journal import Record, State, Training
from lossmith.study.trials.verdict import View

STATES: dict[State, str] = {"done": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL"}
MARK = "lossmith"  # the attribute of an Optuna study that was written by this


def export(view: View, storage: str) -> tuple[str, int]:
    """Write the trainings that have ended to an Optuna storage; return its study's name and size.

    The study has lossmith's name, and one that was exported before is replaced. A training is a
    trial with the parameters loss, learning_rate and fold, its scores by epoch as intermediate
    values and the last of them as its value.

    Raises:
        InputError: if Optuna is missing, or its storage cannot be used or holds another study.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise InputError(
            "an export needs optuna; install it with: pip install 'lossmith[optuna]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rates = sorted({training.setting.learning_rate for training in view.facts.records})
    found = [
        _trial(optuna, view, rates, training, record)
        for training, record in view.facts.records.items()
        if record.state in STATES and not training.twin
    ]
    direction = "minimize" if view.design.better == "lower" else "maximize"
    try:
        _clear(optuna, storage, view.name)
        study = optuna.create_study(storage=storage, study_name=view.name, direction=direction)
        study.set_user_attr(MARK, str(view.spec["metric"]))
        study.add_trials(found)
    except InputError:
        raise
    except Exception as error:  # of whatever database it is
        why = " ".join(str(error).split())
        raise InputError(f"cannot write to the Optuna storage {storage}: {why}") from error
    return view.name, len(found)


def _clear(optuna: Any, storage: str, name: str) -> None:
    """Remove what was exported before under this name."""
    if name not in optuna.get_all_study_names(storage):
        return
    if MARK not in optuna.load_study(study_name=name, storage=storage).user_attrs:
        raise InputError(f"{storage} has a study {name} of another origin; choose another storage")
    optuna.delete_study(study_name=name, storage=storage)


def _trial(optuna: Any, view: View, rates: list[float], training: Training, record: Record) -> Any:
    design, kinds = view.design, optuna.distributions
    candidate, rate, variant = training.setting
    distributions = {
        "loss": kinds.CategoricalDistribution(list(design.candidates)),
        "learning_rate": kinds.CategoricalDistribution(rates),
        "fold": kinds.IntDistribution(0, max(1, design.folds - 1)),
    }
    state = STATES[record.state]
    scores = {epoch: score for epoch, score in record.scores.items() if not np.isnan(score)}
    return optuna.trial.create_trial(
        state=getattr(optuna.trial.TrialState, state),
        value=scores[max(scores)] if state == "COMPLETE" else None,
        params={"loss": candidate, "learning_rate": rate, "fold": training.fold},
        distributions=distributions,
        intermediate_values=scores,
        user_attrs={"variant": variant, "note": record.note[-1000:]},
    )
