"""The report in a browser: no errors, every figure visible, nothing wider than the page."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import lossmith
from lossmith.study.report import write_report
from shared.browser import NARROW, WIDE, chromium, needs_browser
from shared.browser import show as show_url

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def show(browser, path: Path, width: int, *, scheme: str = "light", medium: str = "") -> None:
    show_url(browser, path.as_uri(), width, scheme=scheme, medium=medium)


def figures(browser) -> list[dict]:
    return browser.execute_script(
        """return [...document.querySelectorAll("svg.figure")].map(figure => {
            const box = figure.getBoundingClientRect();
            const inside = [...figure.querySelectorAll("text")].map(t => t.getBoundingClientRect());
            return {left: box.left, right: box.right, width: box.width, height: box.height,
                    narrow: figure.classList.contains("narrow"),
                    wide: figure.classList.contains("wide"),
                    size: Math.min(...inside.map(t => t.height)),
                    out: inside.filter(
                        t => t.left < box.left - 2 || t.right > box.right + 2).length};
        })"""
    )


@pytest.fixture
def page(html: str, tmp_path: Path) -> Path:
    (tmp_path / "report.html").write_text(html, encoding="utf-8")
    return tmp_path / "report.html"


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_figure_is_visible_and_inside_the_page(browser, page, width):
    show(browser, page, width)
    check_figures(browser, width, least=7)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_trade_offs_of_several_targets_are_visible_too(browser, joint, tmp_path, width):
    write_report(tmp_path / "report.html", *joint)
    show(browser, tmp_path / "report.html", width)
    check_figures(browser, width, least=4)
    assert "sold <fast>" in browser.execute_script("return document.body.innerText")


def check_figures(browser, width: int, least: int) -> None:
    shown = [f for f in figures(browser) if not f["wide" if width == NARROW else "narrow"]]
    hidden = [f for f in figures(browser) if f["wide" if width == NARROW else "narrow"]]
    assert len(shown) >= least
    assert all(figure["width"] == 0 for figure in hidden)
    for figure in shown:
        assert figure["width"] > 120
        assert figure["height"] > 60
        assert figure["left"] >= 0
        assert figure["right"] <= width
        assert figure["size"] > 8, "text too small to read"
        assert figure["out"] == 0, "text leaves its figure"
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("study", ["switch", "joint"])
def test_on_a_phone_the_candidates_are_cards_that_need_no_scrolling(
    browser, study, tmp_path, request
):
    write_report(tmp_path / "report.html", *request.getfixturevalue(study))
    show(browser, tmp_path / "report.html", NARROW)
    cells = browser.execute_script(
        """return [...document.querySelectorAll("table.cards td, table.cards tbody th")]
            .filter(cell => cell.getBoundingClientRect().width > 0)
            .map(cell => ({right: cell.getBoundingClientRect().right, inside: cell.scrollWidth,
                           width: cell.clientWidth, heading: cell.tagName == "TH",
                           text: cell.innerText,
                           label: getComputedStyle(cell, "::before").content}))"""
    )
    assert len(cells) > 20
    wide = [one for one in cells if one["right"] > NARROW or one["inside"] > one["width"] + 1]
    assert wide == []
    labels = {one["label"] for one in cells if not one["heading"]}
    assert {'"status"', '"corrected p"'} < labels
    assert "none" not in labels
    show(browser, tmp_path / "report.html", WIDE)
    assert (
        browser.execute_script(
            "return getComputedStyle(document.querySelector('table.candidates tr')).display"
        )
        == "table-row"
    )


def test_no_line_crosses_the_text_of_the_differences(browser, switch, tmp_path):
    write_report(tmp_path / "report.html", *switch)
    show(browser, tmp_path / "report.html", NARROW)
    crossed = browser.execute_script(
        """const figure = [...document.querySelectorAll("svg.narrow")].find(
               one => one.textContent.includes("(default)"));
           const box = one => one.getBoundingClientRect();
           const lines = [...figure.querySelectorAll("path")].filter(
               one => getComputedStyle(one).stroke == getComputedStyle(
                   [...figure.querySelectorAll("text")].find(t => t.textContent.includes("→"))).fill
                   && box(one).width < 2 && box(one).height > 6);
           const texts = [...figure.querySelectorAll("text")];
           return [lines.length, lines.flatMap(line => texts.filter(text =>
               box(text).left < box(line).left && box(line).right < box(text).right
               && box(text).top + 2 < box(line).bottom && box(line).top < box(text).bottom - 2)
               .map(text => text.textContent))]"""
    )
    assert crossed[0] > 3
    assert crossed[1] == []


def test_no_errors_and_nothing_fetched(browser, page):
    show(browser, page, WIDE)
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    fetched = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
        and message["params"]["documentURL"] == page.as_uri()
    ]
    assert set(fetched) <= {page.as_uri()}


def luminance(colour: str) -> float:
    channels = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(browser, switch, tmp_path, scheme):
    write_report(tmp_path / "report.html", *switch)
    show(browser, tmp_path / "report.html", WIDE, scheme=scheme)
    paper, *inks = browser.execute_script(
        """const style = (selector, property) =>
               getComputedStyle(document.querySelector(selector))[property];
           return [style("body", "backgroundColor"), style("p", "color"),
                   style("thead th", "color"), style("svg.wide text", "fill"),
                   style(".tag.chosen", "color"),
                   style(".tag.default", "color"), style(".tag.warning", "color")]"""
    )
    assert (luminance(paper) > 0.5) == (scheme == "light")
    for ink in inks:
        lighter, darker = sorted([luminance(ink), luminance(paper)], reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, ink


def test_print_shows_the_wide_figures_even_on_a_phone(browser, switch, tmp_path):
    write_report(tmp_path / "report.html", *switch)
    show(browser, tmp_path / "report.html", NARROW, medium="print")
    for figure in figures(browser):
        assert (figure["width"] > 0) == (not figure["narrow"])


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_verdict_on_scores_at_hand_is_visible_too(browser, tmp_path, width):
    scores = [
        {"loss": name, "fold": fold, "score": 0.6 + gain + 0.01 * (fold % 3) * (gain + 1)}
        for name, gain in (("ce", 0.0), ("dice_with_an_unusually_long_name", 0.03), ("<b>", -0.1))
        for fold in range(6)
    ]
    lossmith.judge(scores, default="ce", better="higher").write(tmp_path / "report.html")
    show(browser, tmp_path / "report.html", width)
    check_figures(browser, width, least=1)
    assert "measured elsewhere" in browser.execute_script("return document.body.innerText")
