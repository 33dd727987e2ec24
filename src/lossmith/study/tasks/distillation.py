"""Distillation: labels alone against a teacher's logits beside them."""

from collections.abc import Mapping
from typing import Any

from lossmith.core.hybrid import Route
from lossmith.core.loss import Loss
from lossmith.study.base.errors import InputError
from lossmith.study.metrics.study_metric import StudyMetric
from lossmith.study.tasks.arrays import ArrayTask
from lossmith.study.tasks.auxiliary import Auxiliary, OfTable
from lossmith.study.tasks.candidate import Candidate, Sum, Term
from lossmith.study.tasks.multiclass import Multiclass

TERMS = (
    Candidate(key="distillation", hypers={"alpha": 1.0}),  # the teacher's part alone
    Candidate(key="dkd"),
    Candidate(key="dist"),
)
SHARES = (0.1, 0.5, 0.9)  # 0.9 is Hinton's, as mdistiller has it; DKD and DIST add terms evenly


class Distillation(Auxiliary):
    """Classes (N,), of two also one logit each; the default and a teacher's term share the weight.

    The loop calls trial.loss(logits, {"classes": …, "teacher": …}).
    """

    name = "distillation"

    def __init__(self, own: ArrayTask, metric: StudyMetric, target: Any) -> None:
        if not isinstance(own, OfTable) or own.table.numbers:
            raise InputError(
                f"task 'distillation' needs classes (N,) of whole numbers as target= and a metric "
                f"of classes, as accuracy; metric {metric.name} is of another task"
            )
        super().__init__(OfTable(Multiclass(), own.asked, own.classes), metric, target)
        self.classes = own.classes

    def guided(self) -> list[Sum]:
        """Return the sums of plain fine-tuning and a teacher's term, at each share."""
        return [self._shared(term, share) for term in TERMS for share in SHARES]

    def _shared(self, term: Candidate, share: float) -> Sum:
        own = Term(of=self.plain, weight=round(1 - share, 9))
        return Sum(parts=[own, Term(of=term, weight=share)])

    def route(self, loss: Loss) -> Route | None:
        """Return the names of the parts that a loss reads: classes, the teacher, or both."""
        if isinstance(loss.card.target, Mapping):
            return None
        return None, "teacher" if loss.card.target == "logits" else "classes"

    def width(self, loss: Loss, target: Any) -> int:
        """Return one logit a class."""
        return self.classes
