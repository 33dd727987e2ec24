"""From one loss to another while training: in a straight line, at a position, or at a trigger."""

from collections.abc import Sequence
from dataclasses import replace

from lossmith.core.hybrid import Hybrid
from lossmith.core.loss import Loss
from lossmith.core.schedule import By, Piecewise
from lossmith.core.triggers import Complement, Plateau, When


def blend(first: Loss, second: Loss, *, over: tuple[float, float], by: By = "fraction") -> Hybrid:
    """Return the first loss, which turns into the second in a straight line between two positions.

    >>> from lossmith import MAE, MSE
    >>> blend(MAE(), MSE(), over=(0.4, 0.6)).out_features
    1
    """
    begin, until = over
    falls = Piecewise(((begin, 1.0), (until, 0.0)), by=by)
    rises = Piecewise(((begin, 0.0), (until, 1.0)), by=by)
    return Hybrid.weighed([first, second], [falls, rises])


def switch(first: Loss, second: Loss, *, at: float | When | Plateau, by: By = "fraction") -> Hybrid:
    """Return the first loss until a position, or until a trigger, and the second from then on.

    `at` is a share of training, or a step or epoch with `by`, or a trigger: `When("accuracy",
    above=0.9)` or `Plateau("valid_loss", patience=3)`.

    >>> from lossmith import MAE, MSE
    >>> switch(MAE(), MSE(), at=0.5).decode(torch.ones(1))
    tensor([1.])
    """
    if isinstance(at, (When, Plateau)):
        falls = (
            Complement(replace(at, before=0.0, after=1.0))
            if isinstance(at, When)
            else replace(at, start=1.0, factor=0.0, least=0.0)
        )
        return Hybrid.weighed([first, second], [falls, Complement(falls)])
    return sequence((first, second), at=(at,), by=by)


def sequence(losses: Sequence[Loss], *, at: Sequence[float], by: By = "fraction") -> Hybrid:
    """Return losses one after the other, each from its position on.

    >>> from lossmith import MAE, MSE, Huber
    >>> sequence((MAE(), Huber(), MSE()), at=(0.3, 0.6)).weighting.weights()
    {'mae': 1.0, 'huber': 0.0, 'mse': 0.0}
    """
    if len(at) != len(losses) - 1 or list(at) != sorted(set(at)) or min(at, default=0) < 0:
        raise ValueError(
            f"sequence: {len(losses)} losses need {len(losses) - 1} ascending positions from 0 "
            f"on, got {list(at)}"
        )
    starts = (float("-inf"), *at)
    weights = []
    for place in range(len(losses)):
        points = [(starts[other], float(other == place)) for other in range(len(losses))]
        weights.append(Piecewise(tuple((max(a, -1.0), b) for a, b in points), hold=True, by=by))
    return Hybrid.weighed(losses, weights)
