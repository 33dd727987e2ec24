"""A loop of one's own tells the score of each step of a horizon, and what stands beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import KFold

from lossmith.study.metrics.resolve import as_metric
from lossmith.study.study import Study
from lossmith.study.trials.trial import Trial

ROWS, STEPS, FOLDS = 150, 3, 5
DRAW = np.random.default_rng(0)
PLAIN = DRAW.normal(10, 1, (ROWS, STEPS)) * np.array([1, 2, 4])
SCALE = DRAW.uniform(1, 2, ROWS)


def told(metric: str, target: Any, folder: Path | None = None) -> tuple[Study, dict[str, Any]]:
    """Return a finished study, and what its trials predicted, by loss and fold."""
    study = Study(
        folder,
        metric=metric,
        target=target,
        losses=["mse", "huber(delta=1)"] if metric in ("mase", "smape") else ["laplace_nll"],
        splits=list(KFold(FOLDS, shuffle=True, random_state=0).split(PLAIN)),
        learning_rates=(0.1,),
        epochs=1,
    )
    found: dict[str, Any] = {}

    def train(trial: Trial) -> None:
        generator = torch.Generator().manual_seed(trial.fold)
        outputs = torch.randn(len(trial.valid), trial.out_features, generator=generator)
        if trial.name == study.design.default:
            outputs += 10
        found[trial.name, trial.fold] = trial.valid, trial.loss, outputs
        for _ in trial.epochs:
            trial.report(outputs=outputs)

    study.run(train)
    return study, found


@pytest.mark.parametrize("metric", ["mase", "smape", "wql", "crps", "interval@0.8"])
def test_the_verdict_holds_the_score_of_each_step(metric: str, tmp_path: Path) -> None:
    target = {"value": PLAIN, "scale": SCALE} if metric == "mase" else PLAIN
    study, found = told(metric, target, tmp_path / "study")
    result, of = study.verdict().result, as_metric(metric)
    assert result.verdict == "switch"
    assert result.comparison is not None
    for role, name in (("default", result.default), ("selected", result.selected)):
        expected = []
        for fold in range(result.comparison.trainings):
            rows, loss, outputs = found[name, fold]
            read = study.aim.reading(loss, outputs).numpy()
            parts = []
            for step in range(STEPS):
                own: Any = PLAIN[rows, step]
                own = {"value": own, "scale": SCALE[rows]} if metric == "mase" else own
                parts.append(of.score(own, read[..., step]))
            expected.append(parts)
        beside = result.beside[role]
        steps = [beside[f"step {step + 1}"] for step in range(STEPS)]
        assert steps == pytest.approx(np.mean(expected, axis=0))
        assert ("coverage" in beside) == (metric == "interval@0.8")
    page = tmp_path / "page.html"
    study.verdict().write(page)
    assert "Beside the score, on validation rows, the mean of the folds" in page.read_text()
    assert "step 3" in page.read_text()
    assert f"{of.label} by step, default and chosen" in page.read_text()


def test_one_number_a_row_has_no_steps() -> None:
    study, _ = told("crps", PLAIN[:, 0])
    assert study.verdict().result.beside == {}
