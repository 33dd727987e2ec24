"""Every loss of the catalogue on batches of its card's kinds: no alarm, and watched to the bit."""

from typing import Any

import pytest
import torch

import lossmith
from lossmith.core.tree import tree_leaves, tree_map
from lossmith.doctor import check_setup
from lossmith.testing.cases import Case, example

KEYS = sorted(lossmith.find())
ROWS = 40


def batch(key: str) -> tuple[Any, Any]:
    loss = example(lossmith.find()[key])
    rows = loss.samples if key == "early_learning" else ROWS  # as many as its memory has
    return Case(loss).batch(int(rows), dtype=torch.float32)


def free(input: Any) -> Any:
    return tree_map(lambda x: x.clone().requires_grad_() if x.is_floating_point() else x, input)


@pytest.mark.parametrize("key", KEYS)
def test_there_is_no_alarm_on_what_a_card_asks_for(key: str) -> None:
    loss = example(lossmith.find()[key])
    input, target = batch(key)
    given = free(input)
    assert check_setup(lambda _: given, loss, (None, target)) == ()


@pytest.mark.parametrize("key", KEYS)
def test_gradients_are_the_same_where_a_loss_is_watched(key: str) -> None:
    input, target = batch(key)

    def slopes(watched: bool) -> list[torch.Tensor | None]:
        torch.manual_seed(0)
        loss, given = example(lossmith.find()[key]), free(input)
        handle = lossmith.watch(loss, every=1, to=None) if watched else None
        for _ in range(2):
            value = loss(given, target) if target is not None else loss(given)
            if value.requires_grad:
                value.backward()
        if handle is not None:
            assert handle.last is not None or not value.requires_grad
        parts = [*tree_leaves(given), *loss.parameters()]
        return [*(one.grad for one in parts), torch.get_rng_state()]

    for mine, theirs in zip(slopes(True), slopes(False), strict=True):
        assert (mine is None) == (theirs is None)
        assert mine is None or theirs is None or torch.equal(mine, theirs)
