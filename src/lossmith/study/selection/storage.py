"""The folder of a run: everything a study leaves behind, as data that runs no code when read."""

import json
import math
import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_weights
from safetensors.torch import save as saved_weights

from lossmith.catalogue import from_config
from lossmith.catalogue import load as load_loss
from lossmith.core.loss import Loss
from lossmith.core.plain import check_shape, read_json
from lossmith.study.base.errors import InputError
from lossmith.study.base.out import FILES, check_out, existing, writing_to
from lossmith.study.base.result import ReportData, Result
from lossmith.study.data.encoder import Encoder
from lossmith.study.data.labels import from_json
from lossmith.study.data.predictions import OutputSpec
from lossmith.study.metrics.tuning import Rule
from lossmith.study.multitarget.heads import losses_of, width_of
from lossmith.study.report import write_report
from lossmith.study.tasks import predicts_numbers
from lossmith.study.training.heads import HeadReader
from lossmith.study.training.mlp import StackedMLP
from lossmith.study.training.piecewise import PiecewiseLinear
from lossmith.study.training.predictor import EnsembleModel, TableModel, predicted

OF_ONE, OF_PARTS = 2, 3  # the formats of model.json: of one loss, and of models of several
READABLE = (1, OF_ONE, OF_PARTS)  # 1: the body saw the encoder's columns alone
EMBEDDING = "embedding."
TARGET = {"labels": [object], "decision": ([float], type(None))}
NAMED = {"name": str, **TARGET}
PARTS = {"parts": [{"loss": dict, "level": (float, type(None))}]}
READING = (
    OSError,
    ArithmeticError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    SafetensorError,
)


