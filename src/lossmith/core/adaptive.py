"""What changes while training: numbers on schedules and state, written by `observe` alone."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from typing import Any, Self

import torch
from torch import Tensor, nn

from lossmith.core.progress import Progress
from lossmith.core.schedule import Schedule

Number = float | Schedule | nn.Parameter  # what any hyperparameter and any weight may be
State = Mapping[str, Tensor | tuple[Tensor, Tensor]]  # new, by name; or some rows and their places


class Adaptive(nn.Module):
    """A module whose numbers may follow schedules; `forward` reads them, `observe` writes them.

    A number is a 0-dim tensor on the CPU, of float64 where it is real, and stays there whatever
    the model moves to: Python reads it without waiting for a device, it meets tensors of any
    device, and a compiled loss is not compiled again when it changes. It is in the state_dict but
    no buffer, for what broadcasts or shards buffers wants them on the model's device. State with
    dimensions is buffers: they follow the device, are of float32 at least, and no cast of the
    model narrows them, as an average in bfloat16 would stand still. Nor are learned numbers
    narrowed. Positions are absolute: a step observed before changes nothing.
    """

    observed: Tensor  # the last step taken in, where state depends on what was seen

    def __init__(self) -> None:
        super().__init__()
        self._schedules: dict[str, Schedule] = {}
        self._numbers: dict[str, bool] = {}  # by name, whether the state_dict holds it
        self._learned: list[str] = []  # parameters that are numbers
        self._followed: list[str] = []  # numbers that another module's `observe` writes

    @property
    def required_signals(self) -> tuple[str, ...]:
        """The signals that each step must bring, this module's own."""
        return ()

    @property
    def optional_signals(self) -> tuple[str, ...]:
        """The signals that triggered schedules wait for; they may come now and then."""
        return tuple(dict.fromkeys(s for one in self._schedules.values() for s in one.signals))

    def adaptive_modules(self) -> Iterator["Adaptive"]:
        """Yield this module and all adaptive ones in it."""
        yield from (part for part in self.modules() if isinstance(part, Adaptive))

    @property
    def moves(self) -> bool:
        """Whether `observe` changes a number here, or in a module within."""
        return any(
            part._schedules or "observed" in part._numbers for part in self.adaptive_modules()
        )

    @property
    def moving(self) -> set[str]:
        """The names of numbers that training moves, away from what the constructor was given."""
        return {*self._schedules, *self._followed}

    def register_number(self, name: str, value: Any, check: Callable[[float], None]) -> None:
        """Keep a number, a list of numbers, a schedule or a parameter under a name.

        Raises:
            ValueError: if a value, or what a schedule reaches, is out of range.
        """
        if isinstance(value, nn.Parameter):
            check(value.item())
            self.learn(name, value)
            return
        if isinstance(value, Schedule):
            for end in value.bounds():
                _check_end(value, end, check)
            self._schedules[name] = value
            if value.state_size:
                self._keep_off_device(memory_of(name), _tensor(value.initial_state()))
            value = value.bounds()[0]
        number = _tensor(value).detach().clone()
        if number.numel():
            least, most = number.aminmax()  # both NaN where any number is
            check(least.item())
            check(most.item())
        self.register_buffer(name, number)

    def learn(self, name: str, value: nn.Parameter) -> None:
        """Keep a learned number under a name: no cast of the model rounds it."""
        self.register_parameter(name, value)
        self._learned.append(name)

    def register_observed(self) -> None:
        """Make room for the last step taken in, where state depends on what was seen."""
        if self.required_signals or self.optional_signals:
            self.register_buffer("observed", count())

    def observe(self, progress: Progress) -> None:
        """Take in how far training is; nothing else writes state.

        Raises:
            ValueError: if a signal that a step must bring is missing.
        """
        for part in self.adaptive_modules():
            part.observe_self(progress)

    def observe_self(self, progress: Progress) -> None:
        """Take in a progress for this module alone; `observe` does so for all in it."""
        new = "observed" in self._numbers and progress.step > int(self.observed)
        with torch.no_grad():
            for name, schedule in self._schedules.items():
                if not schedule.state_size:
                    getattr(self, name).fill_(schedule(progress))
                elif new:
                    self._follow(name, schedule, progress)
            if not new:
                return
            missing = [name for name in self.required_signals if name not in progress.signals]
            if missing:
                raise ValueError(
                    f"{type(self).__name__} needs the signals {', '.join(missing)} at step "
                    f"{progress.step}; training gave {', '.join(progress.signals) or 'none'}"
                )
            self._take_in(self.update(progress))
            self.observed.fill_(progress.step)

    def update(self, progress: Progress) -> State:
        """Return what a new step's signals make of the state, by name; called without grad.

        Of a large table it may be the places of some rows, and these. Where any of it is not
        finite, as after a step that overflowed in float16, `observe` leaves all as it is.
        """
        return {}

    def _take_in(self, found: State) -> None:
        """Write new state if all of it is finite, without waiting for the device that it is on."""
        parts = {n: one if isinstance(one, tuple) else (..., one) for n, one in found.items()}
        if not parts:
            return
        finite = reduce(torch.logical_and, [new.isfinite().all() for _, new in parts.values()])
        for name, (places, new) in parts.items():
            state = getattr(self, name)
            kept = state[places]
            state[places] = torch.where(finite.to(kept.device), new.to(kept), kept)

    def _follow(self, name: str, schedule: Schedule, progress: Progress) -> None:
        memory = getattr(self, memory_of(name))
        value, after = schedule.step(progress, memory.tolist())
        memory.copy_(torch.tensor(after, dtype=torch.float64))
        getattr(self, name).fill_(value)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Keep a tensor: one of no dimensions as a number, else as a buffer of float32 at least."""
        if tensor is not None and tensor.ndim == 0:
            self._keep_off_device(name, tensor.cpu(), persistent)
            return
        kept = None if tensor is None else _placed(tensor, tensor.device, torch.float32)
        super().register_buffer(name, kept, persistent)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_numbers", ()) and not isinstance(value, Tensor):
            raise TypeError(f"{name} of {type(self).__name__} is a tensor: write {name}.fill_(…)")
        super().__setattr__(name, value)

    def _keep_off_device(self, name: str, number: Tensor, persistent: bool = True) -> None:
        self._numbers[name] = persistent
        object.__setattr__(self, name, number.detach())  # past torch, which would keep a buffer

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # State follows the device and learned numbers too, and no cast narrows either.
        everything, buffers = self._parameters, self._buffers
        learned = {name: everything[name] for name in self._learned if name in everything}
        body = {name: one for name, one in everything.items() if name not in learned}
        forgotten = any(one is not None and one.is_meta for one in everything.values())
        self._buffers = {}
        try:
            self._parameters = body
            super()._apply(fn, recurse)
            self._parameters = learned
            super()._apply(_widely(fn), recurse=False)
        finally:
            self._parameters, self._buffers = {**everything, **body, **learned}, buffers
        buffers.update({n: _moved(b, fn) for n, b in buffers.items() if b is not None})
        if forgotten and not any(one.is_meta for one in self.parameters(recurse=False)):
            self.reset_parameters()
        return self

    def reset_parameters(self) -> None:
        """Set state and learned numbers to what they are at the start; a module without has none.

        What was built on the meta device and is given memory by `to_empty` does so itself, but for
        parameters of modules within.
        """

    def _save_to_state_dict(self, *given: Any, **options: Any) -> None:
        with self._numbers_as_buffers():
            super()._save_to_state_dict(*given, **options)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in self._learned:  # of older versions without dimensions, or the other way round
            saved, shape = state.get(prefix + name), getattr(self, name).shape
            if isinstance(saved, Tensor) and saved.numel() == 1 and saved.shape != shape:
                state[prefix + name] = saved.reshape(shape)
        with self._numbers_as_buffers():
            super()._load_from_state_dict(state, prefix, *rest)

    @contextmanager
    def _numbers_as_buffers(self) -> Iterator[None]:
        """Let torch's own saving and loading see numbers among the buffers."""
        numbers = {name: getattr(self, name) for name, saved in self._numbers.items() if saved}
        own, self._buffers = self._buffers, {**numbers, **self._buffers}
        try:
            yield
        finally:
            others = {n: b for n, b in self._buffers.items() if n in numbers}
            self._buffers = {name: self._buffers[name] for name in own}
            for name, number in others.items():
                if number is not None and number is not numbers[name]:  # assigned, not copied
                    self._keep_off_device(name, number.cpu())


