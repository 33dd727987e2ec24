"""What losses learn from the training targets, without being led astray by outliers."""

import math

import torch
from torch import Tensor

from lossmith.functional.checks import check_tensor


def finite(target: Tensor) -> Tensor:
    """Return the targets in float64 and one dimension; ValueError unless all are finite."""
    check_tensor("target", target)
    values = target.detach().reshape(-1).to("cpu", torch.float64)
    if values.numel() == 0:
        raise ValueError("target is empty; a loss is fitted to at least one training target")
    wrong = int((~values.isfinite()).sum())
    if wrong:
        raise ValueError(
            f"target holds {wrong} values that are NaN or infinite; drop or replace those rows"
        )
    return values


def quartiles(values: Tensor) -> tuple[float, float, float]:
    """Return the quartiles of a sample of any size, by linear interpolation.

    >>> quartiles(torch.arange(5.0))
    (1.0, 2.0, 3.0)
    """
    ordered = values.sort().values
    lower, middle, upper = (quantile_of(ordered, level).item() for level in (0.25, 0.5, 0.75))
    return lower, middle, upper


def quantile_of(ordered: Tensor, level: float) -> Tensor:
    """Return a quantile of sorted values; torch.quantile refuses more than 2**24 of them."""
    place = level * (len(ordered) - 1)
    return torch.lerp(ordered[math.floor(place)], ordered[math.ceil(place)], place % 1)


def spread_of(values: Tensor) -> float:
    """Return IQR/1.349, which is a Gaussian's standard deviation; the std where it is 0, or 1."""
    lower, _, upper = quartiles(values)
    spread = (upper - lower) / 1.349
    return spread or values.std(correction=0).item() or 1.0
