"""The four ways in which the rows of a batch become one number, each a base of losses.

How the terms are formed, in one operation, block by block or over all ranks, is in `execution`.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from lossmith.core import execution
from lossmith.core.compiled import in_one_pass
from lossmith.core.distributed import kept
from lossmith.core.hyperparameter import Gathering
from lossmith.core.loss import Loss
from lossmith.core.reduce import combine_weights, sum_terms
from lossmith.core.zero_weight import mask_ignored

ALL = slice(None)  # all rows of a batch


class Pointwise(Loss):
    """A loss that is the weighted mean of one value a row or element, each independent of others.

    A weight of 2 equals the row twice, a weight of 0 the row left out.
    """

    has_weights: ClassVar[bool] = False  # whether its targets carry weights

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # An inherited one is not asked: it may not be the mean of the values that cls states.
        plain = cls.terms is Pointwise.terms and cls.combine is Loss.combine
        cls.has_mean = plain and "mean_function" in vars(cls) and "check_given" not in vars(cls)
        cls.has_weights = cls.weights is not Pointwise.weights

    def values(self, input: Any, target: Any) -> Any:
        """Return one value a row or element, unreduced; a dict of them for several terms."""
        return execution.call(self, input, target)

    def weights(self, target: Any) -> Tensor | None:
        """Return the weights that the targets themselves carry: ignored rows, classes; or None."""
        return None

    def terms(
        self,
        input: Any,
        target: Any = None,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted mean of the values, by name; under the loss's key if there is one."""
        return execution.weighted_mean(self, input, target, weight, denominator)

    def compile(self, **options: Any) -> None:
        """Compile the loss in place, by `torch.compile` with these options.

        A call then forms value and gradients in one graph, which takes less time than compiling it
        as a function does, and no memory but the gradients'.

        >>> from lossmith import Huber
        >>> loss = Huber()
        >>> loss.compile(backend="eager")
        >>> loss(torch.tensor([3.0], requires_grad=True), torch.zeros(1))
        tensor(2.5000, grad_fn=<_ValueAndGradBackward>)
        """
        super().compile(**options)
        if self.card.fullgraph:
            self._compiled_call_impl = in_one_pass(self, self._compiled_call_impl, **options)

    def values_and_weights(
        self, input: Any, target: Any, weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the values and one weight a value: the targets' own times those given."""
        input, own = mask_ignored(input, target, self.weights(target))
        values = sum_terms(self.values(input, target))
        both = combine_weights(values, own, weight)
        return values, torch.ones_like(values) if both is None else both


class _OfAllRanks(Loss):
    """A loss that couples the rows of a batch, which over several processes is that of all ranks.

    Every rank must then call it. A subclass that states `gather = False` stays on its own rank.
    A process group is kept by its name.
    """

    gather: Gathering = Gathering(
        default=True,
        doc="over several processes, whether the batch is that of all ranks, or of a process group",
    )

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, kept(value) if name == "gather" else value)

    def arguments(self) -> dict[str, Any]:
        """Return what the constructor takes; a group is of one run, in another it is all ranks."""
        found = super().arguments()
        return {**found, "gather": bool(self.gather)} if "gather" in found else found


class Coupled(_OfAllRanks):
    """A loss that is the weighted mean of values which depend on the whole batch.

    A weight weighs a row's own value; the row stays in the others'.
    """

    reduction = "coupled"

    def values(self, input: Any, target: Any, own: slice = ALL) -> Any:
        """Return one value a row, of some rows alone against all; a dict for several terms."""
        return execution.values_of_rows(self, input, target, own)

    def weights(self, target: Any) -> Tensor | None:
        """Return the weights that the targets themselves carry: rows without a pair; or None."""
        return None

    def terms(
        self,
        input: Any,
        target: Any = None,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted mean of the values, by name; under the loss's key if there is one."""
        return execution.coupled_mean(self, input, target, weight, denominator)


class Statistic(_OfAllRanks):
    """A loss that is one number of the weighted sample, no mean over rows: F1, AUC, CVaR.

    A weight of 2 equals the row twice; there is no denominator.
    """

    reduction = "statistic"

    def value(self, input: Any, target: Any, weight: Tensor | None) -> Any:
        """Return the number, or a dict of several that add up."""
        return execution.call(self, input, target, weight=weight)

    def terms(
        self,
        input: Any,
        target: Any = None,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """Return the number under the loss's key, or the named ones.

        Raises:
            ValueError: if a denominator is given.
        """
        return execution.statistic(self, input, target, weight, denominator)


class SetLoss(_OfAllRanks):
    """A loss that is one number of the batch as a whole, as a distance of sets; without weights."""

    reduction = "set"

    def value(self, input: Any, target: Any) -> Any:
        """Return the number, or a dict of several that add up."""
        return execution.call(self, input, target)

    def terms(
        self,
        input: Any,
        target: Any = None,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """Return the number under the loss's key, or the named ones.

        Raises:
            ValueError: if a weight or a denominator is given.
        """
        return execution.set_value(self, input, target, weight, denominator)
