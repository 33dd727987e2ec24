"""What losses with learned proxies share."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from lossmith import functional as F
from lossmith.core.hyperparameter import Real, Whole
from lossmith.core.loss import Loss
from lossmith.functional.checks import promote

CLASSES = Whole(low=2, doc="number of classes")
FEATURES = Whole(low=1, doc="width of the embeddings")
SCALE = Real(default=64.0, low=0.0, exclusive=True, doc="factor of the cosines in the softmax")
# An embedding without a direction has cosine 0 to every proxy, wherever they are.
ORIGIN = [[0.0, 0.0, 0.0]] * 3
EACH = [0, 1, 2]
SIZES = {"classes": 3, "features": 3}
SMALL = {**SIZES, "scale": 4.0}


class ProxyLoss(Loss, ABC):
    """A loss with learned proxies; a subclass states how sharp its softmax over them is.

    The proxies are parameters: give them to the optimizer, often at a higher learning rate. They
    start as random directions, the same ones each time.
    """

    classes: Whole = CLASSES
    features: Whole = FEATURES

    def initial_state(self) -> dict[str, Tensor]:
        """Return the proxies at the start."""
        first = F.init_proxies(self.classes * self.centers, self.features)
        return {"proxies": nn.Parameter(first)}

    @property
    def centers(self) -> int:
        """How many proxies each class has."""
        return 1

    @abstractmethod
    def sharpness(self) -> Tensor:
        """Return the factor of the cosines in the softmax over the classes."""

    def decode(self, output: Tensor) -> Tensor:
        """Return a probability for each class from embeddings (N, D); the nearest proxy's is most.

        Margins are part of training alone.
        """
        rows = promote(output)
        cos = F.nearest_cosines(rows, self.proxies, self.centers)
        return (cos * self.sharpness().to(cos.dtype)).softmax(1)
