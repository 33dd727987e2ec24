"""What is given to a loss and cannot be right: an error that names it, never a number."""

import numpy as np
import pytest
import torch
from torch import nn

import lossmith
from lossmith import (
    MAE,
    MSE,
    BinaryCrossEntropy,
    Cox,
    CrossEntropy,
    Dice,
    EvidentialRegression,
    GaussianNLL,
    Huber,
    Hybrid,
    ImageTotalVariation,
    Linear,
    ListNet,
    LogitAdjusted,
    LossScheduler,
    Quantile,
    gradient_norms,
    sequence,
    switch,
)
from lossmith import functional as F
from lossmith.core import Pointwise
from lossmith.testing import check

X, Y = torch.zeros(4), torch.ones(4)


def learned(kind: type, **numbers: float) -> object:
    given = {name: nn.Parameter(torch.tensor(value)) for name, value in numbers.items()}
    loss = kind(**given)
    for parameter in loss.parameters():
        parameter.data -= 3
    return loss


class Bare(Pointwise):
    def values(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return input - target


MISTAKES = {
    "a plain number as weight": (
        lambda: MSE()(X, Y, weight=2.0),
        TypeError,
        r"weight must be a tensor .* got 2.0; a whole loss is scaled by 2.0 \* loss",
    ),
    "a weight below 0": (
        lambda: MSE()(X, Y, weight=torch.tensor([1.0, -1.0, 1.0, 1.0])),
        ValueError,
        "MSE: weights must be 0 or more and finite, got -1",
    ),
    "a weight of NaN": (
        lambda: MSE()(X, Y, weight=torch.tensor([1.0, torch.nan, 1.0, 1.0])),
        ValueError,
        "weights must be 0 or more and finite, got nan",
    ),
    "a hybrid's weight of no term": (
        lambda: (MSE() + MAE())(X, Y, weight={"mes": Y}),
        ValueError,
        "weight names mes; the terms are mse, mae",
    ),
    "a hybrid's denominator of no term": (
        lambda: Hybrid(price=MSE())({"price": X}, {"price": Y}, denominator={"prize": 3.0}),
        ValueError,
        "denominator names prize; the terms are price",
    ),
    "a number learned out of its range": (
        lambda: learned(Huber, delta=1.0)(X, Y),
        ValueError,
        r"Huber: delta was learned out of its range \(0, inf\)",
    ),
    "a level learned out of its range": (
        lambda: learned(Quantile, level=0.5)(X, Y),
        ValueError,
        r"Quantile: level was learned out of its range \(0, 1\)",
    ),
    "a switch after the end": (lambda: switch(MAE(), MSE(), at=2), ValueError, "at most 1, got 2"),
    "positions in epochs": (
        lambda: sequence([MAE(), MSE(), Huber()], at=(5, 10)),
        ValueError,
        "by='step' or by='epoch'",
    ),
    "a switch before the start": (
        lambda: switch(MAE(), MSE(), at=-1),
        ValueError,
        "positions from 0 on",
    ),
    "epochs that nothing counts": (
        lambda: LossScheduler(Huber(delta=Linear(0.1, 3.0, by="epoch", until=10)), total_steps=9),
        ValueError,
        "steps_per_epoch=",
    ),
    "another state": (
        lambda: LossScheduler(MSE(), total_steps=2).load_state_dict({"epoch": 1}),
        ValueError,
        "lacks loss, position, seen",
    ),
    "a key that is none": (lambda: lossmith.get(Huber), TypeError, "asked for by its key"),
    "an array of classes": (
        lambda: LogitAdjusted.for_target(np.array([0, 1])),
        TypeError,
        r"target must be a tensor, got ndarray; use torch.as_tensor\(target\)",
    ),
    "a loss without a card": (lambda: Bare(), TypeError, "Bare has no card"),
    "another library's loss": (lambda: check(nn.MSELoss), TypeError, "no lossmith.core.Loss"),
    "a head too wide": (
        lambda: GaussianNLL().decode(torch.zeros(4, 3)),
        ValueError,
        r"shape \(4, 3\), but a head of 2",
    ),
    "a soft target of numbers that are no probabilities": (
        lambda: CrossEntropy()(torch.zeros(1, 2), torch.tensor([[2.0, -1.0]])),
        ValueError,
        "target holds numbers outside 0 … 1; a soft target is one probability a class",
    ),
    "a soft target that does not sum to 1": (
        lambda: CrossEntropy()(torch.zeros(1, 2), torch.tensor([[0.5, 0.2]])),
        ValueError,
        "target holds probabilities that do not sum to 1",
    ),
    "a complex target": (
        lambda: MSE()(X, torch.full((4,), 1 + 5j)),
        TypeError,
        "MSE: target must be real, got torch.complex64",
    ),
    "complex classes of a function": (
        lambda: F.cross_entropy(torch.zeros(1, 2), torch.tensor([1 + 0j])),
        TypeError,
        "target must be real, got torch.complex64",
    ),
    "logits of more classes than the loss was built for": (
        lambda: CrossEntropy(classes=5)(torch.zeros(4, 6), torch.tensor([0, 1, 2, 3])),
        ValueError,
        r"input has shape \(4, 6\) but target of shape \(4,\) with a head of 5 needs \(4, 5\)",
    ),
    "soft targets of more classes than the loss was built for": (
        lambda: CrossEntropy(classes=2)(torch.zeros(1, 3), torch.full((1, 3), 1 / 3)),
        ValueError,
        r"built for 2 classes, a head of 2, but input of shape \(1, 3\) has 3",
    ),
    "void pixels taken for a class": (
        lambda: Dice.for_target(torch.tensor([[[0, 1], [255, 1]]])),
        ValueError,
        "class 255 but none of the 253 before it; pass classes=256 .* ignore_index=255 if",
    ),
    "images without channels": (
        lambda: ImageTotalVariation()(torch.zeros(2, 0, 3, 3)),
        ValueError,
        r"input has shape \(2, 0, 3, 3\), rows that hold no numbers",
    ),
    "a list of unknown relevance": (
        lambda: ListNet()(torch.zeros(1, 2), torch.tensor([[1.0, torch.nan]])),
        ValueError,
        "target holds NaN; an item without a relevance is padding, below 0",
    ),
    "a time that is missing": (
        lambda: Cox()(X, {"time": torch.tensor([1.0, torch.nan, 2.0, 3.0]), "event": Y}),
        ValueError,
        "time holds NaN",
    ),
    "a head too narrow": (
        lambda: EvidentialRegression().decode(torch.zeros(4, 2)),
        ValueError,
        "a head of 4",
    ),
    "terms of other parameters": (
        lambda: gradient_norms({"a": X.clone().requires_grad_().sum()}, nn.Linear(1, 1).weight),
        ValueError,
        "none of the terms a depends on",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_it_is_named(name: str) -> None:
    call, kind, message = MISTAKES[name]
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("seen", [[0], [1, 1], [0, 2], [0, 1, 3], [*range(30), 33]], ids=str)
def test_a_class_or_two_may_be_missing_in_a_sample(seen: list[int]) -> None:
    assert CrossEntropy.for_target(torch.tensor(seen)).out_features == max(*seen, 1) + 1


def test_void_pixels_are_left_out_where_told() -> None:
    masks = torch.tensor([[[0, 1], [255, 1]]])
    assert Dice.for_target(masks, ignore_index=255).out_features == 2
    assert Dice.for_target(masks, classes=256).out_features == 256


def test_one_shared_tensor_is_a_list_of_one() -> None:
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    terms = {"a": weight.square().sum() / 2}
    assert gradient_norms(terms, weight)["a"] == gradient_norms(terms, [weight])["a"] == 5.0


@pytest.mark.parametrize("shape", [(6,), (6, 2)])
def test_a_missing_target_that_weighs_nothing_spoils_no_gradient(shape: tuple[int, ...]) -> None:
    """Also those of learned numbers, of labels that are checked, and of heads of classes."""
    target, weight = torch.rand(shape).round(), torch.rand(shape) + 0.5
    target[0], weight[0] = torch.nan, 0
    input = torch.randn(shape, requires_grad=True)
    delta = nn.Parameter(torch.tensor(0.5))
    for loss in (Huber(delta=delta), BinaryCrossEntropy()):
        found = torch.autograd.grad(loss(input, target, weight=weight), input)[0]
        kept = torch.autograd.grad(loss(input[1:], target[1:], weight=weight[1:]), input)[0]
        torch.testing.assert_close(found, kept)
    Huber(delta=delta)(input, target, weight=weight).backward()
    assert delta.grad.isfinite()
    logits = torch.randn(6, 3, *shape[1:], requires_grad=True)
    classes = target.nan_to_num(7).long()  # 7 is no class
    loss = CrossEntropy()(logits, classes, weight=weight)
    torch.testing.assert_close(loss, CrossEntropy()(logits[1:], classes[1:], weight=weight[1:]))
    (slope,) = torch.autograd.grad(loss, logits)
    assert slope.isfinite().all()
    assert (slope[0] == 0).all()
