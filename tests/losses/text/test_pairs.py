"""Preferences between two completions."""

import math

import pytest
import torch
from torch import Tensor

import lossmith as lm


def numbers(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


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


def test_robust_dpo_of_pairs_flipped_at_its_share_expects_dpo_of_right_ones() -> None:
    own, reference = pair(1), pair(5)
    flip = {"chosen": "rejected", "rejected": "chosen"}
    flipped = [{name: both[flip[name]] for name in both} for both in (own, reference)]
    loss = lm.RobustDPO(beta=0.4, flipped=0.3)
    expected = 0.7 * loss(own, reference) + 0.3 * loss(*flipped)
    torch.testing.assert_close(expected, lm.DPO(beta=0.4)(own, reference))


def test_exo_is_least_where_the_models_preference_is_that_of_the_labels() -> None:
    own, target = (
        {"chosen": torch.tensor([lead], dtype=torch.float64), "rejected": torch.zeros(1).double()}
        for lead in (math.log(0.8 / 0.2) - 5, -5.0)
    )
    lead = own["chosen"].requires_grad_()
    value = lm.EXO(beta=1.0, label_smoothing=0.2)(own, target)
    assert value.item() == pytest.approx(0, abs=1e-12)
    assert torch.autograd.grad(value, lead)[0].item() == pytest.approx(0, abs=1e-12)


def test_sppo_aims_at_a_log_ratio_of_each_completion() -> None:
    level = torch.full((2,), -9.0, dtype=torch.float64)
    aim = {"chosen": level + 5, "rejected": level - 5}
    assert lm.SPPO(beta=0.1)(aim, {"chosen": level, "rejected": level}) == 0
