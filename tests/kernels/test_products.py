"""Sums over all products of rows: the tiled path equals the plain one."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lossmith.functional import similarity
from lossmith.functional.similarity import log_sums, softplus_sums
from lossmith.kernels import devices, explain, products, softplus

N, M, D = 23, 17, 4


@pytest.fixture(params=["cpu", "device"])
def tiled(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small problems take the tiled path, in tiles of 8, as on a CPU or where none looks."""
    monkeypatch.setattr(similarity, "FEW_PRODUCTS", 0)
    monkeypatch.setattr(devices, "readable", lambda tensor: request.param == "cpu")
    monkeypatch.setattr(devices, "CPU", devices.CPU._replace(tile=8))


def rows(count: int, dtype: torch.dtype = torch.float64, scale: float = 1.0) -> Tensor:
    g = torch.Generator().manual_seed(count)
    drawn = torch.randn(count, D, generator=g, dtype=torch.float64)
    return (scale * drawn).to(dtype).requires_grad_()


def partners(count: int) -> Tensor:
    """Itself and another row, mutually."""
    own = torch.arange(count)
    return torch.stack([own, (own ^ 1).clamp(max=count - 1)], 1)


def weighed(sums: tuple[Tensor, ...]) -> Tensor:
    return sum(((1 + torch.arange(len(one))) * one).sum() for one in sums)  # type: ignore[return-value]


CASES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "among": (
        lambda a, b: log_sums(a, None, partners(len(a))),
        lambda a, b: products.reference(a, None, partners(len(a)), False),
    ),
    "rows": (
        lambda a, b: log_sums(a, b, partners(len(a))[:, 1:]),
        lambda a, b: products.reference(a, b, _inside(partners(len(a))[:, 1:], b), False),
    ),
    "columns": (
        lambda a, b: log_sums(a[:M], b, partners(len(a[:M]))[:, :1], columns=True),
        lambda a, b: products.reference(a[:M], b, partners(len(a[:M]))[:, :1], True),
    ),
    "softplus": (
        lambda a, b: (softplus_sums(a[:M], b, b[0, 0], partners(len(a[:M]))[:, :1]),),
        lambda a, b: (softplus.reference(a[:M], b, b[0, 0], partners(len(a[:M]))[:, :1]),),
    ),
}


def _inside(skip: Tensor, right: Tensor) -> Tensor:
    return skip.clamp(max=len(right) - 1)


CASES["rows"] = (
    lambda a, b: log_sums(a, b, _inside(partners(len(a))[:, 1:], b)),
    CASES["rows"][1],
)


def slopes(value: Tensor, *sources: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(value, sources, allow_unused=True, materialize_grads=True))


@pytest.mark.usefixtures("tiled")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("scale", [1.0, 3.0, 20.0, 0.0])
def test_equals_all_products(case: str, scale: float) -> None:
    left, right = rows(N, scale=scale), rows(M, scale=scale)
    fast, plain = (one(left, right) for one in CASES[case])
    for mine, theirs in zip(fast, plain, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-12, atol=1e-12)
    pairs = zip(
        slopes(weighed(fast), left, right), slopes(weighed(plain), left, right), strict=True
    )
    for mine, theirs in pairs:
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("tiled")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0, 10.0])
def test_float32_is_as_exact_as_all_products(case: str, scale: float) -> None:
    given = rows(N, torch.float32, scale), rows(M, torch.float32, scale)
    exact = [one.detach().double().requires_grad_() for one in given]
    fast, plain = (one(*given) for one in CASES[case])
    true = CASES[case][1](*exact)
    outcomes = [
        (*sums, *slopes(weighed(sums), *sources))
        for sums, sources in ((fast, given), (plain, given), (true, exact))
    ]
    for mine, theirs, truth in zip(*outcomes, strict=True):
        floor = 4 * torch.finfo(torch.float32).eps * truth.norm()
        assert (mine - truth).norm() <= 2 * (theirs - truth).norm() + floor


@pytest.mark.usefixtures("tiled")
@pytest.mark.parametrize("case", CASES)
def test_gradients_of_gradients(case: str) -> None:
    left, right = rows(9), rows(9)

    def call(left: Tensor, right: Tensor) -> Tensor:
        return weighed(CASES[case][0](left, right))

    assert torch.autograd.gradcheck(call, (left, right))
    assert torch.autograd.gradgradcheck(call, (left, right))


