"""One output for several targets: which losses read it, and a hybrid that trains on it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor

from lossmith.core.card import Card
from lossmith.core.hybrid import Hybrid
from lossmith.core.loss import Loss
from lossmith.study.tasks.matrix import MatrixLoss


class MultiTargetLoss(MatrixLoss):
    """A hybrid over the parts of one output (n, sum of widths) and one target matrix (n, T).

    Args:
        hybrid: one loss a target, by the target's name.
        is_class: which targets hold class codes.
    """

    card: ClassVar[Card] = Hybrid.card

    def __init__(self, hybrid: Hybrid, is_class: Sequence[bool]) -> None:
        super().__init__()
        self.hybrid, self.is_class = hybrid, tuple(is_class)

    @property
    def bare(self) -> Hybrid:
        """The hybrid."""
        return self.hybrid

    @property
    def out_features(self) -> int:
        """The width of all heads together."""
        return width_of(self.hybrid)

    def terms(
        self, input: Any, target: Any = None, *, weight: Any = None, denominator: Any = None
    ) -> dict[str, Tensor]:
        """Return each target's loss."""
        names = tuple(self.hybrid.losses)
        parts = [part for _, part in heads(self.hybrid, input)]
        columns = zip(target.unbind(-1), self.is_class, strict=True)
        targets = [one.long() if is_class else one for one, is_class in columns]
        return self.hybrid.terms(
            dict(zip(names, parts, strict=True)), dict(zip(names, targets, strict=True))
        )

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Make one scalar of the terms, by the hybrid's weighting."""
        return self.hybrid.combine(terms)


def losses_of(loss: Loss) -> list[Loss]:
    """Return the losses that read a model's output, one a target: a hybrid's, or the loss."""
    loss = loss.hybrid if isinstance(loss, MultiTargetLoss) else loss
    return list(loss.losses.values()) if isinstance(loss, Hybrid) else [loss]  # type: ignore[arg-type]


def bare(loss: Loss) -> Loss:
    """Return the loss for a loop of one's own: of heads the hybrid, of a table's matrix within."""
    return loss.bare if isinstance(loss, MatrixLoss) else loss


def width_of(loss: Loss) -> int:
    """Return the width of a model's output for a loss: of all its heads together."""
    return sum(one.out_features for one in losses_of(loss))


def heads(loss: Loss, output: Tensor) -> list[tuple[Loss, Tensor]]:
    """Return the losses with their parts of an output, (n,) of a width of one."""
    losses = losses_of(loss)
    widths = [one.out_features for one in losses]
    parts = output.split(widths, dim=-1) if len(losses) > 1 else [output]
    return [
        (one, part.squeeze(-1) if part.ndim == 2 and width == 1 else part)
        for one, part, width in zip(losses, parts, widths, strict=True)
    ]
