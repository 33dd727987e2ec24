"""Losses of several parts whose order is not known."""

import math
from typing import Any

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Inner
from lossmith.core.plain import shown
from lossmith.core.reduce import sum_terms
from lossmith.functional.checks import same_shape
from lossmith.losses._wrapping import Wrapper, check_inner
from lossmith.losses.audio import SISDR


def _of_values(owner: str, loss: Any) -> None:
    check_inner(owner, loss)
    if (loss.card.input, loss.card.target) != ("values", "values"):
        raise TypeError(
            f"{owner}: loss must compare values with values, {shown(loss)} reads "
            f"{loss.card.input} and {loss.card.target}"
        )


class PermutationInvariant(Wrapper):
    r"""Any loss of values, of the best pairing of what is estimated with what is there (PIT).

    .. math:: \ell(x, y) = \min_{\pi} \frac1S \sum_{s=1}^{S} \ell_0(x_{\pi(s)}, y_s)

    Shapes: input and target (N, S, …), S sources at most 7, each as the inner loss takes its rows.
    One value a row, in the inner loss's unit.

    One pairing serves the whole row, as in utterance-level PIT. All S! are tried, which gives what
    the assignment algorithm does. Targets that the inner loss leaves out, silent ones of SI-SDR,
    count in no pairing; a row weighs as much as it has others.

    Use when: Sources are separated, and nothing says which output is which.
    Avoid when: The order is known, or sources are many.
    Source: Kolbæk, Yu, Tan, Jensen, Multitalker Speech Separation with Utterance-Level Permutation
    Invariant Training of Deep Recurrent Neural Networks (2017).

    >>> import torch
    >>> from lossmith import MAE
    >>> swapped = torch.tensor([[[1.0, 1.0], [5.0, 5.0]]])
    >>> PermutationInvariant(MAE())(swapped, torch.tensor([[[5.0, 5.0], [1.0, 3.0]]]))
    tensor(0.5000)
    """

    loss: Inner = Inner(
        default=None,
        kw_only=False,
        make=SISDR,
        accepts=_of_values,
        doc="a loss of values with a value a row; None is SISDR",
    )
    card = Card(
        key="permutation_invariant",
        tasks=("audio",),
        input="values",
        target="values",
        # exchanged, each 3 times its source and a rest of energy 4 to 36
        example=Example(
            input=[[[4.0, -2.0, 2.0, -4.0], [4.0, 2.0, -2.0, -4.0]]],
            target=[[[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]]],
            value=-10 * math.log10(9),
        ),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the inner values of the best pairing, averaged."""
        input, target = same_shape(input, target)
        if input.ndim < 3:
            raise ValueError(f"input must be (N, S, …), S sources a row, got {tuple(input.shape)}")
        parts = input.shape[1]
        pairs = [
            one.unsqueeze(place).expand(-1, parts, parts, *one.shape[2:]).flatten(0, 2)
            for one, place in ((input, 2), (target, 1))
        ]
        values = _of_rows(sum_terms(self.loss.values(*pairs)))
        return F.best_permutation(values.reshape(input.shape[0], parts, parts), self._own(target))

    def weights(self, target: Tensor) -> Tensor | None:
        """Return the share of a row's targets that the inner loss counts."""
        own = self._own(target)
        return None if own is None else own.mean(1)

    def _own(self, target: Tensor) -> Tensor | None:
        own = self.loss.weights(target.flatten(0, 1)) if target.ndim > 2 else None
        return None if own is None else _of_rows(own.to(target.dtype)).reshape(target.shape[:2])


def _of_rows(values: Tensor) -> Tensor:
    return values.flatten(1).mean(1) if values.ndim > 1 else values
