"""What is measured of a setting before it is reported: scores and what each row adds to them."""

from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from lossmith.core.loss import Loss
from lossmith.study.journal.facts import Setting


def changes(loss: Loss) -> bool:
    """Tell whether training changes a loss."""
    return loss.moves or any(True for _ in loss.parameters())


@dataclass
class History:
    """What was measured of one setting, by fold and epoch.

    Errors are scores of the metric, turned so that lower is better; so are the rows' influences.
    decisions: of a tuned metric. predictions: where an ensemble is chosen by them. outputs: by
    epoch, the loss as it was with raw outputs on the first fold. parts: of several targets, the
    same by each target's own metric.
    """

    key: Setting
    errors: dict[int, dict[int, float]] = field(default_factory=dict)
    influences: dict[int, dict[int, np.ndarray]] = field(default_factory=dict)
    decisions: dict[int, dict[int, np.ndarray]] = field(default_factory=dict)
    predictions: dict[int, dict[int, np.ndarray]] = field(default_factory=dict)
    outputs: dict[int, tuple[Loss, Tensor]] = field(default_factory=dict)
    parts: tuple["History", ...] = ()

    def detail(self, fold: int, epoch: int) -> dict[str, np.ndarray]:
        """Return what is kept beside a score, as arrays by name.

        >>> one = History(Setting("mse", 0.1), decisions={0: {5: np.array([0.0, 1.0])}})
        >>> one.detail(0, 5)
        {'decision': array([0., 1.])}
        """
        found = {}
        if fold in self.decisions:
            found["decision"] = self.decisions[fold][epoch]
        if fold in self.predictions:
            found["prediction"] = self.predictions[fold][epoch]
        if epoch in self.outputs and fold == 0:
            loss, output = self.outputs[epoch]
            found["output"] = output.numpy()
            if changes(loss):
                found |= {f"loss.{name}": one.numpy() for name, one in loss.state_dict().items()}
        for place, part in enumerate(self.parts):
            found[f"{place}.error"] = np.array(part.errors[fold][epoch])
            found[f"{place}.influences"] = part.influences[fold][epoch]
            if fold in part.decisions:
                found[f"{place}.decision"] = part.decisions[fold][epoch]
        return found
