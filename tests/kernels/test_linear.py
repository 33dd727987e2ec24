"""Linear cross-entropy: the chunked path equals the plain one, however it is called."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from lossmith import CrossEntropy, LinearCrossEntropy, reduce
from lossmith import functional as F
from lossmith.functional.classification import linear as functional_linear
from lossmith.kernels import devices, explain
from lossmith.kernels import linear as kernel
from lossmith.kernels.fused_rows import proportion

N, D, C = 37, 5, 23


@pytest.fixture(params=["cpu", "device"])
def chunked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small problems take the chunked path, in chunks of 8 rows and blocks of 3.

    As on a CPU, or where nobody may look at a value.
    """
    monkeypatch.setattr(devices, "readable", lambda tensor: request.param == "cpu")
    monkeypatch.setattr(functional_linear, "FEW_LOGITS", 0)
    monkeypatch.setattr(functional_linear, "FEW_CLASSES", 0)
    small = devices.CPU._replace(chunk=0, rows=8, block=3 * C)
    monkeypatch.setattr(devices, "CPU", small)


def problem(
    dtype: torch.dtype = torch.float64, *, rows: int = N, scale: float = 1.0, bias: bool = True
) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    input, weight, shift, row_weight = (
        torch.randn(shape, generator=g, dtype=torch.float64)
        for shape in ((rows, D), (C, D), (C,), (rows,))
    )
    target = torch.randint(C, (rows,), generator=g)
    target[::5] = -100
    leaves = [(scale * one).to(dtype).requires_grad_() for one in (input, weight, shift)]
    return leaves[0], leaves[1], leaves[2] if bias else None, target, row_weight.abs().to(dtype)


def plainly(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    *,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
) -> Tensor:
    """The formula, from torch's own parts."""
    logits = linear(input, weight, bias)
    if softcap is not None:
        logits = softcap * (logits / softcap).tanh()
    values = cross_entropy(logits, target, reduction="none", label_smoothing=label_smoothing)
    return values + z_loss * logits.logsumexp(-1).square() * (target != -100)


def gradients(value: Tensor, *sources: Tensor | None) -> list[Tensor]:
    return list(torch.autograd.grad(value, [one for one in sources if one is not None]))


def close(found: list[Tensor], expected: list[Tensor], tolerance: float = 1e-12) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(torch.allclose(a, b, rtol=tolerance, atol=tolerance) for a, b in pairs)


OPTIONS = [{}, {"label_smoothing": 0.1}, {"z_loss": 0.01}, {"softcap": 2.0}]
OPTIONS.append({"label_smoothing": 0.2, "z_loss": 0.1, "softcap": 1.5})


@pytest.mark.usefixtures("chunked")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("upstream", ["mean", "weights", "uneven"])
def test_equals_the_plain_formula(options: dict[str, float], bias: bool, upstream: str) -> None:
    *head, target, row_weight = problem(bias=bias)
    input, weight, shift = head
    known = row_weight if upstream == "weights" else None
    scale = torch.ones(N).double() if upstream == "mean" else row_weight
    values = F.linear_cross_entropy(input, weight, target, bias=shift, row_weight=known, **options)
    expected = plainly(*head, target, **options)
    kept = target != -100
    assert torch.allclose(values, expected, atol=1e-12)
    found = gradients(reduce(values, weight=scale * kept), *head)
    assert close(found, gradients(reduce(expected, weight=scale * kept), *head))


@pytest.mark.usefixtures("chunked")
def test_known_weights_spare_the_second_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    *head, target, row_weight = problem()
    chunks: list[int] = []
    once = kernel.row_cross_entropy
    monkeypatch.setattr(kernel, "row_cross_entropy", lambda *a: chunks.append(1) or once(*a))
    for known, passes in ((row_weight, 1), (None, 2)):
        chunks.clear()
        values = F.linear_cross_entropy(head[0], head[1], target, row_weight=known)
        one_sweep = len(chunks)
        reduce(values, weight=row_weight * (target != -100)).backward()
        assert len(chunks) == passes * one_sweep


