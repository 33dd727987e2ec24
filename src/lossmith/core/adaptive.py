"""What changes while training: numbers on schedules and state, written by `observe` alone."""

from collections.abc import Callable, Iterator
from typing import Any, Self

import torch
from torch import Tensor, nn

from lossmith.core.progress import Progress
from lossmith.core.schedule import Schedule

Number = float | Schedule | nn.Parameter  # what any hyperparameter and any weight may be


class Adaptive(nn.Module):
    """A module whose numbers may follow schedules; `forward` reads them, `observe` writes them.

    Numbers are 0-dim buffers of float64, so a compiled loss is not compiled again when they change.
    Buffers are of float32 at least and no cast of the model narrows them: an average in bfloat16
    would stand still, for a step of it is rounded off. Positions are absolute: a step observed
    before changes nothing.
    """

    observed: Tensor  # the last step taken in, where state depends on what was seen

    def __init__(self) -> None:
        super().__init__()
        self._schedules: dict[str, Schedule] = {}

    @property
    def needs(self) -> tuple[str, ...]:
        """The signals that each step must bring, this module's own."""
        return ()

    @property
    def watches(self) -> tuple[str, ...]:
        """The signals that triggered schedules wait for; they may come now and then."""
        return tuple(dict.fromkeys(s for one in self._schedules.values() for s in one.signals))

    def parts(self) -> Iterator["Adaptive"]:
        """Yield this module and all adaptive ones in it."""
        yield from (part for part in self.modules() if isinstance(part, Adaptive))

    @property
    def moves(self) -> bool:
        """Whether `observe` changes a number here, or in a module within."""
        return any(part._schedules or "observed" in part._buffers for part in self.parts())

    def keep_number(self, name: str, value: Any, check: Callable[[float], None]) -> None:
        """Keep a number, a list of numbers, a schedule or a parameter under a name.

        Raises:
            ValueError: if a value, or what a schedule reaches, is out of range.
        """
        if isinstance(value, nn.Parameter):
            check(value.item())
            self.register_parameter(name, value)
            return
        if isinstance(value, Schedule):
            for end in value.reach():
                _check_end(value, end, check)
            self._schedules[name] = value
            if value.memory:
                self.register_buffer(memory_of(name), _tensor(value.remembered()))
            value = value.reach()[0]
        number = _tensor(value).detach().clone()
        if number.numel():
            least, most = number.aminmax()  # both NaN where any number is
            check(least.item())
            check(most.item())
        self.register_buffer(name, number)

    def keep_observed(self) -> None:
        """Make room for the last step taken in, where state depends on what was seen."""
        if self.needs or self.watches:
            self.register_buffer("observed", torch.zeros((), dtype=torch.int64))

    def observe(self, progress: Progress) -> None:
        """Take in how far training is; nothing else writes state.

        Raises:
            ValueError: if a signal that a step must bring is missing.
        """
        for part in self.parts():
            part.take_in(progress)

    def take_in(self, progress: Progress) -> None:
        """Take in a progress for this module alone; `observe` does so for all in it."""
        new = "observed" in self._buffers and progress.step > int(self.observed)
        with torch.no_grad():
            for name, schedule in self._schedules.items():
                if not schedule.memory:
                    getattr(self, name).fill_(schedule.at(progress))
                elif new:
                    self._follow(name, schedule, progress)
            if not new:
                return
            missing = [name for name in self.needs if name not in progress.signals]
            if missing:
                raise ValueError(
                    f"{type(self).__name__} needs the signals {', '.join(missing)} at step "
                    f"{progress.step}; training gave {', '.join(progress.signals) or 'none'}"
                )
            self.update(progress)
            self.observed.fill_(progress.step)

    def update(self, progress: Progress) -> None:
        """Change the state to what a new step's signals say; called by `observe`, without grad."""

    def _follow(self, name: str, schedule: Schedule, progress: Progress) -> None:
        memory = getattr(self, memory_of(name))
        value, after = schedule.follow(progress, memory.tolist())
        memory.copy_(torch.tensor(after, dtype=torch.float64))
        getattr(self, name).fill_(value)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Keep a tensor as a buffer, of float32 at least."""
        wide = tensor is not None and tensor.is_floating_point() and tensor.dtype.itemsize < 4
        super().register_buffer(name, tensor.float() if wide else tensor, persistent)  # type: ignore[union-attr]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # Buffers are hyperparameters and state: they follow the device, and no cast narrows them.
        kept, self._buffers = self._buffers, {}
        try:
            super()._apply(fn, recurse)
        finally:
            self._buffers = kept
        for name, buffer in kept.items():
            if buffer is not None:
                kept[name] = _moved(buffer, fn)
        return self


def _check_end(schedule: Schedule, end: float, check: Callable[[float], None]) -> None:
    try:
        check(end)
    except ValueError as error:
        raise ValueError(f"{error}, which the schedule {schedule} reaches or tends to") from None


def _moved(buffer: Tensor, fn: Callable[[Tensor], Tensor]) -> Tensor:
    like = fn(torch.zeros((), dtype=buffer.dtype, device=buffer.device))
    if like.is_meta:  # where numbers would be forgotten
        return buffer
    if like.device.type == "mps" and buffer.dtype == torch.float64:
        return buffer.to(like.device, torch.float32)
    return buffer.to(like.device, torch.promote_types(buffer.dtype, like.dtype))


def _tensor(value: Any) -> Tensor:
    """Return numbers of float64, on a device that keeps them."""
    here = "cpu" if torch.get_default_device().type == "meta" else None
    return torch.as_tensor(value, dtype=torch.float64, device=here)


def memory_of(name: str) -> str:
    """Return the buffer that holds what a triggered schedule remembers."""
    return f"{name}_memory"
