"""Losses of embeddings (N, D) against learned proxies of the classes, unreduced."""

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, check_classes, tensor_like
from lossmith.functional.classification.multiclass import gather_target, nll
from lossmith.functional.embeddings import cosines, unit_rows
from lossmith.functional.metric_learning.pairs import check_embeddings, log_one_plus

__all__ = ["arc_face", "cos_face", "init_proxies", "nearest_cosines", "proxy_anchor", "proxy_nca"]


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
        rivals = torch.where(_own(cos, classes), torch.finfo(cos.dtype).min, logits)
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
        _own(cos, classes),
    )
    pull = log_one_plus(-alpha * (cos - delta), own, 0)
    return pull, log_one_plus(alpha * (cos + delta), ~own, 0)


def arc_face(
    input: Tensor,
    target: Tensor,
    *,
    proxies: Tensor,
    scale: Tensor | float = 64.0,
    margin: Tensor | float = 0.5,
    centers: int = 1,
) -> Tensor:
    """Return cross-entropy of scale·cos θ with θ + margin for the target's class.

    Beyond θ = π − margin, where cos(θ + margin) would rise again, it is cos θ − margin·sin margin.
    Of several centers a class has, consecutive rows of proxies, the nearest counts.
    """
    cos, classes = class_cosines(input, target, proxies, centers)
    margin = tensor_like(margin, cos)
    own = gather_target(cos, classes)
    rest = 1 - own.square()
    clear = rest > torch.finfo(cos.dtype).eps
    sine = torch.where(clear, torch.where(clear, rest, 1).sqrt(), 0)
    turned = own * margin.cos() - sine * margin.sin()
    held = torch.where(own > -margin.cos(), turned, own - margin * margin.sin())
    return _margin_entropy(cos, classes, held, scale)


def cos_face(
    input: Tensor,
    target: Tensor,
    *,
    proxies: Tensor,
    scale: Tensor | float = 64.0,
    margin: Tensor | float = 0.35,
) -> Tensor:
    """Return cross-entropy of scale·cos θ with cos θ − margin for the target's class."""
    cos, classes = class_cosines(input, target, proxies)
    return _margin_entropy(
        cos, classes, gather_target(cos, classes) - as_scalar_or_tensor(margin, cos), scale
    )


def class_cosines(
    input: Tensor, target: Tensor, proxies: Tensor, centers: int = 1
) -> tuple[Tensor, Tensor]:
    """Check embeddings and classes, and return the cosine to each class's nearest proxy."""
    rows, classes = check_embeddings(input, target)
    if rows.shape[1] != proxies.shape[1]:
        raise ValueError(
            f"input has shape {tuple(input.shape)} but proxies have shape {tuple(proxies.shape)}; "
            "both need as many features"
        )
    cos = nearest_cosines(rows, proxies, centers)
    check_classes(classes, cos.shape[1])
    return cos, classes


def nearest_cosines(rows: Tensor, proxies: Tensor, centers: int = 1) -> Tensor:
    """Return the cosine of each row to the nearest of each class's centers."""
    cos = cosines(rows, proxies.to(rows))
    return cos if centers == 1 else cos.unflatten(1, (-1, centers)).amax(2)


def init_proxies(count: int, features: int) -> Tensor:
    """Return proxies to start from: random directions, the same ones each time."""
    return unit_rows(torch.randn(count, features, generator=torch.Generator().manual_seed(0)))


def _margin_entropy(cos: Tensor, classes: Tensor, held: Tensor, scale: Tensor | float) -> Tensor:
    own = _own(cos, classes)
    logits = as_scalar_or_tensor(scale, cos) * torch.where(own, held.unsqueeze(1), cos)
    return nll(logits, classes)


def _own(cos: Tensor, classes: Tensor) -> Tensor:
    return torch.arange(cos.shape[1], device=cos.device) == classes.unsqueeze(1)
