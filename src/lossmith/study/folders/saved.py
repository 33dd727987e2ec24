"""The model of a folder's study, read again, and what it predicts of another folder."""

import os
import tempfile
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
from lossmith.study.base.out import existing, is_run, writing_to
from lossmith.study.data.predictions import prediction_frame
from lossmith.study.folders.inputs import SMALL, Inputs, inputs_of
from lossmith.study.folders.listing import check_apart, check_stems, found_in, stem_of
from lossmith.study.folders.pictures import look
from lossmith.study.folders.select import FORMAT
from lossmith.study.metrics.reading import decided
from lossmith.study.selection.storage import READING
from lossmith.study.training.predictor import TorchModel

CHUNK = 64  # files in memory at a time
SHAPE = {
    "lossmith": int,
    "input": str,
    "labels": [str],
    "body": str,
    "width": int,
    "decision": ([float], type(None)),
}


@dataclass(frozen=True, kw_only=True)
class SavedFolderModel:
    """A model read from a run's folder; facts: what its model.json says."""

    model: TorchModel
    inputs: Inputs
    facts: dict[str, Any]

    def table(self, folder: Path) -> pd.DataFrame:
        """Return the class of each file of a folder, and the probability of each class."""
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

    def masks(self, folder: Path) -> Iterator[np.ndarray]:
        """Yield each image's mask in the image's own size."""
        for names, predicted in self._parts(folder):
            for name, one in zip(names, predicted, strict=True):
                shape = look(folder / name)
                wide = torch.from_numpy(one.reshape(1, -1, *one.shape[-2:]))
                grown = nn.functional.interpolate(
                    wide, (shape.height, shape.width), mode="bilinear"
                )
                whole = (grown[:, 0] if one.ndim == 2 else grown).numpy()
                codes = decided("masks", np.empty((1, *grown.shape[2:])), whole)[0]
                yield codes.astype(np.uint8)

    def _parts(self, folder: Path) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield names of files and what is predicted of them."""
        names = list(found_in(folder, self.inputs.word).names)
        for start in range(0, len(names), CHUNK):
            own = names[start : start + CHUNK]
            yield own, self.model.predict(self.inputs.read([folder / name for name in own]))


def load_folder_model(run: Path, model: str | None = None) -> SavedFolderModel:
    """Read the model of a run; reading runs no code of its files.

    model: module:function of a body of the user's own, as it was given to the study.

    Raises:
        InputError: if the folder is no run of a folder, or its files do not fit together.
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
    if facts["lossmith"] != FORMAT:
        raise ValueError(f"model.json is of format {facts['lossmith']}")
    own = facts["body"] != SMALL
    if own and model is None:
        raise InputError(
            f"the body of {run} is your own, {facts['body']}, and no code is run that a file "
            f"names: give --model {facts['body']}"
        )
    inputs = inputs_of(facts, own)
    place = model if own and model is not None else SMALL
    body = inputs.body_of(place)(facts["width"])
    body.load_state_dict(load_weights((run / "model.safetensors").read_bytes()))
    found = SavedFolderModel(
        model=TorchModel(loss=load_loss(run / "loss.json"), body=body), inputs=inputs, facts=facts
    )
    predicted = found.model.predict(inputs.blank())  # what does not fit together shows now
    if not inputs.masked and predicted.shape != (1, len(facts["labels"])):
        raise ValueError(f"model.json names {len(facts['labels'])} classes, the loss has others")
    return found


def write_masks(model: SavedFolderModel, folder: Path, out: Path) -> int:
    """Write the mask of each image of a folder as a PNG of class codes; return how many.

    All are written, or none where an image can't be read.

    Raises:
        InputError: if a file is there already, or can't be written.
    """
    from PIL import Image

    check_apart(out, folder)
    if is_run(out):
        raise InputError(f"{out} holds a run of lossmith; choose another --out")
    listing = found_in(folder, "image")
    check_stems(listing)
    stems = [stem_of(name) for name in listing.names]
    there = [stem for stem in stems if os.path.lexists(out / f"{stem}.png")]
    if there:
        raise InputError(f"{out / there[0]}.png is there already; choose another --out")
    with (
        writing_to(out),
        tempfile.TemporaryDirectory(dir=existing(out), prefix=".lossmith-") as partial,
    ):
        for number, codes in enumerate(model.masks(folder)):
            Image.fromarray(codes).save(Path(partial) / f"{number}.png")
        for number, stem in enumerate(stems):
            file = out / f"{stem}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            (Path(partial) / f"{number}.png").replace(file)
    return len(stems)
