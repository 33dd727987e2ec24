"""The sampled cross-entropy of a linear head: TensorFlow's formula, the full loss at its limit."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from lossmith import LinearCrossEntropy, LossScheduler, Progress, SampledLinearCrossEntropy, reduce
from lossmith import functional as F
from lossmith.functional import similarity
from lossmith.functional.classification import linear as module

N, D, C, S = 7, 4, 30, 9
ZIPF = 1 / torch.arange(1.0, C + 1, dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem(**given: object) -> tuple[SampledLinearCrossEntropy, Tensor, Tensor]:
    """A loss with a head that is not 0, input and targets of which some are drawn."""
    loss = SampledLinearCrossEntropy(in_features=D, classes=C, samples=S, **given).double()
    g = generator()
    with torch.no_grad():
        for parameter in loss.head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=g, dtype=torch.float64))
    target = torch.randint(C, (N,), generator=g)
    target[0], target[1] = loss.drawn[2], loss.drawn[5]
    return loss, torch.randn(N, D, generator=g, dtype=torch.float64), target


def tensorflows(loss: SampledLinearCrossEntropy, input: Tensor, target: Tensor) -> Tensor:
    """tf.nn.sampled_softmax_loss as its documentation tells it, number by number.

    Logits less the logarithm of the expected counts, of the true class first and then of the
    candidates; candidates that are the true class by accident get -FLOAT_MAX; softmax.
    """
    weight, bias, time = loss.head.weight.tolist(), loss.head.bias, float(loss.time)
    bias = [0.0] * C if bias is None else bias.tolist()
    shares = loss.cumulative.diff().tolist()
    values = []
    for row, true in zip(input.tolist(), target.tolist(), strict=True):
        logits = []
        for place, candidate in enumerate([true, *loss.drawn.tolist()]):
            logit = math.fsum(a * b for a, b in zip(row, weight[candidate], strict=True))
            logit += bias[candidate]
            if place > 0 or loss.correct_target:
                logit -= math.log(1 - math.exp(-shares[candidate] * time))
            logits.append(logit if place == 0 or candidate != true else -1e300)
        top = max(logits)
        values.append(top + math.log(math.fsum(math.exp(x - top) for x in logits)) - logits[0])
    return torch.tensor(values, dtype=torch.float64)


SETTINGS: list[dict[str, object]] = [
    {"distribution": distribution, "correct_target": correct, "bias": bias}
    for distribution in ("uniform", "log_uniform")
    for correct in (True, False)
    for bias in (True, False)
]
SETTINGS.append({"counts": ZIPF.flip(0).tolist()})


@pytest.mark.parametrize("given", SETTINGS, ids=str)
def test_equals_tensorflows_formula(given: dict[str, object]) -> None:
    loss, input, target = problem(**given)
    value = loss(input, target)
    expected = tensorflows(loss, input, target)
    assert value.item() == pytest.approx(expected.mean().item(), rel=1e-12)


@pytest.mark.parametrize("given", SETTINGS, ids=str)
def test_with_all_classes_it_is_the_full_loss(given: dict[str, object]) -> None:
    loss, input, target = problem(**given)
    full, _, _ = problem(**given)
    loss = SampledLinearCrossEntropy(**{**loss.config(), "samples": C}).double()
    loss.head.load_state_dict(full.head.state_dict())
    row_weight = torch.rand(N, generator=generator(1), dtype=torch.float64)
    target[3] = -100
    outcomes = []
    for one in (loss.train(), full.eval()):
        leaf = input.clone().requires_grad_()
        value = one(leaf, target, weight=row_weight)
        outcomes.append((value, *torch.autograd.grad(value, [leaf, *one.head.parameters()])))
    for ours, theirs in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_the_more_samples_the_nearer_to_the_full_loss() -> None:
    full, input, target = problem()
    truth = full.eval()(input, target).item()
    gaps = []
    for samples in (3, 10, 20, 27, 29, 30):
        loss = SampledLinearCrossEntropy(in_features=D, classes=C, samples=samples).double()
        loss.head.load_state_dict(full.head.state_dict())
        values = []
        for step in range(40):
            loss.observe(Progress(step=step))
            values.append(loss(input, target).item())
        gaps.append(truth - sum(values) / len(values))
    assert gaps == sorted(gaps, reverse=True)  # an underestimate, less and less of one
    assert gaps[-1] == pytest.approx(0, abs=1e-10)


def test_in_evaluation_it_is_the_loss_that_samples_nothing() -> None:
    loss, input, target = problem(bias=True, class_weight=torch.arange(1.0, C + 1).tolist())
    target[2] = -100
    plain = LinearCrossEntropy(
        in_features=D, classes=C, bias=True, class_weight=torch.arange(1.0, C + 1).tolist()
    ).double()
    plain.head.load_state_dict(loss.head.state_dict())
    assert torch.equal(loss.eval()(input, target), plain(input, target))
    assert torch.equal(loss.decode(input), plain.decode(input))


# Expectations over all samples of two of five classes, each as likely: nothing is left to chance.
PAIRS = [torch.tensor(pair) for pair in itertools.combinations(range(5), 2)]
TRUTH = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05], dtype=torch.float64)


def of_logits(logits: Tensor, sampled: Tensor, *, correct: bool) -> Tensor:
    """The value of each of five targets under logits, with two of five drawn."""
    one, expected = torch.ones(5, 1, dtype=torch.float64), torch.full((5,), 0.4).double()
    return F.sampled_linear_cross_entropy(
        one,
        logits.unsqueeze(1),
        torch.arange(5),
        sampled,
        expected=expected[:2],
        target_expected=expected if correct else None,
    )


def test_what_it_teaches_is_the_full_softmax() -> None:
    logits = TRUTH.log().requires_grad_()
    expected = sum(TRUTH @ of_logits(logits, pair, correct=True) for pair in PAIRS) / len(PAIRS)
    (slope,) = torch.autograd.grad(expected, logits)
    assert slope.abs().max() < 1e-15


def test_without_the_targets_correction_the_normaliser_is_estimated_without_bias() -> None:
    logits = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0], dtype=torch.float64)
    normaliser = sum((of_logits(logits, p, correct=False) + logits).exp() for p in PAIRS)
    torch.testing.assert_close(normaliser / len(PAIRS), logits.exp().sum().expand(5))
    values = torch.stack([of_logits(logits, pair, correct=False) for pair in PAIRS])
    full = logits.logsumexp(0) - logits
    assert (values.mean(0) < full).all()  # the logarithm of what is right on average is too low
    slope_at_truth = TRUTH.log().requires_grad_()
    expected = sum(TRUTH @ of_logits(slope_at_truth, p, correct=False) for p in PAIRS) / len(PAIRS)
    (slope,) = torch.autograd.grad(expected, slope_at_truth)
    assert slope[0] < 0  # it would have the likeliest class likelier than it is
    assert slope[0] == slope.min()


@pytest.mark.parametrize("drawing", ["one_by_one", "all_at_once"])
@pytest.mark.parametrize("distribution", ["uniform", "zipf"])
def test_classes_are_drawn_as_often_as_expected(
    drawing: str, distribution: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FEW", 0 if drawing == "one_by_one" else 10**9)
    shares = torch.full_like(ZIPF, 1 / C) if distribution == "uniform" else ZIPF / ZIPF.sum()
    cumulative = torch.cat([shares.new_zeros(1), shares.cumsum(0)])
    time, draws, g = F.drawing_time(cumulative, S), 4000, generator(2)
    seen = torch.zeros(C)
    for _ in range(draws):
        drawn = F.draw_classes(cumulative, S, time, generator=g)
        assert len(drawn) == len(drawn.unique()) == S
        seen[drawn] += 1
    expected = -torch.expm1(-shares * time)
    assert expected.sum() == pytest.approx(S)
    noise = (expected * (1 - expected) / draws).sqrt()
    approximate = 0.0 if distribution == "uniform" else 0.06 * expected  # at samples so few
    assert ((seen / draws - expected).abs() < 4 * noise + approximate).all()


def test_log_uniform_shares_are_tensorflows() -> None:
    loss, _, _ = problem(distribution="log_uniform")
    place = torch.arange(C, dtype=torch.float64)
    shares = ((place + 2).log() - (place + 1).log()) / math.log(C + 1)
    torch.testing.assert_close(loss.cumulative.diff(), shares)


@pytest.mark.parametrize("bias", [True, False])
def test_a_sparse_gradient_is_the_dense_one_of_the_rows_drawn(bias: bool) -> None:
    slopes = []
    for sparse in (False, True):
        loss, input, target = problem(sparse=sparse, bias=bias)
        (slope,) = torch.autograd.grad(loss(input, target), loss.head.weight)
        slopes.append(slope)
    dense, sparse_one = slopes[0], slopes[1].coalesce()
    torch.testing.assert_close(sparse_one.to_dense(), dense)
    rows = torch.cat([loss.drawn, target]).unique()
    assert torch.equal(sparse_one.indices()[0], rows)
    outside = torch.ones(C, dtype=torch.bool).index_fill(0, rows, False)
    assert (dense[outside] == 0).all()


def test_sparse_adam_learns_a_sharp_head() -> None:
    loss = SampledLinearCrossEntropy(in_features=C, classes=C, samples=8, sparse=True)
    optimizer = torch.optim.SparseAdam(loss.parameters(), lr=0.3)
    clock = LossScheduler(loss, optimizer=optimizer)
    input, target = torch.eye(C), torch.arange(C)
    for _ in range(40):
        optimizer.zero_grad()
        loss(input, target).backward()
        optimizer.step()
        clock.step()
    assert loss.eval()(input, target) < 0.2


def test_the_sample_follows_the_step_and_the_seed_alone() -> None:
    loss, input, target = problem(seed=3)
    first = loss.drawn.clone()
    loss.observe(Progress(step=5))
    later, value = loss.drawn.clone(), loss(input, target)
    assert not torch.equal(first, later)
    loss.observe(Progress(step=5))
    assert torch.equal(loss.drawn, later)
    other, _, _ = problem(seed=3)
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other(input, target), value)
    assert not torch.equal(problem(seed=4)[0].drawn, first)
    loss.observe(Progress(step=0))
    assert torch.equal(loss.drawn, first)


def test_a_tile_at_a_time_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = []
    for few in (10**9, 0):
        monkeypatch.setattr(similarity, "FEW_PRODUCTS", few)
        loss, input, target = problem(bias=True)
        leaf = input.requires_grad_()
        value = loss(leaf, target)
        outcomes.append((value, *torch.autograd.grad(value, [leaf, *loss.head.parameters()])))
    for ours, theirs in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    loss, input, target = problem()
    loss, half = loss.to(dtype), input.to(dtype)
    value = loss(half, target)
    exact = loss.double()(half.double(), target)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)
    assert loss.cumulative.dtype == loss.time.dtype == torch.float64


WRONG = {
    "counts has 3 numbers for 30": {"counts": [1.0, 2.0, 3.0]},
    r"counts must be in \(0, inf\)": {"counts": [0.0] * C},
    "distribution must be 'uniform' or 'log_uniform'": {"distribution": "zipf"},
}


@pytest.mark.parametrize("message", WRONG)
def test_what_cannot_be_drawn_is_an_error(message: str) -> None:
    with pytest.raises(ValueError, match=message):
        problem(**WRONG[message])


def test_what_does_not_fit_is_named() -> None:
    loss, input, target = problem()
    with pytest.raises(ValueError, match="outside 0 … 29"):
        loss(input, target + C)
    with pytest.raises(ValueError, match="input has shape"):
        loss(input[:-1], target)
    with pytest.raises(ValueError, match=r"sampled has shape \(9,\) and expected \(8,\)"):
        F.sampled_linear_cross_entropy(
            input, loss.head.weight, target, loss.drawn, expected=torch.ones(S - 1)
        )
    with pytest.raises(ValueError, match="ascending order"):
        F.sampled_linear_cross_entropy(
            input, loss.head.weight, target, loss.drawn.flip(0), expected=torch.ones(S)
        )


def test_rows_that_weigh_nothing_have_no_gradient() -> None:
    loss, input, target = problem()
    target[:2] = -100
    leaf = input.requires_grad_()
    value = loss(leaf, target)
    (slope,) = torch.autograd.grad(value, leaf)
    assert (slope[:2] == 0).all()
    kept = reduce(tensorflows(loss, input[2:], target[2:]))
    assert value.item() == pytest.approx(kept.item())
