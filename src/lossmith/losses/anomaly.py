"""Losses of one class alone: what is far from it is an anomaly."""

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import State
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Reals
from lossmith.core.progress import Progress

CENTER = Reals(
    doc="c, one number a feature, fixed before training: `F.svdd_center(model(x))` of the first "
    "weights and the training rows, as the paper has it",
)


class DeepSVDD(Pointwise):
    r"""One-class Deep SVDD: all that is normal is drawn to one point, what stays far is an anomaly.

    .. math:: \ell(x) = \lVert x - c \rVert^2

    Shapes: input (N, D) of embeddings; there is no target. One value a row, also the score of an
    anomaly.

    The network must not be able to give one point for all: no biases, no bounded activations
    (ReLU, not sigmoid), and a centre without zeros. Weight decay is the optimizer's.

    Use when: Training rows are normal nearly all, and anomalies have no examples.
    Avoid when: Some anomalies are labelled: a loss of classes, or a semi-supervised one, uses them.
    Source: Ruff et al., Deep One-Class Classification (2018), equation 4.

    >>> DeepSVDD(center=[1.0, 2.0])(torch.tensor([[1.0, 2.0], [4.0, 6.0]]))
    tensor(12.5000)
    """

    function = staticmethod(F.deep_svdd)
    center: Reals = CENTER
    card = Card(
        key="deep_svdd",
        tasks=("anomaly",),
        input="embeddings",
        target=None,
        example=Example(
            arguments={"center": [1.0, 2.0]},
            input=[[1.0, 2.0], [4.0, 6.0]],
            target=None,
            value=12.5,
        ),
    )


class SoftBoundarySVDD(Pointwise):
    r"""Soft-boundary Deep SVDD: a ball around one point holds all rows but a share ν.

    .. math:: \ell(x) = R^2 + \frac{1}{\nu} \max(0, \lVert x - c \rVert^2 - R^2)

    The radius R starts at 0, where it is `DeepSVDD` over ν; after each step `observe` sets it to
    the (1 − ν)-quantile of the step's distances, its minimiser, by the signal "input":
    `clock.step(input=output)`. The paper's code waits ten epochs before it does.

    Shapes: input (N, D) of embeddings; there is no target. One value a row. A distance above
    `loss.radius` is an anomaly.

    Use when: Training rows hold a known share of anomalies.
    Avoid when: All are normal: `DeepSVDD` has no share to choose.
    Source: Ruff et al., Deep One-Class Classification (2018), equation 3.

    >>> loss = SoftBoundarySVDD(center=[0.0], nu=0.5)
    >>> from lossmith import Progress
    >>> rows = torch.tensor([[1.0], [2.0], [4.0]])
    >>> loss.observe(Progress(step=1, signals={"input": rows}))
    >>> loss.radius.item(), loss(rows)  # 4 + 2 (16 - 4)/3
    (2.0, tensor(12.))
    """

    function = staticmethod(F.soft_boundary_svdd)
    center: Reals = CENTER
    nu: Real = Real(
        default=0.1,
        low=0.0,
        high=1.0,
        exclusive=True,
        doc="ν, the share of training rows outside the ball; the paper tries 0.01 and 0.1",
    )
    card = Card(
        key="soft_boundary_svdd",
        tasks=("anomaly",),
        input="embeddings",
        target=None,
        # radius 0: 25/0.5 and 0
        example=Example(
            arguments={"center": [1.0, 2.0], "nu": 0.5},
            input=[[1.0, 2.0], [4.0, 6.0]],
            target=None,
            value=25.0,
        ),
        required_signals=("input",),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return a radius of 0."""
        return {"radius": torch.zeros((), dtype=torch.float64, device="cpu")}

    def update(self, progress: Progress) -> State:
        """Set the radius to the quantile of the step's distances."""
        rows = progress.signals["input"]
        if not len(rows):
            return {}
        distance = F.deep_svdd(rows, center=self.center).sqrt()
        return {"radius": torch.quantile(distance, 1 - self.nu.item())}
