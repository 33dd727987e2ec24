"""What Python may look at spares work, and changes no value: the plain forms agree."""

from importlib import import_module

import pytest
import torch

from lossmith import MSE, find, functional
from lossmith.testing.cases import Case

HEADS = [
    key
    for key, kind in find().items()
    if kind.card.trains_head and kind.reduction == "mean" and "loss" not in kind.hyperparameters
]


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what tensors hold, as on a GPU."""
    places = ("checks", "binary.elementwise", "regression.robust")
    for name in (*(f"functional.{place}" for place in places), "core.reduce"):
        monkeypatch.setattr(import_module(f"lossmith.{name}"), "is_concrete", lambda tensor: False)


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e12])
@pytest.mark.parametrize("key", HEADS)
def test_values_and_gradients_agree(key: str, scale: float, request: pytest.FixtureRequest) -> None:
    kind = find()[key]
    case = Case(kind(**kind.card.example.arguments))
    batch = case.inputs(scale=scale), case.targets()
    seen, slopes = case.slopes(*batch)
    request.getfixturevalue("unseen")
    plain, others = case.slopes(*batch)
    for mine, theirs in zip([seen, *slopes], [plain, *others], strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("label", [0.0, 0.3, 0.5, 1.0])
def test_labels_between_mix_the_values_of_both(label: float) -> None:
    input = torch.linspace(-30, 30, 7, dtype=torch.float64)
    for value in (
        lambda x, y: functional.binary_cross_entropy(x, y, positive_weight=3.0),
        lambda x, y: functional.binary_focal(x, y, gamma=2.0, alpha=0.25),
        functional.hinge,
    ):
        target = torch.full_like(input, label)
        below, above = value(input, torch.zeros_like(input)), value(input, torch.ones_like(input))
        assert torch.allclose(value(input, target), label * above + (1 - label) * below)


def test_gradients_of_labels() -> None:
    target = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    input = torch.tensor([2.0, 2.0], dtype=torch.float64)
    value = functional.binary_cross_entropy(input, target).sum()
    (slope,) = torch.autograd.grad(value, target)
    assert torch.allclose(slope, -input)


def test_a_mask_that_keeps_all_still_has_to_fit() -> None:
    x = torch.ones(3)
    assert MSE()(x, 0 * x, weight=torch.ones(3, dtype=torch.bool)) == 1
    with pytest.raises(ValueError, match="weight has shape"):
        MSE()(x, 0 * x, weight=torch.ones(2, dtype=torch.bool))
