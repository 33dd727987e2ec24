"""After a joint race: the verdict for all targets together, and what it means for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lossmith.core.hybrid import Hybrid
from lossmith.study.compare import Reading as Evidenced
from lossmith.study.compare import read_at
from lossmith.study.conclude import (
    Selection,
    cost_of,
    counted,
    curves_of,
    decision_of,
    final_of,
    gross_finding,
    notes_of,
    test_scores,
    versions,
)
from lossmith.study.joint.candidates import WEIGHTINGS
from lossmith.study.joint.model import JointModel, Reading, joint_frame
from lossmith.study.joint.problem import JointProblem, under
from lossmith.study.joint.scores import JointTrack, error
from lossmith.study.judge import Judgement, judge
from lossmith.study.labels import to_json
from lossmith.study.race import Race
from lossmith.study.report.text import decimals, number
from lossmith.study.result import CandidateResult, Evidence, Finding, Result, TargetResult, Weights
from lossmith.study.table import plain_frame
from lossmith.study.verdict import Estimate


@dataclass(frozen=True, kw_only=True)
class JointSelection(Selection):
    """What a study of several targets hands over: the hybrid, the model, and the evidence."""

    problem: JointProblem  # type: ignore[assignment]
    readings: tuple[Reading, ...]
    test_predictions: tuple[np.ndarray, ...]

    @property
    def loss(self) -> Hybrid:
        """The selected hybrid, an `nn.Module` fitted to the training targets: dict in, dict out."""
        return self.joint.loss.hybrid

    @property
    def joint(self) -> JointModel:
        """The model of all targets."""
        assert isinstance(self.model, JointModel)
        return self.model

    def predict(self, data: Any) -> pd.DataFrame:
        """Return a column prediction_<target> for each target, and probabilities of classes."""
        return joint_frame(self.joint.predict(plain_frame(data)), self.readings)

    def predictions(self) -> pd.DataFrame:
        """Return the predictions of the untouched rows beside their row numbers and targets."""
        rows = self.test_rows
        frame = joint_frame(self.test_predictions, self.readings)
        for place, problem in enumerate(self.problem.problems):
            actual = problem.target[rows]
            frame.insert(
                place,
                f"target_{problem.name}",
                problem.labels[actual] if len(problem.labels) else actual,
            )
        frame.insert(0, "row", rows)
        return frame

    def facts(self) -> dict[str, Any]:
        """Return what turns the model's output into predictions, as plain data."""
        return {
            "targets": [
                {
                    "name": one.name,
                    "labels": to_json(one.labels.tolist()),
                    "decision": None if one.decision is None else one.decision.tolist(),
                }
                for one in self.readings
            ]
        }


def conclude_jointly(
    race: Race,
    problem: JointProblem,
    findings: tuple[Finding, ...],
    *,
    interrupted: bool,
    seed: int,
    command: str,
) -> JointSelection:
    """Judge a joint race, train the default and the selected one on all but the test rows."""
    verdict = judge(race)
    tracks: Any = race.final_tracks()
    names = list(dict.fromkeys((race.entries.default, verdict.selected)))
    models = {name: final_of(race, name) for name in names}
    rows = race.trainer.split.test
    predictions = {
        name: model.predict(problem.features.iloc[rows]) for name, model in models.items()
    }
    ordered = [predictions[race.entries.default], predictions[verdict.selected]]
    decisions = [_decisions(race, tracks[n]) for n in (race.entries.default, verdict.selected)]
    by_target = {name: _by_target(race, track, tracks) for name, track in tracks.items()}
    targets = _targets(race, problem, verdict, by_target, ordered, decisions)
    candidates = tuple(
        replace(row, by_target=_plain(problem, by_target.get(row.name, ())))
        for row in verdict.candidates
    )
    result = Result(
        **_facts(race, problem, verdict, findings, interrupted),
        targets=targets,
        candidates=candidates,
        seed=seed,
        command=command,
        interrupted=interrupted,
        test={},
        cost=cost_of(race, len(models)),
    )
    return JointSelection(
        result=result,
        evidence=Evidence(curves=curves_of(race), weights=_weights(race)),
        race=race,
        model=models[verdict.selected],
        problem=problem,
        decision=None,
        test_rows=race.trainer.split.test,
        readings=tuple(
            Reading(name=one.name, labels=one.labels, decision=decision)
            for one, decision in zip(problem.problems, decisions[1], strict=True)
        ),
        test_predictions=ordered[1],
    )


def _decisions(race: Race, track: JointTrack) -> list[np.ndarray | None]:
    """Return each target's decision, at the epoch best for all of them."""
    epoch = race.reading(track).epoch
    pairs = zip(race.metric.metrics, track.parts, strict=True)
    return [decision_of(metric, part, race.cells, epoch) for metric, part in pairs]


def _by_target(
    race: Race, track: JointTrack, tracks: Mapping[str, JointTrack]
) -> tuple[tuple[Estimate, Estimate], ...]:
    """Return of each target the score of a track, and its difference to the default's."""
    default = tracks[race.entries.default]
    found = []
    for place in range(len(track.parts)):
        own, base = _read(race, track, place), _read(race, default, place)
        found.append((own.level, own.difference(base).written(own.lower)))
    return tuple(found)


