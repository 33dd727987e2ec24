"""Losses of regions and boundaries: metrics they equal, special settings, ignored pixels."""

import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import matthews_corrcoef
from torch import Tensor

import lossmith
from lossmith import functional as F
from lossmith.losses import (
    MCC,
    NACL,
    BinaryHausdorffDT,
    BlobDice,
    ExponentialLogarithmic,
    GeneralizedWassersteinDice,
    HausdorffDT,
    UnifiedFocal,
)

TABLE = [[0.0, 2.0, 2.0], [2.0, 0.0, 1.0], [2.0, 1.0, 0.0]]
CLASSES = [
    UnifiedFocal(),
    UnifiedFocal(asymmetric=False),
    ExponentialLogarithmic(counts=[90, 9, 1]),
    GeneralizedWassersteinDice(distances=TABLE),
    NACL(size=1),
    HausdorffDT(),
]
BINARY = [MCC(), BinaryHausdorffDT()]


def batch(*, classes: int = 3, images: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (images, classes, 5, 6)
    input = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return input, torch.randint(classes, (images, 5, 6), generator=generator)


def drawn(loss: lossmith.Loss) -> tuple[Tensor, Tensor]:
    input, target = batch()
    return (
        (input[:, 1], (target == 1).double()) if loss.card.target == "labels" else (input, target)
    )


@pytest.mark.parametrize("loss", CLASSES + BINARY, ids=lambda loss: str(loss.card.key))
def test_ignored_pixels_are_as_if_not_there(loss: lossmith.Loss) -> None:
    input, target = drawn(loss)
    hidden, leaf = target.clone(), input.clone()
    hidden[:, :, 4:] = -100
    leaf[..., 4:] = torch.nan
    leaf.requires_grad_()
    value = loss(leaf, hidden)
    if "hausdorff" not in loss.card.key:  # whose structures end there
        torch.testing.assert_close(value, loss(input[..., :4], target[..., :4]))
    slope = torch.autograd.grad(value, leaf)[0]
    assert (slope[..., 4:] == 0).all()
    assert slope.isfinite().all()
    hidden[1] = -100
    torch.testing.assert_close(loss(input, hidden), loss(input[:1], hidden[:1]))
    assert loss(input, torch.full_like(target, -100)) == 0


@pytest.mark.parametrize("loss", CLASSES + BINARY, ids=lambda loss: str(loss.card.key))
@pytest.mark.parametrize("filled", [0, 1])
def test_full_and_empty_masks_of_saturated_logits_are_finite(
    loss: lossmith.Loss, filled: int
) -> None:
    input, target = drawn(loss)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        for size in (0.0, 1e-7, 30.0, 6e4):
            leaf = (size * input.sign()).to(dtype).requires_grad_()
            value = loss(leaf, torch.full_like(target, filled))
            assert value.isfinite()
            assert torch.autograd.grad(value, leaf)[0].isfinite().all()


def test_mcc_of_decided_masks_is_the_metric() -> None:
    input, target = drawn(MCC())
    values = F.mcc(1e4 * input, target)
    for value, one, true in zip(values, input, target, strict=True):
        assert 1 - value.item() == pytest.approx(
            matthews_corrcoef(true.flatten().numpy(), (one > 0).flatten().numpy())
        )
    torch.testing.assert_close(F.mcc(-input, target), 2 - F.mcc(input, target))


@pytest.mark.parametrize("asymmetric", [True, False])
def test_unified_focal_is_its_definition(asymmetric: bool) -> None:
    input, target = batch()
    share, delta, gamma = 0.3, 0.7, 0.4
    p = input.softmax(1).numpy()
    expected = []
    for image, true in zip(p, target.numpy(), strict=True):
        pixels, classes = [], []
        for c in range(3):
            inside, t = image[c], true == c
            fade = gamma if c == 0 or not asymmetric else 0.0
            weight = 1 - delta if c == 0 else delta
            pixels.append(-weight * ((1 - inside) ** fade * np.log(inside) * t).sum())
            hit, miss, false = (inside * t).sum(), ((1 - inside) * t).sum(), (inside * ~t).sum()
            index = 1 - hit / (hit + delta * miss + (1 - delta) * false)
            classes.append(index ** (1.0 if c == 0 and asymmetric else 1 - gamma))
        expected.append(share * sum(pixels) / true.size + (1 - share) * np.mean(classes))
    values = F.unified_focal(
        input, target, lambda_=share, delta=delta, gamma=gamma, asymmetric=asymmetric, smooth=1e-12
    )
    np.testing.assert_allclose(values.numpy(), expected, rtol=1e-9)


def test_exponential_logarithmic_is_its_definition() -> None:
    input, target = batch()
    counts, gammas = np.array([90.0, 9.0, 1.0]), (0.4, 0.6)
    p, expected = input.softmax(1).numpy(), []
    for image, true in zip(p, target.numpy(), strict=True):
        hits = [(image[c] * (true == c)).sum() for c in range(3)]
        sizes = [image[c].sum() + (true == c).sum() for c in range(3)]
        dice = [(2 * hit + 1) / (size + 1) for hit, size in zip(hits, sizes, strict=True)]
        own = np.take_along_axis(image, true[None], 0)[0]
        pixels = (counts.sum() / counts[true]) ** 0.5 * (-np.log(own)) ** gammas[1]
        expected.append(0.7 * np.mean((-np.log(dice)) ** gammas[0]) + 0.3 * pixels.mean())
    loss = ExponentialLogarithmic(
        counts=counts, dice_weight=0.7, dice_gamma=gammas[0], cross_gamma=gammas[1]
    )
    assert loss(input, target).item() == pytest.approx(np.mean(expected), rel=1e-9)


def test_exponential_logarithmic_counts_in_any_unit() -> None:
    input, target = batch()
    for one, other in (([90, 9, 1], [0.9, 0.09, 0.01]), ([90, 9, 9], [9.0, 0.9, 0.0])):
        values = [ExponentialLogarithmic(counts=counts)(input, target) for counts in (one, other)]
        torch.testing.assert_close(*values)


def test_wasserstein_dice_forgives_what_is_near() -> None:
    target = torch.tensor([[1, 2, 0, 1]])
    right = 50 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).double()
    loss = GeneralizedWassersteinDice(distances=TABLE)
    assert loss(right, target) == pytest.approx(0, abs=1e-9)
    near = loss(right[:, [0, 2, 1]], target)  # one foreground class for the other
    far = loss(right[:, [1, 0, 2]], target)  # foreground for background
    assert 0 < near < far
    loss = GeneralizedWassersteinDice.for_target(torch.tensor([0, 2, 1]))
    assert loss.distances.tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    for wrong in ([[0.0, 1.0]], [[1.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]):
        with pytest.raises(ValueError, match="distances must have one row and one column a class"):
            GeneralizedWassersteinDice(distances=wrong)


def test_hausdorff_distances_are_those_of_an_exact_transform() -> None:
    generator = torch.Generator().manual_seed(0)
    for shape in ((3, 2, 40), (2, 1, 17, 23), (1, 2, 9, 8, 11)):
        mask = torch.rand(shape, generator=generator) < 0.95
        mask[0, 0] = True  # no boundary
        found = F.boundary_distance(mask)
        for row, kind in itertools.product(range(shape[0]), range(shape[1])):
            one = mask[row, kind].numpy()
            both = distance_transform_edt(one) + distance_transform_edt(~one)
            expected = np.zeros_like(both) if one.all() else both
            np.testing.assert_allclose(found[row, kind].numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("at_once", [1, 2**20])
def test_hausdorff_of_a_graph_is_that_step_by_step(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    input, target = batch()
    monkeypatch.setattr("lossmith.functional.segmentation.boundaries._AT_ONCE", at_once)
    compiled = torch.compile(F.hausdorff_dt, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(input, target), F.hausdorff_dt(input, target))


def test_two_classes_are_one_label() -> None:
    input, target = batch(classes=2)
    one = F.binary_hausdorff_dt(input[:, 1] - input[:, 0], target.double())
    torch.testing.assert_close(F.hausdorff_dt(input, target), one)


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_nacl_is_its_definition_beside_ignored_pixels(distance: str) -> None:
    input, target = batch(images=1)
    target[0, 2, 3] = -100
    log_p, power = input.log_softmax(1), 1 if distance == "l1" else 2
    total = []
    for row, column in itertools.product(range(5), range(6)):
        if target[0, row, column] == -100:
            continue
        box = target[0, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        shares = torch.stack([(box == c).sum() / 9 for c in range(3)]).double()
        gap = (shares - input[0, :, row, column]).abs().pow(power).mean()
        total.append(0.2 * gap - log_p[0, target[0, row, column], row, column])
    value = NACL(alpha=0.2, distance=distance)(input, target)
    torch.testing.assert_close(value, torch.stack(total).mean())
    with pytest.raises(ValueError, match="size must be odd"):
        NACL(size=2)


@pytest.mark.parametrize("squared", [True, False])
def test_blob_dice_is_dice_of_each_blob_where_no_other_is(squared: bool) -> None:
    input, numbers = batch(classes=4)
    input = input[:, 0]
    numbers[1, numbers[1] == 2] = 0
    total = []
    for image, blobs in zip(input, numbers, strict=True):
        each = [
            F.binary_dice(
                image[(blobs == 0) | (blobs == k)][None],
                (blobs[(blobs == 0) | (blobs == k)] == k).double()[None],
                squared=squared,
            )
            for k in range(1, 4)
            if (blobs == k).any()
        ]
        total.append(torch.cat(each).mean())
    loss = BlobDice(squared=squared)
    torch.testing.assert_close(loss(input, numbers), torch.stack(total).mean())
    order = torch.tensor([0, 7, 3, 9])
    torch.testing.assert_close(loss(input, order[numbers]), loss(input, numbers))


def test_images_without_blobs_do_not_count() -> None:
    input, numbers = batch(classes=3)
    input = input[:, 0]
    numbers[1] = 0
    torch.testing.assert_close(BlobDice()(input, numbers), BlobDice()(input[:1], numbers[:1]))
    numbers[0, 0] = -100
    torch.testing.assert_close(
        BlobDice()(input, numbers), BlobDice()(input[:1, 1:], numbers[:1, 1:])
    )
    with pytest.raises(ValueError, match="a blob outside 0 … 30"):
        BlobDice()(input, numbers.clamp(min=0) + 31)
    with pytest.raises(ValueError, match="blobs are whole numbers"):
        BlobDice()(input, numbers.clamp(min=0) + 0.5)
