"""What a study trains next: one decision after the other, each a pure function of the facts.

Nobody drives a study. Whoever asks for work applies the decisions that are due, in one transaction,
and takes what is planned. What is decided depends on what was measured, never on the order in which
trainings arrive: a decision waits until everything that it reads has been measured.

1. The default runs on the first fold, and twice, so that a lost pairing shows.
2. Every candidate starts at every learning rate on the screening folds. Where trainings can pause,
   the best go on after each rung (successive halving); where they cannot, each runs to its end on
   the first fold, and the best go on to the second.
3. The best rivals, the default at its two best learning rates and the loss that is common for the
   task run on the other folds, a look at the evidence after some of them (`sequential`): rivals
   without prospects leave, and the study ends when its leader is proven or no rival is left. All
   these folds are planned at once, so that many workers need not wait for a look; one worker comes
   to a look before it trains beyond it, and what ran ahead in vain does not count (`needed`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lossmith.study.base.direction import as_error
from lossmith.study.base.errors import InputError
from lossmith.study.journal.facts import Decision, Facts, Record, Setting, Training
from lossmith.study.rules.design import AFTER_A_FOLD, Design, Read
from lossmith.study.rules.halving import Rung
from lossmith.study.rules.sequential import BEHIND, LEAST_CHANCE, chance, levels
from lossmith.study.rules.weighing import Evidence, weigh


def due(design: Design, facts: Facts, read: Read) -> Decision | None:
    """Return the next decision that the facts allow, or None while more must be measured."""
    made = facts.decisions
    if "end" in made:
        return None
    if design.probes and "pauses" not in made:
        return _probe(design, facts)
    if "screening" not in made:
        return _screening(design)
    if "finalists" not in made:
        return _cut(design, facts) or design.extend(facts) or _finalists(design, facts)
    return design.review(facts, read) or _look(design, facts, read)


def _probe(design: Design, facts: Facts) -> Decision | None:
    """Learn from the default, before others start, what its trainings can do."""
    if "start" not in facts.decisions:
        return _start(design)
    if "twin" not in facts.decisions:
        return _twin(design, facts)
    return _pauses(design, facts)


def _start(design: Design) -> Decision:
    """Plan the default on the first fold, and the same once more."""
    first = Setting(design.default, design.learning_rates[0])
    return Decision("start", True, plan=[Training(first, 0), Training(first, 0, twin=True)])


def _twin(design: Design, facts: Facts) -> Decision | None:
    """Compare the default's two runs once the second has ended."""
    first = Setting(design.default, design.learning_rates[0])
    one, twin = (facts.records[Training(first, 0, twin=number)] for number in (False, True))
    told = one.ended or one.state == "paused" or one.epoch >= twin.epoch
    if one.state != "failed" and not (twin.ended and told):
        return None
    shared = sorted(set(one.scores) & set(twin.scores))
    pairs = [(one.scores[epoch], twin.scores[epoch]) for epoch in shared]
    equal = all(a == b or abs(a - b) <= 1e-5 * max(abs(a), abs(b)) for a, b in pairs)
    stop = [] if twin.ended else [(Training(first, 0, twin=True), "the first run failed")]
    return Decision("twin", {"equal": equal, "scores": pairs}, stop=stop)


def _screening(design: Design) -> Decision:
    return Decision(
        "screening",
        len(design.settings),
        plan=[Training(setting, fold) for fold in design.first for setting in design.settings],
    )


def _pauses(design: Design, facts: Facts) -> Decision | None:
    """Tell from the default's first training whether trainings can pause, before others start."""
    if design.rungs()[0] == design.epochs:
        return Decision("pauses", False)  # too short a training to be cut
    first = facts.records[Training(Setting(design.default, design.learning_rates[0]), 0)]
    beyond = first.epoch > design.rungs()[0]
    if first.state == "paused" or (first.state == "failed" and not beyond):
        return Decision("pauses", True)  # one that failed before tells nothing: others may
    return Decision("pauses", False) if first.ended or beyond else None


