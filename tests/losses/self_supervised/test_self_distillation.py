"""Losses against collapse, self-distillation, masked prediction: what is particular to each."""

import math

import pytest
import torch

import lossmith
from lossmith import LossScheduler, Progress
from lossmith import functional as F

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Y = X + 0.5 * torch.randn(6, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_barlow_twins_does_not_see_scale_or_shift_of_a_feature() -> None:
    loss, size = lossmith.get("barlow_twins"), torch.tensor([1e2, 1e4, 1e3, 1e5]).double()
    torch.testing.assert_close(loss(X * 1e3 * size - 7, Y * 1e3), loss(X * 1e3, Y * 1e3 * size))


def test_barlow_twins_of_one_constant_view_is_its_width() -> None:
    assert lossmith.get("barlow_twins")(X, torch.ones_like(Y)).item() == pytest.approx(4)


def test_vicreg_equals_its_definition() -> None:
    variance, covariance = 0.0, 0.0
    for view in (X, Y):
        table = torch.cov(view.T)
        for d in range(4):
            variance += max(0.0, 1 - math.sqrt(table[d, d] + 1e-4)) / 4 / 2
            covariance += sum(float(table[d, e]) ** 2 for e in range(4) if e != d) / 4
    terms = lossmith.get("vicreg").terms(X, Y)
    expected = {
        "invariance": 25 * float((X - Y).pow(2).mean()),
        "variance": 25 * variance,
        "covariance": covariance,
    }
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected)


def test_collapse_is_dear() -> None:
    """What a loss without negatives must see: all embeddings alike."""
    same = torch.ones(8, 4)
    for key, least in (("vicreg", 20.0), ("barlow_twins", 3.9), ("koleo", 18.0)):
        loss = lossmith.get(key)
        assert (loss(same) if key == "koleo" else loss(same, same)) > least
    loss = lossmith.get("sigreg", features=4)
    drawn = torch.randn(64, 4, generator=torch.Generator().manual_seed(3))
    assert loss(torch.zeros(64, 4)) > 5 * loss(drawn)


def test_koleo_pushes_a_row_from_its_nearest() -> None:
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0]], requires_grad=True)
    lossmith.get("koleo")(rows).backward()
    assert rows.grad[0, 1] > 0 > rows.grad[1, 1]
    torch.testing.assert_close(F.koleo(X, own=slice(2, 5)), F.koleo(X)[2:5])


def test_sigregs_directions_are_those_of_the_step() -> None:
    one, other = (lossmith.get("sigreg", features=4, slices=8) for _ in range(2))
    start = one.directions.clone()
    clock = LossScheduler(one)
    clock.step()
    assert not torch.equal(one.directions, start)
    other.observe(Progress(step=1))
    assert torch.equal(one.directions, other.directions)
    torch.testing.assert_close(one.directions.norm(dim=0), torch.ones(8))


def test_stop_gradients_are_inside() -> None:
    target = Y.clone().requires_grad_()
    for key in ("negative_cosine", "latent_prediction"):
        lossmith.get(key)(X.clone().requires_grad_(), target).backward()
    views = Y.reshape(3, 2, 4).clone().requires_grad_()
    lossmith.get("dino", features=4)(X.reshape(3, 2, 4).requires_grad_(), views).backward()
    assert target.grad is None
    assert views.grad is None


def test_the_symmetrised_form_is_both_directions_at_once() -> None:
    loss = lossmith.get("negative_cosine")
    both = loss(torch.cat([X, Y]), torch.cat([Y, X]))
    torch.testing.assert_close(both, (loss(X, Y) + loss(Y, X)) / 2)


