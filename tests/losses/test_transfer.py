"""Distillation and transfer: identities between losses, limits, invariances, definitions."""

import math

import pytest
import torch
from torch import nn

import lossmith
from lossmith import functional as F

GENERATOR = torch.Generator().manual_seed(4)
STUDENT, TEACHER = 2 * torch.randn(2, 6, 4, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.tensor([0, 1, 2, 3, 0, 1])


def test_distillation_without_a_share_is_cross_entropy() -> None:
    target = {"teacher": TEACHER, "classes": CLASSES}
    expected = nn.functional.cross_entropy(STUDENT, CLASSES)
    torch.testing.assert_close(lossmith.get("distillation", alpha=0.0)(STUDENT, target), expected)


def test_distillation_without_heat_is_the_divergence() -> None:
    loss = lossmith.get("distillation", alpha=1.0, temperature=1.0)
    got = loss(STUDENT, {"teacher": TEACHER})
    torch.testing.assert_close(got, lossmith.get("kl")(STUDENT, TEACHER))


def test_distillation_at_high_temperature_matches_centred_logits() -> None:
    """Section 2.1 of the paper: the gradient tends to that of a squared error over classes."""
    leaf = STUDENT.clone().requires_grad_()
    lossmith.get("distillation", alpha=1.0, temperature=1e5)(leaf, {"teacher": TEACHER}).backward()
    gap = STUDENT - STUDENT.mean(1, keepdim=True) - TEACHER + TEACHER.mean(1, keepdim=True)
    torch.testing.assert_close(leaf.grad, gap / (4 * len(STUDENT)), rtol=1e-3, atol=1e-6)


def test_the_terms_of_distillation_are_named() -> None:
    loss = lossmith.get("distillation")
    assert set(loss.terms(STUDENT, {"teacher": TEACHER})) == {"teacher"}
    both = loss.terms(STUDENT, {"teacher": TEACHER, "classes": CLASSES})
    assert set(both) == {"teacher", "classes"}


def test_decoupled_parts_make_up_plain_distillation() -> None:
    """KL = KL(own against rest) + P(rest)·KL(among the rest), equation 6 of the paper."""
    own, others = F.decoupled_distillation(STUDENT, TEACHER, CLASSES, temperature=2.0)
    rest = 1 - (TEACHER / 2).softmax(1).gather(1, CLASSES[:, None])[:, 0]
    whole = F.distillation(STUDENT, TEACHER, temperature=2.0)
    torch.testing.assert_close(own + rest * others, whole)


def test_decoupling_survives_a_sure_teacher() -> None:
    leaf = torch.zeros(1, 3, requires_grad=True)
    target = {"teacher": torch.tensor([[1e4, 0.0, 1.0]]), "classes": torch.tensor([0])}
    value = lossmith.get("dkd")(leaf, target)
    value.backward()
    assert value.isfinite()
    assert leaf.grad is not None
    assert leaf.grad.isfinite().all()


def test_attention_knows_neither_scale_nor_order_of_channels() -> None:
    loss = lossmith.get("attention_transfer")
    maps = torch.randn(2, 3, 4, 4, generator=GENERATOR)
    assert loss(maps, 1e4 * maps.flip(1)).item() == pytest.approx(0.0, abs=1e-12)


def test_relations_know_neither_scale_nor_rotation_nor_place() -> None:
    turn, _ = torch.linalg.qr(TEACHER[:4])
    loss = lossmith.get("rkd")
    assert loss(STUDENT, 7 * STUDENT @ turn + 3).item() == pytest.approx(0.0, abs=1e-12)
    assert loss(STUDENT, TEACHER) > 0.1


def test_a_teacher_of_another_width_is_fine_and_of_other_rows_is_not() -> None:
    loss = lossmith.get("rkd")
    assert loss(STUDENT, TEACHER[:, :2]).isfinite()
    with pytest.raises(ValueError, match=r"\(6, 4\).*\(5, 4\)"):
        loss(STUDENT, TEACHER[:5])


def test_l2_sp_draws_a_model_to_its_start() -> None:
    model = nn.Linear(3, 2)
    start = F.flat_parameters(model).detach()
    loss = lossmith.get("l2_sp", alpha=0.5)
    assert loss(F.flat_parameters(model), start) == 0
    with torch.no_grad():
        model.bias += 2.0
    loss(F.flat_parameters(model), start).backward()
    assert model.bias.grad is not None
    torch.testing.assert_close(model.bias.grad, torch.full((2,), 1.0))


def mmd(x: list, y: list, unbiased: bool) -> float:
    """By its definition, with plain loops."""
    rows = x + y
    n, total = len(x), len(x) + len(y)
    width = sum(math.dist(a, b) ** 2 for a in rows for b in rows) / (total * (total - 1))

    def k(a: list, b: list) -> float:
        return sum(math.exp(-(math.dist(a, b) ** 2) / (width * 2.0**u)) for u in range(-2, 3))

    def within(part: list) -> float:
        pairs = [(i, j) for i in range(n) for j in range(n) if i != j or not unbiased]
        return sum(k(part[i], part[j]) for i, j in pairs) / len(pairs)

    return within(x) + within(y) - 2 * sum(k(a, b) for a in x for b in y) / n**2


@pytest.mark.parametrize("unbiased", [False, True])
def test_mmd_is_its_definition(unbiased: bool) -> None:
    got = lossmith.get("mmd", unbiased=unbiased)(STUDENT, TEACHER)
    assert got.item() == pytest.approx(mmd(STUDENT.tolist(), TEACHER.tolist(), unbiased))


def test_mmd_is_unbiased_or_never_below_zero() -> None:
    biased, unbiased = [], []
    for seed in range(200):
        drawn = torch.randn(2, 8, 2, generator=torch.Generator().manual_seed(seed)).double()
        biased.append(lossmith.get("mmd")(*drawn).item())
        unbiased.append(lossmith.get("mmd", unbiased=True)(*drawn).item())
    assert min(biased) >= 0
    assert min(unbiased) < 0
    assert abs(sum(unbiased) / 200) < 0.1 * sum(biased) / 200


def test_mmd_brings_samples_together() -> None:
    leaf = (STUDENT + 5).requires_grad_()
    optimizer = torch.optim.Adam([leaf], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        lossmith.get("mmd")(leaf, TEACHER).backward()
        optimizer.step()
    torch.testing.assert_close(leaf.mean(0), TEACHER.mean(0), atol=0.3, rtol=0)


def test_deep_coral_is_torchs_covariance() -> None:
    gap = torch.cov(STUDENT.T) - torch.cov(TEACHER.T)
    expected = gap.square().sum() / (4 * 4**2)
    loss = lossmith.get("deep_coral")
    torch.testing.assert_close(loss(STUDENT, TEACHER), expected)
    torch.testing.assert_close(loss(STUDENT + 9, TEACHER), expected)


def test_entropy_is_scipys() -> None:
    from scipy.stats import entropy

    found = F.entropy_minimization(STUDENT)
    expected = torch.from_numpy(entropy(STUDENT.softmax(1).numpy(), axis=1))
    torch.testing.assert_close(found, expected)


def test_class_confusion_is_the_mean_of_normalized_rows_off_the_diagonal() -> None:
    p = (STUDENT / 2.5).softmax(1)
    sure = 1 + (p * p.log()).sum(1).exp()
    matrix = torch.zeros(4, 4, dtype=torch.float64)
    for weight, row in zip(sure * len(p) / sure.sum(), p, strict=True):
        matrix += weight * row.unsqueeze(1) * row
    share = matrix / matrix.sum(1, keepdim=True)
    expected = (share.sum() - share.trace()) / 4
    torch.testing.assert_close(lossmith.MinimumClassConfusion()(STUDENT), expected)


def test_weights_of_confusion_are_constants_of_its_gradient() -> None:
    leaf = STUDENT.clone().requires_grad_()
    p = (leaf / 2.5).softmax(1)
    sure = (1 + (p * p.log()).sum(1).exp()).detach()
    matrix = (sure.unsqueeze(1) * p).T @ p
    expected = 1 - (matrix.diagonal() / matrix.sum(1)).mean()
    slopes = torch.autograd.grad(expected, leaf)[0]
    torch.testing.assert_close(
        torch.autograd.grad(lossmith.MinimumClassConfusion()(leaf), leaf)[0], slopes
    )


def test_rows_of_weight_0_say_nothing_of_a_class_that_no_row_may_be() -> None:
    logits = torch.tensor([[0.0, 0.0, -1e34], [0.0, 0.0, -2e34], [5.0, 1.0, 3.0]])
    weight = torch.tensor([1.0, 1.0, 0.0])
    value = lossmith.MinimumClassConfusion()(logits, weight=weight)
    torch.testing.assert_close(value, torch.tensor((0.5 + 0.5 + 1.0) / 3))


def test_a_class_that_no_row_may_be_is_confused_with_all_others() -> None:
    logits = torch.tensor([[0.0, 0.0, -1e4], [0.0, 0.0, -2e4]], requires_grad=True)
    value = lossmith.MinimumClassConfusion()(logits)
    torch.testing.assert_close(value, torch.tensor((0.5 + 0.5 + 1.0) / 3))
    assert torch.autograd.grad(value, logits)[0].isfinite().all()
