"""A class that some folds lack: every loss has a head of all classes, in every fold."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lossmith import Focal
from lossmith.study.study import Study
from lossmith.study.trials.trial import Trial

torch.manual_seed(0)
X = torch.randn(80, 4)
RARE = torch.arange(80) % 3
RARE[0] = 3
GAP = torch.where(RARE > 1, 7, torch.arange(80) % 2)
MASKS = torch.randint(2, (20, 6, 6))
MASKS[0, 0, 0] = 2
IGNORED = torch.where((torch.rand(20, 6, 6) < 0.2) & (MASKS < 2), 255, MASKS)

NAMED: list[Any] = ["focal", "cross_entropy + 0.5 brier", Focal]


def widths(target: torch.Tensor, metric: str, loss: Any, **more: Any) -> set[int | None]:
    """Return how wide the heads of a loss are over the folds; every fold is scored."""
    found: set[int | None] = set()

    def train(trial: Trial) -> None:
        found.add(trial.out_features)
        shape = (len(trial.valid), trial.out_features or 1, *target.shape[1:])
        trial.report(1, outputs=torch.randn(shape))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "class 3 has 1 of 80 rows")
        study = Study(
            None,
            metric=metric,
            target=target,
            losses={"one": loss},
            default="one",
            learning_rates=[0.1],
            epochs=1,
            **more,
        )
        study.run(train)
    assert np.isfinite(study.frame().score).all()
    return found


@pytest.mark.parametrize("loss", NAMED, ids=str)
@pytest.mark.parametrize(("target", "classes"), [(RARE, 4), (GAP, 8)])
def test_a_named_loss_knows_all_classes(loss: Any, target: torch.Tensor, classes: int) -> None:
    assert widths(target, "log_loss", loss) == {classes}


@pytest.mark.parametrize("loss", ["dice", "cross_entropy + dice", "lovasz_softmax"])
@pytest.mark.parametrize("target", [MASKS, IGNORED])
def test_a_named_loss_knows_all_classes_of_masks(loss: str, target: torch.Tensor) -> None:
    assert widths(target, "mean_iou", loss) == {3}


def test_a_named_loss_knows_all_classes_beside_a_teacher() -> None:
    late = np.arange(80) >= 40
    target = torch.as_tensor(np.where(late, 3, np.arange(80) % 3))
    split = np.flatnonzero(~late), np.flatnonzero(late)
    loss = "0.5 cross_entropy + 0.5 dkd"
    assert widths(target, "accuracy", loss, task="distillation", splits=split) == {4}


def test_what_is_said_of_a_name_holds() -> None:
    def train(trial: Trial) -> None:
        assert trial.loss.classes == 9
        trial.report(1, outputs=nn.functional.one_hot(RARE[trial.valid], 9).float())

    losses = ["focal(classes=9)"]
    Study(
        None,
        metric="accuracy",
        target=RARE,
        losses=losses,
        default=losses[0],
        splits=[(np.arange(40), np.arange(40, 80))],
        learning_rates=[0.1],
        epochs=1,
    ).run(train)


def test_a_rare_class_is_told_once_in_one_line() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        Study(None, metric="accuracy", target=RARE, losses=["focal"], epochs=1)
    (only,) = (str(one.message) for one in told if issubclass(one.category, UserWarning))
    assert only.startswith("class 3 has 1 of 80 rows, so that some of the 5 folds lack it")
    assert told[0].filename == __file__
