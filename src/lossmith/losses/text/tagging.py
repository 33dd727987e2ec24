"""Losses of sequences of tags whose neighbours bear on each other."""

import math

import torch
from torch import Tensor, nn

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Whole
from lossmith.losses._classes import LOG3, ClassHead


class CRF(ClassHead, Pointwise):
    r"""Conditional random field: the chance of a whole sequence of tags, transitions learnt.

    .. math:: \ell(x, y) = \log \sum_{z} e^{s(x, z)} - s(x, y) \qquad s(x, z) = a_{z_1} +
        \sum_{t=1}^{T} x_{z_t t} + \sum_{t=2}^{T} A_{z_{t-1} z_t} + b_{z_T}

    Shapes: input (N, C, T), logits of C tags at T tokens, as in cross-entropy; target (N, T) of
    integers. One value a sequence, in nats. Ignored tokens are left out of the chain, so that
    padding may stand anywhere; a sequence of nothing else has weight 0.

    Transitions A (C, C), from row to column, start a and end b (C,) are parameters: give them to
    the optimizer. They start at 0, where the loss is the sum of each token's cross-entropy;
    pytorch-crf draws them from −0.1 to 0.1. `decode` gives the chance of each tag at each token,
    `best_path` the likeliest sequence, which need not be made of the likeliest tags.

    Use when: Tags follow a grammar, as entities that begin and go on; or states last.
    Avoid when: Targets are the next tokens: scores of later tokens, which are computed from the
    targets before them, would tell of these. Or sequences are long and tags many: time is T steps
    of C² numbers, one by one.
    Source: Lafferty, McCallum, Pereira, Conditional Random Fields: Probabilistic Models for
    Segmenting and Labeling Sequence Data (2001).

    >>> CRF(classes=2)(torch.zeros(1, 2, 3), torch.tensor([[0, 1, 1]])).detach()  # 1 of 8 sequences
    tensor(2.0794)
    """

    function = staticmethod(F.crf)
    classes: Whole = Whole(fitted=True, low=2, doc="number of tags; for_target finds it")
    card = Card(
        key="crf",
        tasks=("text",),
        input="logits",
        target="classes",
        learns=True,
        # all transitions 0: chances 3/4 and 1/4
        example=Example(
            arguments={"classes": 2},
            input=[[[LOG3, LOG3, 0.0], [0.0, 0.0, 0.0]]],
            target=[[0, 1, 0]],
            value=-math.log(3 / 4) - math.log(1 / 4) - math.log(1 / 2),
        ),
        claims=Claims(convex=True, lipschitz=True),
        studied=False,  # of next tokens its chances see the targets, and a study cannot tell
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return transitions that all weigh alike."""
        shapes = {"transitions": (self.classes,) * 2, "start": (self.classes,)}
        shapes["end"] = shapes["start"]
        dtype = torch.promote_types(torch.get_default_dtype(), torch.float32)
        return {n: nn.Parameter(torch.zeros(shape, dtype=dtype)) for n, shape in shapes.items()}

    def weights(self, target: Tensor) -> Tensor | None:
        """Return weight 0 for sequences of ignored tokens alone, 1 for the others."""
        return F.target_weights(target, ignore_index=self.ignore_index).any(-1)

    def decode(self, output: Tensor) -> Tensor:
        """Return the chance of each tag at each token, along dimension 1."""
        return F.crf_marginals(output, **self._chain())

    def best_path(self, output: Tensor, kept: Tensor | None = None) -> Tensor:
        """Return the likeliest sequence of tags of each row, ignore_index where not kept.

        Args:
            output: (N, C, T), the head.
            kept: (N, T), 0 or False where a token is padding; all count unless given.
        """
        return F.crf_best_path(output, kept, ignore_index=self.ignore_index, **self._chain())

    def _chain(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in ("transitions", "start", "end")}
