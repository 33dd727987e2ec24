"""What both models predict of a few validation rows, drawn as people look at it."""

from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from lossmith.study.base.result import ReportData, Result, Sample
from lossmith.study.metrics.reading import IGNORED
from lossmith.study.report import fit
from lossmith.study.report.censored import draw_thirds
from lossmith.study.report.ranked import lists_table
from lossmith.study.report.svg import CLASSES, COLOURS, inline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = "validation rows"
PICTURES = 4  # beside each other
SIDE = 160  # of an image, in pixels
PALETTE = ("#e3e7ec", *CLASSES[:7])  # of class 0 and the others
Arrays = Mapping[str, np.ndarray]


def sample(shown: Sample, result: Result) -> tuple[str, str]:
    """Return the title and the body of the section, empty where there is nothing to see."""
    title, draw = KINDS[shown.kind]
    return title, draw(shown, {"default": result.default, "chosen": result.selected})


def _parts(shown: Sample, names: dict[str, str]) -> dict[str, Arrays]:
    """Return what each model predicts by role, once where both are the same."""
    same = names["chosen"] == names["default"]
    return {"default": shown.default} | ({} if same else {"chosen": shown.selected})


def _numbers(shown: Sample, names: dict[str, str]) -> str:
    parts = _parts(shown, names)
    models = _models(parts, "prediction")
    evidence = ReportData(test_target=parts["default"]["target"])
    return f"<p>{fit.legend(models, names)}</p>{fit.residuals(evidence, models, ROWS)}"


def _classes(shown: Sample, names: dict[str, str]) -> str:
    parts = _parts(shown, names)
    target = parts["default"]["target"]
    count = max(int(own["count"]) for own in parts.values())
    many, stated = count > 2, "stated" if "stated" in parts["default"] else "taken"
    models = _models(parts, stated)
    decided = [
        fit.Decided(model, own["taken"], own[stated], own["taken"] == target if many else target)
        for model, own in zip(models, parts.values(), strict=True)
    ]
    labels = [str(code) for code in range(count)]
    if stated == "taken":  # decisions alone
        return fit.recalls(decided, target, labels, ROWS)
    drawn = fit.certainty(decided, target, labels, many=many, rows_are=ROWS)
    return f"<p>{fit.legend(models, names)}</p>{drawn}"


def _models(parts: Mapping[str, Arrays], of: str) -> list[fit.Model]:
    last = list(parts)[-1]
    return [fit.Model(role, own[of], "-" if role == last else "--") for role, own in parts.items()]


def _masks(shown: Sample, names: dict[str, str]) -> str:
    parts = _parts(shown, names)
    first = shown.default
    lines = {} if shown.images is None else {"image": [*map(_picture, shown.images)]}
    lines["mask"] = [*map(_painted, first["target"])]
    lines |= {role: [*map(_painted, own["taken"])] for role, own in parts.items()}
    count = len(first["target"])

    def draw(figure: "Figure") -> None:
        grid = figure.subplots(len(lines), count, squeeze=False)
        for axes, (name, pictures) in zip(grid, lines.items(), strict=True):
            axes[0].set_ylabel(name)
            for place, picture in zip(axes, pictures, strict=True):
                place.imshow(picture, cmap="gray", interpolation="nearest")
                place.set(xticks=[], yticks=[])
                place.spines[:].set_visible(False)

    label = f"Masks of {count} {ROWS} and what the models predict"
    size = (7.4, 7.4 / PICTURES * len(lines))
    said = "; ".join(f"{role}: {escape(names[role])}" for role in parts)
    return (
        f"<p>Each column is one of the {ROWS}, thinned out; of volumes a middle slice. Class 0 is "
        f"grey, ignored pixels are white. {said}.</p>"
        f"<figure>{inline('masks', label, size, draw)}</figure>"
    )


def _painted(mask: np.ndarray) -> np.ndarray:
    from matplotlib.colors import to_rgb

    colours = np.array([to_rgb(one) for one in PALETTE])
    # Classes beyond the palette share colours, but never that of class 0.
    picture = colours[np.where(mask > 0, (mask - 1) % (len(PALETTE) - 1) + 1, 0)]
    picture[mask == IGNORED] = 1
    return picture


