"""Losses of other packages that are the same function as ours, by key: what bench/speed.py times.

Packages that are not installed are left out. A peer that gives another value is an error.
"""

from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.nn import functional

Function = Callable[[Tensor, Tensor], Tensor]

TORCH: dict[str, Function] = {
    "mse": nn.MSELoss(),
    "mae": nn.L1Loss(),
    "huber": nn.HuberLoss(),
    "smooth_l1": nn.SmoothL1Loss(beta=0.5),
    "binary_cross_entropy": nn.BCEWithLogitsLoss(),
    "cross_entropy": nn.CrossEntropyLoss(),
    "gaussian_nll": lambda x, y: functional.gaussian_nll_loss(
        x[:, 0], y, (x[:, 1].exp() + 1e-3).square(), full=True
    ),
}


def peers(key: str) -> dict[str, Function]:
    """Return the functions of input and target that equal a loss at its example's arguments."""
    found = {"torch eager": TORCH[key]} if key in TORCH else {}
    for package, name, functions in (
        ("torchvision", "torchvision", _torchvision),
        ("entmax", "entmax", _entmax),
        ("kornia", "kornia", _kornia),
        ("segmentation_models_pytorch", "smp", _smp),
    ):
        if find_spec(package):
            known = functions()
            found |= {name: known[key]} if key in known else {}
    return found


def agreed(key: str, input: Tensor, target: Tensor, ours: Function) -> dict[str, Function]:
    """Return the peers of a loss; ValueError where one gives another value for a batch."""
    found = peers(key)
    with torch.no_grad():
        for name, function in found.items():
            mine, theirs = ours(input, target), function(input, target)
            if not torch.allclose(mine, theirs, rtol=1e-4):
                raise ValueError(f"{name}'s {key} is {theirs.item()}, ours {mine.item()}")
    return found


def _torchvision() -> dict[str, Function]:
    from torchvision.ops import sigmoid_focal_loss

    return {"binary_focal": lambda x, y: sigmoid_focal_loss(x, y, reduction="mean")}


def _entmax() -> dict[str, Function]:
    from entmax import Entmax15Loss, SparsemaxLoss

    return {"sparsemax": SparsemaxLoss(), "entmax": Entmax15Loss()}


def _kornia() -> dict[str, Function]:
    from kornia import losses

    def binary_focal(x: Tensor, y: Tensor) -> Tensor:
        x, y = x.unsqueeze(1), y.unsqueeze(1)
        return losses.binary_focal_loss_with_logits(x, y, alpha=0.25, reduction="mean")

    def robust(function: Callable[..., Tensor]) -> Function:
        return lambda x, y: function(x, y, reduction="mean")

    return {
        "binary_focal": binary_focal,
        "cauchy": robust(losses.cauchy_loss),
        "welsch": robust(losses.welsch_loss),
        "geman_mcclure": robust(losses.geman_mcclure_loss),
        "pseudo_huber": robust(losses.charbonnier_loss),
        "tversky": lambda x, y: losses.tversky_loss(x, y, alpha=0.3, beta=0.7),
        "lovasz_softmax": losses.lovasz_softmax_loss,
        "lovasz_hinge": lambda x, y: losses.lovasz_hinge_loss(x.unsqueeze(1), y),
    }


def _smp() -> dict[str, Function]:
    from segmentation_models_pytorch import losses

    return {
        "binary_focal": losses.FocalLoss("binary", alpha=0.25, gamma=2.0),
        "jaccard": losses.JaccardLoss("multiclass"),
        "tversky": losses.TverskyLoss("multiclass", alpha=0.3, beta=0.7),
        "lovasz_softmax": losses.LovaszLoss("multiclass"),
        "lovasz_hinge": losses.LovaszLoss("binary"),
    }
