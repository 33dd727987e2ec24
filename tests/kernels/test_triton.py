"""The Triton kernel, interpreted on the CPU, is torch's float64; compiled, it spills no register.

TRITON_INTERPRET=1 decides for a whole process, so that it is asked for and not set here. CI does,
in an environment of its own: see .ci/triton.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lossmith import functional as F
from lossmith.kernels import cross_entropy as kernel
from lossmith.kernels import devices, linear

if find_spec("triton") is None or os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("needs triton and TRITON_INTERPRET=1; .ci/triton has both", allow_module_level=True)

from lossmith.kernels import cross_entropy_triton as triton_kernel

N = 7
OPTIONS = [(None, None, None), (0.1, None, None), (None, 0.01, None), (None, None, 3.0)]
OPTIONS.append((0.2, 0.05, 2.0))
TOLERANCE = {torch.float32: 4e-6, torch.bfloat16: 8e-3, torch.float16: 1e-3}
Outcome = tuple[Tensor, Tensor]


def exactly(
    logits: Tensor, target: Tensor, weight: Tensor | None, options: tuple[float | None, ...]
) -> Outcome:
    """Values and gradients by torch in float64."""
    (smoothing, z_loss, cap), leaf = options, logits.double().requires_grad_()
    x = leaf if cap is None else cap * (leaf / cap).tanh()
    values = cross_entropy(x, target, reduction="none", label_smoothing=smoothing or 0.0)
    if z_loss is not None:
        values = values + z_loss * x.logsumexp(1).square() * (target != -100)
    values = values if weight is None else values * weight.double()
    return values.detach(), torch.autograd.grad(values.sum(), leaf)[0]


def interpreted(
    logits: Tensor, target: Tensor, weight: Tensor | None, options: tuple[float | None, ...]
) -> Outcome:
    grads = torch.full_like(logits, 7.0)
    values = triton_kernel.rows(logits, grads, target, weight, *options, True)
    return values, grads


def problem(classes: int, dtype: torch.dtype, scale: float = 3.0) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(classes)
    logits = (scale * torch.randn(N, classes, generator=g)).to(dtype)
    target = torch.randint(classes, (N,), generator=g)
    target[2] = -100
    weight = torch.rand(N, generator=g)
    weight[4] = 0
    return logits, target, weight


def agree(found: Outcome, expected: Outcome, dtype: torch.dtype) -> None:
    for mine, true, tolerance in zip(found, expected, (4e-6, TOLERANCE[dtype]), strict=True):
        torch.testing.assert_close(
            mine.double(), true, rtol=tolerance, atol=tolerance, equal_nan=True
        )


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("classes", [1, 2, 37, 4097, 9001])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_values_and_gradients(
    dtype: torch.dtype, classes: int, options: tuple[float | None, ...]
) -> None:
    logits, target, weight = problem(classes, dtype)
    for known in (None, weight):
        before = logits.clone()
        found = interpreted(logits, target, known, options)
        agree(found, exactly(logits, target, known, options), dtype)
        assert torch.equal(logits, before)
        values = triton_kernel.rows(before, None, target, known, *options, True)
        assert torch.equal(values, found[0])
        assert torch.equal(before, found[1])  # written over the logits


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_values_alone_leave_the_logits(options: tuple[float | None, ...]) -> None:
    logits, target, weight = problem(37, torch.float32)
    before = logits.clone()
    values = triton_kernel.rows(logits, None, target, weight, *options, False)
    assert torch.equal(values, interpreted(logits, target, weight, options)[0])
    assert torch.equal(logits, before)


@pytest.mark.parametrize("options", [OPTIONS[0], OPTIONS[3]], ids=str)
@pytest.mark.parametrize("classes", [37, 9001])
def test_infinities_are_torchs(classes: int, options: tuple[float | None, ...]) -> None:
    logits, target, _ = problem(classes, torch.float32)
    inf = float("inf")
    logits[0, : classes - 5] = -inf  # of the longer rows the first block, and more
    target[0] = classes - 1
    logits[1, target[1]] = -inf
    logits[3, 1] = inf
    logits[5, 0] = float("nan")
    logits[6] = -inf
    agree(
        interpreted(logits, target, None, options),
        exactly(logits, target, None, options),
        torch.float32,
    )


def test_what_a_row_that_is_left_out_holds_is_not_seen() -> None:
    logits, target, weight = problem(37, torch.float32)
    logits[2], logits[4] = float("nan"), float("inf")
    values, grads = interpreted(logits, target, weight, OPTIONS[-1])
    for row in (2, 4):
        assert values[row] == 0
        assert not grads[row].any()
    assert values.isfinite().all()
    assert grads.isfinite().all()


@pytest.mark.parametrize("far", [1e-30, 1e5, 1e30])
def test_far_logits_are_as_exact_as_their_differences(far: float) -> None:
    logits, target, _ = problem(37, torch.float32, far)
    agree(
        interpreted(logits, target, None, OPTIONS[0]),
        exactly(logits, target, None, OPTIONS[0]),
        torch.float32,
    )
    near = far + torch.arange(37.0).expand(N, 37) if far == 1e5 else logits  # log s counts
    agree(
        interpreted(near, target, None, OPTIONS[0]),
        exactly(near, target, None, OPTIONS[0]),
        torch.float32,
    )


@pytest.mark.parametrize("cap", [0.5, 30.0, 1e4])
def test_the_cap_is_as_exact_as_torchs_tanh(cap: float) -> None:
    logits, target, _ = problem(1025, torch.float32)
    logits *= torch.logspace(-6, 0, 1025)
    options = (None, None, cap)
    agree(
        interpreted(logits, target, None, options),
        exactly(logits, target, None, options),
        torch.float32,
    )


def test_rows_may_lie_apart_and_gradients_be_of_another_dtype() -> None:
    wide, target, _ = problem(80, torch.float32)
    logits, grads = wide[:, 3:40], torch.zeros(N, 64, dtype=torch.bfloat16)
    target = target.clamp(max=36)
    values = triton_kernel.rows(logits, grads[:, :37], target, None, *OPTIONS[-1], True)
    agree((values, grads[:, :37]), exactly(logits, target, None, OPTIONS[-1]), torch.bfloat16)
    assert not grads[:, 37:].any()
    empty = triton_kernel.rows(logits[:0], None, target[:0], None, *OPTIONS[0], True)
    assert empty.shape == (0,)


def test_the_operator_is_sound() -> None:
    logits, target, weight = problem(37, torch.float32)
    args = (logits, torch.empty_like(logits), target, weight, 0.1, None, 30.0, True)
    operator = torch.ops.lossmith.row_cross_entropy.default
    assert torch.Tag.cudagraph_unsafe not in operator.tags
    torch.library.opcheck(operator, args, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_head_is_the_same_by_it(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    monkeypatch.setattr(devices, "CPU", devices.CPU._replace(chunk=0, rows=8))
    g = torch.Generator().manual_seed(0)
    leaves = [torch.randn(s, generator=g).to(dtype) for s in ((21, 5), (23, 5), (23,))]
    target = torch.arange(21)
    weight = torch.rand(21, generator=g)
    weight[3] = 0
    options = linear.Options(torch.tensor(0.1), torch.tensor(0.01), torch.tensor(3.0))

    def outcome() -> list[Tensor]:
        free = [one.clone().requires_grad_() for one in leaves]
        values = linear.fused(*free, target, weight, options)
        return [values, *torch.autograd.grad((values * weight).sum(), free)]

    plain = outcome()
    calls: list[int] = []
    once = triton_kernel.rows
    monkeypatch.setattr(triton_kernel, "rows", lambda *a: calls.append(1) or once(*a))
    monkeypatch.setattr(kernel, "_triton", lambda logits: triton_kernel)
    for mine, theirs in zip(outcome(), plain, strict=True):
        torch.testing.assert_close(
            mine, theirs, atol=2 * TOLERANCE[dtype], rtol=2 * TOLERANCE[dtype]
        )
    assert len(calls) == 3
    assert F.linear_cross_entropy(*leaves[:2], target).isfinite().all()


def test_it_compiles_for_devices_that_are_not_here_and_spills_nothing() -> None:
    command = [sys.executable, str(Path(__file__).with_name("cross_compile.py"))]
    told = subprocess.run(
        command, env={**os.environ, "TRITON_INTERPRET": "0"}, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr[-3000:]
    found = json.loads(told.stdout)
    assert {case.split()[0] for case in found} == {"sm_80", "sm_90", "sm_100", "gfx942"}
    assert not {case: one for case, one in found.items() if one["spilled"]}
    assert max(one["registers"] for one in found.values()) <= 128  # two blocks of rows a processor
