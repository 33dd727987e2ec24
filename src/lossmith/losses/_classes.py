"""What all losses of one output a class share: the head, its decoding, classes and counts."""

import math
from abc import ABC
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.hyperparameter import OptionalWhole, PerClass, Reals, Whole
from lossmith.core.loss import Loss, UnknownHeadError
from lossmith.functional.checks import check_head, check_tensor, head_dim

LOG3 = math.log(3)  # logits [log 3, 0] have probabilities [3/4, 1/4]; a logit of log 3 has 3/4
CLASSES = OptionalWhole(
    default=None,
    fitted=True,
    low=2,
    doc="number of classes, the width of the head; for_target finds it",
)
IGNORE = Whole(default=-100, doc="the target whose samples have weight 0")
COUNTS = Reals(fitted=True, low=0.0, doc="training rows of each class; for_target counts them")


class AnyHead(Loss, ABC):
    """A loss that reads a head of any width, which its target does not tell."""

    @property
    def out_features(self) -> int:
        """UnknownHeadError: any width will do."""
        raise UnknownHeadError(f"{type(self).__name__} reads a head of any width; choose one")


class AnyLogits(AnyHead, ABC):
    """A loss of logits of however many classes."""

    def decode(self, output: Tensor) -> Tensor:
        """Return the softmax: one probability a class."""
        return F.softmax(output)


class ClassHead(Loss, ABC):
    """One output a class, read against integer classes, however the rows are reduced.

    Classes are told, or follow from the input; `CountedLoss` has them of their counts.
    """

    classes: OptionalWhole = CLASSES
    ignore_index: Whole = IGNORE
    per_class: ClassVar[tuple[str, ...]] = ()  # the hyperparameters that hold one number a class

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        stated = cls.hyperparameters.items()
        cls.per_class = tuple(name for name, one in stated if isinstance(one, PerClass))

    @property
    def out_features(self) -> int:
        """The number of classes; UnknownHeadError where the loss was not told it."""
        return self.known_classes()

    def known_classes(self) -> int:
        """Return the number of classes; UnknownHeadError where the loss was not told it."""
        if self.classes is None:
            name = type(self).__name__
            raise UnknownHeadError(
                f"{name} does not know its number of classes; "
                f"pass classes= or use {name}.for_target(target)"
            )
        return int(self.classes)

    def decode(self, output: Tensor) -> Tensor:
        """Return the softmax: one probability a class, along the class dimension."""
        return F.softmax(output)

    def check_given(self, input: Any, target: Any) -> None:
        """Raise as every loss does, and ValueError where the head is not that of the classes."""
        super().check_given(input, target)
        for name in self.per_class:
            numbers = self._buffers[name] if name in self._buffers else getattr(self, name)
            if numbers is not None and numbers.shape != input.shape[1:2]:
                F.per_class(name, numbers, input)
        if self.classes is None or "classes" not in self.hyperparameters or not input.ndim:
            return  # where they follow from counts, these are checked
        wanted, width = self.out_features, input.shape[head_dim(input)]
        if width != wanted:
            if not target.is_floating_point():
                check_head(input, target, wanted)
            raise ValueError(
                f"{type(self).__name__} was built for {self.classes} classes, a head of {wanted}, "
                f"but input of shape {tuple(input.shape)} has {width}"
            )

    @classmethod
    def for_target(cls, target: Tensor, *, classes: int | None = None, **hypers: Any) -> Self:
        """Return the loss for the classes of integer training targets, and their counts.

        Args:
            target: integer classes, any shape; those equal to ignore_index are left out.
            classes: the number of classes; the largest target + 1 unless given, at least 2.
            hypers: the constructor's other arguments.

        Raises:
            TypeError: if target holds no integers.
            ValueError: if a target lies outside 0 … classes − 1, none is left, or the largest lies
                so far beyond the others that it looks like a mark of what to ignore.
        """
        ignored = hypers.get("ignore_index", cls.hyperparameters["ignore_index"].default)
        counts = count_classes(target, classes, ignored)
        fitted = {"counts": counts} if "counts" in cls.hyperparameters else {"classes": len(counts)}
        return cls(**{**fitted, **hypers})


class ClassLoss(ClassHead, Pointwise, ABC):
    """A weighted mean over rows of integer classes."""

    def weights(self, target: Tensor) -> Tensor | None:
        """Return weight 0 for ignored targets, 1 for the others."""
        return F.target_weights(target, ignore_index=self.ignore_index)


class CountedLoss(ClassLoss, ABC):
    """A loss of classes that knows how many training rows each has."""

    classes: Any = None  # as many as have counts
    counts: Reals = COUNTS

    def __post_init__(self) -> None:
        self.classes = check_counts(type(self).__name__, self.counts)


def count_classes(target: Tensor, classes: int | None, ignore_index: int) -> list[float]:
    """Return how often each class occurs among the targets that are not ignored."""
    check_tensor("target", target)
    if target.is_floating_point() or target.dtype == torch.bool:
        raise TypeError(f"target must hold integer classes, got {target.dtype}; use target.long()")
    seen = target.long().flatten()
    seen = seen[seen != ignore_index]
    if seen.numel() == 0:
        raise ValueError("target holds no class that is not ignored; pass the training targets")
    low, high = int(seen.min()), int(seen.max())
    width = max(high + 1, 2) if classes is None else classes
    if low < 0 or high >= width:
        raise ValueError(f"target holds classes from {low} to {high}, outside 0 … {width - 1}")
    counts = torch.bincount(seen, minlength=width)
    if classes is None:
        _check_largest(counts)
    return counts.double().tolist()


def _check_largest(counts: Tensor) -> None:
    """Raise ValueError where the largest class is far from the others: 255 for what is void, say.

    A class or two may well be missing in a sample of many, most of them rarely.
    """
    seen = counts.nonzero().flatten().tolist()
    largest, below = seen[-1], seen[-2] if len(seen) > 1 else -1
    missing = largest - below - 1
    if missing > max(1, len(seen) // 10):
        raise ValueError(
            f"target holds class {largest} but none of the {missing} before it; pass "
            f"classes={largest + 1} if it is one, ignore_index={largest} if it marks what to ignore"
        )


def check_counts(owner: str, counts: Tensor | None) -> int:
    """Return how many classes have counts; ValueError unless there is one count a class."""
    if counts is None:
        raise ValueError(
            f"{owner} needs counts, the training rows of each class; "
            f"pass counts= or use {owner}.for_target(target)"
        )
    finite = bool(counts.isfinite().all()) and bool(counts.sum() > 0)
    if counts.ndim != 1 or len(counts) < 2 or not finite:
        raise ValueError(
            f"{owner}: counts must be at least two finite numbers, one a class and not all zero, "
            f"got {counts.tolist()}"
        )
    return len(counts)
