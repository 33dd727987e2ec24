"""NaN, ignored targets, weights of 0, corners: what the card cannot say, each with its right value.

What the card can say is in `lossmith.testing`: `nan_shows`, `ignored_rows`, `ignored_places`,
`weight_zero`, `nothing_to_learn`, `refuses_denominators`, `alive_at_corners`.
"""

import math

import pytest
import torch
from torch import Tensor

import lossmith as lm
from lossmith import functional as F
from lossmith.core import Loss, reduce

NAN = float("nan")


def slopes(loss: Loss, input: Tensor, *rest: object, **given: object) -> tuple[Tensor, Tensor]:
    leaf = input.clone().requires_grad_()
    value = loss(leaf, *rest, **given)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


def test_msle_learns_from_0() -> None:
    target = torch.tensor([1.0, 3.0, 10.0])
    for start in (0.0, -0.0):
        _, slope = slopes(lm.MSLE(), torch.full((3,), start), target)
        torch.testing.assert_close(slope, -2 * target.log1p() / 3)


@pytest.mark.parametrize("loss", [lm.Distillation(alpha=0.25), lm.DKD()], ids=repr)
def test_an_ignored_class_leaves_the_row_out_of_distillation(loss: Loss) -> None:
    input = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]])
    target = {"teacher": torch.eye(3)[:2], "classes": torch.tensor([-100, 2])}
    value, slope = slopes(loss, input, target)
    alone = loss(input[1:], {name: part[1:] for name, part in target.items()})
    torch.testing.assert_close(value, alone)
    assert (slope[0] == 0).all()
    with pytest.raises(ValueError, match="class outside 0 … 2"):
        loss(input, {**target, "classes": torch.tensor([-1, 2])})


def test_other_numbers_are_ignored_where_told() -> None:
    target = {"teacher": torch.eye(3)[:2], "classes": torch.tensor([255, 2])}
    value = lm.Distillation(ignore_index=255)(torch.zeros(2, 3), target)
    alone = {name: part[1:] for name, part in target.items()}
    torch.testing.assert_close(value, lm.Distillation()(torch.zeros(1, 3), alone))


@pytest.mark.parametrize("rows", [3, 1 << 19])  # at once, and block by block
@pytest.mark.parametrize("loss", [lm.CrossEntropy(), lm.Focal(), lm.Brier()], ids=repr)
def test_what_is_ignored_may_hold_nan(loss: Loss, rows: int) -> None:
    input, target = torch.randn(rows, 5), torch.arange(rows) % 5
    input[0], target[0] = NAN, -100
    value, slope = slopes(loss, input, target)
    right, others = slopes(loss, input[1:], target[1:])
    torch.testing.assert_close(value, right)
    torch.testing.assert_close(slope, torch.cat([torch.zeros(1, 5), others]))


def test_what_is_ignored_may_hold_nan_compiled_and_mapped() -> None:
    loss = lm.Focal(classes=3)
    input, target = torch.zeros(4, 3), torch.tensor([0, -100, 2, 1])
    input[1] = NAN
    plain = slopes(loss, input, target)
    torch._dynamo.reset()
    for call in (torch.compile(loss, backend="aot_eager", fullgraph=True),):
        for got, right in zip(slopes(call, input, target), plain, strict=True):
            torch.testing.assert_close(got, right)
    each = torch.func.vmap(torch.func.grad(loss))(input, target)
    torch.testing.assert_close(each / 3, plain[1])


def test_a_weight_a_patch_leaves_out_that_patch_in_any_shape() -> None:
    """As many patches as pixels: the weight's second dimension is the patches, not the pixels."""
    input, target = torch.randn(2, 3, 3), torch.randn(2, 3, 3)
    weight = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])
    for loss in (lm.MaskedReconstruction(), lm.LatentPrediction()):
        right = reduce(loss.values(input, target), weight=weight)
        spoilt = input.masked_fill((weight == 0).unsqueeze(2), NAN)
        value, slope = slopes(loss, spoilt, target, weight=weight)
        torch.testing.assert_close(value, right)
        assert (slope.isfinite().all(2)).all()
    tokens = torch.randint(0, 5, (2, 3))
    head = lm.LinearCrossEntropy(in_features=3, classes=5)
    torch.nn.init.normal_(head.head.weight)
    right = lm.CrossEntropy()(head.head(input).movedim(2, 1), tokens, weight=weight)
    torch.testing.assert_close(head(spoilt, tokens, weight=weight), right)


def test_a_weight_a_row_of_images_leaves_out_its_pixels() -> None:
    input, target = torch.randn(2, 3, 3, 4), torch.randint(0, 3, (2, 3, 4))
    weight = torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])  # one a line of pixels, of 3 lines
    right = lm.CrossEntropy()(input, target, weight=weight)
    input[0, :, 1] = NAN
    value, slope = slopes(lm.CrossEntropy(), input, target, weight=weight)
    torch.testing.assert_close(value, right)
    assert slope.isfinite().all()


def test_a_patch_that_is_not_masked_may_hold_nan() -> None:
    student = torch.tensor([[[1.0, 0.0], [NAN, 0.0]]])
    target = {"teacher": torch.tensor([[[0.0, 0.0], [0.0, NAN]]]), "mask": torch.tensor([[1, 0]])}
    value, slope = slopes(lm.IBOT(features=2, student_temperature=1.0), student, target)
    torch.testing.assert_close(value, torch.tensor(math.log(1 + math.e) - 0.5))
    assert slope.isfinite().all()


