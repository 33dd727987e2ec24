"""How much a study of a table trains: by the numbers of its preset, and by nothing else."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lossmith import select
from lossmith.cli.main import main
from lossmith.study.base.errors import InputError
from lossmith.study.journal import Setting
from lossmith.study.rules.presets import PRESETS
from lossmith.study.rules.stacked import StackedDesign
from lossmith.study.selection.conclude import Selection
from lossmith.study.selection.select import RATES
from lossmith.study.trials.onlooker import verdict_in
from lossmith.study.trials.place import read_place
from lossmith.study.trials.spec import design_of
from shared.scripted import Scripted, finished, learning, search

KEYS = ["huber", "log_cosh", "student_t_nll", "cauchy"]


def houses() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size, age = rng.normal(size=200), rng.normal(size=200)
    price = size - age + rng.standard_t(2, size=200)
    good = np.where(size + rng.normal(size=200) > 0, "yes", "no")
    return pd.DataFrame({"size": size, "age": age, "price": price, "good": good})


def studied(**arguments: Any) -> Selection:
    asked: dict[str, Any] = {"target": "price", "metric": "mae", "candidates": KEYS, "epochs": 12}
    return select(houses(), **{**asked, **arguments})  # type: ignore[return-value]


def told(selection: Selection) -> dict[str, Any]:
    found = json.loads(json.dumps(selection.result.to_json()))
    found["trainings"] = found.pop("cost")["trainings"]
    return found | {"predictions": selection.predictions().to_csv()}


@cache
def by(preset: str) -> Selection:
    return studied(preset=preset)


@pytest.mark.parametrize("name", PRESETS)
def test_a_design_is_cut_by_the_numbers_of_its_preset(name: str) -> None:
    numbers, found = PRESETS[name], by(name)
    design = found.measurements.design
    assert found.result.preset == design.preset == name
    assert design.halving.rungs == numbers.rungs
    assert design.halving.finalists == numbers.finalists
    assert design.halving.default_settings == numbers.default_settings
    assert design.futility == numbers.futility
    decided = found.measurements.facts.decisions
    own = [one for one in decided["finalists"] if one[0] == design.default]
    assert len(own) == numbers.default_settings
    named = {one[0] for one in decided["finalists"]} - {design.default, design.common}
    assert 0 < len(named) <= numbers.finalists


@pytest.mark.parametrize("name", PRESETS)
def test_losses_start_at_the_learning_rates_of_the_preset(name: str) -> None:
    design = by(name).measurements.design
    everywhere = {design.default, design.common}
    for candidate in design.candidates:
        own = {one.learning_rate for one in design.starts if one.candidate == candidate}
        some = set(PRESETS[name].middle(RATES))
        assert own == (set(RATES) if candidate in everywhere else some), candidate


def test_fast_trains_less_under_the_same_folds_test_and_correction() -> None:
    best, fast = by("best"), by("fast")
    trained = [
        sum(one.epoch for one in found.measurements.facts.records.values())
        for found in (best, fast)
    ]
    assert trained[1] < 0.8 * trained[0]
    plans = [found.measurements.design for found in (best, fast)]
    assert plans[0].folds == plans[1].folds
    assert plans[0].looks == plans[1].looks == (10,)
    assert plans[0].candidates == plans[1].candidates  # all of them count as rivals
    assert best.result.cost.default_seconds > 0


@pytest.mark.parametrize(("preset", "count"), [("best", 2), ("fast", 1)])
def test_the_default_at_a_worse_rate_leaves_a_fast_study_alone(preset: str, count: int) -> None:
    study = search(Scripted(learning))
    study.preset = preset
    found = finished(study)
    default = [one.learning_rate for one in found.finalists if one.candidate == "default"]
    assert default[0] == 0.003
    assert len(default) == count


def test_the_default_at_a_small_rate_may_start_slowly() -> None:
    def late(name: str, fold: int, epoch: int, rate: float) -> float:
        own = learning(name, fold, epoch, 0.003)
        if name != "default" or rate == 0.003:
            return own
        return own + 1.0 if rate > 0.003 else own + (0.5 if epoch < 20 else -0.3)

    study = search(Scripted(late))
    study.preset = "fast"
    assert finished(study).default.learning_rate == 0.001


def test_best_is_what_a_study_is_without_a_word() -> None:
    assert told(studied()) == told(by("best"))
    assert by("best").result.preset == StackedDesign.preset == "best"


@pytest.mark.parametrize(
    ("grid", "middle"),
    [((0.1, 0.2, 0.3), [0.2]), ((0.1,), [0.1]), ((0.1, 0.2), [0.2]), ((4, 1, 3, 2), [3])],
)
def test_the_middle_of_a_grid_is_of_two_the_greater(
    grid: tuple[float, ...], middle: list[float]
) -> None:
    assert PRESETS["fast"].middle(grid)[:1] == middle
    assert PRESETS["best"].starts(Setting("huber", grid[0]), grid, ())


@pytest.mark.parametrize(("first", "then"), [("best", "fast"), ("fast", "best")])
def test_a_folder_of_another_preset_is_refused_in_one_line(
    first: str, then: str, tmp_path: Path
) -> None:
    def die(share: float, text: str) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        studied(preset=first, out=tmp_path, progress=die)
    with pytest.raises(InputError, match=f"another preset \\('{first}', now '{then}'\\)"):
        studied(preset=then, out=tmp_path)
    assert told(studied(preset=first, out=tmp_path)) == told(by(first))
    assert told(studied(preset=then, out=tmp_path, force=True)) == told(by(then))


def test_a_folder_tells_its_preset_and_its_verdict(tmp_path: Path) -> None:
    found = studied(preset="fast", out=tmp_path)
    assert json.loads((tmp_path / "result.json").read_text())["preset"] == "fast"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.search("preset</th><td[^>]*>fast</td>", page)
    design = design_of(read_place(tmp_path / "study").spec() or {})
    assert design == found.measurements.design
    assert verdict_in(tmp_path).result.selected == found.result.selected


def test_several_targets_are_studied_by_a_preset_too() -> None:
    asked: dict[str, Any] = {"target": ["price", "good"], "metric": ["mae", "auroc"]}
    found = studied(**asked, candidates=["huber", "brier"], preset="fast", epochs=6)
    assert found.result.preset == "fast"
    rates = {one.learning_rate for one in found.measurements.design.starts}
    assert rates == set(RATES)  # the default's


@pytest.mark.parametrize(
    ("preset", "line"),
    [
        ("fats", "preset must be 'best' or 'fast', got 'fats'; did you mean 'fast'?"),
        (None, "preset must be 'best' or 'fast', got None"),
        (["fast"], r"preset must be 'best' or 'fast', got \['fast'\]"),
    ],
)
def test_an_unknown_preset_is_told_in_one_line(preset: Any, line: str) -> None:
    with pytest.raises(InputError, match=line.replace("?", r"\?")):
        studied(preset=preset)


def test_a_preset_is_for_tables() -> None:
    train = torch.randn(60, 3), torch.randn(60)
    with pytest.raises(InputError, match="preset is for tables"):
        select(model=lambda n: torch.nn.Linear(3, n), train=train, metric="mae", preset="fast")


def test_the_command_line_takes_a_preset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    houses().to_csv(tmp_path / "houses.csv")
    file, out = str(tmp_path / "houses.csv"), str(tmp_path / "run")
    ask = ["select", file, "--target", "price", "--metric", "mae", "--candidates", "huber"]
    assert main([*ask, "--out", out, "--preset", "fast"]) == 0
    assert json.loads((tmp_path / "run" / "result.json").read_text())["preset"] == "fast"
    capsys.readouterr()
    assert main([*ask, "--out", out, "--preset", "quick"]) == 2
    wrong = capsys.readouterr().err
    assert wrong.count("\n") == 1
    assert all(f"'{name}'" in wrong for name in PRESETS)
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    photos = ["select", str(tmp_path / "photos"), "--metric", "accuracy", "--preset", "fast"]
    assert main(photos) == 2
    assert "--preset is for tables" in capsys.readouterr().err
