"""What is read of a folder of images, and a line for each thing that can be wrong with one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from lossmith.study.base.errors import InputError
from lossmith.study.folders.data import FolderData, read_folder
from lossmith.study.folders.listing import found_in, groups_of
from shared.pictures import by_class, with_masks

ORIENTATION = 0x0112


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    return by_class(tmp_path / "digits")


@pytest.fixture
def masked(tmp_path: Path) -> tuple[Path, Path]:
    return with_masks(tmp_path)


def test_a_folder_is_a_class(digits: Path) -> None:
    data = read_folder(digits)
    assert data.labels == ("one", "two", "zero")
    assert data.target.bincount().tolist() == [25, 25, 25]
    assert [data.labels[code] for code in data.target] == [n.split("/")[0] for n in data.names]
    assert data.seen.shape == (75, 1, 32, 32)
    assert data.seen.dtype == torch.uint8
    assert not data.inputs.masked


def test_pictures_are_those_of_the_files(digits: Path) -> None:
    data = read_folder(digits)
    for row in (0, 40):
        file = Image.open(digits / data.names[row]).resize((32, 32), Image.Resampling.BILINEAR)
        assert np.array_equal(np.asarray(file), data.seen[row, 0].numpy())


def test_one_picture_in_colour_makes_all_of_three_channels(digits: Path) -> None:
    Image.new("RGB", (70, 90), (255, 0, 0)).save(digits / "zero" / "a.jpg", quality=100)
    data = read_folder(digits)
    assert data.seen.shape == (76, 3, 32, 32)
    red = data.seen[data.names.index("zero/a.jpg")].float().mean(dim=(1, 2))
    assert red[0] > 250
    assert red[1:].max() < 5


def test_larger_pictures_are_read_larger_and_any_size_may_be_asked_for(digits: Path) -> None:
    for file in digits.rglob("*.png"):
        Image.open(file).resize((60, 90)).save(file)
    assert read_folder(digits).inputs.size == 64
    assert read_folder(digits, size=48).inputs.size == 48


def test_a_photo_is_turned_as_its_camera_held_it(digits: Path) -> None:
    photo = Image.fromarray(np.repeat([[255, 255, 0, 0]], 4, axis=0).astype(np.uint8)).resize(
        (64, 32), Image.Resampling.NEAREST
    )
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # the left side is above
    photo.save(digits / "zero" / "turned.jpg", exif=exif, quality=100)
    data = read_folder(digits)
    turned = data.seen[data.names.index("zero/turned.jpg"), 0].float()
    assert turned[:12].mean() > 240
    assert turned[-12:].mean() < 15


def test_what_is_transparent_is_white(digits: Path) -> None:
    Image.new("LA", (8, 8), (0, 0)).save(digits / "zero" / "clear.png")
    data = read_folder(digits)
    assert int(data.seen[data.names.index("zero/clear.png")].min()) == 255


def test_hidden_files_are_not_looked_at_and_others_are_told(digits: Path) -> None:
    (digits / ".DS_Store").write_text("")
    (digits / ".thumbs").mkdir()
    (digits / "zero" / "notes.md").write_text("blurred")
    (digits / "README.txt").write_text("drawn by hand")
    data = read_folder(digits)
    assert len(data.names) == 75
    (told,) = [one.meaning for one in data.findings if one.name == "left out"]
    assert told == "no images: README.txt, zero/notes.md"


def test_folders_may_be_links_and_links_in_circles_are_not_followed(
    digits: Path, tmp_path: Path
) -> None:
    before = found_in(digits).names
    (digits / "zero").rename(tmp_path / "elsewhere")
    (digits / "zero").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (digits / "one" / "back").symlink_to(digits, target_is_directory=True)
    assert found_in(digits).names == before


def test_the_rarer_of_two_classes_is_positive_unless_another_is_named(tmp_path: Path) -> None:
    root = by_class(tmp_path / "two", each=40, classes=2)
    for file in sorted((root / "one").iterdir())[:10]:
        file.unlink()
    assert read_folder(root).labels == ("zero", "one")
    assert read_folder(root, positive="zero").labels == ("one", "zero")


def test_a_rare_class_is_warned_of(digits: Path) -> None:
    for digit in ("one", "two"):
        for number, file in enumerate(sorted((digits / digit).iterdir())):
            for copy in range(5):
                Image.open(file).rotate(9 * copy).save(digits / digit / f"{number}_{copy}.jpg")
    for file in sorted((digits / "zero").iterdir())[5:]:
        file.unlink()
    (found,) = [one for one in read_folder(digits).findings if one.name == "classes"]
    assert found.level == "warning"
    assert "zero is rare" in found.meaning


def test_groups_are_what_a_pattern_finds_in_paths(digits: Path) -> None:
    data = read_folder(digits, groups=r"/\d*(\d)\.png")
    assert data.groups is not None
    assert pd.crosstab([name[-5] for name in data.names], data.groups).gt(0).to_numpy().sum() == 10
    (told,) = [one.value for one in data.findings if one.name == "groups"]
    assert told == "10"
    with pytest.raises(InputError, match=r"finds nothing in 1 path: b\.png"):
        groups_of(("p1.png", "b.png"), r"(\d)?\.png")


def test_equal_pictures_stay_together_and_are_told_where_classes_differ(digits: Path) -> None:
    assert read_folder(digits).groups is None
    first = sorted((digits / "zero").iterdir())[0]
    for copy in ("zero/again.png", "one/torn.png"):
        (digits / copy).write_bytes(first.read_bytes())
    data = read_folder(digits)
    assert data.groups is not None
    places = [data.names.index(n) for n in ("zero/again.png", "one/torn.png", f"zero/{first.name}")]
    assert len(set(data.groups[places])) == 1
    assert len(set(data.groups)) == 75
    (told,) = [one for one in data.findings if one.name == "contradictions"]
    assert told.level == "warning"
    assert "one/torn.png and zero/" in told.meaning


def test_masks_lie_beside_images(masked: tuple[Path, Path]) -> None:
    images, masks = masked
    data = read_folder(images, masks=masks)
    assert data.inputs.masked
    assert data.labels == ("0", "1")
    assert data.seen.shape == (60, 3, 32, 32)
    assert data.target.shape == (60, 32, 32)
    inside = data.seen.float().mean(dim=1)[data.target == 1].mean()
    outside = data.seen.float().mean(dim=1)[data.target == 0].mean()
    assert inside > 225 > outside


def test_masks_within_the_images_folder_are_no_images(masked: tuple[Path, Path]) -> None:
    images, masks = masked
    inner = masks.rename(images / "masks")
    assert len(read_folder(images, masks=inner).names) == 60


def test_black_and_white_masks_are_of_one_class(masked: tuple[Path, Path]) -> None:
    images, masks = masked
    before = read_folder(images, masks=masks).target
    for file in masks.iterdir():
        Image.fromarray(np.asarray(Image.open(file)) * 255).save(file)
    data = read_folder(images, masks=masks)
    assert torch.equal(data.target, before)
    assert any("read as class 1" in one.meaning for one in data.findings)


def test_code_255_is_ignored_where_there_are_other_classes(masked: tuple[Path, Path]) -> None:
    images, masks = masked
    repaint(masks / "000.png", lambda codes: np.where(codes == 1, 255, codes))
    data = read_folder(images, masks=masks)
    assert data.labels == ("0", "1")
    assert set(data.target[0].unique().tolist()) == {0, 255}
    assert any(one.name == "ignored pixels" for one in data.findings)


def repaint(file: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    Image.fromarray(change(np.asarray(Image.open(file)))).save(file)


def emptied(folder: Path, keep: int = 0) -> None:
    for file in sorted(folder.iterdir())[keep:]:
        file.unlink()


def animated(root: Path) -> None:
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 99)]
    frames[0].save(root / "zero" / "a.gif", save_all=True, append_images=frames[1:])


def broken(root: Path) -> None:
    file = next((root / "zero").glob("*.png"))
    file.write_bytes(file.read_bytes()[:60])


def deep(root: Path) -> None:
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(root / "zero" / "deep.png")


def away(root: Path) -> None:
    for name in ("one", "two"):
        for file in (root / name).iterdir():
            file.rename(root / "zero" / f"{name}{file.name}")
        (root / name).rmdir()


def loose(root: Path) -> None:
    for file in list(root.rglob("*.png")):
        file.rename(root / f"{file.parent.name}{file.name}")


MISTAKES = {
    "no folder": (lambda r: r.rename(r.with_name("other")), "there is no folder"),
    "no image": (lambda r: [emptied(one) for one in r.iterdir()], "holds no image and no text"),
    "no class": (loose, "no folders: put those of each class into a folder"),
    "one class": (away, r"has one class only \(zero\)"),
    "an empty class": (lambda r: (r / "four").mkdir(), r"four holds no image"),
    "a rare class": (lambda r: emptied(r / "one", 4), "class one has 4 images; .* 5 of each"),
    "few images": (lambda r: [emptied(one, 9) for one in r.iterdir()], "27 images; .* needs 50"),
    "one outside": (
        lambda r: next((r / "one").iterdir()).rename(r / "a.png"),
        r"1 image in no folder of a class \(a.png\)",
    ),
    "a broken image": (broken, r"zero/\d+\.png can't be read as an image: "),
    "no image at all": (
        lambda r: (r / "zero" / "a.png").write_text("a"),
        "zero/a.png can't be read as an image: it is of no kind",
    ),
    "texts too": (
        lambda r: (r / "one" / "a.txt").write_text("a"),
        r"holds images and texts, as one/\d+.png and one/a.txt; a study is of one kind",
    ),
    "an animation": (animated, "a.gif is animated, or has 2 pages"),
    "16 bits": (deep, r"deep.png has pixels of more than 8 bits \(I;16\)"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_wrong_folder_is_one_line(digits: Path, name: str) -> None:
    change, said = MISTAKES[name]
    change(digits)
    with pytest.raises(InputError, match=said) as error:
        read_folder(digits)
    assert "\n" not in str(error.value)


def twins(images: Path, masks: Path) -> None:
    Image.open(images / "000.png").save(images / "000.jpg")


def two_masks(images: Path, masks: Path) -> None:
    Image.open(masks / "000.png").save(masks / "000.bmp")


def blurred(images: Path, masks: Path) -> None:
    Image.open(masks / "000.png").save(masks / "000.jpg")
    (masks / "000.png").unlink()


def everywhere(masks: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    for file in masks.iterdir():
        repaint(file, change)


def speck(codes: np.ndarray) -> np.ndarray:
    """A pixel of class 2 that no pixel of a smaller mask has in its middle."""
    codes = codes.copy()
    codes[2, 2] = 2
    return codes


MASK_MISTAKES = {
    "a missing mask": (
        lambda i, m: (m / "003.png").unlink(),
        "1 of 60 images without a mask of the same name in .*: 003.png",
    ),
    "another size": (
        lambda i, m: repaint(m / "003.png", lambda codes: codes[:30]),
        "003.png is 48 × 30 pixels, but its image is 48 × 40",
    ),
    "colours": (
        lambda i, m: Image.open(m / "003.png").convert("RGB").save(m / "003.png"),
        r"003.png is in colour or transparent \(RGB\); save class codes in one channel",
    ),
    "16 bits": (
        lambda i, m: Image.fromarray(np.full((40, 48), 300, np.uint16)).save(m / "003.png"),
        "003.png has pixels of more than 8 bits",
    ),
    "a JPEG": (blurred, "000.jpg is a JPEG, which blurs class codes"),
    "two images": (twins, "000.jpg and 000.png would share one mask"),
    "two masks": (two_masks, "000.bmp and 000.png in .* are masks of one image"),
    "one class": (lambda i, m: everywhere(m, np.zeros_like), "the masks hold one class only"),
    "a gap": (
        lambda i, m: everywhere(m, lambda codes: codes * 128),
        "the masks hold the codes 0, 128; class codes must be 0, 1, 2",
    ),
    "a vanishing class": (
        lambda i, m: everywhere(m, speck),
        "class 2 of the masks vanishes at 32 × 32 pixels; give a larger --size",
    ),
    "no masks": (lambda i, m: emptied(m), "masks holds no image"),
}


@pytest.mark.parametrize("name", MASK_MISTAKES)
def test_wrong_masks_are_one_line(masked: tuple[Path, Path], name: str) -> None:
    change, said = MASK_MISTAKES[name]
    change(*masked)
    with pytest.raises(InputError, match=said) as error:
        read_folder(masked[0], masks=masked[1])
    assert "\n" not in str(error.value)


def read_with(**given: object) -> Callable[[Path], FolderData]:
    return lambda root: read_folder(root, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (read_with(size=50), "--size must be a multiple of 16 up to 512, got 50"),
        (read_with(size=0), "--size must be a multiple of 16"),
        (read_with(groups="p("), r"a regular expression on paths in it, and 'p\(' is none"),
        (read_with(groups="patient"), "'patient' finds nothing in 75 paths: one/"),
        (lambda root: read_folder(root, masks=root), "--masks is the folder of the images itself"),
    ],
)
def test_wrong_options_are_one_line(digits: Path, read: Callable, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(digits)
