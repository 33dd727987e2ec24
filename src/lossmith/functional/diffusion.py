"""Losses of diffusion, flows and consistency models, unreduced, and the pairs they train on.

Noise levels are one number a row: a noisy sample is alpha·clean + sigma·noise, and its
signal-to-noise ratio is SNR = alpha²/sigma².
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    flat_rows,
    promote,
    same_shape,
    tensor_like,
)

__all__ = ["consistency", "denoised", "denoising", "flow_matching", "interpolant", "noised"]

Pair = Mapping[str, Tensor]
FAR = 1e30  # the SNR is held within 1/FAR and FAR, so that no weight is 0/0


def noised(clean: Tensor, noise: Tensor, *, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return alpha·clean + sigma·noise, one noise level a row.

    >>> one = torch.ones(2, 3)
    >>> noised(one, one, alpha=torch.tensor([1.0, 0.6]), sigma=torch.tensor([0.0, 0.8]))[:, 0]
    tensor([1.0000, 1.4000])
    """
    levels = {"alpha": alpha, "sigma": sigma}
    parts = _fitting(clean, {"noise": noise}, levels)
    return _wide(parts["alpha"], clean) * clean + _wide(parts["sigma"], clean) * parts["noise"]


def denoised(
    output: Tensor, noisy: Tensor, *, alpha: Tensor, sigma: Tensor, prediction: str
) -> Tensor:
    """Return the clean sample that a network's output stands for, given the noisy one.

    >>> clean, noise, level = torch.ones(1, 2), torch.zeros(1, 2), torch.tensor([0.5])
    >>> noisy = noised(clean, noise, alpha=level, sigma=level)
    >>> denoised(noise, noisy, alpha=level, sigma=level, prediction="eps")
    tensor([[1., 1.]])
    """
    parts = _fitting(output, {"noisy": noisy}, {"alpha": alpha, "sigma": sigma})
    alpha, sigma = (_wide(parts[name], output) for name in ("alpha", "sigma"))
    if prediction == "x0":
        return output
    if prediction == "eps":
        return (parts["noisy"] - sigma * output) / alpha
    square = alpha.square() + sigma.square()
    return (alpha * parts["noisy"] - sigma * square.sqrt() * output) / square


def denoising(
    input: Tensor,
    target: Pair,
    *,
    prediction: str = "eps",
    weighting: str = "uniform",
    gamma: Tensor | float = 5.0,
    sigma_data: Tensor | float = 0.5,
    p2_k: Tensor | float = 1.0,
    p2_gamma: Tensor | float = 1.0,
) -> Tensor:
    """Return the weighted squared error of each element of a network's output."""
    input = promote(input)
    parts = _fitting(input, _either(target, "clean", "noise"), _either(target, "alpha", "sigma"))
    ratio = parts["alpha"] / parts["sigma"]
    error = (input - _aim(parts, ratio, prediction, input)).square()
    if weighting == "uniform":
        return error
    snr = ratio.square().clamp(1 / FAR, FAR)
    weight = _weight(
        snr,
        weighting,
        gamma=as_scalar_or_tensor(gamma, input),
        sigma_data=as_scalar_or_tensor(sigma_data, input),
        p2_k=as_scalar_or_tensor(p2_k, input),
        p2_gamma=as_scalar_or_tensor(p2_gamma, input),
    )
    # An error of x0 is 1/SNR of one of eps squared, and 1/(SNR + 1) of one of v.
    per_x0 = {"eps": snr, "v": snr + 1}.get(prediction)
    return _wide(weight if per_x0 is None else weight / per_x0, input) * error


def flow_matching(input: Tensor, target: Pair, *, sigma_min: Tensor | float = 0.0) -> Tensor:
    """Return (x − (clean − (1 − sigma_min)·noise))² of each element (Lipman et al., 2023)."""
    input = promote(input)
    parts = _fitting(input, _either(target, "clean", "noise"), {})
    velocity = parts["clean"] - (1 - as_scalar_or_tensor(sigma_min, input)) * parts["noise"]
    return (input - velocity).square()


