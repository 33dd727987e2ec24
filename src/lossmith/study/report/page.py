"""The report: sections of one page, and the file that holds it."""

from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from lossmith.study.base.formatting import duration, interval, number, p_value, signed
from lossmith.study.base.result import CandidateResult, ReportData, Result
from lossmith.study.metrics import metric_name, metric_unit
from lossmith.study.report import censored, comparison, fit, ranked, shapes, targets, verdict
from lossmith.study.report.beside import beside
from lossmith.study.report.figures import compared, difference_places, forest, learning_curves
from lossmith.study.report.gallery import gallery
from lossmith.study.report.leaning import chance, expected_of, leaning
from lossmith.study.report.sample import sample
from lossmith.study.report.snippet import snippet
from lossmith.study.report.text import breakable, finished, opening, settings, table
from lossmith.study.report.tradeoff import tradeoff
from lossmith.study.tasks import TABLE_TASKS, of_numbers

_STATUS = {"default": "finished", "selected": "finished"}
_DRAWN = {"survival": ("Survival", censored.survival), "ranking": ("Lists", ranked.lists)}
_TRAINED = ("learning rate", "epochs")
_ORDER = ("finished", "unfinished", "dropped", "diverged", "failed")


def write_report(path: str | Path, result: Result, evidence: ReportData) -> None:
    """Write the report as one HTML file that opens offline."""
    page = render(result, evidence)
    Path(path).write_text(page, encoding="utf-8", errors="backslashreplace")  # of names of files


def render(result: Result, evidence: ReportData) -> str:
    """Return the report as one HTML page: no script, no file beside it, nothing fetched."""
    sections = {
        "meaning": ("What it means", _meaning(result)),
        "targets": ("Each target", targets.targets(result) if result.targets else ""),
        "tradeoff": ("Trade-off", tradeoff(result, evidence) if result.targets else ""),
        "differences": ("Difference to the default", _differences(result)),
        "candidates": ("All candidates", _candidates(result)),
        "learning": ("Learning curves", _learning(result, evidence)),
        "shapes": ("What each loss does to these rows", _shapes(result, evidence)),
        "fit": (_fit_title(result), _fit(result, evidence)),
        "sample": ("", "") if evidence.sample is None else sample(evidence.sample, result),
        "pictures": ("", "") if evidence.gallery is None else gallery(evidence.gallery),
        "diagnosis": _diagnosis(result),
        "cost": ("Cost", _cost(result)),
        "use": ("Use it in your own code", _use(result, evidence)),
        "reproduce": ("Reproduce", _reproduce(result)),
    }
    kept = {key: (title, body) for key, (title, body) in sections.items() if body}
    return _read("page.html").substitute(
        title=escape(f"{result.target}: {metric_name(result.metric)} – lossmith"),
        style=_read("style.css").template,
        kicker=f"lossmith · {escape(result.task)} · <b>{escape(result.target)}</b> by "
        f"{escape(metric_name(result.metric))} ({result.better} is better){_rows(result)}",
        heading=verdict.heading(result),
        sentence=escape(result.sentence),
        evidence=verdict.evidence(result),
        leaning=_leaning(result),
        tiles=verdict.tiles(result),
        notice=_notice(result),
        navigation="".join(f'<a href="#{key}">{title}</a> ' for key, (title, _) in kept.items()),
        sections="\n".join(
            f'<section id="{key}"><h2>{title}</h2>{body}</section>'
            for key, (title, body) in kept.items()
        ),
    )


def _read(name: str) -> Template:
    return Template(files("lossmith.study.report").joinpath(name).read_text(encoding="utf-8"))


def _rows(result: Result) -> str:
    total = result.rows.get("total", 0)
    return f" · {total:,} rows" if total or result.comparison is None else ""


def _leaning(result: Result) -> str:
    told = leaning(result)
    return f'<p class="evidence">{escape(told)}</p>' if told else ""


def _notice(result: Result) -> str:
    notices = []
    if result.interrupted and result.comparison is not None:
        notices.append(
            "<b>Not ended.</b> The study still runs, or was stopped; what is shown is what it has "
            "measured so far."
        )
    elif result.interrupted:
        notices.append(
            "<b>Interrupted.</b> The study was stopped before its end; what is shown is what was "
            "finished until then."
        )
    if result.comparison is not None:
        warnings = [one.meaning for one in result.diagnosis if one.level == "warning"]
        notices += [f"<b>Warning.</b> {escape(opening(text))}." for text in warnings]
    return "".join(f'<p class="notice">{text}</p>' for text in notices)


