"""What the losses of segmentation share: heads, decoding, images of which nothing counts."""

from abc import ABC

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.hyperparameter import Real, Switch, Whole
from lossmith.losses._classes import LOG3, ClassLoss

IGNORE = Whole(default=-100, doc="the target whose pixels are left out")
SMOOTH = Real(
    default=1e-05, low=0.0, exclusive=True, doc="pixels added to both sides of each fraction"
)
ALPHA = Real(default=0.3, low=0.0, doc="weight of false positives")
BETA = Real(default=0.7, low=0.0, doc="weight of false negatives")
GAMMA = Real(default=4 / 3, low=0.0, exclusive=True, doc="the root that is taken of the value")
SQUARED = Switch(
    default=True, search=(True, False), doc="whether masks are squared in the denominator"
)

# Four pixels of probability 3/4 and 1/4, for two classes and for one label.
CLASS_LOGITS = [[[[LOG3, 0.0], [LOG3, 0.0]], [[0.0, LOG3], [0.0, LOG3]]]]
BINARY_LOGITS = [[[-LOG3, LOG3], [-LOG3, LOG3]]]
CLASSES_SEEN = [[[0, 1], [1, 1]]]
LABELS_SEEN = [[[0.0, 1.0], [1.0, 1.0]]]


class ClassMasks(ClassLoss, ABC):
    """A loss of logits (N, C, …) against images of integer classes (N, …): one value an image."""

    ignore_index: Whole = IGNORE

    def weights(self, target: Tensor) -> Tensor | None:
        """Return weight 0 for images whose pixels are all ignored, 1 for the others."""
        return F.image_weights(target, ignore_index=self.ignore_index)


class BinaryMasks(Pointwise, ABC):
    """A loss of logits (N, …) against images of labels from 0 to 1 (N, …): one value an image."""

    ignore_index: Whole = IGNORE

    def weights(self, target: Tensor) -> Tensor | None:
        """Return weight 0 for images whose pixels are all ignored, 1 for the others."""
        return F.image_weights(target, ignore_index=self.ignore_index)

    def decode(self, output: Tensor) -> Tensor:
        """Return the sigmoid: the probability of label 1, of output's shape."""
        return F.sigmoid(output)
