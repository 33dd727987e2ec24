"""Folders of texts: what is read, what a body sees, what a study leaves, and how it refuses."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lossmith.cli.main import main
from lossmith.study.base.errors import InputError
from lossmith.study.base.result import Gallery, Shown
from lossmith.study.folders.bodies import mean_of_n_grams
from lossmith.study.folders.data import read_folder
from lossmith.study.folders.texts import BUCKETS, SEEN, n_gram_codes, n_grams, read_text
from lossmith.study.report.gallery import gallery
from shared.texts import by_phone

BODY = """
import torch
from torch import nn

class Letters(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.head = nn.Linear(256, width)

    def forward(self, texts):
        assert texts.shape[1] == 2048 and texts.dtype == torch.uint8
        return self.head(nn.functional.one_hot(texts.long(), 256).float().mean(dim=1))

make = Letters
"""
BRIEF = ["--metric", "balanced_accuracy", "--epochs", "3", "--candidates", "brier"]


@pytest.fixture
def phones(tmp_path: Path) -> Path:
    return by_phone(tmp_path / "phones", each=30)


def run(*words: str) -> tuple[int, str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", shown := io.StringIO())
        patch.setattr(sys, "stderr", said := io.StringIO())
        return main(list(words)), shown.getvalue(), said.getvalue()


def test_a_folder_is_a_class(phones: Path) -> None:
    data = read_folder(phones)
    assert data.labels == ("android", "iphone")
    assert [data.labels[code] for code in data.target] == [n.split("/")[0] for n in data.names]
    assert data.texts == tuple((phones / name).read_text() for name in data.names)
    codes = n_gram_codes(data.texts)
    assert np.array_equal(codes, data.seen.numpy())
    (told,) = [one for one in data.findings if one.name == "texts"]
    assert told.value == "60"
    assert "only large differences" in told.meaning
    assert all("first 2,048 bytes" not in one.meaning for one in data.findings)


def test_codes_are_the_same_in_every_process() -> None:
    expected = [30113, 7920, 10020, 30274, 28741, 26165, 32574, 22231, 700, 25801]
    assert n_gram_codes(["spam"]).tolist() == [expected]


def test_n_grams_are_of_words_pairs_and_characters() -> None:
    assert n_grams("A b") == ["<a>", "<b>", "<a><b>"]
    assert n_grams("ｗｉｎ ＷＩＮ") == n_grams("win win")
    assert "<春>" in n_grams("春眠不覺曉")
    assert "<春><眠>" in n_grams("春眠不覺曉")
    assert set(n_grams("don't")) >= {"<don>", "<'>", "<t>", "<don><'>"}
    assert n_grams("हिन्दी में")[:2] == ["<हिन्दी>", "<में>"]  # marks do not part words


def test_the_order_and_number_of_blanks_and_what_fills_rows_change_no_output() -> None:
    torch.manual_seed(0)
    body = mean_of_n_grams(3)
    alone = body(torch.from_numpy(n_gram_codes(["a short one"])))
    beside = body(torch.from_numpy(n_gram_codes(["a \n short\tone", "a far longer text than it"])))
    assert torch.allclose(alone[0], beside[0])
    alone.sum().backward()
    assert not body[0].weight.grad[0].any()
    assert int(n_gram_codes(["x y z " * 300]).max()) <= BUCKETS


def test_a_long_text_is_read_from_its_beginning_between_characters(tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text("é" * SEEN + "end", encoding="utf-8")
    assert read_text(file) == "é" * (SEEN // 2)
    file.write_text("x" + "é" * SEEN, encoding="utf-8")
    assert read_text(file) == "x" + "é" * (SEEN // 2 - 1)
    file.write_text("\ufeffmarked", encoding="utf-8")
    assert read_text(file) == "marked"


def test_long_texts_are_told(phones: Path) -> None:
    (phones / "iphone" / "long.txt").write_text("vote " * SEEN)
    (told,) = [one.meaning for one in read_folder(phones).findings if one.name == "texts"]
    assert "of 1 longer one the first 2,048 bytes are seen" in told


def test_equal_texts_stay_together_and_are_told_where_classes_differ(phones: Path) -> None:
    assert read_folder(phones).groups is None
    text = (phones / "iphone" / "0000.txt").read_text()
    (phones / "iphone" / "again.txt").write_text(f"  {text.upper()}\n")
    (phones / "android" / "torn.txt").write_text(text)
    data = read_folder(phones)
    assert data.groups is not None
    names = ("iphone/again.txt", "android/torn.txt", "iphone/0000.txt")
    assert len({data.groups[data.names.index(name)] for name in names}) == 1
    assert len(set(data.groups)) == 60
    (told,) = [one for one in data.findings if one.name == "contradictions"]
    assert told.level == "warning"
    assert told.value == "3 texts"
    assert told.meaning.startswith("equal texts of different classes, as android/torn.txt and")


def test_a_text_is_shown_as_text() -> None:
    found = Gallery(title="t", text="", shown=(Shown(caption="c", text="<b>&\u202e"),))
    assert "<blockquote>&lt;b&gt;&amp;\\u202e</blockquote>" in gallery(found)[1]


MISTAKES = {
    "no UTF-8": (
        lambda r: (r / "iphone" / "a.txt").write_bytes("süß".encode("latin-1")),
        r"iphone/a.txt is no UTF-8 \(byte 0xfc at 1\); save texts as UTF-8",
    ),
    "UTF-16": (
        lambda r: (r / "iphone" / "a.txt").write_bytes("sweet".encode("utf-16-le")),
        r"iphone/a.txt is no text: it holds NUL, as UTF-16 does",
    ),
    "cut short": (
        lambda r: (r / "iphone" / "a.txt").write_bytes("ü".encode()[:1]),
        r"iphone/a.txt is no UTF-8 \(byte 0xc3 at 0\)",
    ),
    "nothing": (
        lambda r: (r / "iphone" / "a.txt").write_text(" \n"),
        "iphone/a.txt holds no text; remove it",
    ),
    "an image": (
        lambda r: (r / "iphone" / "a.png").write_bytes(b""),
        "holds images and texts, as iphone/a.png and android/0000.txt",
    ),
    "one outside": (
        lambda r: (r / "README.txt").write_text("read me"),
        r"1 text in no folder of a class \(README.txt\)",
    ),
    "no class": (
        lambda r: [f.rename(r / f"{f.parent.name}{f.name}") for f in sorted(r.rglob("*.txt"))],
        "has texts, but no folders: put those of each class into a folder of its name$",
    ),
    "an empty class": (lambda r: (r / "web").mkdir(), "web holds no text; every folder"),
    "few": (
        lambda r: [f.unlink() for f in sorted((r / "iphone").iterdir())[5:]],
        "35 texts; a study needs 50",
    ),
    "a rare class": (
        lambda r: (
            (r / "web").mkdir(),
            (r / "web" / "a.txt").write_text("one"),
        ),
        "class web has 1 text; a study needs 5 of each",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_wrong_folder_is_one_line(phones: Path, name: str) -> None:
    change, wanted = MISTAKES[name]
    change(phones)
    with pytest.raises(InputError, match=wanted) as error:
        read_folder(phones)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("texts")
    by_phone(root / "phones")
    (root / "nets.py").write_text(BODY)
    code, shown, said = run("select", str(root / "phones"), *BRIEF, "--out", str(root / "run"))
    assert code == 0, said
    return root, shown


def test_select_shows_what_is_in_the_folder_and_leaves_a_run(studied: tuple[Path, str]) -> None:
    root, shown = studied
    parts = ["phones: 80 texts, 2 classes", "hashed n-grams (fastText)", "On 16 untouched rows"]
    told = " ".join(shown.split())
    assert [part for part in parts if part not in told] == []
    assert "augmentation" not in told
    result = json.loads((root / "run" / "result.json").read_text())
    assert result["task"] == "binary"
    page = (root / "run" / "report.html").read_text()
    assert "The most wrong texts" in page
    assert page.count("<blockquote>") == 12


def test_predict_repeats_what_the_study_predicted(studied: tuple[Path, str]) -> None:
    root, _ = studied
    code, shown, said = run("predict", str(root / "run"), str(root / "phones"))
    assert code == 0, said
    found = pd.read_csv(io.StringIO(shown)).set_index("file")
    written = pd.read_csv(root / "run" / "predictions.csv").set_index("file")
    assert len(found) == 80
    numbers = written.filter(like="probability_")
    assert np.allclose(found.loc[written.index, numbers.columns], numbers, atol=1e-5)
    assert (found.prediction[written.index] == written.prediction).all()


def test_predict_reads_texts_alone(studied: tuple[Path, str], tmp_path: Path) -> None:
    root, _ = studied
    (tmp_path / "a.png").write_bytes(b"")
    code, _, said = run("predict", str(root / "run"), str(tmp_path))
    assert code == 2
    assert "holds no text (.txt)" in said
    (tmp_path / "new.txt").write_text("ﬆrange words 🎉")
    code, shown, said = run("predict", str(root / "run"), str(tmp_path))
    assert code == 0, said
    assert len(shown.splitlines()) == 2


def test_a_body_of_ones_own_sees_bytes(studied: tuple[Path, str], tmp_path: Path) -> None:
    root, _ = studied
    own = f"{root / 'nets.py'}:make"
    words = ["select", str(root / "phones"), *BRIEF, "--model", own, "--out", str(tmp_path / "r")]
    code, _, said = run(*words)
    assert code == 0, said
    code, _, said = run("predict", str(tmp_path / "r"), str(root / "phones"))
    assert code == 2
    assert "give --model" in said
    code, shown, said = run("predict", str(tmp_path / "r"), str(root / "phones"), "--model", own)
    assert code == 0, said
    assert len(shown.splitlines()) == 81


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--size", "32"], "--size is for images, and .* holds texts"),
        (["--augment", "shift"], "--augment moves images, and .* holds texts"),
        (["--masks", "{}", "--metric", "dice"], "--masks is the folder of the images itself"),
        (["--masks", "{}/android", "--metric", "dice"], "holds no image "),
        (["--metric", "mae"], "classes are judged by .*, not by mae"),
        (
            ["--target", "phone"],
            "--target is for tables, and .* is a folder: the class is the name",
        ),
        (["--groups", "nothing"], "'nothing' finds nothing in 80 paths"),
        (["--model", "json:loads"], "fails on texts .2, 2048.: "),
    ],
)
def test_what_texts_cannot_be_asked_is_one_line(
    studied: tuple[Path, str], tmp_path: Path, words: list[str], wanted: str
) -> None:
    phones = str(studied[0] / "phones")
    metric = [] if "--metric" in words else ["--metric", "accuracy"]
    words = [word.format(phones) for word in words]
    code, _, said = run("select", phones, *metric, *words, "--out", str(tmp_path / "run"))
    lines = [line for line in said.splitlines() if line.startswith("lossmith:")]
    assert (code, len(lines)) == (2, 1), said
    assert pd.Series(lines).str.contains(wanted).all(), lines
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_run_of_texts_that_says_images_is_one_line(
    studied: tuple[Path, str], tmp_path: Path
) -> None:
    root, _ = studied
    for file in (root / "run").iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    facts = (tmp_path / "model.json").read_text().replace('"texts"', '"images"')
    (tmp_path / "model.json").write_text(facts)
    code, _, said = run("predict", str(tmp_path), str(root / "phones"))
    assert code == 2
    assert "cannot be read" in said
