"""Losses of prefixes: what they are made of, whatever the inner loss reduces to."""

import pytest
import torch

import lossmith

GENERATOR = torch.Generator().manual_seed(4)
ROWS, OTHERS = torch.randn(2, 6, 8, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.tensor([0, 0, 1, 1, 2, 2])
GRADES = torch.tensor([0.1, 0.9, 0.4, 0.4, 0.7, 0.2])
NAMED = {"first": ROWS, "second": OTHERS}
CASES = {
    "coupled, of classes": (lossmith.Triplet(), ROWS, CLASSES),
    "coupled, of two views": (lossmith.NTXent(), ROWS, OTHERS),
    "with a temperature of its own": (lossmith.CLIP(), ROWS, OTHERS),
    "rows alone": (lossmith.NegativeCosine(), ROWS, OTHERS),
    "a statistic": (lossmith.BarlowTwins(), ROWS, OTHERS),
    "a set": (lossmith.VICReg(), ROWS, OTHERS),
    "a set, by name": (lossmith.CoSENT(), NAMED, GRADES),
}


def cut(data, count: int):
    if isinstance(data, dict):
        return {name: cut(part, count) for name, part in data.items()}
    return data[:, :count] if data.ndim > 1 else data


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_sum_over_prefixes(name: str) -> None:
    inner, input, target = CASES[name]
    loss = lossmith.Matryoshka(inner, dims=[2, 8, 4], importance=[1.0, 0.5, 3.0])
    alone = {count: inner(cut(input, count), cut(target, count)) for count in (2, 4, 8)}
    expected = alone[2] + 0.5 * alone[8] + 3 * alone[4]
    torch.testing.assert_close(loss(input, target), expected)
    assert set(loss.terms(input, target)) == {"2", "4", "8"}


def test_weights_are_the_inner_losss() -> None:
    weight = torch.tensor([1.0, 2.0, 0.0, 1.0, 0.5, 1.0])
    loss, inner = lossmith.Matryoshka(dims=[4, 8]), lossmith.SupCon()
    expected = sum(inner(ROWS[:, :n], CLASSES, weight=weight) for n in (4, 8))
    torch.testing.assert_close(loss(ROWS, CLASSES, weight=weight), expected)
    with pytest.raises(ValueError, match="no weight"):
        lossmith.Matryoshka(lossmith.CoSENT(), dims=[4])(NAMED, GRADES, weight=weight)


def test_a_file_gives_the_same_loss(tmp_path) -> None:
    loss = lossmith.Matryoshka(lossmith.CLIP(), dims=[4, 8])
    loss.save(tmp_path / "loss.json")
    read = lossmith.load(tmp_path / "loss.json")
    assert read(ROWS, OTHERS) == loss(ROWS, OTHERS)


def test_what_has_no_prefixes_is_refused() -> None:
    with pytest.raises(TypeError, match="loss of embeddings, got MSE"):
        lossmith.Matryoshka(lossmith.MSE(), dims=[2])
    with pytest.raises(TypeError, match="any width"):
        lossmith.Matryoshka(lossmith.ArcFace(classes=3, features=8), dims=[2])
    with pytest.raises(ValueError, match="one number for each, got 2 and 1"):
        lossmith.Matryoshka(dims=[2, 4], importance=[1.0])
    with pytest.raises(ValueError, match=r"\(6, 8\), but their first 16"):
        lossmith.Matryoshka(dims=[4, 16])(ROWS, CLASSES)