def _meaning(result: Result) -> str:
    if result.comparison is not None:
        tested = verdict.test_sentence(result)
        told = comparison.meaning(result, result.comparison)
        return told + (f"<p>{tested}</p>" if tested else "") + beside(result)
    return verdict.meaning(result)


def _differences(result: Result) -> str:
    if not compared(result):
        return "<p>No other candidate was evaluated in full, so there is nothing to compare.</p>"
    return (
        f"<p>Each finished candidate’s {escape(metric_name(result.metric))} minus that of "
        f"{escape(result.default)} on the same folds and seeds, with its 95&nbsp;% interval. An "
        "interval that crosses zero could be chance. The chosen loss is bold.</p>"
        f"<figure>{forest(result)}</figure>"
    )


def _candidates(result: Result) -> str:
    full = finished(result)
    rest = [c for c in result.candidates if c not in full]
    rest.sort(key=lambda c: _ORDER.index(_STATUS.get(c.status, c.status)))
    places = difference_places(result)
    unit = metric_unit(result.metric)
    head = ["loss", escape(metric_name(result.metric)), "difference", "corrected p"]
    expected = bool(expected_of(result))
    head += [*["expected"] * expected, *_TRAINED * _trained(result), "status"]
    counts = dict.fromkeys(_ORDER, 0)
    for candidate in result.candidates:
        counts[_STATUS.get(candidate.status, candidate.status)] += 1
    caption = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    rows = [_candidate_row(result, candidate, places, expected) for candidate in (*full, *rest)]
    return table(
        head,
        rows,
        caption=caption + (f"; scores in {unit}" if unit else ""),
        css="candidates cards",
    )


def _candidate_row(
    result: Result, candidate: CandidateResult, places: int, expected: bool
) -> list[str]:
    rest = settings(candidate)
    name = f"{breakable(candidate.name)}{_tags(result, candidate.name)}"
    difference = number(candidate.difference_to_default, places, sign=True)
    difference = "0" if candidate.name == result.default else difference
    limits = interval(candidate.difference_low, candidate.difference_high, places, sign=True)
    limits = "" if candidate.name == result.default else limits
    rate = candidate.learning_rate
    trained = [number(None, 0) if rate is None else f"{rate:.2g}", number(candidate.epochs, 0)]
    note = f"<small>{escape(candidate.note)}</small>" if candidate.note else ""
    return [
        name + (f"<small>{escape(rest)}</small>" if rest else ""),
        f"{number(candidate.score, places)}<small>{_score_note(result, candidate, places)}</small>",
        f"{difference}<small>{limits}</small>",
        escape(p_value(candidate.p_value)),
        *[_expected_cell(candidate)] * expected,
        *trained * _trained(result),
        f"{_STATUS.get(candidate.status, candidate.status)}{note}",
    ]


def _expected_cell(candidate: CandidateResult) -> str:
    """Return the change of error that is expected of a loss, and how likely it is to harm."""
    one = candidate.expected
    if one is None:
        return number(None, 0)
    return f"{signed(one.change)}<small>harm {escape(chance(one.harm))}</small>"


def _trained(result: Result) -> bool:
    """Tell whether the result knows how the losses were trained."""
    return result.task != "scores"


def _score_note(result: Result, candidate: CandidateResult, places: int) -> str:
    """Return the interval of a score, or on how few folds and seeds it rests."""
    full = max(c.folds for c in result.candidates)
    beside = candidate.default_score
    if 0 < candidate.folds < full or beside is not None:
        there = "" if beside is None else f"; default there {number(beside, places)}"
        return f"on {candidate.folds:,} of {full:,} fits{there}"
    return interval(candidate.low, candidate.high, places)


def _tags(result: Result, name: str) -> str:
    roles = {"chosen": result.selected, "default": result.default, "common": result.common}
    return "".join(
        f' <span class="tag {role}">{role}</span>' for role, owner in roles.items() if owner == name
    )


def _learning(result: Result, evidence: ReportData) -> str:
    if not evidence.curves:
        return ""
    return (
        f"<p>{escape(opening(metric_name(result.metric)))} on validation rows, averaged over "
        "folds and seeds; a dot marks the best epoch of each. Scores far worse than the rest lie "
        "outside the frame.</p>"
        f"<figure>{learning_curves(result, evidence.curves)}</figure>"
    )


