"""What a study of several targets adds to the report: the verdict, each target, the code."""

from html import escape

import numpy as np

from lossmith.study.formatting import decimals, interval, number
from lossmith.study.metrics import metric_name
from lossmith.study.report.text import breakable, finished, table
from lossmith.study.report.verdict import withheld
from lossmith.study.result import CandidateResult, Result, TargetResult

_SNIPPET = """\
import torch
from torch import nn

import lossmith

loss = lossmith.load("loss.json")

x = torch.randn(512, 8)  # your features
y = {{{target}}}  # your targets

body = nn.Sequential(nn.Linear(8, 64), nn.ReLU())
widths = {{name: one.out_features for name, one in loss.losses.items()}}
heads = nn.ModuleDict({{name: nn.Linear(64, width) for name, width in widths.items()}})
model = nn.ModuleList([body, heads])
groups = lossmith.parameter_groups(model, loss)
optimizer = torch.optim.Adam(groups, lr={rate:.4g})


def outputs(x):
    return {{name: head(body(x)).squeeze(-1) for name, head in heads.items()}}


for epoch in range(20):
    for rows in torch.randperm(len(x)).split(64):
        optimizer.zero_grad()
        loss(outputs(x[rows]), {{name: values[rows] for name, values in y.items()}}).backward()
        optimizer.step()

with torch.no_grad():
    prediction = loss.decode(outputs(x))  # in each target's unit, or probabilities
"""


def meaning(result: Result) -> str:
    """Return what the verdict of several targets rests on and what it does not say."""
    metrics = ", ".join(
        f"<b>{escape(one.name)}</b> by {escape(metric_name(one.metric))}" for one in result.targets
    )
    tried = sum(1 for c in result.candidates if c.name != result.default)
    paragraphs = [
        f"One model predicts {metrics}. Every combination of losses was trained on the same folds, "
        "with the same initial weights and the same batches, at a learning rate of its own; fixed "
        "weights were tuned alike for all of them, among the same shares. The default is the loss "
        "that each metric asks for, at its best weights.",
        "Combinations are compared by the relative error: the geometric mean, over targets, of the "
        "metric (or 1 − metric where higher is better) in units of the best constant prediction’s, "
        "so that 1&nbsp;% less is 1&nbsp;% less in the mean over targets. "
        f"p-values are corrected for the {tried:,} combinations and for the losses that were "
        "screened for each target by itself, at every weighting.",
    ]
    if result.withheld:
        paragraphs.append(withheld(result))
    others = [name for name in result.equivalents if name != result.selected]
    if others:
        names = ", ".join(f"<b>{escape(name)}</b>" for name in others)
        paragraphs.append(f"Not told apart from the chosen combination: {names}.")
    return "".join(f"<p>{text}</p>" for text in paragraphs)


def tiles(result: Result) -> str:
    """Return a key figure for each target: the score, and the default's where it differs."""
    cells = []
    for one in result.targets:
        places = _places(one)
        note = interval(one.difference_low, one.difference_high, places, sign=True)
        if result.verdict == "switch":
            note = f"default {number(one.default, places)}<br>difference {note}"
        else:
            note = f"{escape(one.better)} is better"
        cells.append(
            f"<div><dt>{escape(one.name)}: {escape(metric_name(one.metric))}</dt>"
            f"<dd>{number(one.selected, places)}<small>{note}</small></dd></div>"
        )
    return f'<dl class="tiles">{"".join(cells)}</dl>'


def targets(result: Result) -> str:
    """Return each finished combination's score on every target, and the scores of test rows."""
    head = ["combination"]
    for one in result.targets:
        head += [f"{escape(one.name)}: {escape(metric_name(one.metric))}", "difference"]
    rows = []
    for candidate in finished(result):
        cells = [breakable(candidate.name)]
        for one in result.targets:
            cells += _scores(one, candidate, candidate.name == result.default)
        rows.append(cells)
    caption = "Scores on the folds with their 95 % intervals; differences are to the default"
    return table(head, rows, caption=caption) + _test(result)


def _scores(one: TargetResult, candidate: CandidateResult, default: bool) -> list[str]:
    part, places = candidate.by_target.get(one.name), _places(one)
    if part is None:
        return [number(None, 0)] * 2
    limits = interval(part["low"], part["high"], places)
    score = f"{number(part['score'], places)}<small>{limits}</small>"
    if default:
        return [score, "0"]
    limits = interval(part["difference_low"], part["difference_high"], places, sign=True)
    return [
        score,
        f"{number(part['difference_to_default'], places, sign=True)}<small>{limits}</small>",
    ]


def _test(result: Result) -> str:
    switched = result.verdict == "switch"
    rows = [
        [
            f"{escape(one.name)}: {escape(metric_name(one.metric))}",
            number(one.test["default"], _places(one)),
            *([number(one.test["selected"], _places(one))] if switched else []),
            number(one.test["rows"], 0),
        ]
        for one in result.targets
    ]
    head = ["target", "default", *(["chosen"] if switched else []), "rows"]
    return table(head, rows, caption="Scores on the untouched test rows, looked at once")


def snippet(result: Result) -> str:
    """Return a program that trains a small model of several heads with `loss.json`."""
    rates = [c.learning_rate for c in result.candidates if c.name == result.selected]
    chosen = next(c for c in result.candidates if c.name == result.selected)
    names = [name for name in chosen.parameters if name not in ("weighting", "shares")]
    parts = [
        f'"{name}": ' + ("torch.rand(512)" if one.task == "regression" else _codes(one))
        for name, one in zip(names, result.targets, strict=True)
    ]
    return _SNIPPET.format(target=", ".join(parts), rate=next((r for r in rates if r), 1e-3))


def _codes(one: TargetResult) -> str:
    return f"torch.randint(0, {one.classes}, (512,))"


def _places(one: TargetResult) -> int:
    width = (one.difference_high - one.difference_low) / 2
    usable = np.isfinite(width) and width > 0
    return decimals([width if usable else 0.01 * abs(one.default)])
