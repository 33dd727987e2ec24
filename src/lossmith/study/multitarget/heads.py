"""A hybrid that reads the columns of one output: how one body serves several targets."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from lossmith.core.card import Card
from lossmith.core.hybrid import Hybrid
from lossmith.core.loss import Loss
from lossmith.study.search.scoring import predict


class Heads(Loss):
    """A hybrid over the parts of one output (n, sum of widths) and one target matrix (n, T).

    Args:
        hybrid: one loss a target, by the target's name.
        whole: which targets hold class codes.
    """

    card: ClassVar[Card] = Hybrid.card

    def __init__(self, hybrid: Hybrid, whole: Sequence[bool]) -> None:
        super().__init__()
        self.hybrid, self.whole = hybrid, tuple(whole)

    @property
    def widths(self) -> dict[str, int]:
        """The width of each target's head."""
        return {name: loss.out_features for name, loss in self.parts_by_name().items()}

    @property
    def out_features(self) -> int:
        """The width of all heads together."""
        return sum(self.widths.values())

    def parts_by_name(self) -> dict[str, Loss]:
        """Return each target's loss."""
        return dict(self.hybrid.losses.items())  # type: ignore[arg-type]

    def split(self, output: Tensor) -> dict[str, Tensor]:
        """Return each head's part of an output."""
        parts = output.split(list(self.widths.values()), dim=-1)
        return {
            name: part.squeeze(-1) if part.shape[-1] == 1 else part
            for name, part in zip(self.widths, parts, strict=True)
        }

    def check_given(self, input: Any, target: Any) -> None:
        """Check nothing: each loss checks its own part."""

    def terms(
        self, input: Any, target: Any = None, *, weight: Any = None, denominator: Any = None
    ) -> dict[str, Tensor]:
        """Return each target's loss."""
        columns = zip(self.widths, target.unbind(-1), self.whole, strict=True)
        targets = {name: one.long() if whole else one for name, one, whole in columns}
        return self.hybrid.terms(self.split(input), targets)

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Make one scalar of the terms, by the hybrid's weighting."""
        return self.hybrid.combine(terms)

    def predict(self, output: Tensor) -> tuple[np.ndarray, ...]:
        """Return each target's predictions: points (n,) or probabilities (n, C)."""
        losses, parts = self.parts_by_name(), self.split(output)
        return tuple(predict(losses[name], part) for name, part in parts.items())

    def config(self) -> dict[str, Any]:
        """Return the hybrid as plain data."""
        return self.hybrid.config()
