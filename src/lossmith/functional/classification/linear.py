"""Cross-entropy of a linear head over very many classes: of all of them, or of a sample."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lossmith.functional.checks import beside, check, check_classes, is_concrete, promote, widest
from lossmith.functional.classification import sharded
from lossmith.functional.classification.sharded import rows_of
from lossmith.functional.similarity import log_sums
from lossmith.kernels import linear as kernel
from lossmith.kernels.choice import Why, choose, transformed

__all__ = ["draw_classes", "drawing_time", "linear_cross_entropy", "sampled_linear_cross_entropy"]

FEW_LOGITS = 1 << 22
FEW_CLASSES = 512
FEW = 4  # how many classes a draw there must be for drawing one after another to cost less


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
        if _choose(rows.shape[0] * classes, classes, options, shared):
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
    if isinstance(value, Tensor) and (value.requires_grad or not is_concrete(value)):
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


def sampled_linear_cross_entropy(
    input: Tensor,
    weight: Tensor,
    target: Tensor,
    sampled: Tensor,
    *,
    expected: Tensor,
    target_expected: Tensor | None = None,
    bias: Tensor | None = None,
    sparse: bool = False,
    ignore_index: int = -100,
) -> Tensor:
    r"""Return the cross-entropy of a linear head over each row's own class and a sample of others.

    .. math:: -\log \frac{e^{x_y - \log Q_y}}{e^{x_y - \log Q_y}
        + \sum_{s \in S, s \ne y} e^{x_s - \log Q_s}} \qquad x = W h + b

    with Q how often a class is drawn on average, the logQ correction. Without `target_expected`
    Q_y is 1: then the denominator estimates the sum over all classes without bias. With all
    classes in the sample both are the full cross-entropy. Computed in float32, or float64 as given.

    Memory is that of the rows of input, of W drawn and of one tile of logits; a dense gradient of W
    has W's own size, a sparse one that of the rows.

    Args:
        input: (…, D), what the head reads.
        weight: (C, D), the head; a DTensor sharded by its classes is read where it lies.
        target: (…) integer classes.
        sampled: (S,) different classes in ascending order.
        expected: (S,) how often each of them is drawn on average.
        target_expected: (…) the same of each target.
        bias: (C,) of the head.
        sparse: whether the weight's gradient is a sparse tensor.
        ignore_index: the target whose rows have the value of class 0.

    Raises:
        TypeError: if the target holds no integers, or input is no floating-point tensor.
        ValueError: if shapes do not fit, classes lie outside 0 … C − 1, or sampled is not in order.

    Source: Bengio & Senécal, Adaptive Importance Sampling to Accelerate Training of a Neural
    Probabilistic Language Model (2008); Jean, Cho, Memisevic, Bengio, On Using Very Large Target
    Vocabulary for Neural Machine Translation (2015).

    >>> hidden, head, drawn = torch.eye(2), torch.eye(2), torch.tensor([0, 1])
    >>> sampled_linear_cross_entropy(hidden, head, drawn, drawn, expected=torch.ones(2))
    tensor([0.3133, 0.3133])
    """
    check_linear(input, weight, bias, target)
    rows = target.flatten().long()
    rows = rows.masked_fill(rows == ignore_index, 0)
    check_classes(rows, len(weight))
    sampled, expected = sampled.to(target.device), beside(expected, target)
    _check_sample(sampled, expected, target, target_expected)
    dtype = torch.promote_types(promote(input).dtype, weight.dtype)
    left = input.reshape(rows.shape[0], weight.shape[1]).to(dtype)
    certain = torch.ones_like(rows, dtype=expected.dtype)
    drawn = certain if target_expected is None else target_expected.flatten()
    shift = -torch.cat([drawn, expected]).log().to(dtype)
    index = torch.cat([rows, sampled])
    head = rows_of(weight, index, sparse=sparse).to(dtype)
    if bias is not None:
        shift = shift + rows_of(bias.unsqueeze(1), index).squeeze(1).to(dtype)
    positive = (left * head[: rows.shape[0]]).sum(1) + shift[: rows.shape[0]]
    negatives = _log_sum(left, head[rows.shape[0] :], shift[rows.shape[0] :], _hits(rows, sampled))
    return -logsigmoid(positive - negatives).reshape(target.shape)


def _check_sample(
    sampled: Tensor, expected: Tensor, target: Tensor, target_expected: Tensor | None
) -> None:
    known = target.shape if target_expected is None else target_expected.shape
    if sampled.ndim != 1 or expected.shape != sampled.shape or known != target.shape:
        raise ValueError(
            f"sampled has shape {tuple(sampled.shape)} and expected {tuple(expected.shape)}, "
            f"target {tuple(target.shape)} and target_expected {tuple(known)}; they must be alike"
        )
    check((sampled.diff() > 0).all(), "sampled must hold different classes in ascending order")


def _log_sum(left: Tensor, head: Tensor, shift: Tensor, skip: Tensor) -> Tensor:
    """Return each row's log-sum over the sample, without what it skips."""
    left = torch.cat([left, torch.ones_like(left[:, :1])], 1)
    right = torch.cat([head, shift.unsqueeze(1)], 1)
    right = torch.cat([right, torch.zeros_like(right[:1])])  # a class for rows that skip none
    return log_sums(left, right, skip)[0]


