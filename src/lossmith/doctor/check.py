"""`check_setup`: looks at a model, a loss and a batch, and leaves them as they were."""

from typing import Any

from torch.optim import Optimizer

from lossmith.doctor.calls import tensors_of
from lossmith.doctor.findings import Findings
from lossmith.doctor.guarded import left_as_it_was
from lossmith.doctor.registry import examine
from lossmith.doctor.seen import look
from lossmith.doctor.setup import Setup, generators_of, loader_of, read


def check_setup(
    model: Any,
    loss: Any,
    batch: Any,
    *,
    metric: Any = None,
    optimizer: Any = None,
    sampler: Any = None,
    loader: Any = None,
    valid: Any = None,
    accumulate: int = 1,
) -> Findings:
    """Return what is silently wrong in a training set-up, each with its evidence and remedy.

    The model runs forward once, on one batch, and the loss forward and backward. Modes, buffers,
    gradients and generators of random numbers are left as they were; nothing is trained.

    Args:
        model: a module, or any function of a batch's input.
        loss: of lossmith or torch, a module of your own, or any function of (output, target).
        batch: (input, target); several such in a list; or a DataLoader, of which the first eight
            batches are read. A mapping with "labels" is a batch of Transformers; an input without
            a target is one of a loss without a target.
        metric: what is judged by: a name, as "mae" or "log_loss"; needs the extra `select`.
        optimizer: what trains, or several.
        sampler: that draws the rows (default: the loader's).
        loader: the DataLoader that the batch is of (default: the batch, if it is one).
        valid: a batch, batches or a DataLoader of validation.
        accumulate: how many batches' gradients are added up before a step.

    Raises:
        TypeError: if a batch is no such thing.
        ValueError: if there is no batch, or `accumulate` is below 1.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(dim=1))
    >>> batch = torch.randn(8, 4), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    >>> check_setup(model, torch.nn.CrossEntropyLoss(), batch).names
    ['probabilities passed as logits']
    """
    if accumulate < 1:
        raise ValueError(f"accumulate must be 1 or more, got {accumulate}")
    known, held = loader_of(loader, batch), loader_of(valid)
    optimizers = [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer or ())
    with left_as_it_was((model, loss), generators_of(known, held)):
        batches = read(batch)
        if not batches:
            raise ValueError("there is no batch to look at: the loader is empty")
        if any(not one.numel() for part in batches[0] for one in tensors_of(part)):
            raise ValueError("the first batch has no rows; give one that has")
        setup = Setup(
            model=model,
            loss=loss,
            batches=batches,
            metric=metric,
            optimizers=optimizers,
            loader=known,
            sampler=_sampler(sampler, known),
            valid=read(valid),
            valid_loader=held,
            accumulate=accumulate,
        )
        return examine(look(setup))


def _sampler(given: Any, loader: Any) -> Any:
    return given if given is not None else getattr(loader, "sampler", None)
