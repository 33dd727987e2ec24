"""What a report shows of files: those that a model got most wrong, and masks beside images."""

import io

import numpy as np

from lossmith.study.base.formatting import number
from lossmith.study.base.result import Gallery, Shown
from lossmith.study.folders.data import FolderData
from lossmith.study.metrics import decide
from lossmith.study.metrics.reading import IGNORED, decided
from lossmith.study.report.svg import CLASSES
from lossmith.study.selection.own_model import ModelSelection
from lossmith.study.tasks.sample import spread

MOST = 12  # files of classes
EXCERPT = 240  # characters of a text
MOST_MASKS = 8
SHARE = 0.55  # of a mask's colour in a pixel


def gallery(data: FolderData, chosen: ModelSelection) -> Gallery:
    """Return the untouched files that tell most."""
    return beside_masks(data, chosen) if data.inputs.masked else most_wrong(data, chosen)


def most_wrong(data: FolderData, chosen: ModelSelection) -> Gallery:
    """Return the untouched files whose own class the model found least likely."""
    labels, word = data.labels, data.inputs.word
    target = chosen.evidence.test_target.astype(int)
    prediction = chosen.evidence.test_selected
    taken, own = decide(prediction, chosen.decision), prediction[np.arange(len(target)), target]
    wrong = int((taken != target).sum())
    order = np.lexsort((own, taken == target))[:MOST]
    shown = []
    for row in order:
        label = labels[target[row]]
        mistaken = f", taken for {labels[taken[row]]}" * bool(taken[row] != target[row])
        share = number(float(own[row]), 2)
        place = chosen.test_rows[row]
        caption = f"{data.names[place]} is {label}{mistaken}; probability of {label}: {share}"
        shown.append(_shown(data, place, caption))
    text = (
        f"Of {len(target):,} untouched {word}s {wrong:,} are taken for another class by the chosen "
        "loss’s model. Shown are those, worst first, and then the least sure. Some may be labelled "
        "wrong."
    )
    return Gallery(title=f"The most wrong {word}s", text=text, shown=tuple(shown))


def _shown(data: FolderData, row: int, caption: str) -> Shown:
    """Return a file as a picture, or as the beginning of its text."""
    if not data.texts:
        return Shown(caption=caption, pictures=(_png(data.seen[row].numpy()),))
    text = " ".join(data.texts[row].split())
    return Shown(caption=caption, text=text[:EXCERPT] + " …" * (len(text) > EXCERPT))


def beside_masks(data: FolderData, chosen: ModelSelection) -> Gallery:
    """Return untouched pictures with their masks and the models', from the worst to the best."""
    pictures = data.seen[chosen.test_rows].numpy()
    target, evidence, result = chosen.evidence.test_target, chosen.evidence, chosen.result
    said = {"default": evidence.test_default}
    if result.selected != result.default:
        said["chosen"] = evidence.test_selected
    codes = {role: decided("masks", target, one) for role, one in said.items()}
    valid = target != IGNORED
    last = list(codes.values())[-1]
    right = ((last == target) & valid).sum(axis=(1, 2)) / np.maximum(valid.sum(axis=(1, 2)), 1)
    order = np.argsort(right, kind="stable")
    order = order[spread(len(order), MOST_MASKS)]
    shown = []
    for row in order:
        masks = (target[row], *(one[row] for one in codes.values()))
        drawn = (_png(pictures[row]), *(_png(_painted(pictures[row], mask)) for mask in masks))
        name, share = data.names[chosen.test_rows[row]], number(100 * float(right[row]), 1)
        caption = f"{name}: {share} % of the pixels right"
        shown.append(Shown(caption=caption, pictures=drawn))
    columns = ["the image", "its mask", *(f"that of the {role} loss’s model" for role in codes)]
    return Gallery(
        title="Masks beside images",
        text=f"Untouched images, from the worst to the best. Left to right: {', '.join(columns)}.",
        shown=tuple(shown),
        key=tuple(
            (label, CLASSES[(code - 1) % len(CLASSES)])
            for code, label in enumerate(data.labels)
            if code
        ),
    )


def _painted(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return a picture in grey under the colours of a mask's classes but 0; ignored is white."""
    grey = np.repeat(picture.mean(axis=0, keepdims=True), 3, axis=0)
    palette = np.array([[int(one[i : i + 2], 16) for i in (1, 3, 5)] for one in CLASSES])
    colours = palette[(mask.astype(int) - 1) % len(palette)]
    colours[mask == IGNORED] = 255
    coloured = (1 - SHARE) * grey + SHARE * colours.transpose(2, 0, 1)
    return np.where(mask == 0, grey, coloured).astype(np.uint8)


def _png(picture: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    shape = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(shape)).save(file, "PNG")
    return file.getvalue()
