"""Segmentation: masks of classes, or of one class and the rest; pixels of class 255 are ignored."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from lossmith.core.loss import Loss
from lossmith.study.metrics.reading import IGNORED
from lossmith.study.tasks.arrays import ArrayTask, Baseline, whole
from lossmith.study.tasks.candidate import Candidate, Sum

NNUNET = "nnU-Net: Isensee et al., 2021; compound losses are the most robust: Ma et al., 2021"
# Of one mask the losses of labels stand in for those of classes.
LABELS = {
    "cross_entropy": "binary_cross_entropy",
    "dice": "binary_dice",
    "lovasz_softmax": "lovasz_hinge",
    "focal": "binary_focal",
    "top_k_cross_entropy": "binary_top_k_cross_entropy",
}


class Segmentation(ArrayTask):
    """Masks (N, …) of whole numbers, of images or volumes.

    Two classes, none ignored, are one mask: a head of one output, read by losses of labels.
    """

    name = "segmentation"
    sample = "masks"
    wanted = (
        "masks (N, height, width, …) of two whole numbers or more from 0 on, ignored pixels being "
        f"{IGNORED}"
    )
    start = "cross_entropy"
    defaults: ClassVar[Mapping[str, Baseline]] = {
        "mean_iou": Baseline(
            "cross_entropy + lovasz_softmax", "a surrogate of mean IoU: Berman et al., 2018"
        ),
        "dice": Baseline("cross_entropy + dice", NNUNET),
        **dict.fromkeys(
            ("mean_image_dice", "boundary_f1", "hausdorff95"),
            Baseline("cross_entropy + dice", NNUNET),
        ),
    }
    sums = (
        "cross_entropy + dice",
        "cross_entropy + lovasz_softmax",
        "focal + dice",
        "top_k_cross_entropy + dice",
    )

    def accepts(self, target: Any) -> bool:
        """Tell whether targets are masks of classes from 0 on, two at least."""
        if not whole(target) or target.ndim < 3 or target.min() < 0:
            return False
        return len(np.unique(target[target != IGNORED])) > 1

    def single(self, target: Any) -> bool:
        """Tell whether targets are one mask, of which no pixel is ignored."""
        return bool(target.max() <= 1)

    def named(self, keys: str, target: Any) -> Candidate | Sum:
        """Return losses by key, of one mask those of labels."""
        if self.single(target):
            keys = " + ".join(LABELS.get(key, key) for key in keys.split(" + "))
        return super().named(keys, target)

    def admits(self, kind: type[Loss], target: Any) -> bool:
        """Tell whether a loss reads such masks: labels of a single one, else classes."""
        return kind.card.target == ("labels" if self.single(target) else "classes")

    def told(self, kind: type[Loss], target: Any) -> dict[str, Any]:
        """Return the number of classes, and what is ignored."""
        if kind.card.target != "classes":
            return {}
        classes = int(target[target != IGNORED].max()) + 1
        ignored = {"ignore_index": IGNORED} if (target == IGNORED).any() else {}
        return {"classes": classes, **ignored}
