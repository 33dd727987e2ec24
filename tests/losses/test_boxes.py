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


def test_a_power_of_one_is_the_loss_itself() -> None:
    input, target = boxes(20), boxes(20, seed=1)
    for penalty, key in (("none", "iou"), ("giou", "giou"), ("diou", "diou"), ("ciou", "ciou")):
        loss = lossmith.AlphaIoU(alpha=1.0, penalty=penalty)
        torch.testing.assert_close(loss(input, target), lossmith.get(key)(input, target))


def test_each_term_of_alpha_iou_is_raised() -> None:
    input, target = boxes(20), boxes(20, seed=1)
    iou, giou, diou, ciou = (getattr(F, key)(input, target) for key in KEYS[:4])
    held = 1 - (1 - iou) ** 3
    found = {p: F.alpha_iou(input, target, penalty=p) for p in ("none", "giou", "diou", "ciou")}
    torch.testing.assert_close(found["none"], held)
    torch.testing.assert_close(found["giou"], held + (giou - iou) ** 3)
    torch.testing.assert_close(found["diou"], held + (diou - iou) ** 3)
    torch.testing.assert_close(found["ciou"], held + (diou - iou) ** 3 + (ciou - diou) ** 3)


@pytest.mark.parametrize("alpha", [0.5, 3.0])
def test_powers_of_boxes_without_overlap_or_area_are_finite(alpha: float) -> None:
    flat = torch.tensor([[1.0, 1, 1, 1], [1, 1, 3, 1], [3, 3, 1, 1], [0, 0, 2, 2], [9, 9, 9, 9]])
    input, target = flat.repeat(5, 1).requires_grad_(), flat.repeat_interleave(5, 0)
    for penalty in ("none", "giou", "diou", "ciou"):
        values = F.alpha_iou(input, target, alpha=alpha, penalty=penalty)
        assert values.isfinite().all()
        assert torch.autograd.grad(values.sum(), input)[0].isfinite().all()


def test_mpdiou_is_the_papers_algorithm_box_by_box() -> None:
    input, target = boxes(20), boxes(20, seed=1)
    values = F.mpdiou(input, target, width=4.0, height=3.0)
    for got, a, b in zip(values.tolist(), input.tolist(), target.tolist(), strict=True):
        wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        shared = wide * tall if wide > 0 and tall > 0 else 0.0
        areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
        iou = shared / (areas[0] + areas[1] - shared)
        first = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
        second = (a[2] - b[2]) ** 2 + (a[3] - b[3]) ** 2
        assert got == pytest.approx(1 - (iou - first / 25 - second / 25), rel=1e-12)


def test_nwd_is_the_distance_of_two_gaussians() -> None:
    """W² = |m − m'|² + |Σ^½ − Σ'^½|²_F, of covariances diag(w²/4, h²/4)."""
    input, target = boxes(20), boxes(20, seed=1)
    parts = [((b[:, :2] + b[:, 2:]) / 2, (b[:, 2:] - b[:, :2]) / 2) for b in (input, target)]
    gaps = [(a - b).square().sum(1) for a, b in zip(*parts, strict=True)]
    expected = 1 - (-(gaps[0] + gaps[1]).sqrt() / 0.7).exp()
    torch.testing.assert_close(F.nwd(input, target, scale=0.7), expected)
    leaf = input.clone().requires_grad_()
    value = F.nwd(leaf, input).sum()
    assert value == 0
    assert torch.autograd.grad(value, leaf)[0].isfinite().all()
