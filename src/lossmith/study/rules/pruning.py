"""Which trainings that cannot pause are given up: late, and only where they are surely worse."""

from collections.abc import Sequence

import numpy as np

FROM = 0.5  # of the epochs; a slow starter may be far behind before
SURELY = 4.0  # standard errors behind the default on the same rows


def hopeless(own: Sequence[float], default: Sequence[float], differences: np.ndarray) -> bool:
    """Tell whether a training is surely worse than the default's on the same fold.

    One epoch may be lucky for one and not for the other, so the training's best epoch so far is
    held against the default's middle one of the late epochs until now.

    Args:
        own: its errors after the epochs so far.
        default: the default's errors after the late epochs so far.
        differences: what each unit adds to both errors' difference after this epoch.

    >>> rows = np.linspace(-0.1, 0.1, 50)
    >>> hopeless([2.0, 2.1], [1.0, 1.1], 1 + rows), hopeless([1.0, 2.1], [1.0, 1.1], 1 + rows)
    (True, False)
    """
    if len(differences) < 10 or not len(default):
        return False
    error = differences.std(ddof=1) / len(differences) ** 0.5
    return bool(min(own) - np.median(default) > SURELY * error + 1e-12)
