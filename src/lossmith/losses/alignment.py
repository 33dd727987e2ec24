"""Losses of sequences whose labels are known, but not where each of them falls."""

import math
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example, Hyper, Kind, Paper
from lossmith.core.loss import Pointwise

_TARGET: Mapping[str, Kind] = {"classes": "classes", "lengths": "counts", "frames": "counts"}


class CTC(Pointwise):
    r"""Connectionist temporal classification: labels read off frames, wherever each may fall.

    .. math:: \ell = -\log \sum_{\pi \in B^{-1}(y)} \prod_{t=1}^{T} p_t(\pi_t)

    B drops repeats and then blanks, so that the sum runs over all alignments of the labels y.

    Shapes: input (N, T, C), logits of C classes in T frames, one of them the blank; logarithms of
    probabilities serve as well. target a dict of `classes` (N, S), integers padded with anything,
    `lengths` (N,), how many labels count, and optionally `frames` (N,), how many frames count. One
    value a sequence, in nats; torch's own "mean" also divides each by its length.

    Labels of n classes need n frames, and one more for each that repeats the one before it. With
    fewer a sequence has the value 0, which still counts in the mean, or infinity; its gradient is
    zero either way, and no finite logits give NaN. torch's default is infinity, with NaN for the
    gradient.

    torch computes it: without a second gradient, vmap, or a full graph of `torch.compile`.

    Args:
        blank: the class that stands for no label.
        zero_infinity: whether sequences that do not fit have the value 0.

    Raises:
        TypeError: if classes are no integers.
        ValueError: if shapes do not fit, a length exceeds its padded size, or a class lies outside
            the input's or is the blank.

    Source: Graves, Fernández, Gomez, Schmidhuber, Connectionist Temporal Classification: Labelling
    Unsegmented Sequence Data with Recurrent Neural Networks (2006).

    >>> target = {"classes": torch.tensor([[1, 2]]), "lengths": torch.tensor([2])}
    >>> CTC()(torch.zeros(1, 3, 3), target)  # 5 of 27 paths
    tensor(1.6864)
    """

    blank: int
    zero_infinity: bool
    card: ClassVar[Card] = Card(
        key="ctc",
        tasks=("audio", "text"),
        target=_TARGET,
        input="logits",
        optional=("frames",),
        formula="-log sum over alignments of prod_t p_t(label or blank)",
        use_when="Speech or handwriting has a transcript, but no label for each frame.",
        avoid_when="Labels outnumber frames, or come in another order than what they label.",
        paper=Paper(
            authors="A. Graves, S. Fernández, F. Gomez, J. Schmidhuber",
            title=(
                "Connectionist Temporal Classification: Labelling Unsegmented Sequence Data with "
                "Recurrent Neural Networks"
            ),
            year=2006,
        ),
        # Paths with blank "-" for "01": 001, 011, 01-, 0-1, -01 of 27; for "0": 00, 0-, -0 of 9.
        example=Example(
            arguments={"blank": 2},
            input=[[[0.0, 0.0, 0.0]] * 3] * 2,
            target={"classes": [[0, 1], [0, 0]], "lengths": [2.0, 1.0], "frames": [3.0, 2.0]},
            value=(math.log(27 / 5) + math.log(3)) / 2,
        ),
        claims=Claims(lipschitz=True),
        hypers={
            "blank": Hyper(default=0, low=0, meaning="the class that stands for no label"),
            "zero_infinity": Hyper(
                default=True, meaning="whether sequences that do not fit have the value 0"
            ),
        },
        double_backward=False,
        vmap=False,
        fullgraph=False,
    )

    def __init__(self, *, blank: int = 0, zero_infinity: bool = True) -> None:
        super().__init__(blank=blank, zero_infinity=zero_infinity)

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the value of each sequence."""
        return F.ctc(
            input,
            target["classes"],
            target["lengths"],
            target.get("frames"),
            blank=self.blank,
            zero_infinity=self.zero_infinity,
        )
