"""Hybrids: sums, routes, switches; dict in, dict target; heads that fit."""

import copy
import pickle

import pytest
import torch
from torch import nn

from lossmith import (
    MAE,
    MSE,
    CrossEntropy,
    Fixed,
    GaussianNLL,
    Huber,
    Hybrid,
    Linear,
    LossScheduler,
    Poly1,
    QuantileTracking,
    blend,
    load,
    parameter_groups,
    sequence,
    switch,
)

GENERATOR = torch.Generator().manual_seed(0)
INPUT = {"label": torch.randn(6, 3, generator=GENERATOR), "price": torch.randn(6)}
TARGET = {"label": torch.tensor([0, 1, 2, 0, 1, 2]), "price": torch.randn(6)}


def total() -> Hybrid:
    return CrossEntropy(classes=3).on("label") + 0.3 * Huber(delta=Linear(3.0, 0.3)).on("price")


def test_the_example_of_the_design_runs_as_written() -> None:
    loss = total()
    clock = LossScheduler(loss, total_steps=10_000)
    clock.step()
    expected = CrossEntropy()(INPUT["label"], TARGET["label"]) + 0.3 * Huber(
        delta=loss.losses["price"].delta.item()
    )(INPUT["price"], TARGET["price"])
    assert torch.allclose(loss(INPUT, TARGET), expected)
    assert set(loss.terms(INPUT, TARGET)) == {"label", "price"}


def test_keywords_and_algebra_say_the_same() -> None:
    ours = Hybrid(label=CrossEntropy(), price=MSE(), weighting=Fixed({"price": 0.3}))
    written = CrossEntropy().on("label") + 0.3 * MSE().on("price")
    assert torch.equal(ours(INPUT, TARGET), written(INPUT, TARGET))


def test_weights_distribute_and_names_that_clash_are_numbered() -> None:
    loss = 2 * (MSE() + 0.5 * MAE()) + MSE()
    assert loss.weighting.weights() == {"mse": 2.0, "mae": 1.0, "mse_2": 1.0}


def test_decode_reads_each_part_by_its_own_loss() -> None:
    read = total().decode(INPUT)
    assert torch.allclose(read["label"].sum(1), torch.ones(6))
    assert torch.equal(read["price"], INPUT["price"])


def test_sample_weights_reach_every_term() -> None:
    loss, weight = total(), torch.tensor([1.0, 0, 0, 0, 0, 0])
    one = {name: part[:1] for name, part in INPUT.items()}
    assert torch.allclose(
        loss(INPUT, TARGET, weight=weight), loss(one, {n: p[:1] for n, p in TARGET.items()})
    )
    only = loss.terms(INPUT, TARGET, weight={"price": weight})
    assert torch.equal(only["label"], loss.terms(INPUT, TARGET)["label"])


def test_blend_and_sequence_pass_through_their_losses() -> None:
    loss = blend(MAE(), MSE(), over=(0.2, 0.6))
    clock = LossScheduler(loss, total_steps=10)
    for _ in range(4):
        clock.step()
    assert loss.weighting.weights() == pytest.approx({"mae": 0.5, "mse": 0.5})
    three = sequence((MAE(), Huber(), MSE()), at=(3, 6), by="epoch")
    clock = LossScheduler(three, steps_per_epoch=1)
    order = []
    for _ in range(8):
        clock.step()
        order.append(max(three.weighting.weights().items(), key=lambda one: one[1])[0])
    assert order == ["mae"] * 2 + ["huber"] * 3 + ["mse"] * 3


def test_an_inactive_loss_has_no_gradient() -> None:
    loss = switch(MAE(), MSE(), at=0.5)
    leaf = torch.tensor([3.0], requires_grad=True)
    loss(leaf, torch.zeros(1)).backward()
    assert leaf.grad.item() == 1.0


@pytest.mark.parametrize("make", [total, lambda: switch(MAE(), MSE(), at=0.5)])
def test_a_hybrid_travels(make, tmp_path) -> None:
    loss = make()
    loss.save(tmp_path / "loss.json")
    given = (INPUT, TARGET) if any(loss.routes.values()) else (torch.zeros(3), torch.ones(3))
    for twin in (
        load(tmp_path / "loss.json"),
        pickle.loads(pickle.dumps(loss)),
        copy.deepcopy(loss),
    ):
        assert torch.equal(twin(*given), loss(*given))
        assert twin.config() == loss.config()
    loss.to(torch.bfloat16)
    assert all(buffer.dtype != torch.bfloat16 for buffer in loss.buffers())


def test_a_state_dict_under_former_keys_loads() -> None:
    def made(epsilon: float, weight: float) -> Hybrid:
        terms = (MSE(), Poly1(epsilon=epsilon), weight * Poly1(epsilon=epsilon + 1))
        return Hybrid.summed(*terms) + Linear(weight, 0.0) * QuantileTracking()

    state = {
        name.replace("poly1", "poly").replace("quantile_tracking", "following"): number
        for name, number in nn.ModuleDict({"loss": made(3.0, 0.5)}).state_dict().items()
    }
    assert not [name for name in state if "poly1" in name or "tracking" in name]
    new = nn.ModuleDict({"loss": made(1.0, 0.25)})
    with pytest.warns(UserWarning, match="built with"):
        new.load_state_dict(state)
    assert [new["loss"].losses[name].epsilon for name in ("poly1", "poly1_2")] == [3.0, 4.0]
    assert new["loss"].weighting.weights()["poly1_2"] == 0.5


def test_heads_that_differ_are_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match=r"mse needs 1, gaussian_nll needs 2"):
        switch(MSE(), GaussianNLL(), at=0.5)


def test_mistakes_are_clear() -> None:
    with pytest.raises(ValueError, match="at least one loss"):
        Hybrid()
    with pytest.raises(TypeError, match="must be a lossmith loss"):
        Hybrid(a=nn.MSELoss())
    with pytest.raises(ValueError, match="no term is called prise; the terms are price"):
        Hybrid(price=MSE(), weighting=Fixed({"prise": 1.0}))
    with pytest.raises(ValueError, match="weight of price must be 0 or more"):
        Hybrid(price=MSE(), weighting=Fixed({"price": -1.0}))
    with pytest.raises(TypeError, match="must be a dict with label, price"):
        total()(INPUT["price"], TARGET)
    with pytest.raises(ValueError, match="target lacks label"):
        total()(INPUT, {"price": TARGET["price"]})
    with pytest.raises(ValueError, match="2 losses need 1 ascending"):
        sequence((MAE(), MSE()), at=(0.3, 0.6))
    with pytest.raises(TypeError, match="number, a schedule or a parameter"):
        MSE() * "2"


def test_a_learned_hyperparameter_must_be_held_by_an_optimizer() -> None:
    loss = Huber(delta=nn.Parameter(torch.tensor(1.0)))
    model = nn.Linear(1, 1)
    with pytest.raises(ValueError, match=r"no optimizer trains Huber\.delta"):
        LossScheduler(loss, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    groups = parameter_groups(model, loss, weight_decay=0.1)
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    LossScheduler(loss, optimizer=torch.optim.AdamW(groups))
    loss(torch.tensor([3.0]), torch.zeros(1)).backward()
    assert loss.delta.grad.item() == 2.0  # d/d delta of delta(|r| − delta/2)
