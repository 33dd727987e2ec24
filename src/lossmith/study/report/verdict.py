"""The verdict in words: heading, key figures and what they mean."""

from html import escape

from lossmith.study.formatting import interval, number, p_value
from lossmith.study.metrics import metric_name
from lossmith.study.report.figures import compared, difference_places
from lossmith.study.report.text import breakable, opening
from lossmith.study.result import CandidateResult, Result


def heading(result: Result) -> str:
    """Return the verdict in a few words."""
    if result.verdict == "switch":
        return f"Switch to {breakable(result.selected)}"
    return f"Keep {breakable(result.default)}"


def evidence(result: Result) -> str:
    """Return what the verdict rests on: by how much, the interval and the p-value."""
    rivals = compared(result)
    row = next((c for c in rivals if c.name == result.selected), rivals[0] if rivals else None)
    if row is None or row.difference_to_default is None:
        return ""
    places = difference_places(result)
    word = "lower" if row.difference_to_default < 0 else "higher"
    size = number(abs(row.difference_to_default), places)
    limits = interval(row.difference_low, row.difference_high, places, sign=True)
    p = p_value(row.p_value)
    metric = escape(metric_name(result.metric))
    who = "" if row.name == result.selected else f"The best rival is {escape(row.name)}: its "
    return (
        f"{who}{metric if who else opening(metric)} is {size} {word}"
        f"{_percent(result, row)} than with {escape(result.default)} on the "
        f"same folds; 95&nbsp;% interval {limits or 'unknown'}, corrected p "
        f"{escape(p) if p.startswith('<') else '= ' + p}."
    )


def tiles(result: Result) -> str:
    """Return the key figures: the scores, the difference, the untouched test rows."""
    places = difference_places(result)
    metric = escape(metric_name(result.metric))
    default, chosen = _row(result, result.default), _row(result, result.selected)
    shown = [_score_tile(f"{metric}, default", default, places)]
    if result.verdict == "switch":
        shown.append(_score_tile(f"{metric}, chosen", chosen, places))
        shown.append(_difference_tile("difference", chosen, places))
    elif rivals := compared(result):
        shown.append(_difference_tile("best rival’s difference", rivals[0], places))
    if result.test:
        shown.append(_test_tile(result, places))
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>"
        for name, value, note in shown
    )
    return f'<dl class="tiles">{cells}</dl>'


def meaning(result: Result) -> str:
    """Return what the verdict rests on, what it does not say, and what can't be told apart."""
    tried = sum(1 for c in result.candidates if c.name != result.default)
    default, metric = escape(result.default), escape(metric_name(result.metric))
    paragraphs = [
        f"Every loss was trained on the same folds, with the same initial weights and the same "
        f"batches, at a learning rate of its own, and judged by {metric} on rows it had not seen. "
        f"<b>{default}</b> is the default because it is the loss that {metric} asks for; "
        f"{_naive(result)}"
    ]
    if result.verdict == "switch":
        paragraphs.append(
            f"The p-value is one-sided and already corrected for the {tried:,} candidates that "
            "were tried, so the gain is not the luck of many attempts."
        )
    elif result.withheld:
        paragraphs.append(withheld(result))
    else:
        paragraphs.append(
            f"A loss replaces the default only when its gain is beyond doubt after correcting for "
            f"the {tried:,} candidates that were tried. None was, so the default stays."
        )
    others = [name for name in result.equivalents if name != result.selected]
    if others:
        names = ", ".join(f"<b>{escape(name)}</b>" for name in others)
        paragraphs.append(f"Not told apart from the chosen loss by this study: {names}.")
    paragraphs.append(test_sentence(result))
    return "".join(f"<p>{text}</p>" for text in paragraphs if text)


def withheld(result: Result) -> str:
    """Return why the default is kept though a loss looked better."""
    return (
        f"<b>{escape(result.withheld)}</b> looked better, but rows seem to belong together, and "
        "rows of one group on both sides of a split feign such gains. Say which do, or that none "
        "do, for a verdict that this can’t spoil."
    )


def _naive(result: Result) -> str:
    if result.naive == result.default:
        return "it is also what is commonly used without a choice."
    return f"<b>{escape(result.naive)}</b> is what is commonly used without a choice."


def test_sentence(result: Result) -> str:
    """Return what the untouched rows say of a switch, where there are any."""
    default, chosen = result.test.get("default"), result.test.get("selected")
    if default is None or chosen is None or result.verdict == "keep":
        return ""
    places = difference_places(result)
    better = result.error(chosen) < result.error(default)
    text = (
        f"On the {_test_rows(result)} test rows, looked at once and only after the "
        f"choice, the chosen loss scores {number(chosen, places)} and the default "
        f"{number(default, places)}."
    )
    if better:
        return text
    return text + (
        " Here it is not better: one set of test rows is noisier than all the folds together, "
        "but weigh this before you switch."
    )


def _row(result: Result, name: str) -> CandidateResult | None:
    return next((c for c in result.candidates if c.name == name), None)


def _percent(result: Result, row: CandidateResult) -> str:
    """Return the difference as a share of the default's error; shares of a success mislead."""
    default = _row(result, result.default)
    if result.better == "higher" or default is None or not default.score:
        return ""
    if row.difference_to_default is None:
        return ""
    return f" ({abs(row.difference_to_default / default.score):.1%})".replace("%", "&nbsp;%")


def _test_rows(result: Result) -> str:
    """Return how many test rows were scored, and of how many where gross errors were left out."""
    every = result.rows.get("test", 0)
    scored = int(result.test.get("rows") or every)
    return f"{scored:,}" if scored == every else f"{scored:,} of {every:,}"


def _score_tile(name: str, row: CandidateResult | None, places: int) -> tuple[str, str, str]:
    if row is None:
        return name, number(None, places), ""
    return name, number(row.score, places), interval(row.low, row.high, places)


def _difference_tile(name: str, row: CandidateResult | None, places: int) -> tuple[str, str, str]:
    if row is None:
        return name, number(None, places), ""
    limits = interval(row.difference_low, row.difference_high, places, sign=True)
    note = f"{limits}<br>p {escape(p_value(row.p_value))}"
    if name != "difference":
        note = f"{escape(row.name)} {note}"
    return name, number(row.difference_to_default, places, sign=True), note


def _test_tile(result: Result, places: int) -> tuple[str, str, str]:
    chosen, default = result.test.get("selected"), result.test.get("default")
    rows = f"{_test_rows(result)} untouched rows"
    if result.verdict == "keep":
        return "test", number(default, places), rows
    return "test, chosen", number(chosen, places), f"default {number(default, places)}<br>{rows}"
