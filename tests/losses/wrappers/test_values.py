"""Losses over any loss: what they are at known settings, and how they follow training."""

import math

import pytest
import torch
from scipy import special
from torch import nn

from lossmith import (
    MAE,
    MSE,
    Brier,
    CrossEntropy,
    CVaR,
    GaussianNLL,
    Huber,
    Linear,
    LossScheduler,
    ProbabilityRegression,
    Progress,
    QuantileTracking,
    SelfPaced,
    SuperLoss,
    SymmetricCrossEntropy,
    Tempered,
    Tilted,
    switch,
)
from lossmith import functional as F
from lossmith.core.reduce import sum_terms
from lossmith.functional import lambert_w

GENERATOR = torch.Generator().manual_seed(0)
INPUT = torch.randn(64, generator=GENERATOR, dtype=torch.float64)
LOGITS = torch.randn(16, 3, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.arange(16) % 3
ZERO = torch.zeros_like(INPUT)


def test_lambert_w_is_scipys() -> None:
    argument = torch.cat([torch.linspace(-0.367, 1, 400), torch.logspace(0, 12, 50)]).double()
    expected = torch.from_numpy(special.lambertw(argument.numpy()).real)
    assert torch.allclose(lambert_w(argument), expected, rtol=1e-9, atol=2e-8)
    edge = torch.tensor([-1 / math.e], dtype=torch.float64)
    assert lambert_w(edge).item() == pytest.approx(-1, abs=1e-6)


@pytest.mark.parametrize(("value", "lam"), [(1e37, 1.0), (1e30, 1e-10), (50.0, 1e-3)])
def test_super_loss_of_huge_quotients_is_that_of_float64(value: float, lam: float) -> None:
    single, double = (
        F.super_loss(torch.tensor(value, dtype=dtype), tau=0, lam=lam)
        for dtype in (torch.float32, torch.float64)
    )
    torch.testing.assert_close(single.double(), double, rtol=1e-5, atol=0)
    w = special.lambertw(value / lam / 2).real
    assert double.item() == pytest.approx(lam * (w**2 + 2 * w), rel=1e-9)


def test_super_loss_is_its_minimum_over_the_confidence() -> None:
    values, tau, lam = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64), 1.0, 0.25
    grid = torch.logspace(-6, 3, 200_001, dtype=torch.float64).unsqueeze(1)
    brute = ((values - tau) * grid + lam * grid.log().square()).min(0).values
    got = SuperLoss(MAE(), tau=tau, lam=lam).values(values, torch.zeros(3).double())
    # Below the edge of Lambert's W the paper stays at the edge.
    assert torch.allclose(got[1:], brute[1:], atol=1e-6)


def test_self_paced_lets_rows_in_as_its_threshold_rises() -> None:
    loss = SelfPaced(MAE(), threshold=Linear(0.5, 5.0))
    clock = LossScheduler(loss, total_steps=2)
    counts = []
    for _ in range(3):
        leaf = INPUT.clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss(leaf, ZERO), leaf)
        counts.append(int((slope != 0).sum()))
        clock.step()
    assert counts[0] == int((INPUT.abs() < 0.5).sum())
    assert counts[0] < counts[1] <= counts[2] == 64


def test_tilted_goes_from_least_over_mean_to_most() -> None:
    values = INPUT.abs()
    assert Tilted(MAE(), tilt=0.0)(INPUT, ZERO) == MAE()(INPUT, ZERO)
    assert Tilted(MAE(), tilt=1e4)(INPUT, ZERO) == pytest.approx(values.max().item(), abs=1e-3)
    assert Tilted(MAE(), tilt=-1e4)(INPUT, ZERO) == pytest.approx(values.min().item(), abs=1e-3)
    expected = values.exp().mean().log().item()
    assert Tilted(MAE(), tilt=1.0)(INPUT, ZERO) == pytest.approx(expected)


@pytest.mark.parametrize("tilt", [0.0, 1e-6, -1e-5, 1e-4, 0.01, 0.45, 0.55, 2.0])
def test_tilted_keeps_its_digits_near_the_mean(tilt: float) -> None:
    """By its cumulants near tilt 0, else by its definition in float64."""
    values = torch.rand(30_001, generator=torch.Generator().manual_seed(0))
    exact = torch.tensor(tilt, dtype=torch.float64, requires_grad=True)
    wide = values.double()
    away = wide - wide.mean()
    cumulants = [away.square().mean() / 2, away.pow(3).mean() / 6]
    known = wide.mean() + exact * (cumulants[0] + exact * cumulants[1])
    if abs(tilt) > 0.1:
        known = (exact * wide).exp().mean().log() / exact
    learned = nn.Parameter(torch.tensor(tilt))
    value = Tilted(MAE(), tilt=learned)(values, torch.zeros_like(values))
    torch.testing.assert_close(value.double(), known, rtol=1e-6, atol=0)
    slope, expected = torch.autograd.grad(value, learned), torch.autograd.grad(known, exact)
    torch.testing.assert_close(slope[0].double(), expected[0], rtol=1e-4, atol=0)


