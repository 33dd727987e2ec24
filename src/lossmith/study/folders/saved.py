"""The model of a folder's study, read again, and what it predicts of another folder."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load as load_weights
from torch import nn

from lossmith.catalogue import load as load_loss
from lossmith.core.plain import check_shape, read_json
from lossmith.study.base.errors import InputError
from lossmith.study.base.out import is_run, writing_to
from lossmith.study.data.predictions import prediction_frame
from lossmith.study.folders.data import fits
from lossmith.study.folders.listing import check_apart, check_stems, images_in, stem_of
from lossmith.study.folders.pictures import look, pixels
from lossmith.study.folders.request import SMALL, body_of
from lossmith.study.folders.select import FORMAT, MASKED, PICTURES
from lossmith.study.metrics.reading import decided
from lossmith.study.selection.storage import READING
from lossmith.study.training.predictor import TorchModel

CHUNK = 64  # images in memory at a time
SHAPE = {
    "lossmith": int,
    "input": str,
    "size": int,
    "channels": int,
    "labels": [str],
    "body": str,
    "width": int,
    "decision": ([float], type(None)),
}


@dataclass(frozen=True, kw_only=True)
class SavedFolderModel:
    """A model read from a run's folder; facts: what its model.json says."""

    model: TorchModel
    facts: dict[str, Any]

    @property
    def masked(self) -> bool:
        """Whether it predicts masks, rather than classes."""
        return self.facts["input"] == MASKED

    def table(self, folder: Path) -> pd.DataFrame:
        """Return the class of each image of a folder, and the probability of each class."""
        parts = list(self._parts(folder))
        names = [name for own, _ in parts for name in own]
        values = np.concatenate([predicted for _, predicted in parts])
        decision = self.facts["decision"]
        frame = prediction_frame(
            values,
            np.array(self.facts["labels"]),
            None if decision is None else np.array(decision),
        )
        frame.insert(0, "file", names)
        return frame

    def masks(self, folder: Path) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each image's path without its suffix, and its mask in the image's own size."""
        for names, predicted in self._parts(folder):
            for name, one in zip(names, predicted, strict=True):
                shape = look(folder / name)
                wide = torch.from_numpy(one.reshape(1, -1, *one.shape[-2:]))
                grown = nn.functional.interpolate(
                    wide, (shape.height, shape.width), mode="bilinear"
                )
                whole = (grown[:, 0] if one.ndim == 2 else grown).numpy()
                codes = decided("masks", np.empty((1, *grown.shape[2:])), whole)[0]
                yield stem_of(name), codes.astype(np.uint8)

    def _parts(self, folder: Path) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield names of images and what is predicted of them at the model's size."""
        names = list(images_in(folder).names)
        size, channels = self.facts["size"], self.facts["channels"]
        for start in range(0, len(names), CHUNK):
            own = names[start : start + CHUNK]
            seen = np.stack([pixels(folder / name, size, channels) for name in own])
            yield own, self.model.predict(torch.from_numpy(seen))


def load_folder_model(run: Path, model: str | None = None) -> SavedFolderModel:
    """Read the model of a run; reading runs no code of its files.

    model: module:function of a body of the user's own, as it was given to the study.

    Raises:
        InputError: if the folder is no run of images, or its files do not fit together.
    """
    if not (run / "model.json").is_file():
        raise InputError(f"{run} holds no model; name a folder that lossmith select wrote")
    try:
        facts = read_json(run / "model.json")
        if isinstance(facts, dict) and "input" not in facts:
            raise InputError(f"{run} is a study of a table; predict a file, not a folder")
        check_shape(facts, SHAPE, "model.json")
        return _read(run, facts, model)
    except InputError:
        raise
    except READING as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"the model in {run} cannot be read: {reason}") from error


def _read(run: Path, facts: dict[str, Any], model: str | None) -> SavedFolderModel:
    if facts["lossmith"] != FORMAT or facts["input"] not in (MASKED, PICTURES):
        raise ValueError(f"model.json is of format {facts['lossmith']} for {facts['input']}")
    size, channels = facts["size"], facts["channels"]
    if not fits(size) or channels not in (1, 3):
        raise ValueError(f"model.json is of {channels} channels and {size} pixels a side")
    own = facts["body"] != SMALL
    if own and model is None:
        raise InputError(
            f"the body of {run} is your own, {facts['body']}, and no code is run that a file "
            f"names: give --model {facts['body']}"
        )
    masked = facts["input"] == MASKED
    place = model if own and model is not None else SMALL
    body = body_of(place, masked, channels, size)(facts["width"])
    body.load_state_dict(load_weights((run / "model.safetensors").read_bytes()))
    found = SavedFolderModel(
        model=TorchModel(loss=load_loss(run / "loss.json"), body=body), facts=facts
    )
    blank = torch.zeros(1, channels, size, size, dtype=torch.uint8)
    predicted = found.model.predict(blank)  # what does not fit together shows now
    if not masked and predicted.shape != (1, len(facts["labels"])):
        raise ValueError(f"model.json names {len(facts['labels'])} classes, the loss has others")
    return found


def write_masks(model: SavedFolderModel, folder: Path, out: Path) -> int:
    """Write the mask of each image of a folder as a PNG of class codes; return how many.

    Raises:
        InputError: if a file is there already, or can't be written.
    """
    from PIL import Image

    check_apart(out, folder)
    if is_run(out):
        raise InputError(f"{out} holds a run of lossmith; choose another --out")
    listing = images_in(folder)
    check_stems(listing)
    stems = [stem_of(name) for name in listing.names]
    there = [stem for stem in stems if os.path.lexists(out / f"{stem}.png")]
    if there:
        raise InputError(f"{out / there[0]}.png is there already; choose another --out")
    with writing_to(out):
        for stem, codes in model.masks(folder):
            file = out / f"{stem}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(codes).save(file)
    return len(stems)
