"""The folder of a run: everything a study leaves behind, as data that runs no code when read."""

import json
import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lossmith.catalogue import load as load_loss
from lossmith.core.hybrid import Hybrid
from lossmith.core.loss import Loss
from lossmith.study.conclude import Selection, prediction_frame
from lossmith.study.data.encoder import Encoder
from lossmith.study.errors import InputError
from lossmith.study.multitarget.heads import Heads
from lossmith.study.multitarget.model import JointModel, OutputSpec, joint_frame
from lossmith.study.report import write_report
from lossmith.study.result import Evidence, Result
from lossmith.study.training.mlp import StackedMLP
from lossmith.study.training.predictor import TableModel

FORMAT = 1
FILES = (
    "report.html",
    "result.json",
    "loss.json",
    "predictions.csv",
    "model.json",
    "model.safetensors",
    "encoder.skops",
)
READING = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    SafetensorError,
)


class SavedModel(Protocol):
    """A model read from a run's folder."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return predictions for new rows, as the run's own `predict` does."""


@dataclass(frozen=True, kw_only=True)
class SavedTableModel:
    """A saved model of one target, with what turns its output into predictions."""

    model: TableModel
    labels: np.ndarray
    decision: np.ndarray | None

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return predictions for new rows: `prediction`, and `probability_<class>` for classes."""
        return prediction_frame(self.model.predict(frame), self.labels, self.decision)


@dataclass(frozen=True, kw_only=True)
class SavedJointModel:
    """A saved model of several targets, with what turns its output into predictions."""

    model: JointModel
    outputs: tuple[OutputSpec, ...]

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a column prediction_<target> for each target, and probabilities of classes."""
        return joint_frame(self.model.predict(frame), self.outputs)


def check_writable(out: str | os.PathLike[str]) -> None:
    """Raise InputError if a run cannot be written there; nothing is made yet."""
    path = Path(out)
    try:
        with tempfile.TemporaryFile(dir=_existing(path)):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error
    foreign = [name for name in FILES if (path / name).exists()]
    if foreign and not (path / "result.json").exists():
        raise InputError(
            f"{path} holds {foreign[0]}, which no run of lossmith wrote; choose another --out"
        )


class Handed(Protocol):
    """What a study hands over: of a table, or of a user's own model."""

    @property
    def result(self) -> Result:
        """What was found."""

    @property
    def evidence(self) -> Evidence:
        """What the report draws."""

    @property
    def loss(self) -> Any:
        """The selected loss."""

    @property
    def model(self) -> Any:
        """The model that was trained with it."""

    def predictions(self) -> pd.DataFrame | None:
        """Return the predictions of the untouched rows, where a table holds them."""


def save(selection: Handed, out: str | os.PathLike[str]) -> None:
    """Write a run's files, all of them or none; those of an earlier run are replaced.

    Raises:
        InputError: if they cannot be written there.
    """
    path = Path(out)
    check_writable(path)
    try:
        with tempfile.TemporaryDirectory(dir=_existing(path), prefix=".lossmith-") as partial:
            _write(selection, Path(partial))
            _replace(Path(partial), path)
    except OSError as error:
        raise _unwritable(path, error) from error


def load(out: str | os.PathLike[str]) -> SavedModel:
    """Read the model of a run; reading runs no code of its files.

    Raises:
        InputError: if the folder is not a run of a table, or its files do not fit together.
    """
    path = Path(out)
    if not (path / "model.json").is_file():
        if not (path / "loss.json").is_file():
            raise InputError(f"{path} holds no model; name a folder that lossmith select wrote")
        raise InputError(
            f"{path} is a study of your own model, which is used from code: "
            f"lossmith.load('{path}/loss.json') is its loss"
        )
    try:
        return _read(path)
    except InputError:
        raise
    except READING as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"the model in {path} cannot be read: {reason}") from error


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot write to {path}: {error.strerror or error}; choose another --out")


