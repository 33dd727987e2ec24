"""The lines that train a user's own model with the chosen loss; they run as printed."""

import numpy as np

from lossmith.catalogue import find
from lossmith.study.result import Evidence, Result

_TEMPLATE = """\
import torch
from torch import nn

import lossmith

loss = lossmith.load("loss.json")

x = torch.randn(512, 8)  # your features
{target}  # your target

model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, loss.out_features))
optimizer = torch.optim.Adam({trained}, lr={rate:.4g})
{clock}for epoch in range(20):
    for rows in torch.randperm(len(x)).split(64):
        optimizer.zero_grad()
        loss(model(x[rows]).squeeze(-1), y[rows]).backward()
        optimizer.step()
{tick}
with torch.no_grad():
    prediction = loss.decode(model(x).squeeze(-1))  # {meaning}
"""
_CLOCK = "clock = lossmith.LossScheduler(loss, total_steps=20 * len(x) // 64)\n"


def snippet(result: Result, evidence: Evidence) -> str:
    """Return a program that trains a small model with `loss.json` and predicts."""
    rates = [c.learning_rate for c in result.candidates if c.name == result.selected]
    chosen = [entry.loss for entry in evidence.outputs if entry.name == result.selected]
    moves = any(loss.moves for loss in chosen)
    learns = any(True for loss in chosen for _ in loss.parameters())
    return _TEMPLATE.format(
        trained="lossmith.parameter_groups(model, loss)" if learns else "model.parameters()",
        clock=_CLOCK if moves else "",
        tick="        clock.step()\n" if moves else "",
        target=_target(result, evidence),
        rate=next((rate for rate in rates if rate), 1e-3),
        meaning="probabilities" if result.task != "regression" else "in the target's unit",
    )


def _target(result: Result, evidence: Evidence) -> str:
    if result.task == "regression":
        known = evidence.test_target[np.isfinite(evidence.test_target)]
        low, high = np.quantile(known, [0.05, 0.95]) if len(known) else (0.0, 1.0)
        high = high if high > low else low + 1
        return f"y = torch.empty(512).uniform_({_short(low)}, {_short(high)})"
    count = max(len(evidence.classes), int(np.max(evidence.test_target, initial=1)) + 1)
    codes = f"y = torch.randint(0, {count}, (512,))"
    return f"{codes}.float()" if _reads_labels(result, evidence) else codes


def _short(value: float) -> str:
    return f"{float(f'{value:.3g}'):.10g}"


def _reads_labels(result: Result, evidence: Evidence) -> bool:
    """Return whether the chosen loss takes labels of 0 to 1 rather than class codes."""
    cards = [entry.loss.card for entry in evidence.outputs if entry.name == result.selected]
    catalogue = find(result.task)
    if not cards and result.selected in catalogue:
        cards = [catalogue[result.selected].card]
    return bool(cards) and cards[0].target == "labels"
