"""The overlap of predicted boxes with those that they are matched to."""

import numpy as np
from torch import Tensor

from lossmith.study.base.errors import InputError
from lossmith.study.metrics.reading import same_shape
from lossmith.study.metrics.sums import SumMetric, ratio

Array = np.ndarray


class BoxIoU(SumMetric):
    r"""Intersection over union of each predicted box and its target, averaged.

    .. math:: m = \operatorname*{mean}_n \frac{|x_n \cap y_n|}{|x_n \cup y_n|}

    Shapes: targets and predictions (N, 4): x1, y1, x2, y2. A box whose x2 lies below x1, or y2
    below y1, has no area; two without area have the value 0.

    Source: Everingham et al., The PASCAL Visual Object Classes Challenge, 2010.
    """

    name, label, better, best = "box_iou", "mean IoU of boxes", "higher", 1.0

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return each box's value, and 1, (N, 2)."""
        same_shape(self.name, target, prediction)
        if target.ndim != 2 or target.shape[1] != 4:
            raise InputError(f"{self.name} needs boxes (N, 4), x1 y1 x2 y2, got {target.shape}")
        low = np.maximum(target[:, :2], prediction[:, :2])
        high = np.minimum(target[:, 2:], prediction[:, 2:])
        shared = _area(low, high)
        union = _area(target[:, :2], target[:, 2:]) + _area(prediction[:, :2], prediction[:, 2:])
        union = union - shared
        values = np.where(union > 0, shared / np.where(union > 0, union, 1), 0)
        return np.stack([values, np.ones(len(values))], axis=1)

    def value(self, sums: Tensor) -> Tensor:
        """Return the mean."""
        return ratio(sums[0], sums[1])


def _area(low: Array, high: Array) -> Array:
    return np.prod(np.maximum(high.astype(np.float64) - low, 0), axis=1)
