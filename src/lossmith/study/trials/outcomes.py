"""What becomes of a trial after a report, by what the journal holds of the default."""

import warnings

import numpy as np

from lossmith.study.base.direction import as_error
from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import listed, pluralize
from lossmith.study.journal import Facts, Setting, State, Storage, Training
from lossmith.study.journal.workers import this_worker
from lossmith.study.rules.design import TWIN_REPORTS, Design
from lossmith.study.rules.pruning import FROM, hopeless
from lossmith.study.trials.scored import Scored
from lossmith.study.trials.standing import DIVERGED, last_line
from lossmith.study.trials.trial import Trial, id_of


def outcome_of(
    design: Design, storage: Storage, trial: Trial, epoch: int, said: Scored
) -> tuple[State | None, str]:
    """Return what becomes of a trial after a report, and why; None where it goes on."""
    if not np.isfinite(said.score):
        why = "its outputs or its score are not finite"
        return "failed", f"{DIVERGED} after {pluralize(epoch, 'epoch')}: {why}"
    training = trial.claim.training
    if (training.twin and trial.reports >= TWIN_REPORTS) or epoch == design.epochs:
        return "done", ""
    if training.twin:
        return None, ""
    if trial.can_pause:
        return ("paused", "") if trial.may_pause(epoch) else (None, "")
    if surely_worse(design, storage, training, epoch, said):
        return "stopped", f"surely worse than the default at epoch {epoch}"
    return None, ""


def check_default(design: Design, facts: Facts) -> None:
    """Raise InputError where the default has failed at every learning rate of a fold."""
    for fold in range(design.folds):
        own = [
            facts.records.get(Training(Setting(design.default, rate), fold))
            for rate in design.learning_rates
        ]
        notes = [one.note for one in own if one is not None and one.state == "failed"]
        if len(notes) == len(own):
            raise InputError(
                f"the default loss {design.default} failed at every learning rate: "
                f"{last_line(notes[-1])}"
            )


def tell_of_open(facts: Facts) -> None:
    """Warn of trials that were given to this process, where it waits for more."""
    here = this_worker()
    own = [id_of(t) for t, r in facts.records.items() if r.state == "running" and r.worker == here]
    if own:
        warnings.warn(
            f"ask waits for the end of {listed(own)}, given to this process before; a loop that "
            "ends a trial before its last epoch calls study.close(trial)",
            stacklevel=3,
        )


def surely_worse(
    design: Design, storage: Storage, training: Training, epoch: int, said: Scored
) -> bool:
    """Tell whether a training is surely worse than the default at its better learning rate.

    Not before the default has come as far at all its learning rates on this fold: so what is said
    does not depend on who was faster, though when it can be said does.
    """
    late = FROM * design.epochs
    if training.setting.candidate == design.default or said.influences is None or epoch < late:
        return False
    records = storage.facts().records
    settings = [Setting(design.default, rate) for rate in design.learning_rates]
    beside = {s: records[t] for s in settings if (t := Training(s, training.fold)) in records}
    if any(not one.ended and one.epoch < epoch for one in beside.values()):
        return False
    known = {s: one.scores for s, one in beside.items() if epoch in one.scores}
    if not known:
        return False
    best = min(known, key=lambda setting: as_error(known[setting][epoch], design.better))
    theirs = storage.influences(Training(best, training.fold), epoch)
    if theirs is None or len(theirs) != len(said.influences):
        return False
    own = [*records[training].scores.values(), said.score]
    return hopeless(
        [as_error(score, design.better) for score in own],
        [as_error(s, design.better) for e, s in known[best].items() if late <= e <= epoch],
        as_error(said.influences - theirs, design.better),
    )
