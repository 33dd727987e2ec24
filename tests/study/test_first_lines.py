"""What a study says before it trains: of targets, scales, folders and metrics of one's own."""

import gc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lossmith
from lossmith.study.base.errors import InputError
from lossmith.study.study import Study
from shared.own_loop import X, Y, study, train

FAR = 100 + 20 * Y  # from 0, and wide


def warned(losses: list[Any], target: Any, **more: Any) -> list[str]:
    """Return what a study warns of when it is begun."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        study(None, losses=losses, default=losses[0], target=target, **more)
    assert all(one.filename.endswith("own_loop.py") for one in told)
    return [str(one.message) for one in told]


@pytest.mark.parametrize(
    "own", [nn.L1Loss(), lossmith.MAE(), nn.functional.l1_loss], ids=["torch", "ours", "function"]
)
@pytest.mark.parametrize("scale", [20.0, 0.001])
def test_names_and_modules_of_a_raw_target_are_told_apart(own: Any, scale: float) -> None:
    """The one sees the target centred and scaled, the other not: it would decide, not the loss."""
    (told,) = warned([own, "huber"], scale * Y)
    assert "sees the target as it is" in told
    assert "huber sees it centred and scaled" in told


@pytest.mark.parametrize(
    ("losses", "target"),
    [
        ([nn.L1Loss(), "huber"], (Y - Y.median()) / 2),
        ([nn.L1Loss(), nn.MSELoss()], FAR),
        (["mae", "huber"], FAR),
        ([nn.CrossEntropyLoss(), "focal"], (Y > 0).long()),
    ],
    ids=["standardised", "own alone", "names alone", "classes"],
)
def test_where_scales_agree_nothing_is_said(losses: list[Any], target: Any) -> None:
    metric = "mae" if target.is_floating_point() else "accuracy"
    assert not warned(losses, target, metric=metric)


@pytest.mark.parametrize("metric", ["mae", "rmse", "log_loss"])
def test_a_missing_target_is_told_before_anything_trains(metric: str) -> None:
    target = (Y > 0).float() if metric == "log_loss" else Y.clone()
    target[3] = torch.nan
    with pytest.raises(InputError, match=f"{metric} needs targets that are numbers, but 1 are NaN"):
        study(None, target=target, metric=metric)


def test_what_was_given_is_told_where_nothing_fits() -> None:
    with pytest.raises(InputError, match=r"got float32 of shape \(120, 1\)"):
        study(None, losses=None, default=None, target=Y[:, None])


def test_a_metric_that_raises_says_what_it_was_given() -> None:
    def wrong(target: Any, prediction: Any) -> Any:
        return (target - prediction).median().item()

    said = r"the metric wrong raised AttributeError: .* \(test_first_lines.py, line \d+\); it is "
    said += r"called with target and prediction, here an array \(24,\) and an array \(24,\)"
    with (
        pytest.raises(InputError, match=said),
        pytest.warns(UserWarning, match="mse@0.01#0 failed"),
    ):
        study(None, metric=wrong, better="lower").run(train)


def test_a_study_in_memory_leaves_nothing(tmp_path: Path) -> None:
    one = study(None, epochs=1, losses=["mse"], learning_rates=(0.1,))
    folder = one.folder
    one.run(train)
    page = one.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "in-memory" in page
    assert folder.parent.name not in page
    assert "# study: the one in memory that wrote this page" in page
    assert "lossmith.Study(" not in page
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del one
        gc.collect()
    assert not folder.parent.exists()


def test_a_study_in_memory_is_told_where_its_report_is_to_lie() -> None:
    with pytest.raises(InputError, match=r"say where: study.report\('report.html'\)"):
        study(None).report()


def test_splits_of_any_kind_of_row_numbers() -> None:
    half = np.arange(len(X)) < 60
    for pair in ((half, ~half), (np.flatnonzero(half), np.flatnonzero(~half))):
        assert len(Study(None, metric="mae", target=Y, splits=pair, epochs=1).folds.folds) == 5
