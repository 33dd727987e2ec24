"""Metrics of predicted tokens."""

import numpy as np
from torch import Tensor

from lossmith.study.metrics.labels import Share
from lossmith.study.metrics.reading import class_codes, probabilities, require_classes
from lossmith.study.metrics.sums import ClassSums, ratio

Array = np.ndarray


class TokenAccuracy(Share):
    r"""The share of tokens whose most probable class is the true one.

    .. math:: m = \operatorname*{mean}_{n, t} 1[\arg\max_v p_{nvt} = y_{nt}]

    Shapes: targets (N, T) of token codes, negative ones (−100) ignored, and predictions
    (N, V, T) of probabilities, or (N, T) of token codes.
    """

    name, label, better = "token_accuracy", "token accuracy", "higher"

    def elements(self, target: Array, chosen: Array) -> Array:
        """Return whether the token is right."""
        return target == chosen


class Perplexity(ClassSums):
    r"""The inverse of the geometric mean of the probabilities of the true tokens.

    .. math:: m = \exp \operatorname*{mean}_{n, t} (-\log p_{n y_{nt} t})

    Shapes: targets (N, T) of token codes, negative ones (−100) ignored, and predictions
    (N, V, T) of probabilities. Those below 2⁻⁵² count as that.

    Source: Jelinek, Mercer, Bahl & Baker, Perplexity: A Measure of the Difficulty of Speech
    Recognition Tasks, 1977.
    """

    name, label, better = "perplexity", "perplexity", "lower"

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return the sum of the tokens' negative logarithms and their count, (N, 2)."""
        require_classes(self.name, target, probabilities(self.name, prediction))
        codes = class_codes(self.name, target)
        held = codes >= 0
        chosen = np.take_along_axis(prediction, np.where(held, codes, 0)[:, None], axis=1)[:, 0]
        costs = -np.log(np.clip(chosen.astype(np.float64), np.finfo(np.float64).eps, 1))
        costs, held = (part.reshape(len(codes), -1) for part in (costs * held, held))
        return np.stack([costs.sum(axis=1), held.sum(axis=1)], axis=1)

    def value(self, sums: Tensor) -> Tensor:
        """Return the exponential of the mean."""
        return ratio(sums[0], sums[1]).exp()
