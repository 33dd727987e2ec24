"""Every loss on simulated devices, loss and input apart or together; see `losses`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from device import guard
from lossmith import CLIP, MSE, AdaptiveBarron, Huber, SigLIP, find
from lossmith.testing.cases import Case, example

HOST = {  # what reads values while it computes, and why
    "ctc": "torch's own, whose kernel takes the lengths from the host",
    "mmcr": "singular values are iterated until they are exact",
    "sinkhorn_divergence": "iterates until the plan is exact, which the host decides",
}
# Kernels beyond torch's own where more than two, forward and backward.
BEYOND = {
    "binary_cross_entropy": (5, 0),  # labels are checked to lie from 0 to 1
    "kl": (19, 31),  # exact of distributions that are near each other
    "class weights": (10, 2),  # of a class of weight 0 nothing is seen, NaN or not
    "poisson": (2, 12),  # in float64, of means without end
}
# Peak memory beyond torch's own, in inputs, where more than a tenth.
HELD = {"poisson": 5.1, "kl": 11.3}


@pytest.fixture(scope="module")
def library(tmp_path_factory: Any) -> Path:
    try:
        return guard.build(tmp_path_factory.mktemp("guard"))
    except OSError as error:
        pytest.skip(str(error))


def simulated(module: str, library: Path, device: str) -> dict[str, Any]:
    command = [sys.executable, "-m", f"device.{module}", str(library), device]
    tests = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=tests, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module", params=["cuda", "mps"])
def outcomes(request: Any, library: Path) -> tuple[str, dict[str, Any]]:
    return request.param, simulated("losses", library, request.param)


@pytest.mark.parametrize("way", ["moved", "unmoved"])
def test_no_loss_mixes_devices_or_waits(outcomes: Any, way: str) -> None:
    _, found = outcomes
    assert set(found[way]) == set(find())
    failed = {key: one["error"] for key, one in found[way].items() if "error" in one}
    waits = {key: one["waits"] for key, one in found[way].items() if one.get("waits")}
    assert set(failed) <= set(HOST), {k: v for k, v in failed.items() if k not in HOST}
    assert set(waits) <= set(HOST), waits


def test_every_loss_is_built_where_the_device_is_the_default_and_observes_it(outcomes: Any) -> None:
    assert not outcomes[1]["built"]


def test_standard_losses_take_as_few_kernels_and_as_little_memory_as_torchs(outcomes: Any) -> None:
    device, found = outcomes
    for key, own in found["torch"].items():
        if device != "cuda" and key in {"cross_entropy", *BEYOND}:
            continue  # there torch's kernels don't check targets, so that they are not used
        ahead, back = BEYOND.get(key, (2, 2))
        mine = found["moved"].get(key) or found["weighted"]
        assert mine["forward"] <= own["forward"] + ahead, f"{key}: {mine}, torch's {own}"
        assert mine["backward"] <= own["backward"] + back, f"{key}: {mine}, torch's {own}"
        held = own["peak"] + HELD.get(key, 0.1) * own["input"]
        assert mine["peak"] <= held, f"{key}: {mine}, torch's {own}"


def test_what_is_held_is_counted(outcomes: Any) -> None:
    known = {"mse": 1, "cross_entropy": 3}  # the gradient; log-probabilities and theirs as well
    for key, times in known.items():
        own = outcomes[1]["torch"][key]
        assert abs(own["peak"] - times * own["input"]) < 100, f"{key}: {own}"


def test_large_batches_take_few_kernels_and_wait_once_at_most(library: Path) -> None:
    found = simulated("large", library, "cuda")
    kernels = {name: one["forward"] + one["backward"] for name, one in found.items()}
    head = kernels["lossmith"]
    assert head < 700
    assert head <= kernels.get("torch, chunked", head)
    assert kernels["nt_xent"] < 200
    others = ("sup_con", "info_nce", "clip", "siglip")
    assert max(kernels[key] for key in others) < 270
    tiles = 2 * 8192**2 * 4  # two of them, in bytes
    assert all(found[key]["peak"] < 1.3 * tiles for key in ("nt_xent", *others))
    waits = {name: len(one["waits"]) for name, one in found.items()}
    heads = ("lossmith", "functional, mean", "lossmith with Triton")
    asked = (*heads, "siglip")  # in backward: see `proportion`
    assert all(count == (name in asked) for name, count in waits.items()), waits


@pytest.mark.parametrize("key", find())
def test_what_is_built_on_meta_and_given_memory_is_as_built_on_the_cpu(key: str) -> None:
    kind = find()[key]
    with torch.device("meta"):
        loss = example(kind)
    loss.to_empty(device="cpu")
    for part in loss.modules():
        if hasattr(part, "reset_parameters") and part is not loss:
            part.reset_parameters()
    if hasattr(loss, "reset_parameters"):
        loss.reset_parameters()
    case = Case(example(kind))
    assert torch.equal(loss(*case.batch()), case.loss(*case.batch()))


@pytest.mark.parametrize("loss", [CLIP(), SigLIP(), AdaptiveBarron()], ids=repr)
def test_learned_numbers_have_a_dimension_and_load_without_and_no_cast_rounds_them(
    loss: Any,
) -> None:
    state = loss.state_dict()
    learned = dict(loss.named_parameters())
    with torch.no_grad():
        for one in learned.values():
            assert one.shape == (1,)
            one.add_(1 / 3)
    old = {name: one.reshape(()) if name in learned else one for name, one in state.items()}
    other = type(loss)()
    other.load_state_dict(old)
    before = {name: one.clone() for name, one in other.named_parameters()}
    for name, one in other.bfloat16().named_parameters():
        assert torch.equal(one, learned[name])
        assert torch.equal(one, before[name])


def test_numbers_are_no_buffers_and_stay_with_python() -> None:
    loss = Huber(delta=2.0)
    assert not list(loss.buffers())
    assert list(loss.state_dict()) == ["delta"]
    with pytest.raises(TypeError, match=r"write delta\.fill_"):
        loss.delta = 1.0  # type: ignore[assignment]
    with pytest.warns(UserWarning, match=r"built with delta=2\.0; the state_dict restores 1\.0"):
        loss.load_state_dict(Huber(delta=1.0).state_dict(), assign=True)
    assert loss.config() == {"delta": 1.0}
    hybrid = torch.nn.ModuleDict({"both": loss + MSE()})
    assert all(one.is_cpu for one in hybrid.state_dict().values())
