"""Shares, counts, numbers and durations as a sentence has them."""

import math
from collections.abc import Iterable

MISSING = "–"
PLACES = 8  # at most, after the decimal point


def percent(share: float) -> str:
    """Return a share in per cent, to three digits."""
    return f"{100 * share:.3g} %"


def signed(share: float) -> str:
    """Return a relative change in per cent.

    >>> signed(-0.0321), signed(0.5)
    ('−3.2 %', '+50 %')
    """
    value = 100 * share
    return f"{number(value, 0 if abs(value) >= 10 else 1, sign=True)} %"


def pluralize(count: int, noun: str, ending: str = "s") -> str:
    """Return a count with its noun in the right number."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}{ending}"


def listed(names: list[str], most: int = 8) -> str:
    """Return the first names, and how many there are beyond them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def decimals(scales: Iterable[float | None]) -> int:
    """Return how many decimals show two significant digits of the typical scale.

    >>> decimals([450.0, 600.0]), decimals([0.004])
    (0, 4)
    """
    sizes = sorted(abs(s) for s in scales if s is not None and math.isfinite(s) and s != 0)
    if not sizes:
        return 3
    return min(max(1 - math.floor(math.log10(sizes[len(sizes) // 2])), 0), PLACES)


def number(value: float | None, places: int, *, sign: bool = False) -> str:
    """Return a number with thousands separators and a true minus.

    >>> number(-12345.678, 1), number(0.5, 2, sign=True), number(None, 2)
    ('−12,345.7', '+0.50', '–')
    >>> number(4.35e-29, 8), number(4.35e31, 0)
    ('4.35e−29', '4.35e+31')
    """
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return "not finite"
    spec = "+" if sign else ""
    tiny = places >= PLACES and 0 < abs(value) < 100 * 0.1**PLACES
    value = value if tiny else round(value, places) + 0.0  # no minus before zero
    short = tiny or abs(value) >= 1e12
    text = f"{value:{spec}.2e}" if short else f"{value:{spec},.{places}f}"
    return text.replace("-", "−")


def interval(low: float | None, high: float | None, places: int, *, sign: bool = False) -> str:
    """Return `[low, high]`, or nothing when there is no interval of finite length."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{number(low, places, sign=sign)}, {number(high, places, sign=sign)}]"


def p_value(value: float | None) -> str:
    """Return a p-value to three decimals.

    >>> p_value(0.0004), p_value(0.0312)
    ('< 0.001', '0.031')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def clip(text: str, length: int) -> str:
    """Return text no longer than length, its middle replaced by an ellipsis where it must be.

    >>> clip("student_t_nll(degrees_of_freedom=3)", 20)
    'student_t_…reedom=3)'
    """
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[-tail:]}"


def duration(seconds: float) -> str:
    """Return a duration in the unit that suits it.

    >>> duration(8.44), duration(75), duration(7384)
    ('8.4 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"
