"""Losses of sequences whose labels are known, but not where each of them falls."""

import math
from collections.abc import Mapping

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example, Kind
from lossmith.core.hyperparameter import Switch, Whole
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

    Use when: Speech or handwriting has a transcript, but no label for each frame.
    Avoid when: Labels outnumber frames, or come in another order than what they label.
    Source: Graves, Fernández, Gomez, Schmidhuber, Connectionist Temporal Classification: Labelling
    Unsegmented Sequence Data with Recurrent Neural Networks (2006).

    >>> target = {"classes": torch.tensor([[1, 2]]), "lengths": torch.tensor([2])}
    >>> CTC()(torch.zeros(1, 3, 3), target)  # 5 of 27 paths
    tensor(1.6864)
    """

    blank: Whole = Whole(default=0, low=0, doc="the class that stands for no label")
    zero_infinity: Switch = Switch(
        default=True, doc="whether sequences that do not fit have the value 0"
    )
    card = Card(
        key="ctc",
        tasks=("audio", "text"),
        input="logits",
        target=_TARGET,
        optional=("frames",),
        # Paths with blank "-" for "01": 001, 011, 01-, 0-1, -01 of 27; for "0": 00, 0-, -0 of 9.
        example=Example(
            arguments={"blank": 2},
            input=[[[0.0, 0.0, 0.0]] * 3] * 2,
            target={"classes": [[0, 1], [0, 0]], "lengths": [2.0, 1.0], "frames": [3.0, 2.0]},
            value=(math.log(27 / 5) + math.log(3)) / 2,
        ),
        claims=Claims(lipschitz=True),
        double_backward=False,
        vmap=False,
        fullgraph=False,
    )

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