def _shapes(result: Result, evidence: ReportData) -> str:
    order = {c.name: place for place, c in enumerate(finished(result))}
    outputs = tuple(
        sorted((o for o in evidence.outputs if o.name in order), key=lambda o: order[o.name])
    )
    if not outputs or result.task in _DRAWN:  # a row's loss depends on more than one error
        return ""
    low, high = shapes.limits(outputs)
    rest = {c.name: escape(settings(c)) for c in result.candidates}
    cells = [
        f"<figure><figcaption><b>{breakable(entry.name)}</b>{_tags(result, entry.name)}"
        f"{'<br>' + rest[entry.name] if rest[entry.name] else ''}</figcaption>"
        f"{shapes.drawing(f'shape{place}', shapes.shape(entry, low, high), low, high)}</figure>"
        for place, entry in enumerate(outputs)
    ]
    return f"{_shapes_key(result)}<div class='cells'>{''.join(cells)}</div>"


def _shapes_key(result: Result) -> str:
    if of_numbers(result.task):
        what = (
            "the residual, prediction − actual, in units of the target: the central 98&nbsp;% of "
            "the validation rows, or ten times the spread of their middle half where that is less"
        )
        rows = "residuals"
    else:
        what = "the probability that the model gave to the true class, of each validation row"
        rows = "rows"
    return (
        "<p>Where the gradient is high, training listens to a row; where it falls to nothing, the "
        f"row is ignored. Along the axis: {what}. Each curve has its own scale.</p>"
        '<p><span class="key"><i class="value"></i>value</span>'
        '<span class="key"><i class="gradient"></i>size of the gradient</span>'
        f'<span class="key"><i class="bars"></i>{rows} left by this loss</span></p>'
    )


def _fit_title(result: Result) -> str:
    usual = "Residuals" if of_numbers(result.task) else "Calibration"
    kind, _ = _DRAWN.get(result.task, (usual, None))
    return f"{kind} on the test rows"


def _fit(result: Result, evidence: ReportData) -> str:
    shown = fit.models(result, evidence)
    if not shown or result.task not in TABLE_TASKS:  # of one number or class a row
        return ""
    names = {"default": result.default, "chosen": result.selected}
    usual = fit.residuals if of_numbers(result.task) else fit.calibration
    _, draw = _DRAWN.get(result.task, ("", usual))
    return f"<p>{fit.legend(shown, names)}</p>{draw(evidence, shown)}"


def _diagnosis(result: Result) -> tuple[str, str]:
    title, caption, last = (
        ("Diagnosis of the data", "Looked at before any training", "what it means for the loss")
        if result.comparison is None
        else ("What to know of this comparison", "Found on the way", "what it means")
    )
    if not result.diagnosis:
        return title, ""
    ordered = sorted(result.diagnosis, key=lambda finding: finding.level != "warning")
    rows = [
        [
            escape(finding.name)
            + (' <span class="tag warning">warning</span>' if finding.level == "warning" else ""),
            escape(_finding_value(finding.value)),
            escape(finding.meaning),
        ]
        for finding in ordered
    ]
    return title, table(["found", "value", last], rows, caption=caption, css="words")


def _finding_value(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _cost(result: Result) -> str:
    cost = result.cost
    if not cost.trainings:
        return ""
    return (
        f"<p>The study took <b>{duration(cost.seconds)}</b> for {cost.trainings:,} trainings. "
        f"Evaluating the default alone on the same folds and seeds, one training after the other, "
        f"takes {duration(cost.default_seconds)}: the choice cost <b>{cost.ratio:.2g} times</b> "
        f"that. {len(result.candidates):,} candidates were started and "
        f"{len(finished(result)):,} evaluated in full; hopeless ones were dropped early.</p>"
    )


def _use(result: Result, evidence: ReportData) -> str:
    if not result.targets and result.task not in TABLE_TASKS:
        return comparison.use(result)
    code = snippet(result, evidence)
    return (
        "<p><code>loss.json</code> beside this report is the chosen loss with fixed parameters. It "
        "knows the width of the head it needs and how to read it; put your own features, target "
        f"and model in place of these.</p><pre><code>{escape(code)}"
        "</code></pre>"
    )


def _reproduce(result: Result) -> str:
    command = f"<pre><code>{escape(result.command)}</code></pre>" if result.command else ""
    used = ", ".join(f"{count:,} {name}" for name, count in result.rows.items())
    rows = [["seed", str(result.seed)]] * _trained(result) + [["rows", escape(used)]] * bool(used)
    rows += [["preset", escape(result.preset)]] * bool(result.preset)
    rows += [[escape(name), escape(version)] for name, version in result.versions.items()]
    return command + (table(["", "value"], rows, caption="With these", css="words") if rows else "")
