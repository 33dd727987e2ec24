"""`select` and `predict` of folders from the command line: what they leave, and how they refuse."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import lossmith
from lossmith.cli.main import main
from shared.pictures import by_class, with_masks

BRIEF = ["--epochs", "2", "--candidates"]
BODY = """
from torch import nn

def make(width):
    return nn.Sequential(nn.Flatten(), nn.Linear(1024, width))

def shared(width, body=nn.Linear(1024, 3)):
    return nn.Sequential(nn.Flatten(), body)

def narrow(width):
    return nn.Linear(3, width)

def lazy(width):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(width))

def one(width):
    return nn.Sequential(nn.Flatten(), nn.Linear(1024, 1))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of digits by class and one beside masks."""
    root = tmp_path_factory.mktemp("folders")
    by_class(root / "digits")
    with_masks(root)
    (root / "bodies.py").write_text(BODY)
    return root


def run(*words: str) -> tuple[int, str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", shown := io.StringIO())
        patch.setattr(sys, "stderr", said := io.StringIO())
        return main(list(words)), shown.getvalue(), said.getvalue()


@pytest.fixture(scope="module")
def classes(place: Path) -> dict[str, Any]:
    words = ["select", str(place / "digits"), "--metric", "f1_macro", *BRIEF, "brier"]
    code, shown, said = run(*words, "--out", str(place / "run"))
    assert code == 0, said
    return {"shown": shown, "run": place / "run", "words": words}


@pytest.fixture(scope="module")
def segmented(place: Path) -> Path:
    words = ["--masks", str(place / "masks"), "--metric", "mean_iou", *BRIEF, "binary_dice"]
    code, _, said = run("select", str(place / "images"), *words, "--out", str(place / "masked"))
    assert code == 0, said
    return place / "masked"


def test_select_shows_what_is_in_the_folder_and_the_verdict(classes: dict) -> None:
    parts = ["digits: 75 images, 3 classes", "8 × 8 pixels in the middle", "32 × 32, grey"]
    parts += ["one 25, two 25, zero 25", "2 epochs of batches of 32", "Keep cross_entropy"]
    parts += ["moved by up to an eighth of the side and mirrored", "On 15 untouched rows"]
    shown = " ".join(classes["shown"].split())
    assert [part for part in parts if part not in shown] == []


def test_select_leaves_a_run(classes: dict) -> None:
    result = json.loads((classes["run"] / "result.json").read_text())
    assert result["task"] == "multiclass"
    assert result["target"] == "digits"
    assert result["rows"] == {"total": 75, "train": 60, "test": 15}
    assert {row["name"].partition("(")[0] for row in result["candidates"]} == {
        "cross_entropy",
        "brier",
    }
    assert lossmith.load(classes["run"] / "loss.json").card.key == "cross_entropy"
    predictions = pd.read_csv(classes["run"] / "predictions.csv")
    assert set(predictions["target"]) == {"zero", "one", "two"}
    assert all(
        f.split("/")[0] == t for f, t in zip(predictions.file, predictions.target, strict=True)
    )


def test_the_report_shows_the_most_wrong_images_and_what_is_confused(classes: dict) -> None:
    page = (classes["run"] / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 12
    assert "The most wrong images" in page
    assert "Test rows by their class and, along the row" in page


def test_predict_repeats_what_the_study_predicted(classes: dict, place: Path) -> None:
    out = place / "new.csv"
    code, _, said = run("predict", str(classes["run"]), str(place / "digits"), "--out", str(out))
    assert code == 0, said
    found = pd.read_csv(out).set_index("file")
    written = pd.read_csv(classes["run"] / "predictions.csv").set_index("file")
    assert len(found) == 75
    assert list(found) == list(written.drop(columns="target"))
    assert (found.prediction[written.index] == written.prediction).all()
    numbers = written.filter(like="probability_")
    assert np.allclose(found.loc[written.index, numbers.columns], numbers, atol=1e-5)


def test_predict_without_out_prints(classes: dict, place: Path) -> None:
    code, shown, _ = run("predict", str(classes["run"]), str(place / "digits" / "one"))
    assert code == 0
    assert len(pd.read_csv(io.StringIO(shown))) == 25


def test_a_study_that_was_cut_short_goes_on_with_the_same_pictures_only(
    classes: dict, place: Path
) -> None:
    run_again = place / "again"
    (run_again / "study").mkdir(parents=True)
    for file in (classes["run"] / "study").iterdir():
        if file.is_file():
            (run_again / "study" / file.name).write_bytes(file.read_bytes())
    words = [*classes["words"], "--out", str(run_again)]
    code, _, said = run(*words, "--augment", "none")
    assert code == 2
    assert "another recipe" in said
    code, shown, said = run(*words)
    assert code == 0, said
    assert shown.splitlines()[-3].split(".")[0] == classes["shown"].splitlines()[-3].split(".")[0]


def test_masks_are_segmented_and_shown(segmented: Path) -> None:
    result = json.loads((segmented / "result.json").read_text())
    assert result["task"] == "segmentation"
    assert result["metric"] == "mean_iou"
    assert 0 < result["test"]["selected"] < 1
    page = (segmented / "report.html").read_text()
    assert "Masks beside images" in page
    assert page.count("data:image/png;base64,") >= 8 * 3


def test_predict_writes_masks_of_the_images_own_size(segmented: Path, place: Path) -> None:
    out = place / "drawn"
    code, shown, said = run("predict", str(segmented), str(place / "images"), "--out", str(out))
    assert code == 0, said
    assert "60 masks of class codes" in shown
    mask = Image.open(out / "007.png")
    assert mask.size == (48, 40)
    assert set(np.unique(np.asarray(mask))) <= {0, 1}
    code, _, said = run("predict", str(segmented), str(place / "images"), "--out", str(out))
    assert code == 2
    assert "000.png is there already" in said
    for out, wanted in (
        (place / "images" / "m", "in the folder that is read"),
        (segmented, "a run"),
    ):
        code, _, said = run("predict", str(segmented), str(place / "images"), "--out", str(out))
        assert code == 2
        assert wanted in said
    code, _, said = run("predict", str(segmented), str(place / "images"))
    assert code == 2
    assert "give --out FOLDER" in said


def test_masks_are_written_all_or_none(segmented: Path, place: Path, tmp_path: Path) -> None:
    for name in ("000.png", "059.png"):
        (tmp_path / "new").mkdir(exist_ok=True)
        (tmp_path / "new" / name).write_bytes((place / "images" / name).read_bytes())
    whole = (tmp_path / "new" / "059.png").read_bytes()
    (tmp_path / "new" / "059.png").write_bytes(whole[:-900])  # its header is in order
    words = ["predict", str(segmented), str(tmp_path / "new"), "--out", str(tmp_path / "out")]
    code, _, said = run(*words)
    assert code == 2
    assert "059.png can't be read as an image" in said
    assert sorted(file.name for file in tmp_path.iterdir()) == ["new"]
    (tmp_path / "new" / "059.png").write_bytes(whole)
    assert run(*words)[0] == 0
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["000.png", "059.png"]


def test_predicted_masks_are_better_than_a_guess(segmented: Path, place: Path) -> None:
    out = place / "judged"
    assert run("predict", str(segmented), str(place / "images"), "--out", str(out))[0] == 0
    pairs = [
        (np.asarray(Image.open(out / f.name)), np.asarray(Image.open(f)))
        for f in sorted((place / "masks").iterdir())
    ]
    inside = np.mean([(drawn == 1)[true == 1].mean() for drawn, true in pairs])
    outside = np.mean([(drawn == 1)[true == 0].mean() for drawn, true in pairs])
    assert inside > outside + 0.2


def test_a_body_of_ones_own_is_named_again_to_predict(place: Path) -> None:
    out, own = str(place / "own"), f"{place / 'bodies.py'}:make"
    words = ["--metric", "accuracy", *BRIEF, "brier", "--model", own, "--out", out]
    code, shown, said = run("select", str(place / "digits"), *words)
    assert code == 0, said
    assert own in " ".join(shown.split()).replace(" ", "") or "bodies.py" in shown
    code, _, said = run("predict", out, str(place / "digits"))
    assert code == 2
    assert "no code is run that a file names: give --model" in said
    code, shown, said = run("predict", out, str(place / "digits"), "--model", own)
    assert code == 0, said
    assert len(shown.splitlines()) == 76


REFUSED = {
    "a target": (["--target", "cat"], "--target is for tables, and .* is a folder: the class is"),
    "a time": (["--time", "date"], "--time is for tables"),
    "a task": (["--task", "binary"], "--task is for tables"),
    "outliers": (["--keep-outliers"], "--keep-outliers is for tables"),
    "an ensemble": (["--ensemble", "losses"], "--ensemble is for tables"),
    "a metric of numbers": (["--metric", "mae"], "classes are judged by .*, not by mae"),
    "a metric of masks": (["--metric", "mean_iou"], "mean_iou judges masks: give --masks DIR"),
    "no metric": (["--metric", "x"], "classes are judged by .*accuracy.*, not by x"),
    "two classes' metric": (["--metric", "f1"], "metric f1 is for binary"),
    "a loss": (["--candidates", "nonsense"], "nonsense"),
    "a positive of three": (["--positive", "one"], "--positive is for two classes, and .* has 3"),
    "no epochs": (["--epochs", "0"], "epochs must be above 0"),
    "a size": (["--size", "33"], "--size must be a multiple of 16"),
    "a way": (["--augment", "spin"], "--augment is shift,flip or .*, not spin"),
    "no module": (["--model", "nowhere:make"], "nowhere can't be imported"),
    "no function": (["--model", "{}/bodies.py:none"], "has no function 'none'"),
    "a shared body": (["--model", "{}/bodies.py:shared"], "must return a fresh module"),
    "a body of others": (["--model", "{}/bodies.py:narrow"], r"fails on images .2, 1, 32, 32.: R"),
    "a lazy body": (["--model", "{}/bodies.py:lazy"], "has lazy layers"),
    "a body's outputs": (["--model", "{}/bodies.py:one"], r"one.3. gives .2, 1. .* give .2, 3."),
    "few groups": (["--groups", "^[a-z]+"], "group"),
    "no masks": (["--metric", "mean_iou", "--masks", "nowhere"], "there is no folder nowhere"),
    "labels and masks": (["--masks", "{}/masks"], "masks are judged by mean_iou, .*accuracy"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_folder_cannot_be_asked_is_one_line(place: Path, tmp_path: Path, name: str) -> None:
    words, wanted = REFUSED[name]
    words = [word.format(place) for word in words]
    metric = [] if "--metric" in words else ["--metric", "accuracy"]
    out = ["--out", str(tmp_path / "run")]
    code, _, said = run("select", str(place / "digits"), *metric, *words, *out)
    lines = [line for line in said.splitlines() if line.startswith("lossmith:")]
    assert (code, len(lines)) == (2, 1)
    assert pd.Series(lines).str.contains(wanted).all(), lines
    assert not (tmp_path / "run" / "report.html").exists()


def test_tables_and_folders_are_told_apart(classes: dict, place: Path, tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    pd.DataFrame({"x": [1, 2], "y": [1, 2]}).to_csv(table, index=False)
    for words, wanted in [
        (["predict", str(classes["run"]), str(table)], "is a study of a folder; predict a folder"),
        (["select", str(table), "--metric", "mae"], "name the column to predict: --target"),
        (["select", "nowhere/", "--metric", "mae"], "nowhere/ is no folder of images or texts"),
        (
            ["predict", str(place), str(table), "--model", "m:f"],
            "--model is for a folder of images or texts",
        ),
        (
            ["select", str(place), "--metric", "accuracy", "--out", str(place / "runs" / "it")],
            "it lies in the folder that is read",
        ),
        (
            ["select", str(table), "--metric", "mae", "--target", "y", "--masks", "m"],
            "--masks is for a folder of images or texts, and .* is a file",
        ),
        (["predict", str(place), str(place / "digits")], "holds no model"),
    ]:
        code, _, said = run(*words)
        assert code == 2
        assert pd.Series([said]).str.contains(wanted).all(), said
        assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("fact", "wrong"),
    [
        ("size", 33),
        ("channels", 3),
        ("width", 7),
        ("labels", ["a"]),
        ("lossmith", 9),
        ("input", "sounds"),
        ("decision", "x"),
        ("body", 1),
    ],
)
def test_a_damaged_run_is_one_line(
    classes: dict, place: Path, tmp_path: Path, fact: str, wrong: Any
) -> None:
    for file in classes["run"].iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    facts = json.loads((tmp_path / "model.json").read_text()) | {fact: wrong}
    (tmp_path / "model.json").write_text(json.dumps(facts))
    code, _, said = run("predict", str(tmp_path), str(place / "digits"))
    assert code == 2, said
    assert len(said.splitlines()) == 1
    assert "cannot be read" in said
