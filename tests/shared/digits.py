"""Digits and small models of them, for studies of a user's own model."""

from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import Dataset

DIGITS = load_digits()
CHOSEN = np.flatnonzero(DIGITS.target < 3)[:240]
IMAGES = torch.tensor(DIGITS.images[CHOSEN] / 16, dtype=torch.float32).unsqueeze(1)
LABELS = torch.tensor(DIGITS.target[CHOSEN])
QUICK: dict[str, Any] = {
    "epochs": 2,
    "learning_rates": (1e-2,),
    "metric": "accuracy",
    "workers": 1,
}


def cnn(out_features: int) -> nn.Module:
    """Return a CNN with all that a training may get wrong: BatchNorm and dropout."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(4 * 36, out_features),
    )


def linear(out_features: int) -> nn.Module:
    """Return a linear model."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, out_features))


class Digits(Dataset):
    """A map-style dataset of plain numbers and arrays."""

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> Any:
        return IMAGES[index].numpy(), int(LABELS[index])
