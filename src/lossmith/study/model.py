"""A trained model with the loss that reads it: what a study hands over and `predict` loads."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from lossmith.core.loss import Loss
from lossmith.study.body import StackedMLP
from lossmith.study.features import Encoder
from lossmith.study.scores import predict

CHUNK = 4096  # rows predicted at a time


@dataclass(frozen=True, kw_only=True)
class TableModel:
    """An encoder, a few MLPs of different seeds, and the loss that decodes their heads."""

    encoder: Encoder
    loss: Loss
    body: StackedMLP

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Return points (n,) or probabilities (n, C), averaged over the seeds."""
        features = torch.from_numpy(self.encoder.transform(frame))
        parts = [self._decoded(chunk) for chunk in features.split(CHUNK)]
        return np.concatenate(parts)

    @torch.no_grad()
    def _decoded(self, features: torch.Tensor) -> np.ndarray:
        seeds = self.body.w1.shape[0]
        output = self.body(features.expand(seeds, -1, -1))[0][:, 0]
        if self.loss.out_features == 1:
            output = output.squeeze(-1)
        return np.mean([predict(self.loss, one) for one in output], axis=0)


@dataclass(frozen=True, kw_only=True)
class TorchModel:
    """A user's own trained module and the loss that decodes its head."""

    loss: Loss
    body: nn.Module

    def predict(self, inputs: torch.Tensor) -> np.ndarray:
        """Return points (n,) or probabilities (n, C)."""
        self.body.eval()
        with torch.no_grad():
            output = torch.cat([self.body(chunk) for chunk in inputs.split(CHUNK)])
        if self.loss.out_features == 1:
            output = output.squeeze(-1)
        return predict(self.loss, output)
