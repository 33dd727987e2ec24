"""A linear head and its cross-entropy in one, unreduced: one value a row."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lossmith.functional import sharded
from lossmith.functional.checks import at_hand, check_classes, promote, widest
from lossmith.kernels import linear as kernel
from lossmith.kernels.choice import Why, choose, transformed

FEW_LOGITS = 1 << 22
FEW_CLASSES = 512


def linear_cross_entropy(
    input: Tensor,
    weight: Tensor,
    target: Tensor,
    *,
    bias: Tensor | None = None,
    label_smoothing: Tensor | float = 0.0,
    z_loss: Tensor | float | None = None,
    softcap: Tensor | float | None = None,
    row_weight: Tensor | None = None,
    ignore_index: int = -100,
) -> Tensor:
    r"""Return the cross-entropy of a linear head, without its logits in memory all at once.

    .. math:: -\sum_c t_c \log p_c + z \Bigl(\log \sum_c e^{x_c}\Bigr)^2 \qquad
        p = \mathrm{softmax}(x) \qquad x = s \tanh\frac{W h + b}{s}

    with t_c = (1 − label_smoothing)·1[c = target] + label_smoothing/C, and without the tanh where
    softcap s is None. Three matrix products do for values and gradients, where `reduce` gets the
    same weights as `row_weight`; other gradients from above are as right and cost two more.
    A gradient that is to be differentiated again is computed by way of all logits.

    bfloat16 tensors, and all under bfloat16 autocast, are multiplied as bfloat16; all else is
    float32, as are float16 tensors.

    Args:
        input: (…, D), what the head reads.
        weight: (C, D), the head; it may be tied to an embedding. A DTensor sharded by its classes,
            of which each rank holds some, is read where it lies: two sums over ranks give the
            exact values, and all ranks must hold the same input and target.
        target: (…) integer classes.
        bias: (C,) of the head.
        label_smoothing: share of the target spread evenly over all classes.
        z_loss: weight of the squared log-normaliser; None for none.
        softcap: bound of the logits.
        row_weight: (…), what each row will weigh; a row of weight 0 is left out, its value 0.
        ignore_index: the target whose rows are left out, too.

    Raises:
        TypeError: if the target holds no integers, or input is no floating-point tensor.
        ValueError: if shapes do not fit, a class lies outside 0 … C − 1, a weight is sharded
            otherwise, or ranks that share one hold other targets.

    Source: Wijmans et al., Cut Your Losses in Large-Vocabulary Language Models (2025); z-loss:
    Chowdhery et al., PaLM (2022); softcap: Gemma Team, Gemma 2 (2024).

    >>> hidden, head = torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> linear_cross_entropy(hidden, head, torch.tensor([0, 1]))
    tensor([0.3133, 0.3133])
    """
    check_linear(input, weight, bias, target)
    rows, classes = target.flatten().long(), weight.shape[0]
    ignored = rows == ignore_index
    check_classes(rows.masked_fill(ignored, 0), classes)
    weighs = _row_weight(row_weight, target).masked_fill(ignored, 0)
    options = kernel.Options(*map(_number, (label_smoothing, z_loss, softcap)))
    head = _same_dtype(input.reshape(-1, input.shape[-1]), weight, bias)
    rows = rows.masked_fill(weighs == 0, 0)
    with torch.autocast(input.device.type, enabled=False):
        shared = sharded.distributed(weight)
        if _choose(len(rows) * classes, classes, options, shared):
            values = kernel.fused(*head, rows, weighs, options)
        else:
            left_out = weighs == 0
            hidden = head[0].masked_fill(left_out.unsqueeze(1), 0)  # whatever it holds, NaN too
            plain = sharded.values if shared else kernel.reference
            values = plain(hidden, *head[1:], rows, options).masked_fill(left_out, 0)
    return values.reshape(target.shape)


def _choose(logits: int, classes: int, options: kernel.Options, shared: bool) -> bool:
    learned = any(number is not None and number.requires_grad for number in options)
    obstacles: Sequence[tuple[bool, Why]] = (
        (transformed(), "torch.func needs operations that it can transform"),
        (learned, "a hyperparameter is learned"),
        (shared, "each rank holds some of the classes"),
        (logits < FEW_LOGITS, lambda: f"{logits} logits are fewer than {FEW_LOGITS}"),
        (classes < FEW_CLASSES, lambda: f"{classes} classes are fewer than {FEW_CLASSES}"),
    )
    reason = "{} logits, a chunk of rows at a time"
    return choose("linear_cross_entropy", obstacles, lambda: reason.format(logits))


def check_linear(input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor) -> None:
    """Raise unless a head, its input and targets fit and targets are integers."""
    if target.is_floating_point() or target.dtype == torch.bool:
        raise TypeError(f"target must hold integer classes, got {target.dtype}; use target.long()")
    if weight.ndim != 2 or input.shape != (*target.shape, weight.shape[1]):
        needed = (*target.shape, *weight.shape[1:])
        raise ValueError(
            f"input has shape {tuple(input.shape)} but target of shape {tuple(target.shape)} "
            f"with a head of shape {tuple(weight.shape)} needs {needed}; nothing is broadcast"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(
            f"bias has shape {tuple(bias.shape)} but the head has {weight.shape[0]} classes; "
            "give one number a class"
        )


def _row_weight(row_weight: Tensor | None, target: Tensor) -> Tensor:
    if row_weight is None:
        return torch.ones(target.numel(), device=target.device)
    if row_weight.shape != target.shape:
        raise ValueError(
            f"row_weight has shape {tuple(row_weight.shape)} but target has shape "
            f"{tuple(target.shape)}; give one weight a row"
        )
    return row_weight.flatten() if row_weight.is_floating_point() else row_weight.flatten().float()


def _number(value: Tensor | float | None) -> Tensor | None:
    """Return a hyperparameter as a 0-dim tensor, so that a change of value compiles nothing."""
    if isinstance(value, Tensor) and (value.requires_grad or not at_hand(value)):
        return value.to(widest(value.device))
    return None if value is None or value == 0 else torch.as_tensor(value, dtype=torch.float64)


def _same_dtype(
    input: Tensor, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Bring the head to one dtype: bfloat16 where all of it or autocast is, else as `promote`."""
    device, half = input.device.type, torch.bfloat16
    promote(input)  # a TypeError for integers
    dtype = torch.promote_types(input.dtype, weight.dtype)
    if dtype == torch.float16:
        dtype = torch.float32
    if torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == half:
        dtype = half if dtype == torch.float32 else dtype
    return input.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
