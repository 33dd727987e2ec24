"""What a student takes from a teacher, unreduced: outputs, features, and how rows relate."""

import math

import torch
from torch import Tensor

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    class_logits,
    flat_rows,
    matmul_full_precision,
    promote,
    same_shape,
    widest,
)
from lossmith.functional.classification.multiclass import log_probabilities
from lossmith.functional.divergence import check_rows, relative_entropy
from lossmith.functional.embeddings import cosines, distances, scaled, unit_rows
from lossmith.functional.regression.point import smooth_l1

__all__ = [
    "attention_transfer",
    "correlation_distillation",
    "decoupled_distillation",
    "distillation",
    "hint",
    "probabilistic_transfer",
    "relational_distillation",
    "similarity_preserving",
]

_LITTLE = 1e-7  # the authors' of PKT, where a chance is 0


def distillation(input: Tensor, target: Tensor, *, temperature: Tensor | float = 4.0) -> Tensor:
    """Return T²·KL(softmax(teacher/T)‖softmax(student/T)) of a student's and a teacher's logits."""
    student, teacher, heat = _cooled(input, target, temperature)
    value = heat**2 * relative_entropy(log_probabilities(teacher), log_probabilities(student))
    return value.to(promote(input).dtype)


def decoupled_distillation(
    input: Tensor,
    target: Tensor,
    classes: Tensor,
    *,
    temperature: Tensor | float = 4.0,
    ignore_index: int = -100,
) -> tuple[Tensor, Tensor]:
    """Return T²·KL of target class against the rest, and T²·KL among the rest."""
    student, teacher, heat = _cooled(input, target, temperature)
    _, classes = class_logits(input, classes, ignore_index)
    own = torch.arange(student.shape[1], device=student.device) == classes.unsqueeze(1)
    pairs, rests = zip(*(_split(part, own) for part in (teacher, student)), strict=True)
    both = heat**2 * relative_entropy(*pairs), heat**2 * relative_entropy(*rests)
    return both[0].to(promote(input).dtype), both[1].to(promote(input).dtype)


def hint(input: Tensor, target: Tensor) -> Tensor:
    """Return ‖input − target‖²/2 of each sample's features."""
    student, teacher = same_shape(input, target)
    return flat_rows(student - teacher, dims=2).square().sum(1) / 2


def attention_transfer(input: Tensor, target: Tensor, *, p: Tensor | float = 2.0) -> Tensor:
    """Return the mean squared gap of unit attention maps, mean over channels of |feature|^p."""
    if input.ndim < 3 or target.shape[:1] + target.shape[2:] != input.shape[:1] + input.shape[2:]:
        raise ValueError(
            f"input has shape {tuple(input.shape)} but target has shape {tuple(target.shape)}; "
            "feature maps must be (N, C, …), alike but for C"
        )
    student = promote(input)
    maps = [_attention(part, p) for part in (student, target.to(student.dtype))]
    gap = (maps[0] - maps[1]).square()
    return gap.sum(1) / max(gap.shape[1], 1)


