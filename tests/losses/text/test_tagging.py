"""The conditional random field, against all sequences of few tags."""

import itertools

import pytest
import torch
from torch import Tensor

import lossmith as lm

C, T = 3, 4


def field(scale: float = 1.0) -> tuple[lm.CRF, Tensor]:
    g = torch.Generator().manual_seed(1)
    loss = lm.CRF(classes=C).double()
    with torch.no_grad():
        for part in loss.parameters():
            part.copy_(scale * torch.randn(part.shape, generator=g, dtype=torch.float64))
    return loss, torch.randn(2, C, T, generator=g, dtype=torch.float64)


def score(loss: lm.CRF, head: Tensor, tags: tuple[int, ...]) -> Tensor:
    steps = [loss.transitions[a, b] for a, b in itertools.pairwise(tags)]
    tokens = [head[tag, t] for t, tag in enumerate(tags)]
    return sum([*steps, *tokens], loss.start[tags[0]] + loss.end[tags[-1]])


def all_scores(loss: lm.CRF, head: Tensor) -> dict[tuple[int, ...], Tensor]:
    return {z: score(loss, head, z) for z in itertools.product(range(C), repeat=head.shape[1])}


def test_value_is_the_chance_among_all_sequences() -> None:
    loss, head = field()
    target = torch.tensor([[0, 2, 1, 1], [2, 2, 0, 1]])
    right = [
        torch.stack([*all_scores(loss, row).values()]).logsumexp(0) - score(loss, row, tuple(tags))
        for row, tags in zip(head, target.tolist(), strict=True)
    ]
    torch.testing.assert_close(loss.values(head, target), torch.stack(right))


def test_ignored_tokens_are_left_out_wherever_they_stand() -> None:
    loss, head = field()
    target = torch.tensor([[0, 2, 1, 1], [2, 2, 0, 1]])
    for left in ([0], [3], [1, 2], [0, 2]):
        kept = [t for t in range(T) if t not in left]
        short = loss.values(head[:, :, kept], target[:, kept])
        masked = target.index_fill(1, torch.tensor(left), -100)
        torch.testing.assert_close(loss.values(head, masked), short)


def test_decode_is_the_chance_of_each_tag() -> None:
    loss, head = field()
    right = torch.zeros_like(head)
    for row, marginal in zip(head, right, strict=True):
        scores = all_scores(loss, row)
        chances = torch.stack([*scores.values()]).softmax(0).detach()
        for tags, chance in zip(scores, chances, strict=True):
            marginal[list(tags), range(T)] += chance
    torch.testing.assert_close(loss.decode(head).detach(), right)
    torch.testing.assert_close(loss.decode(head[0]).detach(), right[0])


def test_best_path_is_the_likeliest_sequence() -> None:
    loss, head = field(scale=2.0)
    best = [max(found, key=found.get) for found in (all_scores(loss, row) for row in head)]
    assert loss.best_path(head).tolist() == [list(tags) for tags in best]
    assert loss.best_path(head).tolist() != head.argmax(1).tolist()


@pytest.mark.parametrize("left", [[0], [3], [1, 2], [2, 3]])
def test_best_path_leaves_padding_out(left: list[int]) -> None:
    loss, head = field(scale=2.0)
    kept = torch.ones(2, T).index_fill(1, torch.tensor(left), 0)
    stays = [t for t in range(T) if t not in left]
    found = loss.best_path(head, kept)
    assert (found[:, left] == -100).all()
    assert torch.equal(found[:, stays], loss.best_path(head[:, :, stays]))


def test_it_starts_as_cross_entropy_and_is_fitted_to_its_tags() -> None:
    target = torch.tensor([[0, 2, 1, -100], [2, 2, 0, 1]])
    loss = lm.CRF.for_target(target)
    assert loss.out_features == 3
    _, head = field()
    total = torch.nn.functional.cross_entropy(head, target, reduction="none").sum(1)
    torch.testing.assert_close(loss.values(head, target), total)
