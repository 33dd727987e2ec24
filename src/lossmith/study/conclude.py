"""After the race: the verdict, the final models on untouched rows, and everything worth keeping."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from lossmith.core.loss import Loss
from lossmith.study.errors import InputError
from lossmith.study.gross import FAR, residual_scales
from lossmith.study.judge import Judgement, judge
from lossmith.study.labels import to_json
from lossmith.study.metrics import Metric, decide
from lossmith.study.model import Model
from lossmith.study.race import Race
from lossmith.study.report.text import decimals, number
from lossmith.study.result import (
    CandidateResult,
    Cost,
    Curve,
    Evidence,
    Finding,
    Outputs,
    Result,
)
from lossmith.study.scores import Scorer, Track
from lossmith.study.table import plain_frame
from lossmith.study.task import Problem

PACKAGES = ("lossmith", "torch", "numpy", "scikit-learn", "skrub", "pandas")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a study hands over: the loss, the model trained with it, and the evidence."""

    result: Result
    evidence: Evidence
    race: Race
    model: Model
    problem: Problem | None
    decision: np.ndarray | None  # of a tuned metric
    test_rows: np.ndarray
    folder: Path | None = None  # where its files are

    @property
    def loss(self) -> Loss:
        """The selected loss, an `nn.Module` fitted to the training targets."""
        return self.model.loss

    @property
    def verdict(self) -> Literal["switch", "keep"]:
        """Whether the selected loss is another than the default."""
        return self.result.verdict

    def predict(self, data: Any) -> pd.DataFrame:
        """Return predictions for new rows: `prediction`, and `probability_<class>` for classes.

        data: a pandas or Polars DataFrame, or any table that exports Arrow.
        """
        if self.problem is None:
            raise InputError("predict is for tables; call selection.model.predict(inputs)")
        predicted = self.model.predict(plain_frame(data))
        return prediction_frame(predicted, self.problem.labels, self.decision)

    def predictions(self) -> pd.DataFrame:
        """Return the predictions of the untouched rows beside their row numbers and targets."""
        target, predicted = self.evidence.test_target, self.evidence.test_selected
        labels: np.ndarray = np.empty(0)
        if predicted.ndim > 1:
            problem = self.problem
            labels = np.arange(predicted.shape[1]) if problem is None else problem.labels
            target = labels[target]
        frame = prediction_frame(predicted, labels, self.decision)
        frame.insert(0, "row", self.test_rows)
        frame.insert(1, "target", target)
        return frame

    def facts(self) -> dict[str, Any]:
        """Return what turns a table's model into predictions, as plain data."""
        assert self.problem is not None
        decision = None if self.decision is None else self.decision.tolist()
        return {"labels": to_json(self.problem.labels.tolist()), "decision": decision}


def prediction_frame(
    values: np.ndarray, labels: np.ndarray, decision: np.ndarray | None
) -> pd.DataFrame:
    """Return predictions as a table, classes as they stood in the target's column."""
    if not len(labels):
        return pd.DataFrame({"prediction": values})
    columns = {f"probability_{label}": values[:, code] for code, label in enumerate(labels)}
    return pd.DataFrame({"prediction": labels[decide(values, decision)], **columns})


def conclude(
    race: Race,
    problem: Problem | None,
    findings: tuple[Finding, ...],
    *,
    interrupted: bool,
    seed: int,
    command: str,
) -> Selection:
    """Judge a race, train the default and the selected loss on all rows but the test rows."""
    if not race.finalists:
        raise InputError("the study was stopped before any loss was measured; give it more time")
    verdict = judge(race)
    tracks = race.final_tracks()
    names = dict.fromkeys((race.entries.default, verdict.selected))
    models = {name: final_of(race, name) for name in names}
    predictions = {name: race.trainer.predict_test(model) for name, model in models.items()}
    ordered = [predictions[race.entries.default], predictions[verdict.selected]]
    decisions = [
        decision_of(race.metric, track, race.cells, race.reading(track).epoch)
        for track in (tracks[race.entries.default], tracks[verdict.selected])
    ]
    result = _result(race, verdict, findings, interrupted, seed, command, problem)
    target = race.trainer.test_target()
    rows = counted(race.metric, race.scorer.contaminated, target, ordered)
    test = test_scores(race.metric, rows, target, ordered, decisions)
    result = result | {"test": test}
    return Selection(
        result=Result(**result, cost=cost_of(race, len(models))),
        evidence=_evidence(race, tracks, ordered, rows, problem),
        race=race,
        model=models[verdict.selected],
        problem=problem,
        decision=decisions[1],
        test_rows=race.trainer.split.test,
    )


def final_of(race: Race, name: str) -> Any:
    """Return the model of a finalist, trained on all rows but the test rows."""
    race.clock.report(1.0, f"training {name} on all rows but the test rows")
    track = race.final_tracks()[name]
    variant = race.entry(name).variants[track.key.variant]
    return race.trainer.final(variant, track.learning_rate, race.epochs(track))


def decision_of(
    metric: Metric, track: Track, cells: Sequence[int], epoch: int
) -> np.ndarray | None:
    """Return the mean of the decisions that were tuned for the cells."""
    if not metric.tuned:
        return None
    return np.mean([track.decisions[cell][epoch] for cell in cells], axis=0)


def counted(
    metric: Metric,
    contaminated: bool | None,
    target: np.ndarray,
    predictions: Sequence[np.ndarray],
) -> np.ndarray:
    """Return which untouched rows count: all, or those without gross errors in the target."""
    if not contaminated:
        return np.ones(len(target), bool)
    return residual_scales(target, np.stack(predictions), metric.transform == "log1p") <= FAR


