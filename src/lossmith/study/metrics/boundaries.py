"""Metrics of masks by how far their boundaries lie apart, image by image."""

from abc import abstractmethod

import numpy as np
from torch import Tensor

from lossmith.study.base.direction import Better
from lossmith.study.metrics.overlap import Overlap, without_channel
from lossmith.study.metrics.reading import IGNORED, class_codes, decided, has_classes
from lossmith.study.metrics.sums import ratio

Array = np.ndarray


class Boundary(Overlap):
    """A value of each image and class but 0, averaged over classes, then over images.

    Shapes: as the overlaps', in two or three dimensions of space. Where pixels are ignored neither
    mask is. Classes that an image neither has nor is predicted to have do not count for it.
    """

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return each image's value, and whether it counts, (N, 2)."""
        target, prediction = without_channel(self.name, target, prediction)
        classes = prediction.shape[1] if has_classes(target, prediction) else 2
        target, chosen = class_codes(self.name, target), decided(self.name, target, prediction)
        valid = (target >= 0) & (target != IGNORED)
        most = max(classes, 1 + int(max(target.max(where=valid, initial=0), chosen.max())))
        found = [
            self._image(target[n], chosen[n], valid[n], range(1, most)) for n in range(len(target))
        ]
        return np.array(found, dtype=np.float64).reshape(-1, 2)

    def _image(self, target: Array, chosen: Array, valid: Array, codes: range) -> tuple:
        pairs = [((target == code) & valid, (chosen == code) & valid) for code in codes]
        values = [self.of_masks(*pair) for pair in pairs if pair[0].any() or pair[1].any()]
        return (np.mean(values), 1) if values else (0, 0)

    @abstractmethod
    def of_masks(self, actual: Array, chosen: Array) -> float:
        """Return the value of two masks, of which one at most is empty."""

    def value(self, sums: Tensor) -> Tensor:
        """Return the mean of the images that count."""
        return ratio(sums[0], sums[1])


class BoundaryF1(Boundary):
    r"""F1 of boundary pixels that lie within 0.75 % of the image's diagonal of the other boundary.

    .. math:: m = \frac{2 P R}{P + R} \qquad P = \operatorname*{mean}_{b \in \partial \hat M}
        1[d(b, \partial M) \le \theta], \; R = \operatorname*{mean}_{b \in \partial M}
        1[d(b, \partial \hat M) \le \theta]

    Source: Csurka, Larlus & Perronnin, What Is a Good Evaluation Measure for Semantic
    Segmentation?, 2013.
    """

    name, label = "boundary_f1", "boundary F1"

    def of_masks(self, actual: Array, chosen: Array) -> float:
        """Return the harmonic mean of precision and recall; 0 where a mask is empty."""
        if not (actual.any() and chosen.any()):
            return 0.0
        reach = 0.0075 * diagonal(actual)
        recall, precision = (float((one <= reach).mean()) for one in distances(actual, chosen))
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


class Hausdorff95(Boundary):
    r"""The distance, in pixels, within which 95 % of each boundary lies of the other.

    .. math:: m = \max\left(\operatorname*{q_{95}}_{b \in \partial M} d(b, \partial \hat M),\,
        \operatorname*{q_{95}}_{b \in \partial \hat M} d(b, \partial M)\right)

    Where one of the masks is empty it is the image's diagonal.

    Source: Huttenlocher, Klanderman & Rucklidge, Comparing Images Using the Hausdorff Distance,
    1993; Menze et al., The Multimodal Brain Tumor Image Segmentation Benchmark, 2015.
    """

    name, label, unit = "hausdorff95", "Hausdorff distance at 95 %", "pixels"
    better: Better = "lower"

    def of_masks(self, actual: Array, chosen: Array) -> float:
        """Return the larger of both 95 % quantiles."""
        if not (actual.any() and chosen.any()):
            return diagonal(actual)
        return max(float(np.percentile(one, 95)) for one in distances(actual, chosen))


def diagonal(mask: Array) -> float:
    """Return the length of an image's diagonal in pixels."""
    return float(np.linalg.norm(mask.shape))


def distances(actual: Array, chosen: Array) -> tuple[Array, Array]:
    """Return how far each boundary's pixels lie from the other boundary."""
    from scipy.ndimage import distance_transform_edt

    first, second = edge(actual), edge(chosen)
    return distance_transform_edt(~second)[first], distance_transform_edt(~first)[second]


def edge(mask: Array) -> Array:
    """Return the pixels of a mask with a neighbour outside it, or at the image's border."""
    from scipy.ndimage import binary_erosion

    return mask & ~binary_erosion(mask)
