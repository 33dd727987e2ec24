"""Quantiles and expectiles: values, minimisers, and quantiles that cannot cross."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import mean_pinball_loss

import lossmith
from lossmith import functional as F

LEVELS = (0.05, 0.25, 0.5, 0.9)


def sample(rows: int = 200, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).gamma(2.0, size=rows))


@pytest.mark.parametrize("level", [0.01, 0.5, 0.9])
def test_value_is_sklearns(level: float) -> None:
    target, input = sample(), sample(seed=1)
    expected = mean_pinball_loss(target.numpy(), input.numpy(), alpha=level)
    assert lossmith.Quantile(level=level)(input, target).item() == pytest.approx(
        expected, rel=1e-12
    )


def test_gradient_is_the_level_on_each_side_and_zero_between() -> None:
    input = torch.tensor([0.0, 2.0, 1.0], dtype=torch.float64, requires_grad=True)
    values = F.quantile(input, torch.ones(3, dtype=torch.float64), level=0.9)
    (slope,) = torch.autograd.grad(values.sum(), input)
    torch.testing.assert_close(slope, torch.tensor([-0.9, 0.1, 0.0], dtype=torch.float64))


def test_several_levels_are_the_mean_of_sklearns() -> None:
    target = sample()
    loss = lossmith.Quantile(level=LEVELS)
    output = torch.randn(200, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    columns = loss.decode(output).T.numpy()
    expected = np.mean(
        [
            mean_pinball_loss(target.numpy(), column, alpha=level)
            for level, column in zip(LEVELS, columns, strict=True)
        ]
    )
    assert loss.out_features == 4
    assert loss(output, target).item() == pytest.approx(expected, rel=1e-12)


@settings(max_examples=200)
@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(2, 9)),
        elements=st.floats(-3e4, 3e4, width=32),
    )
)
def test_quantiles_never_cross(output: np.ndarray) -> None:
    quantiles = F.non_crossing(torch.from_numpy(output))
    assert (quantiles.diff(dim=1) >= 0).all()
    middle = output.shape[1] // 2
    assert (quantiles[:, middle].numpy() == output[:, 0]).all()


@pytest.mark.parametrize("shape", [(3,), (5, 3), (5, 3, 2)])
def test_head_is_in_dimension_one_or_alone(shape: tuple[int, ...]) -> None:
    output = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    loss, dim = lossmith.Quantile(level=(0.1, 0.5, 0.9)), min(1, len(shape) - 1)
    decoded = loss.decode(output)
    assert decoded.shape == shape
    assert (decoded.diff(dim=dim) >= 0).all()
    target = torch.zeros(shape[:dim] + shape[dim + 1 :])
    assert loss.values(output, target).shape == target.shape


def settle(loss: lossmith.Loss, target: torch.Tensor) -> torch.Tensor:
    """Minimise the loss of a constant head by L-BFGS and return what it decodes to."""
    head = torch.zeros(loss.out_features, dtype=torch.float64, requires_grad=True)
    shape = (len(target),) if loss.out_features == 1 else (len(target), loss.out_features)
    optimizer = torch.optim.Adam([head], lr=0.05)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=1500)
    for _ in range(1500):
        optimizer.zero_grad()
        loss(head.expand(shape), target).backward()
        optimizer.step()
        scheduler.step()
    return loss.decode(head.detach())


@pytest.mark.parametrize("level", [0.1, 0.5, 0.8])
def test_constant_minimiser_is_the_quantile(level: float) -> None:
    """The loss at the empirical quantile is no greater than at any target: exact, for it is
    piecewise linear with its bends at the targets."""
    target, loss = sample(101), lossmith.Quantile(level=level)
    losses = torch.stack([loss(place.expand(101), target) for place in target])
    assert target[losses.argmin()] == target.quantile(level, interpolation="higher")


def test_several_levels_settle_on_their_quantiles() -> None:
    target = sample(400)
    found = settle(lossmith.Quantile(level=LEVELS), target)
    expected = target.quantile(torch.tensor(LEVELS, dtype=torch.float64))
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.05)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.8])
def test_constant_minimiser_is_the_expectile(level: float) -> None:
    """At the expectile e, level·E(y − e)⁺ equals (1 − level)·E(e − y)⁺."""
    target = sample()
    found = settle(lossmith.Expectile(level=level), target)
    excess = target - found
    above, below = excess.relu().mean(), (-excess).relu().mean()
    assert (level * above).item() == pytest.approx(((1 - level) * below).item(), abs=1e-5)
    if level == 0.5:
        assert found.item() == pytest.approx(target.mean().item(), abs=1e-5)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 1.5, [0.1, 1.0], float("nan")])
def test_levels_outside_are_refused(level: object) -> None:
    with pytest.raises(ValueError, match=r"level must be in \(0, 1\)|level must be one number"):
        lossmith.Quantile(level=level)


@pytest.mark.parametrize("level", [[], [0.9, 0.1], [0.5, 0.5]])
def test_levels_that_do_not_increase_are_refused(level: list[float]) -> None:
    with pytest.raises(ValueError, match="increasing"):
        lossmith.Quantile(level=level)


def test_one_level_in_a_list_is_one_output() -> None:
    loss = lossmith.Quantile(level=[0.3])
    assert loss.out_features == 1
    assert loss.config() == {"level": 0.3}


def test_several_levels_refuse_a_head_of_another_width() -> None:
    with pytest.raises(ValueError, match=r"\(5, 2\).*head of 3"):
        lossmith.Quantile(level=(0.1, 0.5, 0.9))(torch.zeros(5, 2), torch.zeros(5))


def test_several_levels_survive_a_file(tmp_path) -> None:
    lossmith.Quantile(level=LEVELS).save(tmp_path / "loss.json")
    assert lossmith.load(tmp_path / "loss.json").config() == {"level": list(LEVELS)}
