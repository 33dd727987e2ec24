"""Trained models with the loss that reads them: what a study hands over and `predict` loads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lossmith.core.loss import Loss
from lossmith.study.data.encoder import Encoder
from lossmith.study.metrics.study_metric import to_array
from lossmith.study.search.scoring import predict
from lossmith.study.training.heads import called, decoded, moved, one_column
from lossmith.study.training.mlp import StackedMLP

CHUNK = 4096  # rows predicted at a time


@dataclass(kw_only=True)
class TableModel:
    """An encoder, a few MLPs of different seeds, and the loss that decodes their heads."""

    encoder: Encoder
    loss: Loss
    body: StackedMLP

    def predict(self, inputs: Any) -> np.ndarray:
        """Return points (n,) or probabilities (n, C) of a DataFrame, averaged over the seeds."""
        features = torch.from_numpy(self.encoder.transform(inputs))
        return np.concatenate([self._decoded(chunk) for chunk in features.split(CHUNK)])

    @torch.no_grad()
    def _decoded(self, features: Tensor) -> np.ndarray:
        seeds = self.body.w1.shape[0]
        output = self.body(features.expand(seeds, -1, -1))[0][:, 0]
        return np.mean([read(self.loss, one) for one in output], axis=0)


@dataclass(kw_only=True)
class TorchModel:
    """A user's own trained module and the loss that decodes its head.

    decode: from raw outputs to predictions, for a loss that does not read its own head.
    """

    loss: nn.Module
    body: nn.Module
    decode: Callable[[Any], Any] | None = None

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
        if isinstance(self.loss, Loss) and self.loss.card.reads_head:
            return predict(self.loss, output)
        return to_array(decoded(self.loss, output, self.decode))


def read(loss: Loss, output: Tensor) -> np.ndarray:
    """Return predictions from a head of (n, out_features)."""
    return predict(loss, output.squeeze(-1) if loss.out_features == 1 else output)
