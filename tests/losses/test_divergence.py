"""Divergences: bounds, symmetries, disjoint distributions, probabilities with zeros."""

import math

import pytest
import torch

import lossmith

KEYS = sorted(set(lossmith.find("divergence")) - {"mmd", "chamfer"})
OF_LOGITS = [key for key in KEYS if lossmith.find()[key].card.input == "logits"]
GENERATOR = torch.Generator().manual_seed(2)
FIRST, SECOND = 3 * torch.randn(2, 5, 4, generator=GENERATOR, dtype=torch.float64)


@pytest.mark.parametrize("key", KEYS)
def test_it_is_zero_only_where_both_are_alike(key: str) -> None:
    loss = lossmith.get(key)
    torch.testing.assert_close(loss(FIRST, FIRST).item(), 0.0)
    assert loss(FIRST, SECOND) > 0


@pytest.mark.parametrize("key", OF_LOGITS)
def test_a_constant_added_to_logits_changes_nothing(key: str) -> None:
    loss = lossmith.get(key)
    torch.testing.assert_close(loss(FIRST + 7, SECOND - 5), loss(FIRST, SECOND))


@pytest.mark.parametrize("key", sorted(set(KEYS) - {"kl", "reverse_kl"}))
def test_it_is_symmetric(key: str) -> None:
    loss = lossmith.get(key)
    torch.testing.assert_close(loss(SECOND, FIRST), loss(FIRST, SECOND))


def test_the_reverse_is_the_other_way_round() -> None:
    torch.testing.assert_close(
        lossmith.get("reverse_kl")(FIRST, SECOND), lossmith.get("kl")(SECOND, FIRST)
    )


@pytest.mark.parametrize(
    ("key", "most"),
    [
        ("jensen_shannon_divergence", math.log(2)),
        ("total_variation_distance", 1.0),
        ("ordered_wasserstein", 3.0),
    ],
)
def test_distributions_apart_have_the_largest_value(key: str, most: float) -> None:
    """Also timm's case: logits times 50 must not give NaN."""
    ends = torch.tensor([[50.0, 0.0, 0.0, 0.0]]) * 50
    value = lossmith.get(key)(ends, ends.flip(1))
    assert value.item() == pytest.approx(most)


@pytest.mark.parametrize("key", OF_LOGITS)
def test_probabilities_with_zeros_are_given_as_logarithms(key: str) -> None:
    sure = torch.tensor([[1.0, 0.0, 0.0]]).log()
    leaf = torch.zeros(1, 3, requires_grad=True)
    value = lossmith.get(key)(leaf, sure)
    value.backward()
    assert value.isfinite()
    assert leaf.grad is not None
    assert leaf.grad.isfinite().all()


def test_kl_is_not_torchs_mean() -> None:
    log_q, log_p = FIRST.log_softmax(1), SECOND.log_softmax(1)
    theirs = torch.nn.functional.kl_div(log_q, log_p, log_target=True, reduction="none")
    torch.testing.assert_close(lossmith.get("kl")(FIRST, SECOND), theirs.sum() / len(FIRST))


def test_pinskers_inequality() -> None:
    for q, p in zip(FIRST, SECOND, strict=True):
        far = lossmith.get("total_variation_distance")(q[None], p[None])
        assert far <= (lossmith.get("kl")(q[None], p[None]) / 2).sqrt()


def test_moving_all_samples_moves_the_distance() -> None:
    loss = lossmith.get("wasserstein_1d")
    torch.testing.assert_close(loss(FIRST, FIRST.flip(1) + 2.5).item(), 2.5)
    leaf = torch.tensor([[3.0, 1.0]], requires_grad=True)
    loss(leaf, torch.tensor([[0.0, 5.0]])).backward()
    assert leaf.grad is not None
    assert leaf.grad.tolist() == [[-0.5, 0.5]]  # 3 stands against 5, 1 against 0


@pytest.mark.parametrize("key", KEYS)
def test_rows_alone_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"\(4,\)"):
        lossmith.get(key)(FIRST[0], SECOND[0])


@pytest.mark.parametrize("squared", [True, False])
def test_chamfer_is_a_mean_over_points_each_way(squared: bool) -> None:
    clouds, others = FIRST.reshape(1, 5, 4)[..., :3], SECOND.reshape(1, 5, 4)[:, :3, :3]
    apart = (clouds.unsqueeze(2) - others.unsqueeze(1)).square().sum(3)
    apart = apart if squared else apart.sqrt()
    expected = apart.amin(2).mean() + apart.amin(1).mean()
    loss = lossmith.Chamfer(squared=squared)
    torch.testing.assert_close(loss(clouds, others), expected)
    torch.testing.assert_close(loss(others, clouds), expected)


@pytest.mark.parametrize("squared", [True, False])
def test_clouds_that_coincide_have_no_distance_and_finite_slopes(squared: bool) -> None:
    cloud = FIRST.reshape(1, 5, 4).clone().requires_grad_()
    value = lossmith.Chamfer(squared=squared)(cloud, cloud.detach().flip(1))
    assert value == 0
    assert torch.autograd.grad(value, cloud)[0].isfinite().all()


def test_near_points_far_from_the_origin_keep_their_digits() -> None:
    cloud = torch.rand(1, 50, 3, generator=GENERATOR) + 1000
    apart = (cloud.unsqueeze(2) - cloud.flip(1)[:, :20].unsqueeze(1)).square().sum(3)
    expected = apart.amin(2).mean() + apart.amin(1).mean()
    torch.testing.assert_close(lossmith.Chamfer()(cloud, cloud.flip(1)[:, :20]), expected)


def test_a_cloud_without_points_is_refused() -> None:
    with pytest.raises(ValueError, match="of a point each at least"):
        lossmith.Chamfer()(torch.zeros(2, 4, 3), torch.zeros(2, 0, 3))
