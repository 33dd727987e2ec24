"""Which trainings that cannot pause are given up: late, and only where they are surely worse."""

import numpy as np

FROM = 0.5  # of the epochs; a slow starter may be far behind before
SURELY = 4.0  # standard errors behind the default on the same rows after the same epoch


def hopeless(share: float, own: np.ndarray, default: np.ndarray) -> bool:
    """Tell whether a training is surely worse than the default's after the same epoch.

    Args:
        share: of the epochs that are done.
        own: what each unit of the fold adds to its error, that error included.
        default: the same of the default.

    >>> rows = np.linspace(0, 1, 50)
    >>> hopeless(0.6, rows + 1.0, rows), hopeless(0.4, rows + 1.0, rows)
    (True, False)
    """
    if share < FROM or len(own) < 10 or len(own) != len(default):
        return False
    behind = own - default
    error = behind.std(ddof=1) / len(behind) ** 0.5
    return bool(behind.mean() > SURELY * error + 1e-12)
