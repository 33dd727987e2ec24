"""What is found in a folder before any training, and what it means for the loss."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lossmith.study.base.formatting import listed, percent, pluralize
from lossmith.study.base.result import Finding
from lossmith.study.data.units import same_inputs
from lossmith.study.folders.listing import NAMED
from lossmith.study.folders.pictures import Looks
from lossmith.study.folders.texts import SEEN
from lossmith.study.metrics.reading import IGNORED

FEW = 500  # files, below which only large differences can be proven
RARE = 0.2  # of an even share, below which a class is warned of


def of_pictures(looks: list[Looks], side: int, channels: int) -> list[Finding]:
    """Say how many images there are, and how they are seen."""
    widths, heights = (sorted(getattr(one, name) for one in looks) for name in ("width", "height"))
    middle = len(looks) // 2
    return [
        Finding(
            name="images",
            value=f"{len(looks):,}",
            meaning=f"{widths[middle]} × {heights[middle]} pixels in the middle; each is squeezed "
            f"to {side} × {side}, {'grey' if channels == 1 else 'in colour'}" + _few(len(looks)),
        )
    ]


def of_texts(texts: Sequence[str], sizes: Sequence[int]) -> list[Finding]:
    """Say how many texts there are, how long, and how many are longer than what is seen.

    sizes: of their files, in bytes.
    """
    long = sum(size > SEEN for size in sizes)
    cut = f"; of {pluralize(long, 'longer one')} the first {SEEN:,} bytes are seen" if long else ""
    length = sorted(map(len, texts))[len(texts) // 2]
    meaning = f"{pluralize(length, 'character')} in the middle{cut}{_few(len(texts))}"
    return [Finding(name="texts", value=f"{len(texts):,}", meaning=meaning)]


def _few(count: int) -> str:
    return ", where only large differences can be proven" if count < FEW else ""


def of_classes(found: np.ndarray, labels: np.ndarray) -> list[Finding]:
    """Say how many files each class has, and whether one is rare."""
    counts = np.bincount(found)
    order = np.argsort(-counts, kind="stable")
    share = counts.min() / counts.sum()
    rare = share < RARE / len(labels)
    return [
        Finding(
            name="classes",
            value=f"{len(labels)}",
            meaning=listed([f"{labels[code]} {counts[code]:,}" for code in order])
            + (f"; {labels[order[-1]]} is rare, {percent(share)}" if rare else ""),
            level="warning" if rare else "info",
        )
    ]


def of_masks(target: Tensor) -> list[Finding]:
    """Say how much of the masks each class is, and how much is ignored."""
    counts = torch.bincount(target.flatten(), minlength=IGNORED + 1).double()
    ignored, counts = float(counts[IGNORED]), counts[:IGNORED]
    counts = counts[: int(counts.nonzero().max()) + 1]
    shares = (counts / counts.sum()).tolist()
    found = [
        Finding(
            name="pixels by class",
            value=f"{len(shares)} classes",
            meaning=listed([f"{code} {percent(share)}" for code, share in enumerate(shares)])
            + (
                "; rare classes sway cross-entropy little"
                if min(shares) < RARE / len(shares)
                else ""
            ),
        )
    ]
    if ignored:
        share = percent(ignored / target.numel())
        found.append(note("ignored pixels", f"{share} have code {IGNORED} and count nowhere"))
    return found


def of_groups(said: np.ndarray | None, word: str) -> list[Finding]:
    """Say how many groups the user has told of."""
    if said is None:
        return []
    meaning = f"{word}s of one group stay together in every split, and count as one in the test"
    return [Finding(name="groups", value=f"{len(np.unique(said)):,}", meaning=meaning)]


def of_copies(seen: Tensor, target: Tensor, names: Sequence[str], word: str) -> list[Finding]:
    """Return a warning where a file is there twice, and what is said of it differs."""
    rows = pd.DataFrame({"seen": same_inputs(seen), "said": same_inputs(target), "name": names})
    torn = rows[rows.groupby("seen")["said"].transform("nunique") > 1]
    if torn.empty:
        return []
    first = list(torn.loc[torn.seen == torn.seen.iloc[0], "name"])
    what = "classes or masks" if word == "image" else "classes"
    return [
        Finding(
            name="contradictions",
            value=pluralize(len(torn), word),
            meaning=f"equal {word}s of different {what}, as {' and '.join(first[:2])}; "
            "they stay together in every split, but one of them must be wrong",
            level="warning",
        )
    ]


def left_out(names: Sequence[str], what: str) -> list[Finding]:
    """Say which files were not used."""
    if not names:
        return []
    told = f"{what}: {listed(list(names), NAMED)}"
    return [Finding(name="left out", value=pluralize(len(names), "file"), meaning=told)]


def note(name: str, text: str) -> Finding:
    """Return a finding that is words only."""
    return Finding(name=name, value="", meaning=text)
