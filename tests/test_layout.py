"""A loss is found by one path: its class, its functions, its tests and its golden values."""

from pathlib import Path, PurePosixPath

import pytest

import lossmith
from lossmith import find

ROOT, TESTS = Path(lossmith.__file__).parent, Path(__file__).parent


def places(folder: Path, pattern: str) -> set[str]:
    """Return the paths of files below a folder, without their ends."""
    return {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob(pattern)}


PLACES = places(ROOT / "losses", "[a-z]*.py")
FAMILIES = {place.split("/")[0] for place in PLACES}
TESTED = places(TESTS / "losses", "test_*.py")


def of(module: str, package: str) -> str:
    """Return the place of a module in a package of lossmith."""
    return module.removeprefix(f"lossmith.{package}.").replace(".", "/")


def test_families_are_few() -> None:
    assert 20 <= len(FAMILIES) <= 24


def test_golden_values_are_where_their_losses_are() -> None:
    assert places(TESTS / "golden", "*.json") == PLACES


def test_functions_are_where_their_losses_are() -> None:
    assert places(ROOT / "functional", "[a-z]*.py") >= PLACES


@pytest.mark.parametrize("place", sorted(TESTED))
def test_tests_are_where_their_losses_are(place: str) -> None:
    path = PurePosixPath(place)
    stem = path.name.removeprefix("test_")
    losses = {PurePosixPath(one).name for one in PLACES if PurePosixPath(one).parent == path.parent}
    assert any(stem == one or stem.startswith(f"{one}_") for one in losses)


@pytest.mark.parametrize("key", find())
def test_a_loss_and_its_function_share_a_place(key: str) -> None:
    kind = find()[key]
    place = of(kind.__module__, "losses")
    assert place in PLACES
    stated = vars(kind).get("function")
    if stated is not None:
        assert of(stated.__module__, "functional") == place
