"""Losses of long tails: what they keep of training, and what they do with it."""

import math

import pytest
import torch

from lossmith import LossScheduler, Progress
from lossmith.losses import CrossEntropy, EqualizationV2, Seesaw


def batch(rows: int = 12, classes: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    input = 2 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    return input, torch.randint(classes, (rows,), generator=generator)


def test_seesaw_is_its_definition_after_some_steps() -> None:
    loss = Seesaw(classes=4)
    for step in range(1, 4):
        _, target = batch(seed=step)
        target[0] = -100
        loss.observe(Progress(step=step, signals={"target": target}))
    assert loss.counts.sum() == 33
    input, target = batch()
    p, n, total = input.softmax(1), loss.counts.tolist(), 0.0
    for row, y in enumerate(target.tolist()):
        scales = [
            min(1.0, n[c] / n[y]) ** 0.8 * max(1.0, (p[row, c] / max(p[row, y], 0.01)).item()) ** 2
            for c in range(4)
        ]
        scales[y] = 1.0
        parts = [s * math.exp(x) for s, x in zip(scales, input[row].tolist(), strict=True)]
        total -= math.log(parts[y] / sum(parts))
    assert loss(input, target).item() == pytest.approx(total / len(target))
    plain = Seesaw(classes=4, p=0.0, q=0.0)
    torch.testing.assert_close(plain(input, target), CrossEntropy()(input, target))


def test_equalization_gathers_its_own_weighted_gradients() -> None:
    loss = EqualizationV2(classes=4)
    positive, negative = torch.zeros(4).double(), torch.zeros(4).double()
    clock = LossScheduler(loss)
    for seed in range(3):
        input, target = batch(seed=seed)
        leaf = input.clone().requires_grad_()
        slope = torch.autograd.grad(loss(leaf, target) * len(target), leaf)[0].abs()
        hit = torch.nn.functional.one_hot(target, 4)
        positive += (slope * hit).sum(0)
        negative += (slope * (1 - hit)).sum(0)
        clock.step(input=input, target=target)
        torch.testing.assert_close(loss.positive.double(), positive, rtol=1e-5, atol=0)
        torch.testing.assert_close(loss.negative.double(), negative, rtol=1e-5, atol=0)


def test_equalization_lets_a_rare_class_be() -> None:
    loss = EqualizationV2(classes=3)
    input, target = torch.zeros(30, 3), torch.tensor([0] * 20 + [1] * 10)
    loss.observe(Progress(step=1, signals={"input": input, "target": target}))
    leaf = torch.zeros(1, 3, requires_grad=True)
    slope = torch.autograd.grad(loss(leaf, torch.tensor([0])), leaf)[0][0]
    assert 0 < slope[2] < 1e-3  # never positive
    assert slope[1] < 0.5
    kept = EqualizationV2(classes=3, background=True)
    kept.observe(Progress(step=1, signals={"input": input, "target": target}))
    assert torch.autograd.grad(kept(leaf, torch.tensor([0])), leaf)[0][0, 2] == 0.5


def test_ignored_rows_are_not_gathered() -> None:
    input, target = batch()
    hidden = torch.cat([target, torch.full_like(target, -100)])
    both = torch.cat([input, torch.full_like(input, torch.nan)])
    one, other = EqualizationV2(classes=4), EqualizationV2(classes=4)
    one.observe(Progress(step=1, signals={"input": input, "target": target}))
    other.observe(Progress(step=1, signals={"input": both, "target": hidden}))
    torch.testing.assert_close(one.positive, other.positive)
    torch.testing.assert_close(one.negative, other.negative)


def test_a_step_of_other_classes_is_refused() -> None:
    for target in (torch.tensor([0, 4]), torch.tensor([0, -1])):
        with pytest.raises(ValueError, match="target holds a class outside 0 … 3"):
            Seesaw(classes=4).observe(Progress(step=1, signals={"target": target}))
    signals = {"input": torch.zeros(2, 5), "target": torch.tensor([0, 1])}
    with pytest.raises(ValueError, match="a head of 4 needs"):
        EqualizationV2(classes=4).observe(Progress(step=1, signals=signals))
