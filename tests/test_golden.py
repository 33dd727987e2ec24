"""Every loss equals its reference: values and gradients that another package computed.

Each file under `golden/` is a list of entries; docs/parity.md is made from them.
"""

import json
from pathlib import Path

import pytest

from lossmith.testing.golden import Golden, differences, read

ENTRIES = [
    one for path in sorted((Path(__file__).parent / "golden").rglob("*.json")) for one in read(path)
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.loss}-{entry.reference}")
def test_equals_its_reference(entry: Golden) -> None:
    value, gradient = differences(entry)
    assert value <= entry.tolerance, f"the value differs by {value:g}"
    assert gradient <= entry.tolerance, f"the gradient differs by {gradient:g}"


def test_a_wrong_value_is_seen() -> None:
    case = {"input": [1.0, 3.0], "target": [1.0, 1.0], "value": 2.5, "gradient": [0.0, 2.0]}
    document = {"loss": "mse", "reference": "none", "version": "0", "call": "none", "cases": [case]}
    value, gradient = differences(Golden.of(json.loads(json.dumps(document))))
    assert value == pytest.approx(0.5 / 2.5)
    assert gradient == 0
