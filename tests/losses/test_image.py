"""Losses of images: limits, invariances, images of any range, the features of a network."""

import pytest
import torch
from torch import Tensor, nn

import lossmith
from lossmith import functional as F


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slope(loss: lossmith.Loss, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    leaf = input.clone().requires_grad_()
    value = loss(leaf, target)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


SIMILARITY = {
    "ssim": {"window": 5},
    "ms_ssim": {"window": 3, "scale_weights": [0.2, 0.3, 0.5]},
}


@pytest.mark.parametrize(("key", "hypers"), SIMILARITY.items())
def test_equal_images_cost_nothing_and_others_something(key: str, hypers: dict) -> None:
    loss, one, other = (
        lossmith.get(key, **hypers),
        images(2, 3, 16, 18),
        images(2, 3, 16, 18, seed=1),
    )
    value, gradient = slope(loss, one, one)
    assert value == pytest.approx(0.0, abs=1e-12)
    assert gradient.abs().max() < 1e-9
    assert 0 < loss(one, other) <= 2
    torch.testing.assert_close(loss(one, other), loss(other, one))


@pytest.mark.parametrize(("key", "hypers"), SIMILARITY.items())
def test_the_range_of_the_data_is_a_unit(key: str, hypers: dict) -> None:
    one, other = images(1, 1, 16, 16), images(1, 1, 16, 16, seed=1)
    bytes = lossmith.get(key, **hypers, data_range=255.0)(255 * one, 255 * other)
    torch.testing.assert_close(lossmith.get(key, **hypers)(one, other), bytes)


@pytest.mark.parametrize(("key", "hypers"), SIMILARITY.items())
def test_flat_and_far_images_are_finite(key: str, hypers: dict) -> None:
    """Where a variance is 0, or less by rounding, and where contrast is negative."""
    loss, ramp = lossmith.get(key, **hypers), images(1, 1, 16, 16).float()
    kinds = [torch.zeros_like(ramp), torch.ones_like(ramp), ramp, -ramp, 1e4 * ramp, 1000 + ramp]
    for input in kinds:
        for target in kinds:
            value, gradient = slope(loss, input, target)
            assert -1e-6 <= value <= 2 + 1e-6
            assert gradient.isfinite().all()


def test_ssim_of_nearly_equal_images_keeps_its_digits() -> None:
    """1 − SSIM as a difference would leave nothing of it in float32."""
    one = images(1, 1, 16, 16)
    near = one + 1e-5 * images(1, 1, 16, 16, seed=1)
    exact = F.ssim(near, one)
    torch.testing.assert_close(
        F.ssim(near.float(), one.float()).double(), exact, rtol=0.05, atol=0.0
    )


def test_ssim_is_its_formula() -> None:
    one, other = images(1, 1, 7, 6), images(1, 1, 7, 6, seed=1)
    place = torch.arange(5, dtype=torch.float64) - 2
    line = (-(place**2) / 2 / 0.9**2).exp()
    window = torch.outer(line, line) / line.sum() ** 2
    total = []
    for row in range(3):
        for column in range(2):
            x, y = (i[0, 0, row : row + 5, column : column + 5] for i in (one, other))
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
            both = (window * (x - mx) * (y - my)).sum()
            light = (2 * mx * my + 1e-4) / (mx**2 + my**2 + 1e-4)
            total.append(1 - light * (2 * both + 9e-4) / (vx + vy + 9e-4))
    expected = torch.stack(total).mean()
    torch.testing.assert_close(F.ssim(one, other, window=5, sigma=0.9)[0], expected)


def test_one_scale_of_ms_ssim_is_ssim() -> None:
    one, other = images(2, 3, 9, 9), 0.5 + 0.5 * images(2, 3, 9, 9)
    scale = torch.ones(1, dtype=torch.float64)
    got = F.ms_ssim(one, other, scale_weights=scale, window=3)
    torch.testing.assert_close(got, F.ssim(one, other, window=3))


def test_small_images_and_even_windows_are_refused() -> None:
    small = images(1, 3, 160, 200)
    with pytest.raises(ValueError, match=r"176 × 176 pixels.*\(1, 3, 160, 200\)"):
        lossmith.get("ms_ssim")(small, small)
    with pytest.raises(ValueError, match=r"11 × 11 pixels"):
        lossmith.get("ssim")(small[..., :10], small[..., :10])
    for key in SIMILARITY:
        with pytest.raises(ValueError, match="window must be odd, got 4"):
            lossmith.get(key, window=4)


def test_total_variation_is_its_formula() -> None:
    image = images(2, 3, 4, 5)
    total = torch.zeros(2, dtype=torch.float64)
    for row in range(4):
        for column in range(5):
            here = image[:, :, row, column]
            down = image[:, :, min(row + 1, 3), column] - here
            right = image[:, :, row, min(column + 1, 4)] - here
            total += (down**2 + right**2).sqrt().sum(1)
    torch.testing.assert_close(F.image_total_variation(image), total / 60)


@pytest.mark.parametrize("isotropic", [True, False])
def test_total_variation_of_flat_images_is_nothing(isotropic: bool) -> None:
    loss = lossmith.get("image_total_variation", isotropic=isotropic)
    flat = torch.full((1, 1, 3, 4), 7.0, requires_grad=True)
    value = loss(flat)
    assert value == 0
    assert (torch.autograd.grad(value, flat)[0] == 0).all()
    steps = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 3, 4)
    torch.testing.assert_close(loss(steps), torch.tensor(3 / 12))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Conv2d(4, 2, 3)).double()


