"""Likeness with grades: of pairs, as of sentences, or of rows by their targets."""

import math
from typing import Any

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Coupled, SetLoss
from lossmith.core.card import Card, Example, Kind
from lossmith.core.hyperparameter import Real

SCALE = Real(
    default=20.0, low=0.0, exclusive=True, doc="what similarities are multiplied by, 1/temperature"
)
PAIRS: dict[str, Kind] = {"first": "embeddings", "second": "embeddings"}
# alike, opposite halves, at right angles
FIRST = [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]
SECOND = [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]
GRADES = [5.0, 1.0, 1.0]


class CoSENT(SetLoss):
    r"""Pairs of a higher grade have a higher cosine than all pairs of a lower one.

    .. math:: \ell = \log \Bigl(1 + \sum_{y_i > y_j} e^{\lambda (c_j - c_i)}\Bigr) \qquad
        c_i = \cos(u_i, v_i)

    Shapes: input a dict of "first" and "second", both (N, D) of embeddings, row by row a pair;
    target (N,), how alike each pair is: any numbers, of which only the order counts. One number
    of the batch, in nats; all pairs of pairs are compared.

    Use when: Sentences have graded similarity, and Spearman's correlation is the metric.
    Avoid when: Pairs are only alike or not, without grades; InfoNCE uses the whole batch then.
    Source: Huang, Peng, Zou, Liu, Li, Liu, Wu, Su, Yu, CoSENT: Consistent Sentence Embedding via
    Similarity Ranking (2024).

    >>> pairs = {"first": torch.eye(2), "second": torch.eye(2)}
    >>> CoSENT()(pairs, torch.tensor([1.0, 0.0]))  # both cosines are 1: log 2
    tensor(0.6931)
    """

    scale: Real = SCALE
    card = Card(
        key="cosent",
        tasks=("metric_learning",),
        input=PAIRS,
        target="values",
        # cosines 1, 0.6 and 0: gaps of 0.4 and 1
        example=Example(
            arguments={"scale": 1.0},
            input={"first": FIRST, "second": SECOND},
            target=GRADES,
            value=math.log(1 + math.exp(-0.4) + math.exp(-1.0)),
        ),
    )

    def value(self, input: Any, target: Tensor) -> Tensor:
        """Return the logarithm of one and what pairs in the wrong order cost."""
        return F.cosent(input["first"], input["second"], target, scale=self.scale)


class AnglE(SetLoss):
    r"""CoSENT of angles between complex numbers instead of cosines, which saturate.

    .. math:: \ell = \log \Bigl(1 + \sum_{y_i > y_j} e^{\lambda (a_j - a_i)}\Bigr) \qquad
        a_i = \Bigl| \sum_k \operatorname{Re} z_{ik} + \operatorname{Im} z_{ik} \Bigr| \qquad
        z_{ik} = u_{ik} \bar v_{ik}

    where the first half of a unit row are real parts and the second half imaginary ones.

    Shapes: input a dict of "first" and "second", both (N, D) of embeddings, row by row a pair;
    target (N,), how alike each pair is: any numbers, of which only the order counts. One number
    of the batch, in nats; all pairs of pairs are compared.

    It is the angle's part of the authors' objective, as in sentence-transformers; they add CoSENT
    and a contrastive part: `AnglE() + CoSENT()`.

    Use when: CoSENT stalls because most cosines are near 1 or −1 already.
    Avoid when: Halves of a row mean unlike things; a pair and its reverse have other values.
    Source: Li, Li, AoE: Angle-Optimized Embeddings for Semantic Textual Similarity (2024).

    >>> pairs = {"first": torch.eye(2), "second": torch.eye(2)}
    >>> AnglE()(pairs, torch.tensor([1.0, 0.0]))
    tensor(0.6931)
    """

    scale: Real = SCALE
    card = Card(
        key="angle",
        tasks=("metric_learning",),
        input=PAIRS,
        target="values",
        # sizes 1, |0.6 - 0.8| and |0 - 1|: gaps of 0.8 and 0
        example=Example(
            arguments={"scale": 1.0},
            input={"first": FIRST, "second": SECOND},
            target=GRADES,
            value=math.log(1 + math.exp(-0.8) + 1),
        ),
    )

    def value(self, input: Any, target: Tensor) -> Tensor:
        """Return the logarithm of one and what pairs in the wrong order cost."""
        return F.angle(input["first"], input["second"], target, scale=self.scale)


class RankNContrast(Coupled):
    r"""Rows nearer in target are nearer as embeddings: contrast against all that are farther.

    .. math:: \ell_i = -\frac{1}{N - 1} \sum_{j \ne i} \log \frac{e^{s_{ij}}}{\sum_{k \in S_{ij}}
        e^{s_{ik}}} \qquad s_{ij} = -\frac{\lVert x_i - x_j \rVert}{\tau}, \; S_{ij} = \{k \ne i:
        |y_i - y_k| \ge |y_i - y_j|\}

    Shapes: input (N, D) of embeddings, as they are; target (N,) of numbers, or (N, K), whose
    distance is the sum over K. One value an anchor, in nats. Two views of a sample are two rows of
    one target. The paper trains the encoder by this first, a regressor on top of it after.

    Use when: A regression needs features in the order of its targets: ages, angles, doses.
    Avoid when: Targets are classes without an order: SupCon.
    Source: Zha, Cao, Son, Yang, Katabi, Rank-N-Contrast: Learning Continuous Representations for
    Regression (2023).

    >>> RankNContrast(temperature=1.0)(torch.zeros(3, 1), torch.tensor([0.0, 1.0, 3.0]))
    tensor(0.3466)
    """

    function = staticmethod(F.rank_n_contrast)
    temperature: Real = Real(
        default=2.0, low=0.0, exclusive=True, doc="τ, what distances are divided by"
    )
    card = Card(
        key="rank_n_contrast",
        tasks=("metric_learning",),
        input="embeddings",
        target="values",
        # each row: the farthest has no rival, the nearer has one
        example=Example(
            arguments={"temperature": 1.0},
            input=[[0.0], [0.0], [0.0]],
            target=[0.0, 1.0, 3.0],
            value=math.log(2) / 2,
        ),
    )
