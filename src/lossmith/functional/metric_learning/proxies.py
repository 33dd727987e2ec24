"""Losses of embeddings (N, D) against learned proxies of the classes, unreduced."""

import torch
from torch import Tensor

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    check_classes,
    divisor,
    matmul_full_precision,
    promote,
)
from lossmith.functional.classification.multiclass import gather_target, nll
from lossmith.functional.embeddings import cosines, unit_rows
from lossmith.functional.metric_learning.pairs import check_embeddings, log_one_plus

__all__ = [
    "init_proxies",
    "nearest_cosines",
    "proxy_anchor",
    "proxy_nca",
    "soft_cosines",
    "soft_triple",
]


def proxy_nca(
    input: Tensor,
    target: Tensor,
    *,
    proxies: Tensor,
    temperature: Tensor | float = 1.0,
    include_positive: bool = False,
) -> Tensor:
    """Return −log(e^{−d_y/temperature} / Σ_{c≠y} e^{−d_c/temperature}), d squared on the sphere.

    With include_positive the sum is over all classes: ProxyNCA++.
    """
    cos, classes = class_cosines(input, target, proxies)
    logits = 2 * cos / as_scalar_or_tensor(temperature, cos)
    rivals = logits
    if not include_positive:
        rivals = torch.where(own_class(cos, classes), torch.finfo(cos.dtype).min, logits)
    return rivals.logsumexp(1) - gather_target(logits, classes)


def proxy_anchor(
    input: Tensor,
    target: Tensor,
    *,
    proxies: Tensor,
    alpha: Tensor | float = 32.0,
    delta: Tensor | float = 0.1,
) -> tuple[Tensor, Tensor]:
    """Return two values a proxy, over the rows of its class and over the others.

    They are log(1 + Σ e^{−alpha(s − delta)}) and log(1 + Σ e^{alpha(s + delta)}).
    """
    cos, classes = class_cosines(input, target, proxies)
    alpha, delta, own = (
        as_scalar_or_tensor(alpha, cos),
        as_scalar_or_tensor(delta, cos),
        own_class(cos, classes),
    )
    pull = log_one_plus(-alpha * (cos - delta), own, 0)
    return pull, log_one_plus(alpha * (cos + delta), ~own, 0)


def soft_triple(
    input: Tensor,
    target: Tensor,
    *,
    proxies: Tensor,
    centers: int,
    scale: Tensor | float = 20.0,
    gamma: Tensor | float = 0.1,
    margin: Tensor | float = 0.01,
    tau: Tensor | float = 0.2,
) -> dict[str, Tensor]:
    """Return cross-entropy of soft nearest centers with a margin, and how far centers are apart.

    The similarity to a class is Σ_k softmax(s/gamma)_k s_k over its centers (Qian et al., 2019).
    """
    cos, classes = center_cosines(input, target, proxies, centers)
    alike = _soft_nearest(cos, gamma)
    held = gather_target(alike, classes) - as_scalar_or_tensor(margin, cos)
    value = margin_entropy(alike, classes, held, scale)
    apart = as_scalar_or_tensor(tau, cos) * _mean_distance(proxies.to(cos), centers)
    return {"classes": value, "centers": apart.expand_as(value)}


def soft_cosines(input: Tensor, proxies: Tensor, *, centers: int, gamma: Tensor | float) -> Tensor:
    """Return SoftTriple's similarity of each row to each class, (N, C)."""
    rows = promote(input)
    return _soft_nearest(_by_center(rows, proxies, centers), gamma)


def _soft_nearest(cos: Tensor, gamma: Tensor | float) -> Tensor:
    return ((cos / divisor(gamma, cos)).softmax(2) * cos).sum(2)


def _mean_distance(proxies: Tensor, centers: int) -> Tensor:
    """Return half the mean distance between unit centers of one class, 0 where each has one."""
    each = unit_rows(proxies).unflatten(0, (-1, centers))
    cos = matmul_full_precision(each, each.transpose(1, 2))
    pairs = torch.ones_like(cos[0]).triu(1)
    # The authors' floor: centers that coincide have a finite gradient.
    gap = (2 + 1e-5 - 2 * cos).clamp(min=1e-5).sqrt()
    return (gap * pairs).sum() / (len(each) * max(centers * (centers - 1), 1))


def class_cosines(
    input: Tensor, target: Tensor, proxies: Tensor, centers: int = 1
) -> tuple[Tensor, Tensor]:
    """Check embeddings and classes, and return the cosine to each class's nearest center."""
    cos, classes = center_cosines(input, target, proxies, centers)
    return _nearest(cos), classes


def center_cosines(
    input: Tensor, target: Tensor, proxies: Tensor, centers: int
) -> tuple[Tensor, Tensor]:
    """Check embeddings and classes, and return the cosine to each class's centers, (N, C, K)."""
    rows, classes = check_embeddings(input, target)
    if rows.shape[1] != proxies.shape[1]:
        raise ValueError(
            f"input has shape {tuple(input.shape)} but proxies have shape {tuple(proxies.shape)}; "
            "both need as many features"
        )
    cos = _by_center(rows, proxies, centers)
    check_classes(classes, cos.shape[1])
    return cos, classes


def nearest_cosines(rows: Tensor, proxies: Tensor, centers: int = 1) -> Tensor:
    """Return the cosine of each row to the nearest of each class's centers."""
    return _nearest(_by_center(rows, proxies, centers))


def _by_center(rows: Tensor, proxies: Tensor, centers: int) -> Tensor:
    """Return the cosine of each row to each class's centers, (N, C, K)."""
    return cosines(rows, proxies.to(rows)).unflatten(1, (-1, centers))


def _nearest(cos: Tensor) -> Tensor:
    return cos.squeeze(2) if cos.shape[2] == 1 else cos.amax(2)


def init_proxies(count: int, features: int) -> Tensor:
    """Return proxies to start from: random directions, the same ones each time."""
    return unit_rows(torch.randn(count, features, generator=torch.Generator().manual_seed(0)))


def margin_entropy(cos: Tensor, classes: Tensor, held: Tensor, scale: Tensor | float) -> Tensor:
    """Return cross-entropy of scaled cosines, the own class's one replaced by what is held."""
    own = own_class(cos, classes)
    logits = as_scalar_or_tensor(scale, cos) * torch.where(own, held.unsqueeze(1), cos)
    return nll(logits, classes)


def own_class(cos: Tensor, classes: Tensor) -> Tensor:
    """Return where a class is the target's, (N, C)."""
    return torch.arange(cos.shape[1], device=cos.device) == classes.unsqueeze(1)
