"""Scores of distributions: closed forms against sums, what weights and evidence do."""

import math

import pytest
import torch
from scipy import integrate, stats
from torch import Tensor

from lossmith import (
    MSE,
    BetaNLL,
    Cox,
    DistributionFocal,
    EnsembleCRPS,
    EvidentialDirichlet,
    EvidentialRegression,
    GaussianCRPS,
    GaussianNLL,
    MixtureDensity,
    Quantile,
    QuantileCRPS,
)
from lossmith.functional.distributional.likelihood import _log_gamma_step

GENERATOR = torch.Generator().manual_seed(0)


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=GENERATOR, dtype=torch.float64)


def slope(loss, input: Tensor, target) -> Tensor:
    leaf = input.clone().requires_grad_()
    return torch.autograd.grad(loss(leaf, target), leaf)[0]


def test_beta_weighs_the_gradient_by_the_variance() -> None:
    """The gradient is the likelihood's times sigma^(2 beta), which itself is held constant."""
    head, target = normal(20, 2), normal(20)
    plain = slope(GaussianNLL(), head, target)
    variance = (1e-3 + head[:, 1:].exp()) ** 2
    for beta in (0.0, 0.5, 1.0):
        got = slope(BetaNLL(beta=beta), head, target)
        torch.testing.assert_close(got, plain * variance**beta, rtol=1e-10, atol=1e-14)
    mean = slope(BetaNLL(beta=1.0), head, target)[:, 0]
    torch.testing.assert_close(mean, slope(MSE(), head[:, 0], target) / 2)


def test_a_mixture_of_one_is_a_gaussian() -> None:
    head, target = normal(20, 2), normal(20)
    padded = torch.cat([normal(20, 1), head], 1)
    got = MixtureDensity(components=1)(padded, target)
    torch.testing.assert_close(got, GaussianNLL()(head, target))
    torch.testing.assert_close(MixtureDensity(components=1).decode(padded), head[:, 0])