@pytest.mark.usefixtures("chunked")
def test_backward_may_be_called_again() -> None:
    *head, target, row_weight = problem()
    value = (F.linear_cross_entropy(*head[:2], target, bias=head[2]) * row_weight).sum()
    first, again = (torch.autograd.grad(value, head, retain_graph=True) for _ in range(2))
    assert close(first, again)


@pytest.mark.usefixtures("chunked")
def test_no_gradient_is_formed_that_nobody_wants() -> None:
    input, weight, _, target, _ = problem()
    with torch.no_grad():
        assert not F.linear_cross_entropy(input, weight, target).requires_grad
    frozen = weight.detach()
    value = F.linear_cross_entropy(input, frozen, target).sum()
    assert close(
        gradients(value, input), gradients(plainly(input, frozen, None, target).sum(), input)
    )
    value = F.linear_cross_entropy(input.detach(), weight, target).sum()
    assert close(
        gradients(value, weight), gradients(plainly(input, weight, None, target).sum(), weight)
    )


@pytest.mark.usefixtures("chunked")
@pytest.mark.parametrize("scale", [1.0, 30.0, 1e-4])
def test_float32_is_as_exact_as_the_plain_path(scale: float) -> None:
    *head, target, row_weight = problem(torch.float32, scale=scale)
    exact = [one.detach().double().requires_grad_() for one in head]

    def outcome(values: Tensor, *sources: Tensor) -> list[Tensor]:
        return [values, *gradients(reduce(values, weight=row_weight * (target != -100)), *sources)]

    truth = outcome(plainly(*exact, target), *exact)
    plain = outcome(plainly(*head, target), *head)
    fast = F.linear_cross_entropy(head[0], head[1], target, bias=head[2], row_weight=row_weight)
    for mine, theirs, true in zip(outcome(fast, *head), plain, truth, strict=True):
        floor = 4 * torch.finfo(torch.float32).eps * true.norm()
        assert (mine - true).norm() <= 2 * (theirs - true).norm() + floor


@pytest.mark.usefixtures("chunked")
def test_bfloat16_sums_in_float32() -> None:
    input, weight, _, target, _ = problem(torch.bfloat16)
    exact = [one.detach().double().requires_grad_() for one in (input, weight)]
    values = F.linear_cross_entropy(input, weight, target)
    assert values.dtype == torch.float32
    truth = plainly(*exact, None, target)
    plain = plainly(input, weight, None, target)
    assert (values - truth).norm() <= (plain - truth).norm()
    true = gradients(truth.sum(), *exact)
    for mine, theirs, one in zip(
        gradients(values.sum(), input, weight),
        gradients(plain.sum(), input, weight),
        true,
        strict=True,
    ):
        assert mine.dtype == torch.bfloat16
        assert (mine - one).norm() <= 2 * (theirs - one).norm()


@pytest.mark.usefixtures("chunked")
def test_products_of_bfloat16_in_float32_are_no_less_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on CUDA, whose product is emulated: a CPU's does not give float32."""
    input, weight, bias, target, _ = problem(torch.bfloat16)
    exact = [one.detach().double().requires_grad_() for one in (input, weight, bias)]
    truth = plainly(*exact, target)

    def errors() -> list[Tensor]:
        values = F.linear_cross_entropy(input, weight, target, bias=bias)
        found = [values, *gradients(values.sum(), input, weight, bias)]
        true = [truth, *gradients(truth.sum(), *exact)]
        return [(mine - one).norm() / one.norm() for mine, one in zip(found, true, strict=True)]

    def product(left: Tensor, right: Tensor, out: Tensor) -> Tensor:
        return out.copy_(left.float() @ right.float())

    rounded = errors()
    monkeypatch.setattr(kernel, "_gives_float32", lambda tensor: True)
    monkeypatch.setattr(kernel, "_product", product)
    truth = plainly(*exact, target)
    found = errors()
    assert found[0] < 1e-6 < rounded[0]
    assert all(mine <= 1.5 * theirs for mine, theirs in zip(found, rounded, strict=True))


