"""The documentation site: it builds strictly, and a browser without a network shows all of it."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

from shared.browser import NARROW, WIDE, chromium, needs_browser, show

ROOT = Path(__file__).parents[2]
NEEDED = ("mkdocs", "material", "mkdocstrings", "griffe", "mathjax")
pytestmark = pytest.mark.skipif(
    not all(map(find_spec, NEEDED)), reason="the dependency group docs is not installed"
)
SHOWN = ("", "quickstart/", "first_ten_minutes/", "choosing/", "examples/", "losses/",
         "losses/huber/", "losses/sigreg/",
         "guides/from_others/", "adaptive/", "atlas/", "contract/", "parity/", "api/choose/",
         "api/functional/", "source/examples/digits.py/")  # fmt: skip

FORMULA = re.compile(r'<(div|span) class="arithmatex">(.*?)</\1>', re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site; a dead link, a dead anchor or a page outside the navigation is an error."""
    folder = tmp_path_factory.mktemp("site")
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-f", "site/mkdocs.yml", "-d", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return folder


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    offline = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with chromium(tmp_path_factory.mktemp("profile"), offline) as driver:
        yield driver


def drawn(browser) -> bool:
    """Whether MathJax has drawn all formulas of the page, if there are any."""
    return browser.execute_async_script(
        """const done = arguments[0], formulas = document.querySelectorAll(".arithmatex");
        const look = () => [...formulas].every(one => one.querySelector("mjx-container"))
            ? done(true) : setTimeout(look, 50);
        look()"""
    )


def test_every_loss_has_a_page(site: Path) -> None:
    from lossmith.catalogue import find

    assert [key for key in find() if not (site / "losses" / key / "index.html").exists()] == []


def test_every_public_name_is_in_the_reference() -> None:
    import lossmith

    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md")]
    named = {
        name.rpartition(".")[2] for text in texts for name in re.findall(r"^::: (\S+)", text, re.M)
    }
    public = set(lossmith.__all__) - set(lossmith.losses.__all__) - {"Number"}  # a union of types
    assert public - named == set()


def test_docstrings_are_read_as_they_are_meant(site: Path) -> None:
    raw = re.compile(r":math:|\.\. math::|<p>&gt;&gt;&gt;|^Args:", re.MULTILINE)
    pages = [*site.glob("api/*/index.html"), *site.glob("losses/*/index.html")]
    assert len(pages) > 180
    found = {path.parent.name: raw.findall(path.read_text(encoding="utf-8")) for path in pages}
    assert {name: parts for name, parts in found.items() if parts} == {}


def test_columns_of_prose_are_marked_wherever_they_stand(site: Path) -> None:
    table = (site / "atlas" / "index.html").read_text(encoding="utf-8").partition("</table>")[0]
    marked = re.findall(r'<th class="prose">([^<]*)', table)
    assert "honest gain, by metric" in marked
    assert not {"task", "data", "matters", "ties"} & set(marked)


@needs_browser
@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("page", SHOWN)
def test_a_page_has_no_errors_and_fits(browser, address, page, width):
    show(browser, address + page, width)
    assert drawn(browser)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@needs_browser
def test_nothing_is_fetched_from_elsewhere(browser, address):
    browser.get("about:blank")  # away from the browser's own first page, which loads its own
    browser.get_log("performance")
    show(browser, f"{address}losses/huber/", WIDE)
    assert drawn(browser)
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert len(urls) > 5
    assert [url for url in urls if not url.startswith((address, "data:", "blob:", "chrome"))] == []


@needs_browser
def test_every_formula_is_drawn_offline(browser, site, address):
    """All formulas of all losses go through the page's own MathJax, in one page."""
    formulas = []
    for path in sorted(site.glob("losses/*/index.html")):
        found = FORMULA.findall(path.read_text(encoding="utf-8"))
        assert found, path
        formulas += [formula for _, formula in found]
    show(browser, f"{address}losses/huber/", WIDE)
    assert drawn(browser)
    wrong = browser.execute_async_script(
        """const [formulas, done] = arguments;
        const place = document.createElement("div");
        place.innerHTML = formulas.map(one => `<div class="arithmatex">${one}</div>`).join("");
        document.querySelector("article").append(place);
        MathJax.typesetPromise([place]).then(() => done(
            [...place.children].map((one, at) => [one, formulas[at]])
                .filter(([one]) => !one.querySelector("mjx-container")
                    || one.querySelector("mjx-merror, [style*='red']"))
                .map(([_, source]) => source)))""",
        formulas,
    )
    assert wrong == []
    assert browser.get_log("browser") == []


@needs_browser
@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize(
    ("words", "found"), [("huber", "losses/huber/"), ("LossScheduler", "api/")]
)
def test_search_finds(browser, address, words, found, width):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    show(browser, f"{address}quickstart/", width)
    if width == NARROW:
        browser.find_element(By.CSS_SELECTOR, "label.md-header__button[for=__search]").click()
    field = browser.find_element(By.CSS_SELECTOR, "input.md-search__input")
    WebDriverWait(browser, 20).until(lambda _: field.is_displayed())
    field.click()
    field.send_keys(words)
    links = WebDriverWait(browser, 20).until(
        lambda _: [
            link.get_attribute("href")
            for link in browser.find_elements(By.CSS_SELECTOR, "a.md-search-result__link")
        ]
    )
    assert any(link.removeprefix(address).startswith(found) for link in links[:5]), links[:5]
    assert browser.get_log("browser") == []
