"""A device on which nothing is computed: what a call would launch, wait for, move and hold there.

Tensors are fake: they have shape, dtype and device, and torch's own rules of what may meet. Numbers
on the CPU are real, as they are for a program on a device.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._C import DispatchKey
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

NO_KERNEL = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "detach"}
NO_KERNEL |= {"alias", "_unsafe_view", "set_", "lift_fresh", "_reshape_alias", "device"}
WAITS = {"_linalg_check_errors", "_linalg_eigh", "_linalg_svd", "masked_select", "_unique2"}
WAITS |= {"nonzero", "is_nonzero", "equal", "_ctc_loss", "_use_cudnn_ctc_loss"}


class Simulation(TorchDispatchMode):
    """Counts kernels, waits, bytes moved and bytes held; refuses float64 where there is none.

    Bytes moved are those of each kernel's tensors, once read or written each. Where the host asks
    for a number there is none, and the simulation ends, unless it answers yes, or 1.
    """

    def __init__(self, device: str, answers: bool = False) -> None:
        super().__init__()
        self.device, self.answers = device, answers
        self.fake = FakeTensorMode(allow_non_fake_inputs=True)
        self.kernels, self.waits = 0, list[str]()
        self.bytes = self.live = self.peak = 0
        self.held: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, func._schema.name.split("::")[1]
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        here = any(one.device.type == self.device for one in given)
        goes = torch.device(kwargs.get("device") or "cpu").type
        if not here and goes == "cpu" and not any(isinstance(one, FakeTensor) for one in given):
            with _disable_current_modes():
                return func(*args, **kwargs)
        away = kwargs.get("device") is not None and goes == "cpu"
        if here and (name in WAITS or away or (name == "copy_" and args[0].is_cpu)):
            self.waits.append(f"{name} to cpu" if away else name)
        if here and name == "_local_scalar_dense" and self.answers:
            self.waits.append(name)
            return args[0].dtype == torch.bool or 1.0
        if here and name in COMPOSED:
            with self:
                return COMPOSED[name](func, *args, **kwargs)
        out = func(*args, **kwargs)
        self._count(func, name, given, [one for one in tree_leaves(out) if isinstance(one, Tensor)])
        return out

    def _count(self, func: Any, name: str, given: list[Tensor], made: list[Tensor]) -> None:
        given, made = ([x for x in some if x.device.type == self.device] for some in (given, made))
        if self.device == "mps" and any(one.dtype == torch.float64 for one in made):
            raise TypeError(f"mps has no float64, which {name} gives")
        idle = made and not any(one.numel() for one in made)  # of no number there is no kernel
        if (given or made) and name not in NO_KERNEL and not func.is_view and not idle:
            self.kernels += 1
            seen = made if name in ("gather", "index") else given + made
            self.bytes += sum(one.nbytes for one in seen)
        for one in made:
            self._hold(one.untyped_storage())

    def _hold(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self.held:
            self.held[key] = storage.nbytes()
            self.live += self.held[key]
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._release, key)

    def _release(self, key: int) -> None:
        self.live -= self.held.pop(key)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Run what is within on the simulated device."""
        with self.fake, self:
            yield

    def taken(self, tensor: Tensor) -> Tensor:
        """Return a tensor like one that is real, on the device."""
        return self.fake.from_tensor(tensor).to(self.device)

    def outcome(self, call: Callable[[], Tensor | None]) -> dict[str, Any]:
        """Return what a call and its backward take; the peak is above what was held before."""
        self.kernels, self.waits, self.bytes, self.peak = 0, [], 0, self.live
        before, value = self.live, call()
        forward = self.kernels
        if value is not None and value.device.type != self.device:
            raise RuntimeError(f"the value is on {value.device}")
        if value is not None and value.requires_grad:
            value.backward()
        found = {"forward": forward, "backward": self.kernels - forward, "waits": self.waits}
        return {**found, "bytes": self.bytes, "peak": self.peak - before}


def _by_torch(func: Any, *args: Any, **kwargs: Any) -> Any:
    return func._op_dk(DispatchKey.CompositeExplicitAutograd, *args, **kwargs)


def _logsumexp(func: Any, input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """Do as torch does, whose own code doesn't run on fake tensors."""
    top = input.amax(dim, keepdim=True)
    most = top if keepdim else top.squeeze(dim)
    most.masked_fill_(most.abs() == torch.inf, 0)
    return (input - top).exp_().sum(dim, keepdim=keepdim).log_().add_(most)


# What torch makes of several kernels, or holds more for than it returns.
COMPOSED: dict[str, Callable[..., Any]] = dict.fromkeys(
    ("binary_cross_entropy_with_logits", "masked_fill", "index_put", "constant_pad_nd"), _by_torch
)
COMPOSED |= {"slice_backward": _by_torch, "logsumexp": _logsumexp}