@pytest.mark.usefixtures("chunked")
def test_autocast_multiplies_in_bfloat16_and_returns_float32() -> None:
    input, weight, _, target, _ = problem(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        values = F.linear_cross_entropy(input, weight, target)
    assert values.dtype == torch.float32
    rounded = F.linear_cross_entropy(input.bfloat16(), weight.bfloat16(), target)
    assert torch.equal(values, rounded)
    assert gradients(values.sum(), weight)[0].dtype == torch.float32


@pytest.mark.usefixtures("chunked")
@pytest.mark.parametrize("far", [1e4, 1e18])
def test_extremes_are_finite(far: float) -> None:
    input, weight, _, target, _ = problem(torch.float32, scale=far)
    values = F.linear_cross_entropy(input, weight.detach().div(far).requires_grad_(), target)
    assert values.isfinite().all()
    assert gradients(values.mean(), input)[0].isfinite().all()


@pytest.mark.usefixtures("chunked")
@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9])
def test_any_number_of_rows(rows: int) -> None:
    *head, target, _ = problem(rows=rows)
    values = F.linear_cross_entropy(head[0], head[1], target, bias=head[2])
    expected = plainly(*head, target)
    assert torch.allclose(values, expected)
    assert close(gradients(reduce(values), *head), gradients(reduce(expected), *head))


@pytest.mark.usefixtures("chunked")
def test_strided_and_batched_input() -> None:
    input, weight, bias, target, _ = problem(rows=24)
    turned = input.detach().T.contiguous().T.reshape(4, 6, D).requires_grad_()
    values = F.linear_cross_entropy(turned, weight, target.view(4, 6), bias=bias)
    expected = plainly(input, weight, bias, target)
    assert torch.allclose(values, expected.view(4, 6))
    (found,) = gradients(values.sum(), turned)
    assert close([found.view(24, D)], gradients(expected.sum(), input))


