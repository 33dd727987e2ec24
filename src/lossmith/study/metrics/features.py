"""Metrics of frozen features: how well simple classifiers on them tell the classes."""

from abc import abstractmethod
from typing import Self

import numpy as np
from torch import Tensor

from lossmith.study.base.errors import InputError
from lossmith.study.metrics.reading import class_codes
from lossmith.study.metrics.sums import ClassSums, ratio
from lossmith.study.metrics.tuning import PARTS

Array = np.ndarray
BLOCK = 1 << 24  # similarities at once


class FeatureAccuracy(ClassSums):
    """The share of rows whose class a classifier tells that was fitted to other rows."""

    better, best = "higher", 1.0

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return whether each row's class is told, and 1, (N, 2)."""
        if target.ndim != 1 or prediction.ndim != 2:
            raise InputError(
                f"{self.name} needs features (N, D) of classes (N,), got {prediction.shape} of "
                f"{target.shape}"
            )
        codes = class_codes(self.name, target)
        told = self.told(codes, prediction.astype(np.float64))
        return np.stack([told == codes, np.ones(len(codes))], axis=1)

    @abstractmethod
    def told(self, codes: Array, features: Array) -> Array:
        """Return the class that is told of each row by the others."""

    def value(self, sums: Tensor) -> Tensor:
        """Return the mean."""
        return ratio(sums[0], sums[1])


class NearestNeighbours(FeatureAccuracy):
    r"""Accuracy of the vote of each row's k nearest others by cosine, knn_accuracy@k.

    .. math:: \hat y_n = \operatorname*{argmax}_c \sum_{i \in \mathrm{near}_k(n)} 1[y_i = c]\,
        e^{\cos(x_n, x_i) / 0.07}

    Shapes: targets (N,) of classes, predictions (N, D) of features.

    Source: Wu, Xiong, Yu & Lin, Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination, 2018; k = 20 as in DINO, Caron et al., 2021.
    """

    name, label = "knn_accuracy", "accuracy of nearest neighbours"

    def __init__(self, k: int = 20) -> None:
        if k < 1:
            raise InputError("knn_accuracy needs a number of neighbours, as in knn_accuracy@20")
        self.k = k
        if k != 20:
            self.name = f"knn_accuracy@{k}"

    @classmethod
    def parse(cls, argument: str) -> Self:
        """Return the metric of so many neighbours."""
        return cls(int(argument) if argument.isdecimal() else 0 if argument else 20)

    def told(self, codes: Array, features: Array) -> Array:
        """Return the class that wins the vote."""
        sizes = np.linalg.norm(features, axis=1, keepdims=True)
        unit, rows = features / np.where(sizes > 0, sizes, 1), len(codes)
        classes, place = np.unique(codes, return_inverse=True)
        found, near = np.zeros(rows, dtype=int), min(self.k, rows - 1)
        for some in np.array_split(np.arange(rows), 1 + rows * rows // BLOCK):
            alike = unit[some] @ unit.T
            alike[np.arange(len(some)), some] = -np.inf
            nearest = np.argpartition(-alike, near - 1, axis=1)[:, :near] if near else some[:, :0]
            votes = np.zeros((len(some), len(classes)))
            weight = np.exp((np.take_along_axis(alike, nearest, axis=1) - 1) / 0.07)
            np.add.at(votes, (np.arange(len(some))[:, None], place[nearest]), weight)
            found[some] = votes.argmax(axis=1)
        return classes[found]


class LinearProbe(FeatureAccuracy):
    r"""Accuracy of a logistic regression on the features, fitted to four fifths of the rows.

    The rows of a validation set are dealt into five parts, the same for all losses, and each part
    is told by a regression on the others' features, standardised. Features stay as they are.

    Shapes: targets (N,) of classes, predictions (N, D) of features.

    Source: Alain & Bengio, Understanding Intermediate Layers using Linear Classifier Probes, 2016.
    """

    name, label = "linear_probe", "accuracy of a linear probe"

    def told(self, codes: Array, features: Array) -> Array:
        """Return the likeliest class."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        part = np.random.default_rng(0).permutation(len(codes)) % PARTS
        found = np.empty_like(codes)
        for number in np.unique(part):
            own, known = part == number, codes[part != number]
            if len(np.unique(known)) < 2:
                found[own] = known[0] if len(known) else -1
                continue
            probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            found[own] = probe.fit(features[~own], known).predict(features[own])
        return found
