"""Checkpoints of a trial: what a loop needs to go on as if it had never stopped, and no pickles."""

import os
import random
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lossmith.study.base.errors import StorageError


def save(folder: Path, epoch: int, reported: int, parts: Mapping[str, Any]) -> None:
    """Write the state after an epoch; keep the newest one that was reported beside it."""
    state = {name: _state(part) for name, part in parts.items()} | {"random": _random_state()}
    write(folder, epoch, state)
    held = [number for number in saved(folder) if number <= reported]
    for number in saved(folder):
        if number != epoch and number != max(held, default=epoch):
            (folder / f"epoch-{number}.pt").unlink(missing_ok=True)


def write(folder: Path, epoch: int, state: Mapping[str, Any]) -> None:
    """Write a state after an epoch; a process that dies leaves earlier ones whole.

    Raises:
        StorageError: if the folder cannot be written, as on a full disk.
    """
    place = folder / f"epoch-{epoch}.pt"
    written = place.with_suffix(".new")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(state, written)
        os.replace(written, place)
    except (OSError, RuntimeError) as error:  # torch's writer knows only the latter
        why = " ".join(str(error).split())
        raise StorageError(f"cannot write a checkpoint to {folder}: {why}") from error


def read(folder: Path, epoch: int) -> dict[str, Any]:
    """Return the state after an epoch; tensors, numbers and containers of them, no code."""
    return torch.load(folder / f"epoch-{epoch}.pt", weights_only=True, map_location="cpu")


def latest(folder: Path, epoch: int) -> int:
    """Return the last epoch that has a checkpoint, up to a given one; 0 where none has."""
    return max((number for number in saved(folder) if number <= epoch), default=0)


def forget_before(folder: Path, epoch: int) -> None:
    """Remove the checkpoints of earlier epochs."""
    for number in saved(folder):
        if number < epoch:
            (folder / f"epoch-{number}.pt").unlink(missing_ok=True)


def saved(folder: Path) -> list[int]:
    """Return the epochs that have a checkpoint."""
    return sorted(int(place.stem.removeprefix("epoch-")) for place in folder.glob("epoch-*.pt"))


def forget(folder: Path) -> None:
    """Remove all checkpoints, those of a trainer's own too."""
    shutil.rmtree(folder, ignore_errors=True)


def restore(folder: Path, epoch: int, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Give every part its state after an epoch, and the generators theirs; return plain values."""
    state = read(folder, epoch)
    plain = {}
    for name, part in parts.items():
        if name not in state:
            raise KeyError(f"the checkpoint holds no {name!r}; it holds {', '.join(state)}")
        if hasattr(part, "load_state_dict"):
            part.load_state_dict(state[name])
        else:
            plain[name] = state[name]
    _set_random_state(state["random"])
    return plain


def _state(part: Any) -> Any:
    return part.state_dict() if hasattr(part, "state_dict") else part


def _random_state() -> dict[str, Any]:
    version, words, normal = random.getstate()
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    state = {
        "python": (version, torch.tensor(words), normal),
        "numpy": (
            kind,
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            position,
            has_gauss,
            gauss,
        ),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def _set_random_state(state: Mapping[str, Any]) -> None:
    version, words, normal = state["python"]
    random.setstate((version, tuple(words.tolist()), normal))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda"]])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Set every generator by a seed, and put each back afterwards."""
    before = _random_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        _set_random_state(before)
