"""`select` for a folder: the study of one's own model, over the folder's images or texts."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from torch import nn

from lossmith.study.base.clock import Clock
from lossmith.study.base.out import check_out
from lossmith.study.base.result import Finding, ReportData, Result
from lossmith.study.base.settings import check_numbers
from lossmith.study.data.predictions import prediction_frame
from lossmith.study.folders.augment import augmentation
from lossmith.study.folders.data import FolderData, read_folder
from lossmith.study.folders.gallery import gallery
from lossmith.study.folders.inputs import SMALL
from lossmith.study.folders.listing import check_apart
from lossmith.study.folders.request import (
    FolderRequest,
    budget_of,
    check_body,
    check_metric,
    findings_of,
    ways_for,
)
from lossmith.study.selection import storage
from lossmith.study.selection.own_model import ModelSelection, select_model
from lossmith.study.selection.own_trainings import Request
from lossmith.study.selection.select import RATES
from lossmith.study.training.predictor import TorchModel
from lossmith.study.trials.splits import fingerprint

FORMAT = 1  # of model.json

Told = Callable[[str, str, tuple[Finding, ...]], None]


@dataclass(frozen=True, kw_only=True)
class FolderSelection:
    """What a study of a folder hands over: the loss, the model trained with it, the evidence."""

    chosen: ModelSelection
    data: FolderData
    result: Result
    evidence: ReportData
    body: str  # its name
    folder: Path | None = None  # where it was saved

    @property
    def loss(self) -> nn.Module:
        """The selected loss, fitted to the training targets."""
        return self.chosen.loss

    @property
    def model(self) -> TorchModel:
        """The model that was trained with it on all files but the untouched ones."""
        return self.chosen.model

    @property
    def verdict(self) -> Literal["switch", "keep"]:
        """Whether the selected loss is another than the default."""
        return self.result.verdict

    def predictions(self) -> pd.DataFrame | None:
        """Return the predictions of the untouched files; None of masks."""
        if self.data.inputs.masked:
            return None
        rows, labels = self.chosen.test_rows, np.array(self.data.labels)
        frame = prediction_frame(self.evidence.test_selected, labels, self.chosen.decision)
        frame.insert(0, "file", [self.data.names[row] for row in rows])
        frame.insert(1, "target", labels[self.data.target[rows].numpy()])
        return frame

    def facts(self) -> dict[str, Any]:
        """Return what turns files into predictions, beside the weights and the loss."""
        decision = self.chosen.decision
        return {
            "lossmith": FORMAT,
            "input": self.data.inputs.name,
            **self.data.inputs.facts(),
            "labels": list(self.data.labels),
            "body": self.body,
            "width": self.chosen.study.width_of(self.chosen.loss),
            "decision": None if decision is None else decision.tolist(),
        }


def select_folder(
    request: FolderRequest,
    *,
    told: Told = lambda *_: None,
    progress: Callable[[float, str], None] = lambda *_: None,
) -> FolderSelection:
    """Find the loss that serves a folder of images or texts best under a metric, and train it.

    told: called with the folder, what is in it and what was found there, before any training.

    Raises:
        InputError: with one line that says what to change.
    """
    check_metric(request)
    check_numbers(seed=request.seed, learning_rates=RATES, epochs=request.epochs)
    if request.out is not None:
        check_apart(request.out, request.root)
        check_out(request.out, force=request.force)
    data = read_folder(
        request.root,
        masks=request.masks,
        size=request.size,
        groups=request.groups,
        positive=request.positive,
        own=request.model is not None,
    )
    body, budget, ways = request.model or SMALL, budget_of(request, data), ways_for(request, data)
    make = data.inputs.body_of(body)
    check_body(request, data, make)
    findings = (*data.findings, *findings_of(request, data, budget, ways))
    what = f"{'masks of ' * data.inputs.masked}{len(data.labels)} classes"
    told(str(request.root), f"{len(data.names):,} {data.inputs.word}s, {what}", findings)
    chosen = select_model(
        Request(
            model=make,
            train=(data.seen, data.target),
            augment=augmentation(ways),
            metric=request.metric,
            candidates=request.candidates,
            groups=data.groups,
            seed=request.seed,
            out=request.out,
            force=request.force,
            learning_rates=RATES,
            epochs=budget.epochs,
            batch_size=budget.batch,
            recipe={
                "body": body,
                "augment": ",".join(ways),
                "pictures": fingerprint(data.seen.numpy()),
            },
            command=request.command,
        ),
        Clock(request.budget, progress),
    )
    selection = FolderSelection(
        chosen=chosen,
        data=data,
        result=_result(chosen.result, request, data, findings),
        evidence=_evidence(chosen, data),
        body=body,
    )
    if request.out is None:
        return selection
    return replace(selection, folder=storage.save(selection, request.out, force=request.force))


def _result(
    result: Result, request: FolderRequest, data: FolderData, findings: tuple[Finding, ...]
) -> Result:
    return replace(
        result,
        task="segmentation" if data.inputs.masked else result.task,
        target=request.root.resolve().name,
        diagnosis=findings + result.diagnosis,
    )


def _evidence(chosen: ModelSelection, data: FolderData) -> ReportData:
    """Return what the report draws, with the files that tell most."""
    shown = gallery(data, chosen)
    return replace(chosen.evidence, classes=data.labels, gallery=shown, sample=None)
