"""docs/examples.md is what `make examples` measured, of every example that there is."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples"
MEASURED = json.loads((ROOT / "bench/results/examples.json").read_text(encoding="utf-8"))
SECONDS = 60  # of one core, unless an example says in its docstring why it takes more


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    for name in ("examples", "examples_page"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("bench")
def test_the_page_is_of_all_examples_as_measured() -> None:
    from examples import names_in
    from examples_page import page

    assert sorted(MEASURED) == names_in(FOLDER), "run `make examples`"
    text = (ROOT / "docs/examples.md").read_text(encoding="utf-8")
    assert text == page(MEASURED, FOLDER), "run `python bench/examples.py --page docs/examples.md`"


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_an_example_ended_well_in_time_with_a_picture(name: str) -> None:
    one = MEASURED[name]
    about = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))) or ""
    assert not one["failed"]
    assert one["cpu"] <= SECONDS or "minute" in about, "say why it takes more than a minute"
    assert (ROOT / "docs" / "pictures" / one["picture"]).is_file()
    assert f"python examples/{name}.py" in about


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_an_example_asks_a_study_and_prints_its_verdict(name: str) -> None:
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert re.search(r"\b(Study|judge|select)\(", source)
    assert re.search(r"^(Keep|Switch from) ", MEASURED[name]["output"], re.MULTILINE)
