"""Losses of costs and scores by what a solver decides on them, unreduced: one value a row."""

from collections.abc import Mapping

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, clamp_if_outside, promote, same_rows

__all__ = ["perturbed_fenchel_young", "spo_plus"]


def spo_plus(input: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
    """Return (2·ĉ − c)·(w − w'), w the best for c and w' for 2·ĉ − c (Elmachtoub & Grigas, 2022).

    Shapes: costs ĉ, c and solutions w', w, all (N, D), of a problem that minimizes cost·w.
    """
    parts = {name: promote(one) for name, one in input.items()}
    parts |= {f"target's {name}": one.to(parts["cost"].dtype) for name, one in target.items()}
    rows = same_rows(parts, shapes=True)
    _check_rows(rows["cost"])
    apart = _held(rows["target's solution"] - rows["solution"])
    return _dot(2 * apart, rows["cost"]) - _dot(apart, rows["target's cost"])


def perturbed_fenchel_young(
    input: Mapping[str, Tensor], target: Tensor, *, sigma: Tensor | float = 1.0
) -> Tensor:
    """Return the mean of (θ + sigma·z)·s over samples, less θ·y (Berthet et al., 2020).

    Shapes: scores θ and solutions y (N, D); noise z and the solutions s that are the best for
    θ + sigma·z, in a problem that maximizes score·s, (N, M, D).
    """
    given = same_rows({name: promote(one) for name, one in input.items()})
    score, noise, made = given["score"], given["noise"], given["solution"]
    _check_rows(score)
    truth = target.to(score.dtype)
    lead = (*score.shape[:1], noise.shape[1] if noise.ndim > 1 else 0, *score.shape[1:])
    if not noise.shape == made.shape == lead or truth.shape != score.shape or 0 in lead[1:]:
        raise ValueError(
            f"score has shape {tuple(score.shape)}, target {tuple(truth.shape)}, noise "
            f"{tuple(noise.shape)} and solution {tuple(made.shape)}; they must be (N, D), (N, D), "
            "(N, M, D) and (N, M, D)"
        )
    told = _dot(made, _held(as_scalar_or_tensor(sigma, noise) * noise)).mean(1)
    return told + _dot(_held(made.mean(1) - truth), score)


def _check_rows(rows: Tensor) -> None:
    """Raise ValueError unless there are rows of numbers."""
    if rows.ndim != 2:
        raise ValueError(f"input has shape {tuple(rows.shape)}; it must be rows (N, D)")


def _held(values: Tensor, share: int = 16) -> Tensor:
    """Return values within a share of what the dtype holds."""
    most = torch.finfo(values.dtype).max / share
    return clamp_if_outside(values, -most, most)


def _dot(first: Tensor, second: Tensor) -> Tensor:
    """Return the inner product of rows, below infinity."""
    return _held(first * second, 16 * max(first.shape[-1], 1)).sum(-1)
