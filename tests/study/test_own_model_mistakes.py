"""What can be wrong with a user's model and data: one clear line each."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from lossmith.study.base.errors import InputError
from lossmith.study.selection.select import select
from shared.digits import IMAGES, LABELS, QUICK, Digits, linear

FIXED = linear(3)


class Stream(IterableDataset):
    def __iter__(self) -> Any:
        return iter(zip(IMAGES, LABELS, strict=True))


class LongStream(Stream):
    def __len__(self) -> int:
        return len(LABELS)


class Words(Digits):
    def __getitem__(self, index: int) -> Any:
        return IMAGES[index], "three"


FLOATS = LABELS.float()
GAP = torch.where(LABELS == 1, 7, LABELS)
WRONG_DATA = [
    (Stream(), "map-style"),
    (LongStream(), "map-style"),
    (Words(), "target"),
    ([IMAGES], "pair of tensors"),
    ("digits", "pair of tensors"),
    ((IMAGES, LABELS[:-1]), "240 inputs but 239 targets"),
    ((IMAGES[:20], LABELS[:20]), "20 samples"),
    ((IMAGES, FLOATS), "classes must be integers"),
    ((IMAGES, LABELS - 1), "classes must be integers from 0"),
    ((IMAGES, GAP), "class 1 has 0 samples"),
    ((IMAGES, torch.zeros_like(LABELS)), "class"),
    ((IMAGES, nn.functional.one_hot(LABELS)), "one target a sample"),
]


@pytest.mark.parametrize(("data", "message"), WRONG_DATA)
def test_wrong_data_is_one_clear_line(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        select(model=linear, train=data, **QUICK)


@pytest.mark.parametrize(
    ("target", "name", "message"),
    [
        (torch.full((240,), torch.nan), "rmse", "NaN or infinite"),
        (torch.full((240,), 3.0), "rmse", "nothing to learn"),
        (FLOATS, "mape", "divides by the target"),
        (FLOATS - 5, "rmsle", "above -1"),
    ],
)
def test_wrong_values_are_one_clear_line(target: Tensor, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        select(model=linear, train=(IMAGES, target), **(QUICK | {"metric": name}))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda n: linear(7), r"model\(3\) must give outputs of shape \(rows, 3\), got .*7\)"),
        (lambda n: nn.Sequential(linear(n), nn.Unflatten(1, (n, 1))), "must give outputs"),
        (lambda n: torch.sin, "must return an nn.Module"),
        (lambda n: None, "must return an nn.Module"),
        (lambda n: nn.Sequential(nn.Flatten(), nn.LSTM(64, n)), "must give outputs"),
    ],
)
def test_a_wrong_model_is_one_clear_line(model: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        select(model=model, train=(IMAGES, LABELS), **QUICK)


class Named(Digits):
    def __getitem__(self, index: int) -> Any:
        return {"image": IMAGES[index], "label": int(LABELS[index])}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": lambda n: FIXED}, "must return a fresh module every time"),
        ({"model": lambda n: nn.Sequential(FIXED, nn.Linear(3, n))}, "shares parameters"),
        ({"model": FIXED}, "must be a function of the head's width"),
        ({"model": lambda: FIXED}, "must be a function of the head's width"),
        ({"model": lambda n: nn.Flatten()}, "has no parameter to train"),
        ({"train": Named()}, r"must give \(input, target\) for a sample, got a dict"),
        ({"optimizer": torch.optim.SGD(FIXED.parameters())}, "got a SGD"),
        (
            {"candidates": "brier"},
            r"candidates must be a list of keys, as \['huber'\], of modules .* got 'brier'",
        ),
        ({"candidates": [3]}, "3 is no loss"),
        ({"candidates": ["huber"]}, "huber"),
        ({"candidates": ["brierr"]}, "brier"),
        ({"metric": len}, "better"),
        ({"metric": ["accuracy"]}, "a metric is a name"),
        ({"metric": "acuracy"}, "did you mean accuracy"),
        (
            {"task": "banana"},
            "task must be regression, binary, multiclass or ordinal, got 'banana'",
        ),
        ({"task": "ordinal"}, "task 'ordinal' does not go with accuracy"),
        ({"task": "binary"}, "task 'binary' does not go with targets of 3 classes"),
        ({"task": "regression"}, "task 'regression' does not go with accuracy"),
        (
            {"task": "multiclass", "metric": lambda t, p: 0.0, "better": "lower"},
            "leave it out",
        ),
        ({"metric": lambda t, p: 0.0, "better": "lower"}, "give candidates= and default="),
        ({"valid": (IMAGES[:-1], LABELS[:-1])}, "valid has 239 samples and train 240"),
        ({"groups": [1, 2]}, r"groups must have one label a sample \(240\)"),
        ({"groups": np.arange(240) % 3}, "form 3 groups"),
        ({"splits": [(np.arange(9), np.arange(8, 20))]}, "trains and judges by the same rows"),
        ({"train": ({"x": IMAGES}, LABELS)}, "as a map-style dataset"),
        ({"budget": "5m"}, "budget must be seconds, got '5m'"),
        ({"seed": 1.5}, "seed must be a whole number, got 1.5"),
        ({"workers": 1.5}, "workers must be a whole number"),
        ({"learning_rates": 0.1}, "learning_rates must be a list of numbers, got 0.1"),
        ({"learning_rates": ["fast"]}, "learning_rates must be a list of numbers"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        select(**{"model": linear, "train": (IMAGES, LABELS), **QUICK, **given})
