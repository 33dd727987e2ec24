"""Whether the minimiser of the loss is what the metric rewards, from the claims of both."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lossmith.doctor.calls import Call
from lossmith.doctor.findings import Finding
from lossmith.doctor.seen import Seen

CALIBRATED = ("log_loss", "brier")  # metrics of probabilities as such, and not of their order
SAME = 0.05  # of the standard deviation: mean and median agree
BALANCED = 1.5  # times that the largest class has the rows of the smallest


def elicitation(seen: Seen) -> Iterator[Finding]:
    """Find losses whose minimiser is not what the metric rewards."""
    metric = _known(seen.setup.metric)
    if metric is None or len(seen.calls) != 1:
        return
    call = seen.calls[0]
    functional, level, scale = call.elicits
    if functional is None or not isinstance(call.target, Tensor):
        return
    if "regression" in metric.tasks and functional in ("mean", "median", "quantile"):
        yield from _of_numbers(metric, call, functional, level, scale, _targets(seen))
    elif "regression" not in metric.tasks and functional in ("probabilities", "balanced", "mode"):
        weighed = functional == "balanced" or call.class_weights is not None
        yield from _of_classes(metric, call, functional, weighed, _targets(seen))


def _of_numbers(
    metric: Any, call: Call, functional: str, level: float | None, scale: str | None, y: Tensor
) -> Iterator[Finding]:
    wanted, its_level = metric.elicits, metric.level if metric.elicits == "quantile" else None
    functional = "median" if functional == "quantile" and level == 0.5 else functional
    wanted = "median" if wanted == "quantile" and its_level == 0.5 else wanted
    kept = "median" in (functional, wanted) or "quantile" in (functional, wanted)
    moved = scale != metric.transform and not (
        kept and {scale, metric.transform} <= {"log1p", None}
    )
    if functional == wanted and not moved and (functional != "quantile" or level == its_level):
        return
    mine, its = _named(functional, level, scale), _named(wanted, its_level, metric.transform)
    apart = _apart(y, functional, level, wanted, its_level)
    agree = apart is not None and not moved and abs(apart[0] - apart[1]) < SAME * y.std().item()
    told = f": {apart[0]:.3g} and {apart[1]:.3g} over these targets" if apart and not moved else ""
    yield Finding(
        name="a loss that aims elsewhere than the metric",
        severity="note" if agree else "warning",
        evidence=f"{call.name} is least at the {mine}, {metric.name} best at the {its}{told}",
        remedy=_read_at(call, metric) or _instead(wanted, its_level, metric.transform),
    )


def _read_at(call: Call, metric: Any) -> str:
    """Return how a head that gives a distribution is read for the metric, where it can be."""
    if not call.distributed or metric.reads is None:
        return ""
    return f"predict loss.quantile(output, {metric.reads:g}), not loss.decode(output)"


def _of_classes(
    metric: Any, call: Call, functional: str, weighed: bool, y: Tensor
) -> Iterator[Finding]:
    wanted, counts = metric.elicits, _counts(y)
    uneven = len(counts) > 1 and counts.max() > BALANCED * counts.min()
    evidence = remedy = ""
    if wanted == "balanced" and not weighed and uneven:
        evidence = f"{call.name} is least at the {functional}, {metric.name} weighs all classes "
        evidence += f"alike, and the largest has {counts.max() / counts.min():.3g} times the rows"
        remedy = "use lossmith.BalancedSoftmax or LogitAdjusted, for_target(target)"
    elif weighed and uneven and (metric.name in CALIBRATED or metric.name == "accuracy"):
        evidence = f"{call.name} weighs the classes, so its probabilities are not the data's, "
        evidence += f"which {metric.name} rewards"
        remedy = "leave the weights out"
    elif functional == "mode" and metric.name in CALIBRATED:
        evidence = f"{call.name} finds the likeliest class, {metric.name} reads probabilities"
        remedy = "use CrossEntropy or BinaryCrossEntropy"
    if evidence:
        yield Finding(
            name="a loss that aims elsewhere than the metric",
            severity="warning",
            evidence=evidence,
            remedy=remedy,
        )


def _known(metric: Any) -> Any:
    """Return the metric of a name, or of a study, which says what it rewards; None for others."""
    if metric is None:
        return None
    from lossmith.study.metrics.base import Metric
    from lossmith.study.metrics.resolve import as_metric

    found = as_metric(metric) if isinstance(metric, str) else metric
    found = getattr(found, "metric", found)
    return found if isinstance(found, Metric) and found.elicits else None


def _targets(seen: Seen) -> Tensor:
    """Return the targets of all batches that were read."""
    parts = [one for _, one in seen.setup.batches if isinstance(one, Tensor)]
    return torch.cat([one.detach().flatten().cpu() for one in parts])


def _counts(target: Tensor) -> Tensor:
    counts = target.unique(return_counts=True)[1].double()
    return counts if len(counts) <= len(target) / 4 else counts[:0]


def _named(functional: str, level: float | None, scale: str | None) -> str:
    name = f"{level:g} quantile" if functional == "quantile" and level is not None else functional
    words = {"log1p": " of log(1 + y)", "relative": " weighed by 1/|y|"}
    return name + words.get(scale or "", f" after {scale}" if scale else "")


def _apart(
    y: Tensor, mine: str, level: float | None, wanted: str, its_level: float | None
) -> tuple[float, float] | None:
    """Return both functionals of the targets."""
    if len(y) < 2 or not y.is_floating_point():
        return None
    y = y.double()

    def of(functional: str, at: float | None) -> float:
        return y.mean().item() if functional == "mean" else y.quantile(at or 0.5).item()

    return of(mine, level), of(wanted, its_level)


def _instead(functional: str, level: float | None, scale: str | None) -> str:
    name = {"mean": "MSE", "median": "MAE"}.get(functional, f"Quantile(level={level})")
    if scale == "log1p":
        return f'use lossmith.TransformedTarget(lossmith.{name}(), function="log1p")'
    if scale == "relative":
        return f"use lossmith.TransformedTarget(lossmith.{name}(), relative=True)"
    return f"use lossmith.{name}" + ("" if name.startswith("Q") else "()")
