"""Maps of depth: the reverse Huber loss of a batch, smoothness beside an image's edges."""

import math

import pytest
import torch

from lossmith import BerHu, EdgeAwareSmoothness

GENERATOR = torch.Generator().manual_seed(0)
X, Y = torch.randn(2, 3, 4, 5, generator=GENERATOR, dtype=torch.float64)


def berhu(residuals: list[float]) -> float:
    """The paper's equation, number by number."""
    sizes = [abs(r) for r in residuals]
    c = max(sizes) / 5
    return sum(r if r <= c else (r * r + c * c) / (2 * c) for r in sizes) / len(sizes)


def test_berhu_is_its_equation_with_the_largest_residual_of_the_batch() -> None:
    expected = berhu((X - Y).flatten().tolist())
    assert BerHu()(X, Y).item() == pytest.approx(expected, rel=1e-12)


def test_pixels_without_a_depth_set_no_threshold() -> None:
    target, weight = Y.clone(), torch.ones_like(Y)
    target[0, 0, 0], weight[0, 0, 0] = math.nan, 0
    target[1, 2, 3], weight[1, 2, 3] = 1e6, 0
    kept = (X - target)[weight > 0].tolist()
    assert BerHu()(X, target, weight=weight).item() == pytest.approx(berhu(kept), rel=1e-12)


def test_the_threshold_of_berhu_is_a_constant_of_its_gradient() -> None:
    leaf = torch.tensor([0.5, -5.0, 2.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(BerHu()(leaf, torch.zeros(3, dtype=torch.float64)), leaf)
    torch.testing.assert_close(3 * slope, torch.tensor([1.0, -5.0, 2.0], dtype=torch.float64))


def test_berhu_of_no_error_is_zero() -> None:
    leaf = X.clone().requires_grad_()
    value = BerHu()(leaf, X)
    assert value == 0
    assert (torch.autograd.grad(value, leaf)[0] == 0).all()


def test_maps_may_vary_at_the_edges_of_their_image() -> None:
    step = torch.zeros(1, 1, 2, 4).index_fill(3, torch.tensor([2, 3]), 1.0)
    plain, edge = torch.zeros(1, 3, 2, 4), 2.0 * step.expand(1, 3, 2, 4)
    loss = EdgeAwareSmoothness()
    torch.testing.assert_close(loss(step, plain), torch.tensor(1 / 3))
    torch.testing.assert_close(loss(step, edge), torch.tensor(math.exp(-2) / 3))


def test_maps_of_one_row_or_one_pixel_are_finite() -> None:
    loss = EdgeAwareSmoothness()
    assert loss(torch.ones(2, 1, 1, 1), torch.ones(2, 3, 1, 1)) == 0
    torch.testing.assert_close(
        loss(torch.tensor([[[[0.0, 2.0]]]]), torch.zeros(1, 3, 1, 2)), torch.tensor(2.0)
    )


def test_maps_of_another_size_than_their_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(N, C, H, W\), alike but for C"):
        EdgeAwareSmoothness()(torch.zeros(2, 1, 4, 4), torch.zeros(2, 3, 4, 5))
