"""Two classes: one logit a row, or one for each."""

from lossmith.study.tasks.classes import Classes


class Binary(Classes):
    """The probability of the positive class, which has code 1."""

    name, baseline, least, most = "binary", "binary_cross_entropy", 1, 2
