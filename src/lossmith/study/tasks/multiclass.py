"""More classes than two: one logit for each."""

import numpy as np

from lossmith.study.tasks.classes import Classes


class Multiclass(Classes):
    """One probability a class."""

    name, start, least, most = "multiclass", "cross_entropy", 3, np.inf
