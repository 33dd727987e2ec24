"""Losses whose shape follows training: a tempered head, a scale that follows the residuals."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.core.loss import Pointwise
from lossmith.core.progress import Progress
from lossmith.core.reduce import added
from lossmith.core.schedule import Schedule
from lossmith.functional.checks import class_logits, head_dim, in_dtype, promote
from lossmith.losses.classes import CLASSES, IGNORE, ClassLoss
from lossmith.losses.classification import CrossEntropy
from lossmith.losses.fitting import quantile_of
from lossmith.losses.regression import MSE, Huber
from lossmith.losses.wrapping import Wrapper, check_inner

LOG3 = math.log(3)  # logits [log 3, 0] have probabilities [3/4, 1/4]


class Tempered(Wrapper):
    r"""Any loss of logits, read at a temperature: fixed, on a schedule, or learned.

    .. math:: \ell(x, y) = \ell_0(x / T, y)

    `decode` reads at the temperature too, so that a learned one calibrates the probabilities:
    `Tempered(CrossEntropy(), temperature=nn.Parameter(torch.tensor(1.0)))`.

    Args:
        loss: any loss of logits with a value a sample; None is CrossEntropy.
        temperature: T; above 1 it softens the probabilities.

    Raises:
        TypeError: if loss has no value a sample or reads no logits.
        ValueError: if temperature is not positive.

    Source: Guo et al., On Calibration of Modern Neural Networks (2017).

    >>> Tempered(temperature=2.0)(torch.tensor([[2 * LOG3, 0.0]]), torch.tensor([0])).exp()
    tensor(1.3333)
    """

    temperature: Tensor
    card: ClassVar[Card] = Card(
        key="tempered",
        tasks=("binary", "multiclass"),
        target="classes",
        input="logits",
        formula="loss(x / T, y)",
        use_when="Probabilities must be calibrated, or logits sharpened as training goes on.",
        avoid_when="Only the order of the classes matters.",
        paper=Paper(
            authors="C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger",
            title="On Calibration of Modern Neural Networks",
            year=2017,
        ),
        example=Example(
            input=[[2 * LOG3, 0.0]],
            target=[0],
            value=math.log(4 / 3),
            arguments={"loss": CrossEntropy(classes=2), "temperature": 2.0},
        ),
        hypers={
            "loss": Hyper(default=None, meaning="loss of logits; None is cross-entropy"),
            "temperature": Hyper(
                default=1.0, low=0.0, open=True, meaning="above 1 it softens the probabilities"
            ),
        },
    )

    def __init__(self, loss: Pointwise | None = None, *, temperature: Number = 1.0) -> None:
        inner = check_inner("Tempered", CrossEntropy() if loss is None else loss)
        if inner.card.input != "logits":
            raise TypeError(f"Tempered: loss must read logits, {inner!r} reads {inner.card.input}")
        super().__init__(loss=inner, temperature=temperature)

    @classmethod
    def for_target(cls, target: Tensor, **hypers: Any) -> "Tempered":
        """Return the wrapper of the inner loss, a class or a loss, fitted to the targets."""
        return super().for_target(target, **{"loss": CrossEntropy, **hypers})

    def decode(self, output: Tensor) -> Tensor:
        """Return the inner loss's reading of the head at the temperature."""
        return self.loss.decode(self._cooled(output))

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the inner values at the temperature."""
        return self.loss.values(self._cooled(input), target)

    def _cooled(self, input: Tensor) -> Tensor:
        return promote(input) / in_dtype(self.temperature, promote(input))


class OnProbabilities(ClassLoss):
    r"""A regression loss on class probabilities: Huber on a classifier, say.

    .. math:: \ell(x, y) = \sum_c \ell_0(p_c, 1[c = y]) \qquad p = \mathrm{softmax}(x)

    It reads the head of a cross-entropy, so that one can turn into the other while training:
    `switch(CrossEntropy(classes=10), OnProbabilities(Huber(delta=0.5), classes=10), at=0.5)`. With
    squared error it is `Brier`.

    Args:
        loss: a regression loss with a head of one output; None is MSE.
        classes: number of classes, needed for the head alone.
        ignore_index: the target whose samples have weight 0.

    Raises:
        TypeError: if loss is no such loss, or the target holds no integers.
        ValueError: if shapes do not fit or a class lies outside the head.

    Source: Brier, Verification of Forecasts Expressed in Terms of Probability (1950).

    >>> OnProbabilities(Huber(delta=0.5))(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.2500)
    """

    loss: Pointwise
    card: ClassVar[Card] = Card(
        key="on_probabilities",
        tasks=("binary", "multiclass"),
        target="classes",
        input="logits",
        formula="sum_c loss(p_c, [c = y]), p = softmax(x)",
        use_when="A robust regression loss should follow, or join, cross-entropy on one head.",
        avoid_when="Classes are many: the gradient vanishes where the true class is improbable.",
        paper=Paper(
            authors="G. W. Brier",
            title="Verification of Forecasts Expressed in Terms of Probability",
            year=1950,
        ),
        example=Example(
            arguments={"classes": 2},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=(2 / 16 + 2 * 9 / 16) / 2,
        ),
        claims=Claims(lipschitz=True, bounded=True),
        hypers={
            "loss": Hyper(default=None, meaning="regression loss with one output; None is MSE"),
            "classes": CLASSES,
            "ignore_index": IGNORE,
        },
    )

    def __init__(
        self,
        loss: Pointwise | None = None,
        *,
        classes: int | None = None,
        ignore_index: int = -100,
    ) -> None:
        inner = check_inner("OnProbabilities", MSE() if loss is None else loss)
        if "regression" not in inner.card.tasks or inner.out_features != 1:
            raise TypeError(
                f"OnProbabilities: loss must be a regression loss with one output, got {inner!r}"
            )
        super().__init__(loss=inner, classes=classes, ignore_index=ignore_index)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the inner values of all classes' probabilities, summed."""
        logits, safe = class_logits(input, target, self.ignore_index)
        dim = head_dim(logits)
        probabilities = logits.softmax(dim)
        truth = torch.zeros_like(probabilities).scatter(dim, safe.unsqueeze(dim), 1.0)
        return added(self.loss.values(probabilities, truth)).sum(dim)