def _hits(rows: Tensor, sampled: Tensor) -> Tensor:
    """Return what each row skips: its own class, if drawn, and the place behind the last."""
    last = sampled.shape[0]
    place = torch.searchsorted(sampled, rows).clamp(max=last - 1)
    none = torch.full_like(rows, last)
    return torch.stack([torch.where(sampled[place] == rows, place, none), none], 1)


def drawing_time(cumulative: Tensor, samples: int) -> float:
    """Return the t of which 1 − exp(−p·t) is the probability that a class of share p is drawn.

    It is about the number of draws that it takes until so many classes are different.

    >>> 1 - math.exp(-drawing_time(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]).double(), 1) / 4)
    0.25
    """
    shares = cumulative.diff()
    if samples >= len(shares):
        return torch.finfo(torch.float64).max
    time, step = 0.0, math.inf
    while step > 1e-12 * time:  # Newton from below: the sum of the probabilities is concave
        drawn = -torch.expm1(-shares * time)
        step = float((samples - drawn.sum()) / (shares * (1 - drawn)).sum())
        time += step
    return time


def draw_classes(
    cumulative: Tensor, samples: int, time: float, *, generator: torch.Generator | None = None
) -> Tensor:
    """Return so many different classes, drawn by their shares, in ascending order.

    Args:
        cumulative: (C + 1,) the classes' shares summed up, from 0 to 1, in float64.
        samples: how many are drawn; all where there are no more.
        time: their `drawing_time`.
        generator: of random numbers.

    >>> draw_classes(torch.tensor([0.0, 0.5, 1.0]).double(), 2, math.inf)
    tensor([0, 1])
    """
    classes = len(cumulative) - 1
    if samples >= classes:
        return torch.arange(classes)
    if FEW * time < classes:
        drawn = _one_by_one(cumulative, samples, int(1.2 * time) + 8, generator)
    else:
        drawn = _all_at_once(cumulative, samples, generator)
    return drawn.sort().values


def _all_at_once(cumulative: Tensor, samples: int, generator: torch.Generator | None) -> Tensor:
    """Draw when each class would come first, each at the rate of its share: cost is of classes."""
    times = torch.empty_like(cumulative[1:]).exponential_(generator=generator) / cumulative.diff()
    return times.topk(samples, largest=False).indices


def _one_by_one(
    cumulative: Tensor, samples: int, some: int, generator: torch.Generator | None
) -> Tensor:
    """Draw some classes at a time, any more than once, until enough are different."""
    seen, places = torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long)
    while len(places) < samples:
        drawn = torch.rand(some, generator=generator, dtype=torch.float64)
        more = torch.searchsorted(cumulative, drawn, right=True) - 1
        seen = torch.cat([seen, more.clamp(max=len(cumulative) - 2)])
        different, where = seen.unique(return_inverse=True)
        late = torch.full_like(different, len(seen))
        places = late.scatter_reduce(0, where, torch.arange(len(seen)), "amin").sort().values
    return seen[places[:samples]]
