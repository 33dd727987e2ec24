"""reduce, the hyperparameters that a loss keeps, and the card."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lossmith import (
    MSE,
    MSSSIM,
    BalancedSoftmax,
    CrossEntropy,
    Dice,
    Focal,
    HLGauss,
    Huber,
    Hybrid,
    Linear,
    Linex,
    Quantile,
    Tempered,
    TransformedTarget,
    reduce,
)
from lossmith.catalogue import find
from lossmith.core import Loss, Real
from lossmith.core.hyperparameter import Inner
from lossmith.testing.cases import Case, example, training_targets, variants

numbers = st.floats(-100, 100)
whole = st.integers(0, 4)
samples = st.lists(st.tuples(numbers, whole), min_size=1, max_size=8)


@settings(max_examples=100)
@given(samples)
def test_whole_weights_repeat_the_sample(samples: list[tuple[float, int]]) -> None:
    values, weight = (
        torch.tensor(part, dtype=torch.float64) for part in zip(*samples, strict=True)
    )
    repeated = values.repeat_interleave(weight.long())
    expected = repeated.mean() if len(repeated) else torch.zeros(())
    assert torch.allclose(reduce(values, weight=weight), expected.double(), atol=1e-12)


@settings(max_examples=50)
@given(samples, st.integers(0, 8))
def test_parts_under_the_whole_denominator_add_up(samples: list, cut: int) -> None:
    values, weight = (
        torch.tensor(part, dtype=torch.float64) for part in zip(*samples, strict=True)
    )
    mass = weight.sum() if weight.sum() > 0 else torch.tensor(1.0)
    parts = [
        reduce(values[part], weight=weight[part], denominator=mass)
        for part in (slice(0, cut), slice(cut, None))
    ]
    assert torch.allclose(sum(parts), reduce(values, weight=weight), atol=1e-12)


def test_a_weight_a_sample_covers_its_elements() -> None:
    values = torch.tensor([[1.0, 3.0], [10.0, 20.0]])
    assert reduce(values, weight=torch.tensor([1.0, 0.0])) == 2.0
    assert reduce(values, weight=torch.tensor([[0.0, 1.0], [0.0, 1.0]])) == 11.5


def test_an_infinite_value_of_weight_zero_is_left_out() -> None:
    assert reduce(torch.tensor([2.0, torch.inf]), weight=torch.tensor([1.0, 0.0])) == 2.0


@pytest.mark.parametrize("shape", [(1, 2), (3,), (2, 1), (2, 2, 1)])
def test_weights_are_never_broadcast(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"weight has shape .* values of shape \(2, 2\)"):
        reduce(torch.ones(2, 2), weight=torch.ones(shape))


def test_hypers_are_exact_buffers_and_follow_a_cast_unrounded() -> None:
    loss = Huber(delta=0.1)
    assert loss.to(torch.float16).delta.item() == 0.1
    assert loss.half().bfloat16().double().delta.item() == 0.1
    assert set(loss.state_dict()) == {"delta"}


def test_a_cast_of_a_model_that_holds_a_loss_keeps_its_hypers() -> None:
    model = torch.nn.ModuleDict({"body": torch.nn.Linear(2, 1), "loss": Huber(delta=0.1)})
    model.bfloat16()
    assert model["body"].weight.dtype == torch.bfloat16
    assert model["loss"].delta.item() == 0.1


def test_a_nested_loss_keeps_its_hypers_too() -> None:
    loss = TransformedTarget(Huber(delta=0.1), scale=0.3).to(torch.float16)
    assert (loss.loss.delta.item(), loss.scale.item()) == (0.1, 0.3)


def test_numbers_are_not_forgotten_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = torch.nn.ModuleDict({"body": torch.nn.Linear(2, 1), "loss": Huber(delta=0.1)})
    assert model["body"].weight.is_meta
    model.to("meta").to_empty(device="cpu")
    assert model["loss"].delta.item() == 0.1


def test_a_move_that_fails_leaves_the_loss_as_it_was() -> None:
    loss = CrossEntropy(class_weight=[0.1, 0.9])

    def fail(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no such device")

    with pytest.raises(RuntimeError, match="no such device"):
        loss._apply(fail)
    assert loss.class_weight.tolist() == [0.1, 0.9]


def test_a_denominator_is_one_number() -> None:
    values, several = torch.ones(4), torch.tensor([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match=r"denominator must be one number, got .* \(4,\)"):
        reduce(values, denominator=several)
    for one in (torch.tensor(8.0).double(), torch.tensor([8])):
        torch.testing.assert_close(reduce(values, denominator=one), torch.tensor(0.5))


def test_unknown_argument_of_a_loss_without_hypers() -> None:
    with pytest.raises(TypeError, match="MSE has no hyperparameter 'delta'; it has none"):
        MSE(delta=1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Huber(delta="1"), "Huber: delta must be a number, got '1'"),
        (lambda: Huber(delta=None), "Huber: delta must be a number, got None"),
        (lambda: Huber(delta=[1.0, 2.0]), r"Huber: delta must be one number, got \[1.0, 2.0\]"),
        (lambda: TransformedTarget(relative=1), "relative must be True or False, got 1"),
        (lambda: HLGauss(low=0.0, high=1.0, bins="2"), "bins must be a whole number, got '2'"),
        (lambda: HLGauss(low=Linear(0, 9), high=1.0), "HLGauss: low must be a plain value"),
        (lambda: CrossEntropy(class_weight=2.0), "class_weight must be one number a class, got 2"),
        (lambda: CrossEntropy(class_weight=Linear(0, 1)), "class_weight must be a plain value"),
        (lambda: MSSSIM(scale_weights=1.0), "scale_weights must be several numbers, got 1.0"),
        (lambda: BalancedSoftmax(counts=None), "needs counts; give them, or fit them"),
        (lambda: Huber(delta=10**400), r"Huber: delta must be a number, got 10* …$"),
    ],
)
def test_hypers_of_the_wrong_type(call: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


HYPERS = [(kind, name) for kind in find().values() for name in kind.hyperparameters]


@pytest.mark.parametrize(("kind", "name"), HYPERS, ids=lambda one: getattr(one, "__name__", one))
def test_a_value_of_another_kind_is_named_on_one_line(kind: type[Loss], name: str) -> None:
    given = kind.card.example.arguments
    for wrong in (object(), {"a": torch.eye(9)}, torch.nn.Parameter(torch.ones(3, 3)), 1j):
        with pytest.raises(TypeError) as caught:
            kind(**{**given, name: wrong})
        text = str(caught.value)
        assert text.startswith(f"{kind.__name__}: {name} must be ")
        assert "\n" not in text


def test_a_whole_number_may_be_that_of_numpy_or_a_tensor() -> None:
    for three in (3, np.int64(3), torch.tensor(3)):
        loss = CrossEntropy(classes=three)
        assert type(loss.classes) is int
        assert loss.config()["classes"] == 3
    for wrong in (torch.tensor(3.0), torch.tensor(True), torch.tensor([3]), 3.0, True):
        with pytest.raises(TypeError, match="classes must be a whole number"):
            CrossEntropy(classes=wrong)


def test_several_numbers_where_the_card_allows_them() -> None:
    assert Quantile(level=[0.1, 0.9]).config() == {"level": [0.1, 0.9]}


@pytest.mark.parametrize(
    ("hyper", "fine", "bad", "text"),
    [
        (Real(default=1.0, low=0.0, doc=""), 0.0, -1e-9, "[0, inf)"),
        (Real(default=1.0, low=0.0, exclusive=True, doc=""), 1e-9, 0.0, "(0, inf)"),
        (Real(default=0.5, low=0.0, high=1.0, doc=""), 1.0, 1.1, "[0, 1]"),
        (Real(default=0.5, low=0.0, high=1.0, exclusive=True, doc=""), 0.9, 1.0, "(0, 1)"),
        (Real(default=0.5, doc=""), -1e9, float("nan"), "(-inf, inf)"),
        (Real(default=1.0, low=0.0, doc=""), 1e300, float("inf"), "[0, inf)"),
        (Real(default=1.0, high=0.0, doc=""), -1e300, float("-inf"), "(-inf, 0]"),
        (Real(default=1.0, allow_infinite=True, doc=""), float("inf"), float("nan"), "[-inf, inf]"),
    ],
)
def test_ranges(hyper: Real, fine: float, bad: float, text: str) -> None:
    assert (hyper.range or "(-inf, inf)") == text
    hyper.check("Owner", "gamma", fine)
    with pytest.raises(ValueError, match="Owner: gamma must be in"):
        hyper.check("Owner", "gamma", bad)


def test_cards_are_frozen() -> None:
    with pytest.raises(AttributeError):
        MSE.card.key = "other"
    with pytest.raises(TypeError):
        Huber.hyperparameters["delta"] = None


def test_many_numbers_of_an_argument_are_shown_by_their_ends() -> None:
    shown = repr(BalancedSoftmax(counts=[float(count) for count in range(1000)]))
    assert "counts=[0.0, …, 999.0; 1000 numbers]" in shown
    with pytest.raises(ValueError, match=r"counts must be in \[0, inf\), got nan"):
        BalancedSoftmax(counts=[1.0, float("nan"), 2.0])


@pytest.mark.parametrize("key", find())
def test_fitting_an_instance_keeps_what_it_was_told_and_finds_what_is_fitted(key: str) -> None:
    kind = find()[key]
    target = (
        training_targets(kind.card) if kind.card.trains_head else Case(example(kind)).batch()[1]
    )
    for loss in variants(kind):
        told, fitted = loss.arguments(), loss.for_target(target).arguments()
        for name, hyper in kind.hyperparameters.items():
            if hyper.fitted:
                assert fitted[name] is not None
            elif isinstance(hyper, Inner):
                assert type(fitted[name]) is type(told[name])
            else:
                assert repr(fitted[name]) == repr(told[name]), name


def test_a_sum_that_is_fitted_keeps_its_weights_of_classes() -> None:
    target = torch.tensor([[[0, 1], [2, 2]]])
    both = CrossEntropy(class_weight=[1.0, 2.0, 3.0], z_loss=1e-4) + Dice()
    kept = both.for_target(target).losses["cross_entropy"]
    assert kept.class_weight.tolist() == [1.0, 2.0, 3.0]
    assert kept.z_loss == 1e-4
    assert both.for_target(target).out_features == 3
    inner = Tempered(Focal(gamma=5.0), temperature=2.0).for_target(target).loss
    assert inner.arguments()["gamma"] == 5.0
    with pytest.raises(ValueError, match=r"needs losses=\[…\]"):
        Hybrid.for_target(target)


def test_for_target_may_be_a_static_method_of_ones_own() -> None:
    class Mine(Huber):
        @staticmethod
        def for_target(target: torch.Tensor, **hypers: object) -> Huber:  # type: ignore[override]
            return Mine(delta=target.std().item())

    assert Mine().for_target(torch.tensor([1.0, 3.0])).delta == pytest.approx(2**0.5)


def test_what_no_target_tells_is_not_said_to_be_fitted() -> None:
    with pytest.raises(TypeError, match=r"^Linex needs asymmetry$"):
        Linex.for_target(torch.tensor([0.0, 1.0]))
    with pytest.raises(TypeError, match=r"fit them to the training targets with HLGauss"):
        HLGauss()
