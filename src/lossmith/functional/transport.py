"""Optimal transport between two samples, computed by geomloss."""

from typing import Any

import torch
from torch import Tensor

from lossmith.functional.checks import promote, same_shape
from lossmith.functional.divergence import check_rows


def sinkhorn_divergence(
    input: Tensor, target: Tensor, *, blur: Tensor | float = 0.05, scaling: Tensor | float = 0.5
) -> Tensor:
    """Return OT(x, y) − OT(x, x)/2 − OT(y, y)/2 of two samples (N, D), of half squared distances.

    OT is regularised by the entropy of the plan at a temperature of blur².

    Raises:
        ImportError: if geomloss is not installed.
    """
    check_rows(input, target, "samples (N, D)")
    first, second = same_shape(input, promote(target))
    if not first.numel():
        return first.sum() + second.sum()
    middle = torch.cat([first, second]).detach().mean(0)
    first, second = first - middle, second - middle
    reach, width = _diameter(first, second), float(blur)
    divergence = _samples_loss()(
        "sinkhorn",
        p=2,
        blur=width,
        scaling=float(scaling),
        diameter=max(reach, width),
        backend="tensorized",
    )
    # geomloss leaves gradients on, and would compute its products in half precision
    with (
        torch.set_grad_enabled(torch.is_grad_enabled()),
        torch.autocast(first.device.type, enabled=False),
    ):
        value: Tensor = divergence(first, second)
    return value


def _diameter(first: Tensor, second: Tensor) -> float:
    """Return the diagonal of the smallest box around both samples."""
    rows = torch.cat([first, second]).detach()
    return (rows.amax(0) - rows.amin(0)).norm().item()


def _samples_loss() -> Any:
    try:
        from geomloss import SamplesLoss
    except ModuleNotFoundError as error:
        raise ImportError(
            "the Sinkhorn divergence needs geomloss; "
            "install it with: pip install 'lossmith[transport]'"
        ) from error
    return SamplesLoss
