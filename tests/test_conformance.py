"""Every loss of the catalogue keeps the contract; a loss that breaks it is caught by name."""

import pytest

from lossmith.catalogue import find
from lossmith.testing import Check, checks

ALL = [check for kind in find().values() for check in checks(kind)]


@pytest.mark.parametrize("check", ALL, ids=str)
def test_catalogue(check: Check) -> None:
    check()
