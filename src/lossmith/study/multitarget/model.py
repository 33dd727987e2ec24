"""A trained model of several targets, and its predictions as one table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lossmith.study.conclude import prediction_frame
from lossmith.study.data.encoder import Encoder
from lossmith.study.multitarget.heads import Heads
from lossmith.study.training.mlp import StackedMLP
from lossmith.study.training.predictor import CHUNK


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """How a target's predictions are written: its column, its classes and their decision."""

    name: str
    labels: np.ndarray
    decision: np.ndarray | None


@dataclass(kw_only=True)
class JointModel:
    """An encoder, a few MLPs of different seeds, and the losses that decode their heads."""

    encoder: Encoder
    loss: Heads
    body: StackedMLP

    def predict(self, inputs: pd.DataFrame) -> tuple[np.ndarray, ...]:
        """Return each target's points (n,) or probabilities (n, C), averaged over the seeds."""
        features = torch.from_numpy(self.encoder.transform(inputs))
        chunks = [self._decoded(chunk) for chunk in features.split(CHUNK)]
        return tuple(np.concatenate(parts) for parts in zip(*chunks, strict=True))

    @torch.no_grad()
    def _decoded(self, features: Tensor) -> tuple[np.ndarray, ...]:
        output = self.body(features.expand(self.body.w1.shape[0], -1, -1))[0][:, 0]
        seeds = [self.loss.predict(one) for one in output]
        return tuple(np.mean(of_target, axis=0) for of_target in zip(*seeds, strict=True))


def joint_frame(values: Sequence[np.ndarray], outputs: Sequence[OutputSpec]) -> pd.DataFrame:
    """Return predictions as a table: prediction_<target>, and probability_<target>_<class>."""
    frames = []
    for predicted, spec in zip(values, outputs, strict=True):
        frame = prediction_frame(predicted, spec.labels, spec.decision)
        frame.columns = [_column(str(column), spec.name) for column in frame.columns]
        frames.append(frame)
    return pd.concat(frames, axis=1)


def _column(column: str, target: str) -> str:
    kind, _, label = column.partition("_")
    return "_".join([kind, target, *([label] if label else [])])