def correlation_distillation(
    input: Tensor, target: Tensor, *, temperature: Tensor | float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return T²·(1 − Pearson's correlation) of probabilities: mean over rows, and over classes."""
    student, teacher, heat = _cooled(input, target, temperature)
    rows, others = _lift(student), _lift(teacher)
    each = heat**2 * _uncorrelated(rows, others)
    classes = heat**2 * _uncorrelated(rows.transpose(0, 1), others.transpose(0, 1))
    count = rows.shape[0]
    found = each.sum() / max(count, 1), classes.mean() * min(count, 1)
    return found[0].to(promote(input).dtype), found[1].to(promote(input).dtype)


def _lift(logits: Tensor) -> Tensor:
    """Return how many times as likely as on average each class is, less one: C·p − 1.

    A correlation knows neither scale nor shift: digits are kept where all p are nearly alike.
    """
    even = logits - logits.mean(1, keepdim=True)
    near = even.abs() < 1
    near = near.all(1, keepdim=True)
    small = torch.where(near, even, 0)
    small = small - small.expm1().mean(1, keepdim=True).log1p()
    return torch.where(near, small, logits.log_softmax(1) + math.log(logits.shape[1])).expm1()


def _uncorrelated(left: Tensor, right: Tensor) -> Tensor:
    """Return 1 − the correlation of each row with its own."""
    left, right = (part - part.mean(1, keepdim=True) for part in (left, right))
    return 1 - (unit_rows(left) * unit_rows(right)).sum(1)


def similarity_preserving(input: Tensor, target: Tensor) -> Tensor:
    """Return |ĝ_i − ĝ'_i|²/N, ĝ_i the unit row of inner products with all rows (Tung, 2019)."""
    maps = [unit_rows(matmul_full_precision(one, one.T)) for one in _both_rows(input, target)]
    return (maps[0] - maps[1]).square().sum(1) / max(input.shape[0], 1)


def probabilistic_transfer(input: Tensor, target: Tensor) -> Tensor:
    """Return Σ_j q_ij log((q_ij + 1e-7)/(p_ij + 1e-7))/N (Passalis & Tefas, 2018).

    p are a student's (1 + cosine)/2 of rows i and j over their sum over j, i itself too, q the
    teacher's.
    """
    student, teacher = ((1 + cosines(one, one)).clamp(min=0) for one in _both_rows(input, target))
    p, q = (part / part.sum(1, keepdim=True) for part in (student, teacher))
    return (q * ((q + _LITTLE) / (p + _LITTLE)).log()).sum(1) / max(input.shape[0], 1)


def _both_rows(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return a student's and a teacher's samples as rows, which need not be of one width."""
    if input.shape[:1] != target.shape[:1] or min(input.ndim, target.ndim) < 2:
        raise ValueError(
            f"input has shape {tuple(input.shape)} but target has shape {tuple(target.shape)}; "
            "features must be (N, …), of as many samples"
        )
    student = promote(input)
    return scaled(student.flatten(1)), scaled(target.to(student.dtype).flatten(1))


def relational_distillation(
    input: Tensor,
    target: Tensor,
    *,
    distance_weight: Tensor | float = 25.0,
    angle_weight: Tensor | float = 50.0,
) -> Tensor:
    """Return for each row the Huber gaps of its distances and angles to all others, weighed.

    Distances are divided by their mean over the batch; angles are cosines at the row between any
    two others.
    """
    if input.ndim != 2 or target.ndim != 2 or input.shape[0] != target.shape[0]:
        raise ValueError(
            f"input has shape {tuple(input.shape)} but target has shape {tuple(target.shape)}; "
            "embeddings must be (N, D), alike but for D"
        )
    student = promote(input)
    student, teacher = scaled(student), scaled(target.to(student.dtype))
    rows = max(student.shape[0], 1)
    gap = smooth_l1(_even(student), _even(teacher), beta=1.0).sum(1) / rows
    bend = smooth_l1(_angles(student), _angles(teacher), beta=1.0).sum((1, 2)) / rows**2
    return (
        as_scalar_or_tensor(distance_weight, gap) * gap
        + as_scalar_or_tensor(angle_weight, bend) * bend
    )


def _cooled(
    input: Tensor, target: Tensor, temperature: Tensor | float
) -> tuple[Tensor, Tensor, Tensor | float]:
    check_rows(input, target, "logits (N, C)")
    student, teacher = same_shape(input, target)
    heat = as_scalar_or_tensor(temperature, student)
    if not isinstance(heat, Tensor) and heat > 100:  # so even that differences have few digits
        wide = widest(student.device)
        student, teacher = student.to(wide), teacher.to(wide)
    return student / heat, teacher / heat, heat


def _split(logits: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-probabilities of (own class, rest), and of the classes within the rest."""
    lowest = torch.finfo(logits.dtype).min
    others = logits.masked_fill(own, lowest)
    rest = others.logsumexp(1)
    hit = logits.masked_fill(~own, 0).sum(1)
    pair = log_probabilities(torch.stack([hit, rest], 1))
    return pair, torch.where(own, 0, log_probabilities(others))


def _attention(features: Tensor, p: Tensor | float) -> Tensor:
    flat = features.flatten(2)
    if flat.numel() > 0:  # a map has unit length, so that the size of its features is free
        flat = flat / flat.detach().abs().amax((1, 2), keepdim=True).clamp(min=1e-12)
    maps = flat.abs().pow(as_scalar_or_tensor(p, flat)).sum(1) / max(flat.shape[1], 1)
    return unit_rows(maps)


def _even(rows: Tensor) -> Tensor:
    """Return the distances of all pairs of rows, divided by the mean of those above 0."""
    gap = distances(rows, rows)
    same = torch.eye(rows.shape[0], dtype=torch.bool, device=rows.device)
    gap = torch.where(same, 0, gap)
    mean = gap.sum() / (gap > 0).sum().clamp(min=1)
    return gap / torch.where(mean > 0, mean, 1)


def _angles(rows: Tensor) -> Tensor:
    """Return the cosine at row i of the angle between rows j and k, (N, N, N)."""
    ways = unit_rows(rows.unsqueeze(0) - rows.unsqueeze(1))
    return matmul_full_precision(ways, ways.transpose(1, 2))
