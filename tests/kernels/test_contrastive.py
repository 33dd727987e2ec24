"""Contrastive losses are the same by tiles as by all products, of a batch and of its parts."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.functional import similarity
from lossmith.kernels import devices, explain

N, D = 21, 5
LOSSES: dict[str, Callable[..., Tensor]] = {
    "nt_xent": partial(F.nt_xent, temperature=0.2),
    "dcl": partial(F.dcl, temperature=0.2),
    "info_nce": partial(F.info_nce, temperature=0.2),
    "clip": partial(F.clip, temperature=0.2),
    "siglip": partial(F.siglip, temperature=0.2, bias=-1.0),
    "sup_con": lambda first, second, **own: F.sup_con(
        torch.cat([first, second])[::2], torch.arange(N) // 3, temperature=0.2, **own
    ),
}


@pytest.fixture(params=["cpu", "device"])
def tiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def switch() -> None:
        monkeypatch.setattr(similarity, "FEW_PRODUCTS", 0)
        monkeypatch.setattr(devices, "readable", lambda tensor: request.param == "cpu")
        monkeypatch.setattr(devices, "CPU", devices.CPU._replace(tile=8))

    return switch


def views(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    first = torch.randn(N, D, generator=g, dtype=torch.float64)
    second = first + 0.5 * torch.randn(N, D, generator=g, dtype=torch.float64)
    return first.to(dtype).requires_grad_(), second.to(dtype).requires_grad_()


def outcome(loss: Callable[..., Tensor], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    both = views(dtype)
    values = loss(*both)
    weight = torch.linspace(0.5, 1.5, len(values), dtype=dtype)
    return [values, *torch.autograd.grad((values * weight).sum(), both)]


@pytest.mark.parametrize("own", [slice(None), slice(3, 12), slice(20, 20)], ids=str)
@pytest.mark.parametrize("name", LOSSES)
def test_equals_all_products(name: str, own: slice, tiled: Callable[[], None]) -> None:
    loss = partial(LOSSES[name], own=own)
    plain = outcome(loss)
    tiled()
    assert all(choice.fast for choice in explain(loss, *views(torch.float64)))
    for mine, theirs in zip(outcome(loss), plain, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_float32_is_as_exact_as_all_products(name: str, tiled: Callable[[], None]) -> None:
    loss = LOSSES[name]
    true, plain = outcome(loss), outcome(loss, torch.float32)
    tiled()
    for mine, theirs, truth in zip(outcome(loss, torch.float32), plain, true, strict=True):
        floor = 4 * torch.finfo(torch.float32).eps * truth.norm()
        assert (mine - truth).norm() <= 2 * (theirs - truth).norm() + floor


def test_a_queue_with_empty_rows(tiled: Callable[[], None]) -> None:
    queue = torch.cat([views(torch.float64)[1].detach(), torch.zeros(5, D).double()])
    loss = partial(F.queue_nce, queue=queue, temperature=0.2)
    plain = outcome(loss)
    cut = outcome(partial(F.queue_nce, queue=queue[:N], temperature=0.2))
    tiled()
    for mine, theirs, same in zip(outcome(loss), plain, cut, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-11, atol=1e-12)
        assert torch.allclose(mine, same, rtol=1e-11, atol=1e-12)
