"""Multi-label: any number of labels a row."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from torch import nn

from lossmith.core.loss import Loss
from lossmith.study.metrics.labels import decided_apart
from lossmith.study.metrics.study_metric import StudyMetric, to_array
from lossmith.study.tasks.arrays import ArrayTask, Baseline

MARGINALS = Baseline(
    "binary_cross_entropy",
    "each label's own probability: Dembczyński et al., On Label Dependence, 2012",
    elicited=True,
)
DECIDED = Baseline(
    "binary_cross_entropy",
    "each label's own probability, by which it decides: Koyejo et al., Consistent Multilabel "
    "Classification, 2015",
    elicited=True,
)

ORDERED = Baseline(
    "binary_cross_entropy",
    "each label's own probability, whose order is best: Dembczyński, Kotłowski & Hüllermeier, "
    "Consistent Multilabel Ranking through Univariate Losses, 2012",
    elicited=True,
)


class Multilabel(ArrayTask):
    """Labels (N, L) of 0 and 1; a head of one logit a label.

    Under F1 labels are decided by thresholds that are tuned, for every loss alike, on other rows.
    """

    name = "multilabel"
    wanted = "labels (N, L) of 0 and 1"
    start = "binary_cross_entropy"
    defaults: ClassVar[Mapping[str, Baseline]] = {
        **dict.fromkeys(("hamming", "log_loss", "brier", "auroc", "average_precision"), MARGINALS),
        "label_ranking_loss": ORDERED,
        **dict.fromkeys(("f1_macro", "f1_micro"), DECIDED),
    }

    def accepts(self, target: Any) -> bool:
        """Tell whether targets are labels."""
        fine = isinstance(target, np.ndarray) and target.ndim == 2 and target.dtype.kind in "biuf"
        return fine and bool(np.isin(target, (0, 1)).all())

    def admits(self, kind: type[Loss], target: Any) -> bool:
        """Tell whether a loss reads labels."""
        return kind.card.target == "labels"

    def width(self, loss: Loss, target: Any) -> int:
        """Return one output a label."""
        return int(target.shape[1])

    def read(
        self, metric: StudyMetric, loss: nn.Module, prediction: Any, target: Any
    ) -> tuple[Any, Any]:
        """Return targets and probabilities, or under F1 the labels that are decided."""
        found = to_array(prediction)
        probable = found.dtype.kind == "f" and np.isfinite(found).all()
        if metric.name not in ("f1_macro", "f1_micro") or not probable:
            return target, found
        together = metric.name == "f1_micro"
        return target, decided_apart(to_array(target), found, together=together)
