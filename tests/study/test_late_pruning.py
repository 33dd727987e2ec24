"""Trainings that cannot pause are given up late, by what the default did on the same fold."""

import numpy as np

from lossmith.study.journal import Claim, Decision, Journal, Report, Setting, Training
from lossmith.study.rules.plan import Design
from lossmith.study.trials.outcomes import surely_worse
from lossmith.study.trials.scored import Scored

DESIGN = Design(
    candidates=("mse", "mae"),
    default="mse",
    common=None,
    learning_rates=(0.1, 0.2),
    epochs=8,
    folds=5,
    better="lower",
)
ROWS = np.linspace(-0.1, 0.1, 20)


def begun() -> tuple[Journal, Claim, Claim, Claim]:
    """Return a journal, and trainings of the default at two learning rates and of another."""
    journal = Journal(None)
    journal.create({}, [])
    settings = [Setting("mse", 0.1), Setting("mse", 0.2), Setting("mae", 0.1)]
    journal.decide(Decision("start", True, plan=[Training(one, 0) for one in settings]))
    first, second, other = [claim for _ in settings for claim in journal.claim("one")]
    return journal, first, second, other


def said(journal: Journal, claim: Claim, epoch: int, score: float) -> Scored:
    journal.report(claim, Report(epoch, score, 1.0, 0.0), ROWS)
    return Scored(score=score, influences=ROWS)


def test_nothing_is_given_up_before_the_default_came_as_far_at_all_rates() -> None:
    journal, first, second, other = begun()
    for epoch in (4, 5, 6):
        said(journal, first, epoch, 1.0)
    said(journal, second, 5, 9.0)
    worse = said(journal, other, 6, 3.0)
    assert not surely_worse(DESIGN, journal, other.training, 6, worse)
    said(journal, second, 6, 2.9)  # the better learning rate still judges
    assert surely_worse(DESIGN, journal, other.training, 6, worse)


def test_a_training_of_the_default_that_ended_is_not_waited_for() -> None:
    journal, first, second, other = begun()
    for epoch in (4, 5, 6):
        said(journal, first, epoch, 1.0)
    journal.end(second, "failed", "out of memory")
    worse = said(journal, other, 6, 3.0)
    assert surely_worse(DESIGN, journal, other.training, 6, worse)
