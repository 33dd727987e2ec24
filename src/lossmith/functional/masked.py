"""Prediction of what was hidden: pixels of masked patches, and their representations."""

from torch import Tensor

from lossmith.functional.checks import same_shape
from lossmith.functional.regression import smooth_l1


def masked_reconstruction(input: Tensor, target: Tensor, *, normalize: bool = True) -> Tensor:
    """Return each patch's mean squared error, of pixels that are normalised within the patch.

    Shapes: input and target (…, D), D the pixels of a patch -> (…).
    """
    input, target = _patches(input, target)
    if normalize:
        if target.shape[-1] < 2:
            raise ValueError(
                f"a patch needs two pixels to be normalised, got target {tuple(target.shape)}"
            )
        centred = target - target.mean(-1, keepdim=True)
        target = (
            centred
            / (centred.square().sum(-1, keepdim=True) / (target.shape[-1] - 1) + 1e-6).sqrt()
        )
    return (input - target).square().mean(-1)


def latent_prediction(
    input: Tensor, target: Tensor, *, beta: Tensor | float, normalize: bool = True
) -> Tensor:
    """Return each patch's mean smooth L1 error against its layer-normalised representation.

    Shapes: input and target (…, D) -> (…).
    """
    input, target = _patches(input, target)
    if normalize:
        centred = target - target.mean(-1, keepdim=True)
        target = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return smooth_l1(input, target, beta=beta).mean(-1)


def _patches(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    input, target = same_shape(input, target)
    if input.ndim < 2:
        raise ValueError(f"input must be (N, …, D), got {tuple(input.shape)}")
    return input, target
