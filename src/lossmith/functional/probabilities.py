"""From a head to probabilities: what the output of least expected loss says of the classes.

Each is the exact inverse of its loss: where the head minimises the expected loss, the result is
the distribution of the targets.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lossmith.functional.binary.elementwise import clipped_negative
from lossmith.functional.checks import as_scalar_or_tensor, head_dim, promote, tensor_like
from lossmith.functional.classification.multiclass import log_probabilities

__all__ = [
    "asymmetric_probability",
    "binary_focal_probability",
    "focal_probabilities",
    "generalized_probabilities",
    "poly1_probabilities",
    "sigmoid",
    "softmax",
    "square_loss_probabilities",
]


def softmax(output: Tensor) -> Tensor:
    """Return the softmax along the class dimension, of half precision in float32."""
    output = promote(output)
    return output.softmax(head_dim(output))


def sigmoid(output: Tensor) -> Tensor:
    """Return the sigmoid of each output, of half precision in float32."""
    return promote(output).sigmoid()


def focal_probabilities(output: Tensor, *, gamma: Tensor | float) -> Tensor:
    """Return p ∝ v / ((1 − v)^gamma − gamma·(1 − v)^(gamma − 1)·v·log v) of v = softmax.

    The map is of Charoenphakdee et al., On Focal Loss for Class-Posterior Probability Estimation
    (2021).
    """
    log_p = log_probabilities(promote(output))
    return _recovered(log_p, as_scalar_or_tensor(gamma, log_p)).softmax(head_dim(log_p))


def binary_focal_probability(
    output: Tensor, *, gamma: Tensor | float, alpha: Tensor | float
) -> Tensor:
    """Return the probability of the positive class, the inverse of gamma and alpha alike."""
    output = promote(output)
    gamma, alpha = as_scalar_or_tensor(gamma, output), as_scalar_or_tensor(alpha, output)
    positive, negative = (_recovered(logsigmoid(x), gamma) for x in (output, -output))
    odds = tensor_like(alpha / (1 - alpha), output)
    return (positive - negative - odds.log()).sigmoid()


def generalized_probabilities(output: Tensor, *, q: Tensor | float) -> Tensor:
    """Return p ∝ v^(1 − q) of v = softmax, the inverse of generalized cross-entropy."""
    output = promote(output)
    return (as_scalar_or_tensor(1 - q, output) * output).softmax(head_dim(output))


def poly1_probabilities(output: Tensor, *, epsilon: Tensor | float) -> Tensor:
    """Return p ∝ v / (1 + epsilon·v) of v = softmax, the inverse of Poly-1."""
    log_p = log_probabilities(promote(output))
    scale = 1 + as_scalar_or_tensor(epsilon, log_p) * log_p.exp()
    scale = scale.clamp(min=torch.finfo(log_p.dtype).tiny)
    return (log_p - scale.log()).softmax(head_dim(log_p))


def square_loss_probabilities(output: Tensor, *, k: Tensor | float, M: Tensor | float) -> Tensor:  # noqa: N803
    """Return the distribution nearest to g/(k − (k − 1)·g) of g = output/M.

    Outside 0 … 1 the map goes on along its tangents, so that the order of the classes is kept.
    """
    output = promote(output)
    k, g = as_scalar_or_tensor(k, output), output / as_scalar_or_tensor(M, output)
    inner = g.clamp(0, 1)
    share = inner / (k - (k - 1) * inner)
    return project_to_simplex(share + k * (g - 1).relu() - (-g).relu() / k)


def project_to_simplex(values: Tensor) -> Tensor:
    """Return the distribution nearest to values along the class dimension, in squared distance.

    >>> project_to_simplex(torch.tensor([1.0, 0.5, -3.0]))
    tensor([0.7500, 0.2500, 0.0000])
    """
    dim = head_dim(values)
    values = values - values.amax(dim, keepdim=True)
    ordered = values.sort(dim, descending=True).values
    rank = torch.arange(1, values.shape[dim] + 1, device=values.device)
    rank = rank.reshape(-1, *(1,) * (values.ndim - 1 - dim))
    excess = ordered.cumsum(dim) - 1
    kept = (rank * ordered > excess).sum(dim, keepdim=True)
    kept = kept.clamp(min=1)  # of NaN none is
    return (values - excess.gather(dim, kept - 1) / kept).relu()


def asymmetric_probability(
    output: Tensor, *, gamma_neg: Tensor | float, gamma_pos: Tensor | float, clip: Tensor | float
) -> Tensor:
    """Return the probability of the positive class, the inverse of the asymmetric loss."""
    output = promote(output)
    gamma_pos, gamma_neg = (
        as_scalar_or_tensor(gamma_pos, output),
        as_scalar_or_tensor(gamma_neg, output),
    )
    positive = _recovered(logsigmoid(output), gamma_pos)
    log_q, log_rest = clipped_negative(output, clip)
    negative = _recovered(log_rest, gamma_neg)
    return torch.where(log_q < 0, positive - negative, -torch.inf).sigmoid()


def _recovered(log_p: Tensor, gamma: Tensor | float) -> Tensor:
    """Return log(v / ((1 − v)^gamma − gamma·(1 − v)^(gamma − 1)·v·log v)) of v = exp(log_p)."""
    below = log_p.clamp(max=-torch.finfo(log_p.dtype).tiny)
    rest = -torch.expm1(below)  # 1 − v, above 0
    slope = gamma * below.exp() * (-below / rest)
    return log_p - gamma * rest.log() - torch.log1p(slope)