class Following(Wrapper):
    r"""A robust loss whose scale follows the residuals: a quantile of their sizes, streaming.

    .. math:: s \leftarrow m s + (1 - m) \, Q_q(|\mathrm{decode}(x) - y|) \cdot c

    One hyperparameter of the inner loss, such as Huber's delta, is set to s at every step of
    training: `Following(Huber(), hyper="delta", level=0.9)` treats the tenth of the rows that fit
    worst as outliers, whatever the unit; level 0.5 and factor 1.4826 give the MAD. Signals: the
    outputs and targets of the step, `clock.step(input=output, target=target)`.

    Args:
        loss: a robust regression loss; None is Huber.
        hyper: the name of the hyperparameter that follows.
        level: q, the quantile of the residuals' sizes.
        factor: c, what the quantile is multiplied by.
        momentum: m, how slowly it follows; the first step sets it outright.

    Raises:
        TypeError: if loss has no value a sample.
        ValueError: if a number is out of range, or loss has no such hyperparameter.

    Source: Huber, Robust Estimation of a Location Parameter (1964), for the scale; the streaming
    estimate is a plain moving average.

    >>> loss = Following(Huber(), hyper="delta", level=0.5)
    >>> residuals = {"input": torch.tensor([1.0, 2.0, 9.0]), "target": torch.zeros(3)}
    >>> loss.observe(Progress(step=1, signals=residuals))
    >>> loss.loss
    Huber(delta=2.0)
    """

    hyper: str
    level: Tensor
    factor: Tensor
    momentum: Tensor
    card: ClassVar[Card] = Card(
        key="following",
        tasks=("regression",),
        target="values",
        input="values",
        formula="loss(x, y; s), s = moving quantile of |x - y|",
        use_when="A robust loss is wanted and the residuals' scale is unknown, or shrinks.",
        avoid_when="The scale is known: a fixed one has no state and no lag.",
        paper=Paper(
            authors="P. J. Huber", title="Robust Estimation of a Location Parameter", year=1964
        ),
        example=Example(input=[0.5, 3.0], target=[0.0, 0.0], value=1.3125),
        claims=Claims(convex=True, lipschitz=True),
        hypers={
            "loss": Hyper(default=None, meaning="robust regression loss; None is Huber"),
            "hyper": Hyper(default="delta", meaning="hyperparameter that follows"),
            "level": Hyper(default=0.9, low=0.0, high=1.0, meaning="quantile of the residuals"),
            "factor": Hyper(default=1.0, low=0.0, open=True, meaning="multiplies the quantile"),
            "momentum": Hyper(default=0.9, low=0.0, high=1.0, meaning="how slowly it follows"),
        },
        needs=("input", "target"),
    )

    def __init__(
        self,
        loss: Pointwise | None = None,
        *,
        hyper: str = "delta",
        level: float | Schedule = 0.9,
        factor: float | Schedule = 1.0,
        momentum: float | Schedule = 0.9,
    ) -> None:
        inner = check_inner("Following", Huber() if loss is None else loss)
        real = isinstance(getattr(inner, hyper, None), Tensor) and hyper in inner.card.hypers
        if not real or hyper in inner._schedules:
            known = ", ".join(n for n in inner.card.hypers if isinstance(getattr(inner, n), Tensor))
            raise ValueError(
                f"Following: {type(inner).__name__} has no free number {hyper!r}; it has "
                f"{known or 'none'}"
            )
        super().__init__(loss=inner, hyper=hyper, level=level, factor=factor, momentum=momentum)
        inner._followed.append(hyper)

    def update(self, progress: Progress) -> None:
        """Move the inner loss's hyperparameter towards the residuals' quantile."""
        input, target = progress.signals["input"], progress.signals["target"]
        input, target = input.cpu(), target.cpu()  # where the number is
        sizes = (self.loss.decode(input).double() - target.double()).abs().flatten()
        sizes = sizes[sizes.isfinite()]
        if sizes.numel() == 0:
            return
        aim = quantile_of(sizes.sort().values, float(self.level)) * self.factor
        number = getattr(self.loss, self.hyper)
        kept = self.momentum if self.observed > 0 else self.momentum * 0
        least = torch.finfo(torch.float32).tiny
        number.copy_((kept * number + (1 - kept) * aim.to(number)).clamp(min=least))
