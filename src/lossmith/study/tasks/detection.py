"""Boxes: each predicted box is matched to a target, as proposals or queries are."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from lossmith.core.loss import Loss
from lossmith.study.tasks.arrays import ArrayTask, Baseline

OVERLAP = Baseline(
    "giou", "Rezatofighi et al., 2019; what DETR and its followers train with: Carion et al., 2020"
)


class Detection(ArrayTask):
    """Boxes (N, 4), x1 y1 x2 y2 in any unit; a head of four outputs gives the same."""

    name = "detection"
    sample = "boxes"
    wanted = "boxes (N, 4), x1 y1 x2 y2 with x1 < x2 and y1 < y2,"
    start = "smooth_l1"
    defaults: ClassVar[Mapping[str, Baseline]] = {"box_iou": OVERLAP}
    sums = ("giou + smooth_l1", "giou + mae")

    def accepts(self, target: Any) -> bool:
        """Tell whether targets are boxes that have an area."""
        fine = isinstance(target, np.ndarray) and target.ndim == 2 and target.dtype.kind in "fiu"
        if not fine or target.shape[1] != 4 or not np.isfinite(target).all():
            return False
        return bool((target[:, :2] < target[:, 2:]).all())

    def admits(self, kind: type[Loss], target: Any) -> bool:
        """Tell whether a loss reads boxes, or the four numbers of one."""
        return kind.card.input in ("boxes", "values")

    def width(self, loss: Loss, target: Any) -> int:
        """Return four."""
        return 4
