"""The driver: tells losses how far training is, used as an LR scheduler is."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from lossmith.core.adaptive import Adaptive
from lossmith.core.distributed import all_gather_rows, all_reduce_sum, is_distributed
from lossmith.core.progress import Progress


class LossScheduler:
    """Drives schedules, learned shapes and weightings; one `step` after each optimizer step.

    Args:
        loss: the loss, or any module that holds losses.
        total_steps: optimizer steps planned; needed where a schedule counts shares of training.
        steps_per_epoch: needed where a schedule counts epochs, unless `step(epoch=...)` tells.
        optimizer: what trains the loss's own parameters; needed where it has any.

    Raises:
        ValueError: if a count is not positive, or the loss has parameters that no optimizer holds.

    >>> from lossmith import MAE, MSE
    >>> from lossmith.core.transitions import switch
    >>> loss = switch(MAE(), MSE(), at=0.5)
    >>> clock = LossScheduler(loss, total_steps=2)
    >>> clock.step()
    >>> loss.weighting.weights()
    {'mae': 0.0, 'mse': 1.0}
    """

    def __init__(
        self,
        loss: nn.Module,
        *,
        total_steps: int | None = None,
        steps_per_epoch: int | None = None,
        optimizer: torch.optim.Optimizer | None = None,
    ) -> None:
        if steps_per_epoch is not None and steps_per_epoch <= 0:
            raise ValueError(f"steps_per_epoch must be positive, got {steps_per_epoch}")
        self.loss = loss
        self.total_steps = total_steps
        self.steps_per_epoch = steps_per_epoch
        self._parts = [part for part in loss.modules() if isinstance(part, Adaptive)]
        if not self._parts:
            raise ValueError("LossScheduler: the module holds no lossmith loss")
        _check_trained(self._parts, optimizer)
        self._seen: set[str] = set()
        self._position = 0
        self._epoch: int | None = None
        self._observe({})

    def __repr__(self) -> str:
        of = "" if self.total_steps is None else f" of {self.total_steps}"
        return f"<LossScheduler of {type(self.loss).__name__}, at step {self._position}{of}>"

    @property
    def required_signals(self) -> tuple[str, ...]:
        """The signals that every `step` must bring."""
        return tuple(dict.fromkeys(name for part in self._parts for name in part.required_signals))

    @property
    def optional_signals(self) -> tuple[str, ...]:
        """The signals that triggered schedules wait for; a step may bring them."""
        return tuple(dict.fromkeys(name for part in self._parts for name in part.optional_signals))

    def step(self, *, epoch: int | None = None, **signals: Any) -> None:
        """Count one optimizer step and hand its signals to the losses, detached.

        Over several processes, every rank must bring the same signals: rows are gathered and
        numbers averaged, so that state is the same on every rank, and that of one process with
        the whole batch where ranks hold equally many rows.

        Raises:
            ValueError: if a signal that a loss needs is missing, or one that a trigger waits for
                was not seen in two epochs, or in half of the training.
        """
        missing = [name for name in self.required_signals if name not in signals]
        if missing:
            raise ValueError(
                f"this loss needs {', '.join(f'{name}=' for name in missing)} at every step"
                f"{_how_to(missing)}"
            )
        self._position += 1
        self._epoch = epoch if epoch is not None else self._epoch
        self._seen |= set(signals)
        self._observe({name: _shared(value) for name, value in signals.items()})
        self._check_watched()

    @property
    def position(self) -> int:
        """The optimizer steps counted."""
        return self._position

    def place(self) -> dict[str, Any]:
        """Return the position alone, where a checkpoint of the module holds the losses' state."""
        return {"position": self._position, "epoch": self._epoch, "seen": sorted(self._seen)}

    def go_to(self, place: Mapping[str, Any]) -> None:
        """Go on from a position, with the losses as they are."""
        self._position, self._epoch = place["position"], place["epoch"]
        self._seen = set(place["seen"])
        self._observe({})

    def state_dict(self) -> dict[str, Any]:
        """Return the position, and the state of the losses."""
        return {**self.place(), "loss": self.loss.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Raises:
            ValueError: if the state is not one of `state_dict`.
        """
        missing = {"position", "epoch", "seen", "loss"} - set(state)
        if missing:
            raise ValueError(
                f"this is no state of a LossScheduler: it lacks {', '.join(sorted(missing))}"
            )
        self.loss.load_state_dict(state["loss"])
        self.go_to(state)

    def _observe(self, signals: Mapping[str, Any]) -> None:
        progress = Progress(
            step=self._position, total=self.total_steps, epoch=self._epochs(), signals=signals
        )
        for part in self._parts:
            part.observe_self(progress)

    def _epochs(self) -> int | None:
        """Return the epochs done: as told, else counted, else None."""
        if self._epoch is None and self.steps_per_epoch is not None:
            return self._position // self.steps_per_epoch
        return self._epoch

    def _check_watched(self) -> None:
        missing = [name for name in self.optional_signals if name not in self._seen]
        if not missing:
            return
        late = self.total_steps is not None and 2 * self._position > self.total_steps
        if (self._epochs() or 0) >= 2 or late:
            raise ValueError(
                f"a schedule waits for the signal {', '.join(missing)}, which no step has "
                f"brought; pass step({missing[0]}=...) when it is measured"
            )


class ModelWithLoss(nn.Module):
    """A model and its loss as one module: DistributedDataParallel averages the gradients of both.

    Learned shapes and weights outside that module would drift apart between ranks.

    >>> from lossmith import MSE
    >>> both = ModelWithLoss(nn.Linear(2, 1), MSE())
    >>> value, output = both(torch.zeros(3, 2), torch.zeros(3, 1))
    >>> output.shape
    torch.Size([3, 1])
    """

    def __init__(self, model: nn.Module, loss: nn.Module) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, input: Any, target: Any, **given: Any) -> tuple[torch.Tensor, Any]:
        """Return the loss of the model's output, and the output; `given` goes to the loss."""
        output = self.model(input)
        return self.loss(output, target, **given), output


def parameter_groups(
    model: nn.Module | Iterable[nn.Parameter], loss: nn.Module, **options: Any
) -> list[dict[str, Any]]:
    """Return an optimizer's groups: the model's parameters, and the loss's without weight decay.

    Options go to the model's group; the loss's has `weight_decay=0` and, with `loss_lr`, its own
    learning rate.

    >>> from lossmith import MSE
    >>> groups = parameter_groups(nn.Linear(2, 1), MSE(), weight_decay=0.1)
    >>> [(len(group["params"]), group["weight_decay"]) for group in groups]
    [(2, 0.1)]
    """
    rate = options.pop("loss_lr", None)
    own = [one for one in loss.parameters() if one.requires_grad]
    known = {id(one) for one in own}
    everyone = model.parameters() if isinstance(model, nn.Module) else model
    groups: list[dict[str, Any]] = [
        {"params": [one for one in everyone if id(one) not in known], **options}
    ]
    if own:
        extra = {} if rate is None else {"lr": rate}
        groups.append({"params": own, "weight_decay": 0.0, **extra})
    return groups


def _check_trained(parts: Iterable[Adaptive], optimizer: torch.optim.Optimizer | None) -> None:
    groups = optimizer.param_groups if optimizer is not None else []
    held = {id(one) for group in groups for one in group["params"]}
    orphans = [
        f"{type(part).__name__}.{name}"
        for part in parts
        for name, one in part.named_parameters(recurse=False)
        if one.requires_grad and id(one) not in held
    ]
    if orphans:
        raise ValueError(
            f"no optimizer trains {', '.join(dict.fromkeys(orphans))}; build it from "
            "lossmith.parameter_groups(model, loss) and pass it: LossScheduler(..., optimizer=...)"
        )


def _shared(value: Any) -> Any:
    """Detach a signal and bring it together over ranks: rows gathered, numbers averaged."""
    if isinstance(value, Mapping):
        return {name: _shared(entry) for name, entry in value.items()}
    if isinstance(value, float) and is_distributed():
        return _shared(torch.tensor(value, dtype=torch.float64)).item()
    if not isinstance(value, torch.Tensor):
        return value
    value = value.detach()
    if value.ndim > 0 or not is_distributed():
        return all_gather_rows(value) if value.ndim > 0 else value
    return all_reduce_sum(value) / torch.distributed.get_world_size()


def _how_to(missing: Iterable[str]) -> str:
    hints = {
        "terms": "terms=loss.terms(output, target)",
        "terms_after": "terms_after=loss.terms(model(x), target), after the optimizer's step",
        "gradient_norms": "gradient_norms=lossmith.gradient_norms(terms, shared_parameters)",
        "input": "input=output",
        "target": "target=target",
        "teacher": "teacher=target, the teacher's logits",
        "teacher_patches": "teacher_patches=target['teacher']",
        "keys": "keys=target, the momentum encoder's",
    }
    told = [hints[name] for name in missing if name in hints]
    return f"; pass {', '.join(told)}" if told else ""