@pytest.mark.parametrize("tilt", [0.0, 0.1, -0.1, 3.0, -3.0])
def test_tilted_has_two_derivatives_in_values_and_tilt(tilt: float) -> None:
    values, weight = INPUT[:5].abs().requires_grad_(), torch.tensor([1.0, 2.0, 0.0, 1.0, 0.5])
    free = torch.tensor(tilt, dtype=torch.float64, requires_grad=True)

    def tilted(values: torch.Tensor, tilt: torch.Tensor) -> torch.Tensor:
        return F.tilted(values, weight.double(), tilt=tilt)

    assert torch.autograd.gradcheck(tilted, (values, free))
    assert torch.autograd.gradgradcheck(tilted, (values, free))


def test_tilted_to_the_least_is_not_rounded_by_the_largest() -> None:
    values = torch.tensor([1e8, 0.3, 0.3])
    least = Tilted(MAE(), tilt=-1.0)(values, torch.zeros(3))
    assert least == pytest.approx(0.3 - math.log(2 / 3), rel=1e-6)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda inner: SelfPaced(inner, threshold=1e3),
        lambda inner: Tilted(inner, tilt=0.0),
        lambda inner: CVaR(inner, fraction=1.0),
    ],
)
@pytest.mark.parametrize("inner", [CrossEntropy(z_loss=0.1), SymmetricCrossEntropy()])
def test_a_loss_of_several_terms_counts_as_their_sum(wrapped, inner) -> None:
    assert torch.allclose(wrapped(inner)(LOGITS, CLASSES), inner(LOGITS, CLASSES))
    hard = SuperLoss(inner)(LOGITS, CLASSES)
    assert torch.allclose(
        hard, F.super_loss(sum_terms(inner.values(LOGITS, CLASSES)), tau=1, lam=1).mean()
    )


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.37, 1.0])
def test_cvar_is_the_minimum_of_rockafellar_and_uryasev(fraction: float) -> None:
    values = INPUT.abs()
    at = values.unsqueeze(1)
    objective = at.squeeze(1) + (values - at).clamp(min=0).mean(1) / fraction
    assert CVaR(MAE(), fraction=fraction)(INPUT, ZERO) == pytest.approx(objective.min().item())


def test_squared_errors_on_probabilities_are_the_brier_score() -> None:
    assert torch.allclose(ProbabilityRegression(MSE())(LOGITS, CLASSES), Brier()(LOGITS, CLASSES))
    with pytest.raises(TypeError, match="with one output"):
        ProbabilityRegression(GaussianNLL())


def test_cross_entropy_first_and_huber_later_on_one_classifier() -> None:
    model = nn.Linear(3, 3)
    later = ProbabilityRegression(Huber(delta=0.5), classes=3)
    loss = switch(CrossEntropy(classes=3), later, at=0.5)
    clock = LossScheduler(loss, total_steps=2)
    output = model(LOGITS.float())
    assert loss(output, CLASSES) == CrossEntropy()(output, CLASSES)
    clock.step()
    assert loss(output, CLASSES) == later(output, CLASSES)
    assert torch.equal(loss.decode(output), output.softmax(1))


def test_a_learned_temperature_calibrates() -> None:
    overconfident = 5 * LOGITS
    loss = Tempered(CrossEntropy(), temperature=nn.Parameter(torch.tensor(1.0)))
    optimizer = torch.optim.LBFGS(loss.parameters(), lr=0.5, max_iter=100)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(overconfident, CLASSES)
        value.backward()
        return value

    optimizer.step(closure)
    assert loss.temperature > 2
    slope = torch.autograd.grad(loss(overconfident, CLASSES), loss.temperature)[0]
    assert slope.abs() < 1e-3
    with pytest.raises(TypeError, match="must read logits"):
        Tempered(MSE())


def test_the_scale_follows_the_residuals() -> None:
    loss = QuantileTracking(Huber(), hyper="delta", level=0.5, factor=1.4826, momentum=0.5)
    mad = 1.4826 * INPUT.abs().median().item()
    for step in range(1, 40):
        scale = 10.0 if step < 5 else 2.0
        signals = {"input": scale * INPUT, "target": ZERO}
        loss.observe(Progress(step=step, signals=signals))
        if step == 1:
            assert loss.loss.delta.item() == pytest.approx(10 * mad, rel=0.05)
    assert loss.loss.delta.item() == pytest.approx(2 * mad, rel=0.05)
    with pytest.raises(ValueError, match="has no free number 'beta'; it has delta"):
        QuantileTracking(Huber(), hyper="beta")
    with pytest.raises(ValueError, match="pass input=output, target=target"):
        LossScheduler(loss).step()
