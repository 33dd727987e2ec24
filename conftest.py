"""What every doctest may name, and what depends on where the tests run."""

from importlib.util import find_spec

import pytest
import torch

NEEDS_TRITON = ["src/lossmith/kernels/cross_entropy_triton.py", "tests/kernels/cross_compile.py"]
collect_ignore = [] if find_spec("triton") else NEEDS_TRITON

if find_spec("hypothesis"):
    from hypothesis import settings

    settings.register_profile("untimed", deadline=None)  # machines are slow at times
    settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace: dict) -> None:
    doctest_namespace["torch"] = torch
