"""What steadies a GAN besides its adversarial loss: anchored scores, matched features."""

from collections.abc import Mapping

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Switch
from lossmith.core.loss import Pointwise, Statistic
from lossmith.core.progress import Progress
from lossmith.losses.gan import SCORES


class LeCam(Pointwise):
    r"""LeCam regularisation: scores are held to the moving average of the other side's.

    .. math:: \ell = (r - \alpha_F)^2 + (f - \alpha_R)^2

    Shapes: scores "real" and "fake" alike, one a row or more; no target. The averages α are
    state: `observe` follows the signals "real" and "fake", the detached scores of each step,
    without the bias of the start. Before the first, the value is 0. The authors' code counts a
    real score only above the fakes' average and a fake one only below the real ones':
    `one_sided`. The paper adds it to the discriminator's hinge loss, at a weight of 0.01 to 0.5.

    Use when: Data are few and the discriminator overfits them.
    Avoid when: Data are plenty: it then slows the discriminator for nothing.
    Source: Tseng, Jiang, Liu, Yang, Yang, Regularizing Generative Adversarial Networks under
    Limited Data (2021).

    >>> LeCam()({"real": torch.ones(1), "fake": torch.zeros(1)})
    tensor(0.)
    """

    decay: Real = Real(default=0.99, low=0.0, high=1.0, doc="of the moving averages")
    one_sided: Switch = Switch(
        default=False, doc="whether only scores on the expected side of the other average count"
    )
    card = Card(
        key="le_cam",
        tasks=("gan",),
        input=SCORES,
        target=None,
        needs=("real", "fake"),
        example=Example(input={"real": [1.0], "fake": [0.0]}, target=None, value=0.0),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return averages of nothing."""
        names = ("real", "fake", "share")
        return {name: torch.zeros((), dtype=torch.float64, device="cpu") for name in names}

    def values(self, input: Mapping[str, Tensor], target: None) -> dict[str, Tensor]:
        """Return the values of the real and of the fake scores, 0 before the first average."""
        begun = self.share > 0
        share = torch.where(begun, self.share, 1.0)
        anchors = {"real": self.real / share, "fake": self.fake / share}
        scores = {n: torch.where(begun, part, torch.zeros_like(part)) for n, part in input.items()}
        return F.le_cam(scores, anchors=anchors, one_sided=self.one_sided)

    def update(self, progress: Progress) -> None:
        """Take the scores of a step into the averages."""
        decay = self.decay.to(self.share.dtype)
        for name, seen in (*progress.signals.items(), ("share", torch.ones(()))):
            if name in ("real", "fake", "share"):
                average = getattr(self, name)
                average.lerp_(torch.as_tensor(seen).to(average).mean(), 1 - decay)


class FeatureMatching(Statistic):
    r"""Feature matching: fakes should have the mean features of real samples.

    .. math:: \ell = \left\lVert \frac1N \sum_i f(\hat x_i) - \frac1N \sum_i f(x_i)
        \right\rVert^2

    Shapes: input (N, …), features of the fakes, and target alike, those of real samples: any
    layer of the discriminator. The generator trains on it. The authors' code for MNIST averages
    over the features instead of adding them up.

    Use when: The discriminator also classifies, and a generator needs a steady aim.
    Avoid when: More than means must agree: kernel MMD compares whole distributions.
    Source: Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, Improved Techniques for
    Training GANs (2016).

    >>> FeatureMatching()(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0]]))
    tensor(4.)
    """

    function = staticmethod(F.feature_matching)
    card = Card(
        key="feature_matching",
        tasks=("gan",),
        input="embeddings",
        target="embeddings",
        # means (2, 1) and (0, 0)
        example=Example(
            input=[[1.0, 2.0], [3.0, 0.0]], target=[[1.0, 0.0], [-1.0, 0.0]], value=5.0
        ),
    )
