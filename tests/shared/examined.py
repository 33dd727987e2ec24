"""Runs an example until it has trained a little, and examines each set-up that it trains."""

import importlib.util
import inspect
import signal
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from lossmith.core.loss import Loss
from lossmith.doctor import Finding, check_setup
from lossmith.study.trials.contenders import FunctionLoss

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.py"))


class Enough(BaseException):
    """The example has run for as long as it may."""


class Examiner:
    """Examines the first call of each loss, with the model whose output it is given.

    seconds: of work that are left from the first of them on; 0 for as many as it takes.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.found: dict[str, tuple[Finding, ...]] = {}
        self.seconds = seconds
        self._last: tuple[Any, Any] = (None, None)
        self._depth, self._busy = 0, False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at every module that is called."""
        handles = [
            hooks.register_module_forward_pre_hook(self._enter),
            hooks.register_module_forward_hook(self._leave, always_call=True),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def examine(self, name: str, loss: Any, output: Any, target: Any) -> None:
        """Examine a loss, once for each name."""
        if name in self.found or self._busy or not torch.is_grad_enabled():
            return
        if not self.found:
            signal.setitimer(signal.ITIMER_PROF, self.seconds)
        _, input = self._last
        fits = isinstance(input, Tensor) and isinstance(target, Tensor)
        self._busy = True
        try:
            rows = input if fits and len(input) == len(target) else None
            self.found[name] = tuple(check_setup(lambda _: output, loss, (rows, target)))
        finally:
            self._busy = False

    def _enter(self, module: nn.Module, args: Any) -> None:
        if self._busy:
            return
        if self._depth == 0 and len(args) in (1, 2) and _is_loss(module):
            target = args[1] if len(args) == 2 else None
            name = getattr(module, "function", module)
            self.examine(f"{name!r:.120}", module, args[0], target)
        elif self._depth == 0 and args:
            self._last = module, args[0]
        self._depth += 1

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if not self._busy:
            self._depth -= 1


def _is_loss(module: nn.Module) -> bool:
    own = isinstance(module, (Loss, FunctionLoss))
    return own or type(module).__name__ in ("SoftIoU", "Rounded")


def found_in(example: str, folder: Path, seconds: float) -> dict[str, tuple[Finding, ...]]:
    """Return what is found in the set-ups of an example, in so many seconds of its training."""
    module = imported(example)
    examiner = Examiner(seconds)
    for name in ("STEPS", "EPOCHS", "SEEDS"):
        if hasattr(module, name):
            setattr(module, name, min(getattr(module, name), 2))
    given = [str(folder)] if "folder" in inspect.signature(module.main).parameters else []
    torch.set_num_threads(1)  # `select` trains in as many processes, which nobody looks into
    before, kept = signal.signal(signal.SIGPROF, _stop), sys.argv
    sys.argv = [example]
    try:
        # Enough may come while gradients are switched off, and leaves them as they were before.
        with torch.enable_grad(), examiner.watching(), chdir(folder):
            module.main(*given)
    except Enough:
        pass
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        sys.argv = kept
    return examiner.found


def _stop(*_: Any) -> None:
    raise Enough


def imported(example: str) -> Any:
    """Return an example as a module."""
    spec = importlib.util.spec_from_file_location(Path(example).stem, FOLDER / example)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[Path(example).stem] = module
    spec.loader.exec_module(module)
    return module