def _replace(partial: Path, path: Path) -> None:
    """Move a run's files to their folder; remove those of an earlier run that this one lacks."""
    path.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if (partial / name).exists():
            os.replace(partial / name, path / name)
        else:
            (path / name).unlink(missing_ok=True)


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def _read(path: Path) -> SavedModel:
    facts = json.loads((path / "model.json").read_text(encoding="utf-8"))
    if facts["lossmith"] != FORMAT:
        raise ValueError(f"model.json has format {facts['lossmith']!r}, not {FORMAT}")
    state = load_file(path / "model.safetensors")
    width = state["w1"].shape[1]
    loss, encoder = load_loss(path / "loss.json"), Encoder.load(path / "encoder.skops")
    if encoder.width != width:
        raise ValueError(f"encoder.skops gives {encoder.width} features, the model takes {width}")
    several = facts.get("targets")
    if several is None:
        model = TableModel(encoder=encoder, loss=loss, body=_body(state, loss))
        return SavedTableModel(model=model, **_output_spec(facts, loss))
    heads = _heads(loss, several)
    pairs = zip(several, heads.parts_by_name().values(), strict=True)
    return SavedJointModel(
        model=JointModel(encoder=encoder, loss=heads, body=_body(state, heads)),
        outputs=tuple(
            OutputSpec(name=one["name"], **_output_spec(one, part)) for one, part in pairs
        ),
    )


def _body(state: dict[str, torch.Tensor], loss: Loss) -> StackedMLP:
    seeds, width = state["w1"].shape[:2]
    body = StackedMLP(width, [loss.out_features], range(seeds))
    body.load_state_dict(state)
    return body


def _heads(loss: Loss, several: list[dict[str, Any]]) -> Heads:
    if not isinstance(loss, Hybrid) or len(loss.losses) != len(several):
        raise ValueError(f"model.json names {len(several)} targets, loss.json has others")
    return Heads(loss, [bool(one["labels"]) for one in several])


def _output_spec(facts: dict[str, Any], loss: Loss) -> dict[str, Any]:
    """Return a target's labels and decision, held against its loss."""
    labels, decision = facts["labels"], facts["decision"]
    classes = 0 if "regression" in loss.card.tasks else max(loss.out_features, 2)
    if len(labels) != classes or (decision is not None and len(decision) != classes):
        raise ValueError(f"model.json names {len(labels)} classes, the loss has {classes}")
    return {
        "labels": pd.Series(labels, dtype=None if labels else float).to_numpy(),
        "decision": None if decision is None else np.array(decision, dtype=float),
    }


def _write(selection: Handed, path: Path) -> None:
    write_report(path / "report.html", selection.result, selection.evidence)
    document = json.dumps(_json_ready(selection.result.to_json()), indent=2, allow_nan=False)
    (path / "result.json").write_text(document + "\n", encoding="utf-8")
    if isinstance(selection.loss, Loss):
        selection.loss.save(path / "loss.json")
    predictions = selection.predictions()
    if predictions is not None:
        predictions.to_csv(path / "predictions.csv", index=False)
    if isinstance(selection.model, (TableModel, JointModel)):
        _write_model(cast(Selection, selection), selection.model, path)
    else:
        state = selection.model.body.state_dict()  # type: ignore[attr-defined]
        save_file(
            {name: value.detach().cpu().clone().contiguous() for name, value in state.items()},
            path / "model.safetensors",
        )


def _write_model(selection: Selection, model: TableModel | JointModel, path: Path) -> None:
    facts = {"lossmith": FORMAT, **selection.facts()}
    (path / "model.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    save_file(
        {name: value.detach().contiguous() for name, value in model.body.state_dict().items()},
        path / "model.safetensors",
    )
    model.encoder.save(path / "encoder.skops")


def _json_ready(value: Any) -> Any:
    """Return plain data with null for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(key): _json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_ready(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, torch.Tensor):
        return _json_ready(value.tolist())
    return value
