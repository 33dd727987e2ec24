"""Metrics of decisions: several labels a row, or ordered grades."""

from abc import abstractmethod

import numpy as np
from torch import Tensor

from lossmith.study.base.errors import InputError
from lossmith.study.metrics.reading import (
    class_codes,
    decided,
    has_classes,
    same_shape,
)
from lossmith.study.metrics.sums import ClassSums, mean_where, ratio
from lossmith.study.metrics.tuning import PARTS

Array = np.ndarray


class F1(ClassSums):
    """Counts of hits I, predictions P and targets T of each label.

    Shapes: targets (N, L) of 0 and 1 with predictions (N, L), probabilities cut at ½ or
    decisions; or targets (N,) of class codes with predictions (N, C) of probabilities, (N,) of
    the probability of class 1, or (N,) of class codes. Negative targets are ignored.
    """

    better = "higher"

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return hits, predictions and targets of each label, (N, 3L)."""
        codes, chosen = class_codes(self.name, target), decided(self.name, target, prediction)
        if codes.ndim == 1:
            wide = prediction.shape[1] if has_classes(target, prediction) else 2
            labels = np.arange(max(wide, codes.max() + 1, chosen.max() + 1))
            actual = codes[:, None] == labels
            chosen = (chosen[:, None] == labels) & (codes >= 0)[:, None]
        else:
            actual, chosen = codes == 1, (chosen == 1) & (codes >= 0)
        return np.concatenate([actual & chosen, chosen, actual], axis=1)


class MicroF1(F1):
    r"""The F1 score of all labels taken together; of one class a row, the accuracy.

    .. math:: m = \frac{2 \sum_l I_l}{\sum_l P_l + \sum_l T_l}

    Source: Lewis, Schapire, Callan & Papka, Training Algorithms for Linear Text Classifiers, 1996.
    """

    name, label = "f1_micro", "micro F1"

    def value(self, sums: Tensor) -> Tensor:
        """Return the ratio of the labels' sums."""
        hits, chosen, actual = sums.reshape(3, -1).sum(dim=1)
        return ratio(2 * hits, chosen + actual)


class MacroF1(F1):
    r"""The F1 score of each label, averaged over the labels that some row has.

    .. math:: m = \operatorname*{mean}_{l:\, T_l > 0} \frac{2 I_l}{P_l + T_l}

    Source: Lewis, Schapire, Callan & Papka, Training Algorithms for Linear Text Classifiers, 1996.
    """

    name, label = "f1_macro", "macro F1"

    def value(self, sums: Tensor) -> Tensor:
        """Return the mean of the labels' ratios."""
        hits, chosen, actual = sums.reshape(3, -1)
        return mean_where(ratio(2 * hits, chosen + actual), actual > 0)


class Share(ClassSums):
    """The share of elements, labels or tokens, that are right or wrong."""

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return how many elements are, and how many count, (N, 2)."""
        codes, chosen = class_codes(self.name, target), decided(self.name, target, prediction)
        held = (codes >= 0).reshape(len(codes), -1)
        values = self.elements(codes, chosen).reshape(len(codes), -1)
        return np.stack([(values & held).sum(axis=1), held.sum(axis=1)], axis=1)

    @abstractmethod
    def elements(self, target: Array, chosen: Array) -> Array:
        """Return whether each element is."""

    def value(self, sums: Tensor) -> Tensor:
        """Return the mean."""
        return ratio(sums[0], sums[1])


class Hamming(Share):
    r"""The share of labels that are wrong.

    .. math:: m = \operatorname*{mean}_{n, l} 1[\hat y_{nl} \ne y_{nl}]

    Shapes: as `F1`, labels of any shape.

    Source: Schapire & Singer, BoosTexter: A Boosting-based System for Text Categorization, 2000.
    """

    name, label, better = "hamming", "Hamming loss", "lower"

    def elements(self, target: Array, chosen: Array) -> Array:
        """Return whether the label is wrong."""
        return target != chosen


class LabelRankingLoss(ClassSums):
    r"""The share of a row's pairs, one label it has and one it has not, that are in wrong order.

    .. math:: m = \operatorname*{mean}_n
        \frac{|\{(k, l): x_{nk} \le x_{nl},\, y_{nk} = 1,\, y_{nl} =
        0\}|}{|y_n| (L - |y_n|)}

    Shapes: targets (N, L) of 0 and 1, predictions (N, L) of scores. A row with all labels or none
    has no pairs and counts as 0.

    Source: Schapire & Singer, BoosTexter: A Boosting-based System for Text Categorization, 2000.
    """

    name, label, better = "label_ranking_loss", "label ranking loss", "lower"

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return each row's share, and 1, (N, 2)."""
        same_shape(self.name, target, prediction)
        if target.ndim != 2 or not np.isin(target, (0, 1)).all():
            raise InputError(f"{self.name} needs targets (rows, labels) of 0 and 1")
        order = np.lexsort((target, -prediction.astype(np.float64)), axis=1)  # of equals, 0 first
        ranked = np.take_along_axis(target, order, axis=1) == 1
        wrong = (ranked * np.cumsum(~ranked, axis=1)).sum(axis=1)
        held = ranked.sum(axis=1)
        pairs = held * (target.shape[1] - held)
        return np.stack([wrong / np.maximum(pairs, 1), np.ones(len(target))], axis=1)

    def value(self, sums: Tensor) -> Tensor:
        """Return the mean over the rows."""
        return ratio(sums[0], sums[1])


def decided_apart(target: Array, prediction: Array, *, together: bool) -> Array:
    """Return labels (N, L) decided by the thresholds that score best on other rows.

    Rows are dealt into five parts, the same for all candidates; each is decided by the thresholds
    of best F1 on the other four: one of all labels together, or one a label.
    """
    part = np.random.default_rng(0).permutation(len(target)) % PARTS
    decided = np.zeros(target.shape, dtype=bool)
    for number in range(PARTS):
        own = part == number
        decided[own] = prediction[own] >= _thresholds(target[~own], prediction[~own], together)
    return decided


def _thresholds(target: Array, prediction: Array, together: bool) -> Array | float:
    if together:
        return best_threshold(target.ravel(), prediction.ravel())
    columns = zip(target.T, prediction.T, strict=True)
    return np.array([best_threshold(*column) for column in columns])


def best_threshold(target: Array, prediction: Array) -> float:
    """Return from which probability on a label of best F1 is given, ½ where no row has it.

    >>> best_threshold(np.array([0, 1, 0, 1]), np.array([0.1, 0.3, 0.2, 0.9]))
    0.25
    """
    order = np.argsort(-prediction, kind="stable")
    found, hits = prediction[order].astype(np.float64), np.cumsum(target[order] == 1)
    if not len(hits) or not hits[-1]:
        return 0.5
    score = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
    score[:-1][found[1:] == found[:-1]] = -1  # no threshold parts equal ones
    best = int(np.argmax(score))
    after = found[best + 1] if best + 1 < len(found) else found[best] - 1
    return float((found[best] + after) / 2)
