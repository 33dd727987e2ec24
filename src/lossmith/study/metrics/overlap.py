"""Metrics of masks: overlaps of each class over the whole validation set."""

import numpy as np
from torch import Tensor

from lossmith.study.base.direction import Better
from lossmith.study.base.errors import InputError
from lossmith.study.metrics.reading import (
    IGNORED,
    class_codes,
    decided,
    has_classes,
    same_shape,
)
from lossmith.study.metrics.study_metric import to_array
from lossmith.study.metrics.sums import ClassSums, mean_where, ratio

Array = np.ndarray


class Overlap(ClassSums):
    """Counts of hits I, predictions P and targets T of each class.

    Shapes: targets (N, …) of class codes, 255 and negative ones ignored, and predictions
    (N, C, …) of probabilities or (N, …) of class codes: all classes count, the background too.
    Predictions (N, …) or (N, 1, …) of one probability, or booleans: the class 1 alone counts.
    """

    better: Better = "higher"

    def check(self, target: object) -> None:
        """Raise InputError for masks of 0 and 255, or of no whole numbers."""
        super().check(target)
        if set(np.unique(to_array(target))) == {0, IGNORED}:
            raise InputError(f"{self.name} ignores class 255; divide masks of 0 and 255 by 255")

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return hits, predictions and targets of each class, (N, 3C)."""
        target, prediction = without_channel(self.name, target, prediction)
        single = not has_classes(target, prediction) and not np.issubdtype(
            prediction.dtype, np.integer
        )
        target, chosen = class_codes(self.name, target), decided(self.name, target, prediction)
        count = prediction.shape[1] if has_classes(target, prediction) else 1 + int(chosen.max())
        valid = (target >= 0) & (target != IGNORED)
        count = 2 if single else max(count, 1 + int(target.max(where=valid, initial=0)))
        hit = valid & (chosen == target)
        counts = [_counts(target, hit, count), _counts(chosen, valid, count)]
        counts.append(_counts(target, valid, count))
        return np.concatenate([part[:, 1:] if single else part for part in counts], axis=1)


class MeanIoU(Overlap):
    r"""Intersection over union of each class, averaged over the classes that are anywhere.

    .. math:: m = \operatorname*{mean}_{c:\, P_c + T_c > 0} \frac{I_c}{P_c + T_c - I_c}

    Source: Everingham et al., The PASCAL Visual Object Classes Challenge, 2010.
    """

    name, label = "mean_iou", "mean IoU"

    def value(self, sums: Tensor) -> Tensor:
        """Return the mean of the classes' ratios."""
        hits, chosen, actual = sums.reshape(3, -1)
        union = chosen + actual - hits
        return mean_where(ratio(hits, union), union > 0)


class Dice(Overlap):
    r"""Dice coefficient of each class, averaged over the classes that are anywhere.

    .. math:: m = \operatorname*{mean}_{c:\, P_c + T_c > 0} \frac{2 I_c}{P_c + T_c}

    Source: Dice, Measures of the Amount of Ecologic Association Between Species, 1945.
    """

    name, label = "dice", "Dice"

    def value(self, sums: Tensor) -> Tensor:
        """Return the mean of the classes' ratios."""
        hits, chosen, actual = sums.reshape(3, -1)
        return mean_where(ratio(2 * hits, chosen + actual), chosen + actual > 0)


class MeanImageDice(Overlap):
    r"""Dice coefficient of each image over its classes but 0, averaged over the images.

    .. math:: m = \operatorname*{mean}_n \operatorname*{mean}_{c \ge 1:\, P_{nc} + T_{nc} > 0}
        \frac{2 I_{nc}}{P_{nc} + T_{nc}}

    An image without any such class, predicted or true, does not count.

    Source: Menze et al., The Multimodal Brain Tumor Image Segmentation Benchmark, 2015.
    """

    name, label = "mean_image_dice", "mean Dice of an image"

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return each image's value, and whether it counts, (N, 2)."""
        hits, chosen, actual = np.split(super().statistics(target, prediction), 3, axis=1)
        whole = (chosen + actual)[:, hits.shape[1] > 1 :]
        parts = 2 * hits[:, hits.shape[1] > 1 :] / np.maximum(whole, 1)
        held = (whole > 0).sum(axis=1)
        return np.stack([parts.sum(axis=1) / np.maximum(held, 1), held > 0], axis=1)

    def value(self, sums: Tensor) -> Tensor:
        """Return the mean of the images that count."""
        return ratio(sums[0], sums[1])


def without_channel(name: str, target: Array, prediction: Array) -> tuple[Array, Array]:
    """Return masks without a dimension of one channel.

    Raises:
        InputError: where they are of other shapes than the predictions.
    """
    if target.ndim > 2 and target.shape[1] == 1 and not has_classes(target, prediction):
        target = target[:, 0]
    if prediction.ndim == target.ndim + 1 and prediction.shape[1] == 1:
        prediction = prediction[:, 0]
    if not has_classes(target, prediction):
        same_shape(name, target, prediction)
    return target, prediction


def _counts(codes: Array, held: Array, count: int) -> Array:
    """Return how often each row has each class where held, (N, count)."""
    rows = len(codes)
    cells = codes.reshape(rows, -1) + count * np.arange(rows)[:, None]
    found = np.bincount(cells[held.reshape(rows, -1)], minlength=rows * count)
    return found.reshape(rows, count)
