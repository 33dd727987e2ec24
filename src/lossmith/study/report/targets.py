"""What a study of several targets adds to the report: a key figure and a column for each."""

from html import escape

import numpy as np

from lossmith.study.base.formatting import decimals, interval, number
from lossmith.study.base.result import CandidateResult, Result, TargetResult
from lossmith.study.metrics import metric_name
from lossmith.study.report.text import breakable, finished, table


def tiles(result: Result) -> list[tuple[str, str, str]]:
    """Return name, score and a note of each target; the note has the default where it differs."""
    shown = []
    for one in result.targets:
        places = _places(one)
        note = interval(one.difference_low, one.difference_high, places, sign=True)
        if result.verdict == "switch":
            note = f"default {number(one.default, places)}<br>difference {note}"
        else:
            note = f"{escape(one.better)} is better"
        shown.append((_named(one), number(one.selected, places), note))
    return shown


def targets(result: Result) -> str:
    """Return each finished combination's score on every target, and the scores of test rows."""
    head = ["combination"]
    for one in result.targets:
        head += [_named(one), "difference"]
    rows = []
    for candidate in finished(result):
        cells = [breakable(candidate.name)]
        for one in result.targets:
            cells += _scores(one, candidate, candidate.name == result.default)
        rows.append(cells)
    caption = "Scores on the folds with their 95 % intervals; differences are to the default"
    return table(head, rows, caption=caption, css="cards") + _test(result)


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
            _named(one),
            number(one.test["default"], _places(one)),
            *([number(one.test["selected"], _places(one))] if switched else []),
            number(one.test["rows"], 0),
        ]
        for one in result.targets
    ]
    head = ["target", "default", *(["chosen"] if switched else []), "rows"]
    return table(head, rows, caption="Scores on the untouched test rows, looked at once")


def _named(one: TargetResult) -> str:
    return f"{escape(one.name)}: {escape(metric_name(one.metric))}"


def _places(one: TargetResult) -> int:
    width = (one.difference_high - one.difference_low) / 2
    usable = np.isfinite(width) and width > 0
    return decimals([width if usable else 0.01 * abs(one.default)])
