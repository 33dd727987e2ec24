"""`select` for a folder: the study of one's own model, over the folder's pictures."""

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
from lossmith.study.folders.gallery import beside_masks, most_wrong
from lossmith.study.folders.listing import check_apart
from lossmith.study.folders.request import (
    SMALL,
    FolderRequest,
    body_of,
    budget_of,
    check_body,
    check_metric,
    findings_of,
)
from lossmith.study.selection import storage
from lossmith.study.selection.own_model import ModelSelection, select_model
from lossmith.study.selection.own_trainings import Request
from lossmith.study.selection.select import RATES
from lossmith.study.training.predictor import TorchModel
from lossmith.study.trials.splits import fingerprint

FORMAT = 1  # of model.json
PICTURES, MASKED = "images", "images with masks"  # what a model's input is

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
        """The model that was trained with it on all images but the untouched ones."""
        return self.chosen.model

    @property
    def verdict(self) -> Literal["switch", "keep"]:
        """Whether the selected loss is another than the default."""
        return self.result.verdict

    def predictions(self) -> pd.DataFrame | None:
        """Return the predictions of the untouched images by file; None of masks."""
        if self.data.masked:
            return None
        rows, labels = self.chosen.test_rows, np.array(self.data.labels)
        frame = prediction_frame(self.evidence.test_selected, labels, self.chosen.decision)
        frame.insert(0, "file", [self.data.names[row] for row in rows])
        frame.insert(1, "target", labels[self.data.target[rows].numpy()])
        return frame

    def facts(self) -> dict[str, Any]:
        """Return what turns images into predictions, beside the weights and the loss."""
        decision = self.chosen.decision
        return {
            "lossmith": FORMAT,
            "input": MASKED if self.data.masked else PICTURES,
            "size": self.data.size,
            "channels": self.data.channels,
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
    """Find the loss that serves a folder of images best under a metric, and train it.

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
    )
    body, budget = request.model or SMALL, budget_of(request, data)
    make = body_of(body, data.masked, data.channels, data.size)
    check_body(request, data, make)
    findings = (*data.findings, *findings_of(request, data, budget))
    what = f"masks of {len(data.labels)} classes" if data.masked else f"{len(data.labels)} classes"
    told(str(request.root), f"{len(data.names):,} images, {what}", findings)
    chosen = select_model(
        Request(
            model=make,
            train=(data.pictures, data.target),
            augment=augmentation(request.ways),
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
                "augment": ",".join(request.ways),
                "pictures": fingerprint(data.pictures.numpy()),
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
        task="segmentation" if data.masked else result.task,
        target=request.root.resolve().name,
        diagnosis=findings + result.diagnosis,
    )


def _evidence(chosen: ModelSelection, data: FolderData) -> ReportData:
    """Return what the report draws, with the pictures that tell most."""
    rows, evidence = chosen.test_rows, chosen.evidence
    names = [data.names[row] for row in rows]
    show = beside_masks if data.masked else most_wrong
    gallery = show(data.pictures[rows].numpy(), names, data.labels, chosen)
    return replace(evidence, classes=data.labels, gallery=gallery, sample=None)
