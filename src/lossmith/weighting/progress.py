"""Weights that follow the course of the terms, or chance; `observe` moves them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lossmith.core.adaptive import State
from lossmith.core.loss import Loss
from lossmith.core.progress import Progress
from lossmith.core.weighting import Weighting
from lossmith.weighting.checks import number, positive, vector

VARIANTS = ("original", "normalized", "loss_weighted")


class Moving(Weighting):
    """A weighted sum whose weights are state: `combine` reads, `observe` writes."""

    factor: Tensor

    def begin(self, losses: Mapping[str, Loss]) -> None:
        """Start every weight at 1."""
        self.vector("factor", [1.0] * len(losses))

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum."""
        values = self.stacked(terms)
        return (self.factor.to(values.dtype) * values).sum()

    def weights(self) -> dict[str, float]:
        """Return the present weights."""
        return dict(zip(self.names, self.factor.tolist(), strict=True))

    def seen(self, progress: Progress) -> Tensor:
        """Return the terms of the step, positive, in the order of the names."""
        owner = type(self).__name__
        given = vector(owner, "terms", progress.signals["terms"], self.names, self.factor)
        return positive(owner, "terms", given)


class DWA(Moving):
    r"""Dynamic weight average: more weight to terms that fell less over the last two epochs.

    .. math:: w_k = K \, \mathrm{softmax}_k(r / T) \qquad r_k = L_k^{(t-1)} / L_k^{(t-2)}

    with the mean of each term over an epoch; 1 in the first two epochs. Drive it with epochs:
    `LossScheduler(..., steps_per_epoch=...)` or `step(epoch=...)`.

    Args:
        temperature: T; large values make the weights alike.

    Raises:
        ValueError: if temperature is not positive, a term is not, or no epoch is told.

    Source: Liu, Johns & Davison, End-to-End Multi-Task Learning with Attention (2019).
    """

    signals = ("terms",)
    total: Tensor
    last: Tensor
    before: Tensor
    counts: Tensor

    def __init__(self, *, temperature: float = 2.0) -> None:
        super().__init__()
        self.temperature = number("DWA", "temperature", temperature, least=0)

    def begin(self, losses: Mapping[str, Loss]) -> None:
        """Start every weight at 1 with nothing seen."""
        super().begin(losses)
        for name in ("total", "last", "before"):
            self.vector(name, [0.0] * len(losses))
        self.vector("counts", [0.0, 0.0, 0.0])  # steps of this epoch, epochs closed, last epoch

    def update(self, progress: Progress) -> State:
        """Add the step to its epoch; where an epoch ends, move the weights."""
        if progress.epoch is None:
            raise ValueError(
                "DWA counts epochs; drive it with LossScheduler(..., steps_per_epoch=...) or "
                "step(epoch=...)"
            )
        total = self.total + self.seen(progress)
        steps, closed, epoch = self.counts.tolist()
        counts = self.counts.new_tensor([steps + 1, closed, epoch])
        if progress.epoch <= epoch:
            return {"total": total, "counts": counts}
        mean = total / (steps + 1)
        found = {
            "before": self.last,
            "last": mean,
            "total": torch.zeros_like(total),
            "counts": self.counts.new_tensor([0.0, closed + 1, progress.epoch]),
        }
        if closed >= 1:
            ratio = mean / self.last
            found["factor"] = len(self.names) * (ratio / self.temperature).softmax(0)
        return found

    def config(self) -> dict[str, Any]:
        """Return the temperature."""
        return {"temperature": self.temperature}


class RandomWeights(Moving):
    r"""New weights at every step, drawn at random: a baseline that is hard to beat.

    .. math:: w = \mathrm{softmax}(z), \quad z_k \sim \mathcal{N}(0, 1)

    A step's draw depends on the seed and the step alone, so a resumed run draws the same.

    Args:
        seed: of the draws.

    Source: Lin et al., Reasonable Effectiveness of Random Weighting: A Litmus Test for Multi-Task
    Learning (2022).
    """

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__()
        self.seed = int(seed)

    def begin(self, losses: Mapping[str, Loss]) -> None:
        """Draw the weights of the first step."""
        super().begin(losses)
        self.factor.copy_(self._draw(0))

    def observe_self(self, progress: Progress) -> None:
        """Draw the weights of a step; the same step draws the same."""
        super().observe_self(progress)
        self.factor.copy_(self._draw(progress.step))

    def _draw(self, step: int) -> Tensor:
        source = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        drawn = torch.randn(len(self.names), generator=source, dtype=torch.float64)
        return drawn.softmax(0)

    def config(self) -> dict[str, Any]:
        """Return the seed."""
        return {"seed": self.seed}


