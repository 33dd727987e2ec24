"""The wrapper that trains on a transformed target and predicts in the target's own unit."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import lossmith
from lossmith import TransformedTarget

FUNCTIONS = {
    "identity": lambda y: y,
    "log1p": np.log1p,
    "power": lambda y: np.sign(y) * np.abs(y) ** 0.3,
}


def wrapper(function: str, loss: lossmith.Pointwise | None = None) -> TransformedTarget:
    return TransformedTarget(loss, function=function, exponent=0.3, center=0.7, scale=2.5)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_value_is_the_inner_losss_on_transformed_targets(function: str) -> None:
    target = torch.tensor([0.0, 0.5, 3.0, 1e4], dtype=torch.float64)
    input = torch.tensor([-0.3, 0.1, 0.6, 2.0], dtype=torch.float64)
    encoded = torch.from_numpy((FUNCTIONS[function](target.numpy()) - 0.7) / 2.5)
    inner = lossmith.Huber(delta=0.2)
    got = wrapper(function, inner)(input, target)
    torch.testing.assert_close(got, inner(input, encoded))


@settings(max_examples=100)
@given(st.sampled_from(list(FUNCTIONS)), st.lists(st.floats(-0.99, 1e6), min_size=1, max_size=5))
def test_decode_undoes_encode(function: str, numbers: list[float]) -> None:
    target = torch.tensor(numbers, dtype=torch.float64)
    loss = wrapper(function)
    back = loss.decode(loss.encode(target))
    torch.testing.assert_close(back, target, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_decode_is_finite_for_every_finite_output(function: str, dtype: torch.dtype) -> None:
    most = torch.finfo(dtype).max
    output = torch.tensor([most, -most, 1e4, -1e4, 100.0, 0.0], dtype=dtype)
    for exponent in (0.1, 0.5, 2.0):
        loss = TransformedTarget(function=function, exponent=exponent, scale=1e6, center=-3.0)
        assert loss.decode(output).isfinite().all()


@pytest.mark.parametrize("function", ["log1p", "power"])
def test_decode_rises_with_the_output(function: str) -> None:
    decoded = wrapper(function).decode(torch.linspace(-50, 200, 500))
    assert (decoded.diff() >= 0).all()


INNER = {
    "gaussian": lossmith.GaussianNLL(),
    "quantiles": lossmith.Quantile(level=(0.1, 0.5, 0.9)),
    "histogram": lossmith.HLGauss(low=-3.0, high=3.0, bins=9),
    "huber": lossmith.Huber(delta=0.5),
}


@pytest.mark.parametrize("name", INNER)
def test_heads_of_the_inner_loss_are_kept(name: str) -> None:
    inner = INNER[name]
    loss = wrapper("log1p", inner)
    shape = (6, inner.out_features) if inner.out_features > 1 else (6,)
    output = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert loss.out_features == inner.out_features
    expected = (inner.decode(output) * 2.5 + 0.7).expm1()
    torch.testing.assert_close(loss.decode(output), expected)


@pytest.mark.parametrize("name", INNER)
def test_compiles_whole_and_maps(name: str) -> None:
    loss = wrapper("log1p", INNER[name])
    width = loss.out_features
    shape = (3, 6, width) if width > 1 else (3, 6)
    input = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    target = torch.rand(6, generator=torch.Generator().manual_seed(1))
    loop = torch.stack([loss(each, target) for each in input])
    torch.testing.assert_close(torch.func.vmap(lambda x: loss(x, target))(input), loop)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(input[0], target), loop[0])


@pytest.mark.parametrize("name", INNER)
def test_survives_a_file(name: str, tmp_path) -> None:
    loss = TransformedTarget(
        INNER[name], function="power", exponent=0.3, center=1.5, scale=0.1, relative=True, floor=0.2
    )
    loss.save(tmp_path / "loss.json")
    copy = lossmith.load(tmp_path / "loss.json")
    assert copy.config() == loss.config()
    shape = (4, loss.out_features) if loss.out_features > 1 else (4,)
    input, target = torch.full(shape, 0.3), torch.arange(4.0)
    assert torch.equal(copy(input, target), loss(input, target))


def test_fit_is_robust_to_outliers() -> None:
    clean = torch.randn(950, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = torch.cat([3 * clean + 10, torch.full((50,), 1e9, dtype=torch.float64)])
    config = TransformedTarget.for_target(target).config()
    assert config["center"] == pytest.approx(10.0, abs=0.5)
    assert config["scale"] == pytest.approx(3.0, rel=0.1)


def test_fit_is_median_and_interquartile_range_of_the_function() -> None:
    target = np.random.default_rng(0).gamma(2.0, size=101)
    lower, middle, upper = np.quantile(np.log1p(target), [0.25, 0.5, 0.75])
    loss = TransformedTarget.for_target(torch.from_numpy(target), function="log1p")
    assert loss.config()["center"] == pytest.approx(middle)
    assert loss.config()["scale"] == pytest.approx((upper - lower) / 1.349)


def test_fit_falls_back_where_the_quartiles_meet() -> None:
    spiked = torch.cat([torch.zeros(90), torch.arange(10.0)]).double()
    loss = TransformedTarget.for_target(spiked)
    assert loss.config()["scale"] == pytest.approx(spiked.std(correction=0).item())
    assert TransformedTarget.for_target(torch.full((5,), 7.0)).config()["scale"] == 1.0


def test_fit_keeps_what_is_given() -> None:
    config = TransformedTarget.for_target(torch.arange(9.0), scale=3.0, loss=lossmith.MAE).config()
    assert (config["center"], config["scale"]) == (4.0, 3.0)
    assert config["loss"] == {"loss": "mae", "arguments": {}}


def test_inner_loss_is_fitted_in_the_transformed_space() -> None:
    target = torch.linspace(1e5, 9e5, 101)
    loss = TransformedTarget.for_target(target, loss=lossmith.HLGauss)
    encoded = loss.encode(target)
    assert loss.loss.low < encoded.min()
    assert loss.loss.high > encoded.max()
    assert (loss.loss.high - loss.loss.low).item() < 5


def test_inner_instance_is_refitted_but_keeps_its_arguments() -> None:
    target = torch.linspace(1e5, 9e5, 101)
    histogram = lossmith.HLGauss(low=0.0, high=1.0, bins=20, sigma_ratio=1.0)
    inner = TransformedTarget.for_target(target, loss=histogram).loss.config()
    assert inner["low"] < -1 < 1 < inner["high"]
    assert (inner["bins"], inner["sigma_ratio"]) == (20, 1.0)
    huber = TransformedTarget.for_target(target, loss=lossmith.Huber(delta=0.25)).loss
    assert huber.config() == {"delta": 0.25}


def percentage(input: Tensor, target: Tensor) -> Tensor:
    return ((input - target) / target).abs()


def test_relative_absolute_error_is_the_percentage_error() -> None:
    """Of the decoded prediction, whatever the scale: value and gradient are those of MAPE."""
    target = torch.tensor([0.5, -2.0, 40.0], dtype=torch.float64)
    for loss in (
        TransformedTarget(lossmith.MAE(), relative=True),
        TransformedTarget(lossmith.MAE(), center=2.0, scale=5.0, relative=True, floor=0.1),
    ):
        for input in (torch.zeros(3), torch.ones(3)):
            got = loss(input.double(), target)
            expected = percentage(loss.decode(input.double()), target).mean()
            torch.testing.assert_close(got, expected)


def test_relative_weights_do_not_cancel_in_small_batches() -> None:
    """Batches of one add up to the whole, so that their minimiser is the whole's."""
    target = torch.tensor([1.0, 100.0, 100.0], dtype=torch.float64)
    loss = TransformedTarget(lossmith.MAE(), relative=True)

    def slope(target: Tensor) -> Tensor:
        prediction = torch.tensor(50.0, dtype=torch.float64, requires_grad=True)
        value = loss(prediction.expand(len(target)), target)
        return torch.autograd.grad(value, prediction)[0]

    alone = torch.stack([slope(row.reshape(1)) for row in target])
    torch.testing.assert_close(alone, torch.tensor([1.0, -0.01, -0.01], dtype=torch.float64))
    torch.testing.assert_close(alone.mean(), slope(target))


