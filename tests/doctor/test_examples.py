"""No false alarm: the set-ups of every example; the applications' tests look at theirs."""

from pathlib import Path

import pytest

from shared.examined import EXAMPLES, found_in

SECONDS = 2.0  # of training, in which an example comes to several losses


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("example", [one for one in EXAMPLES if "applications/" not in one])
def test_the_set_ups_of_an_example_are_sound(example: str, tmp_path: Path) -> None:
    found = found_in(example, tmp_path, SECONDS)
    assert found
    assert {name: said for name, said in found.items() if said} == {}
