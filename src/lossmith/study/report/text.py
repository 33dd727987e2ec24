"""Numbers, names and parameters as a reader wants them."""

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from lossmith.study.base.formatting import decimals, number
from lossmith.study.base.result import CandidateResult, Result
from lossmith.study.metrics import metric_name

_TAG = re.compile("<[^>]*>")


def tick(value: float, ticks: Sequence[float], *, short: bool = False) -> str:
    """Return the label of one of an axis's ticks, with as many decimals as all of them need.

    >>> tick(0.3, [0.3, 0.35, 0.4]), tick(-20000.0, [-20000.0, 0.0])
    ('0.30', '−20,000')
    >>> tick(-250000.0, [-250000.0, 0.0], short=True), tick(0.0, [-250000.0, 0.0], short=True)
    ('−250k', '0')
    """
    largest = max(abs(entry) for entry in (value, *ticks))
    sizes = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")) if short and largest >= 1e4 else ()
    apart = min((high - low for low, high in pairwise(sorted({value, *ticks}))), default=largest)
    fitting = (pair for pair in sizes if largest >= pair[0] and apart >= pair[0] / 1000)
    size, suffix = next(fitting, (1.0, ""))
    scaled, step = sorted({entry / size for entry in (value, *ticks)}), apart / size
    places = next(
        (p for p in range(9) if all(abs(round(e, p) - e) < 0.01 * step for e in scaled)), 9
    )
    return number(value / size, places) + (suffix if value else "")


def breakable(name: str) -> str:
    """Return a name as HTML that may break between its words."""
    return escape(name).replace("_", "_<wbr>").replace("(", "(<wbr>")


def opening(text: str) -> str:
    """Return text as the start of a sentence.

    >>> opening("balanced accuracy"), opening("MAE")
    ('Balanced accuracy', 'MAE')
    """
    return text[:1].upper() + text[1:]


def parameters(values: Mapping[str, Any]) -> str:
    """Return hyperparameters as one readable line.

    >>> parameters({"delta": 0.1, "inner": {"loss": "huber", "arguments": {"delta": 1.345}}})
    'delta 0.1, inner huber (delta 1.345)'
    """
    return ", ".join(
        f"{name.replace('_', ' ')} {_value(value)}"
        for name, value in values.items()
        if value is not None
    )


def _value(value: Any) -> str:
    if isinstance(value, Mapping) and "loss" in value:
        inner = parameters(value.get("arguments") or {})
        return f"{value['loss']} ({inner})" if inner else str(value["loss"])
    if isinstance(value, Mapping):
        return f"({parameters(value)})"
    if isinstance(value, Sequence) and not isinstance(value, str):
        listed = ", ".join(_value(entry) for entry in value)
        return f"[{listed}]" if len(value) <= 6 else f"({len(value)} values)"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def ensemble(result: Result) -> str:
    """Return how many models of each loss predict together."""
    return ", ".join(f"{count} of {name}" for name, count in result.ensemble.items())


def settings(candidate: CandidateResult) -> str:
    """Return the hyperparameters that the candidate's name does not state already."""
    if "weighting" in candidate.parameters:  # of several targets: the name states the losses
        return parameters({"shares": candidate.parameters.get("shares")})
    return parameters(
        {name: v for name, v in candidate.parameters.items() if f"{name}=" not in candidate.name}
    )


def finished(result: Result) -> list[CandidateResult]:
    """Return the candidates that were evaluated in full: chosen, default, then best first."""
    kept = [c for c in result.candidates if c.status in ("default", "selected", "finished")]

    def rank(candidate: CandidateResult) -> tuple[bool, bool, float]:
        score = candidate.score
        error = math.inf if score is None or not math.isfinite(score) else result.error(score)
        return (candidate.name != result.selected, candidate.name != result.default, error)

    return sorted(kept, key=rank)


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str, css: str = ""
) -> str:
    """Return an HTML table in a region that scrolls; cells are HTML, a row's first its heading.

    Each cell knows what its column is called, and which holds nothing: on a phone rows are cards.
    """
    labels = [_TAG.sub("", cell) for cell in head]
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>' + "".join(map(_cell, labels[1:], row[1:])) + "</tr>"
        for row in rows
    )
    name = escape(caption)
    return (
        f'<p class="caption">{name}</p>'
        f'<div class="scroll" role="region" tabindex="0" aria-label="{name}">'
        f'<table class="{css}" aria-label="{name}">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(label: str, cell: str) -> str:
    empty = _TAG.sub("", cell) == number(None, 0)
    return f'<td data-label="{label}"{" class=none" * empty}>{cell}</td>'


def tried(count: int, noun: str, ending: str = "s") -> str:
    """Return how many were tried, for which a p-value is corrected.

    >>> tried(1, "loss", "es"), tried(12, "loss", "es")
    ('the one loss that was tried', 'the 12 losses that were tried')
    """
    one = f"the one {noun} that was tried"
    return one if count == 1 else f"the {count:,} {noun}{ending} that were tried"


def left_out(result: Result) -> str:
    """Return what is scored where gross errors are left out, and the scores of all test rows."""
    default, chosen = (result.test.get(f"{role}_all_rows") for role in ("default", "selected"))
    if default is None or chosen is None or result.test.get("default") == default:
        return ""
    places = decimals(0.01 * abs(score) for score in (default, chosen) if score)
    scores = f"{number(default, places)} with {result.default}"
    if result.verdict == "switch":
        scores += f", {number(chosen, places)} with {result.selected}"
    return (
        f"Scores leave out gross errors in the target. On all {result.rows['test']:,} untouched "
        f"rows, these included, {metric_name(result.metric)} is {scores}."
    )