def test_scores(
    metric: Metric,
    rows: np.ndarray,
    target: np.ndarray,
    predictions: Sequence[np.ndarray],
    decisions: Sequence[np.ndarray | None],
) -> dict[str, float | None]:
    """Score the default and the selected loss on the untouched rows, once; rows: which count."""
    default, selected = (
        metric.score(target[rows], values[rows], decision)
        for values, decision in zip(predictions, decisions, strict=True)
    )
    return {
        "default": default,
        "selected": selected,
        "rows": float(rows.sum()),
        "default_all_rows": metric.score(target, predictions[0], decisions[0]),
        "selected_all_rows": metric.score(target, predictions[1], decisions[1]),
    }


def _result(
    race: Race,
    verdict: Judgement,
    findings: tuple[Finding, ...],
    interrupted: bool,
    seed: int,
    command: str,
    problem: Problem | None,
) -> dict:
    split = race.trainer.split
    rows = {
        "total": len(split.develop) + len(split.test) + (problem.dropped if problem else 0),
        "train": len(split.develop),
        "test": len(split.test),
        "dropped": problem.dropped if problem else 0,
    }
    switched = verdict.selected != race.entries.default
    return {
        "task": race.trainer.task,
        "metric": race.metric.name,
        "better": race.metric.better,
        "target": problem.name if problem else "target",
        "rows": rows,
        "diagnosis": findings + notes_of(problem) + gross_finding(race.metric, race.scorer),
        "default": race.entries.default,
        "naive": race.entries.naive,
        "selected": verdict.selected,
        "verdict": "switch" if switched else "keep",
        "sentence": _sentence(race, verdict, interrupted),
        "equivalents": verdict.equivalents,
        "candidates": verdict.candidates,
        "seed": seed,
        "interrupted": interrupted,
        "versions": versions(),
        "command": command,
    }


def versions() -> dict[str, str]:
    """Return the versions that a study's numbers depend on."""
    packages = {name: version(name) for name in PACKAGES}
    return packages | {"python": platform.python_version()}


def notes_of(problem: Problem | None) -> tuple[Finding, ...]:
    """Return what the user should know of how the problem was read."""
    notes = problem.notes if problem else ()
    return tuple(Finding(name="note", value="", meaning=note) for note in notes)


def gross_finding(metric: Metric, scorer: Scorer) -> tuple[Finding, ...]:
    """Say which share of the rows does not count, where there is such."""
    if not scorer.contaminated:
        return ()
    return (
        Finding(
            name="gross errors in the target",
            value=f"{100 * scorer.excluded:.1f} % of the validation rows",
            meaning=f"no loss predicts them within {FAR:g} robust scales, and their squares would "
            f"decide {metric.name} alone: scores leave these rows out (keep_outliers, or "
            "--keep-outliers, counts them)",
            level="warning",
        ),
    )


def _sentence(race: Race, verdict: Judgement, interrupted: bool) -> str:
    rows = {row.name: row for row in verdict.candidates}
    default, metric = race.entries.default, race.metric.name
    if verdict.selected == default:
        others = len([row for row in verdict.candidates if row.cells > 0]) - 1
        sentence = (
            f"Keep {default}: none of {others} other losses is better on {metric} beyond doubt."
        )
    else:
        sentence = _switch_sentence(rows[verdict.selected], rows[default], metric)
    return sentence + (" The study was stopped before its end." if interrupted else "")


def _switch_sentence(chosen: CandidateResult, default: CandidateResult, metric: str) -> str:
    assert chosen.difference_to_default is not None
    gain = 100 * abs(chosen.difference_to_default / default.score) if default.score else 0.0
    share = "" if not default.score else "under 0.1 % " if gain < 0.05 else f"{gain:.1f} % "
    places = decimals(0.01 * score for score in (default.score, chosen.score) if score)
    return (
        f"Switch from {default.name} to {chosen.name}: {metric} {number(default.score, places)} → "
        f"{number(chosen.score, places)} ({share}better, corrected p = {chosen.p_value:.2g})."
    )


def cost_of(race: Race, finals: int) -> Cost:
    """Return what the study took, beside what its default alone would."""
    default = race.default_track()
    variants = len(race.default.variants)
    settings = variants * len(race.rates)
    default_seconds = race.trainer.default_seconds(default, race.epochs(default), settings)
    seconds = race.clock.seconds
    return Cost(
        seconds=seconds,
        default_seconds=default_seconds,
        ratio=seconds / default_seconds,
        trainings=race.trainings + finals * race.trainer.ensemble,
    )


def curves_of(race: Race) -> tuple[Curve, ...]:
    """Return each finalist's score over its training, averaged over the cells."""
    found = []
    for name, track in race.final_tracks().items():
        table, epochs = track.table(race.cells)
        means = tuple(float(score) for score in table.mean(axis=0))
        best = race.reading(track).epoch
        found.append(Curve(name=name, epochs=tuple(epochs), scores=means, best_epoch=best))
    return tuple(found)


def _evidence(
    race: Race,
    tracks: dict[str, Track],
    predictions: list[np.ndarray],
    rows: np.ndarray,
    problem: Problem | None,
) -> Evidence:
    outputs = []
    first = race.trainer.rounds[0][0]
    target = race.trainer.valid_targets_tensor(first)
    for name, track in tracks.items():
        best = race.reading(track).epoch
        if best in track.outputs:
            loss, output = track.outputs[best]
            outputs.append(
                Outputs(name=name, loss=loss, output=output, target=target[: len(output)])
            )
    return Evidence(
        curves=curves_of(race),
        outputs=tuple(outputs),
        test_target=race.trainer.test_target(),
        test_default=predictions[0],
        test_selected=predictions[1],
        test_counted=rows,
        classes=problem.classes if problem else (),
    )
