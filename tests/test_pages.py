"""The Python of README.md and docs/ runs; links between the repository's texts lead somewhere."""

import doctest
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
WHY = re.compile(r"\*Not run in the tests: (.+)\*")
ELSEWHERE = {  # the examples themselves run; so do the files of this guide, as files
    ROOT / "docs" / "examples.md",
    ROOT / "docs" / "guides" / "several_machines.md",
}


def python_of(path: Path) -> tuple[str, list[str]]:
    """Return a page with all but its Python blanked, and why some of that is left out."""
    kept, reasons = [], []
    inside = skipped = False
    last = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            inside = line == "```python" and not inside
            skipped = WHY.fullmatch(last) is not None
            reasons += [last] if inside and skipped else []
            kept.append("")
        else:
            kept.append(line if inside and not skipped else "")
        last = line or last
    return "\n".join(kept), reasons


PAGES = {path.relative_to(ROOT).as_posix(): path for path in TEXTS if path not in ELSEWHERE}
PAGES = {name: path for name, path in PAGES.items() if "\n```python\n" in path.read_text("utf-8")}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_python_of_a_page_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "page.py"  # a module, whose classes can be pickled; its lines are the page's
    code, reasons = python_of(PAGES[name])
    if not code.strip():
        pytest.skip("; ".join(reasons))
    file.write_text(code, encoding="utf-8")
    spec = spec_from_file_location("page", file)
    assert spec is not None
    assert spec.loader is not None
    page = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "page", page)
    spec.loader.exec_module(page)


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/losses/*.md")), ids=lambda path: path.stem)
def test_the_example_of_a_loss_runs(path: Path) -> None:
    examples = "\n\n".join(
        re.findall(r"^```pycon\n(.*?)^```", path.read_text("utf-8"), re.M | re.S)
    )
    test = doctest.DocTestParser().get_doctest(examples, {}, path.name, str(path), 0)
    told: list[str] = []
    ran = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.append)
    assert ran.attempted > 1
    assert ran.failed == 0, "".join(told)


def test_what_does_not_run_says_why() -> None:
    reasons = [why for path in PAGES.values() for why in python_of(path)[1]]
    assert 0 < len(reasons) < 8, "examples that do not run are not examples"


def test_links_between_texts_lead_somewhere() -> None:
    dead = []
    for path in TEXTS:
        prose = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", prose):
            if not (path.parent / target).exists():
                dead.append(f"{path.relative_to(ROOT)}: {target}")
    assert dead == []
