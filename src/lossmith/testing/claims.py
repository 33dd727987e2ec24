"""A check for every field of `Claims`: a claim that has none can't be written."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from lossmith.testing.cases import Case, domain, skewed
from lossmith.testing.minimise import minimiser

PAIRS = 2000
NEAR, FAR = (-3.0, 4.0), (4.0, 12.0)


def convex(case: Case) -> None:
    """The value halfway between two inputs is at most the mean of theirs, near and far."""
    target = case.targets(PAIRS)
    first, offset = _sweep(case, PAIRS, (-2, 6), seed=1), _sweep(case, PAIRS, (-3, 6), seed=2)
    for second in (offset, first + offset):
        ends = case.each(first, target), case.each(second, target)
        middle = case.each((first + second) / 2, target)
        excess = middle - (ends[0] + ends[1]) / 2
        slack = 1e-9 * (1 + ends[0].abs() + ends[1].abs())
        worst = (excess - slack).argmax()
        assert (excess <= slack).all(), (
            f"between {first[worst].tolist()} and {second[worst].tolist()} the value "
            f"{middle[worst].item():g} lies {excess[worst].item():g} above the chord"
        )


def lipschitz(case: Case) -> None:
    """The gradient is no larger for inputs up to 1e12 than it is up to 1e4."""
    near, far = (_slope(case, reach).abs().max().item() for reach in (NEAR, FAR))
    assert far <= near * 1.001 + 1e-9, f"the gradient grows from {near:g} to {far:g} far out"


def bounded(case: Case) -> None:
    """The value is no larger for inputs up to 1e12 than it is up to 1e4."""
    target = case.targets(PAIRS)
    near, far = (
        case.each(_sweep(case, PAIRS, reach), target).abs().max().item() for reach in (NEAR, FAR)
    )
    assert far <= near * 1.001 + 1e-9, f"the value grows from {near:g} to {far:g} far out"


def proper(case: Case) -> None:
    """The expected value is least at the truth.

    For classes and labels: the head of least expected loss decodes to the true probabilities.
    For values: exp(−loss) is a density in the target, up to one constant for all heads, so that
    the loss is the logarithmic score of that density.
    """
    if case.card.target in ("classes", "labels"):
        _elicits_probabilities(case)
        return
    heads = case.inputs(5)
    target = torch.linspace(-25, 25, 20001, dtype=torch.float64).sinh()
    rows = len(target)
    masses = [
        torch.trapezoid((-case.each(head.expand(rows, *head.shape), target)).exp(), target)
        for head in heads
    ]
    low, high = min(masses).item(), max(masses).item()
    assert 0 < high <= 1.001 * low < torch.inf, (
        f"exp(-loss) integrates to {low:g} for one head and to {high:g} for another: "
        "the loss is no logarithmic score"
    )


def elicits(case: Case) -> None:
    """The head of least expected loss decodes to the functional claimed of the targets."""
    functional = case.card.claims.elicits
    assert functional is not None
    ELICITS[functional](case)


def _elicits_mean(case: Case) -> None:
    sample = skewed(case.card, 401)
    _near(case, sample, sample.mean())


def _elicits_median(case: Case) -> None:
    sample = skewed(case.card, 401)
    _near(case, sample, sample.median())


def _elicits_quantile(case: Case) -> None:
    sample = skewed(case.card, 401)
    _near(case, sample, sample.quantile(_levels(case)))


def _elicits_expectile(case: Case) -> None:
    sample = skewed(case.card, 401)
    _near(case, sample, torch.stack([_expectile(sample, level) for level in _levels(case)]))


def _elicits_mode(case: Case) -> None:
    if case.card.target not in ("classes", "labels"):
        low, high = domain(case.card)
        peak = low + 0.9 * (high - low)
        cluster = torch.full((320,), peak, dtype=torch.float64)
        _near(case, torch.cat([skewed(case.card, 401), cluster]), torch.tensor(peak))
        return
    truth = _truth(case)
    found = _learnt(case, truth)
    assert found.argmax() == truth.argmax(), (
        f"decodes {found.tolist()} where {truth.tolist()} is true"
    )


def _elicits_probabilities(case: Case) -> None:
    truth = _truth(case)
    found = _learnt(case, truth)
    assert torch.allclose(found, truth, atol=2e-3), (
        f"decodes {found.tolist()} where {truth.tolist()} is true"
    )


def _elicits_balanced(case: Case) -> None:
    prior = torch.tensor([20, 10, 6, 4] if case.card.target == "classes" else [28, 12]) / 40
    truth = _truth(case)
    balanced = truth / prior
    balanced = balanced / balanced.sum()
    found = _learnt(case, truth)
    assert torch.allclose(found, balanced, atol=2e-2), (
        f"decodes {found.tolist()} where {balanced.tolist()} is true under equal class sizes"
    )


CLAIMS: Mapping[str, Callable[[Case], None]] = {
    "convex": convex,
    "lipschitz": lipschitz,
    "bounded": bounded,
    "proper": proper,
    "elicits": elicits,
}
ELICITS: Mapping[str, Callable[[Case], None]] = {
    "mean": _elicits_mean,
    "median": _elicits_median,
    "quantile": _elicits_quantile,
    "expectile": _elicits_expectile,
    "mode": _elicits_mode,
    "probabilities": _elicits_probabilities,
    "balanced": _elicits_balanced,
}


def _sweep(case: Case, rows: int, reach: tuple[float, float], seed: int = 3) -> Tensor:
    """Heads whose sizes run over powers of ten."""
    heads = case.inputs(rows, seed=seed)
    sizes = torch.logspace(*reach, rows, dtype=torch.float64)
    mixed = sizes[torch.randperm(rows, generator=torch.Generator().manual_seed(seed))]
    return heads * mixed.reshape(rows, *([1] * (heads.ndim - 1)))


def _slope(case: Case, reach: tuple[float, float]) -> Tensor:
    input = _sweep(case, PAIRS, reach).requires_grad_()
    (slope,) = torch.autograd.grad(case.each(input, case.targets(PAIRS)).sum(), input)
    return slope


def _near(case: Case, sample: Tensor, truth: Tensor) -> None:
    found = case.loss.decode(minimiser(case, sample)).flatten()
    low, high = domain(case.card)
    assert ((found - truth).abs() <= 0.01 * (high - low)).all(), (
        f"decodes {found.tolist()} where {truth.tolist()} is true"
    )


def _truth(case: Case) -> Tensor:
    """A distribution over the classes, unlike the one that the loss was fitted to."""
    truth = [0.1, 0.15, 0.6, 0.15] if case.card.target == "classes" else [0.35, 0.65]
    return torch.tensor(truth, dtype=torch.float64)


def _learnt(case: Case, truth: Tensor) -> Tensor:
    """The decoded head of least expected loss under the distribution `truth`."""
    target = torch.arange(len(truth)).to(case.targets().dtype)
    found = case.loss.decode(minimiser(case, target, truth))[0]
    return found if case.card.target == "classes" else torch.stack([1 - found, found])


def _levels(case: Case) -> Tensor:
    return torch.as_tensor(case.loss.level, dtype=torch.float64).flatten()


def _expectile(sample: Tensor, level: Tensor) -> Tensor:
    """Solve level·E(y − e)⁺ = (1 − level)·E(e − y)⁺ for e by its fixed point."""
    point = sample.mean()
    for _ in range(500):
        weight = torch.where(sample > point, level, 1 - level)
        point = (weight * sample).sum() / weight.sum()
    return point
