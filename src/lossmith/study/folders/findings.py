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
from lossmith.study.metrics.overlap import IGNORED

FEW = 500  # images, below which only large differences can be proven
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
            f"to {side} × {side}, {'grey' if channels == 1 else 'in colour'}"
            + (", where only large differences can be proven" if len(looks) < FEW else ""),
        )
    ]


def of_classes(found: np.ndarray, labels: np.ndarray) -> list[Finding]:
    """Say how many images each class has, and whether one is rare."""
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


def of_groups(said: np.ndarray | None) -> list[Finding]:
    """Say how many groups the user has told of."""
    if said is None:
        return []
    meaning = "images of one group stay together in every split, and count as one in the test"
    return [Finding(name="groups", value=f"{len(np.unique(said)):,}", meaning=meaning)]


def of_copies(pictures: Tensor, target: Tensor, names: Sequence[str]) -> list[Finding]:
    """Return a warning where a picture is there twice, and what is said of it differs."""
    alike, said = same_inputs(pictures), same_inputs(target)
    rows = pd.DataFrame({"picture": alike, "said": said, "name": names})
    torn = rows[rows.groupby("picture")["said"].transform("nunique") > 1]
    if torn.empty:
        return []
    first = list(torn.loc[torn.picture == torn.picture.iloc[0], "name"])
    return [
        Finding(
            name="contradictions",
            value=pluralize(len(torn), "image"),
            meaning=f"equal pictures of different classes or masks, as {' and '.join(first[:2])}; "
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
