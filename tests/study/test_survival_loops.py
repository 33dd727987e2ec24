"""The integrated Brier score in loops of one's own: what fits, how heads are read, what is not."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import KFold

from lossmith import LogisticHazard
from lossmith.study.base.errors import InputError
from lossmith.study.metrics.resolve import as_metric
from lossmith.study.study import Study
from lossmith.study.trials.trial import Trial

ROWS = 150
DRAW = np.random.default_rng(0)
X = DRAW.normal(size=ROWS)
TRUE, CENSORED = DRAW.exponential(np.exp(-X)), DRAW.exponential(2, ROWS)
TARGET = {"time": np.minimum(TRUE, CENSORED), "event": (TRUE <= CENSORED).astype(int)}


def study(**more: Any) -> Study:
    settings: dict[str, Any] = {
        "metric": "integrated_brier",
        "target": TARGET,
        "splits": list(KFold(5, shuffle=True, random_state=0).split(X)),
        "learning_rates": (0.1,),
        "epochs": 1,
    }
    return Study(None, **settings | more)


def report(trial: Trial) -> None:
    outputs = 0.1 * torch.tensor(X[trial.valid]).float()[:, None].repeat(1, trial.out_features or 1)
    for _ in trial.epochs:
        trial.report(outputs=outputs.squeeze(1) if trial.out_features == 1 else outputs)


def test_the_default_is_a_likelihood_of_curves_and_cox_takes_no_part() -> None:
    found = study()
    assert found.design.default == "logistic_hazard"
    assert found.design.common is None
    assert set(found.design.candidates) >= {"mtlr", "weibull_aft", "log_normal_aft", "bce_surv"}
    assert "cox" not in found.design.candidates
    assert "Kvamme" in found.verdict().result.source


def test_heads_are_read_at_the_horizons_of_all_rows() -> None:
    found = study(losses=["weibull_aft"], default="logistic_hazard")
    scores = {}

    def train(trial: Trial) -> None:
        report(trial)
        if trial.name == "logistic_hazard" and trial.fold == 0:
            rows, loss = trial.valid, trial.loss
            assert isinstance(loss, LogisticHazard)
            output = 0.1 * torch.tensor(X[rows])[:, None].repeat(1, loss.out_features)
            metric = as_metric("integrated_brier").fitted(TARGET)
            ends = [torch.full((len(rows),), one).double() for one in metric.horizons]
            curve = torch.stack([loss.survival(output, end) for end in ends], dim=1)
            own = {name: part[rows] for name, part in TARGET.items()}
            scores["own"] = metric.score(own, curve)

    found.run(train)
    (fold,) = (
        record.reports[0].score
        for training, record in found.journal.facts().records.items()
        if training.setting.candidate == "logistic_hazard" and training.fold == 0
        if not training.twin
    )
    assert fold == pytest.approx(scores["own"], rel=1e-5)
    assert np.isfinite(found.verdict().candidates[0].score)


def test_a_loss_of_risks_alone_is_one_line() -> None:
    found = study(losses=["logistic_hazard"], default="cox")
    with pytest.raises(InputError, match="cox gives no probabilities to survive; name a loss"):
        found.run(report)


def test_curves_that_a_loop_decodes_itself_are_scored_as_they_are() -> None:
    def own(input: torch.Tensor, target: dict[str, torch.Tensor]) -> torch.Tensor:
        return input.mean()

    found = study(losses={"own": own}, default="logistic_hazard")
    count = len(as_metric("integrated_brier").fitted(TARGET).horizons)

    def train(trial: Trial) -> None:
        if trial.name != "own":
            return report(trial)
        for _ in trial.epochs:
            trial.report(outputs=torch.full((len(trial.valid), count), 0.5))

    found.run(train)
    (one,) = [row for row in found.verdict().candidates if row.name == "own"]
    assert one.status in ("finished", "dropped", "selected")


def test_the_sample_of_curves_orders_rows_by_how_little_survives() -> None:
    found = study(losses=["mtlr"], default="logistic_hazard")
    found.run(report)
    sample = found.verdict().sample
    assert sample is not None
    assert sample.kind == "risks"
    assert sample.default["risk"].ndim == 1
