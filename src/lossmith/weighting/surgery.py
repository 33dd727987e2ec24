"""Gradient surgery by torchjd: conflicting gradients are combined, not weighted."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

METHODS = {
    "upgrad": "UPGrad",
    "pcgrad": "PCGrad",
    "mgda": "MGDA",
    "cagrad": "CAGrad",
    "nash_mtl": "NashMTL",
}


def surgery_backward(
    terms: Mapping[str, Tensor],
    features: Tensor | Sequence[Tensor],
    *,
    shared: Iterable[nn.Parameter],
    method: str = "upgrad",
    **options: Any,
) -> None:
    """Differentiate the terms of a hybrid, with their gradients on shared parameters combined.

    It takes the place of `loss.backward()`; `optimizer.step()` follows as always. Heads receive
    the gradient of their own term.

    Args:
        terms: from `loss.terms(output, target)`.
        features: the last representation that all terms share.
        shared: the parameters that make the features.
        method: "upgrad", "pcgrad", "mgda", "cagrad" or "nash_mtl".
        options: the aggregator's own arguments, such as c of CAGrad or n_tasks of Nash-MTL.

    Raises:
        ImportError: if torchjd is not installed.
        ValueError: if there is no such method.

    Source: UPGrad: Quinton & Rey, Jacobian Descent for Multi-Objective Optimization (2024);
    PCGrad: Yu et al. (2020); MGDA: Désidéri (2012); CAGrad: Liu et al. (2021); Nash-MTL: Navon et
    al. (2022).
    """
    if method not in METHODS:
        raise ValueError(f"no method is called {method!r}; there are {', '.join(METHODS)}")
    try:
        from torchjd import aggregation
        from torchjd.autojac import jac_to_grad, mtl_backward
    except ModuleNotFoundError as error:
        raise ImportError(
            "gradient surgery needs torchjd; install it with: pip install 'lossmith[surgery]'"
        ) from error
    parameters = list(shared)
    aggregator = getattr(aggregation, METHODS[method])(**options)
    # Terms may share a head's graph, which must last until the last of them.
    mtl_backward(
        list(terms.values()), features=features, shared_params=parameters, retain_graph=True
    )
    jac_to_grad(parameters, aggregator)
