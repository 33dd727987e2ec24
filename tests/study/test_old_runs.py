"""Folders of runs that an earlier version saved: they still load, and predict the same."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from lossmith.study.base.errors import InputError
from lossmith.study.selection.storage import load
from shared.houses import houses

RUNS = Path(__file__).parent / "old_runs"


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_run_of_an_earlier_version_predicts_as_it_did(name: str) -> None:
    """Old runs of one target have its labels and its decision at the top of model.json."""
    expected = pd.read_csv(RUNS / name / "expected.csv")
    told = load(RUNS / name).predict(houses()[["area", "age"]].head(len(expected)))
    pd.testing.assert_frame_equal(told, expected, rtol=1e-5)


def with_pieces(folder: Path, format: int, *, column: int, low: float = 0.5) -> Path:
    """Return a copy of an old run that sees one piece of a column beside the columns themselves."""
    shutil.copytree(RUNS / "one", folder)
    state = load_file(folder / "model.safetensors")
    folds, _, trials, width = state["w1"].shape
    state["w1"] = torch.cat([state["w1"], torch.ones(folds, 1, trials, width)], dim=1)
    state["embedding.columns"] = torch.full((folds, 1), column)
    state["embedding.low"] = torch.full((folds, 1), low)
    state["embedding.steepness"] = torch.ones(folds, 1)
    save_file(state, folder / "model.safetensors")
    facts = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(facts | {"lossmith": format}))
    return folder


def test_pieces_beyond_the_encoders_columns_are_refused(tmp_path: Path) -> None:
    told = load(with_pieces(tmp_path / "a", 2, column=0, low=1e9))  # a piece that nothing reaches
    rows, expected = houses()[["area", "age"]], pd.read_csv(RUNS / "one" / "expected.csv")
    pd.testing.assert_frame_equal(told.predict(rows.head(len(expected))), expected, rtol=1e-5)
    with pytest.raises(InputError, match="embeds columns beyond the"):
        load(with_pieces(tmp_path / "b", 2, column=99))
    with pytest.raises(InputError, match="has format 4, not 1, 2 or 3"):
        load(with_pieces(tmp_path / "c", 4, column=0))