def screened(design: Design, facts: Facts) -> list[tuple[Training, Record]]:
    """Return the trainings of the screening with what is known of them."""
    folds = set(design.screening)  # once: studies have thousands of trainings
    return [
        (training, record)
        for training, record in facts.records.items()
        if training.fold in folds and not training.twin
    ]


def _cut(design: Design, facts: Facts) -> Decision | None:
    """Return the next cut of the screening, once all that it ranks has been measured."""
    open_ = [(t, record) for t, record in screened(design, facts) if not record.ended]
    if not facts.decisions.get("pauses", True):
        if len(design.screening) < 2 or "first fold" in facts.decisions or open_:
            return None
        return _cut_to("first fold", design, facts, AFTER_A_FOLD, "")
    for number, rung in enumerate(design.rungs()):
        name = f"rung {number + 1}"
        if name in facts.decisions or rung == design.epochs:
            continue
        if any(r.state != "paused" or r.epoch < rung for _, r in open_):
            return None
        if open_ or (number == 0 and design.first != design.screening):
            epoch = open_[0][1].epoch if open_ else rung
            why = f"others did better at epoch {epoch}"
            return _cut_to(name, design, facts, design.halving.rungs[number], why)
    return None


def _cut_to(name: str, design: Design, facts: Facts, rung: Rung, why: str) -> Decision:
    """Let the best on the folds so far go on; after the first folds they start on the others."""
    own = screened(design, facts)
    folds = sorted({training.fold for training, _ in own})
    kept = survivors(design, facts, folds, rung)
    paused = [training for training, record in own if not record.ended]
    starting = [fold for fold in design.screening if fold not in folds]
    return Decision(
        name,
        named(kept),
        plan=[Training(setting, fold) for fold in starting for setting in kept],
        resume=[training for training in paused if training.setting in kept],
        stop=[(training, why) for training in paused if training.setting not in kept],
    )


def pause_after(design: Design, decisions: Mapping[str, Any]) -> int | None:
    """Return the epoch after which a screening that can pause does so next, or None."""
    if decisions.get("pauses") is False or "finalists" in decisions:
        return None
    for number, rung in enumerate(design.rungs()):
        if f"rung {number + 1}" not in decisions and rung < design.epochs:
            return rung
    return None


def survivors(design: Design, facts: Facts, folds: Sequence[int], rung: Rung) -> list[Setting]:
    """Return the settings that pass a rung by their errors on some folds, the best first."""
    errors = errors_of(design, facts, folds)
    settings = list(errors)
    kept = design.halving.keep(rung, settings, list(errors.values()))
    return [settings[index] for index in kept]


def errors_of(design: Design, facts: Facts, folds: Sequence[int]) -> dict[Setting, float]:
    """Return the mean error, at its best epoch, of every setting that is still in.

    It is infinite where a score is not finite, however well the training did before.
    """
    found: dict[Setting, float] = {}
    still = design.left(facts)
    for setting in dict.fromkeys((*design.settings, *(one.setting for one in facts.records))):
        if still is not None and setting not in still:
            continue
        records = [facts.records.get(Training(setting, fold)) for fold in folds]
        if any(record is None or record.state in ("stopped", "failed") for record in records):
            continue
        scores = [record.scores for record in records if record is not None]
        epochs = set.intersection(*map(set, scores))
        if epochs:
            means = np.array([np.mean([one[epoch] for one in scores]) for epoch in epochs])
            finite = all(np.isfinite(score) for one in scores for score in one.values())
            found[setting] = float(as_error(means, design.better).min()) if finite else np.inf
    return found


def named(settings: Iterable[Setting]) -> list[list[Any]]:
    """Return settings as plain data."""
    return [list(setting) for setting in settings]


def _finalists(design: Design, facts: Facts) -> Decision | None:
    """Choose who runs on the other folds, once the screening has ended."""
    if any(not record.ended for _, record in screened(design, facts)):
        return None
    return choose(design, facts)


def promoted(design: Design, facts: Facts) -> list[Setting]:
    """Return who would be a finalist by what is known now.

    Raises:
        InputError: if every training diverged, or every one of the default.
    """
    found = errors_of(design, facts, design.screening)
    places = {name: place for place, name in enumerate(design.candidates)}
    errors = {s: found[s] for s in sorted(found, key=lambda s: (places[s.candidate], s.variant))}
    return design.halving.promote(errors)


