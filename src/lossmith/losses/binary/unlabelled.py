"""Classifiers that know positives and unlabelled rows alone."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Choice, Real
from lossmith.losses.binary.multilabel import LabelStatistic

LOG3 = math.log(3)


class NNPU(LabelStatistic):
    r"""Non-negative risk from positive and unlabelled rows: the unlabelled hold positives too.

    .. math:: \pi R_P^+ + \max\bigl(-\beta, R_U^- - \pi R_P^-\bigr) \qquad
        R_P^\pm = \overline{\ell(\pm x)}_P \qquad R_U^- = \overline{\ell(-x)}_U

    with the surrogate ℓ(z) = σ(−z), or log(1 + e^(−z)), and the share π of positives among the
    unlabelled. The risk of negatives is what unlabelled rows cost as negatives, less what their
    positives do. Where it falls below −β, which no risk of a population does, the model overfits:
    the value is then πR⁺ − β, and its gradient −γ times that of the risk of negatives, as in the
    paper's algorithm.

    Shapes: input and target alike, (N,) or (N, L): the mean over L labels. A target is 1 for a
    known positive, 0 for an unlabelled row. It is a statistic of the batch, which should hold both.
    A batch without one of them takes its mean as 0, as the authors' code does.

    Use when: Some positives are known, the rest is unlabelled, and π is known or estimated.
    Avoid when: True negatives are labelled; or what is labelled is not drawn from all positives.
    Source: Kiryo, Niu, du Plessis, Sugiyama, Positive-Unlabeled Learning with Non-Negative Risk
    Estimator (2017).

    >>> NNPU(prior=0.5)(torch.zeros(2), torch.tensor([1.0, 0.0]))  # 1/4 + 1/2 - 1/4
    tensor(0.5000)
    """

    prior: Real = Real(
        low=0.0, high=1.0, exclusive=True, doc="π, the share of positives among the unlabelled"
    )
    beta: Real = Real(default=0.0, low=0.0, doc="β, how far below 0 the risk of negatives may be")
    gamma: Real = Real(
        default=1.0, low=0.0, high=1.0, doc="γ, the step taken back where it is below"
    )
    surrogate: Choice = Choice(
        default="sigmoid",
        choices=("sigmoid", "logistic"),
        doc="ℓ; the paper's experiments have the sigmoid, which is bounded",
    )
    card = Card(
        key="nnpu",
        tasks=("binary", "multilabel"),
        input="logits",
        target="labels",
        # ℓ 1/4 up, 3/4 down of the positive; 3/4 of the unlabelled: 1/8 + 3/4 - 3/8
        example=Example(arguments={"prior": 0.5}, input=[LOG3, LOG3], target=[1.0, 0.0], value=0.5),
        detached=True,
        studied=False,
    )

    def each_label(self, input: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the risk of each label, and which have rows."""
        return F.nnpu(
            input,
            target,
            weight,
            prior=self.prior,
            beta=self.beta,
            gamma=self.gamma,
            surrogate=self.surrogate,
        )