def test_a_mixture_finds_two_modes() -> None:
    target = torch.cat([normal(200) * 0.1 - 3, normal(100) * 0.1 + 3])
    loss, head = MixtureDensity(components=2), torch.zeros(6, dtype=torch.float64)
    head[2:4] = torch.tensor([-0.1, 0.1])
    head.requires_grad_()
    optimizer = torch.optim.LBFGS([head], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(head.expand(300, 6), target)
        value.backward()
        return value

    optimizer.step(closure)
    assert head[:2].softmax(0).tolist() == pytest.approx([2 / 3, 1 / 3], abs=0.01)
    assert head[2:4].tolist() == pytest.approx([-3, 3], abs=0.05)
    assert loss.decode(head.detach().unsqueeze(0)).item() == pytest.approx(-1, abs=0.02)


@pytest.mark.parametrize(("mean", "raw", "target"), [(0.3, -0.5, 1.0), (0.0, 1.0, -9.0)])
def test_gaussian_crps_is_its_integral(mean: float, raw: float, target: float) -> None:
    law = stats.norm(mean, 1e-3 + math.exp(raw))
    below, _ = integrate.quad(lambda x: law.cdf(x) ** 2, -40, target)
    above, _ = integrate.quad(lambda x: law.sf(x) ** 2, target, 40)
    head = torch.tensor([[mean, raw]], dtype=torch.float64)
    got = GaussianCRPS()(head, torch.tensor([target], dtype=torch.float64)).item()
    assert got == pytest.approx(below + above, rel=1e-7)


def test_ensemble_crps_is_its_double_sum() -> None:
    head, target = normal(8, 6), normal(8)
    miss = (head - target[:, None]).abs().mean(1)
    pairs = (head[:, :, None] - head[:, None, :]).abs().sum((1, 2))
    for fair, count in ((False, 36), (True, 30)):
        expected = (miss - pairs / (2 * count)).mean()
        torch.testing.assert_close(EnsembleCRPS(members=6, fair=fair)(head, target), expected)


def test_large_ensembles_and_many_quantiles_reach_the_gaussians_crps() -> None:
    levels = ((torch.arange(2001) + 0.5) / 2001).numpy()
    members = torch.from_numpy(stats.norm(0.5, 2.0).ppf(levels)).unsqueeze(0)
    target = torch.tensor([1.7], dtype=torch.float64)
    head = torch.tensor([[0.5, math.log(2.0 - 1e-3)]], dtype=torch.float64)
    exact = GaussianCRPS()(head, target).item()
    got = EnsembleCRPS(members=2001, fair=True)(members, target).item()
    assert got == pytest.approx(exact, rel=2e-3)
    gaps = members.diff().expm1().log()  # what a softplus turns back
    middle = members[:, 1000:1001]
    raw = torch.cat([middle, gaps[:, :1000].flip(1), gaps[:, 1000:]], 1)
    loss = QuantileCRPS(levels=2001)
    torch.testing.assert_close(loss.quantiles(raw), members, rtol=1e-6, atol=1e-6)
    assert loss(raw, target).item() == pytest.approx(exact, rel=2e-3)
    assert loss.decode(raw).item() == middle.item()


def test_quantile_crps_is_twice_the_pinball_loss() -> None:
    head, target = normal(9, 4), normal(9)
    pinball = Quantile(level=(0.125, 0.375, 0.625, 0.875))(head, target)
    torch.testing.assert_close(QuantileCRPS(levels=4)(head, target), 2 * pinball)


def test_evidence_is_students_likelihood_and_a_penalty() -> None:
    head, target = normal(12, 4), normal(12)
    place, v, a, b = head[:, 0], *(torch.nn.functional.softplus(x) for x in head[:, 1:].T)
    a = a + 1
    law = stats.t(2 * a.numpy(), place.numpy(), (b * (1 + v) / (v * a)).sqrt().numpy())
    expected = -law.logpdf(target.numpy()) + 0.3 * ((target - place).abs() * (2 * v + a)).numpy()
    got = EvidentialRegression(coefficient=0.3).values(head, target)
    torch.testing.assert_close(got, torch.from_numpy(expected), rtol=1e-9, atol=1e-12)


def test_dirichlet_pays_for_wrong_evidence_alone() -> None:
    head, target = normal(12, 4), torch.arange(12) % 4
    evidence = torch.nn.functional.softplus(head)
    law = torch.distributions.Dirichlet(1 + evidence)
    score = (law.mean - torch.eye(4)[target]).square().sum(1) + law.variance.sum(1)
    wrong = torch.distributions.Dirichlet(1 + evidence * (1 - torch.eye(4)[target]))
    even = torch.distributions.Dirichlet(torch.ones(4, dtype=torch.float64))
    price = torch.distributions.kl_divergence(wrong, even)
    got = EvidentialDirichlet(coefficient=0.3).values(head, target)
    torch.testing.assert_close(got, score + 0.3 * price, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(EvidentialDirichlet().decode(head), law.mean)


def test_without_evidence_all_classes_are_alike() -> None:
    found = EvidentialDirichlet().decode(torch.full((1, 5), -1e4))
    torch.testing.assert_close(found, torch.full((1, 5), 0.2))


def test_the_step_of_log_gamma_is_exact_where_its_forms_meet() -> None:
    for a in (1.0, 15.99, 16.01, 40.0, 1e3):
        exact = math.lgamma(a + 0.5) - math.lgamma(a)
        got = _log_gamma_step(torch.tensor(a, dtype=torch.float64)).item()
        assert got == pytest.approx(exact, rel=1e-12)
    assert _log_gamma_step(torch.tensor(1e30)).item() == pytest.approx(math.log(1e30) / 2)


def partial_likelihood(x: list[float], time: list[int], event: list[int], ties: str) -> float:
    total = 0.0
    for moment in sorted({t for t, d in zip(time, event, strict=True) if d}):
        at_risk = sum(math.exp(a) for a, t in zip(x, time, strict=True) if t >= moment)
        tied = [a for a, t, d in zip(x, time, event, strict=True) if t == moment and d]
        for r, a in enumerate(tied):
            gone = r / len(tied) * sum(map(math.exp, tied)) if ties == "efron" else 0.0
            total += math.log(at_risk - gone) - a
    return total / sum(event)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox_is_its_partial_likelihood(ties: str) -> None:
    x, time = normal(30), torch.arange(30) % 7
    event = (torch.arange(30) % 3 > 0).long()
    expected = partial_likelihood(x.tolist(), time.tolist(), event.tolist(), ties)
    got = Cox(ties=ties)(x, {"time": time, "event": event}).item()
    assert got == pytest.approx(expected, rel=1e-12)


def test_cox_knows_no_clock_and_no_level() -> None:
    x, event = normal(20), torch.ones(20)
    time = torch.rand(20, generator=GENERATOR)
    here = Cox()(x, {"time": time, "event": event})
    there = Cox()(x + 5, {"time": time.exp(), "event": event})
    torch.testing.assert_close(here, there)
    torch.testing.assert_close(here, Cox(ties="breslow")(x, {"time": time, "event": event}))


def test_cox_without_events_gives_zero() -> None:
    x = normal(5).requires_grad_()
    value = Cox()(x, {"time": torch.arange(5.0), "event": torch.zeros(5)})
    assert value.item() == 0
    assert torch.autograd.grad(value, x)[0].tolist() == [0.0] * 5


def test_cox_refuses_what_is_no_event() -> None:
    with pytest.raises(ValueError, match="more than 0 and 1"):
        Cox()(normal(3), {"time": torch.ones(3), "event": torch.tensor([0.0, 2.0, 1.0])})
    with pytest.raises(ValueError, match=r"\(3, 1\).*\(3,\)"):
        Cox()(normal(3, 1), {"time": torch.ones(3), "event": torch.ones(3)})


def test_distribution_focal_is_zero_at_its_two_points() -> None:
    loss = DistributionFocal(low=-1.0, high=3.0, points=5)
    p = torch.tensor([[1e-30, 0.75, 0.25, 1e-30, 1e-30]], dtype=torch.float64)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert loss(p.log(), torch.tensor([0.25])).item() == pytest.approx(entropy)
    assert loss.decode(p.log()).item() == pytest.approx(0.25)


def test_distribution_focal_learns_the_mean() -> None:
    target = torch.tensor([0.1, 0.2, 0.25, 3.9, 7.5], dtype=torch.float64)
    loss = DistributionFocal(points=9, high=8.0)
    grid = torch.arange(9.0).double()
    hits = (1 - (grid - target.unsqueeze(1)).abs()).clamp(min=0).mean(0)
    head = hits.clamp(min=1e-300).log().expand(5, 9)
    assert loss.decode(head)[0].item() == pytest.approx(target.mean().item())
    assert slope(loss, head, target).sum(0).abs().max() < 1e-12


def test_distribution_focal_clips_and_refuses_an_empty_line() -> None:
    loss, head = DistributionFocal(points=4, high=3.0), normal(1, 4)
    for far, end in ((9.0, 3.0), (-2.0, 0.0)):
        assert loss(head, torch.tensor([far])).item() == loss(head, torch.tensor([end])).item()
    with pytest.raises(ValueError, match="DistributionFocal: low and high must be finite"):
        DistributionFocal(low=2.0, high=2.0)
