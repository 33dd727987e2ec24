"""Folders of runs that an earlier version saved: they still load, and predict the same."""

from pathlib import Path

import pandas as pd
import pytest

from lossmith.study.selection.storage import load
from shared.houses import houses

RUNS = Path(__file__).parent / "old_runs"


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_run_of_an_earlier_version_predicts_as_it_did(name: str) -> None:
    """Old runs of one target have its labels and its decision at the top of model.json."""
    expected = pd.read_csv(RUNS / name / "expected.csv")
    told = load(RUNS / name).predict(houses()[["area", "age"]].head(len(expected)))
    pd.testing.assert_frame_equal(told, expected, rtol=1e-5)
