"""Group DRO: its shares as training goes on, groups that are not there, other losses within."""

import pytest
import torch

from lossmith import LossScheduler
from lossmith.losses import MSE, CrossEntropy, GroupDRO


def batch(seed: int = 0) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    input = torch.randn(10, 3, generator=generator, dtype=torch.float64)
    target = torch.randint(3, (10,), generator=generator)
    return input, {"target": target, "groups": torch.randint(3, (10,), generator=generator)}


def test_shares_follow_the_losses_of_the_groups() -> None:
    loss = GroupDRO(groups=4, step=0.7)
    clock, shares = LossScheduler(loss), torch.full((4,), 0.25).double()
    for seed in range(3):
        input, target = batch(seed)
        values = torch.nn.functional.cross_entropy(input, target["target"], reduction="none")
        means = torch.zeros(4).double()
        for group in range(4):
            rows = target["groups"] == group
            means[group] = values[rows].mean() if rows.any() else 0.0
        shares = shares * (0.7 * means).exp()
        shares = shares / shares.sum()
        torch.testing.assert_close(loss(input, target), shares @ means)
        clock.step(input=input, **target)
        torch.testing.assert_close(loss.shares.double(), shares, rtol=1e-5, atol=0)


def test_without_steps_groups_weigh_alike() -> None:
    input, target = batch()
    value = GroupDRO(groups=3, step=0.0)(input, target)
    means = [
        CrossEntropy()(
            input[target["groups"] == group], target["target"][target["groups"] == group]
        )
        for group in range(3)
    ]
    torch.testing.assert_close(value, torch.stack(means).mean())


def test_another_loss_stands_within_and_groups_are_counted() -> None:
    given = {"target": torch.zeros(4), "groups": torch.tensor([0, 0, 1, 4])}
    loss = GroupDRO.for_target(given, loss=MSE(), step=0.0)
    assert loss.groups == 5
    assert loss(torch.tensor([1.0, 3.0, 2.0, 0.0]), given) == pytest.approx((5 + 4) / 5)


def test_what_does_not_fit_is_refused() -> None:
    input, target = batch()
    loss = GroupDRO(groups=2)
    with pytest.raises(ValueError, match="groups holds one outside 0 … 1"):
        loss(input, target)
    with pytest.raises(TypeError, match="groups must hold integers"):
        loss(input, {**target, "groups": target["groups"].double()})
    with pytest.raises(ValueError, match="give one group a row"):
        loss(input, {**target, "groups": target["groups"][:5]})
