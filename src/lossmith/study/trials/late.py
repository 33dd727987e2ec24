"""Whether a trial that cannot pause is given up, by what the journal holds of the default."""

from collections.abc import Mapping

from lossmith.study.direction import as_error
from lossmith.study.journal import Record, Setting, Storage, Training
from lossmith.study.rules.plan import Design
from lossmith.study.rules.pruning import FROM, hopeless
from lossmith.study.trials.scored import Scored


def surely_worse(
    design: Design,
    records: Mapping[Training, Record],
    storage: Storage,
    training: Training,
    epoch: int,
    said: Scored,
) -> bool:
    """Tell whether a training is surely worse than the default at its better learning rate.

    With several workers the default may not have come as far on this fold; then nothing is given
    up. So what is given up may depend on who was faster, a loss that is proven better never does.
    """
    late = FROM * design.epochs
    if training.setting.candidate == design.default or said.influences is None or epoch < late:
        return False
    known = {
        setting: record.scores
        for rate in design.learning_rates
        for setting in (Setting(design.default, rate),)
        if (record := records.get(Training(setting, training.fold))) and epoch in record.scores
    }
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
