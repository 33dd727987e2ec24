"""Penalties on a critic's gradient by its samples, unreduced, and what gives that gradient."""

from collections.abc import Callable

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, flat_rows, promote

__all__ = ["around", "between", "gradient_penalty", "score_gradient", "zero_centred_penalty"]


def score_gradient(critic: Callable[[Tensor], Tensor], samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return the critic's scores and their gradient by the samples, itself differentiable.

    Each score must depend on its own sample alone: batch normalisation in a critic breaks that.

    >>> scores, slope = score_gradient(lambda x: x.square().sum(1), torch.ones(2, 3))
    >>> slope[0]
    tensor([2., 2., 2.], grad_fn=<SelectBackward0>)
    """
    with torch.enable_grad():
        samples = samples.detach().requires_grad_()
        scores = critic(samples)
        (slope,) = torch.autograd.grad(scores.sum(), samples, create_graph=True)
    return scores, slope


def between(real: Tensor, fake: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Return one random point on the line between each pair of samples: where WGAN-GP looks.

    >>> between(torch.zeros(2, 3), torch.ones(2, 3)).shape
    torch.Size([2, 3])
    """
    if real.shape != fake.shape:
        raise ValueError(f"real has shape {tuple(real.shape)} but fake {tuple(fake.shape)}")
    share = _uniform(real, (len(real), *(1,) * (real.ndim - 1)), generator)
    return real + share * (fake - real)


def around(real: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Return each sample moved by up to half the batch's standard deviation: where DRAGAN looks.

    This is the authors' code; their paper draws the shift from a normal distribution.

    >>> around(torch.tensor([[0.0], [2.0]])).shape
    torch.Size([2, 1])
    """
    return real + _uniform(real, real.shape, generator) * real.std(correction=0) / 2


def zero_centred_penalty(input: Tensor, *, gamma: Tensor | float = 10.0) -> Tensor:
    """Return γ/2·‖g‖² of each row: R1 at real samples, R2 at fake ones (Mescheder, 2018)."""
    input = promote(input)
    return as_scalar_or_tensor(gamma, input) / 2 * flat_rows(input).square().sum(1)


def gradient_penalty(
    input: Tensor, *, lambda_: Tensor | float = 10.0, k: Tensor | float = 1.0
) -> Tensor:
    """Return λ·(‖g‖ − k)² of each row (Gulrajani et al., 2017)."""
    input = promote(input)
    size = norm(flat_rows(input))
    return as_scalar_or_tensor(lambda_, input) * (size - as_scalar_or_tensor(k, input)).square()


def norm(rows: Tensor) -> Tensor:
    """Return each row's Euclidean norm; its gradient is 0 where the row is, and never NaN."""
    largest = rows.detach().abs().amax(1) if rows.shape[1] else rows.new_zeros(len(rows))
    nought = largest == 0
    scale = largest.masked_fill(nought, 1.0)  # the norm itself does not depend on it
    square = (rows / scale.unsqueeze(1)).square().sum(1)
    return scale * square.masked_fill(nought, 1.0).sqrt().masked_fill(nought, 0.0)


def _uniform(like: Tensor, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    return torch.rand(shape, dtype=like.dtype, device=like.device, generator=generator)
