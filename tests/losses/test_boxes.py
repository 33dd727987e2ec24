"""Losses of boxes: known values, invariances, boxes without area, the constant in CIoU."""

import math

import pytest
import torch
from torch import Tensor

import lossmith
from lossmith import functional as F

KEYS = ["iou", "giou", "diou", "ciou"]


def boxes(rows: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner, size = torch.rand((2, rows, 2), generator=generator, dtype=torch.float64)
    return torch.cat([corner, corner + size + 0.05], 1)


def slope(key: str, input: Tensor, target: Tensor) -> Tensor:
    leaf = input.clone().requires_grad_()
    return torch.autograd.grad(lossmith.get(key)(leaf, target), leaf)[0]


@pytest.mark.parametrize("key", KEYS)
def test_equal_boxes_cost_nothing(key: str) -> None:
    box = boxes(20)
    assert lossmith.get(key)(box, box).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("key", KEYS)
def test_scale_and_place_change_nothing(key: str) -> None:
    loss, input, target = lossmith.get(key), boxes(20), boxes(20, seed=1)
    for scale in (1e-6, 1e4):
        got = loss(input * scale + 3 * scale, target * scale + 3 * scale)
        torch.testing.assert_close(got, loss(input, target), rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("key", KEYS)
def test_boxes_without_area_have_finite_values_and_gradients(key: str) -> None:
    flat = torch.tensor([[1.0, 1, 1, 1], [1, 1, 3, 1], [1, 1, 1, 3], [3, 3, 1, 1], [0, 0, 2, 2]])
    input, target = flat.repeat(5, 1), flat.repeat_interleave(5, 0)
    assert getattr(F, key)(input, target).isfinite().all()
    assert slope(key, input, target).isfinite().all()


def test_boxes_apart_are_drawn_together_by_all_but_iou() -> None:
    input, target = torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[5.0, 0, 6, 1]])
    assert (slope("iou", input, target) == 0).all()
    for key in ("giou", "diou", "ciou"):
        assert slope(key, input, target)[0, 2] < 0


def test_order_and_bounds() -> None:
    input, target = boxes(200), boxes(200, seed=1)
    iou, giou, diou, ciou = (getattr(F, key)(input, target) for key in KEYS)
    assert (giou >= iou).all()
    assert (diou >= iou).all()
    assert (ciou >= diou).all()
    assert giou.max() <= 2


def test_the_factor_of_the_aspect_ratio_is_held_constant() -> None:
    """With alpha as a number the finite difference of the rest is the gradient."""
    input, target = boxes(5), boxes(5, seed=3)

    def unlike(box: Tensor) -> Tensor:
        angle = [((b[:, 2] - b[:, 0]) / (b[:, 3] - b[:, 1])).atan() for b in (target, box)]
        return 4 / math.pi**2 * (angle[0] - angle[1]).square()

    v = unlike(input)
    alpha = v / (F.iou(input, target) + v)
    leaf = input.clone().requires_grad_()
    rest = (F.diou(leaf, target) + alpha * unlike(leaf)).mean()
    torch.testing.assert_close(F.ciou(input, target).mean(), rest.detach())
    torch.testing.assert_close(slope("ciou", input, target), torch.autograd.grad(rest, leaf)[0])


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(N, 4\).*\(2, 5\)"):
        F.iou(torch.zeros(2, 5), torch.zeros(2, 5))
