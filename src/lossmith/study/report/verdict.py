"""The verdict in words: heading, key figures and what they mean."""

from html import escape

from lossmith.study.base.formatting import interval, number, p_value
from lossmith.study.base.result import CandidateResult, Result
from lossmith.study.metrics import metric_name
from lossmith.study.report import targets, text
from lossmith.study.report.figures import compared, difference_places
from lossmith.study.report.leaning import explained
from lossmith.study.report.text import breakable, opening, tried


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
    """Return the key figures: of each of several targets, or the scores and the difference."""
    shown = targets.tiles(result) if result.targets else _metric_tiles(result)
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>"
        for name, value, note in shown
    )
    return f'<dl class="tiles">{cells}</dl>'


def _metric_tiles(result: Result) -> list[tuple[str, str, str]]:
    """Return the scores, the difference and the untouched test rows."""
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
    return shown


def meaning(result: Result) -> str:
    """Return what the verdict rests on, what it does not say, and what can't be told apart."""
    paragraphs = _of_combinations(result) if result.targets else _of_losses(result)
    if result.withheld:
        paragraphs.append(_withheld(result))
    others = [name for name in result.equivalents if name != result.selected]
    if others:
        names = ", ".join(f"<b>{escape(name)}</b>" for name in others)
        chosen = "combination" if result.targets else "loss by this study"
        paragraphs.append(f"Not told apart from the chosen {chosen}: {names}.")
    if not (result.targets or result.withheld or result.interrupted):
        paragraphs.append(explained(result))
    paragraphs += [test_sentence(result), escape(text.left_out(result)), _ensemble(result)]
    return "".join(f"<p>{one}</p>" for one in paragraphs if one)


def _of_losses(result: Result) -> list[str]:
    default, metric = escape(result.default), escape(metric_name(result.metric))
    compared_by = (
        f"Every loss was trained on the same folds, with the same initial weights and the same "
        f"batches, at a learning rate of its own, and judged by {metric} on rows it had not seen. "
        f"<b>{default}</b> is the default: {escape(result.source)}; {_naive(result)}"
    )
    if result.verdict == "switch":
        return [
            compared_by,
            f"The p-value is one-sided and already corrected for "
            f"{tried(_tried(result), 'candidate')}, so the gain is not the luck of many attempts.",
        ]
    if result.withheld:
        return [compared_by]
    return [
        compared_by,
        "A loss replaces the default only when its gain is beyond doubt after correcting for "
        f"{tried(_tried(result), 'candidate')}. None was, so the default stays.",
    ]


def _of_combinations(result: Result) -> list[str]:
    metrics = ", ".join(
        f"<b>{escape(one.name)}</b> by {escape(metric_name(one.metric))}" for one in result.targets
    )
    return [
        f"One model predicts {metrics}. Every combination of losses was trained on the same folds, "
        "with the same initial weights and the same batches, at a learning rate of its own; fixed "
        "weights were tuned alike for all of them, among the same shares. The default is the loss "
        "that each metric asks for, at its best weights.",
        "Combinations are compared by the relative error: the geometric mean, over targets, of the "
        "metric (or 1 − metric where higher is better) in units of the best constant prediction’s, "
        "so that 1&nbsp;% less is 1&nbsp;% less in the mean over targets. p-values are corrected "
        f"for the {_tried(result):,} combinations and for the losses that were screened for each "
        "target by itself, at every weighting.",
    ]


def _withheld(result: Result) -> str:
    """Return why the default is kept though a loss looked better."""
    return (
        f"<b>{escape(result.withheld)}</b> looked better, but rows seem to belong together, and "
        "rows of one group on both sides of a split feign such gains. Say which do, or that none "
        "do, for a verdict that this can’t spoil."
    )


def _tried(result: Result) -> int:
    return sum(1 for c in result.candidates if c.name != result.default)


def _naive(result: Result) -> str:
    if result.common == result.default:
        return "it is also what is commonly used without a choice."
    return f"<b>{escape(result.common)}</b> is what is commonly used without a choice."


def test_sentence(result: Result) -> str:
    """Return what the untouched rows say of a switch, where there are any."""
    default, chosen = result.test.get("default"), result.test.get("selected")
    if default is None or chosen is None or result.verdict == "keep":
        return ""
    places = difference_places(result)
    better = result.error(chosen) < result.error(default)
    said = (
        f"On the {_test_rows(result)} test rows, looked at once and only after the "
        f"choice, the chosen loss scores {number(chosen, places)} and the default "
        f"{number(default, places)}."
    )
    if better:
        return said
    return said + (
        " Here it is not better: one set of test rows is noisier than all the folds together, "
        "but weigh this before you switch."
    )


def _ensemble(result: Result) -> str:
    """Return what predicts, and how well on the untouched rows, where it is of several losses."""
    if not result.ensemble:
        return ""
    places = difference_places(result)
    chosen = "" if result.verdict == "keep" else ", the chosen loss {selected}"
    scores = {n: number(result.test[n], places) for n in ("ensemble", "default", "selected")}
    return (
        f"What predicts is an ensemble of {sum(result.ensemble.values())} models, "
        f"{escape(text.ensemble(result))}: chosen among the finalists by their predictions of the "
        "folds’ validation rows (ensemble selection, Caruana et al., 2004), whatever the verdict. "
        f"On the {_test_rows(result)} test rows it scores {scores['ensemble']}, the default "
        f"{scores['default']}{chosen.format(**scores)}."
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
