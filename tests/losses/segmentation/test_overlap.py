"""Losses of segmentation: special cases, ignored pixels, saturated and empty masks, geometry."""

import pytest
import torch
from torch import Tensor

import lossmith
from lossmith import functional as F

CLASSES = ["dice", "jaccard", "tversky", "focal_tversky", "generalized_dice", "lovasz_softmax"]
BINARY = [
    "binary_dice",
    "binary_jaccard",
    "binary_tversky",
    "binary_focal_tversky",
    "lovasz_hinge",
    "cl_dice",
]


def batch(*, classes: int = 3, images: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (images, classes, 5, 6)
    input = torch.randn(shape, generator=generator, dtype=torch.float64)
    return input, torch.randint(classes, (images, 5, 6), generator=generator)


def binary(*, images: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    input, target = batch(classes=2, images=images, seed=seed)
    return input[:, 1], target.double()


def drawn(key: str, **given: int) -> tuple[Tensor, Tensor]:
    return binary(**given) if key in BINARY else batch(**given)


def slope(key: str, input: Tensor, target: Tensor, **hypers: float) -> tuple[Tensor, Tensor]:
    leaf = input.clone().requires_grad_()
    value = lossmith.get(key, **hypers)(leaf, target)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


@pytest.mark.parametrize("key", CLASSES + BINARY)
@pytest.mark.parametrize("ignore_index", [-100, 255])
def test_ignored_pixels_are_as_if_not_there(key: str, ignore_index: int) -> None:
    input, target = drawn(key)
    if key == "cl_dice":  # whose structures end at an ignored pixel
        target[:, :, 4:] = 0
        input[:, :, 4:] = -torch.inf
    hidden = target.clone()
    hidden[:, :, 4:] = ignore_index
    value, gradient = slope(key, input, hidden, ignore_index=ignore_index)
    cut = slice(None) if key == "cl_dice" else slice(4)
    torch.testing.assert_close(value, slope(key, input[..., cut], target[..., cut])[0])
    assert (gradient[..., 4:] == 0).all()
    if key != "cl_dice":
        assert (gradient[..., :4] != 0).any()


@pytest.mark.parametrize("key", CLASSES + BINARY)
def test_an_image_whose_pixels_are_all_ignored_does_not_count(key: str) -> None:
    input, target = drawn(key)
    hidden = target.clone()
    hidden[1] = -100
    value, gradient = slope(key, input, hidden)
    torch.testing.assert_close(value, slope(key, input[:1], target[:1])[0])
    assert (gradient[1] == 0).all()
    value, gradient = slope(key, input, torch.full_like(target, -100))
    assert value == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("key", CLASSES + BINARY)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("filled", [0, 1])
def test_full_and_empty_masks_of_saturated_logits_are_finite(
    key: str, dtype: torch.dtype, filled: int
) -> None:
    input, target = drawn(key)
    for size in (0.0, 1e-7, 30.0, 6e4):
        for sign in (1.0, -1.0):
            far = (sign * size * input.sign()).to(dtype)
            value, gradient = slope(key, far, torch.full_like(target, filled))
            assert value.isfinite()
            assert gradient.isfinite().all()


@pytest.mark.parametrize("key", [*CLASSES, *BINARY])
def test_a_perfect_prediction_costs_nothing(key: str) -> None:
    _, target = drawn(key)
    if key in BINARY:
        right = 2000 * (target - 0.5)
    else:
        right = 1000 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).double()
    value, gradient = slope(key, right, target)
    assert value == pytest.approx(0.0, abs=1e-6)
    assert gradient.isfinite().all()


def test_a_value_is_one_images_alone() -> None:
    """MONAI's and segmentation_models_pytorch's batch sums let one image drown another."""
    input, target = batch(images=3)
    for key in CLASSES:
        alone = [getattr(F, key)(input[i : i + 1], target[i : i + 1]) for i in range(3)]
        torch.testing.assert_close(getattr(F, key)(input, target), torch.cat(alone))


def test_tversky_contains_dice_and_jaccard() -> None:
    input, target = batch()
    dice = F.dice(input, target, squared=False)
    torch.testing.assert_close(F.tversky(input, target, alpha=0.5, beta=0.5, smooth=5e-6), dice)
    torch.testing.assert_close(F.tversky(input, target, alpha=1, beta=1), F.jaccard(input, target))
    plain = F.tversky(input, target)
    torch.testing.assert_close(F.focal_tversky(input, target, gamma=1.0), plain)


def test_two_classes_are_one_label() -> None:
    """A softmax over 0 and x is the sigmoid of x, so the second class has the binary value."""
    input, target = binary()
    both = torch.stack([torch.zeros_like(input), input], 1)
    swapped = torch.stack([input, torch.zeros_like(input)], 1)
    for name in ("dice", "jaccard", "tversky", "focal_tversky"):
        one = getattr(F, f"binary_{name}")
        expected = (one(input, target) + one(-input, 1 - target)) / 2
        torch.testing.assert_close(getattr(F, name)(both, target.long()), expected)
        torch.testing.assert_close(getattr(F, name)(swapped, 1 - target.long()), expected)


def test_jaccard_of_decided_masks_is_the_metric_and_lovasz_extends_it() -> None:
    input, target = binary()
    decided = (input > 0).double()
    union = ((decided + target) > 0).flatten(1).sum(1)
    metric = 1 - (decided * target).flatten(1).sum(1) / union
    logits = 2000 * (decided - 0.5)
    torch.testing.assert_close(F.binary_jaccard(logits, target), metric, atol=1e-6, rtol=0)
    stacked = torch.stack([torch.zeros_like(logits), logits], 1)
    other = 1 - ((1 - decided) * (1 - target)).flatten(1).sum(1) / (
        ((1 - decided) + (1 - target)) > 0
    ).flatten(1).sum(1)
    torch.testing.assert_close(F.lovasz_softmax(stacked, target.long()), (metric + other) / 2)


def test_lovasz_hinge_is_convex() -> None:
    _, target = binary()
    generator = torch.Generator().manual_seed(3)
    for scale in (1.0, 30.0):
        one, other = scale * torch.randn((2, 2, 5, 6), generator=generator, dtype=torch.float64)
        middle = F.lovasz_hinge((one + other) / 2, target)
        chord = (F.lovasz_hinge(one, target) + F.lovasz_hinge(other, target)) / 2
        assert (middle <= chord + 1e-12).all()


def test_classes_that_an_image_lacks() -> None:
    input, target = batch()
    target[0].clamp_(max=1)
    far = torch.cat([input, torch.full_like(input[:, :1], -1e3)], 1)
    three, four = (F.lovasz_softmax(x, target) for x in (input, far))
    torch.testing.assert_close(three, four)
    value = F.dice(far, target) * 4 / 3  # a class not there and not predicted costs 0
    torch.testing.assert_close(value, F.dice(input, target))


def test_generalised_dice_does_not_know_the_size_of_the_image() -> None:
    """A constant in numerator and denominator outweighs weights of 1/n² in large images."""
    input, target = batch()
    wide = input.repeat(1, 1, 40, 40), target.repeat(1, 40, 40)
    torch.testing.assert_close(F.generalized_dice(*wide), F.generalized_dice(input, target))


def test_signed_distances() -> None:
    target = torch.zeros(2, 5, 5, dtype=torch.long)
    target[0, 1:4, 1:4] = 1
    target[1, 0, 0] = -100
    found = F.signed_distance(target, classes=3)
    inside = torch.tensor([[0.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 0.0]])
    assert torch.equal(found[0, 1, 1:4, 1:4], inside)
    assert found[0, 1, 0, 0] == pytest.approx(2**0.5)
    assert (found[0, 2] == 0).all()
    assert (found[1, 1:] == 0).all()
    assert (found[1, :, 0, 0] == 0).all()
    spaced = F.signed_distance(target, classes=2, spacing=(1.0, 3.0))
    assert spaced[0, 1, 2, 0] == 3.0


@pytest.mark.parametrize("spacing", [0.3, 1.0, 5.0])
def test_signed_distances_are_in_units_of_the_spacing(spacing: float) -> None:
    line = torch.tensor([[0, 1, 1, 1, 1]])
    found = F.signed_distance(line, classes=2, spacing=[spacing])
    expected = spacing * torch.tensor([[0.0, 1, 2, 3, 4], [1, 0, -1, -2, -3]])
    torch.testing.assert_close(found[0], expected)
    square = torch.zeros(1, 7, 9, dtype=torch.long)
    square[0, 1:6, 2:7] = 1
    unit = F.signed_distance(square, classes=2)
    torch.testing.assert_close(
        F.signed_distance(square, classes=2, spacing=[spacing] * 2), spacing * unit
    )


def test_signed_distances_of_pixels_that_are_not_square() -> None:
    """Thick slices: the rim is 0 along both axes, and all that lies within is negative."""
    image = torch.zeros(1, 7, 9, dtype=torch.long)
    image[0, 1:6, 2:7] = 1
    found = F.signed_distance(image, classes=2, spacing=[0.3, 5.0])[0, 1]
    inner = found[1:6, 2:7]
    assert (inner[1:-1, 1:-1] < 0).all()
    assert (inner[[0, -1]] == 0).all()
    assert (inner[:, [0, -1]] == 0).all()
    assert (found[image[0] == 0] > 0).all()
    torch.testing.assert_close(found[3, 4], torch.tensor(-0.6))  # two lines up, of 0.3 each


@pytest.mark.parametrize("spacing", [[0.3, 0.3], [5.0, 5.0], [0.3, 5.0]])
def test_the_right_mask_is_better_than_an_empty_one(spacing: list[float]) -> None:
    image = torch.zeros(1, 5, 9, dtype=torch.long)
    image[0, 1:4, 3:6] = 1
    distance = F.signed_distance(image, classes=2, spacing=spacing)
    right = 40.0 * torch.nn.functional.one_hot(image, 2).movedim(-1, 1)
    empty = torch.zeros_like(right)
    empty[:, 0] = 40
    assert F.boundary(right, distance) < F.boundary(empty, distance)


def test_a_mask_is_no_distance() -> None:
    logits, image = batch(images=1)
    mask = torch.nn.functional.one_hot(image, 3).movedim(-1, 1)
    for target in (mask, mask.float(), (torch.rand_like(logits) > 0.5).double()):
        with pytest.raises(ValueError, match="as a mask does; it must hold distances"):
            F.boundary(logits, target)


def test_signed_distances_of_a_full_class_are_zero() -> None:
    assert (F.signed_distance(torch.ones(1, 4, 4, dtype=torch.long), classes=2) == 0).all()


def test_boundary_is_least_at_the_interior() -> None:
    _, target = batch(images=1)
    distance = F.signed_distance(target, classes=3).double()
    right = 1000.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).double()
    least = F.boundary(right, distance)
    for seed in range(5):
        assert F.boundary(batch(seed=seed, images=1)[0], distance) > least


