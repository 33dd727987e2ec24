"""Curves as a small SVG document: the same bytes everywhere, a few kilobytes each."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from lossmith.study.report.text import tick

WIDTH, HEIGHT = 420, 260
TOP, BOTTOM, LEFT, RIGHT = 28, 42, 56, 14
STEPS = (1.0, 2.0, 5.0, 10.0)
STYLE = (  # blue, vermilion and green are told apart by every kind of sight, dashes by print
    ("#0069a8", ""),
    ("#c24a12", "6 3"),
    ("#3f7d3a", "2 2.5"),
)
INK, GRID, PAPER = "#1b2230", "#d8dde4", "#ffffff"


@dataclass(frozen=True)
class Axis:
    """Numbers between two ends, and where on the picture these are."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, numbers: Sequence[float], start: float, end: float) -> "Axis":
        """Return the axis that holds the numbers with a little room."""
        low, high = min(numbers), max(numbers)
        room = 0.05 * (high - low) or 1.0
        return cls(low - room, high + room, start, end)

    def at(self, number: float) -> float:
        """Return where a number is."""
        share = (number - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Return about six round numbers and their texts."""
        rough = (self.high - self.low) / 6
        size = 10.0 ** math.floor(math.log10(rough))
        step = size * next(one for one in STEPS if one * size >= 0.999 * rough)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        numbers = [step * count for count in range(first, last + 1)]
        return [(one, tick(one, numbers)) for one in numbers]


@dataclass(frozen=True)
class Curve:
    """A named line; `other` sets it against the axis on the right."""

    name: str
    y: Sequence[float]
    other: bool = False


def document(title: str, moves: str, x: Sequence[float], curves: Sequence[Curve]) -> str:
    """Return the curves over x as a document that also tells in words what it shows."""
    right = WIDTH - (LEFT if any(curve.other for curve in curves) else RIGHT)
    along = Axis(x[0], x[-1], LEFT, right)
    sides = {
        other: Axis.around(
            [y for one in curves if one.other is other for y in one.y], HEIGHT - BOTTOM, TOP
        )
        for other in sorted({curve.other for curve in curves})
    }
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11" fill="{INK}" '
        f'role="img"><title>{escape(title)}</title><desc>{escape(told(moves, x, curves))}</desc>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        *_below(along, moves),
        *(part for other, axis in sides.items() for part in _beside(axis, along, other)),
        *(_line(curve, x, along, sides[curve.other], at) for at, curve in enumerate(curves)),
        *_legend(curves),
        "</svg>\n",
    ]
    return "\n".join(parts)


def told(moves: str, x: Sequence[float], curves: Sequence[Curve]) -> str:
    """Return both ends and the middle of the curves in words."""
    places = (0, len(x) // 2, -1)
    lines = [
        f"{curve.name} " + ", ".join(f"{_short(curve.y[at])} at {_short(x[at])}" for at in places)
        for curve in curves
    ]
    return f"Against {moves}: {'; '.join(lines)}."


def _short(number: float) -> str:
    return f"{round(number, 3) + 0.0:.3g}".replace("-", "−")


def _below(along: Axis, moves: str) -> Iterator[str]:
    low, middle = HEIGHT - BOTTOM, (along.start + along.end) / 2
    for number, text in along.ticks():
        x = f"{along.at(number):.1f}"
        yield f'<path d="M{x} {TOP}V{low}" stroke="{GRID}"/>'
        yield f'<text x="{x}" y="{low + 15}" text-anchor="middle">{text}</text>'
    yield f'<text x="{middle:.0f}" y="{HEIGHT - 9}" text-anchor="middle">{escape(moves)}</text>'


def _beside(axis: Axis, along: Axis, other: bool) -> Iterator[str]:
    place, anchor = (along.end + 6, "start") if other else (along.start - 6, "end")
    colour = STYLE[1][0] if other else INK
    for number, text in axis.ticks():
        y = axis.at(number)
        if not other:
            yield f'<path d="M{along.start} {y:.1f}H{along.end}" stroke="{GRID}"/>'
        at = f'x="{place:g}" y="{y + 4:.1f}"'
        yield f'<text {at} text-anchor="{anchor}" fill="{colour}">{text}</text>'


def _line(curve: Curve, x: Sequence[float], along: Axis, axis: Axis, place: int) -> str:
    points = " ".join(
        f"{along.at(a):.1f},{axis.at(b):.1f}" for a, b in zip(x, curve.y, strict=True)
    )
    return f'<polyline points="{points}" fill="none" {_stroke(place)}/>'


def _legend(curves: Sequence[Curve]) -> Iterator[str]:
    x = float(LEFT)
    for place, curve in enumerate(curves):
        name = f"{curve.name} (right)" if curve.other else curve.name
        yield f'<path d="M{x:.0f} 14h22" {_stroke(place)}/>'
        yield f'<text x="{x + 27:.0f}" y="18">{escape(name.replace("-", "−"))}</text>'
        x += 27 + 5.7 * len(name) + 12


def _stroke(place: int) -> str:
    colour, dashes = STYLE[place]
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'stroke="{colour}" stroke-width="1.8"{dashed}'
