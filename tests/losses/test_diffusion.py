"""Diffusion, flows and consistency: one loss under every parametrisation."""

import math

import pytest
import torch
from torch import Tensor

import lossmith as lm
from lossmith import functional as F

WEIGHTINGS = ("snr", "truncated_snr", "min_snr", "edm", "p2")


def numbers(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def batch(rows: int = 7) -> dict[str, Tensor]:
    """Levels from nearly clean to nearly noise; alpha² + sigma² = 1."""
    angle = torch.linspace(0.02, math.pi / 2 - 0.02, rows, dtype=torch.float64)
    clean, noise = numbers(rows, 2, 3, seed=1), numbers(rows, 2, 3, seed=2)
    return {"clean": clean, "noise": noise, "alpha": angle.cos(), "sigma": angle.sin()}


def noisy(target: dict[str, Tensor]) -> Tensor:
    return F.noised(target["clean"], target["noise"], alpha=target["alpha"], sigma=target["sigma"])


def outputs(guess: Tensor, target: dict[str, Tensor]) -> dict[str, Tensor]:
    """What networks of each kind would give that all mean the same clean sample."""
    alpha, sigma = (target[name].reshape(-1, 1, 1) for name in ("alpha", "sigma"))
    eps = (noisy(target) - alpha * guess) / sigma
    length = (alpha.square() + sigma.square()).sqrt()
    return {"x0": guess, "eps": eps, "v": (alpha * eps - sigma * guess) / length}


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_the_same_guess_has_the_same_loss_under_every_prediction(weighting, scale) -> None:
    """scale leaves alpha² + sigma² = 1, as EDM's levels do."""
    target = batch()
    target["alpha"], target["sigma"] = scale * target["alpha"], scale * target["sigma"]
    guess = target["clean"] + numbers(7, 2, 3, seed=3)
    values = [
        lm.Denoising(prediction=kind, weighting=weighting).values(given, target)
        for kind, given in outputs(guess, target).items()
    ]
    torch.testing.assert_close(values[1], values[0])
    torch.testing.assert_close(values[2], values[0])


@pytest.mark.parametrize("kind", ["eps", "x0", "v"])
def test_denoised_reads_what_a_perfect_network_says(kind: str) -> None:
    target = batch()
    output = outputs(target["clean"], target)[kind]
    levels = {name: target[name] for name in ("alpha", "sigma")}
    back = F.denoised(output, noisy(target), **levels, prediction=kind)
    torch.testing.assert_close(back, target["clean"])
    assert lm.Denoising(prediction=kind)(output, target).item() == pytest.approx(0, abs=1e-20)


def test_min_snr_of_v_divides_by_snr_plus_one() -> None:
    """diffusers#5654 and #9451: min(SNR, γ)/SNR is the weight of eps, not of v."""
    target = batch()
    snr = (target["alpha"] / target["sigma"]).square().reshape(-1, 1, 1)
    for kind, per in (("eps", snr), ("v", snr + 1), ("x0", torch.ones_like(snr))):
        plain = lm.Denoising(prediction=kind).values(target["noise"] * 0, target)
        cut = lm.Denoising(prediction=kind, weighting="min_snr", gamma=5.0)
        right = snr.clamp(max=5.0) / per * plain
        torch.testing.assert_close(cut.values(target["noise"] * 0, target), right)


def test_known_equalities_of_weightings() -> None:
    target, output = batch(), numbers(7, 2, 3, seed=4)

    def value(**choices) -> Tensor:
        return lm.Denoising(**choices)(output, target)

    torch.testing.assert_close(value(weighting="snr"), value())  # DDPM's loss of eps
    wide = value(prediction="v", weighting="edm", sigma_data=1.0)  # SNR + 1
    torch.testing.assert_close(wide, value(prediction="v"))
    for kind in ("eps", "x0", "v"):
        uncut = value(prediction=kind, weighting="min_snr", gamma=1e9)
        torch.testing.assert_close(uncut, value(prediction=kind, weighting="snr"))
        flat = value(prediction=kind, weighting="p2", p2_gamma=0.0)
        torch.testing.assert_close(flat, value(prediction=kind, weighting="snr"))


def test_p2_divides_the_loss_of_eps() -> None:
    target, output = batch(), numbers(7, 2, 3, seed=4)
    snr = (target["alpha"] / target["sigma"]).square().reshape(-1, 1, 1)
    loss = lm.Denoising(weighting="p2", p2_k=2.0, p2_gamma=0.5)
    right = (output - target["noise"]).square() / (2.0 + snr) ** 0.5
    torch.testing.assert_close(loss.values(output, target), right)


@pytest.mark.parametrize("weighting", ["uniform", *WEIGHTINGS])
@pytest.mark.parametrize("kind", ["eps", "x0", "v"])
@pytest.mark.parametrize(("alpha", "sigma"), [(0.0, 1.0), (1.0, 1e-30)])
def test_the_ends_of_a_schedule_give_no_nan(weighting, kind, alpha, sigma) -> None:
    """Zero terminal SNR, and no noise at all."""
    target = {name: part[:1].float() for name, part in batch().items()}
    target |= {"alpha": torch.tensor([alpha]), "sigma": torch.tensor([sigma])}
    output = target["clean"].clone().requires_grad_()
    value = lm.Denoising(prediction=kind, weighting=weighting)(output, target)
    (slope,) = torch.autograd.grad(value, output)
    assert not value.isnan()
    assert not slope.isnan().any()


def test_one_level_a_row_and_nothing_broadcast() -> None:
    target = batch()
    with pytest.raises(ValueError, match=r"alpha has shape \(7, 1, 1\)"):
        lm.Denoising()(target["noise"], {**target, "alpha": target["alpha"].reshape(7, 1, 1)})
    with pytest.raises(ValueError, match=r"noise has shape \(7, 2\)"):
        lm.FlowMatching()(target["noise"], {"clean": target["clean"], "noise": numbers(7, 2)})


@pytest.mark.parametrize("sigma_min", [0.0, 0.1])
def test_flow_matching_aims_at_the_velocity_of_its_path(sigma_min: float) -> None:
    clean, noise = numbers(4, 3, seed=1), numbers(4, 3, seed=2)
    time = torch.full((4,), 0.3, dtype=torch.float64)
    ends = [
        F.interpolant(clean, noise, time=time + step, sigma_min=sigma_min) for step in (-1e-4, 1e-4)
    ]
    velocity = (ends[1] - ends[0]) / 2e-4
    target = {"clean": clean, "noise": noise}
    assert lm.FlowMatching(sigma_min=sigma_min)(velocity, target).item() < 1e-20


def test_a_velocity_weighs_errors_of_the_sample_by_what_is_left_of_the_path() -> None:
    """An error of the velocity is one of the sample divided by 1 − t."""
    clean, noise, guess = (numbers(4, 3, seed=seed) for seed in (1, 2, 3))
    time = torch.linspace(0.1, 0.9, 4, dtype=torch.float64)
    at = F.interpolant(clean, noise, time=time)
    velocity = (guess - at) / (1 - time).unsqueeze(1)
    ours = lm.FlowMatching().values(velocity, {"clean": clean, "noise": noise})
    right = (guess - clean).square() / (1 - time).square().unsqueeze(1)
    torch.testing.assert_close(ours, right)


def plain_huber(input: Tensor, teacher: Tensor, gap: Tensor, c: float) -> Tensor:
    rows = zip(input, teacher, gap, strict=True)
    values = [((x - y).square().sum() + c**2).sqrt() / g - c / g for x, y, g in rows]
    return torch.stack(values).mean()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_consistency_is_its_formula(scale: float) -> None:
    input, teacher = scale * numbers(3, 2, 8, seed=1), scale * numbers(3, 2, 8, seed=2)
    gap = torch.tensor([0.1, 1.0, 30.0], dtype=torch.float64)
    target = {"teacher": teacher, "gap": gap}
    loss = lm.Consistency(distance="pseudo_huber")
    leaf = input.clone().requires_grad_()
    value = loss(leaf, target)
    right = plain_huber(leaf, teacher, gap, 0.00054 * math.sqrt(16))
    torch.testing.assert_close(value, right, rtol=1e-9, atol=0.0)
    slopes = [torch.autograd.grad(one, leaf)[0] for one in (value, right)]
    torch.testing.assert_close(*slopes, rtol=1e-9, atol=0.0)
    # Far above c it is the distance, far below half its square over c.
    far = lm.Consistency(distance="pseudo_huber", c=1e-9 * scale)
    torch.testing.assert_close(far.values(input, {"teacher": teacher}), distance(input, teacher))
    near = lm.Consistency(distance="pseudo_huber", c=1e6 * scale)
    half = lm.Consistency().values(input, {"teacher": teacher}) / (2e6 * scale)
    torch.testing.assert_close(near.values(input, {"teacher": teacher}), half)


def distance(input: Tensor, teacher: Tensor) -> Tensor:
    return (input - teacher).flatten(1).norm(dim=1)


def test_no_gradient_reaches_the_teacher() -> None:
    teacher = numbers(3, 2).requires_grad_()
    input = numbers(3, 2, seed=1).requires_grad_()
    lm.Consistency()(input, {"teacher": teacher}).backward()
    assert teacher.grad is None
    assert input.grad is not None
