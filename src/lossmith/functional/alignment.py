"""Losses of sequences that are longer than their labels, unreduced: where each falls is summed."""

import torch
from torch import Tensor

from lossmith.functional.checks import promote, require, widest, within

_FAR = 1e9  # log-probabilities whose sums keep the digits of a difference in float64


def ctc(
    input: Tensor,
    classes: Tensor,
    lengths: Tensor,
    frames: Tensor | None = None,
    *,
    blank: int = 0,
    zero_infinity: bool = True,
) -> Tensor:
    """Return −log of the chance of each row's labels over all their alignments to the frames.

    Computed by torch's `ctc_loss`. A row that no alignment fits has 0, or infinity without
    `zero_infinity`; its gradient is zero either way.
    """
    logits, labels, length, frame = _checked(input, classes, lengths, frames, blank)
    if not len(logits):
        return logits.sum((1, 2))
    if frames is not None:  # whatever is behind them
        heard = torch.arange(logits.shape[1], device=logits.device) < frame.unsqueeze(1)
        logits = torch.where(heard.unsqueeze(2), logits, 0)
    low = torch.finfo(logits.dtype).min / (2 * max(logits.shape[1], 1))  # a path adds up to finite
    wide = logits.to(widest(logits.device))  # torch subtracts sums of it
    log_p = wide.log_softmax(2).clamp(min=low)
    # So far apart one path is all: a scale, under which sums keep their digits, changes no share.
    size = (log_p.detach().abs().amax() / _FAR).clamp(min=1.0)
    values = torch.nn.functional.ctc_loss(
        (log_p / size).transpose(0, 1),
        labels,
        frame,
        length,
        blank,
        reduction="none",
        zero_infinity=True,
    )
    values = (values * size).to(logits.dtype)
    if zero_infinity:
        return values
    place = torch.arange(1, labels.shape[1], device=labels.device)
    again = (labels[:, 1:] == labels[:, :-1]) & (place < length.unsqueeze(1))
    return values.masked_fill(length + again.sum(1) > frame, torch.inf)


def _checked(
    input: Tensor, classes: Tensor, lengths: Tensor, frames: Tensor | None, blank: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return float logits, and labels without padding, lengths and frames as integers."""
    logits = promote(input)
    if classes.is_floating_point() or classes.dtype == torch.bool:
        raise TypeError(f"classes must hold integers, got {classes.dtype}; use classes.long()")
    rows = logits.shape[:1]
    counted = {"lengths": lengths} if frames is None else {"lengths": lengths, "frames": frames}
    shapes = [tuple(one.shape) for one in (logits, classes, *counted.values())]
    fit = logits.ndim == 3 and classes.ndim == 2 and classes.shape[:1] == rows
    if not fit or any(one.shape != rows for one in counted.values()):
        raise ValueError(
            f"input, classes, {', '.join(counted)} have shapes {', '.join(map(str, shapes))}; "
            "they must be (N, T, C), (N, S), and (N,)"
        )
    if blank >= logits.shape[2]:
        raise ValueError(f"blank is {blank}, but input has {logits.shape[2]} classes")
    length = _within("lengths", lengths, classes.shape[1])
    frame = torch.full_like(length, logits.shape[1])
    frame = frame if frames is None else _within("frames", frames, logits.shape[1])
    padding = torch.arange(classes.shape[1], device=classes.device) >= length.unsqueeze(1)
    labels = classes.long()
    fine = (labels >= 0) & (labels < logits.shape[2]) & (labels != blank)
    require(
        (fine | padding).all(),
        f"a class lies outside 0 … {logits.shape[2] - 1}, or is {blank}, the blank's",
    )
    return logits, labels.masked_fill(padding, blank), length, frame


def _within(name: str, counts: Tensor, most: int) -> Tensor:
    """Return counts as integers, all from 0 to `most`."""
    within(counts, 0, most, f"{name} must lie in 0 … {most}, the padded size")
    return counts.long()