def _check_end(schedule: Schedule, end: float, check: Callable[[float], None]) -> None:
    try:
        check(end)
    except ValueError as error:
        raise ValueError(f"{error}, which the schedule {schedule} reaches or tends to") from None


def _widely(fn: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return what moves a learned number as fn does, but keeps it in float32 at least."""

    def apply(number: Tensor) -> Tensor:
        found = fn(number)
        narrow = found.is_floating_point() and found.dtype.itemsize < 4 <= number.dtype.itemsize
        return number.to(found.device) if narrow else found

    return apply


def _moved(buffer: Tensor, fn: Callable[[Tensor], Tensor]) -> Tensor:
    real = buffer.is_floating_point()
    like = fn(buffer.new_zeros((), dtype=torch.float32 if real else buffer.dtype))
    return _placed(buffer, like.device, like.dtype)


def _placed(buffer: Tensor, device: torch.device, least: torch.dtype) -> Tensor:
    """Return state on a device, as wide as it is and as `least` if real."""
    if device.type == "meta" or buffer.is_meta:  # where numbers would be forgotten
        return buffer
    dtype = buffer.dtype
    if buffer.is_floating_point():
        dtype = torch.promote_types(dtype, torch.promote_types(least, torch.float32))
        dtype = torch.float32 if device.type == "mps" else dtype  # it has no float64
    return buffer.to(device, dtype)


def _tensor(value: Any) -> Tensor:
    """Return numbers of float64: one on the CPU, several on the default device, or as given."""
    home = value.device if isinstance(value, Tensor) else torch.get_default_device()
    number = torch.as_tensor(value, dtype=torch.float64, device="cpu")
    return number if not number.ndim else _placed(number, home, torch.float64)


def forgets() -> bool:
    """Return whether what is built now goes to the meta device, where numbers are forgotten."""
    return torch.get_default_device().type == "meta"


def count() -> Tensor:
    """Return a count of nothing yet, where Python reads it."""
    return torch.zeros((), dtype=torch.int64, device="cpu")


def memory_of(name: str) -> str:
    """Return the buffer that holds what a triggered schedule remembers."""
    return f"{name}_memory"