def interpolant(
    clean: Tensor, noise: Tensor, *, time: Tensor, sigma_min: Tensor | float = 0.0
) -> Tensor:
    """Return (1 − (1 − sigma_min)·t)·noise + t·clean: noise at time 0, the sample at time 1.

    >>> interpolant(torch.ones(1, 2), torch.zeros(1, 2), time=torch.tensor([0.25]))
    tensor([[0.2500, 0.2500]])
    """
    parts = _fitting(clean, {"noise": noise}, {"time": time})
    t = _wide(parts["time"], clean)
    return (1 - (1 - as_scalar_or_tensor(sigma_min, clean)) * t) * parts["noise"] + t * clean


def consistency(
    input: Tensor,
    target: Pair,
    *,
    distance: str = "squared",
    c: Tensor | float | None = None,
) -> Tensor:
    """Return each row's distance to the teacher's output, divided by the gap if there is one."""
    input, teacher = same_shape(input, target["teacher"].detach())
    gap = flat_rows(input - teacher)
    if distance == "squared":
        value = gap.square().sum(1)
    else:
        value = _pseudo_huber(gap, 0.00054 * gap.shape[1] ** 0.5 if c is None else c)
    if "gap" not in target:
        return value
    return value / _fitting(input, {}, {"gap": target["gap"]})["gap"]


def _pseudo_huber(rows: Tensor, c: Tensor | float) -> Tensor:
    """Return √(‖row‖² + c²) − c without cancelling, and without overflow below the result's."""
    c = tensor_like(c, rows)
    largest = rows.detach().abs().amax(1) if rows.shape[1] else rows.new_zeros(len(rows))
    scale = torch.maximum(largest, c)  # the value itself does not depend on it
    square, part = (rows / scale.unsqueeze(1)).square().sum(1), c / scale
    return scale * (square / ((square + part.square()).sqrt() + part))


def _aim(parts: Pair, ratio: Tensor, prediction: str, like: Tensor) -> Tensor:
    if prediction == "eps":
        return parts["noise"]
    if prediction == "x0":
        return parts["clean"]
    length = torch.hypot(ratio, torch.ones_like(ratio))  # of (alpha, sigma)/sigma
    share = _wide(ratio / length, like), _wide(1 / length, like)
    return share[0] * parts["noise"] - share[1] * parts["clean"]


def _weight(snr: Tensor, weighting: str, **hypers: Tensor | float) -> Tensor:
    """Return the weight of a squared error of x0."""
    if weighting == "truncated_snr":
        return snr.clamp(min=1)
    if weighting == "min_snr":
        return torch.minimum(snr, tensor_like(hypers["gamma"], snr))
    if weighting == "edm":
        return snr + hypers["sigma_data"] ** -2
    if weighting == "p2":
        return snr / (hypers["p2_k"] + snr) ** hypers["p2_gamma"]
    return snr


def _either(target: Pair, *names: str) -> dict[str, Tensor]:
    return {name: target[name] for name in names}


def _fitting(input: Tensor, alike: Pair, levels: Pair) -> dict[str, Tensor]:
    """Check tensors of input's shape and levels of one number a row; return all in its dtype."""
    for name, part in (*alike.items(), *levels.items()):
        shape = tuple(input.shape if name in alike else input.shape[:1])
        if tuple(part.shape) != shape:
            raise ValueError(
                f"{name} has shape {tuple(part.shape)} but input of shape {tuple(input.shape)} "
                f"needs {shape}; nothing is broadcast"
            )
    return {name: part.to(input.dtype) for name, part in (*alike.items(), *levels.items())}


def _wide(level: Tensor, like: Tensor) -> Tensor:
    return level.reshape(-1, *(1,) * (like.ndim - 1))