class SoftAdapt(Moving):
    r"""More weight to terms that rose, or fell least, since the step before.

    .. math:: w = \mathrm{softmax}(\beta s) \qquad s_k = L_k^{(t)} - L_k^{(t-1)}

    "normalized" divides s by :math:`\sum_k |s_k|`; "loss_weighted" multiplies the exponentials by
    the terms. The paper sets the weights of a step by its own terms; here they hold from the next
    step on, since forward writes no state. Equal weights until two steps were seen.

    Args:
        beta: positive favours the terms that do worst, negative those that do best.
        variant: "original", "normalized" or "loss_weighted".

    Raises:
        ValueError: if beta is not finite, there is no such variant, or a term is not positive.

    Source: Heydari, Thompson & Mehmood, SoftAdapt: Techniques for Adaptive Loss Weighting of
    Neural Networks with Multi-Part Loss Functions (2019).
    """

    signals = ("terms",)
    last: Tensor

    def __init__(self, *, beta: float = 0.1, variant: str = "original") -> None:
        super().__init__()
        self.beta = number("SoftAdapt", "beta", beta, least=float("-inf"))
        if variant not in VARIANTS:
            raise ValueError(f"SoftAdapt: variant must be one of {VARIANTS}, got {variant!r}")
        self.variant = variant

    def begin(self, losses: Mapping[str, Loss]) -> None:
        """Start with equal weights that sum to 1."""
        self.vector("factor", [1 / len(losses)] * len(losses))
        self.vector("last", [0.0] * len(losses))

    def update(self, progress: Progress) -> State:
        """Move the weights by the change since the last step."""
        now = self.seen(progress)
        slope = now - self.last
        if self.variant == "normalized":
            slope = slope / slope.abs().sum().clamp(min=1e-8)
        logits = self.beta * slope
        if self.variant == "loss_weighted":
            logits = logits + now.log()
        begun = self.last > 0  # as all terms are
        return {"last": now, "factor": torch.where(begun, logits.softmax(0), self.factor)}

    def config(self) -> dict[str, Any]:
        """Return beta and the variant."""
        return {"beta": self.beta, "variant": self.variant}


class ReLoBRaLo(Moving):
    r"""Relative loss balancing with random lookback: progress against the last step, or the first.

    .. math:: w^{(t)} = \alpha \big( \rho\, w^{(t-1)} + (1 - \rho)\, \hat w^{(t; 0)} \big)
        + (1 - \alpha)\, \hat w^{(t; t-1)} \qquad
        \hat w_k^{(t; t')} = K \, \mathrm{softmax}_k
        \Big( \frac{L_k^{(t)}}{T L_k^{(t')}} \Big)

    with :math:`\rho \sim \mathrm{Bernoulli}(E[\rho])`, drawn from the seed and the step alone. The
    weights hold from the next step on.

    Args:
        alpha: how much of the past is kept.
        temperature: T; large values make the weights alike.
        rho: the expected value of the lookback.
        seed: of the draws.

    Raises:
        ValueError: if a number is out of range, or a term is not positive.

    Source: Bischof & Kraus, Multi-Objective Loss Balancing for Physics-Informed Deep Learning
    (2021); the defaults are those of the authors' code.
    """

    signals = ("terms",)
    first: Tensor
    last: Tensor

    def __init__(
        self, *, alpha: float = 0.999, temperature: float = 0.1, rho: float = 0.99, seed: int = 0
    ) -> None:
        super().__init__()
        for name, value in (("alpha", alpha), ("rho", rho)):
            if not 0 <= value <= 1:
                raise ValueError(f"ReLoBRaLo: {name} must be in [0, 1], got {value}")
        self.alpha, self.rho, self.seed = float(alpha), float(rho), int(seed)
        self.temperature = number("ReLoBRaLo", "temperature", temperature, least=0)

    def begin(self, losses: Mapping[str, Loss]) -> None:
        """Start every weight at 1 with nothing seen."""
        super().begin(losses)
        self.vector("first", [0.0] * len(losses))
        self.vector("last", [0.0] * len(losses))

    def update(self, progress: Progress) -> State:
        """Move the weights by the step's progress."""
        now = self.seen(progress)
        if not (self.first > 0).all():  # as all terms are
            return {"first": now, "last": now}
        source = torch.Generator().manual_seed(self.seed * 1_000_003 + progress.step)
        kept = float(torch.rand((), generator=source) < self.rho)
        past = kept * self.factor + (1 - kept) * self._balance(now, self.first)
        fresh = self._balance(now, self.last)
        return {"last": now, "factor": self.alpha * past + (1 - self.alpha) * fresh}

    def _balance(self, now: Tensor, then: Tensor) -> Tensor:
        return len(self.names) * (now / (self.temperature * then)).softmax(0)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "alpha": self.alpha,
            "temperature": self.temperature,
            "rho": self.rho,
            "seed": self.seed,
        }
