"""Sizes by device: a CPU's are fixed, another's end where its memory is small."""

import pytest
import torch

from lossmith.kernels import devices
from lossmith.kernels.linear import chunk_rows

CUDA = torch.device("cuda", 0)


def test_a_cpu_has_its_own() -> None:
    assert devices.sizes(torch.device("cpu")) == devices.CPU


@pytest.mark.parametrize("gibibytes", [80, 24, 16, 8, 4, 1])
def test_no_buffer_takes_more_than_a_share_of_the_memory(
    gibibytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = gibibytes << 30
    monkeypatch.setattr(devices, "_memory", lambda device: memory)
    found, most = devices.sizes(CUDA), memory // devices.SHARE
    assert found == devices.DEVICE or gibibytes < 16
    assert max(found.chunk, 4 * found.block, 4 * found.tile**2) <= most
    assert found.tile % devices.GRAIN == 0
    assert found.tile > devices.CPU.tile


def test_a_device_that_does_not_tell_has_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_memory", lambda device: None)
    assert devices.sizes(CUDA) == devices.DEVICE
    assert chunk_rows(CUDA, 128_256, 4) == 512
    assert chunk_rows(torch.device("cpu"), 128_256, 2) == 256
