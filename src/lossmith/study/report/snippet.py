"""The lines that train a user's own model with the chosen loss; they run as printed."""

from collections.abc import Sequence

import numpy as np

from lossmith.catalogue import find
from lossmith.study.base.result import ReportData, Result, TargetResult
from lossmith.study.tasks import of_numbers

_PROGRAM = """\
import torch
from torch import nn

import lossmith

loss = lossmith.load("loss.json")

x = torch.randn({rows}, 8)  # your features
{target}

{model}
optimizer = torch.optim.Adam({trained}, lr={rate:.4g})
{before}for epoch in range(20):
    for rows in torch.randperm(len(x)).split(64):
        optimizer.zero_grad()
        loss({output}, {of_rows}).backward()
        optimizer.step()
{after}
with torch.no_grad():
    prediction = {read}  # {meaning}
"""
_CLOCK = "clock = lossmith.LossScheduler(loss, total_steps=20 * len(x) // 64)\n"
_HEADS = """\
body = nn.Sequential(nn.Linear(8, 64), nn.ReLU())
widths = {name: one.out_features for name, one in loss.losses.items()}
heads = nn.ModuleDict({name: nn.Linear(64, width) for name, width in widths.items()})
model = nn.ModuleList([body, heads])
groups = lossmith.parameter_groups(model, loss)"""
_OUTPUTS = """

def outputs(x):
    return {name: head(body(x)).squeeze(-1) for name, head in heads.items()}


"""


def snippet(result: Result, evidence: ReportData) -> str:
    """Return a program that trains a small model with `loss.json` and predicts."""
    rates = [c.learning_rate for c in result.candidates if c.name == result.selected]
    parts = _several(result, evidence) if result.targets else _single(result, evidence)
    return _PROGRAM.format(rate=next((rate for rate in rates if rate), 1e-3), **parts)


def _single(result: Result, evidence: ReportData) -> dict[str, str]:
    chosen = [entry.loss for entry in evidence.outputs if entry.name == result.selected]
    moves = any(loss.moves for loss in chosen)
    learns = any(True for loss in chosen for _ in loss.parameters())
    return {
        "rows": "512, 10" if result.task == "ranking" else "512",
        "target": f"{_target(result, evidence)}  # your target",
        "model": "model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), "
        "nn.Linear(64, loss.out_features))",
        "trained": "lossmith.parameter_groups(model, loss)" if learns else "model.parameters()",
        "before": _CLOCK if moves else "",
        "output": "model(x[rows]).squeeze(-1)",
        "of_rows": _of_rows(evidence),
        "after": "        clock.step()\n" if moves else "",
        "read": _read("loss", "model(x).squeeze(-1)", next(iter(evidence.levels), None)),
        "meaning": _meaning(result, evidence),
    }


def _of_rows(evidence: ReportData) -> str:
    if evidence.horizons:
        return "{name: values[rows] for name, values in y.items()}"
    return "y[rows]"


def _meaning(result: Result, evidence: ReportData) -> str:
    if evidence.horizons:
        return "loss.survival(…, time) is the probability to outlive a time"
    if result.task == "ranking":
        return "scores of the items of each query, higher first"
    return "in the target's unit" if of_numbers(result.task) else "probabilities"


def _several(result: Result, evidence: ReportData) -> dict[str, str]:
    chosen = next(c for c in result.candidates if c.name == result.selected)
    names = [name for name in chosen.parameters if name not in ("weighting", "shares")]
    targets = ", ".join(
        f'"{name}": {_values(one)}' for name, one in zip(names, result.targets, strict=True)
    )
    return {
        "rows": "512",
        "target": f"y = {{{targets}}}  # your targets",
        "model": _HEADS,
        "trained": "groups",
        "before": _OUTPUTS,
        "output": "outputs(x[rows])",
        "of_rows": "{name: values[rows] for name, values in y.items()}",
        "after": "",
        "read": _read_several(names, evidence.levels),
        "meaning": "in each target's unit, or probabilities",
    }


def _read(loss: str, output: str, level: float | None) -> str:
    if level is None:
        return f"{loss}.decode({output})"
    return f"{loss}.quantile({output}, {level:g})"


def _read_several(names: Sequence[str], levels: Sequence[float | None]) -> str:
    if not any(levels):
        return _read("loss", "outputs(x)", None)
    parts = [
        f'"{name}": {_read(f"loss.losses.{name}", f"""outputs(x)["{name}"]""", level)}'
        for name, level in zip(names, levels, strict=True)
    ]
    return "{" + ", ".join(parts) + "}"


def _values(one: TargetResult) -> str:
    if of_numbers(one.task):
        return "torch.rand(512)"
    return f"torch.randint(0, {one.classes}, (512,))"


def _target(result: Result, evidence: ReportData) -> str:
    if evidence.horizons:
        ends = _short(evidence.horizons[0]), _short(evidence.horizons[-1])
        times = f'"time": torch.empty(512).uniform_({", ".join(ends)})'
        return f'y = {{{times}, "event": torch.randint(0, 2, (512,))}}'
    if result.task == "ranking":
        return "y = torch.randint(0, 3, (512, 10))"
    if of_numbers(result.task):
        known = evidence.test_target[np.isfinite(evidence.test_target)]
        low, high = np.quantile(known, [0.05, 0.95]) if len(known) else (0.0, 1.0)
        high = high if high > low else low + 1
        return f"y = torch.empty(512).uniform_({_short(low)}, {_short(high)})"
    count = max(len(evidence.classes), int(np.max(evidence.test_target, initial=1)) + 1)
    codes = f"y = torch.randint(0, {count}, (512,))"
    return f"{codes}.float()" if _reads_labels(result, evidence) else codes


def _short(value: float) -> str:
    return f"{float(f'{value:.3g}'):.10g}"


def _reads_labels(result: Result, evidence: ReportData) -> bool:
    """Return whether the chosen loss takes labels of 0 to 1 rather than class codes."""
    cards = [entry.loss.card for entry in evidence.outputs if entry.name == result.selected]
    catalogue = find(result.task)
    if not cards and result.selected in catalogue:
        cards = [catalogue[result.selected].card]
    return bool(cards) and cards[0].target == "labels"
