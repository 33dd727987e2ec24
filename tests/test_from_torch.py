"""Torch's names and values: what each of its losses is here, and that the page says so."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as torch_functional

import lossmith
from lossmith.catalogue.names import loss_class
from lossmith.catalogue.peers import PEERS, Peer

TORCH = PEERS["torch"]
SAME = [peer for peer in TORCH if peer.same]
OTHER = [peer for peer in TORCH if not peer.same]


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LOGITS, POINTS, TRUTH = randn(6, 3), 2 * randn(6, 3, seed=1), randn(6, 3, seed=2)
CLASSES = torch.tensor([0, 2, 1, 1, 0, 2])
LABELS = (TRUTH > 0).double()
PROBABILITIES = TRUTH.softmax(1)
IMAGE, MASK = randn(2, 3, 4, 5), torch.arange(40).reshape(2, 4, 5) % 3
BATCHES = {
    "mae": [(POINTS, TRUTH)],
    "mse": [(POINTS, TRUTH)],
    "huber": [(POINTS, TRUTH)],
    "smooth_l1": [(POINTS, TRUTH)],
    "cross_entropy": [
        (LOGITS, CLASSES),
        (LOGITS, CLASSES.masked_fill(CLASSES == 1, -100)),
        (LOGITS, PROBABILITIES),
        (LOGITS[0], CLASSES[0]),
        (IMAGE, MASK),
    ],
    "binary_cross_entropy": [(LOGITS, LABELS), (LOGITS, PROBABILITIES)],
}


def test_every_loss_of_torch_stands_in_the_table_once() -> None:
    theirs = {name for name in dir(nn) if name.endswith("Loss")} | {"AdaptiveLogSoftmaxWithLoss"}
    assert theirs <= {peer.theirs for peer in TORCH}
    names = [name for peer in TORCH for name in peer.called]
    assert len(set(names)) == len(names)
    assert not set(names) & set(lossmith.find())


def slopes(loss: Callable[..., Tensor], input: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
    input = input.clone().requires_grad_()
    value = loss(input, *rest)
    return value.detach(), torch.autograd.grad(value, input)[0]


@pytest.mark.parametrize("peer", SAME, ids=lambda peer: peer.theirs)
def test_the_same_losses_have_torch_values_and_gradients_under_all_names(peer: Peer) -> None:
    theirs = getattr(nn, peer.theirs)()
    for name in peer.called:
        for batch in BATCHES[loss_class(name).card.key]:
            torch.testing.assert_close(slopes(lossmith.get(name), *batch), slopes(theirs, *batch))


@pytest.mark.parametrize("peer", OTHER, ids=lambda peer: peer.theirs)
def test_the_others_are_not_taken_for_the_same(peer: Peer) -> None:
    for name in peer.called:
        with pytest.raises(KeyError) as caught:
            lossmith.get(name)
        assert f"no loss is called {name!r}; " in str(caught.value)
        assert f"torch's {peer.theirs}: {peer.differs}" in str(caught.value)


@pytest.mark.parametrize("peer", TORCH, ids=lambda peer: peer.theirs)
def test_a_class_of_torch_is_named_with_the_class_here(peer: Peer) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(lossmith, peer.theirs)
    assert all(f"did you mean lossmith.{kind}" in str(caught.value) for kind in peer.classes)
    assert peer.differs in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_names_find_the_nearest() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Hubber'; did you mean Huber"):
        lossmith.Hubber  # noqa: B018
    for name, found in (("FocalLoss", "Focal"), ("DiceLoss", "Dice")):
        with pytest.raises(AttributeError, match=rf"did you mean lossmith.{found} or lossmith."):
            getattr(lossmith, name)
    assert not hasattr(lossmith, "__wrapped__")


# What the page says of reductions and weights.

HUBER, WEIGHT = lossmith.Huber(), torch.tensor([0.5, 1.0, 2.0, 0.0, 3.0, 1.0]).double()


def test_sums_and_values_without_a_reduction() -> None:
    total = torch_functional.huber_loss(POINTS, TRUTH, reduction="sum")
    torch.testing.assert_close(HUBER(POINTS, TRUTH, denominator=1), total)
    none = torch_functional.huber_loss(POINTS, TRUTH, reduction="none")
    torch.testing.assert_close(HUBER.values(POINTS, TRUTH), none)
    total = torch_functional.cross_entropy(LOGITS, CLASSES, reduction="sum")
    torch.testing.assert_close(lossmith.CrossEntropy()(LOGITS, CLASSES, denominator=1), total)


def test_all_ignored_is_zero_where_torch_has_nan() -> None:
    target = torch.full((6,), -100)
    assert torch_functional.cross_entropy(LOGITS, target).isnan()
    value, slope = slopes(lossmith.CrossEntropy(), LOGITS, target)
    assert value == 0 == slope.abs().sum()


def test_half_precision_is_float32() -> None:
    assert HUBER(POINTS.half(), TRUTH.half()).dtype == torch.float32


# And of single losses.

PER_CLASS = torch.tensor([1.0, 2.0, 5.0]).double()


def cross_entropy(target: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    ours = lossmith.CrossEntropy(class_weight=PER_CLASS, label_smoothing=smoothing)
    theirs = torch_functional.cross_entropy(
        LOGITS, target, weight=PER_CLASS, label_smoothing=smoothing
    )
    return ours(LOGITS, target), theirs


def test_class_weights_are_those_of_torch_for_hard_targets() -> None:
    torch.testing.assert_close(*cross_entropy(CLASSES))


def test_class_weights_weigh_a_row_of_smoothed_and_soft_targets_as_a_whole() -> None:
    smooth = 0.9 * torch.eye(3).double()[CLASSES] + 0.1 / 3
    for target, share, weight in (
        (CLASSES, smooth, PER_CLASS[CLASSES]),
        (PROBABILITIES, PROBABILITIES, PROBABILITIES @ PER_CLASS),
    ):
        ours, theirs = cross_entropy(target, 0.1 if target is CLASSES else 0.0)
        log_p = LOGITS.log_softmax(1)
        torch.testing.assert_close(ours, -(weight * (share * log_p).sum(1)).sum() / weight.sum())
        divisor = weight.sum() if target is CLASSES else len(target)
        torch.testing.assert_close(theirs, -(PER_CLASS * share * log_p).sum() / divisor)


def test_soft_targets_sum_to_one() -> None:
    with pytest.raises(ValueError, match="summing to 1: where several classes may hold at once"):
        lossmith.CrossEntropy()(LOGITS, LABELS)


def test_weights_of_binary_cross_entropy() -> None:
    theirs = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0))(LOGITS, LABELS)
    torch.testing.assert_close(
        lossmith.BinaryCrossEntropy(positive_weight=3.0)(LOGITS, LABELS), theirs
    )
    loss, weight = lossmith.BinaryCrossEntropy(), WEIGHT[:, None].expand(6, 3)
    theirs = nn.BCEWithLogitsLoss(weight=weight)(LOGITS, LABELS)
    ours = loss(LOGITS, LABELS, weight=WEIGHT, denominator=LABELS.numel())
    torch.testing.assert_close(ours, theirs)
    theirs = nn.MultiLabelSoftMarginLoss(weight=PER_CLASS)(LOGITS, LABELS)
    spread = PER_CLASS.expand(6, 3)
    ours = loss(LOGITS, LABELS, weight=spread, denominator=LABELS.numel())
    torch.testing.assert_close(ours, theirs)


def test_smooth_l1_at_zero_is_mae() -> None:
    theirs = nn.SmoothL1Loss(beta=0.0)(POINTS, TRUTH)
    torch.testing.assert_close(lossmith.MAE()(POINTS, TRUTH), theirs)


def triplet(input: Tensor) -> tuple[Tensor, Tensor]:
    """Two rows of one class and one of another: two triplets, by both."""
    rows = nn.functional.normalize(input[:3], dim=1)
    chosen = nn.TripletMarginLoss(margin=0.2, eps=0.0)
    theirs = (chosen(rows[0], rows[1], rows[2]) + chosen(rows[1], rows[0], rows[2])) / 2
    ours = lossmith.Triplet(margin=0.2, mining="all", squared=False)
    return ours(input[:3], torch.tensor([0, 0, 1])), theirs


def gaussian() -> tuple[Tensor, Tensor]:
    loss, target = lossmith.GaussianNLL(), TRUTH[:, 0]
    scale = loss.floor + LOGITS[:, 1].exp()
    theirs = nn.GaussianNLLLoss(full=True)(LOGITS[:, 0], target, scale**2)
    return loss(LOGITS[:, :2], target), theirs


def linear() -> tuple[Tensor, Tensor]:
    loss = lossmith.LinearCrossEntropy(in_features=3, classes=3).double()
    loss.head.weight.data = randn(3, 3, seed=3)
    theirs = nn.CrossEntropyLoss()(LOGITS @ loss.head.weight.T, CLASSES)
    return loss(LOGITS, CLASSES), theirs


def ranked() -> tuple[Tensor, Tensor]:
    first, second = LOGITS[:, 0], LOGITS[:, 1]
    sign = torch.tensor([1.0, -1, 1, 1, -1, -1]).double()
    theirs = nn.MarginRankingLoss(margin=1.0)(first, second, sign)
    relevance = torch.stack((sign > 0, sign < 0), 1).double()
    return lossmith.MarginRanking()(torch.stack((first, second), 1), relevance), theirs


def ctc() -> tuple[Tensor, Tensor]:
    log_p, classes = randn(2, 7, 4).log_softmax(2), torch.tensor([[1, 2, 3], [2, 2, 0]])
    lengths, frames = torch.tensor([3, 2]), torch.tensor([7, 7])
    theirs = nn.CTCLoss(reduction="none")(log_p.transpose(0, 1), classes, frames, lengths).mean()
    return lossmith.CTC()(log_p, {"classes": classes, "lengths": lengths}), theirs


def paired() -> tuple[Tensor, Tensor]:
    theirs = nn.CosineEmbeddingLoss()(POINTS, TRUTH, torch.ones(6))
    return lossmith.NegativeCosine()(POINTS, TRUTH) + 1, theirs


LABEL = lossmith.BinaryCrossEntropy()
RECIPES: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
    "BCELoss": lambda: (LABEL(LOGITS, LABELS), nn.BCELoss()(LOGITS.sigmoid(), LABELS)),
    "NLLLoss": lambda: (
        lossmith.CrossEntropy()(LOGITS.log_softmax(1), CLASSES),
        nn.NLLLoss()(LOGITS.log_softmax(1), CLASSES),
    ),
    "KLDivLoss": lambda: (
        lossmith.KL()(LOGITS, PROBABILITIES.log()),
        nn.KLDivLoss(reduction="batchmean")(LOGITS.log_softmax(1), PROBABILITIES),
    ),
    "PoissonNLLLoss": lambda: (
        slopes(lossmith.Poisson(), LOGITS, LABELS)[1],
        slopes(nn.PoissonNLLLoss(), LOGITS, LABELS)[1],
    ),
    "GaussianNLLLoss": gaussian,
    "SoftMarginLoss": lambda: (
        LABEL(LOGITS, LABELS),
        nn.SoftMarginLoss()(LOGITS, 2 * LABELS - 1),
    ),
    "MultiMarginLoss": lambda: (
        lossmith.MultiHinge()(LOGITS[:, :2], CLASSES % 2),
        2 * nn.MultiMarginLoss()(LOGITS[:, :2], CLASSES % 2),
    ),
    "MarginRankingLoss": ranked,
    "CTCLoss": ctc,
    "LinearCrossEntropyLoss": linear,
    "TripletMarginLoss": lambda: triplet(POINTS),
    "CosineEmbeddingLoss": paired,
}


@pytest.mark.parametrize("name", RECIPES)
def test_what_makes_the_others_equal(name: str) -> None:
    torch.testing.assert_close(*RECIPES[name]())
