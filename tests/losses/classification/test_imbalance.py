"""Losses that know the counts of classes: what is particular to vector scaling."""

import torch

import lossmith as lm

COUNTS = [60.0, 30.0, 10.0]
X = torch.tensor([[1.0, -0.5, 0.3], [0.2, 2.0, -1.0]], dtype=torch.float64)
Y = torch.tensor([0, 2])


def test_vs_without_scaling_is_logit_adjustment() -> None:
    for tau in (0.0, 0.7, 1.0):
        adjusted = lm.LogitAdjusted(counts=COUNTS, tau=tau)(X, Y)
        torch.testing.assert_close(lm.VS(counts=COUNTS, gamma=0.0, tau=tau)(X, Y), adjusted)


def test_vs_shrinks_the_logits_of_rare_classes() -> None:
    shares = (torch.tensor(COUNTS).double() / 60) ** 0.5
    right = torch.nn.functional.cross_entropy(shares * X, Y)
    torch.testing.assert_close(lm.VS(counts=COUNTS, gamma=0.5, tau=0.0)(X, Y), right)


def test_vs_takes_a_class_without_rows_for_as_rare_as_the_rarest() -> None:
    few = lm.VS(counts=[60.0, 10.0, 10.0])(X, Y)
    torch.testing.assert_close(lm.VS(counts=[60.0, 10.0, 0.0])(X, Y), few)
