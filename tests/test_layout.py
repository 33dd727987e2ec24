"""A family of losses has one stem: its classes, its functions, its tests and its golden values."""

from pathlib import Path

import pytest

import lossmith
from lossmith import find

ROOT, TESTS = Path(lossmith.__file__).parent, Path(__file__).parent
FAMILIES = {path.stem for path in (ROOT / "losses").glob("[a-z]*.py")}


def test_golden_values_are_those_of_families() -> None:
    assert {path.stem for path in (TESTS / "golden").glob("*.json")} == FAMILIES


def test_functions_of_each_family_have_a_file() -> None:
    assert {path.stem for path in (ROOT / "functional").glob("*.py")} >= FAMILIES


@pytest.mark.parametrize("stem", sorted(path.stem for path in (TESTS / "losses").glob("*.py")))
def test_tests_are_named_after_families(stem: str) -> None:
    assert any(stem.startswith(f"test_{family}") for family in FAMILIES)


@pytest.mark.parametrize("key", find())
def test_a_loss_and_its_function_share_a_stem(key: str) -> None:
    kind = find()[key]
    stated = vars(kind).get("function")
    if stated is not None:
        assert stated.__module__.split(".")[-1] == kind.__module__.split(".")[-1]
