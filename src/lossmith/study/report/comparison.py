"""What a study of the user's own loop, or of scores at hand, adds to the report."""

import json
from html import escape

from lossmith.study.base.formatting import pluralize
from lossmith.study.base.result import IN_MEMORY, Comparison, Result
from lossmith.study.metrics import metric_name
from lossmith.study.report.text import tried

_UNITS = {"row": "rows", "group": "groups of rows"}
_OPENED = "study = lossmith.Study({folder}, ...)  # with the arguments that it was begun with"
_GONE = "# study: the one in memory that wrote this page; begun in a folder it would have stayed"
_USE = """\
{study}
loss = study.loss  # {selected}, fitted to the whole target where it can be
optimizer = torch.optim.Adam(model.parameters(), lr={rate:.3g})  # for {epochs}
"""


def meaning(result: Result, comparison: Comparison) -> str:
    """Return what the verdict rests on, and what it does not say."""
    paragraphs = [_conditions(result, comparison)]
    if comparison.trainings:
        paragraphs += [_units(comparison), _correction(result, comparison)]
    others = [name for name in result.equivalents if name != result.selected]
    if others:
        names = ", ".join(f"<b>{escape(name)}</b>" for name in others)
        what = "chosen loss" if result.verdict == "switch" else "default"
        paragraphs.append(f"Not told apart from the {what} by this comparison: {names}.")
    if any(row.status == "dropped" for row in result.candidates):
        paragraphs.append(
            "A loss that left early is shown beside the default’s score on the same folds after "
            "the same epoch; such a score is the best of several, and flatters both."
        )
    return "".join(f"<p>{text}</p>" for text in paragraphs)


def _conditions(result: Result, comparison: Comparison) -> str:
    metric, default = escape(metric_name(result.metric)), escape(result.default)
    why = f" ({escape(result.source)})" if result.source else ""
    beat = f"<b>{default}</b> is the default, the loss to beat{why}"
    if result.common and result.common != result.default:
        beat += f"; <b>{escape(result.common)}</b> is what is commonly used without a choice"
    if result.task == "scores":
        return (
            f"The scores were measured elsewhere, and are compared fold by fold. {beat}. Whether "
            "all losses were trained with equal care, scores can’t tell."
        )
    paired = (
        "under the same seeds"
        if comparison.paired
        else "though not from the same weights and batches (see the warning)"
    )
    return (
        f"Every loss was trained on the same folds, {paired}, at a learning rate of its own, and "
        f"judged by {metric} on rows it had not seen. {beat}."
    )


def _units(comparison: Comparison) -> str:
    """Return on how many trainings and units the test stands."""
    each = pluralize(comparison.trainings, "training")
    if comparison.trainings < comparison.planned:
        each = f"{comparison.trainings} of {comparison.planned} planned trainings"
    where = (
        "on one split of the rows, each under another seed"
        if comparison.splits == 1
        else f"on {comparison.splits} splits of the rows"
        + (f", under {comparison.seeds} seeds" if comparison.seeds > 1 else "")
    )
    if comparison.unit == "score":
        return (
            f"The verdict rests on {each} of each loss, {where}. One number is known of each, so "
            "these numbers are all the evidence; the test allows for folds that train on the same "
            "rows, and so are alike."
        )
    return (
        f"The verdict rests on {each} of each loss, {where}, compared on "
        f"{comparison.units:,} {_UNITS[comparison.unit]}. The test counts the luck of both: other "
        f"{_UNITS[comparison.unit]}, and other trainings, would have given other scores."
    )


def _correction(result: Result, comparison: Comparison) -> str:
    looks = (
        f", and for {comparison.looks} planned looks at the evidence, after each of which the "
        "study may end"
        if comparison.looks > 1
        else ""
    )
    rivals = tried(comparison.rivals, "loss", "es")
    text = f"The p-value is one-sided and corrected for {rivals}{looks}"
    if result.verdict == "switch":
        return f"{text}: the gain is not the luck of many attempts."
    return f"{text}. A loss replaces the default only where it is below 0.05."


def use(result: Result) -> str:
    """Return how to get the chosen loss from the study of one's own loop, or nothing."""
    row = next((c for c in result.candidates if c.name == result.selected), None)
    own = result.task == "study" and not result.test  # not of select, which has it at hand
    if not own or row is None or row.learning_rate is None:
        return ""
    folder = json.dumps(result.target, ensure_ascii=False)
    code = _USE.format(
        study=_GONE if result.target == IN_MEMORY else _OPENED.format(folder=folder),
        selected=result.selected,
        rate=row.learning_rate,
        epochs=pluralize(row.epochs or 0, "epoch"),
    )
    return (
        "<p>The study makes the chosen loss anew, from the losses that it is given; the learning "
        "rate and the number of epochs are those that served it best.</p>"
        f"<pre><code>{escape(code)}</code></pre>"
    )
