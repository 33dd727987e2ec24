"""Losses of boxes: known values, invariances, boxes without area, the constant in CIoU."""

import math

import pytest
import torch
from torch import Tensor

import lossmith
from lossmith import functional as F

KEYS = ["iou", "giou", "diou", "ciou", "eiou", "siou"]


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
    for key in KEYS[1:]:
        assert slope(key, input, target)[0, 2] < 0


def test_order_and_bounds() -> None:
    input, target = boxes(200), boxes(200, seed=1)
    iou, giou, diou, ciou, eiou, siou = (getattr(F, key)(input, target) for key in KEYS)
    assert (giou >= iou).all()
    assert (diou >= iou).all()
    assert (ciou >= diou).all()
    assert (eiou >= diou).all()
    assert (siou >= iou).all()
    assert giou.max() <= 2
    assert eiou.max() <= 4
    assert siou.max() <= 2 + (1 - math.exp(-1)) ** 4


def test_siou_is_its_definition() -> None:
    """With the angle as the paper has it: 1 − 2 sin²(arcsin(|d_y|/σ) − π/4)."""
    for x, y, got in zip(
        boxes(20), boxes(20, seed=1), F.siou(boxes(20), boxes(20, seed=1)), strict=True
    ):
        gap = ((y[:2] + y[2:] - x[:2] - x[2:]) / 2).abs()
        angle = 1 - 2 * math.sin(math.asin(gap[1] / gap.norm()) - math.pi / 4) ** 2
        hull = torch.maximum(x[2:], y[2:]) - torch.minimum(x[:2], y[:2])
        distance = (1 - (-(2 - angle) * (gap / hull).square()).exp()).sum()
        sides, true = x[2:] - x[:2], y[2:] - y[:2]
        shape = (1 - (-(sides - true).abs() / torch.maximum(sides, true)).exp()).pow(4).sum()
        expected = F.iou(x[None], y[None])[0] + (distance + shape) / 2
        assert got.item() == pytest.approx(expected.item(), rel=1e-12)


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


def test_prob_iou_is_its_definition_by_matrices() -> None:
    g = torch.Generator().manual_seed(0)
    input, target = (3 * torch.randn(20, 5, generator=g, dtype=torch.float64) for _ in range(2))

    def covariance(box: Tensor) -> Tensor:
        turn = torch.stack([box[4].cos(), -box[4].sin(), box[4].sin(), box[4].cos()]).reshape(2, 2)
        return turn @ torch.diag(box[2:4] ** 2 / 12) @ turn.T

    values = F.prob_iou(input, target, distance="bhattacharyya")
    for value, one, other in zip(values, input, target, strict=True):
        first, second, gap = covariance(one), covariance(other), one[:2] - other[:2]
        both = (first + second) / 2
        far = gap @ torch.linalg.solve(both, gap) / 8
        unlike = (both.det() / (first.det() * second.det()).sqrt()).log() / 2
        torch.testing.assert_close(value, far + unlike)
    torch.testing.assert_close(F.prob_iou(input, target), (1 - (-values).exp()).sqrt())


def test_prob_iou_knows_no_scale_and_no_corners() -> None:
    g = torch.Generator().manual_seed(0)
    input, target = (torch.randn(20, 5, generator=g, dtype=torch.float64) for _ in range(2))
    size = torch.tensor([1e12, 1e12, 1e12, 1e12, 1.0])
    values = F.prob_iou(input, target)
    torch.testing.assert_close(F.prob_iou(size * input, size * target), values)
    turned = input[:, [0, 1, 3, 2, 4]] + torch.tensor([0, 0, 0, 0, math.pi / 2])
    torch.testing.assert_close(F.prob_iou(turned, target), values)
    leaf = input.clone().float().requires_grad_()
    value = F.prob_iou(leaf, input.float()).sum()
    assert value < 1e-3
    assert torch.autograd.grad(value, leaf)[0].isfinite().all()
