"""Embeddings that may be cut short: a loss of several of their prefixes."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from lossmith import functional as F
from lossmith.core import execution
from lossmith.core.bases import ALL, Coupled, SetLoss, Statistic
from lossmith.core.card import Card, Example, Kinds
from lossmith.core.hyperparameter import Inner, OptionalReals, Wholes
from lossmith.core.loss import Loss
from lossmith.core.plain import shown
from lossmith.core.reduce import sum_terms
from lossmith.functional.checks import as_scalar_or_tensor, promote
from lossmith.losses._wrapping import Wrapping
from lossmith.losses.metric_learning.pairs import SupCon


def _reads_embeddings(owner: str, loss: Any) -> None:
    """Raise TypeError unless a loss reads embeddings, of any width."""
    kinds = loss.card.input if isinstance(loss, Loss) else None
    if "embeddings" not in (kinds.values() if isinstance(kinds, Mapping) else (kinds,)):
        raise TypeError(f"{owner}: loss must be a loss of embeddings, got {shown(loss)}")
    if "features" in loss.hyperparameters:
        raise TypeError(
            f"{owner}: loss must take embeddings of any width, {shown(loss)} has one; sum one loss "
            "for each width instead"
        )


class Matryoshka(Wrapping, Coupled):
    r"""Any loss of embeddings, of their first numbers too: vectors that may be cut short.

    .. math:: \ell(x, y) = \sum_{d} c_d \, \ell_0(x_{1:d}, y)

    Shapes: those of the inner loss; of each tensor that its card calls embeddings, in input and
    target, the first d numbers. One term a width, by its name, in the inner loss's unit. A row's
    weight is the inner loss's, and so is what the batch is reduced to.

    Where the inner loss takes cosines, prefixes are normalised anew, as in sentence-transformers.
    The paper's classifiers have a head for each width: a sum of `ArcFace(features=d)` and others,
    or of `CrossEntropy` on named outputs.

    Use when: Search should be cheap first and exact later, by one embedding.
    Avoid when: One width is used: the others cost capacity.
    Source: Kusupati, Bhatt, Rege, Wallingford, Sinha, Ramanujan, Howard-Snyder, Chen, Kakade, Jain,
    Farhadi, Matryoshka Representation Learning (2022).

    >>> loss = Matryoshka(SupCon(temperature=1.0), dims=[1, 2])
    >>> sorted(loss.terms(torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])))
    ['1', '2']
    """

    loss: Inner = Inner(
        default=None,
        kw_only=False,
        make=SupCon,
        accepts=_reads_embeddings,
        doc="a loss of embeddings that learns nothing of their width; None is SupCon",
    )
    dims: Wholes = Wholes(low=1, doc="widths; the paper halves the full one down to 8")
    importance: OptionalReals = OptionalReals(
        default=None, low=0.0, doc="c, the weight of each width; None is 1 for all, as in the paper"
    )
    card = Card(
        key="matryoshka",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        studied=False,  # which widths are wanted, no data tell
        # at both widths the rows of class 0 have cosine 1 to each other and 0 to the third
        example=Example(
            arguments={"loss": SupCon(temperature=1.0), "dims": [1, 2], "importance": [1.0, 2.0]},
            input=[[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]],
            target=[0, 0, 1],
            value=3 * math.log1p(math.exp(-1)),
        ),
    )

    def __post_init__(self) -> None:
        given = 0 if self.importance is None else len(self.importance)
        if not self.dims or given not in (0, len(self.dims)):
            raise ValueError(
                f"Matryoshka: dims must be one width or more, and importance one number for each, "
                f"got {len(self.dims)} and {given}"
            )

    def terms(
        self,
        input: Any,
        target: Any = None,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """Return one term a width, reduced as the inner loss reduces its rows."""
        whole: Any = self  # reduced as what it wraps
        if isinstance(self.loss, SetLoss):
            return execution.set_value(whole, input, target, weight, denominator)
        if isinstance(self.loss, Statistic):
            return execution.statistic(whole, input, target, weight, denominator)
        return super().terms(input, target, weight=weight, denominator=denominator)

    def values(self, input: Any, target: Any, own: slice = ALL) -> dict[str, Tensor]:
        """Return the inner loss's values at each width."""
        inner = self.loss
        if isinstance(inner, Coupled):
            return self._each(lambda x, y: inner.values(x, y, own), input, target)
        found = self._each(inner.values, input, target)
        return {name: values[own] for name, values in found.items()}

    def value(self, input: Any, target: Any, weight: Tensor | None = None) -> dict[str, Tensor]:
        """Return the inner loss's number at each width."""
        more = {"weight": weight} if isinstance(self.loss, Statistic) else {}
        return self._each(lambda x, y: self.loss.value(x, y, **more), input, target)

    def weights(self, target: Any) -> Tensor | None:
        """Return the inner loss's weights."""
        return self.loss.weights(target)

    def _each(self, of: Callable[[Any, Any], Any], input: Any, target: Any) -> dict[str, Tensor]:
        """Return what is made of each width's first numbers, times its importance."""
        card, found = self.loss.card, {}
        shares = [1.0] * len(self.dims) if self.importance is None else self.importance
        input, target = _wide(input, card.input), _wide(target, card.target)
        widths = zip(self.dims, shares, strict=True)
        for count, share in sorted(widths, key=lambda one: -one[0]):
            made = of(_cut(input, card.input, count), _cut(target, card.target, count))
            made = sum_terms(made)
            found[str(count)] = made * as_scalar_or_tensor(share, made)
        return found


def _wide(data: Any, kinds: Kinds | None) -> Any:
    """Return data whose embeddings are in the dtype of computation."""
    return _embeddings(data, kinds, promote)


def _cut(data: Any, kinds: Kinds | None, count: int) -> Any:
    """Return data of whose embeddings there are the first numbers alone."""
    return _embeddings(data, kinds, lambda rows: F.first_features(rows, count))


def _embeddings(data: Any, kinds: Kinds | None, change: Callable[[Tensor], Tensor]) -> Any:
    """Return data whose embeddings are changed, the rest as it is."""
    if isinstance(kinds, Mapping):
        return {name: _embeddings(part, kinds.get(name), change) for name, part in data.items()}
    return change(data) if kinds == "embeddings" else data
