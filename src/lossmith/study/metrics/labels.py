"""Metrics of decisions: several labels a row, or ordered grades."""

from abc import abstractmethod

import numpy as np
from torch import Tensor

from lossmith.study.metrics.reading import class_codes, decided, has_classes, probabilities
from lossmith.study.metrics.sums import ClassSums, mean_where, ratio
from lossmith.study.metrics.tuning import Rule, decide

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


class Grades(ClassSums):
    """Ordered grades.

    Shapes: targets (N,) of integers, negative ones ignored, and predictions (N, C) of
    probabilities, by which the grade that the metric asks for is decided, or (N,) of numbers,
    rounded.
    """

    better = "higher"
    rule: Rule

    def grades(self, target: Array, prediction: Array) -> tuple[Array, Array, Array]:
        """Return true and predicted grades and which count, (N,) each."""
        codes = class_codes(self.name, target)
        if has_classes(target, prediction):
            chosen = decide(probabilities(self.name, prediction), rule=self.rule)
        else:
            chosen = decided(self.name, target, np.rint(prediction).astype(np.int64))
        held = codes >= 0
        return np.where(held, codes, 0), np.where(held, chosen, 0), held


class QuadraticKappa(Grades):
    r"""Agreement beyond chance, errors weighing by the square of their size.

    .. math:: \kappa = 1 - \frac{\sum_n (a_n - b_n)^2}{\sum_n a_n^2 + \sum_n b_n^2
        - 2 \sum_n a_n \sum_n b_n / N}

    Source: Cohen, Weighted Kappa, 1968; 0 where all targets and predictions are one grade.
    """

    name, label, rule = "quadratic_kappa", "quadratic kappa", "mean"

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return the count, both grades and their products, (N, 6)."""
        a, b, held = self.grades(target, prediction)
        return np.stack([held, a, b, a * a, b * b, a * b], axis=1)

    def value(self, sums: Tensor) -> Tensor:
        """Return 1 less the squared error over that of chance."""
        count, a, b, aa, bb, ab = sums
        chance = aa + bb - 2 * ratio(a * b, count)
        return ratio(chance - (aa + bb - 2 * ab), chance)


class WithinOne(Grades):
    r"""The share of grades that are right or next to it.

    .. math:: m = \operatorname*{mean}_n 1[|a_n - b_n| \le 1]
    """

    name, label, rule = "within_one", "accuracy within one grade", "median"

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return whether each row is right within one grade, and counts, (N, 2)."""
        a, b, held = self.grades(target, prediction)
        return np.stack([(abs(a - b) <= 1) & held, held], axis=1)

    def value(self, sums: Tensor) -> Tensor:
        """Return the mean."""
        return ratio(sums[0], sums[1])
