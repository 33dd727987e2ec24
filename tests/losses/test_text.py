"""Sequences of tokens and preferences between them."""

import math

import pytest
import torch
from torch import Tensor

import lossmith as lm
from lossmith import functional as F


def numbers(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def tokens(rows: int, places: int, vocabulary: int = 5) -> Tensor:
    return torch.randint(vocabulary, (rows, places), generator=torch.Generator().manual_seed(3))


def plain_unlikelihood(logits: Tensor, target: Tensor, alpha: float) -> Tensor:
    values = []
    for row, text in zip(logits, target.tolist(), strict=True):
        seen: set[int] = set()
        for place, token in enumerate(text):
            p = row[:, place].softmax(0)
            if token != -100:
                unlikely = sum((1 - p[c]).log() for c in seen - {token})
                values.append(-p[token].log() - alpha * unlikely)
                seen.add(token)
    return torch.stack(values).mean()


@pytest.mark.parametrize("alpha", [0.0, 0.5, 2.0])
def test_unlikelihood_is_its_definition(alpha: float) -> None:
    logits, target = numbers(3, 5, 7).requires_grad_(), tokens(3, 7)
    target[0, 4:] = target[2, 2] = -100
    value = lm.Unlikelihood(alpha=alpha)(logits, target)
    right = plain_unlikelihood(logits, target, alpha)
    torch.testing.assert_close(value, right)
    slopes = [torch.autograd.grad(one, logits)[0] for one in (value, right)]
    torch.testing.assert_close(*slopes)
    if alpha == 0:
        torch.testing.assert_close(value, lm.CrossEntropy()(logits, target))


def test_a_sure_repetition_costs_without_limit() -> None:
    """1 − p rounds to 0 here: the authors' code stops at −log 1e-5, with no gradient left."""
    logits = torch.zeros(1, 3, 2)
    logits[0, 0, 1] = 60.0
    logits.requires_grad_()
    value = lm.Unlikelihood().values(logits, torch.tensor([[0, 1]]))[0, 1]
    (slope,) = torch.autograd.grad(value, logits)
    assert value.item() == pytest.approx(60 + 60 - math.log(2), rel=1e-6)
    assert slope[0, 0, 1].item() == pytest.approx(2)


@pytest.mark.parametrize("loss", [lm.CrossEntropy(), lm.Unlikelihood()])
def test_accumulated_batches_of_padded_texts_give_the_whole_batchs_gradient(loss) -> None:
    """transformers#34191: means of parts weigh tokens of short texts too much."""
    logits, target = numbers(4, 5, 6), tokens(4, 6)
    for row, length in enumerate((6, 1, 3, 2)):
        target[row, length:] = -100
    count = (target != -100).sum()
    whole, slopes = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss(whole, target).backward()
    for part in (slice(0, 1), slice(1, 4)):
        loss(slopes[part], target[part], denominator=count).backward()
    torch.testing.assert_close(slopes.grad, whole.grad)


def test_padding_alone_gives_nothing_and_no_nan() -> None:
    logits = numbers(2, 5, 3).requires_grad_()
    for loss in (lm.CrossEntropy(), lm.Unlikelihood()):
        value = loss(logits, torch.full((2, 3), -100))
        (slope,) = torch.autograd.grad(value, logits)
        assert value == 0
        assert (slope == 0).all()


def test_the_log_probability_of_a_sequence() -> None:
    logits, target = numbers(3, 5, 7), tokens(3, 7)
    target[0, 4:] = -100
    each = -lm.CrossEntropy().values(logits, target) * (target != -100)
    torch.testing.assert_close(F.sequence_log_probability(logits, target), each.sum(1))
    means = F.sequence_log_probability(logits, target, mean=True)
    torch.testing.assert_close(means, each.sum(1) / torch.tensor([4, 7, 7]))
    assert F.sequence_log_probability(logits, torch.full((3, 7), -100), mean=True).sum() == 0


def pair(seed: int, scale: float = 1.0) -> dict[str, Tensor]:
    return {
        name: -scale * numbers(6, seed=seed + place).abs()
        for place, name in enumerate(("chosen", "rejected"))
    }


@pytest.mark.parametrize("loss", [lm.DPO(), lm.DPO(label_smoothing=0.2), lm.IPO()])
def test_what_both_models_share_cancels(loss) -> None:
    own, reference = pair(1), pair(5)
    shifted = [{name: part - 3 for name, part in both.items()} for both in (own, reference)]
    torch.testing.assert_close(loss(*shifted), loss(own, reference))


def test_dpo_at_the_reference_model_is_log_two_and_pulls_by_half_beta() -> None:
    reference = pair(1)
    own = {name: part.clone().requires_grad_() for name, part in reference.items()}
    value = lm.DPO(beta=0.3)(own, reference)
    assert value.item() == pytest.approx(math.log(2))
    (slope,) = torch.autograd.grad(value, own["chosen"])
    torch.testing.assert_close(slope, torch.full_like(slope, -0.3 / 2 / 6))


def test_the_lead_that_each_loss_aims_at() -> None:
    """Smoothed DPO rests where σ(beta·h) is the share of right labels, IPO at 1/(2·tau)."""
    reference = {"chosen": torch.tensor([-9.0]), "rejected": torch.tensor([-9.0])}
    smoothed = lm.DPO(beta=0.5, label_smoothing=0.1), math.log(0.9 / 0.1) / 0.5
    for loss, aim in (smoothed, (lm.IPO(tau=0.1), 5.0)):
        chosen = torch.tensor([-9.0 + aim], requires_grad=True)
        value = loss({**reference, "chosen": chosen}, reference)
        (slope,) = torch.autograd.grad(value, chosen)
        assert slope.item() == pytest.approx(0, abs=1e-6)


def test_sim_po_without_margin_is_dpo_against_a_reference_that_knows_nothing() -> None:
    own = pair(1)
    flat = {name: torch.full((6,), -4.0).double() for name in own}
    torch.testing.assert_close(lm.SimPO(beta=0.7, gamma=0.0)(own), lm.DPO(beta=0.7)(own, flat))


def test_orpo_is_its_odds() -> None:
    own = pair(1)
    odds = {name: part.exp() / (1 - part.exp()) for name, part in own.items()}
    ratio = odds["chosen"] / odds["rejected"]
    right = (-own["chosen"] - 0.1 * ratio.log().sigmoid().log()).mean()
    torch.testing.assert_close(lm.ORPO()(own), right)


@pytest.mark.parametrize("chosen", [0.0, -1e-20, -1e-7, -1e4])
def test_orpo_of_a_sure_completion_is_finite(chosen: float) -> None:
    own = {"chosen": torch.tensor([chosen]), "rejected": torch.tensor([-1.0])}
    leaf = own["chosen"].requires_grad_()
    value = lm.ORPO()(own)
    (slope,) = torch.autograd.grad(value, leaf)
    assert value.isfinite()
    assert slope.isfinite().all()


def unpaired() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    own, reference = (
        {name: -numbers(4, seed=seed + place).abs() for place, name in enumerate(names)}
        for seed, names in ((1, ("completion", "mismatched")), (5, ("completion", "mismatched")))
    )
    reference["mismatched"] = own["mismatched"] - torch.tensor([1.0, 2.0, 3.0, 2.0])
    return own, {**reference, "desirable": torch.tensor([1.0, 0.0, 1.0, 0.0]).double()}


def test_kto_measures_from_the_mean_of_mismatched_completions() -> None:
    own, target = unpaired()
    reward = own["completion"] - target["completion"] - 2.0
    sign = torch.tensor([1.0, -1.0, 1.0, -1.0])
    weight = torch.tensor([1.5, 0.5, 1.5, 0.5])
    right = weight * (1 - torch.sigmoid(0.3 * sign * reward))
    loss = lm.KTO(beta=0.3, lambda_desirable=1.5, lambda_undesirable=0.5)
    torch.testing.assert_close(loss.values(own, target), right)
    below = {**target, "mismatched": own["mismatched"] + 5}  # a negative estimate counts as 0
    raised = weight * (1 - torch.sigmoid(0.3 * sign * (reward + 2.0)))
    torch.testing.assert_close(loss.values(own, below), raised)


def test_no_gradient_flows_through_ktos_reference_point() -> None:
    own, target = unpaired()
    leaves = {name: part.requires_grad_() for name, part in own.items()}
    value = lm.KTO(beta=0.3)(leaves, target)
    slopes = torch.autograd.grad(
        value, list(leaves.values()), allow_unused=True, materialize_grads=True
    )
    reward = 0.3 * (own["completion"] - target["completion"] - 2.0).detach()
    sign = torch.tensor([1.0, -1.0, 1.0, -1.0])
    right = -0.3 * sign * reward.sigmoid() * (-reward).sigmoid() / 4
    torch.testing.assert_close(slopes[0], right)
    assert (slopes[1] == 0).all()


def test_apo_pulls_where_its_anchor_says() -> None:
    level = {"chosen": torch.tensor([-2.0, -4.0]), "rejected": torch.tensor([-3.0, -1.0])}
    for anchor, way in (("zero", -1), ("down", 1)):
        leaves = {name: part.clone().requires_grad_() for name, part in level.items()}
        value = lm.APO(anchor=anchor)(leaves, level)
        chosen, rejected = torch.autograd.grad(value, [leaves["chosen"], leaves["rejected"]])
        assert value.item() == 1
        assert (rejected > 0).all()
        if anchor == "zero":
            assert (chosen * way > 0).all()
        else:  # both fall: for the chosen one the two pulls are even at the start
            assert (chosen.abs() < 1e-6).all()


def test_cpo_without_likelihood_is_dpo_against_an_even_reference() -> None:
    own = {"chosen": torch.tensor([-2.0, -4.0]), "rejected": torch.tensor([-3.0, -1.0])}
    even = {name: torch.zeros(2) for name in own}
    torch.testing.assert_close(lm.CPO(alpha=0.0)(own), lm.DPO()(own, even))
    terms = lm.CPO(alpha=2.0).terms(own)
    assert terms["likelihood"].item() == 6