def test_a_perceptual_loss_on_ones_own_network() -> None:
    model, names = network(), ["1", "2"]
    one, other = images(2, 1, 8, 8), images(2, 1, 8, 8, seed=1)
    loss = lossmith.Perceptual().on("1") + 0.5 * lossmith.Perceptual().on("2")
    with torch.no_grad():
        target = F.features(model, other, names)
    leaf = one.clone().requires_grad_()
    value = loss(F.features(model, leaf, names), target)
    first, second = model[:2], model
    expected = (first(one) - first(other)).square().mean()
    expected = expected + 0.5 * (second(one) - second(other)).square().mean()
    torch.testing.assert_close(value, expected)
    assert (torch.autograd.grad(value, leaf)[0] != 0).any()


def test_features_leave_the_model_as_it_was() -> None:
    model = network()
    F.features(model, images(1, 1, 8, 8), ["0"])
    assert not any(module._forward_hooks for module in model.modules())
    with pytest.raises(ValueError, match="no module 'nine'"):
        F.features(model, images(1, 1, 8, 8), ["nine"])
    model.spare = nn.Identity()
    model.forward = lambda input: model[0](input)  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="does not run its module 'spare'"):
        F.features(model, images(1, 1, 8, 8), ["spare"])


def test_focal_frequency_without_focus_is_the_squared_error() -> None:
    generator = torch.Generator().manual_seed(3)
    x, y = torch.randn(2, 2, 3, 5, 6, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(lossmith.FocalFrequency(alpha=0.0)(x, y), (x - y).square().mean())


def test_focal_frequency_holds_its_weights_constant() -> None:
    """With one wave alone all weight is on it: the gradient is that of its squared error."""
    place = torch.arange(8.0).double()
    wave = (2 * torch.pi * place / 8).cos().expand(1, 1, 8, 8).clone().requires_grad_()
    value = lossmith.FocalFrequency()(wave, torch.zeros_like(wave))
    torch.testing.assert_close(value, wave.square().mean())
    (slope,) = torch.autograd.grad(value, wave)
    torch.testing.assert_close(slope, 2 * wave.detach() / 64)


def test_ncc_is_the_mean_of_squared_correlations_of_windows() -> None:
    one, other = images(1, 1, 5, 6), images(1, 1, 5, 6, seed=1)
    padded = [torch.nn.functional.pad(image[0, 0], (1, 1, 1, 1)) for image in (one, other)]
    squares = [
        torch.corrcoef(torch.stack([part[i : i + 3, j : j + 3].flatten() for part in padded]))
        for i in range(5)
        for j in range(6)
    ]
    right = 1 - torch.stack([square[0, 1] ** 2 for square in squares]).mean()
    torch.testing.assert_close(lossmith.NCC(window=3)(one, other), right)


def test_ncc_forgives_contrast_and_keeps_its_digits_where_images_are_bright() -> None:
    one, other = images(1, 1, 20, 20), images(1, 1, 20, 20, seed=1)
    loss = lossmith.NCC(window=3)
    bright = loss(1000 + one, other)
    found = loss((1000 + one).float(), other.float())
    torch.testing.assert_close(found.double(), bright, rtol=1e-3, atol=0)
    spot = torch.zeros(1, 1, 6, 6).index_fill(3, torch.tensor([3]), 1.0)
    torch.testing.assert_close(loss(-3 * spot, spot), loss(spot, spot), rtol=1e-3, atol=0)
    assert loss(torch.zeros_like(one), other) == 1


def test_silog_with_lambda_1_compares_pairs_of_pixels_alone() -> None:
    """Equation 1 of the paper: differences of all pairs, half their mean square."""
    depth, found = 5 * images(1, 12) + 0.1, images(1, 12, seed=1)
    gap = (found - depth.log())[0]
    right = (gap.unsqueeze(0) - gap.unsqueeze(1)).square().mean() / 2
    loss = lossmith.SiLog(lambda_=1.0)
    torch.testing.assert_close(loss(found, depth), right)
    torch.testing.assert_close(loss(found + 3, depth), right)
    plain = lossmith.SiLog(lambda_=0.0)(found, depth)
    torch.testing.assert_close(plain, gap.square().mean())


def test_silog_leaves_out_pixels_and_images_without_a_depth() -> None:
    depth, found = 5 * images(2, 6) + 0.1, images(2, 6, seed=1)
    spoilt, holes = found.clone(), depth.clone()
    spoilt[0, 4:], holes[0, 4:] = torch.nan, 0.0
    spoilt[1], holes[1] = torch.nan, -1.0
    value, gradient = slope(lossmith.SiLog(), spoilt, holes)
    torch.testing.assert_close(value, lossmith.SiLog()(found[:1, :4], depth[:1, :4]))
    assert gradient.isfinite().all()
    assert not gradient[1].any()
    torch.testing.assert_close(lossmith.SiLog().decode(depth.log()), depth)
