"""No false alarm: the set-ups of a few examples; `python bench/doctor.py` looks at all."""

from pathlib import Path

import pytest

from shared.examined import QUICK, found_in

SECONDS = 4.0  # of training, in which these come to their first losses


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("example", QUICK)
def test_the_set_ups_of_an_example_are_sound(example: str, tmp_path: Path) -> None:
    found = found_in(example, tmp_path, SECONDS)
    assert found
    assert {name: said for name, said in found.items() if said} == {}
