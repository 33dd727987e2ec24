"""Classification that also says how much evidence there is."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real
from lossmith.losses.classes import ClassLoss


class EvidentialDirichlet(ClassLoss):
    r"""Evidence for each class: the expected Brier score, and a price for wrong evidence.

    .. math:: \ell(x, y) = \sum_c \left((1[c = y] - m_c)^2 + \frac{m_c (1 - m_c)}{S + 1}\right)
        + \lambda \operatorname{KL}\left(\operatorname{Dir}(\tilde\alpha) \,\|\,
        \operatorname{Dir}(1)\right)

    with concentrations :math:`\alpha_c = 1 + \operatorname{softplus}(x_c)`, their sum S,
    :math:`m = \alpha / S`, and :math:`\tilde\alpha` the concentrations with the true class's set
    to 1.

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values are pure
    numbers. `decode` gives m; C/S of the same output is the uncertainty, 1 without evidence. The
    paper makes evidence by "an activation, e.g. ReLU", whose gradient dies where all evidence is
    0: softplus here. Evidence for wrong classes beyond 1e8 costs no more.

    Use when: One pass must tell inputs it has no evidence about from ambiguous ones.
    Avoid when: Calibrated probabilities are all that is wanted, or classes are many.
    Source: Sensoy, Kaplan & Kandemir, Evidential Deep Learning to Quantify Classification
    Uncertainty (2018), equation 5.

    >>> EvidentialDirichlet().decode(torch.tensor([[0.0, -50.0]]))  # 1 + log 2 to 1
    tensor([[0.6287, 0.3713]])
    """

    function = staticmethod(F.evidential)
    coefficient: Real = Real(
        default=1.0,
        low=0.0,
        doc=":math:`\\lambda`; the paper lets it grow from 0 to 1 over ten epochs",
    )
    card = Card(
        key="evidential_dirichlet",
        tasks=("multiclass",),
        input="logits",
        target="classes",
        # concentrations 2 and 1: m = 2/3, 1/3, S = 3; class 0: 2/9 + (4/9)/4, no wrong evidence
        example=Example(
            arguments={"classes": 2},
            input=[[math.log(math.e - 1), -60.0]],
            target=[0],
            value=1 / 3,
        ),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the expected probability of each class."""
        return F.evidential_probabilities(output)
