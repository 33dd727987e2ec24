"""Means that one operation of torch forms are the means of the values, or are not taken."""

import math

import pytest
import torch
from torch import Tensor, nn

from lossmith import BinaryCrossEntropy, CrossEntropy, Huber, Poisson, find
from lossmith import functional as F
from lossmith.core import Pointwise, execution, reduce
from lossmith.functional import means

OWN = [key for key, kind in find().items() if "mean_function" in vars(kind)]


def batch(key: str, rows: int = 50, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    classes = find()[key].card.target == "classes"
    shape = (rows, 3) if classes else (rows,)
    input = 3 * torch.randn(shape, generator=generator, dtype=dtype)
    if key == "kl":
        return input[:, None] * torch.arange(3), torch.randn((rows, 3), generator=generator).to(
            dtype
        )
    if classes:
        return input, torch.randint(3, (rows,), generator=generator)
    target = torch.randn(rows, generator=generator, dtype=dtype)
    kinds = {"labels": (target > 0).to(dtype), "counts": target.square().round()}
    return input, kinds.get(str(find()[key].card.target), target)


def by_values(loss: Pointwise, input: Tensor, target: Tensor) -> Tensor:
    return reduce(loss.values(input, target), weight=loss.weights(target))


def test_these_losses_have_one() -> None:
    standard = {"mse", "mae", "huber", "smooth_l1", "cross_entropy", "binary_cross_entropy"}
    assert set(OWN) == {*standard, "poisson", "kl"}


VARIANTS: list[Pointwise] = [
    CrossEntropy(label_smoothing=0.1),
    CrossEntropy(class_weight=[0.1, 2.0, 0.0]),
    CrossEntropy(class_weight=[0.1, 2.0, 3.0], ignore_index=1),
    CrossEntropy(label_smoothing=0.1, ignore_index=0),
    BinaryCrossEntropy(positive_weight=1e-6),
    BinaryCrossEntropy(positive_weight=20.0),
    Poisson(offset=0.5),
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("loss", VARIANTS, ids=repr)
def test_so_are_those_of_other_hyperparameters(loss: Pointwise, dtype: torch.dtype) -> None:
    input, target = batch(loss.card.key, dtype=dtype)
    leaf = input.clone().requires_grad_()
    assert execution.at_once(loss, input, target) is not None
    got, expected = loss(leaf, target), by_values(loss, leaf, target)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(*(torch.autograd.grad(one, leaf) for one in (got, expected)))


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_of_a_row_that_does_not_count_nothing_is_seen(wrong: float) -> None:
    for loss in (CrossEntropy(), CrossEntropy(class_weight=[1.0, 1.0, 0.0])):
        input, target = batch("cross_entropy")
        target[0] = 2 if loss.class_weight is not None else -100
        leaf = input.index_fill(0, torch.tensor([0]), wrong).requires_grad_()
        value = loss(leaf, target)
        torch.testing.assert_close(
            value.detach(), loss(input.index_fill(0, torch.tensor([0]), 0), target)
        )
        (slope,) = torch.autograd.grad(value, leaf)
        assert slope.isfinite().all()
        assert (slope[0] == 0).all()


def test_classes_that_all_weigh_nothing_have_the_mean_zero() -> None:
    input, target = batch("cross_entropy")
    loss = CrossEntropy(class_weight=[0.0, 1.0, 1.0])
    assert loss(input, torch.zeros_like(target)) == 0


def test_small_and_large_values_of_labels_keep_their_digits() -> None:
    loss, label = BinaryCrossEntropy(), torch.tensor([1.0])
    for logit, value in ((-50.0, 50.0), (50.0, math.exp(-50)), (-200.0, 200.0), (200.0, 0.0)):
        for side in (1, -1):
            leaf = torch.tensor([side * logit], requires_grad=True)
            got = loss(leaf, (label + side - 1).clamp(0))
            assert got.item() == pytest.approx(value, rel=1e-6)
            (slope,) = torch.autograd.grad(got, leaf)
            right = -side / (1 + math.exp(logit))
            assert slope.item() == pytest.approx(right, rel=1e-6)


@pytest.mark.parametrize("rows", [1, 5000])
def test_a_small_weight_of_positives_keeps_its_digits(rows: int) -> None:
    loss, input = BinaryCrossEntropy(positive_weight=1e-6), torch.full((rows,), -2.0)
    exact = 1e-6 * math.log1p(math.exp(2))
    assert loss(input, torch.ones(rows)).item() == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("key", OWN)
def test_value_and_gradient_are_those_of_the_values(key: str, dtype: torch.dtype) -> None:
    input, target = batch(key, dtype=dtype)
    loss, leaf = find()[key](), input.clone().requires_grad_()
    assert execution.at_once(loss, input, target) is not None
    got, expected = loss(leaf, target), by_values(loss, leaf, target)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(*(torch.autograd.grad(one, leaf) for one in (got, expected)))


@pytest.mark.parametrize("key", OWN)
def test_of_nothing_it_is_zero(key: str) -> None:
    input, target = batch(key, rows=0)
    loss, leaf = find()[key](), input.requires_grad_()
    value = loss(leaf, target)
    value.backward()
    assert value.item() == 0
    assert leaf.grad is not None


@pytest.mark.parametrize("key", OWN)
def test_it_may_be_transformed(key: str) -> None:
    input, target = batch(key)
    loss = find()[key]()
    each = torch.vmap(torch.func.grad(lambda x, y: loss(x[None], y[None])), in_dims=(0, 0))
    leaf = input.clone().requires_grad_()
    (expected,) = torch.autograd.grad(by_values(loss, leaf, target) * len(target), leaf)
    torch.testing.assert_close(each(input, target), expected)


@pytest.mark.parametrize("name", ["values", "weights"])
def test_other_values_or_weights_have_another_mean(name: str) -> None:
    given = batch("mse")
    twice = {"values": lambda loss, x, y: 2 * F.mse(x, y), "weights": lambda loss, y: y > 0}
    other = type("Other", (find()["mse"],), {name: twice[name]})()
    torch.testing.assert_close(other(*given), by_values(other, *given))
    assert other(*given) != find()["mse"]()(*given)


def test_values_of_a_mixin_have_another_mean() -> None:
    class Twice:
        def values(self, input: Tensor, target: Tensor) -> Tensor:
            return 2 * super().values(input, target)  # type: ignore[misc]

    kind = type("TwiceMSE", (Twice, find()["mse"]), {})
    given = batch("mse")
    torch.testing.assert_close(kind()(*given), 2 * find()["mse"]()(*given))


def test_one_input_for_several_targets() -> None:
    input, target = batch("cross_entropy")
    targets = torch.stack([target, target.flip(0)])
    got = torch.vmap(CrossEntropy(), in_dims=(None, 0))(input, targets)
    expected = torch.stack([CrossEntropy()(input, one) for one in targets])
    torch.testing.assert_close(got, expected)


def test_distributions_that_are_near_keep_their_digits() -> None:
    torch.manual_seed(0)
    target = torch.randn(5, 4)
    input = (target + 1e-4 * torch.randn(5, 4)).requires_grad_()
    exact = input.detach().double().requires_grad_()
    for leaf in (input, exact):
        find()["kl"]()(leaf, target.to(leaf)).backward()
    torch.testing.assert_close(input.grad.double(), exact.grad, rtol=1e-2, atol=1e-9)


def test_ignored_classes_do_not_count() -> None:
    input, target = batch("cross_entropy")
    loss = CrossEntropy()
    some = target.masked_fill(torch.arange(50) < 20, -100)
    torch.testing.assert_close(loss(input, some), loss(input[20:], target[20:]))
    assert loss(input, torch.full_like(target, -100)) == 0
    own = CrossEntropy(ignore_index=1)
    torch.testing.assert_close(own(input, target), by_values(own, input, target))


def test_a_class_outside_the_head_is_named() -> None:
    input, _ = batch("cross_entropy")
    with pytest.raises(ValueError, match="class outside 0 … 2"):
        CrossEntropy()(input, torch.full((50,), 3))


def test_held_values_stay_held() -> None:
    input = torch.tensor([[3e38, -3e38]])
    target = torch.tensor([1])
    assert execution.at_once(CrossEntropy(), input, target) is None
    value = CrossEntropy()(input, target)
    assert math.isfinite(value.item())
    assert value == by_values(CrossEntropy(), input, target)


def test_learned_numbers_have_gradients() -> None:
    for loss in (
        Huber(delta=nn.Parameter(torch.tensor(0.5))),
        CrossEntropy(label_smoothing=nn.Parameter(torch.tensor(0.0))),
    ):
        chosen = batch(loss.card.key)
        loss(*chosen).backward()
        assert all(one.grad is not None and one.grad != 0 for one in loss.parameters())


@pytest.mark.parametrize("size", [10, 1 << 15])
def test_few_numbers_and_many_have_one_mean(size: int) -> None:
    values = torch.rand(size, dtype=torch.float64, requires_grad=True)
    mean = reduce(values)
    torch.testing.assert_close(mean, values.sum() / size)
    (slope,) = torch.autograd.grad(mean, values)
    torch.testing.assert_close(slope, torch.full_like(values, 1 / size))


@pytest.mark.parametrize(
    ("loss", "kind", "wrong"),
    [
        (CrossEntropy(classes=4), torch.int64, "a head of 4 needs"),
        (CrossEntropy(class_weight=[1.0, 2.0]), torch.int64, "class_weight has shape"),
        (CrossEntropy(), torch.complex64, "must be real"),
    ],
)
def test_what_the_operation_would_take_is_still_refused(
    loss: Pointwise, kind: torch.dtype, wrong: str
) -> None:
    input, target = batch("cross_entropy")
    with pytest.raises((TypeError, ValueError), match=wrong):
        loss(input, target.to(kind))


def test_who_states_checks_beside_a_mean_has_them_asked_first() -> None:
    def check_given(self: Pointwise, input: Tensor, target: Tensor) -> None:
        raise ValueError("refused")

    kind = type("Own", (find()["mse"],), {"mean_function": F.mean_mse, "check_given": check_given})
    with pytest.raises(ValueError, match="refused"):
        kind()(*batch("mse"))


def test_class_weights_stay_as_narrow_as_they_were_given() -> None:
    weight = torch.tensor([0.1, 2.0, 3.0])
    narrow, wide = CrossEntropy(class_weight=weight), CrossEntropy(class_weight=weight.tolist())
    assert (narrow.class_weight.dtype, wide.class_weight.dtype) == (torch.float32, torch.float64)
    given = batch("cross_entropy")
    torch.testing.assert_close(narrow(*given), wide(*given), rtol=0, atol=0)


@pytest.mark.parametrize("weight", [None, [1.0, 0.0, 2.0]])
def test_the_mean_of_a_device_leaves_rows_out_as_the_values_do(weight: list[float] | None) -> None:
    input = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    input[1] = torch.nan
    target = torch.tensor([0, -100, 2, 0, -100, 2])
    if weight:
        input[4], target[4] = torch.inf, 1
    given = None if weight is None else torch.tensor(weight, dtype=torch.float64)
    found = []
    for call in (
        lambda x: means._on_device(x, target, given, -100),
        lambda x: CrossEntropy(class_weight=weight)(x, target),
    ):
        free = input.clone().requires_grad_()
        value = call(free)
        (plain,) = torch.autograd.grad(value, free, retain_graph=True)
        (slope,) = torch.autograd.grad(value, free, create_graph=True)
        kept = slope[[0, 2, 3, 5]].square().sum()
        (curve,) = torch.autograd.grad(kept, free)
        assert torch.equal(plain, slope)
        found.append((value, slope, curve[[0, 2, 3, 5]]))
    for mine, right in zip(*found, strict=True):
        torch.testing.assert_close(mine, right)
