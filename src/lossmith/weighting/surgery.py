"""Gradient surgery by torchjd: conflicting gradients are combined, not weighted."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
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
        options: the method's own arguments. CAGrad demands c, how far the step may lie from the
            mean gradient: 0 is plain averaging, the authors run 0.4 to 0.9. Nash-MTL starts
            afresh at each call, with as many tasks as there are terms.

    Raises:
        ImportError: if torchjd is not installed.
        TypeError: if the method lacks an option that it needs, or has no such option.
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
    aggregator = _built(method, getattr(aggregation, METHODS[method]), len(terms), options)
    # Terms may share a head's graph, which must last until the last of them.
    mtl_backward(
        list(terms.values()), features=features, shared_params=parameters, retain_graph=True
    )
    jac_to_grad(parameters, aggregator)


def _built(method: str, kind: Callable[..., Any], terms: int, options: dict[str, Any]) -> Any:
    """Return a method's aggregator; TypeError where options are missing or unknown."""
    known = inspect.signature(kind).parameters
    given = {"n_tasks": terms, **options} if "n_tasks" in known else options
    needed = [name for name, one in known.items() if one.default is one.empty]
    missing = [name for name in needed if name not in given]
    unknown = [name for name in given if name not in known]
    if missing or unknown:
        raise TypeError(
            f"surgery_backward: the options of {method} are {', '.join(known) or 'none'}; "
            f"missing: {', '.join(missing) or 'none'}, unknown: {', '.join(unknown) or 'none'}"
        )
    return kind(**given)
