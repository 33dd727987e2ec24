"""What a metric asks for is what is read of a head: quantiles, medians, in tables and loops."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import lossmith
from lossmith.study.metrics import lookup
from lossmith.study.metrics.resolve import as_metric
from lossmith.study.selection import storage
from lossmith.study.study import Study
from lossmith.study.training.heads import HeadReader, decoded, predict

HEAD = torch.tensor([[1.0, 0.0], [2.0, -1.0]], dtype=torch.float64)
TRUTH = stats.norm([1.0, 2.0], 0.001 + np.exp([0.0, -1.0]))


@pytest.mark.parametrize(
    ("name", "level"),
    [("pinball@0.9", 0.9), ("mae", 0.5), ("medae", 0.5), ("rmse", None), ("mape", None)],
)
def test_the_level_is_what_the_metric_asks_for(name: str, level: float | None) -> None:
    assert lookup(name).reads == level
    assert as_metric(name).reads == level


def test_a_gaussian_head_is_read_as_its_quantile_under_pinball() -> None:
    reading = HeadReader.of(lookup("pinball@0.9"), np.array([0.5]))
    loss = lossmith.GaussianNLL()
    np.testing.assert_allclose(predict(loss, HEAD, reading), TRUTH.ppf(0.9))
    np.testing.assert_allclose(decoded(loss, HEAD, None, reading), TRUTH.ppf(0.9))
    np.testing.assert_allclose(predict(lossmith.MSE(), HEAD[:, 0], reading), HEAD[:, 0])


def test_counts_are_read_at_a_level_where_targets_are_counts() -> None:
    head, metric = torch.tensor([1.0]), lookup("pinball@0.9")
    whole, other = (HeadReader.of(metric, np.array([0.0, end])) for end in (3.0, 2.5))
    loss = lossmith.Poisson()
    assert predict(loss, head, whole) == stats.poisson.ppf(0.9, np.e)
    assert predict(loss, head, other) == pytest.approx(np.e)


@pytest.mark.parametrize("key", ["gaussian_nll", "student_t_nll"])
def test_a_study_of_a_loop_scores_quantiles(key: str) -> None:
    target = torch.randn(40, generator=torch.Generator().manual_seed(0))
    study = Study(None, metric="pinball@0.9", target=target, losses=[key], epochs=1)
    for trial in study:
        raw = torch.zeros(len(trial.valid), trial.out_features)
        for _ in trial.epochs:
            trial.report(outputs=raw.squeeze(-1))
    for loss in study.contenders:
        module = study.fitted(loss, study.folds.folds[0].train)
        raw = torch.zeros(8, module.out_features).squeeze(-1)
        valid = target.numpy()[study.folds.folds[0].valid]
        frame = study.frame()
        found = frame[(frame.loss == loss) & (frame.fold == 0)].score.iloc[0]
        read = module.quantile(raw, 0.9)[0].item()
        assert found == pytest.approx(as_metric("pinball@0.9").score(valid, np.full(8, read)))


def test_a_table_is_predicted_by_quantiles_also_when_read_from_its_folder(tmp_path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=120)
    frame = pd.DataFrame({"x": x, "y": x + rng.normal(size=120)})
    selection = lossmith.select(
        frame,
        target="y",
        metric="pinball@0.9",
        candidates=["gaussian_nll"],
        epochs=2,
        learning_rates=[0.01],
        out=tmp_path / "run",
    )
    (output,) = selection.outputs
    assert output.level == 0.9
    saved = storage.load(tmp_path / "run")
    pd.testing.assert_frame_equal(saved.predict(frame), selection.predict(frame))
    text = (tmp_path / "run" / "report.html").read_text()
    assert "loss.quantile(model(x).squeeze(-1), 0.9)" in text
