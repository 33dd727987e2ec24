"""Prediction of what was hidden: pixels of masked patches, and their representations."""

from torch import Tensor

from lossmith.functional.checks import same_shape
from lossmith.functional.embeddings import magnitude
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
        target = _standard(target, 1e-6, target.shape[-1] - 1)
    return (input - target).square().mean(-1)


def latent_prediction(
    input: Tensor, target: Tensor, *, beta: Tensor | float, normalize: bool = True
) -> Tensor:
    """Return each patch's mean smooth L1 error against its layer-normalised representation.

    Shapes: input and target (…, D) -> (…).
    """
    input, target = _patches(input, target)
    if normalize:
        target = _standard(target, 1e-5, target.shape[-1])
    return smooth_l1(input, target, beta=beta).mean(-1)


def _standard(rows: Tensor, epsilon: float, count: int) -> Tensor:
    """Return rows of mean 0 and variance 1, of squares over a count, with epsilon added."""
    size = magnitude(rows).clamp(min=1.0)  # so that their squares are numbers
    rows = rows / size
    centred = rows - rows.mean(-1, keepdim=True)
    variance = centred.square().sum(-1, keepdim=True) / max(count, 1)
    return centred / (variance + epsilon / size / size).clamp(min=1e-38).sqrt()


def _patches(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    input, target = same_shape(input, target)
    if input.ndim < 2:
        raise ValueError(f"input must be (N, …, D), got {tuple(input.shape)}")
    return input, target
