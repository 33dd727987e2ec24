"""After the search: the final models on untouched rows, and everything worth keeping."""

import platform
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from lossmith.core.loss import Loss
from lossmith.core.serial import document_of
from lossmith.study.base.formatting import decimals, number
from lossmith.study.base.result import CandidateResult, Curve, Finding, Outputs, ReportData, Result
from lossmith.study.data.folds import Split
from lossmith.study.data.labels import to_json
from lossmith.study.data.predictions import OutputSpec, predictions_table
from lossmith.study.data.table import plain_frame
from lossmith.study.data.table_problem import TableProblem
from lossmith.study.diagnose import suspected
from lossmith.study.multitarget.candidates import WEIGHTINGS
from lossmith.study.multitarget.heads import losses_of
from lossmith.study.rules.decision import Decision
from lossmith.study.rules.further import unsettled
from lossmith.study.rules.measurements import Measurements
from lossmith.study.selection.by_target import ByTarget, source
from lossmith.study.selection.expected import with_expectations
from lossmith.study.selection.final import FinalModels
from lossmith.study.selection.storage import OF_ONE, OF_PARTS
from lossmith.study.suggest.expectation import lean
from lossmith.study.training.predictor import EnsembleModel, predicted
from lossmith.study.trials.scoring import Scoring
from lossmith.study.trials.stacked_worker import StackedWorker
from lossmith.study.trials.trainer import Model

STOPPED = " The study was stopped before its end."
PACKAGES = ("lossmith", "torch", "numpy", "scikit-learn", "skrub", "pandas")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a study of a table hands over: the loss, the model trained with it, and the evidence.

    Of an ensemble of several losses, `model` and what it predicts are those of the ensemble.
    """

    result: Result
    evidence: ReportData
    measurements: Measurements
    model: Model
    problem: TableProblem
    outputs: tuple[OutputSpec, ...]
    test_rows: np.ndarray
    test_predictions: tuple[np.ndarray, ...]  # by target
    folder: Path | None = None  # where its files are

    @property
    def loss(self) -> Loss:
        """The selected loss, an `nn.Module` fitted to the training targets.

        Of several targets it is a hybrid: a dict of outputs and a dict of targets by name.
        """
        return self.model.loss

    @property
    def verdict(self) -> Literal["switch", "keep"]:
        """Whether the selected loss is another than the default."""
        return self.result.verdict

    def predict(self, data: Any) -> pd.DataFrame:
        """Return predictions for new rows: `prediction`, and `probability_<class>` for classes.

        Of several targets these are `prediction_<target>` and `probability_<target>_<class>`, of
        times to an event `risk` and `survival_<time>`.

        data: a pandas or Polars DataFrame, or any table that exports Arrow.
        """
        predictions, note = predicted(self.model, plain_frame(data), self.outputs)
        if note:
            warnings.warn(note, stacklevel=2)
        return predictions

    def predictions(self) -> pd.DataFrame:
        """Return the predictions of the untouched rows beside their targets.

        row: its number in the table as it was given, from 0.
        """
        frame = predictions_table(self.test_predictions, self.outputs)
        for place, one in enumerate(self.problem.targets):
            actual = one.target[self.test_rows]
            if actual.ndim == 2:
                second = "query" if one.task == "ranking" else "event"
                frame.insert(place, second, actual[:, 1].astype(int))
                actual = actual[:, 0]
            column = f"target_{one.name}" if self.problem.several else "target"
            frame.insert(place, column, one.labels[actual] if len(one.labels) else actual)
        frame.insert(0, "row", self.problem.rows[self.test_rows])
        return frame

    def facts(self) -> dict[str, Any]:
        """Return what turns the model's output into predictions, as plain data."""
        return {
            **_format(self.model),
            "targets": [
                {
                    "name": one.name,
                    "labels": to_json(one.labels.tolist()),
                    "decision": None if one.decision is None else one.decision.tolist(),
                    "rule": one.rule,
                    "level": one.level,
                    **({"horizons": list(one.horizons)} if one.horizons else {}),
                }
                for one in self.outputs
            ],
        }


def _format(model: Model) -> dict[str, Any]:
    """Return the format of model.json, with the losses and readings of an ensemble's parts."""
    if not isinstance(model, EnsembleModel):
        return {"lossmith": OF_ONE}
    parts = [
        {"loss": document_of(one.loss), "level": one.readings[0].level_of(one.loss)}
        for one in model.parts
    ]
    return {"lossmith": OF_PARTS, "parts": parts}