def test_the_skeleton_of_a_line_is_the_line() -> None:
    line = torch.zeros(1, 1, 7, 9)
    line[0, 0, 3, 1:8] = 1
    assert torch.equal(F.soft_skeleton(line, 3), line)
    thick = torch.zeros(1, 1, 7, 9)
    thick[0, 0, 2:5] = 1
    middle = torch.zeros(1, 1, 7, 9)
    middle[0, 0, 3] = 1
    assert torch.equal(F.soft_skeleton(thick, 3), middle)


def test_a_gap_costs_more_in_cl_dice_than_a_thinner_line() -> None:
    target = torch.zeros(1, 7, 15)
    target[0, 2:5] = 1
    thin, broken = target.clone(), target.clone()
    thin[0, 2] = thin[0, 4] = 0
    broken[0, :, 5:10] = 0
    of = [F.cl_dice(2000 * (mask - 0.5), target, iterations=3) for mask in (thin, broken)]
    assert of[0] < 1e-6 < of[1]


def test_volumes_and_what_is_no_image() -> None:
    generator = torch.Generator().manual_seed(0)
    volume = torch.rand((2, 4, 5, 6), generator=generator)
    for key in BINARY:
        assert getattr(F, key)(volume, volume.round()).shape == (2,)
    with pytest.raises(ValueError, match=r"\(N, H, W\)"):
        F.cl_dice(volume[0, 0], volume[0, 0].round())
    with pytest.raises(ValueError, match=r"images.*\(6,\)"):
        F.binary_dice(volume[0, 0, 0], volume[0, 0, 0].round())
    with pytest.raises(ValueError, match=r"label outside"):
        F.binary_dice(volume, volume + 1)
    with pytest.raises(ValueError, match=r"class outside"):
        F.dice(volume, torch.full((2, 5, 6), 4))
