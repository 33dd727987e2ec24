"""Matplotlib figures as inline SVG: text stays text, colours come from the page's style sheet."""

import io
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from lossmith.study.report.text import tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Classes of a mask, told apart by every kind of sight.
CLASSES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#f0e442", "#7f3c8d")

# Drawn in these colours, then replaced by the style sheet's variables of the same names, so that
# a figure follows light and dark. Blue and vermilion are told apart by every kind of sight.
COLOURS = {
    "ink": "#1b2230",
    "muted": "#5c6675",
    "grid": "#d8dde4",
    "bars": "#c9d1dc",
    "chosen": "#0069a8",
    "default": "#c24a12",
    "other": "#8a93a1",
    "paper": "#fefefe",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lossmith",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.parse_math": False,
    "text.color": COLOURS["ink"],
    "axes.edgecolor": COLOURS["muted"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.labelsize": 9,
    "axes.unicode_minus": True,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.6,
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.labelcolor": COLOURS["ink"],
    "ytick.labelcolor": COLOURS["ink"],
    "legend.frameon": False,
    "legend.fontsize": 9,
}
_SILENT = dict.fromkeys(("Date", "Creator", "Format", "Type"))

Draw = Callable[["Figure"], None]
Size = tuple[float, float]


def inline(key: str, label: str, size: Size, draw: Draw, *, css: str = "") -> str:
    """Return what draw puts on a figure of that size (inches) as one SVG element for a page.

    key must differ between the figures of a page; label describes the figure to those who
    cannot see it.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's fonts have it
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata=_SILENT)
    return _clean(buffer.getvalue(), key, label, css)


def responsive(key: str, label: str, draw: Draw, *, wide: Size, narrow: Size) -> str:
    """Return a figure twice, for wide and for narrow pages, of which the style sheet shows one."""
    return inline(f"{key}-w", label, wide, draw, css="wide") + inline(
        f"{key}-n", label, narrow, draw, css="narrow"
    )


def is_narrow(figure: "Figure") -> bool:
    """Return whether a figure is drawn for a phone."""
    return figure.get_figwidth() < 5


def label_ticks(axis: "Axis", *, short: bool = False) -> None:
    """Write the ticks of an axis with thousands separators and equal decimals; short: 250k."""
    from matplotlib.ticker import FuncFormatter

    def label(value: float, _position: int | None) -> str:
        return tick(value, axis.get_majorticklocs().tolist(), short=short)

    axis.set_major_formatter(FuncFormatter(label))


def grid_with_ticks(axes: "Axes") -> None:
    """Draw a grid at a few ticks of both axes, labelled in short."""
    axes.locator_params(nbins=5)
    axes.grid(True)
    label_ticks(axes.xaxis, short=True)
    label_ticks(axes.yaxis, short=True)


def _clean(svg: str, key: str, label: str, css: str) -> str:
    """Make matplotlib's document an element of a page: own ids, own fonts, the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.S)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r' id="([^"]+)"', rf' id="{key}-\1"', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{key}-", svg)
    svg = re.sub(r"font: (bold )?([\d.]+)px [^;\"]*", r"font-size: \2px", svg)
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    svg = re.sub(r' (d|x|y|transform|points)="[^"]*"', _rounded, svg)
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    box = re.search(r'viewBox="[^"]+"', svg)
    opening = f'<svg class="figure {css}" role="img" aria-label="{escape(label)}" {box and box[0]}>'
    return re.sub(r">\s+<", "><", re.sub(r"^<svg[^>]*>", lambda _: opening, svg)).strip()


def _rounded(attribute: re.Match[str]) -> str:
    return re.sub(r"(\.\d\d)\d+", r"\1", attribute[0]).replace("\n", "")