def conclude(
    measurements: Measurements,
    models: FinalModels,
    worker: StackedWorker,
    *,
    split: Split,
    problem: TableProblem,
    findings: tuple[Finding, ...],
    interrupted: bool,
    seed: int,
    command: str,
) -> Selection:
    """Score the final models on the untouched rows, and gather all that is worth keeping."""
    view, decision = ByTarget(measurements, worker.scorer, split, problem), models.decision
    default, settings = measurements.candidates.default, measurements.settings
    untouched = problem.features.iloc[split.test]
    predictions = [model.predict(untouched) for model in (models.default, models.selected)]
    decisions = [view.decisions(settings[name]) for name in (default, decision.selected)]
    rows = view.scored_rows(predictions)
    if models.ensemble is not None:
        predictions.append(models.ensemble.model.predict(untouched))
        decisions.append([models.ensemble.picked.decision])
    tests = view.tests(rows, predictions, decisions)
    estimates = view.estimates() if problem.several else {}
    candidates = view.rows(estimates, decision.candidates)
    if not problem.several and not suspected(findings) and measurements.past_last_check:
        metric = worker.scorer.targets[0].metric
        candidates = with_expectations(
            candidates, measurements, problem.targets[0], split.train, metric
        )
    longer, edge = measurements.still_improving, measurements.at_edge
    result = Result(
        task=problem.task,
        metric=measurements.measure.name,
        better=measurements.measure.better,
        target=problem.name,
        rows=_row_counts(split, problem.dropped),
        diagnosis=findings + view.notes(),
        default=default,
        common=measurements.candidates.common,
        selected=decision.selected,
        verdict="switch" if decision.selected != default else "keep",
        sentence=_sentence(measurements, decision, problem, suspected(findings))
        + (_stopped(measurements) if interrupted else unsettled(longer, edge, measurements.epochs)),
        equivalents=decision.equivalents,
        withheld=decision.withheld,
        still_improving=tuple(dict.fromkeys(longer + edge)),
        candidates=candidates,
        lean=lean(candidates),
        test={} if problem.several else tests[0],
        targets=view.results(estimates, decision.selected, tests) if problem.several else (),
        cost=models.cost,
        seed=seed,
        interrupted=interrupted,
        versions=versions(),
        command=command,
        source="" if problem.several else source(problem.task, worker.scorer.targets[0].metric),
        ensemble=models.ensemble.picked.by_loss if models.ensemble else {},
        preset=measurements.design.preset,
    )
    outputs = _output_specs(problem, worker.scorer, models.selected, decisions[-1])
    evidence = (
        ReportData(curves=_curves(measurements), weights=view.weight_sweeps())
        if problem.several
        else _evidence(worker, measurements, split, predictions, rows[0], problem, models)
    )
    return Selection(
        result=result,
        evidence=replace(evidence, levels=tuple(one.level for one in outputs)),
        measurements=measurements,
        model=models.ensemble.model if models.ensemble else models.selected,
        problem=problem,
        outputs=outputs,
        test_rows=split.test,
        test_predictions=predictions[-1],
    )


def _output_specs(
    problem: TableProblem,
    scorer: Scoring,
    model: Model,
    decisions: Sequence[np.ndarray | None],
) -> tuple[OutputSpec, ...]:
    """Return how the selected model's predictions are read and written."""
    losses, scorers = losses_of(model.loss), scorer.targets
    return tuple(
        OutputSpec(
            name=one.name,
            labels=one.labels,
            decision=tuned,
            rule=of.metric.rule,
            level=of.reading.level_of(loss),
            horizons=reading.horizons,
        )
        for one, tuned, of, loss, reading in zip(
            problem.targets, decisions, scorers, losses, model.readings, strict=True
        )
    )


def _row_counts(split: Split, dropped: int) -> dict[str, int]:
    """Return how many rows train, test and were left out, and of how many the study was."""
    train, test = len(split.train), len(split.test)
    counts = {"total": train + test + dropped, "train": train, "test": test, "dropped": dropped}
    return counts | ({"studied": split.studied} if split.sampled else {})


def versions() -> dict[str, str]:
    """Return the versions that a study's numbers depend on."""
    packages = {name: version(name) for name in PACKAGES}
    return packages | {"python": platform.python_version()}


