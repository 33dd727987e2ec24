"""After a joint search: the verdict for all targets together, and what it means for each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lossmith.core.hybrid import Hybrid
from lossmith.study.conclude import (
    STOPPED,
    Selection,
    common_facts,
    curves_of,
    final_pair,
    row_counts,
    withheld_sentence,
)
from lossmith.study.data.labels import to_json
from lossmith.study.data.table import plain_frame
from lossmith.study.diagnose import suspected
from lossmith.study.formatting import decimals, number
from lossmith.study.multitarget.candidates import WEIGHTINGS
from lossmith.study.multitarget.model import JointModel, OutputSpec, joint_frame
from lossmith.study.multitarget.problem import JointProblem
from lossmith.study.multitarget.scores import JointScorer
from lossmith.study.multitarget.targets import TargetView
from lossmith.study.result import CandidateResult, Evidence, Finding, Result
from lossmith.study.rules.decision import Decision
from lossmith.study.rules.measurements import Measurements
from lossmith.study.rules.paired_test import Estimate
from lossmith.study.search.final import FinalModels
from lossmith.study.search.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class JointSelection(Selection):
    """What a study of several targets hands over: the hybrid, the model, and the evidence."""

    problem: JointProblem  # type: ignore[assignment]
    outputs: tuple[OutputSpec, ...]
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
        return joint_frame(self.joint.predict(plain_frame(data)), self.outputs)

    def predictions(self) -> pd.DataFrame:
        """Return the predictions of the untouched rows beside their row numbers and targets."""
        rows = self.test_rows
        frame = joint_frame(self.test_predictions, self.outputs)
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
                for one in self.outputs
            ]
        }


def conclude_jointly(
    measurements: Measurements,
    models: FinalModels,
    trainer: Trainer,
    scorer: JointScorer,
    *,
    problem: JointProblem,
    findings: tuple[Finding, ...],
    interrupted: bool,
    seed: int,
    command: str,
) -> JointSelection:
    """Score the final models on the untouched rows, target by target."""
    view = TargetView(measurements, trainer, scorer, problem)
    decision = models.decision
    rows = problem.features.iloc[trainer.split.test]
    predictions = [model.predict(rows) for model in (models.default, models.selected)]
    tuned = [view.decisions(one) for one in final_pair(measurements, decision)]
    estimates = {
        name: view.estimates(history) for name, history in measurements.final_histories().items()
    }
    candidates = tuple(
        replace(row, by_target=_plain(problem, estimates.get(row.name, ())))
        for row in decision.candidates
    )
    result = Result(
        **common_facts(measurements, decision, trainer),
        rows=row_counts(trainer.split, problem.dropped),
        target=problem.name,
        diagnosis=findings + view.notes(),
        sentence=_sentence(measurements, decision, suspected(findings), interrupted),
        targets=view.results(estimates, decision.selected, predictions, tuned),
        candidates=candidates,
        seed=seed,
        command=command,
        interrupted=interrupted,
        test={},
        cost=models.cost,
    )
    return JointSelection(
        result=result,
        evidence=Evidence(curves=curves_of(measurements), weights=view.weight_sweeps()),
        measurements=measurements,
        model=models.selected,
        problem=problem,
        decision=None,
        test_rows=trainer.split.test,
        outputs=tuple(
            OutputSpec(name=one.name, labels=one.labels, decision=of_target)
            for one, of_target in zip(problem.problems, tuned[1], strict=True)
        ),
        test_predictions=predictions[1],
    )


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


def _sentence(
    measurements: Measurements, decision: Decision, suspicion: str, interrupted: bool
) -> str:
    rows: dict[str, CandidateResult] = {row.name: row for row in decision.candidates}
    default = rows[measurements.candidates.default]
    chosen = rows[decision.withheld or decision.selected]
    losses = measurements.n_earlier_comparisons // WEIGHTINGS
    tried = len(measurements.candidates.candidates) - 1 + losses
    stopped = STOPPED if interrupted else ""
    if chosen is default or not default.score or chosen.difference_to_default is None:
        return (
            f"Keep {default.name} with tuned weights: none of {tried:,} alternatives is better on "
            f"all targets together beyond doubt.{stopped}"
        )
    start = f"{default.name} with tuned weights"
    gain = -100 * chosen.difference_to_default / default.score
    change = (
        f"errors fall by {number(gain, decimals([0.1 * gain]))} % in the mean over targets "
        f"(corrected p = {chosen.p_value:.2g})"
    )
    if decision.withheld:
        return withheld_sentence(start, f"with {chosen.name} {change}", suspicion) + stopped
    return f"Switch from {start} to {chosen.name}: {change}.{stopped}"
