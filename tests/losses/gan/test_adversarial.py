"""Adversarial losses: two sides of one game, penalties through a critic, averages as state."""

import copy

import pytest
import torch
from torch import Tensor, nn

import lossmith as lm
from lossmith import functional as F
from lossmith.testing import check

ADVERSARIAL = [
    lm.MinimaxGAN,
    lm.NonSaturatingGAN,
    lm.LeastSquaresGAN,
    lm.HingeGAN,
    lm.WassersteinGAN,
    lm.RelativisticGAN,
    lm.RelativisticAverageGAN,
]


def numbers(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=g, dtype=torch.float64)


def scores(rows: int = 5) -> dict[str, Tensor]:
    return {"real": numbers(rows, seed=1), "fake": numbers(rows, seed=2).sigmoid()}


def critic() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Softplus(), nn.Linear(8, 1), nn.Flatten(0)).double()


@pytest.mark.parametrize("kind", ADVERSARIAL, ids=lambda kind: kind.card.key)
def test_the_sides_pull_fakes_apart(kind) -> None:
    """The discriminator lowers fake scores, the generator raises them."""
    for side, sign in (("discriminator", 1), ("generator", -1)):
        given = {name: part.requires_grad_() for name, part in scores().items()}
        (slope,) = torch.autograd.grad(kind(side=side)(given), given["fake"])
        assert (sign * slope >= 0).all()
        assert slope.abs().sum() > 0


@pytest.mark.parametrize("kind", ADVERSARIAL[:5], ids=lambda kind: kind.card.key)
def test_the_generator_needs_no_real_scores(kind) -> None:
    given = scores()
    loss = kind(side="generator")
    assert loss({"fake": given["fake"]}) == loss(given)
    with pytest.raises(ValueError, match="real"):
        kind()({"fake": given["fake"]})


def test_the_minimax_game_is_zero_sum() -> None:
    discriminator, generator = lm.MinimaxGAN(), lm.MinimaxGAN(side="generator")
    assert discriminator.terms(scores())["fake"] == -generator(scores())


def test_only_the_minimax_generator_saturates() -> None:
    slopes = {}
    for kind in (lm.MinimaxGAN, lm.NonSaturatingGAN):
        fake = torch.tensor([-40.0], requires_grad=True)
        (slope,) = torch.autograd.grad(kind(side="generator")({"fake": fake}), fake)
        slopes[kind] = slope.item()
    assert abs(slopes[lm.MinimaxGAN]) < 1e-15
    assert slopes[lm.NonSaturatingGAN] == pytest.approx(-1)


@pytest.mark.parametrize("kind", [lm.RelativisticGAN, lm.RelativisticAverageGAN])
def test_relativistic_losses_ignore_a_common_shift_and_swap_sides(kind) -> None:
    given = scores()
    shifted = {name: part + 7 for name, part in given.items()}
    swapped = {"real": given["fake"], "fake": given["real"]}
    torch.testing.assert_close(kind()(shifted), kind()(given))
    torch.testing.assert_close(kind(side="generator")(given), kind()(swapped))


def test_wasserstein_of_a_lipschitz_critic_is_the_distance() -> None:
    """On a line the critic −x is optimal where all fakes lie above: the distance of the means."""
    real, fake = numbers(6, seed=3), numbers(6, seed=4) + 50
    value = lm.WassersteinGAN()({"real": -real, "fake": -fake})
    torch.testing.assert_close(-value, fake.mean() - real.mean())


def slopes_of(value: Tensor, model: nn.Module) -> list[Tensor]:
    weights = list(model.parameters())
    return list(torch.autograd.grad(value, weights, retain_graph=True, allow_unused=True))


def plain_gradient(model: nn.Module, samples: Tensor) -> Tensor:
    samples = samples.clone().requires_grad_()
    return torch.autograd.grad(model(samples).sum(), samples, create_graph=True)[0]


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        (lm.R1(gamma=3.0), lambda g: 3.0 / 2 * g.square().sum(1).mean()),
        (lm.R2(gamma=3.0), lambda g: 3.0 / 2 * g.square().sum(1).mean()),
        (lm.GradientPenalty(), lambda g: 10 * ((g.norm(2, dim=1) - 1) ** 2).mean()),
        (lm.DRAGAN(k=2.0), lambda g: 10 * ((g.norm(2, dim=1) - 2) ** 2).mean()),
    ],
    ids=lambda part: getattr(getattr(part, "card", None), "key", ""),
)
def test_a_penalty_reaches_the_critics_weights(loss, formula) -> None:
    """The double backward through a critic equals the textbook's, weight by weight."""
    model, samples = critic(), numbers(6, 4)
    _, slope = F.score_gradient(model, samples)
    ours = slopes_of(loss(slope), model)
    theirs = slopes_of(formula(plain_gradient(model, samples)), model)
    for got, right in zip(ours[:-1], theirs[:-1], strict=True):  # the last bias shifts no gradient
        torch.testing.assert_close(got, right)