def test_relative_combines_with_a_sample_weight() -> None:
    target, input = torch.tensor([0.5, 2.0]), torch.zeros(2)
    loss = TransformedTarget(lossmith.MAE(), relative=True)
    doubled = loss(input, target, weight=torch.tensor([2.0, 1.0]))
    twice = loss(torch.zeros(3), torch.tensor([0.5, 0.5, 2.0]))
    torch.testing.assert_close(doubled, twice)


def test_relative_shares_stop_at_the_floor() -> None:
    target = torch.tensor([0.0, 100.0, 200.0, 300.0])
    loss = TransformedTarget.for_target(target, relative=True)
    assert loss.config()["floor"] == pytest.approx(2.0)
    bare = loss.loss.values(torch.zeros(4), loss.encode(target))
    share = loss.values(torch.zeros(4), target) / bare / loss.scale
    torch.testing.assert_close(share, torch.tensor([0.5, 0.01, 0.005, 1 / 300]).to(share))


def test_several_outputs_take_relative_shares() -> None:
    loss = TransformedTarget(lossmith.GaussianNLL(), relative=True)
    input, target = torch.zeros(3, 2), torch.tensor([1.0, 2.0, 4.0])
    weight = 1 / target
    expected = (loss.loss.values(input, target) * weight).mean()
    torch.testing.assert_close(loss(input, target), expected)


def test_integer_targets_are_numbers() -> None:
    loss = TransformedTarget(function="log1p", relative=True)
    whole = torch.tensor([1, 20, 300])
    assert torch.equal(loss(torch.zeros(3), whole), loss(torch.zeros(3), whole.float()))


@pytest.mark.parametrize("target", [-1.0, -5.0])
def test_log1p_refuses_targets_of_minus_one_and_below(target: float) -> None:
    targets = torch.tensor([3.0, target])
    with pytest.raises(ValueError, match="targets above -1"):
        TransformedTarget(function="log1p")(torch.zeros(2), targets)
    with pytest.raises(ValueError, match="targets above -1"):
        TransformedTarget.for_target(targets, function="log1p")


def test_log1p_refuses_them_compiled_as_well() -> None:
    compiled = torch.compile(
        TransformedTarget(function="log1p"), fullgraph=True, backend="aot_eager"
    )
    with pytest.raises(RuntimeError, match="targets above -1"):
        compiled(torch.zeros(2), torch.tensor([3.0, -2.0]))


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'identity' or 'log1p' or 'power'.*'sqrt'"):
        TransformedTarget(function="sqrt")
    with pytest.raises(ValueError, match="scale"):
        TransformedTarget(scale=0.0)
    with pytest.raises(TypeError, match="regression loss"):
        TransformedTarget(TransformedTarget())
    with pytest.raises(TypeError, match="regression loss"):
        TransformedTarget(torch.nn.MSELoss())
    with pytest.raises(ValueError, match=r"\(4, 1\).*\(4,\)"):
        TransformedTarget()(torch.zeros(4, 1), torch.zeros(4))
    with pytest.raises(ValueError, match="NaN"):
        TransformedTarget.for_target(torch.tensor([1.0, math.inf]))
