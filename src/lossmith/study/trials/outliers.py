"""Gross errors in the target: rows whose squared error says nothing about a model.

A metric of squared errors has no stable value where residuals have a tail without a mean: a
handful of wrong targets decides it, and a paired comparison measures them. Such a tail is told
from a merely heavy one by its index: among residuals beyond FAR scales, a tail with a mean has
fewer than half beyond twice that (Hill, A Simple General Approach to Inference about the Tail of
a Distribution, 1975, gives the index this coarse test looks at).
"""

import numpy as np
from scipy.ndimage import median_filter

FAR = 5.0
SHARE = 0.01  # of the rows, at least, beyond twice FAR
COUNT = 10  # rows, at least, beyond twice FAR; of fewer than 200 rows one in 20, and 3
NEIGHBOURS = 31  # rows of similar prediction that give a row its own scale
SAME = 1 / 3  # share of one value from which residuals have no scale: zeros among amounts


def residual_scales(target: np.ndarray, predictions: np.ndarray, log: bool) -> np.ndarray:
    """Return each row's residual from the middle prediction of several models, in robust scales.

    Args:
        target: (n,).
        predictions: (k, n), of k models; the middle one of each row is taken.
        log: whether errors count on the scale of log(1 + y).
    """
    if np.unique(target, return_counts=True)[1].max() > SAME * len(target):
        return np.zeros(len(target))
    middle = np.median(predictions, axis=0)
    if log:
        middle, target = np.log1p(np.maximum(middle, 0)), np.log1p(target)
    residual, order = np.abs(target - middle), np.argsort(middle, kind="stable")
    scale = np.full(len(target), np.median(residual))
    # Errors that grow with the prediction are no gross ones: such rows are held to their like.
    alike = median_filter(residual[order], NEIGHBOURS, mode="mirror")
    scale[order] = np.where(alike > 2 * scale, alike, scale)
    return residual / (1.4826 * scale) if scale.min() > 0 else np.zeros(len(target))


def has_outliers(scales: np.ndarray) -> bool:
    """Say whether residuals have a tail so heavy that their squares have no mean to measure."""
    beyond = int((scales > FAR).sum())
    far_beyond = int((scales > 2 * FAR).sum())
    least = max(3, min(COUNT, len(scales) / 20), SHARE * len(scales))
    return far_beyond >= least and 2 * far_beyond >= beyond