def test_r3gan_is_its_three_parts() -> None:
    model, real, fake = critic(), numbers(6, 4, seed=1), numbers(6, 4, seed=2) + 1
    (r, at_real), (f, at_fake) = F.score_gradient(model, real), F.score_gradient(model, fake)
    given = {"real": r, "fake": f, "real_gradient": at_real, "fake_gradient": at_fake}
    whole = lm.R3GAN(gamma=0.5)(given)
    parts = lm.RelativisticGAN()({"real": r, "fake": f})
    parts = parts + lm.R1(gamma=0.5)(at_real) + lm.R2(gamma=0.5)(at_fake)
    torch.testing.assert_close(whole, parts)
    for got, right in zip(slopes_of(whole, model), slopes_of(parts, model), strict=True):
        torch.testing.assert_close(got, right)
    with pytest.raises(ValueError, match="real_gradient"):
        lm.R3GAN()({"real": r, "fake": f})


def test_score_gradient_works_where_gradients_are_off_and_leaves_the_samples_alone() -> None:
    model, samples = critic(), numbers(3, 4)
    with torch.no_grad():
        values, slope = F.score_gradient(model, samples)
    assert slope.requires_grad
    assert not samples.requires_grad
    torch.testing.assert_close(values, model(samples))
    torch.testing.assert_close(slope, plain_gradient(model, samples))


def test_penalties_look_at_each_sample_alone() -> None:
    """One norm of the whole batch, as torchgan takes it, would give 10 here."""
    assert lm.GradientPenalty()(torch.eye(4)) == 0


def test_a_flat_critic_has_a_penalty_without_nan() -> None:
    flat = torch.zeros(2, 3, requires_grad=True)
    value = lm.GradientPenalty()(flat)
    (slope,) = torch.autograd.grad(value, flat, create_graph=True)
    assert value == 10
    assert (slope == 0).all()


def test_a_huge_gradient_keeps_its_norm() -> None:
    steep = torch.full((1, 4), 1e18)
    assert lm.GradientPenalty(lambda_=1e-20)(steep).item() == pytest.approx(4e16, rel=1e-5)


def test_points_between_and_around() -> None:
    g = torch.Generator().manual_seed(0)
    real, fake = torch.zeros(50, 2, 3), torch.ones(50, 2, 3)
    points = F.between(real, fake, generator=g)
    assert (points == points[:, :1, :1]).all()  # one share a pair
    assert points.min() >= 0
    assert points.max() <= 1
    assert points.std() > 0.2
    spread = numbers(200, 3)
    moved = F.around(spread, generator=g) - spread
    assert moved.min() >= 0
    assert moved.max() <= spread.std(correction=0) / 2
    with pytest.raises(ValueError, match=r"\(50, 2, 3\)"):
        F.between(real, fake[:1])


def observed(steps: int = 2) -> lm.LeCam:
    loss = lm.LeCam(decay=0.9)
    for step in range(1, steps + 1):
        signals = {"real": torch.tensor([1.0, 3.0]) * step, "fake": torch.tensor([-1.0])}
        loss.observe(lm.Progress(step=step, signals=signals))
    return loss


def test_le_cam_follows_the_scores_without_bias() -> None:
    given = {"real": torch.tensor([1.0]), "fake": torch.tensor([1.0])}
    real = (0.9 * 0.1 * 2 + 0.1 * 4) / (0.9 * 0.1 + 0.1)  # means 2, then 4
    assert observed()(given).item() == pytest.approx((1 + 1) ** 2 + (1 - real) ** 2, rel=1e-6)
    assert observed(1)(given).item() == pytest.approx(4 + 1)
    assert lm.LeCam()(given) == 0


def test_le_cam_one_sided_counts_what_is_as_expected() -> None:
    loss = lm.LeCam(one_sided=True)
    loss.load_state_dict(
        {**observed(1).state_dict(), "one_sided": torch.tensor(True)}, strict=False
    )
    assert loss({"real": torch.tensor([-3.0]), "fake": torch.tensor([5.0])}) == 0
    assert loss({"real": torch.tensor([1.0]), "fake": torch.tensor([1.0])}) == 5


def test_le_cam_observes_a_step_once_and_keeps_its_state() -> None:
    loss, twin = observed(), lm.LeCam(decay=0.9)
    signals = {"real": torch.tensor(9.0), "fake": torch.tensor(9.0)}
    loss.observe(lm.Progress(step=2, signals=signals))
    assert loss(scores()) == observed()(scores())
    twin.load_state_dict(loss.state_dict())
    assert twin(scores()) == loss(scores()) == copy.deepcopy(loss)(scores())
    with pytest.raises(ValueError, match="real"):
        loss.observe(lm.Progress(step=3))


def test_le_cam_with_averages_keeps_the_contract() -> None:
    check(observed())


def test_feature_matching_sees_means_alone() -> None:
    features, target = numbers(6, 2, 3, seed=1), numbers(6, 2, 3, seed=2)
    loss = lm.FeatureMatching()
    gap = features.mean(0) - target.mean(0)
    torch.testing.assert_close(loss(features, target), gap.square().sum())
    torch.testing.assert_close(loss(features.flip(0), target), loss(features, target))
