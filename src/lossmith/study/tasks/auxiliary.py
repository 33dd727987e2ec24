"""Tasks of fine-tuning: another task's default, alone and beside a term of what the loop has more.

Every loss is called alike, with parts by name, and reads those that are its own.
"""

from abc import abstractmethod
from typing import Any

from torch import nn

from lossmith.core.hybrid import Hybrid, Route
from lossmith.core.loss import Loss
from lossmith.study.metrics import Metric
from lossmith.study.metrics.study_metric import StudyMetric
from lossmith.study.tasks.arrays import ArrayTask
from lossmith.study.tasks.base import Baseline, TableTask
from lossmith.study.tasks.candidate import Candidate, Sum


class OfTable(ArrayTask):
    """A task of tables as one of arrays: one number or class a row."""

    def __init__(self, table: TableTask, metric: Metric, classes: int) -> None:
        self.table, self.asked, self.classes = table, metric, classes
        self.sample = table.sample

    def accepts(self, target: Any) -> bool:
        """Tell whether targets are of this task, as was checked."""
        return True

    def told(self, kind: type[Loss], target: Any) -> dict[str, Any]:
        """Return the number of classes."""
        return {"classes": self.classes} if self.classes else {}

    def baseline(self, metric: StudyMetric) -> Baseline:
        """Return the loss to beat under a metric, with its reason."""
        return self.table.baseline(self.asked)

    def default(self, metric: StudyMetric, target: Any) -> Candidate:
        """Return what the metric asks for."""
        return self.table.default(self.asked, self.classes or None)


class Auxiliary(ArrayTask):
    """Plain fine-tuning against sums of it with a term of more than outputs and targets.

    own: the task of metric and target. plain: its default, which is the loss to beat.
    """

    inferred = False

    def __init__(self, own: ArrayTask, metric: StudyMetric, target: Any) -> None:
        self.own = own
        self.plain, self.sample = own.default(metric, target), own.sample

    @abstractmethod
    def route(self, loss: Loss) -> Route | None:
        """Return the names of the parts that a loss reads; None for all of them."""

    @abstractmethod
    def guided(self) -> list[Sum]:
        """Return the sums of plain fine-tuning and a term, at each weight."""

    def accepts(self, target: Any) -> bool:
        """Tell whether targets are of the own task."""
        return self.own.accepts(target)

    def learned(self, target: Any) -> Any:
        """Return the part of the targets that losses are fitted to."""
        return self.own.learned(target)

    def told(self, kind: type[Loss], target: Any) -> dict[str, Any]:
        """Return the arguments of a loss that follow from the targets."""
        return self.own.told(kind, target)

    def baseline(self, metric: StudyMetric) -> Baseline:
        """Return the loss to beat under a metric, with its reason."""
        return self.own.baseline(metric)

    def default(self, metric: StudyMetric, target: Any) -> Candidate | Sum:
        """Return plain fine-tuning."""
        return self.plain

    def common(self, target: Any) -> Candidate | Sum:
        """Return plain fine-tuning."""
        return self.plain

    def everyone(self, metric: StudyMetric, target: Any) -> list[Candidate | Sum]:
        """Return plain fine-tuning and the sums."""
        return [self.plain, *self.guided()]

    def routed(self, loss: nn.Module) -> nn.Module:
        """Return a loss that reads what the loop gives, by the names of its parts."""
        if not isinstance(loss, Hybrid):
            route = self.route(loss) if isinstance(loss, Loss) else None
            return loss if route is None else loss.on(*route)  # type: ignore[operator]
        if any(loss.routes.values()):  # a user's own
            return loss
        terms = {name: (part, self.route(part)) for name, part in loss.losses.items()}  # type: ignore[arg-type]
        return Hybrid.of(terms, loss.weighting)  # type: ignore[arg-type]

    def width(self, loss: Loss, target: Any) -> int | None:
        """Return the width of the head, which is that of plain fine-tuning."""
        head = self.head(loss)
        return self.own.width(head, target) if isinstance(head, Loss) else None

    def read(
        self, metric: StudyMetric, loss: nn.Module, prediction: Any, target: Any
    ) -> tuple[Any, Any]:
        """Return targets and predictions as the metric takes them, of what the loss decoded."""
        return self.own.read(metric, self.head(loss), prediction, target)

    def beside(self, metric: StudyMetric, target: Any, prediction: Any) -> dict[str, float]:
        """Return what is read beside the score, by name."""
        return self.own.beside(metric, target, prediction)