def test_frames_behind_the_last_may_hold_nan() -> None:
    logits = torch.randn(1, 4, 3)
    target = {"classes": torch.tensor([[1, 2]]), "lengths": torch.tensor([2])}
    right = lm.CTC()(logits[:, :3], target)
    logits[:, 3] = NAN
    value, slope = slopes(lm.CTC(), logits, {**target, "frames": torch.tensor([3])})
    torch.testing.assert_close(value, right)
    assert (slope[:, 3] == 0).all()
    assert slope.isfinite().all()


def test_padding_of_sequences_and_lists_may_hold_nan() -> None:
    logits = torch.zeros(1, 4, 3)
    logits[:, :, 2] = NAN
    leaf = logits.requires_grad_()
    total = F.sequence_log_probability(leaf, torch.tensor([[0, 1, -100]])).sum()
    torch.testing.assert_close(total.detach(), torch.tensor(-2 * math.log(4)))
    assert torch.autograd.grad(total, leaf)[0].isfinite().all()
    scores, relevance = torch.tensor([[1.0, 0.0, NAN]]), torch.tensor([[1.0, 0.0, -1.0]])
    for loss in (lm.RankNet(), lm.ListNet(), lm.ListMLE(), lm.LambdaLoss(), lm.ApproxNDCG()):
        value, slope = slopes(loss, scores, relevance)
        torch.testing.assert_close(value, loss(scores[:, :2], relevance[:, :2]))
        assert slope.isfinite().all()


@pytest.mark.parametrize(
    "loss",
    [lm.Sparsemax(), lm.Entmax(), lm.BiTempered(), lm.ProbabilityRegression()],
    ids=repr,
)
def test_nan_logits_give_nan(loss: Loss) -> None:
    value, slope = slopes(loss, torch.tensor([[1.0, NAN, 0.0]]), torch.tensor([0]))
    assert value.isnan()
    assert slope.isnan().any()
    assert loss.decode(torch.tensor([[1.0, NAN, 0.0]])).isnan().any()


@pytest.mark.parametrize("mining", [True, False])
def test_mining_does_not_drop_nan(mining: bool) -> None:
    rows, classes = torch.randn(6, 3), torch.tensor([0, 0, 1, 1, 2, 2])
    rows[2] = NAN
    assert lm.MultiSimilarity(mining=mining)(rows, classes).isnan()
    for kind in ("semi_hard", "hardest", "all"):
        assert lm.Triplet(mining=kind)(rows, classes).isnan()


def test_denominators() -> None:
    input, none = torch.randn(3, 4), torch.full((3,), -100)
    for count in (0, 0.0, (none != -100).sum()):
        value, slope = slopes(lm.CrossEntropy(), input, none, denominator=count)
        assert value == 0
        assert (slope == 0).all()
    for count in (-1.0, NAN, math.inf, 0, torch.tensor(-2)):
        with pytest.raises(ValueError, match="denominator must be a finite number above 0"):
            lm.CrossEntropy()(input, torch.tensor([0, 1, -100]), denominator=count)
    assert reduce(torch.ones(3), denominator=0.5) == 6
    learned = torch.tensor(4.0, requires_grad=True)
    torch.testing.assert_close(
        torch.autograd.grad(reduce(torch.ones(3), denominator=learned), learned)[0],
        torch.tensor(-3 / 16),
    )


def test_denominators_compiled() -> None:
    torch._dynamo.reset()
    call = torch.compile(lm.Focal(classes=3), backend="aot_eager", fullgraph=True)
    none, input = torch.full((2,), -100), torch.randn(2, 3)
    assert call(input, none, denominator=torch.tensor(0)) == 0
    for count in (torch.tensor(0.0), torch.tensor(NAN), torch.tensor(-1.0)):
        with pytest.raises(RuntimeError, match="denominator must be a finite number above 0"):
            call(input, torch.tensor([0, -100]), denominator=count)


def test_weights_of_batch_statistics_leave_out_what_holds_nan() -> None:
    input = torch.tensor([2.0, NAN, -1.0, 0.5])
    target, weight = torch.tensor([1.0, NAN, 0.0, 0.0]), torch.tensor([1.0, 0.0, 1.0, 1.0])
    kept = weight > 0
    for loss in (lm.SoftF1(), lm.AnyLoss(), lm.AUCMargin(), lm.CVaR(fraction=0.5)):
        value, slope = slopes(loss, input, target, weight=weight)
        torch.testing.assert_close(value, loss(input[kept], target[kept]))
        assert slope.isfinite().all()


def test_a_wrapped_loss_leaves_out_what_is_ignored() -> None:
    input, target = torch.randn(5, 3), torch.tensor([0, -100, 2, 1, 0])
    right = lm.CVaR(lm.CrossEntropy(), fraction=0.5)(input[target >= 0], target[target >= 0])
    input[1] = NAN
    value, slope = slopes(lm.CVaR(lm.CrossEntropy(), fraction=0.5), input, target)
    torch.testing.assert_close(value, right)
    assert slope.isfinite().all()


def test_orpo_leaves_a_rejected_answer_of_probability_1() -> None:
    rejected = torch.zeros(1, requires_grad=True)
    value = lm.ORPO()({"chosen": torch.tensor([-1.0]), "rejected": rejected})
    (slope,) = torch.autograd.grad(value, rejected)
    torch.testing.assert_close(slope, torch.tensor([0.1]))  # lambda: less of it is better


def test_a_box_without_width_learns_one() -> None:
    box = torch.tensor([[1.0, 0.0, 1.0, 2.0]])
    for loss in (lm.IoU(), lm.GIoU(), lm.DIoU(), lm.CIoU()):
        _, slope = slopes(loss, box, torch.tensor([[0.0, 0.0, 2.0, 2.0]]))
        assert slope[0, 0] > 0 > slope[0, 2]
