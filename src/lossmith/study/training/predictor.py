"""Trained models with the loss that reads them: what a study hands over and `predict` loads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lossmith.core.loss import Loss
from lossmith.study.data.encoder import Encoder
from lossmith.study.data.predictions import OutputSpec, predictions_table
from lossmith.study.metrics.study_metric import to_array
from lossmith.study.training.heads import (
    AS_DECODED,
    HeadReader,
    called,
    decoded,
    moved,
    one_column,
    predict,
    read,
)
from lossmith.study.training.mlp import StackedMLP
from lossmith.study.training.piecewise import PiecewiseLinear

CHUNK = 4096  # rows predicted at a time


@dataclass(kw_only=True)
class TableModel:
    """An encoder, a few MLPs of different seeds, and the loss that decodes their heads.

    embedding: between encoder and MLPs; of a run saved before there was one, of no pieces.
    readings: of each target.
    """

    encoder: Encoder
    loss: Loss
    body: StackedMLP
    embedding: PiecewiseLinear
    readings: Sequence[HeadReader]

    def predict(self, inputs: Any) -> tuple[np.ndarray, ...]:
        """Return each target's points (n,) or probabilities (n, C), averaged over the seeds.

        Of times to an event that is the risk, and the probability to survive each horizon.
        """
        return self.read(torch.from_numpy(self.encoder.transform(inputs)))

    def read(self, features: Tensor) -> tuple[np.ndarray, ...]:
        """Return the same of rows that the encoder has encoded."""
        chunks = [self._decoded(chunk) for chunk in features.split(CHUNK)]
        return tuple(np.concatenate(parts) for parts in zip(*chunks, strict=True))

    @property
    def seeds(self) -> int:
        """How many MLPs there are."""
        return self.body.w1.shape[0]

    def first(self, seeds: int) -> "TableModel":
        """Return the MLPs of the first seeds alone."""
        embedding = PiecewiseLinear(*(one[:seeds] for one in self.embedding.buffers()))
        return replace(self, body=self.body.first(seeds), embedding=embedding)

    @torch.no_grad()
    def _decoded(self, features: Tensor) -> tuple[np.ndarray, ...]:
        seen = self.embedding(features.expand(self.seeds, -1, -1))
        output = self.body(seen)[0][:, 0]
        seeds = [read(self.loss, one, self.readings) for one in output]
        return tuple(np.mean(of_target, axis=0) for of_target in zip(*seeds, strict=True))


@dataclass(kw_only=True)
class EnsembleModel:
    """MLPs of several losses over one encoder; what they predict is averaged over all of them.

    loss: the selected one, which the MLPs need not be of.
    """

    parts: Sequence[TableModel]
    loss: Loss

    @property
    def encoder(self) -> Encoder:
        """The encoder of all parts."""
        return self.parts[0].encoder

    @property
    def readings(self) -> Sequence[HeadReader]:
        """How each target's head is read, where that is one way for all parts."""
        return self.parts[0].readings

    def predict(self, inputs: Any) -> tuple[np.ndarray, ...]:
        """Return the target's points (n,) or probabilities (n, C)."""
        features = torch.from_numpy(self.encoder.transform(inputs))
        weights = [part.seeds for part in self.parts]
        read = zip(*(part.read(features) for part in self.parts), strict=True)
        return tuple(np.average(of_target, axis=0, weights=weights) for of_target in read)


class OfTables(Protocol):
    """A model of the rows of a table."""

    @property
    def encoder(self) -> Encoder:
        """What makes numbers of a table's cells."""

    def predict(self, inputs: Any) -> tuple[np.ndarray, ...]:
        """Return each target's points (n,) or probabilities (n, C)."""


def predicted(
    model: OfTables, rows: pd.DataFrame, outputs: Sequence[OutputSpec]
) -> tuple[pd.DataFrame, str]:
    """Return predictions of new rows, and in a line which categories training did not see."""
    cells = model.encoder.columns.read(rows)  # once: it takes longer than the models
    return predictions_table(model.predict(cells), outputs), model.encoder.unseen(cells)


@dataclass(kw_only=True)
class TorchModel:
    """A user's own trained module and the loss that decodes its head.

    decode: from raw outputs to predictions, for a loss that does not read its own head. reading:
    of one that does.
    """

    loss: nn.Module
    body: nn.Module
    decode: Callable[[Any], Any] | None = None
    reading: HeadReader = AS_DECODED

    def predict(self, inputs: Any) -> np.ndarray:
        """Return points (n,), probabilities (n, C) or what the loss decodes of a batch of inputs.

        inputs: a tensor or array, or a dict of keyword arguments, or a tuple of arguments.
        """
        if isinstance(inputs, (dict, tuple, list)):
            return self._read(self.outputs(inputs))
        chunks = torch.as_tensor(inputs).split(CHUNK)
        return np.concatenate([self._read(self.outputs(chunk)) for chunk in chunks])

    @torch.no_grad()
    def outputs(self, inputs: Any) -> Tensor:
        """Return the raw outputs of a batch of inputs."""
        self.body.eval()
        place = next(self.body.parameters()).device
        output = called(self.body, moved(inputs, place)).float().cpu()
        return one_column(output)

    def _read(self, output: Tensor) -> np.ndarray:
        if isinstance(self.loss, Loss) and self.loss.card.trains_head:
            return predict(self.loss, output, self.reading)
        return to_array(decoded(self.loss, output, self.decode, self.reading))
