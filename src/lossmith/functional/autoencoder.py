"""Losses of autoencoders: variational, quantised, masked."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from lossmith.functional.binary.elementwise import binary_cross_entropy
from lossmith.functional.checks import (
    as_scalar_or_tensor,
    promote,
    same_rows,
    same_shape,
    tensor_like,
)
from lossmith.functional.embeddings import magnitude
from lossmith.functional.regression.point import smooth_l1

__all__ = [
    "bernoulli_elbo",
    "beta_tc",
    "gaussian_elbo",
    "gaussian_kl",
    "latent_prediction",
    "masked_reconstruction",
    "sampled",
    "straight_through",
    "vector_quantisation",
]

Parts = Mapping[str, Tensor]
FAR = 1e15  # densities are held where their differences are still numbers


def bernoulli_elbo(
    input: Parts, target: Tensor, *, beta: Tensor | float = 1.0
) -> dict[str, Tensor]:
    """Return −log p(target | logits "reconstruction") and beta·KL of each row."""
    named = _posterior(input)
    values = binary_cross_entropy(named["reconstruction"], target)
    return {"reconstruction": _total(values), **_divergence(named, beta)}


def gaussian_elbo(
    input: Parts,
    target: Tensor,
    *,
    beta: Tensor | float = 1.0,
    variance: Tensor | float = 1.0,
) -> dict[str, Tensor]:
    """Return −log p(target | mean "reconstruction", variance) and beta·KL of each row."""
    named = _posterior(input)
    output, target = same_shape(named["reconstruction"], target)
    width = tensor_like(variance, output)
    values = ((output - target).square() / width + (2 * math.pi * width).log()) / 2
    return {"reconstruction": _total(values), **_divergence(named, beta)}


def gaussian_kl(input: Parts) -> Tensor:
    """Return KL(N(mean, variance) ‖ N(0, 1)) of each latent number."""
    named = _posterior(input)
    log_variance = named["log_variance"]
    return (named["mean"].square() + log_variance.exp() - 1 - log_variance) / 2


def beta_tc(
    input: Parts,
    *,
    size: int,
    alpha: Tensor | float = 1.0,
    beta: Tensor | float = 6.0,
    gamma: Tensor | float = 1.0,
    sampling: str = "weighted",
) -> dict[str, Tensor]:
    """Return alpha·mutual information, beta·total correlation and gamma·dimension-wise KL.

    "sample" (N, K) was drawn of each row's posterior. The densities of the whole data set of
    `size` rows are estimated from the batch (Chen et al., 2018).
    """
    named = _posterior(input)
    sample, mean, log_variance = (named[name] for name in ("sample", "mean", "log_variance"))
    if sample.ndim != 2:
        raise ValueError(f"sample has shape {tuple(sample.shape)}; it must be (N, K)")
    each = _log_normal(sample.unsqueeze(1), mean.unsqueeze(0), log_variance.unsqueeze(0))
    share = _log_shares(sample.shape[0], size, sampling, each)
    joint = (each.sum(2) + share).logsumexp(1)
    product = (each + share.unsqueeze(2)).logsumexp(1).sum(1)
    own = _log_normal(sample, mean, log_variance).sum(1)
    prior = _log_normal(sample, torch.zeros_like(mean), torch.zeros_like(mean)).sum(1)
    return {
        "mutual_information": as_scalar_or_tensor(alpha, own) * (own - joint),
        "total_correlation": as_scalar_or_tensor(beta, own) * (joint - product),
        "dimension_kl": as_scalar_or_tensor(gamma, own) * (product - prior),
    }


def vector_quantisation(input: Parts, *, beta: Tensor | float = 0.25) -> dict[str, Tensor]:
    """Return (sg[encoded] − code)² and beta·(encoded − sg[code])² (van den Oord et al., 2017)."""
    named = same_rows({name: promote(part) for name, part in input.items()}, shapes=True)
    encoded, code = named["encoded"], named["code"]
    held = (encoded - code.detach()).square()
    return {
        "codebook": (encoded.detach() - code).square(),
        "commitment": as_scalar_or_tensor(beta, encoded) * held,
    }


def straight_through(encoded: Tensor, code: Tensor) -> Tensor:
    """Return the code, whose gradient goes to what was encoded as if nothing had been rounded.

    >>> encoded = torch.tensor([0.4], requires_grad=True)
    >>> straight_through(encoded, torch.tensor([1.0]))
    tensor([1.], grad_fn=<AddBackward0>)
    """
    encoded, code = same_shape(encoded, code)
    return encoded + (code - encoded).detach()


def sampled(
    mean: Tensor, log_variance: Tensor, *, generator: torch.Generator | None = None
) -> Tensor:
    """Return a differentiable draw of N(mean, variance): the reparametrisation trick.

    >>> sampled(torch.zeros(2, 3), torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    mean, log_variance = same_shape(mean, log_variance)
    noise = torch.randn(mean.shape, dtype=mean.dtype, device=mean.device, generator=generator)
    return mean + (log_variance / 2).exp() * noise


def _posterior(input: Parts) -> dict[str, Tensor]:
    """Check that all rows agree, and that all latent tensors have one shape."""
    named = same_rows({name: promote(part) for name, part in input.items()})
    latent = {name: part for name, part in named.items() if name != "reconstruction"}
    return {**named, **same_rows(latent, shapes=True)}


def _divergence(named: Parts, beta: Tensor | float) -> dict[str, Tensor]:
    latent = {name: named[name] for name in ("mean", "log_variance")}
    total = _total(gaussian_kl(latent))
    return {"divergence": as_scalar_or_tensor(beta, total) * total}


def _total(values: Tensor) -> Tensor:
    return values.flatten(1).sum(1) if values.ndim > 1 else values


def _log_normal(value: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    log_variance = log_variance.clamp(-FAR, FAR)
    narrow = (-log_variance / 2).clamp(max=40).exp()
    scaled = ((value - mean).clamp(-FAR, FAR) * narrow).clamp(-FAR, FAR)
    return -(scaled.square() + log_variance + math.log(2 * math.pi)) / 2


def _log_shares(rows: int, size: int, sampling: str, like: Tensor) -> Tensor:
    """Return the log weight (N, N) of each row's posterior in the estimate at each sample."""
    if sampling == "weighted":
        return -like.new_full((rows, rows), max(rows, 1) * size).log()
    others = (1 - 1 / size) / max(rows - 1, 1)
    share = like.new_full((rows, rows), others)
    return share.diagonal_scatter(like.new_full((rows,), 1 / size)).log()


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