def _read(race: Race, track: JointTrack, place: int) -> Evidenced:
    """Read one target's track at the epochs that suit all targets together."""
    joint = race.reading(track)
    split = race.trainer.split
    rows = {
        cell: split.units(split.cells[cell].valid[race.scorer.rows(place, cell)])
        for cell in race.cells
    }
    metric = race.metric.metrics[place]
    return read_at(track.parts[place], race.cells, metric, rows, joint.chosen, joint.epoch)


def _plain(
    problem: JointProblem, estimates: Sequence[tuple[Estimate, Estimate]]
) -> dict[str, dict[str, float]]:
    return {
        one.name: {
            "score": level.mean,
            "low": level.low,
            "high": level.high,
            "difference_to_default": difference.mean,
            "difference_low": difference.low,
            "difference_high": difference.high,
        }
        for one, (level, difference) in zip(problem.problems, estimates, strict=bool(estimates))
    }


def _targets(
    race: Race,
    problem: JointProblem,
    verdict: Judgement,
    by_target: Mapping[str, Sequence[tuple[Estimate, Estimate]]],
    predictions: Sequence[Sequence[np.ndarray]],
    decisions: Sequence[Sequence[np.ndarray | None]],
) -> tuple[TargetResult, ...]:
    rows, found = race.trainer.split.test, []
    for place, (one, metric) in enumerate(zip(problem.problems, race.metric.metrics, strict=True)):
        level, difference = by_target[verdict.selected][place]
        target, own = one.target[rows], [values[place] for values in predictions]
        found.append(
            TargetResult(
                name=one.name,
                task=one.task,
                metric=metric.name,
                better=metric.better,
                default=by_target[race.entries.default][place][0].mean,
                selected=level.mean,
                difference=difference.mean,
                difference_low=difference.low,
                difference_high=difference.high,
                test=test_scores(
                    metric,
                    counted(metric, race.scorer.scorers[place].contaminated, target, own),
                    target,
                    own,
                    [values[place] for values in decisions],
                ),
                classes=len(one.classes),
            )
        )
    return tuple(found)


def _weights(race: Race) -> tuple[Weights, ...]:
    """Return what the default's other weights give on the screening folds, each at its best."""
    chosen, cells = race.default_track().key, race.trainer.rounds[0]
    best: dict[int, Any] = {}
    for key, track in race.tracks.items():
        if key.candidate != chosen.candidate or track.diverged:
            continue
        reading = race.reading(track, cells)
        if key.variant not in best or reading.scores.mean() < best[key.variant][0].scores.mean():
            best[key.variant] = reading, track
    errors = {
        variant: np.array(
            [
                np.mean([error(metric, part.scores[cell][reading.epoch], 1000) for cell in cells])
                for metric, part in zip(race.metric.metrics, track.parts, strict=True)
            ]
        )
        for variant, (reading, track) in best.items()
    }
    own: Any = race.default
    return tuple(
        Weights(
            shares=own.variants[variant].shares,
            changes=tuple((100 * (1 - found / errors[chosen.variant])).tolist()),
        )
        for variant, found in errors.items()
        if chosen.variant in errors
    )


def _facts(
    race: Race,
    problem: JointProblem,
    verdict: Judgement,
    findings: tuple[Finding, ...],
    interrupted: bool,
) -> dict[str, Any]:
    split = race.trainer.split
    pairs = list(zip(problem.problems, race.metric.metrics, race.scorer.scorers, strict=True))
    for one, _, _ in pairs:
        findings += under(one, notes_of(one))
    for one, metric, scorer in pairs:  # last: the screen shows what it has not shown before
        findings += under(one, gross_finding(metric, scorer))
    return {
        "task": "joint",
        "metric": race.metric.name,
        "better": race.metric.better,
        "target": problem.name,
        "rows": {
            "total": len(split.develop) + len(split.test) + problem.dropped,
            "train": len(split.develop),
            "test": len(split.test),
            "dropped": problem.dropped,
        },
        "diagnosis": findings,
        "default": race.entries.default,
        "naive": race.entries.naive,
        "selected": verdict.selected,
        "verdict": "switch" if verdict.selected != race.entries.default else "keep",
        "sentence": _sentence(race, verdict, interrupted),
        "equivalents": verdict.equivalents,
        "versions": versions(),
    }


def _sentence(race: Race, verdict: Judgement, interrupted: bool) -> str:
    rows: dict[str, CandidateResult] = {row.name: row for row in verdict.candidates}
    default, chosen = rows[race.entries.default], rows[verdict.selected]
    losses = race.screened // WEIGHTINGS
    tried = len(race.entries.candidates) - 1 + losses
    stopped = " The study was stopped before its end." if interrupted else ""
    if chosen is default or not default.score or chosen.difference_to_default is None:
        return (
            f"Keep {default.name} with tuned weights: none of {tried:,} alternatives is better on "
            f"all targets together beyond doubt.{stopped}"
        )
    gain = -100 * chosen.difference_to_default / default.score
    return (
        f"Switch from {default.name} with tuned weights to {chosen.name}: errors fall by "
        f"{number(gain, decimals([0.1 * gain]))} % in the mean over targets "
        f"(corrected p = {chosen.p_value:.2g}).{stopped}"
    )
