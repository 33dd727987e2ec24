"""Every loss has a drawing that says something: finite, not constant, told in words too."""

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lossmith.catalogue import find
from lossmith.losses import NACL

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "site"))

from plot import Axis  # noqa: E402
from scenes import drawing, fitting, parts, signals  # noqa: E402
from shapes import draw, words  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"
ROOM = 1_500_000  # bytes of all drawings together


@pytest.mark.parametrize("key", find())
def test_a_loss_can_be_drawn(key: str) -> None:
    svg = draw(find()[key])
    caption, told = words(svg)
    lines = ElementTree.fromstring(svg).findall(f"{SVG}polyline")
    heights = [
        [float(point.split(",")[1]) for point in line.attrib["points"].split()] for line in lines
    ]
    assert len(heights) >= 2
    assert max(max(one) - min(one) for one in heights) > 50  # pixels
    assert caption.endswith(".")
    assert not {"nan", "inf"} & set(told.replace(",", " ").split())


@pytest.mark.parametrize("key", find())
def test_the_page_of_a_loss_shows_its_drawing(key: str) -> None:
    assert f"](../shapes/{key}.svg)" in (ROOT / f"docs/losses/{key}.md").read_text(encoding="utf-8")


def test_the_drawings_are_light() -> None:
    paths = list((ROOT / "docs" / "shapes").glob("*.svg"))
    assert {path.stem for path in paths} == set(find())
    assert sum(path.stat().st_size for path in paths) < ROOM


@pytest.mark.parametrize("scene", [signals.masks, signals.boxes], ids=lambda one: one.__name__)
def test_what_covers_its_target_has_the_least_loss(scene) -> None:
    shown = [kind for kind in find().values() if next(fitting(kind)) is scene]
    assert len(shown) >= 4
    for kind in shown:
        found = drawing(kind)
        value = next(iter(found.values.values()))
        # NACL draws logits to between 0 and 1, which outweighs a pixel of these
        least = (value[0] - value.min()) / value.max() if kind is NACL else found.x[value.argmin()]
        assert least.abs() < (0.05 if kind is NACL else 1e-9), kind.__name__


def test_few_losses_need_the_scene_that_suits_any() -> None:
    general = [key for key, kind in find().items() if next(fitting(kind)) is parts.descent]
    assert len(general) < len(find()) / 20, general


def test_the_ticks_of_an_axis_are_round() -> None:
    assert [text for _, text in Axis(-6.0, 6.0, 0, 1).ticks()] == [
        "−6",
        "−4",
        "−2",
        "0",
        "2",
        "4",
        "6",
    ]
    assert [text for _, text in Axis(0.0, 0.0034, 0, 1).ticks()][:3] == ["0.000", "0.001", "0.002"]