@pytest.mark.usefixtures("chunked")
def test_gradients_of_gradients() -> None:
    *head, target, row_weight = problem(rows=4)

    def call(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.linear_cross_entropy(
            input, weight, target, bias=bias, row_weight=row_weight, softcap=3.0, z_loss=0.1
        )

    assert torch.autograd.gradcheck(call, head)
    assert torch.autograd.gradgradcheck(call, head)


@pytest.mark.usefixtures("chunked")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiles_whole_and_once(backend: str) -> None:
    input, weight, bias, target, row_weight = problem()
    torch._dynamo.reset()
    traced: list[int] = []

    def counted(graph: Any, inputs: Any) -> Callable[..., Any]:
        traced.append(1)
        return torch._dynamo.lookup_backend(backend)(graph, inputs)

    def call(input: Tensor, weight: Tensor, bias: Tensor, smoothing: Tensor) -> Tensor:
        values = F.linear_cross_entropy(
            input, weight, target, bias=bias, row_weight=row_weight, label_smoothing=smoothing
        )
        return reduce(values, weight=row_weight * (target != -100))

    compiled = torch.compile(call, backend=counted, fullgraph=True)
    for smoothing in (0.1, 0.3):
        number = torch.tensor(smoothing)
        found = gradients(compiled(input, weight, bias, number), input, weight, bias)
        assert close(found, gradients(call(input, weight, bias, number), input, weight, bias))
    assert traced == [1]


def test_the_operators_are_sound() -> None:
    *head, target, row_weight = (one.detach() for one in problem(rows=6))
    args = (*head, target.clamp(min=0), row_weight, torch.tensor(0.1), None, None)
    wanted = [True, True, False]
    tests = ("test_schema", "test_faketensor")
    operators = torch.ops.lossmith
    torch.library.opcheck(operators.linear_cross_entropy.default, (*args, wanted), test_utils=tests)
    found = kernel.forward(*args, wanted)
    given = (torch.rand(6).double(), *args, *found[1:], wanted)
    torch.library.opcheck(operators.linear_cross_entropy_backward.default, given, test_utils=tests)
    unsafe = torch.Tag.cudagraph_unsafe  # what waits for an answer can't be recorded
    assert unsafe not in operators.linear_cross_entropy.default.tags
    assert unsafe in operators.linear_cross_entropy_backward.default.tags


@pytest.mark.parametrize("device", [False, True], ids=["cpu", "device"])
def test_a_factor_is_found_where_there_is_one(
    device: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "readable", lambda tensor: not device)
    weight = torch.tensor([0.0, 1.0, 3.0])
    for factor in (0.0, 0.5, -2.0):
        found = proportion(factor * weight, weight)
        assert found is not None
        assert float(found) == factor
    assert proportion(weight + 1, weight) is None
    assert proportion(weight * torch.tensor([1.0, 1.0, 1.001]), weight) is None
    assert float(proportion(0 * weight, 0 * weight)) == 0  # type: ignore[arg-type]
    assert proportion(weight, 0 * weight) is None
    assert float(proportion(weight[:0], weight[:0])) == 0  # type: ignore[arg-type]


@pytest.mark.usefixtures("chunked")
def test_what_a_row_without_weight_holds_is_not_seen() -> None:
    input, weight, bias, target, row_weight = problem()
    row_weight[1] = 0
    with torch.no_grad():
        input[1], input[5] = float("nan"), float("inf")  # the one weighs nothing, one is ignored
    values = F.linear_cross_entropy(input, weight, target, bias=bias, row_weight=row_weight)
    found = gradients((values * row_weight).sum(), input, weight, bias)
    assert values[1] == values[5] == 0
    assert all(one.isfinite().all() for one in (values, *found))
    assert not found[0][[1, 5]].any()


@pytest.mark.usefixtures("chunked")
def test_the_loss_weighs_classes_and_samples_and_takes_a_tied_head() -> None:
    embedding = nn.Embedding(C, D, dtype=torch.float64)
    loss = LinearCrossEntropy(
        in_features=D, classes=C, class_weight=torch.rand(C).tolist(), label_smoothing=0.1
    )
    loss.head.weight = embedding.weight
    input, _, _, target, row_weight = problem()
    value = loss(input, target, weight=row_weight)
    both = F.target_weights(target, loss.class_weight) * row_weight
    expected = reduce(
        plainly(input, embedding.weight, None, target, label_smoothing=0.1), weight=both
    )
    assert torch.allclose(value, expected)
    assert close(gradients(value, embedding.weight), gradients(expected, embedding.weight))
    assert torch.allclose(loss.decode(input), linear(input, embedding.weight).softmax(-1))


def test_explain_names_the_path_and_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    input, weight, _, target, _ = problem()
    call = F.linear_cross_entropy
    assert "fewer than" in str(explain(call, input, weight, target)[0])
    monkeypatch.setattr(functional_linear, "FEW_LOGITS", 0)
    assert "classes are fewer" in str(explain(call, input, weight, target)[0])
    monkeypatch.setattr(functional_linear, "FEW_CLASSES", 0)
    (choice,) = explain(call, input, weight, target)
    assert choice.fast
    moved = torch.func.grad(lambda x: call(x, weight, target).sum())
    assert "torch.func" in str(explain(moved, input)[0])
    assert close([moved(input)], gradients(plainly(input, weight, None, target).sum(), input))


WRONG = {
    "input has shape": lambda i, w, t: F.linear_cross_entropy(i[:-1], w, t),
    "head of shape": lambda i, w, t: F.linear_cross_entropy(i, w[:, :-1], t),
    "bias has shape": lambda i, w, t: F.linear_cross_entropy(i, w, t, bias=i[0]),
    "row_weight has shape": lambda i, w, t: F.linear_cross_entropy(i, w, t, row_weight=w[0]),
    "outside 0 … 22": lambda i, w, t: F.linear_cross_entropy(i, w, t + 9),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_does_not_fit_is_named(message: str) -> None:
    input, weight, _, target, _ = problem()
    with pytest.raises(ValueError, match=message):
        WRONG[message](input, weight, target)


def _rank(rank: int, folder: Path) -> None:
    """One of two processes, each with every other row."""
    devices.CPU = devices.CPU._replace(chunk=0, rows=8)
    functional_linear.FEW_LOGITS = functional_linear.FEW_CLASSES = 0
    store = f"file://{folder / 'store'}"
    torch.distributed.init_process_group("gloo", store, rank=rank, world_size=2)
    input, weight, _, target, row_weight = problem()
    loss = LinearCrossEntropy(in_features=D, classes=C).double()
    with torch.no_grad():
        loss.head.weight.copy_(weight)
    share = (row_weight * (target != -100)).sum() / 2
    mine = slice(rank, None, 2)
    both = nn.parallel.DistributedDataParallel(loss)
    both(input[mine], target[mine], weight=row_weight[mine], denominator=share).backward()
    if rank == 0:
        torch.save(loss.head.weight.grad, folder / "gradient.pt")
    torch.distributed.destroy_process_group()


def test_two_ranks_give_the_gradient_of_one_process(tmp_path: Path) -> None:
    command = [sys.executable, __file__, str(tmp_path)]
    ranks = [subprocess.Popen([*command, str(rank)]) for rank in range(2)]
    assert [rank.wait(60) for rank in ranks] == [0, 0]
    input, weight, _, target, row_weight = problem()
    whole = reduce(plainly(input, weight, None, target), weight=row_weight * (target != -100))
    assert close([torch.load(tmp_path / "gradient.pt")], gradients(whole, weight))


if __name__ == "__main__":
    _rank(int(sys.argv[2]), Path(sys.argv[1]))


def test_weights_are_not_rounded_to_the_heads_dtype() -> None:
    hidden, target = torch.ones(2, D), torch.tensor([0, 1])
    for dtype in (torch.float16, torch.bfloat16):
        loss = LinearCrossEntropy(in_features=D, classes=2, class_weight=[1e-8, 3e-8]).to(dtype)
        loss.head.weight.data.copy_(torch.tensor([[0.1], [-0.1]]).expand(2, D))
        expected = CrossEntropy(class_weight=[1e-8, 3e-8])(loss.logits(hidden).float(), target)
        torch.testing.assert_close(loss(hidden, target), expected, rtol=1e-2, atol=0.0)
        assert loss.decode(hidden).dtype == torch.float32


def test_no_z_loss_of_what_overflows() -> None:
    loss = LinearCrossEntropy(in_features=1, classes=2)
    loss.head.weight.data.copy_(torch.tensor([[2e19], [0.0]]))
    assert loss(torch.ones(1, 1), torch.tensor([1])) == torch.tensor(2e19)
    assert F.linear_cross_entropy(
        torch.ones(1, 1), loss.head.weight, torch.tensor([1]), z_loss=torch.tensor(0.0)
    ) == torch.tensor(2e19)


@pytest.mark.usefixtures("chunked")
def test_a_frozen_head_is_not_gone_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    input, weight, bias, target, _ = problem()
    values = F.linear_cross_entropy(input, weight.detach(), target, bias=bias.detach())
    monkeypatch.setattr(kernel, "forward", None)
    values[3].backward()
    assert input.grad[3].abs().sum() > 0
    assert input.grad[4].abs().sum() == 0
