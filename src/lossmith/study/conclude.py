"""After the search: the final models on untouched rows, and everything worth keeping."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from lossmith.core.loss import Loss
from lossmith.study.data.folds import Split
from lossmith.study.data.labels import to_json
from lossmith.study.data.problem import Problem
from lossmith.study.data.table import plain_frame
from lossmith.study.diagnose import suspected
from lossmith.study.formatting import decimals, number
from lossmith.study.metrics import Metric, decide, shifted
from lossmith.study.result import (
    CandidateResult,
    Curve,
    Evidence,
    Finding,
    Outputs,
    Result,
)
from lossmith.study.rules.decision import Decision
from lossmith.study.rules.history import TrialHistory
from lossmith.study.rules.measurements import Measurements
from lossmith.study.search.final import FinalModels
from lossmith.study.search.outliers import FAR, residual_scales
from lossmith.study.search.trainer import Model, Trainer

STOPPED = " The study was stopped before its end."
PACKAGES = ("lossmith", "torch", "numpy", "scikit-learn", "skrub", "pandas")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a study hands over: the loss, the model trained with it, and the evidence."""

    result: Result
    evidence: Evidence
    measurements: Measurements
    model: Model
    problem: Problem
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
        predicted = self.model.predict(plain_frame(data))
        return prediction_frame(predicted, self.problem.labels, self.decision)

    def predictions(self) -> pd.DataFrame:
        """Return the predictions of the untouched rows beside their row numbers and targets."""
        target, predicted = self.evidence.test_target, self.evidence.test_selected
        labels: np.ndarray = np.empty(0)
        if predicted.ndim > 1:
            labels = self.problem.labels
            target = labels[target]
        frame = prediction_frame(predicted, labels, self.decision)
        frame.insert(0, "row", self.test_rows)
        frame.insert(1, "target", target)
        return frame

    def facts(self) -> dict[str, Any]:
        """Return what turns a table's model into predictions, as plain data."""
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
    measurements: Measurements,
    models: FinalModels,
    trainer: Trainer,
    metric: Metric,
    *,
    problem: Problem,
    findings: tuple[Finding, ...],
    seed: int,
    command: str,
) -> Selection:
    """Score the final models on the untouched rows, and gather all that is worth keeping."""
    decision = models.decision
    default, selected = final_pair(measurements, decision)
    predictions = [trainer.predict_test(model) for model in (models.default, models.selected)]
    decisions = [
        decision_of(metric, one, measurements.folds, measurements.evaluate(one).best_epoch)
        for one in (default, selected)
    ]
    target = trainer.test_target()
    rows = scored_test_rows(metric, measurements.excluded > 0, target, predictions)
    notes = notes_of(problem) + outlier_finding(metric, measurements.excluded)
    result = Result(
        **common_facts(measurements, decision, trainer),
        rows=row_counts(trainer.split, problem.dropped),
        target=problem.name,
        diagnosis=findings + notes,
        sentence=_sentence(measurements, decision, suspected(findings)),
        candidates=decision.candidates,
        test=test_scores(metric, rows, target, predictions, decisions),
        cost=models.cost,
        seed=seed,
        interrupted=not measurements.finished,
        command=command,
    )
    return Selection(
        result=result,
        evidence=_evidence(measurements, trainer, predictions, rows, problem),
        measurements=measurements,
        model=models.selected,
        problem=problem,
        decision=decisions[1],
        test_rows=trainer.split.test,
    )


def final_pair(measurements: Measurements, decision: Decision) -> tuple[Any, Any]:
    """Return the histories of the default and of the selected loss."""
    histories = measurements.final_histories()
    return histories[measurements.candidates.default], histories[decision.selected]


def decision_of(
    metric: Metric, history: TrialHistory, folds: Sequence[int], epoch: int
) -> np.ndarray | None:
    """Return the mean of the decisions that were tuned for the folds."""
    if not metric.tuned:
        return None
    return np.mean([history.decisions[fold][epoch] for fold in folds], axis=0)


def scored_test_rows(
    metric: Metric,
    exclude_outliers: bool,
    target: np.ndarray,
    predictions: Sequence[np.ndarray],
) -> np.ndarray:
    """Return which untouched rows are scored: all, or those without gross errors in the target."""
    if not exclude_outliers:
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
    decided = [shifted(*pair) for pair in zip(predictions, decisions, strict=True)]
    default, selected = (metric.score(target[rows], values[rows]) for values in decided)
    return {
        "default": default,
        "selected": selected,
        "rows": float(rows.sum()),
        "default_all_rows": metric.score(target, decided[0]),
        "selected_all_rows": metric.score(target, decided[1]),
    }


