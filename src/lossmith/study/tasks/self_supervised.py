"""Self-supervision: features learned without labels, judged by what they tell of them."""

from collections.abc import Mapping
from typing import Any, ClassVar

from lossmith.core.arguments import demanded
from lossmith.core.loss import Loss
from lossmith.study.tasks.arrays import ArrayTask, Baseline, whole

CONTRAST = Baseline("nt_xent", "SimCLR: Chen et al., 2020")


class SelfSupervised(ArrayTask):
    """Classes (N,), which the metric alone sees; losses take two views, trial.loss(z1, z2).

    What is reported are the frozen features of the validation rows, not the projections.
    """

    name = "self_supervised"
    sample = ""
    wanted = "classes (N,) of whole numbers, which the metric alone sees,"
    start = "nt_xent"
    defaults: ClassVar[Mapping[str, Baseline]] = dict.fromkeys(
        ("linear_probe", "knn_accuracy"), CONTRAST
    )

    def accepts(self, target: Any) -> bool:
        """Tell whether targets are classes."""
        return whole(target, 1)

    def admits(self, kind: type[Loss], target: Any) -> bool:
        """Tell whether a loss takes two views and needs nothing beside them."""
        views = (kind.card.input, kind.card.target) == ("embeddings", "embeddings")
        alone = not kind.card.required_signals and not kind.card.learns and not demanded(kind)
        return views and alone

    def width(self, loss: Loss, target: Any) -> None:
        """Return None: projections have any width."""
