"""Losses that wrap another loss: what they take over from it."""

from abc import ABC, abstractmethod
from typing import Any, Self

from torch import Tensor

from lossmith.core.bases import Pointwise, Statistic
from lossmith.core.hyperparameter import Inner
from lossmith.core.loss import Loss
from lossmith.core.plain import shown
from lossmith.losses.regression.point import MAE


def check_inner(owner: str, loss: Any) -> None:
    """Raise TypeError unless a loss has a value a sample."""
    if not isinstance(loss, Pointwise):
        raise TypeError(f"{owner}: loss must be a loss with a value a sample, got {shown(loss)}")


class Wrapping(Loss, ABC):
    """A loss made of another one's values: it has that one's head and targets."""

    loss: Inner = Inner(
        default=None,
        kw_only=False,
        make=MAE,
        accepts=check_inner,
        doc="a loss with a value a sample; None is MAE",
    )

    @property
    def out_features(self) -> int:
        """The width of the inner loss's head."""
        return self.loss.out_features

    def decode(self, output: Tensor) -> Tensor:
        """Return the inner loss's reading of the head."""
        return self.loss.decode(output)

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the inner loss's quantile of the head."""
        return self.loss.quantile(output, level)

    def check_given(self, input: Any, target: Any) -> None:
        """Raise as the inner loss does."""
        self.loss.check_given(input, target)

    @classmethod
    def for_target(cls, target: Tensor, *, classes: int | None = None, **hypers: Any) -> Self:
        """Return the wrapper of the inner loss, a class or a loss, fitted to the targets.

        classes: their number, where the inner loss reads classes and the targets may lack some.
        """
        inner = hypers.pop("loss", None)
        inner = cls.hyperparameters["loss"].make if inner is None else inner  # type: ignore[attr-defined]
        told = {} if classes is None else {"classes": classes}
        return cls(loss=inner.for_target(target, **told), **hypers)


class Wrapper(Wrapping, Pointwise, ABC):
    """A loss with a value a sample, made of another one's."""

    def weights(self, target: Any) -> Tensor | None:
        """Return the inner loss's weights."""
        return self.loss.weights(target)

    def values(self, input: Any, target: Any) -> Tensor:
        """Return the inner loss's values."""
        return self.loss.values(input, target)


class BatchWrapper(Wrapping, Statistic, ABC):
    """One number of all of another loss's values."""

    def value(self, input: Any, target: Any, weight: Tensor | None) -> Tensor:
        """Return the number, made of the inner loss's values and weights."""
        values, weight = self.loss.values_and_weights(input, target, weight)
        return self.statistic(values.flatten(), weight.flatten())

    @abstractmethod
    def statistic(self, values: Tensor, weight: Tensor) -> Tensor:
        """Return one number of values and their weights, both of one dimension."""
