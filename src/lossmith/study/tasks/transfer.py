"""Transfer: plain fine-tuning against a pull towards the pretrained start."""

from torch import nn

from lossmith.core.hybrid import Hybrid, Route
from lossmith.core.loss import Loss
from lossmith.study.tasks.auxiliary import Auxiliary
from lossmith.study.tasks.candidate import Candidate, Sum

PULLS = (1e-3, 1e-2, 1e-1)  # a factor of ten around the loss's own; its paper cross-validates


class Transfer(Auxiliary):
    """Targets of any other task; the sum of its default with L2-SP, at each strength.

    The loop calls trial.loss({"output": …, "parameters": …}, {"target": …, "start": …}).
    """

    name = "transfer"

    def guided(self) -> list[Sum]:
        """Return the sums of plain fine-tuning and a pull, at each strength."""
        pulls = [Candidate(key="l2_sp", hypers={"alpha": alpha}) for alpha in PULLS]
        return [Sum(parts=[self.plain, pull]) for pull in pulls]

    def route(self, loss: Loss) -> Route:
        """Return parameters and start for a pull, output and target for all others."""
        return ("parameters", "start") if loss.card.key == "l2_sp" else ("output", "target")

    def head(self, loss: nn.Module) -> nn.Module:
        """Return the loss that reads the output."""
        named = isinstance(loss, Hybrid) and "output" in loss.named("input")
        return loss.reader("output") if named else loss  # type: ignore[operator]