def _picture(image: np.ndarray) -> np.ndarray:
    """Return an image for a figure: grey, or colours last, from 0 to 1."""
    if image.ndim == 3 and image.shape[0] in (1, 3):
        image = np.moveaxis(image, 0, -1)
    image = image[:: -(-image.shape[0] // SIDE), :: -(-image.shape[1] // SIDE)].astype(float)
    low, high = image.min(), image.max()
    image = (image - low) / (high - low) if high > low else np.zeros_like(image)
    return image if image.ndim == 3 and image.shape[-1] == 3 else image.reshape(*image.shape[:2])


def _paths(shown: Sample, names: dict[str, str]) -> str:
    parts = _parts(shown, names)
    target = parts["default"]["target"]
    steps, models = parts["default"]["steps"], _models(parts, "prediction")

    def draw(place: "Axes", row: int) -> None:
        place.plot(steps, target[row], color=COLOURS["ink"], linewidth=1)
        for model in models:
            colour, path = COLOURS[model.role], model.prediction[row]
            if path.ndim == 2:  # of quantiles, from the lowest to the highest
                place.fill_between(steps, path[0], path[-1], color=colour, alpha=0.15)
                path = path[[len(path) // 2] if len(path) % 2 else [0, -1]].T
            place.plot(steps, path, color=colour, ls=model.dashes, linewidth=1.3)
        place.grid(True)

    label = "A few rows of several numbers, and what the models predict"
    drawn = _small("paths", label, len(target), 1.9, draw, sharex=True)
    return (
        f"<p>{fit.legend(models, names)}</p><figure>{drawn}<figcaption>A few {ROWS}: dark what "
        "was, in colour what is predicted, along the numbers of a row.</figcaption></figure>"
    )


def _small(
    key: str,
    label: str,
    count: int,
    height: float,
    draw: Callable[["Axes", int], None],
    *,
    sharex: bool = False,
) -> str:
    """Return small drawings of a few rows, three beside each other; height: of each, in inches."""
    lines = -(-count // 3)

    def everyone(figure: "Figure") -> None:
        grid = figure.subplots(lines, min(3, count), squeeze=False, sharex=sharex)
        for row, place in enumerate(grid.flat):
            if row < count:
                draw(place, row)
                place.tick_params(labelsize=7)
            else:
                place.set_visible(False)

    return inline(key, label, (7.4, height * lines), everyone)


def _spans(shown: Sample, names: dict[str, str]) -> str:
    every = [one for own in _parts(shown, names).values() for one in own.values()]
    low, high = min(one.min() for one in every), max(one.max() for one in every)

    def draw(axes: "Axes", role: str, own: Arrays) -> None:
        levels, rows = own["prediction"].T, np.arange(len(own["target"]))
        axes.vlines(rows, levels[0], levels[-1], color=COLOURS[role], alpha=0.5)
        if len(levels) % 2:
            axes.plot(rows, levels[len(levels) // 2], "_", color=COLOURS[role])
        axes.plot(rows, own["target"], ".", color=COLOURS["ink"], markersize=4)
        axes.set_xticks([])
        axes.set_ylim(low - 0.05 * (high - low) - 1e-9, high + 0.05 * (high - low) + 1e-9)
        axes.grid(True, axis="y")

    return _each("spans", "Quantiles predicted, and what was", shown, names, draw) + (
        f"<p>A few {ROWS} from the lowest to the highest: points are what was, lines reach from "
        "the lowest to the highest quantile that is predicted, across which a dash marks the "
        "middle one.</p>"
    )


def _boxes(shown: Sample, names: dict[str, str]) -> str:
    parts = _parts(shown, names)
    target = parts["default"]["target"]
    models = _models(parts, "taken")

    def draw(place: "Axes", row: int) -> None:
        place.plot(*_outline(target[row]), color=COLOURS["ink"], linewidth=1)
        for model in models:
            outline, colour = _outline(model.prediction[row]), COLOURS[model.role]
            place.plot(*outline, color=colour, ls=model.dashes, linewidth=1.3)
        place.invert_yaxis()  # as in images
        place.set_aspect("equal", adjustable="datalim")

    label = f"Boxes of {len(target)} {ROWS} and what the models predict"
    drawn = _small("boxes", label, len(target), 2.4, draw)
    return (
        f"<p>{fit.legend(models, names)}</p><figure>{drawn}<figcaption>A few {ROWS}: dark the box "
        "that is, in colour what is predicted, y downwards.</figcaption></figure>"
    )


def _outline(box: np.ndarray) -> tuple[list[float], list[float]]:
    left, top, right, bottom = box.tolist()
    return [left, right, right, left, left], [top, top, bottom, bottom, top]


def _risks(shown: Sample, names: dict[str, str]) -> str:
    def draw(axes: "Axes", role: str, own: Arrays) -> None:
        draw_thirds(axes, own["time"], own["event"], own["risk"])

    return _each("risks", "Survival of thirds of the rows by risk", shown, names, draw) + (
        f"<p>Thirds of the {ROWS} by the risk that the models give them, as Kaplan and Meier see "
        "them survive: the further apart, the better.</p>"
    )


def _each(
    key: str,
    label: str,
    shown: Sample,
    names: dict[str, str],
    draw: Callable[["Axes", str, Arrays], None],
) -> str:
    """Return a figure a model, side by side."""
    figures = [
        f"<figure>{inline(f'{key}-{role}', f'{label}, {role}', (3.7, 3.0), drawing)}"
        f"<figcaption>{role}: {escape(names[role])}</figcaption></figure>"
        for role, own in _parts(shown, names).items()
        for drawing in [lambda figure, role=role, own=own: draw(figure.subplots(), role, own)]
    ]
    return f'<div class="pair">{"".join(figures)}</div>'


def _lists(shown: Sample, names: dict[str, str]) -> str:
    parts = _parts(shown, names)
    return lists_table(list(parts.values()), [f"{role}: {names[role]}" for role in parts])


KINDS: Mapping[str, tuple[str, Callable[[Sample, dict[str, str]], str]]] = {
    "numbers": ("Residuals on validation rows", _numbers),
    "classes": ("Calibration on validation rows", _classes),
    "masks": ("Masks of validation rows", _masks),
    "paths": ("Predictions of validation rows", _paths),
    "spans": ("Quantiles of validation rows", _spans),
    "boxes": ("Boxes of validation rows", _boxes),
    "risks": ("Survival of validation rows", _risks),
    "lists": ("Ranked lists of validation rows", _lists),
}