def choose(design: Design, facts: Facts) -> Decision:
    """Return who is measured on the other folds, by what is known now."""
    try:
        chosen = promoted(design, facts)
    except InputError as error:
        return Decision("end", {"folds": 0, "proven": [], "failed": str(error)})
    others = range(len(design.screening), design.folds)
    plan = [Training(setting, fold) for fold in others for setting in chosen]
    return Decision("finalists", named(chosen), plan=plan)


def finalists(facts: Facts) -> list[Setting]:
    """Return who is still among the finalists, by the latest decision."""
    named: Any = facts.decisions.get("finalists", [])
    for name, outcome in facts.decisions.items():
        if name.startswith(("look ", "check ")):
            named = outcome["kept"]  # type: ignore[index]
    return [Setting(*one) for one in named]


def needed(facts: Facts) -> Facts:
    """Return the facts without trainings on folds beyond the look at which their setting left."""
    limits: dict[Setting, int] = {}
    still: set[Setting] = set()
    for name, outcome in facts.decisions.items():
        if name == "finalists":
            still = {Setting(*one) for one in outcome}
        elif name.startswith("look "):
            kept = {Setting(*one) for one in outcome["kept"]}
            limits |= dict.fromkeys(still - kept, int(name.removeprefix("look ")))
            still = kept
        elif name == "end":
            limits |= dict.fromkeys(still, outcome["folds"])
    records = {t: r for t, r in facts.records.items() if t.fold < limits.get(t.setting, np.inf)}
    return replace(facts, records=records)


def _look(design: Design, facts: Facts, read: Read) -> Decision | None:
    """Look at the evidence once the folds until the next look are measured."""
    look = next((k for k in design.looks if f"look {k}" not in facts.decisions), None)
    if look is None:
        return None
    folds, still = range(look), finalists(facts)
    records = {s: [facts.records[Training(s, fold)] for fold in folds] for s in still}
    if any(not record.ended for own in records.values() for record in own):
        return None
    whole = [s for s in still if all(record.state == "done" for record in records[s])]
    whole = [s for s in whole if s.candidate == design.default or _finite(records[s])]
    evidence = weigh(design, whole, folds, read)
    if evidence is None:
        outcome: Any = {"folds": look, "proven": [], "failed": True}
        return Decision("end", outcome, stop=_needless(facts, still))
    kept = [s for s in whole if _has_prospects(design, s, evidence, read)]
    alone = all(setting.candidate == design.default for setting in kept)
    if alone or evidence.leader in evidence.proven or look == design.folds:
        outcome = {"folds": look, "proven": evidence.proven, "failed": False}
        return Decision("end", outcome, stop=_needless(facts, still))
    left = [setting for setting in still if setting not in kept]
    outcome = {"kept": named(kept), "doubts": evidence.doubts}
    return Decision(f"look {look}", outcome, stop=_needless(facts, left))


def _needless(facts: Facts, settings: Sequence[Setting]) -> list[tuple[Training, str]]:
    """Return the trainings of settings that have left, or of all, which no look will read."""
    return [
        (training, "a look at the evidence made it needless")
        for training, record in facts.records.items()
        if training.setting in settings and not training.twin and not record.ended
    ]


def _has_prospects(design: Design, setting: Setting, evidence: Evidence, read: Read) -> bool:
    """Tell whether a setting may still be chosen: proven, and not behind a better one."""
    name, folds = setting.candidate, evidence.folds
    best = evidence.settings[design.default if name == design.default else str(evidence.leader)]
    if setting != best and read(setting, folds).p_value(read(best, folds)) > BEHIND:
        return False
    level = levels(design.shares)[-1] / max(1, len(design.candidates) - 1)
    share = len(folds) / design.folds
    return name == design.default or chance(evidence.doubts[name], share, level) >= LEAST_CHANCE


def _finite(records: Iterable[Record]) -> bool:
    return all(np.isfinite(score) for record in records for score in record.scores.values())
