"""What is expected of losses, beside what is proven, in words."""

from lossmith.study.base.formatting import percent, signed
from lossmith.study.base.result import MOST_HARM, Expected, Result
from lossmith.study.metrics import error_name, metric_name


def expected_of(result: Result) -> dict[str, Expected]:
    """Return what is expected of each loss that other tables tell of, the most first."""
    known = {row.name: row.expected for row in result.candidates if row.expected is not None}
    return dict(sorted(known.items(), key=lambda pair: pair[1].change))


def leaning(result: Result) -> str:
    """Return the loss to lean to and what is expected of it; nothing where that is not known."""
    known = expected_of(result)
    if not known:
        return ""
    name = result.lean or next(iter(known))
    told = f"{error_name(result.metric)} {outlook(known[name])}"
    if result.lean is None:
        return f"Lean: to none of the others. Most is expected of {name}: {told}."
    if name == result.selected:
        return f"Lean: to {name} as well. Expected of it: {told}."
    if result.verdict == "switch":
        return f"Lean: to {name}, of which more is expected than of {result.selected}: {told}."
    return f"Lean: to {name}, which is not proven but expected to be better: {told}."


def outlook(one: Expected) -> str:
    """Return what is expected of a loss.

    >>> outlook(Expected(change=-0.031, low=-0.05, high=-0.012, harm=0.04))
    '−3.1 % [−5.0 %, −1.2 %], probability of harm 4 %'
    """
    between = f"[{signed(one.low)}, {signed(one.high)}]"
    return f"{signed(one.change)} {between}, probability of harm {chance(one.harm)}"


def chance(share: float) -> str:
    """Return a probability, none as if it were sure.

    >>> chance(0.041), chance(0.001), chance(0.9999)
    ('4 %', '< 1 %', '> 99 %')
    """
    if share < 0.01:
        return "< 1 %"
    return "> 99 %" if share > 0.99 else f"{100 * share:.0f} %"


def explained(result: Result) -> str:
    """Return what an expectation is, or why there is none."""
    if not expected_of(result):
        if not any(row.p_value is not None for row in result.candidates):
            return (
                "What to expect of other losses is not said: none of them was measured on all "
                "folds."
            )
        return (
            "What to expect of losses that are not proven is not said: nothing that is recorded of "
            f"other tables under {metric_name(result.metric)} tells of it here."
        )
    most = percent(MOST_HARM).replace(" ", "&nbsp;")
    return (
        "What is expected of a loss is what was measured here, drawn to what it gained on other "
        "tables like this one; the less sure the measurement, the more. A loss is leaned to where "
        f"it is worse than the default with a probability under {most}. That is a guess to "
        "follow at will: it changes neither the verdict nor what is delivered."
    )
