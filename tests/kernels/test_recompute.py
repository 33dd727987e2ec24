"""Derivatives that fast paths leave to the plain form: of dependent arguments, batched, forward."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from lossmith import LogCosh, find
from lossmith import functional as F
from lossmith.functional import similarity
from lossmith.functional.classification import linear as functional_linear
from lossmith.functional.similarity import log_sums, softplus_sums
from lossmith.kernels import blocks, devices, explain, products, softplus
from lossmith.kernels.value_and_grad import value_and_grad

N, D = 11, 3
ROWS = torch.arange(N)[:, None]
TARGET = torch.arange(N) % 5


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small problems take every fast path."""
    monkeypatch.setattr(similarity, "FEW_PRODUCTS", 0)
    monkeypatch.setattr(devices, "CPU", devices.CPU._replace(tile=4))
    for few in ("FEW_LOGITS", "FEW_CLASSES"):
        monkeypatch.setattr(functional_linear, few, 0)
    monkeypatch.setattr(blocks, "BLOCK", 4)
    monkeypatch.setattr(blocks, "FEW", 0)


def rows() -> Tensor:
    drawn = torch.randn(N, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return drawn.requires_grad_()


def one_graph(x: Tensor) -> Tensor:
    loss = LogCosh()
    loss.compile(backend="eager")
    return loss(x, x.square())


def tied(x: Tensor) -> Tensor:
    return F.linear_cross_entropy(x.tanh()[:5], x, TARGET[:5])


BIAS = torch.zeros(()).double()
# Functions of one tensor that hand two arguments to a fast path, the same or of each other.
DEPENDENT: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "log_sums": (
        lambda x: log_sums(x, x, ROWS, columns=True)[1],
        lambda x: products.reference(x, x, ROWS, True)[1],
    ),
    "softplus_sums": (
        lambda x: softplus_sums(x, x.tanh(), BIAS, ROWS),
        lambda x: softplus.reference(x, x.tanh(), BIAS, ROWS),
    ),
    "linear": (
        tied,
        lambda x: torch.nn.functional.cross_entropy(
            x.tanh()[:5] @ x.T, TARGET[:5], reduction="none"
        ),
    ),
    "one_graph": (one_graph, lambda x: F.log_cosh(x, x.square()).mean()),
}


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("case", DEPENDENT)
def test_arguments_that_depend_on_each_other(case: str) -> None:
    found = []
    for function in DEPENDENT[case]:
        x = rows()
        (slope,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
        found.append((slope, *torch.autograd.grad(slope.square().sum(), x)))
    for mine, plain in zip(*found, strict=True):
        torch.testing.assert_close(mine, plain)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("case", DEPENDENT)
def test_several_gradients_at_once(case: str) -> None:
    found = []
    for function in DEPENDENT[case]:
        x = rows()
        value = function(x)
        seeds = torch.stack([torch.ones_like(value), torch.full_like(value, -2.0)])
        found.append(torch.autograd.grad(value, x, seeds, is_grads_batched=True)[0])
    torch.testing.assert_close(*found)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("key", ["log_cosh", "nt_xent", "clip", "siglip"])
def test_derivatives_carried_forward(key: str) -> None:
    loss, (x, ahead) = find()[key](), (rows().detach(), rows().detach().cos())
    target = x.flip(0)
    with forward_ad.dual_level():
        value = loss(forward_ad.make_dual(x, ahead), target)
        tangent = forward_ad.unpack_dual(value).tangent
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(leaf, target), leaf)
    torch.testing.assert_close(tangent, (slope * ahead).sum())
    assert explain(loss, leaf, target)[-1].fast


@pytest.mark.usefixtures("fast")
def test_rows_of_no_known_weight_have_gradients_too() -> None:
    known = (torch.arange(N) % 2).double()
    found = []
    for sums in (
        lambda x, y: softplus_sums(x, y, BIAS, ROWS, row_weight=known),
        lambda x, y: softplus.reference(x, y, BIAS, ROWS),
    ):
        left, right = rows(), rows()
        found.append(torch.autograd.grad(sums(left, right).mean(), (left, right)))
    for mine, plain in zip(*found, strict=True):
        torch.testing.assert_close(mine, plain)


@pytest.mark.parametrize("readable", [True, False])
def test_no_gradient_from_above_is_looked_at_where_that_would_wait(
    readable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "readable", lambda tensor: readable)
    looks: list[int] = []

    class Watched(torch.Tensor):
        def __bool__(self) -> bool:
            looks.append(1)
            return bool(self.detach().as_subclass(Tensor))

    x = rows().detach().requires_grad_()
    value = value_and_grad(lambda x: (x.sum(), [torch.ones_like(x)]), torch.sum, x)
    (found,) = torch.autograd.grad(value, x, torch.tensor(2.0).double().as_subclass(Watched))
    assert torch.equal(found.as_subclass(Tensor), torch.full_like(x, 2.0))
    assert bool(looks) == readable