def test_dinos_centre_follows_the_teacher_and_cancels_a_shift() -> None:
    loss = lossmith.get("dino", features=3, momentum=0.5)
    teacher = torch.tensor([[[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]])
    loss.observe(Progress(step=1, signals={"teacher": teacher}))
    loss.observe(Progress(step=1, signals={"teacher": teacher}))  # a step counts once
    assert loss.centre.tolist() == [1, 1, 1]
    student = torch.randn(1, 2, 3, generator=torch.Generator().manual_seed(4))
    fresh = lossmith.get("dino", features=3)
    torch.testing.assert_close(loss(student, teacher + 1), fresh(student, teacher))
    with pytest.raises(ValueError, match="needs the signals teacher"):
        loss.observe(Progress(step=2))


def test_dino_leaves_out_a_view_against_itself() -> None:
    loss = lossmith.get("dino", features=3)
    student = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(5))
    teacher = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(6))
    total = 0.0
    for g in range(2):
        for v in range(4):
            if g != v:
                codes = (teacher[:, g] / 0.04).softmax(1)
                total -= (codes * (student[:, v] / 0.1).log_softmax(1)).sum(1).mean() / 6
    torch.testing.assert_close(loss(student, teacher), torch.as_tensor(total))
    with pytest.raises(ValueError, match=r"\(5, 1, 3\) and \(5, 2, 3\)"):
        loss(student[:, :1], teacher)


def test_ibots_unmasked_patches_do_not_count() -> None:
    loss, g = lossmith.get("ibot", features=3), torch.Generator().manual_seed(7)
    student, teacher = torch.randn(2, 2, 5, 3, generator=g)
    mask = torch.tensor([[1.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    value = loss(student, {"teacher": teacher, "mask": mask})
    other = student.clone()
    other[:, 2:] += 3
    torch.testing.assert_close(loss(other, {"teacher": teacher, "mask": mask}), value)
    short = {"teacher": teacher[:1, :2], "mask": mask[:1, :2]}
    torch.testing.assert_close(loss(student[:1, :2], short) / 2, value)


def test_sinkhorn_uses_prototypes_alike() -> None:
    scores = torch.randn(50, 4, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    scores[:, 0] += 2
    codes = F.sinkhorn(scores, epsilon=0.5, iterations=100)
    torch.testing.assert_close(codes.sum(1), torch.ones(50).double())
    torch.testing.assert_close(codes.sum(0), torch.full((4,), 12.5).double())


def test_sinkhorn_holds_where_exponentials_overflow() -> None:
    """exp(40 / 0.05) is infinite: in plain exponentials all codes would be NaN."""
    scores = 40 * torch.eye(3)
    torch.testing.assert_close(F.sinkhorn(scores, epsilon=0.05, iterations=3), torch.eye(3))


def test_masked_reconstruction_counts_hidden_patches_alone() -> None:
    loss, g = lossmith.get("masked_reconstruction"), torch.Generator().manual_seed(9)
    input, target = torch.randn(2, 3, 4, 5, generator=g)
    mask = torch.zeros(3, 4)
    mask[0, 1] = mask[2, 3] = 1
    value = loss(input, target, weight=mask)
    hidden = mask.bool()
    torch.testing.assert_close(value, loss(input[hidden], target[hidden]))
    torch.testing.assert_close(value, loss(input, 3 * target - 2, weight=mask), rtol=1e-5, atol=0)
    assert loss(input, target, weight=0 * mask) == 0


def test_a_patch_of_one_pixel_is_not_normalised() -> None:
    with pytest.raises(ValueError, match=r"two pixels.*\(2, 3, 1\)"):
        lossmith.get("masked_reconstruction")(torch.zeros(2, 3, 1), torch.zeros(2, 3, 1))


def test_msn_is_least_where_views_agree_and_clusters_are_used_alike() -> None:
    loss = lossmith.MSN(features=4, prototypes=4, temperature=0.05)
    loss.directions.data = torch.eye(4)
    apart, same = torch.eye(4), torch.eye(4)[[0, 0, 0, 0]]
    even = loss.terms(apart.unsqueeze(1), apart)
    assert sum(even.values()) < 1e-3
    assert loss.terms(same.unsqueeze(1), same)["mean_entropy"].item() == pytest.approx(
        math.log(4), abs=1e-3
    )
    assert loss(apart.flip(0).unsqueeze(1), apart) > 10  # the clusters of other samples


def test_msn_of_a_frozen_target_trains_views_and_prototypes() -> None:
    loss = lossmith.MSN(features=4, prototypes=3)
    views, target = X.float().reshape(3, 2, 4).requires_grad_(), Y[:3].float().requires_grad_()
    loss(views, target).backward()
    assert target.grad is None
    assert (views.grad != 0).any()
    assert (loss.directions.grad != 0).any()


def test_msn_refuses_other_widths() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2, 4\).*\(8, 3\)"):
        lossmith.MSN(features=3, prototypes=8)(X.reshape(3, 2, 4), Y[:3])