def common_facts(
    measurements: Measurements, decision: Decision, trainer: Trainer
) -> dict[str, Any]:
    """Return what a result says of every study, of one target or several."""
    default = measurements.candidates.default
    return {
        "task": trainer.task,
        "metric": measurements.measure.name,
        "better": measurements.measure.better,
        "default": default,
        "naive": measurements.candidates.common,
        "selected": decision.selected,
        "verdict": "switch" if decision.selected != default else "keep",
        "equivalents": decision.equivalents,
        "withheld": decision.withheld,
        "versions": versions(),
    }


def row_counts(split: Split, dropped: int) -> dict[str, int]:
    """Return how many rows train, test and were left out."""
    train, test = len(split.develop), len(split.test)
    return {"total": train + test + dropped, "train": train, "test": test, "dropped": dropped}


def versions() -> dict[str, str]:
    """Return the versions that a study's numbers depend on."""
    packages = {name: version(name) for name in PACKAGES}
    return packages | {"python": platform.python_version()}


def notes_of(problem: Problem) -> tuple[Finding, ...]:
    """Return what the user should know of how the problem was read."""
    return tuple(Finding(name="note", value="", meaning=note) for note in problem.notes)


def outlier_finding(metric: Metric, excluded: float) -> tuple[Finding, ...]:
    """Say which share of the rows is not scored, where there is such."""
    if not excluded:
        return ()
    return (
        Finding(
            name="gross errors in the target",
            value=f"{100 * excluded:.1f} % of the validation rows",
            meaning=f"no loss predicts them within {FAR:g} robust scales, and their squares would "
            f"decide {metric.name} alone: scores leave these rows out (keep_outliers, or "
            "--keep-outliers, counts them)",
            level="warning",
        ),
    )


def withheld_sentence(default: str, change: str, suspicion: str) -> str:
    """Say what looked better, and what must be known before it may be chosen."""
    return (
        f"Keep {default}: {change}, but rows seem to belong together ({suspicion}), which can "
        "feign this; give groups= (--groups COLUMN), or groups=False (--groups none) if they do "
        "not."
    )


def _sentence(measurements: Measurements, decision: Decision, suspicion: str) -> str:
    rows = {row.name: row for row in decision.candidates}
    default, metric = measurements.candidates.default, measurements.measure.name
    if decision.withheld:
        change = _change(rows[decision.withheld], rows[default], metric)
        sentence = withheld_sentence(
            default, f"{decision.withheld} looked better, {change}", suspicion
        )
    elif decision.selected == default:
        others = len([row for row in decision.candidates if row.cells > 0]) - 1
        sentence = (
            f"Keep {default}: none of {others} other losses is better on {metric} beyond doubt."
        )
    else:
        change = _change(rows[decision.selected], rows[default], metric)
        sentence = f"Switch from {default} to {decision.selected}: {change}."
    return sentence + ("" if measurements.finished else STOPPED)


def _change(chosen: CandidateResult, default: CandidateResult, metric: str) -> str:
    assert chosen.difference_to_default is not None
    gain = 100 * abs(chosen.difference_to_default / default.score) if default.score else 0.0
    share = "" if not default.score else "under 0.1 % " if gain < 0.05 else f"{gain:.1f} % "
    places = decimals(0.01 * score for score in (default.score, chosen.score) if score)
    return (
        f"{metric} {number(default.score, places)} → {number(chosen.score, places)} "
        f"({share}better, corrected p = {chosen.p_value:.2g})"
    )


def curves_of(measurements: Measurements) -> tuple[Curve, ...]:
    """Return each finalist's score over its training, averaged over the folds."""
    found = []
    for name, history in measurements.final_histories().items():
        table, epochs = history.errors_by_epoch(measurements.folds)
        means = tuple(measurements.measure.error(float(mean)) for mean in table.mean(axis=0))
        best = measurements.evaluate(history).best_epoch
        found.append(Curve(name=name, epochs=tuple(epochs), scores=means, best_epoch=best))
    return tuple(found)


def _evidence(
    measurements: Measurements,
    trainer: Trainer,
    predictions: list[np.ndarray],
    rows: np.ndarray,
    problem: Problem,
) -> Evidence:
    outputs = []
    target = trainer.valid_targets_tensor(measurements.screening_folds[0])
    for name, history in measurements.final_histories().items():
        best = measurements.evaluate(history).best_epoch
        if best in history.outputs:
            loss, output = history.outputs[best]
            outputs.append(
                Outputs(name=name, loss=loss, output=output, target=target[: len(output)])
            )
    return Evidence(
        curves=curves_of(measurements),
        outputs=tuple(outputs),
        test_target=trainer.test_target(),
        test_default=predictions[0],
        test_selected=predictions[1],
        test_counted=rows,
        classes=problem.classes,
    )
