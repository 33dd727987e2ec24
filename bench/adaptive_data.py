"""The data of bench/adaptive.py: split, encoded, corrupted in training rows alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.impute import SimpleImputer
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skrub import TableVectorizer
from torch import Tensor

from tables import TABLES, corrupt

CLASS = "Kitchen.Qual"  # the second target of Ames


@dataclass(frozen=True)
class Data:
    """Features and targets of the three parts; targets by name where there are two tasks."""

    parts: dict[str, tuple[Tensor, Any]]
    classes: int
    tasks: bool
    balanced: bool

    @property
    def train(self) -> tuple[Tensor, Any]:
        """The training rows."""
        return self.parts["train"]

    def rows(self, target: Any, rows: Tensor) -> Any:
        """Return some rows of a target."""
        return {n: t[rows] for n, t in target.items()} if self.tasks else target[rows]

    def errors(self, predict: Callable[[Tensor], Any]) -> dict[str, float]:
        """Return the errors of each part: mean absolute, or one less the (balanced) accuracy."""
        found = {}
        for part, (x, y) in self.parts.items():
            read = predict(x)
            for name, target in y.items() if self.tasks else [("", y)]:
                error = self._error(read[name] if self.tasks else read, target)
                found[f"{part} {name}".strip()] = error
        return found

    def merit(self, errors: dict[str, float], part: str) -> float:
        """Return one number of a part's errors: their geometric mean."""
        own = [v for name, v in errors.items() if name.split()[0] == part]
        return float(np.exp(np.mean(np.log(np.maximum(own, 1e-4)))))

    def _error(self, read: Tensor, target: Tensor) -> float:
        if target.is_floating_point():
            return float((read - target).abs().mean())
        guess = read.argmax(1)
        if self.balanced:
            return 1 - float(balanced_accuracy_score(target.numpy(), guess.numpy()))
        return float((guess != target).float().mean())


def load(name: str, condition: str, seed: int) -> Data:
    """Return a development table, split and encoded under a seed."""
    both = name.endswith("two tasks")
    table = next(one for one in TABLES if one.name == name.partition(",")[0])
    frame = table.frame()
    pool, test = train_test_split(frame, test_size=0.2, random_state=seed)
    train, valid = train_test_split(pool, test_size=0.25, random_state=seed)
    train = corrupt(
        train.reset_index(drop=True), table.target, condition, np.random.default_rng(seed)
    )
    parts = {"train": train, "valid": valid, "test": test}
    drop = [table.target, CLASS] if both else [table.target]
    encode = make_pipeline(TableVectorizer(), SimpleImputer(), StandardScaler())
    encode.fit(train.drop(columns=drop))
    x = {n: encode.transform(one.drop(columns=drop)).clip(-5, 5) for n, one in parts.items()}
    values = table.metrics[0] == "mae"
    target = (_scaled if values else _coded)(parts, table.target)
    classes = 0 if values else int(max(t.max() for t in target.values())) + 1
    if both:
        label = _coded(parts, CLASS)
        classes = int(max(t.max() for t in label.values())) + 1
        target = {n: {"price": target[n], "label": label[n]} for n in parts}
    return Data(
        parts={n: (torch.tensor(x[n], dtype=torch.float32), target[n]) for n in parts},
        classes=classes,
        tasks=both,
        balanced="balanced_accuracy" in table.metrics,
    )


def _scaled(parts: dict[str, pd.DataFrame], column: str) -> dict[str, Tensor]:
    values = parts["train"][column].to_numpy(float)
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {
        name: torch.tensor(
            (part[column].to_numpy(float) - middle) / ((high - low) / 1.349), dtype=torch.float32
        )
        for name, part in parts.items()
    }


def _coded(parts: dict[str, pd.DataFrame], column: str) -> dict[str, Tensor]:
    known = sorted(pd.concat([part[column] for part in parts.values()]).astype(str).unique())
    codes = {value: code for code, value in enumerate(known)}
    return {
        name: torch.tensor(part[column].astype(str).map(codes).to_numpy())
        for name, part in parts.items()
    }