@dataclass(frozen=True, kw_only=True)
class SavedModel:
    """A model read from a run's folder, with what turns its output into predictions."""

    model: TableModel | EnsembleModel
    outputs: tuple[OutputSpec, ...]

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return predictions for new rows, as the run's own `predict` does, with its warning."""
        predictions, note = self.predicted(frame)
        if note:
            warnings.warn(note, stacklevel=2)
        return predictions

    def predicted(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
        """Return predictions, and in a line which categories training did not see, "" if none."""
        return predicted(self.model, frame, self.outputs)


class Handed(Protocol):
    """What a study hands over: of a table, or of a user's own model."""

    @property
    def result(self) -> Result:
        """What was found."""

    @property
    def evidence(self) -> ReportData:
        """What the report draws."""

    @property
    def loss(self) -> Any:
        """The selected loss."""

    @property
    def model(self) -> Any:
        """The model that was trained with it."""

    def predictions(self) -> pd.DataFrame | None:
        """Return the predictions of the untouched rows, where a table holds them."""

    def facts(self) -> dict[str, Any]:
        """Return what a model is made of beside its weights; nothing where `load` can't."""


def save(selection: Handed, out: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write a run's files, all of them or none, and return their folder.

    What training cost is not thrown away: where the folder cannot be written any more, or another
    study has been written there meanwhile, the run goes to a new folder for temporary files.

    Raises:
        InputError: if they cannot be written there either.
    """
    path = Path(out)
    try:
        check_out(path, force=force)
        with writing_to(path):
            _save(selection, path)
        return path
    except InputError as error:
        with writing_to(path):
            other = Path(tempfile.mkdtemp(prefix="lossmith-"))
            _save(selection, other)
        warnings.warn(f"{error}; this run is in {other}", stacklevel=3)
        return other


def _save(selection: Handed, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=existing(path), prefix=".lossmith-") as partial:
        _write(selection, Path(partial))
        _replace(Path(partial), path)


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


def _replace(partial: Path, path: Path) -> None:
    """Move a run's files to their folder; remove those of an earlier run that this one lacks."""
    path.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if (partial / name).exists():
            os.replace(partial / name, path / name)
        else:
            (path / name).unlink(missing_ok=True)


def _read(path: Path) -> SavedModel:
    facts = read_json(path / "model.json")
    check_shape(facts, {"lossmith": int}, "model.json")
    if "input" in facts:
        raise InputError(f"{path} is a study of a folder; predict a folder, not a table")
    if facts["lossmith"] not in READABLE:
        *others, last = READABLE
        raise ValueError(
            f"model.json has format {facts['lossmith']}, not "
            f"{', '.join(map(str, others))} or {last}"
        )
    targets = _targets(facts)
    state = load_weights((path / "model.safetensors").read_bytes())  # a path of any name
    loss, encoder = load_loss(path / "loss.json"), Encoder.load(path / "encoder.skops")
    losses = losses_of(loss)
    if len(losses) != len(targets):
        raise ValueError(f"model.json names {len(targets)} targets, loss.json has others")
    outputs = tuple(_output_spec(*pair) for pair in zip(targets, losses, strict=True))
    saved = SavedModel(
        model=_parts(facts, state, encoder, loss)
        if facts["lossmith"] == OF_PARTS
        else _model(state, encoder, loss, outputs),
        outputs=outputs,
    )
    saved.predict(encoder.blank())  # what does not fit together shows now
    return saved


def _model(
    state: dict[str, torch.Tensor], encoder: Encoder, loss: Loss, outputs: Sequence[OutputSpec]
) -> TableModel:
    """Return a loss's models by their weights."""
    _check_weights(state)
    embedding = _embedding(state, encoder.width)
    width = state["w1"].shape[1] - embedding.added
    if encoder.width != width:
        raise ValueError(f"encoder.skops gives {encoder.width} features, the model takes {width}")
    return TableModel(
        encoder=encoder,
        loss=loss,
        body=_body(state, loss),
        embedding=embedding,
        readings=[HeadReader(one.level, horizons=one.horizons) for one in outputs],
    )


def _parts(
    facts: dict[str, Any], state: dict[str, torch.Tensor], encoder: Encoder, loss: Loss
) -> EnsembleModel:
    """Return the models of several losses, whose weights stand under their numbers."""
    check_shape(facts, {"targets": [NAMED], **PARTS}, "model.json")
    (target, *others), parts = facts["targets"], facts["parts"]
    if others:
        raise ValueError(f"model.json names parts of {1 + len(others)} targets; they are of one")
    names = {name.partition(".")[0] for name in state}
    if not parts or names != {str(number) for number in range(len(parts))}:
        raise ValueError(f"model.json names {len(parts)} parts, model.safetensors has others")
    models = []
    for number, part in enumerate(parts):
        start = f"{number}."
        own = {n.removeprefix(start): one for n, one in state.items() if n.startswith(start)}
        of_part = from_config(part["loss"])
        spec = _output_spec({**target, "level": part["level"]}, of_part)
        models.append(_model(own, encoder, of_part, [spec]))
    return EnsembleModel(parts=models, loss=loss)


def _targets(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what model.json says of each target."""
    if "targets" in facts:
        check_shape(facts, {"targets": [NAMED]}, "model.json")
        return facts["targets"]
    check_shape(facts, TARGET, "model.json")  # until 0.1 a single target stood alone
    return [{"name": "", **facts}]


def _check_weights(state: dict[str, torch.Tensor]) -> None:
    """Raise ValueError unless weights have a first layer as it must be, and are finite."""
    first = state["w1"]
    if first.ndim != 4 or not first.numel():
        raise ValueError(
            f"model.safetensors holds weights of shape {tuple(first.shape)}, not 4 numbers"
        )
    if not all(torch.isfinite(value).all() for value in state.values()):
        raise ValueError("model.safetensors holds numbers that are not finite")


def _embedding(state: dict[str, torch.Tensor], width: int) -> PiecewiseLinear:
    """Take the embedding's numbers out of the model's; of format 1 there are none."""
    folds, none = state["w1"].shape[0], torch.empty(state["w1"].shape[0], 0)
    columns = state.pop(f"{EMBEDDING}columns", none.long())
    low, steepness = (state.pop(f"{EMBEDDING}{name}", none) for name in ("low", "steepness"))
    if not (columns.shape == low.shape == steepness.shape == (folds, low.shape[-1])):
        raise ValueError("model.safetensors holds an embedding of unequal shapes")
    if columns.dtype != torch.long or not ((columns >= 0) & (columns < width)).all():
        raise ValueError(f"model.safetensors embeds columns beyond the {width} of the encoder")
    return PiecewiseLinear(columns, low, steepness)


def _body(state: dict[str, torch.Tensor], loss: Loss) -> StackedMLP:
    seeds, width = state["w1"].shape[:2]
    body = StackedMLP(width, [width_of(loss)], range(seeds))
    body.load_state_dict(state)
    return body


def _output_spec(facts: dict[str, Any], loss: Loss) -> OutputSpec:
    """Return a target's labels and decision, held against its loss."""
    labels, decision = from_json(facts["labels"]), facts["decision"]
    known = getattr(loss, "classes", None)  # of grades more than outputs
    classes = 0 if predicts_numbers(loss) else int(known or max(loss.out_features, 2))
    horizons = [float(one) for one in facts.get("horizons", ())]
    if bool(horizons) != ("survival" in loss.card.tasks) or horizons != sorted(set(horizons)):
        raise ValueError(f"model.json predicts at {horizons[:5]}, which {loss.card.key} does not")
    rule = facts.get("rule", "mode")
    if rule not in get_args(Rule):
        raise ValueError(f"model.json decides by {rule!r}, not by {' or '.join(get_args(Rule))}")
    level = facts.get("level")
    if level is not None and not (isinstance(level, float) and 0 < level < 1):
        raise ValueError(f"model.json reads the level {level!r}, which is not between 0 and 1")
    if len(labels) != classes or len({str(label) for label in labels.tolist()}) != classes:
        raise ValueError(f"model.json names {len(labels)} classes, the loss has {classes}")
    if decision is not None and len(decision) != classes:
        raise ValueError(f"model.json decides on {len(decision)} classes, the loss has {classes}")
    return OutputSpec(
        name=facts["name"],
        labels=labels,
        decision=None if decision is None else np.array(decision, dtype=float),
        rule=rule,
        horizons=tuple(horizons),
        level=level,
    )


def _write(selection: Handed, path: Path) -> None:
    write_report(path / "report.html", selection.result, selection.evidence)
    document = json.dumps(_json_ready(selection.result.to_json()), indent=2, allow_nan=False)
    (path / "result.json").write_text(document + "\n", encoding="utf-8")
    if isinstance(selection.loss, Loss):
        selection.loss.save(path / "loss.json")
    predictions = selection.predictions()
    if predictions is not None:
        predictions.to_csv(path / "predictions.csv", index=False)
    if facts := selection.facts():
        (path / "model.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    model = selection.model
    _write_weights(path, _modules(model))
    if isinstance(model, (TableModel, EnsembleModel)):
        model.encoder.save(path / "encoder.skops")


def _modules(model: Any) -> dict[str, torch.nn.Module]:
    """Return what holds a model's numbers, by how their names begin."""
    if isinstance(model, EnsembleModel):
        parts = {f"{number}.": _modules(part) for number, part in enumerate(model.parts)}
        return {start + name: one for start, own in parts.items() for name, one in own.items()}
    if isinstance(model, TableModel):
        return {"": model.body, EMBEDDING: model.embedding}
    return {"": model.body}


def _write_weights(path: Path, modules: dict[str, torch.nn.Module]) -> None:
    state = {
        prefix + name: value.detach().cpu().clone().contiguous()
        for prefix, module in modules.items()
        for name, value in module.state_dict().items()
    }
    (path / "model.safetensors").write_bytes(saved_weights(state))


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
