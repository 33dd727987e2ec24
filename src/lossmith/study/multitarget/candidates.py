"""Combinations of losses, one a target, and the weightings that make one scalar of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lossmith.catalogue.names import loss_class
from lossmith.core.hybrid import Hybrid
from lossmith.core.loss import Loss
from lossmith.core.weighting import Fixed, Weighting
from lossmith.study.candidates import CandidateSet
from lossmith.study.multitarget.heads import MultiTargetLoss
from lossmith.study.tasks.candidate import Candidate
from lossmith.weighting import GeometricMean, Uncertainty

FACTORS = (3.0, 9.0, 27.0)  # by which one target's share is raised over the others'
ADAPTIVE: Mapping[str, Callable[[], Weighting]] = {
    "uncertainty": Uncertainty,
    "geometric_mean": GeometricMean,
}
TUNED = "tuned weights"
WEIGHTINGS = 1 + len(ADAPTIVE)  # of each combination of losses
BEST = 2  # losses of each target, beside its default, that enter the search of combinations

Shares = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Combination:
    """One loss for each target and a weighting; fixed weights come in several variants.

    shares: of the gradient that each target's loss sends into its head before any training, so
    that 1 : 1 means the same whatever the losses' units are.
    """

    targets: tuple[str, ...]
    losses: tuple[Candidate, ...]
    is_class: tuple[bool, ...]
    weighting: str = TUNED
    shares: Shares | None = None

    @property
    def name(self) -> str:
        """The name shown to people: mae + binary_cross_entropy, by uncertainty."""
        text = " + ".join(loss.name for loss in self.losses)
        return text if self.weighting == TUNED else f"{text}, by {self.weighting}"

    @property
    def never_negative(self) -> bool:
        """Whether no loss can fall below 0, as that of a density does; learned scales need it."""
        return all(loss_class(loss.key).card.input != "parameters" for loss in self.losses)

    @property
    def parameters(self) -> dict[str, Any]:
        """The losses, the weighting and its shares as plain data."""
        plain: dict[str, Any] = {
            target: {"loss": loss.key, "arguments": loss.parameters}
            for target, loss in zip(self.targets, self.losses, strict=True)
        }
        plain["weighting"] = self.weighting
        if self.shares is not None:
            plain["shares"] = dict(zip(self.targets, self.shares, strict=True))
        return plain

    @property
    def variants(self) -> tuple["Combination", ...]:
        """The candidate at each of the shares that are tried, or itself."""
        if self.weighting != TUNED:
            return (self,)
        return tuple(replace(self, shares=shares) for shares in grid(len(self.targets)))

    def fit(self, target: Tensor) -> MultiTargetLoss:
        """Return the losses fitted to their columns of (n, T), weighed."""
        losses, scales = {}, []
        for name, loss, is_class, column in zip(
            self.targets, self.losses, self.is_class, target.unbind(1), strict=True
        ):
            column = column.long() if is_class else column
            losses[name] = loss.fit(column)
            scales.append(_gradient_size(losses[name], column))
        return MultiTargetLoss(Hybrid(**losses, weighting=self._weighting(scales)), self.is_class)

    def _weighting(self, scales: Sequence[float]) -> Weighting:
        if self.weighting != TUNED:
            return ADAPTIVE[self.weighting]()
        shares = self.shares or grid(len(self.targets))[0]
        return Fixed(
            {
                name: len(shares) * share / scale
                for name, share, scale in zip(self.targets, shares, scales, strict=True)
            }
        )


def grid(targets: int) -> tuple[Shares, ...]:
    """Return the shares that are tried: equal ones, and each target raised over the others.

    >>> grid(2)[:3]
    ((0.5, 0.5), (0.75, 0.25), (0.25, 0.75))
    """
    raised = [
        [factor if place == one else 1.0 for place in range(targets)]
        for factor in FACTORS
        for one in range(targets)
    ]
    return tuple(
        tuple(entry / sum(weights) for entry in weights) for weights in ([1.0] * targets, *raised)
    )


def combinations(
    targets: Sequence[str],
    is_class: Sequence[bool],
    fields: Sequence[CandidateSet],
    best: Sequence[Sequence[str]],
) -> CandidateSet:
    """Return combinations of the losses that did best for each target by itself.

    Every target takes its default or one of its best while the others keep theirs, and all take
    their best together; each of these with tuned weights and with every adaptive weighting.

    Args:
        targets: the names of their terms.
        is_class: which targets hold class codes.
        fields: of each target, the losses that were screened and its default.
        best: of each target, the names of its best losses, the default not among them.
    """
    chosen = [[field.default, *names[:BEST]] for field, names in zip(fields, best, strict=True)]
    default = tuple(names[0] for names in chosen)
    swaps = [
        (*default[:place], name, *default[place + 1 :])
        for place, names in enumerate(chosen)
        for name in names[1:]
    ]
    together = [tuple(names[min(rank, len(names) - 1)] for names in chosen) for rank in (1, 2)]
    by_name = [
        {one.name: one for one in field.candidates if isinstance(one, Candidate)}
        for field in fields
    ]
    everyone = [
        Combination(
            targets=tuple(targets),
            losses=tuple(known[name] for known, name in zip(by_name, names, strict=True)),
            is_class=tuple(is_class),
            weighting=weighting,
        )
        for names in dict.fromkeys((default, *swaps, *together))
        for weighting in (TUNED, *ADAPTIVE)
    ]
    fitting = tuple(one for one in everyone if one.weighting == TUNED or one.never_negative)
    return CandidateSet(candidates=fitting, default=fitting[0].name, common=fitting[0].name)


def _gradient_size(loss: Loss, target: Tensor) -> float:
    """Return the root mean square of the rows' gradients at an output of zeros."""
    width = loss.out_features
    shape = (len(target),) if width == 1 else (len(target), width)
    output = torch.zeros(shape, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(output, target), output)
    size = float((gradient * len(target)).square().sum() / len(target)) ** 0.5
    return size if 0 < size < float("inf") else 1.0
