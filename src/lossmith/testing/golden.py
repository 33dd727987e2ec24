"""Golden values: what a reference implementation gave, and how far a loss is from it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lossmith.catalogue.lookup import from_config
from lossmith.catalogue.names import loss_class
from lossmith.core import Loss
from lossmith.core.tree import tree_leaves, tree_map
from lossmith.testing.draws import as_tensors


@dataclass(frozen=True, kw_only=True)
class Golden:
    """One loss beside one reference: the cases, and where the two are meant to differ.

    loss: the key. reference, version: the package, or the repository and its commit. call: what
    was called, and how its result was brought to lossmith's mean. deviation: where lossmith
    differs on purpose, and why. tolerance: largest relative difference allowed. Each case has
    `arguments`, `input`, `target`, `value`, and where they apply `weight`, `state` (learned
    numbers by name) and `gradient` (of the input, in its form).
    """

    loss: str
    reference: str
    version: str
    call: str
    cases: tuple[Mapping[str, Any], ...]
    deviation: str = ""
    tolerance: float = 1e-6

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Golden":
        """Return the entry that plain data describes."""
        return cls(**{**document, "cases": tuple(document["cases"])})


def read(path: str | os.PathLike[str]) -> list[Golden]:
    """Read a file of golden values: a JSON list of entries."""
    return [Golden.of(one) for one in json.loads(Path(path).read_text(encoding="utf-8"))]


def differences(entry: Golden) -> tuple[float, float]:
    """Return the largest relative differences of value and gradient over an entry's cases."""
    found = [_difference(entry, case) for case in entry.cases]
    return max(value for value, _ in found), max(gradient for _, gradient in found)


def _difference(entry: Golden, case: Mapping[str, Any]) -> tuple[float, float]:
    loss, card = _loss(entry, case), loss_class(entry.loss).card
    input = tree_map(_leaf, as_tensors(card.input, case["input"]))
    weight = torch.tensor(case["weight"], dtype=torch.float64) if "weight" in case else None
    value = loss(input, as_tensors(card.target, case.get("target")), weight=weight)
    stated = case["value"]
    off = abs(value.item() - stated) / max(abs(stated), 1e-3)
    if "gradient" not in case:
        return off, 0.0
    leaves = [leaf for leaf in tree_leaves(input) if leaf.is_floating_point()]
    slopes = torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True)
    expected = list(tree_leaves(as_tensors(card.input, case["gradient"])))
    size = max(1e-3, *(one.abs().max().item() for one in expected))
    gaps = ((a - b).abs().max().item() for a, b in zip(slopes, expected, strict=True))
    return off, max(gaps) / size


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.double().requires_grad_() if tensor.is_floating_point() else tensor


def _loss(entry: Golden, case: Mapping[str, Any]) -> Loss:
    config = {"loss": entry.loss, "arguments": case.get("arguments", {})}
    return from_config({**config, "state": case["state"]} if "state" in case else config)