@pytest.mark.usefixtures("tiled")
@pytest.mark.parametrize("case", CASES)
def test_compiles_whole(case: str) -> None:
    left, right = rows(N), rows(M)
    torch._dynamo.reset()
    compiled = torch.compile(
        lambda a, b: weighed(CASES[case][0](a, b)), backend="aot_eager", fullgraph=True
    )
    found, expected = (
        slopes(call(left, right), left, right)
        for call in (compiled, lambda a, b: weighed(CASES[case][1](a, b)))
    )
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-10)


def test_the_scales_above_take_every_path() -> None:
    def shift(scale: float) -> float | None:
        return products._shift(rows(N, scale=scale), rows(M, scale=scale), None)

    near, shifted = shift(1.0), shift(3.0)
    assert near == 0.0
    assert shifted is not None
    assert shifted > 0.0
    assert shift(10.0) is None


@pytest.mark.parametrize(("bound", "shift"), [(None, None), (45.0, 0.0), (47.0, None)])
def test_where_none_looks_the_bound_decides(
    bound: float | None, shift: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond 46 a row of the least products that there may be would underflow."""
    monkeypatch.setattr(devices, "readable", lambda tensor: False)
    monkeypatch.setattr(devices, "CPU", devices.CPU._replace(tile=8))
    assert products._shift(rows(N), rows(M), bound) == shift
    size = 1.0 if bound is None else bound
    left, right = torch.full((9, 1), 1.0), torch.tensor([-size, size]).repeat(6)[:, None]
    skip = torch.arange(1, 12, 2).expand(9, 6)  # what is left of each row are the least
    found, _ = products.tiled(left, right, skip, False, bound)
    torch.testing.assert_close(found, torch.full((9,), 6.0).log() - size)


@pytest.mark.usefixtures("tiled")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_that_underflow_are_formed_with_care(dtype: torch.dtype) -> None:
    left = torch.full((9, D), 0.5, dtype=dtype).requires_grad_()
    right = torch.full((12, D), -50.0, dtype=dtype).requires_grad_()  # products of -100
    right = torch.cat([right[:-1], right[-1:] / 25])  # and of -4
    skip = torch.zeros(9, 1, dtype=torch.long)
    fast, plain = (path(left, right, skip, True) for path in (products.tiled, products.reference))
    for mine, theirs in zip(fast, plain, strict=True):
        torch.testing.assert_close(mine, theirs)
    found = (slopes(weighed(sums), left) for sums in (fast, plain))
    torch.testing.assert_close(*(one[0] for one in found))


@pytest.mark.usefixtures("tiled")
@pytest.mark.parametrize("folds", range(softplus.FOLDS + 1))
@pytest.mark.parametrize("offset", [-0.1, 0.1])
def test_folded_exponentials_do_not_overflow(folds: int, offset: float) -> None:
    """Just below a bound products are folded once more than above it."""
    score = (softplus.BOUND + offset) / 2**folds
    left = torch.full((9, 1), 1.0, requires_grad=True)
    right = torch.full((12, 1), score)
    values = softplus_sums(left, right, torch.zeros(()), torch.zeros(9, 1, dtype=torch.long))
    expected = 11 * torch.nn.functional.softplus(torch.tensor(score).double()).item()
    torch.testing.assert_close(values, torch.full((9,), expected))
    (by_left,) = slopes(values.sum(), left)
    torch.testing.assert_close(by_left, torch.full((9, 1), 11 * score))


@pytest.mark.usefixtures("tiled")
def test_the_log_sum_of_nothing_is_the_lowest_number() -> None:
    left = rows(1)
    value, _ = log_sums(left, None, torch.zeros(1, 1, dtype=torch.long))
    assert value == torch.finfo(left.dtype).min
    none = torch.zeros(0, 1, dtype=torch.long)
    empty, down = log_sums(left[:0], left, none, columns=True, bound=1.0)
    assert empty.shape == (0,)
    assert down == torch.finfo(left.dtype).min
    value, _ = log_sums(left, left[:0], none.reshape(1, 0), bound=1.0)
    assert value == torch.finfo(left.dtype).min
    value, _ = log_sums(left, None, torch.zeros(1, 1, dtype=torch.long), bound=1.0)
    assert value == torch.finfo(left.dtype).min
    assert not slopes(value.sum(), left)[0].any()
    with torch.no_grad():
        assert not log_sums(left, None, torch.zeros(1, 1, dtype=torch.long))[0].requires_grad


@pytest.mark.usefixtures("tiled")
def test_only_what_is_wanted_is_formed() -> None:
    left, right, skip = rows(N), rows(M), torch.zeros(N, 1, dtype=torch.long)
    for one, other in ((left, right.detach()), (left.detach(), right)):
        source = one if one.requires_grad else other
        fast, plain = log_sums(one, other, skip)[0], products.reference(one, other, skip, False)[0]
        assert torch.allclose(*(slopes(value.sum(), source)[0] for value in (fast, plain)))
        fast = softplus_sums(one, other, torch.zeros(()).double(), skip)
        plain = softplus.reference(one, other, torch.zeros(()).double(), skip)
        assert torch.allclose(*(slopes(value.sum(), source)[0] for value in (fast, plain)))


@pytest.mark.usefixtures("tiled")
def test_known_weights_spare_the_second_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    once = softplus.tiles
    monkeypatch.setattr(softplus, "tiles", lambda *a: calls.append(1) or once(*a))
    left, right, skip = rows(N), rows(M), torch.zeros(N, 1, dtype=torch.long)
    weight = torch.rand(N).double()
    for known, passes in ((weight, 1), (None, 2)):
        calls.clear()
        bias = torch.zeros(()).double()
        (softplus_sums(left, right, bias, skip, row_weight=known) * weight).sum().backward()
        assert len(calls) == passes


@pytest.mark.usefixtures("tiled")
@pytest.mark.parametrize("case", CASES)
def test_backward_may_be_called_again(case: str) -> None:
    left, right = rows(N), rows(M)
    value = weighed(CASES[case][0](left, right))
    kept = {"allow_unused": True, "materialize_grads": True, "retain_graph": True}
    first, again = (torch.autograd.grad(value, (left, right), **kept) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert torch.allclose(one, other)


def test_explain_names_the_path_and_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    left, skip = rows(3), torch.zeros(3, 1, dtype=torch.long)
    assert "9 products are fewer" in str(explain(log_sums, left, left, skip)[0])
    monkeypatch.setattr(similarity, "FEW_PRODUCTS", 0)
    assert explain(log_sums, left, left, skip)[0].fast


def test_the_operators_are_sound() -> None:
    left, right, skip = rows(5).detach(), rows(6).detach(), partners(5)
    tests, operators = ("test_schema", "test_faketensor"), torch.ops.lossmith
    for columns, bound in ((True, None), (False, 2.0)):
        args = (left, right, skip, columns, bound)
        torch.library.opcheck(operators.log_sums.default, args, test_utils=tests)
        sums = products.forward(*args)
        given = (left, right, skip, *sums, *sums, columns, bound, [True, True])
        torch.library.opcheck(operators.log_sums_backward.default, given, test_utils=tests)
    weight, wanted = torch.rand(5).double(), [True, True, False]
    args = (left, right, left[0, 0], skip, weight)
    torch.library.opcheck(operators.softplus_sums.default, (*args, wanted), test_utils=tests)
    slopes = softplus.forward(*args, wanted)[1:]
    given = (weight, *args, *slopes, wanted)
    torch.library.opcheck(operators.softplus_sums_backward.default, given, test_utils=tests)
    recorded = ("log_sums", "log_sums_backward", "softplus_sums")
    unsafe = torch.Tag.cudagraph_unsafe
    assert all(unsafe not in getattr(operators, name).default.tags for name in recorded)


@pytest.mark.parametrize("dim", [0, 1])
def test_log_sums_of_a_tile_are_torchs(dim: int) -> None:
    scores = torch.tensor([[1.0, -2.0], [-torch.inf, torch.inf], [torch.nan, 3e38]])
    lowest = torch.full((2, 2), torch.finfo(torch.float32).min)
    for one in (scores, scores[:2], scores[:, :1].neg(), lowest, torch.full((2, 2), -torch.inf)):
        right = one.logsumexp(dim)
        tile = products.Tile(slice(0), slice(0), one.clone(), torch.empty_like(one), False)
        torch.testing.assert_close(products._log_sum(tile, dim), right, equal_nan=True)