def _sentence(
    measurements: Measurements, decision: Decision, problem: TableProblem, suspicion: str
) -> str:
    """Return the verdict in one sentence."""
    rows = {row.name: row for row in decision.candidates}
    default = rows[measurements.candidates.default]
    chosen = rows[decision.withheld or decision.selected]
    metric = measurements.measure.name
    base = default.name + (" with tuned weights" if problem.several else "")
    if chosen is not default:
        gain, share = _gain(default, chosen, metric, problem.several)
        change = f"{gain} ({share}corrected p = {chosen.p_value:.2g})"
        if not decision.withheld:
            return f"Switch from {base} to {chosen.name}: {change}."
        better = f"with {chosen.name} " if problem.several else f"{chosen.name} looked better, "
        return (
            f"Keep {base}: {better}{change}, but rows seem to belong together ({suspicion}), which "
            "can feign this; give groups= (--groups COLUMN), or groups=False (--groups none) if "
            "they do not."
        )
    if problem.several:
        screened = measurements.design.earlier // WEIGHTINGS
        tried = f"{len(rows) - 1 + screened:,} alternatives"
        where = "all targets together"
    else:
        others = [row.name for row in rows.values() if row.folds > 0 and row is not default]
        if len(others) < 2:
            what = f"{others[0]} is not" if others else "no other loss is"
            return f"Keep {base}: {what} better on {metric} beyond doubt."
        tried, where = f"{len(others)} other losses", metric
    return f"Keep {base}: none of {tried} is better on {where} beyond doubt."


def _stopped(measurements: Measurements) -> str:
    """Say that a study was stopped, and how far beyond what was measured its models trained."""
    default = measurements.default
    measured = measurements.errors_by_epoch(default)[1][-1]
    trained = measurements.training_epochs(default)
    if trained <= measured:
        return STOPPED
    seen = f"{measured} {'was' if measured == 1 else 'were'} measured"
    return f" Its final models trained for {trained:,} epochs, of which {seen}.{STOPPED}"


def _gain(
    default: CandidateResult, chosen: CandidateResult, metric: str, several: bool
) -> tuple[str, str]:
    """Return what a switch gains, and by which share a single metric is better."""
    assert chosen.difference_to_default is not None
    gain = 100 * abs(chosen.difference_to_default / default.score) if default.score else 0.0
    if several:
        places = decimals([0.1 * gain])
        return f"errors fall by {number(gain, places)} % in the mean over targets", ""
    share = "" if not default.score else "under 0.1 % " if gain < 0.05 else f"{gain:.1f} % "
    places = decimals(0.01 * score for score in (default.score, chosen.score) if score)
    scores = f"{number(default.score, places)} → {number(chosen.score, places)}"
    return f"{metric} {scores}", f"{share}better, "


def _curves(measurements: Measurements) -> tuple[Curve, ...]:
    """Return each finalist's score over its training, averaged over the folds."""
    found = []
    for name, setting in measurements.settings.items():
        table, epochs = measurements.errors_by_epoch(setting)
        means = tuple(measurements.measure.error(float(mean)) for mean in table.mean(axis=0))
        best = measurements.evaluate(setting).best_epoch
        found.append(Curve(name=name, epochs=tuple(epochs), scores=means, best_epoch=best))
    return tuple(found)


def _evidence(
    worker: StackedWorker,
    measurements: Measurements,
    split: Split,
    predictions: Sequence[Sequence[np.ndarray]],
    rows: np.ndarray,
    problem: TableProblem,
    models: FinalModels,
) -> ReportData:
    """Return what the report draws of a single target."""
    outputs = []
    first = split.folds[0]
    target = torch.from_numpy(problem.target[first.valid])
    for name, setting in measurements.settings.items():
        kept = worker.outputs(setting, measurements.evaluate(setting).best_epoch)
        if kept is not None:
            loss, output = kept
            outputs.append(
                Outputs(name=name, loss=loss, output=output, target=target[: len(output)])
            )
    return ReportData(
        curves=_curves(measurements),
        outputs=tuple(outputs),
        test_target=problem.target[split.test],
        test_default=predictions[0][0],
        test_selected=predictions[1][0],
        test_counted=rows,
        classes=problem.targets[0].classes,
        horizons=models.selected.readings[0].horizons,
    )
