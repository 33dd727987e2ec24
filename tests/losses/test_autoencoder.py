"""Autoencoders: bounds in two terms, free bits, total correlation, quantised codes."""

import itertools
import math

import pytest
import torch
from torch import Tensor

import lossmith as lm
from lossmith import functional as F


def numbers(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def latent(rows: int = 5, width: int = 3) -> dict[str, Tensor]:
    return {"mean": numbers(rows, width, seed=1), "log_variance": numbers(rows, width, seed=2)}


def test_the_two_terms_are_named_and_beta_weighs_one() -> None:
    given, target = {"reconstruction": numbers(5, 2, 4), **latent()}, numbers(5, 2, 4).sigmoid()
    for kind in (lm.BernoulliELBO, lm.GaussianELBO):
        one, four = kind().terms(given, target), kind(beta=4.0).terms(given, target)
        assert set(one) == {"reconstruction", "divergence"}
        assert four["reconstruction"] == one["reconstruction"]
        torch.testing.assert_close(four["divergence"], 4 * one["divergence"])


def test_the_bound_is_below_the_evidence_and_tight_at_the_posterior() -> None:
    """y = z + noise of variance 1/2: evidence and posterior of a linear model are known."""
    y = torch.tensor([[1.3]], dtype=torch.float64)
    evidence = torch.distributions.Normal(0.0, math.sqrt(1.5)).log_prob(y).item()
    mean, variance = y / 1.5, torch.tensor([[0.5 / 1.5]], dtype=torch.float64)

    def bound(mean: Tensor, variance: Tensor) -> float:
        g = torch.Generator().manual_seed(0)
        rows = 200_000
        many = {"mean": mean.expand(rows, 1), "log_variance": variance.log().expand(rows, 1)}
        z = F.sampled(*many.values(), generator=g)
        loss = lm.GaussianELBO(variance=0.5)
        return -loss({"reconstruction": z, **many}, y.expand(rows, 1)).item()

    assert bound(mean, variance) == pytest.approx(evidence, abs=0.01)
    assert bound(mean + 0.5, variance) < evidence - 0.1


def test_sampled_has_the_moments_and_the_gradient_of_its_parameters() -> None:
    mean = torch.full((100_000,), 2.0, requires_grad=True)
    log_variance = torch.full((100_000,), math.log(9.0), requires_grad=True)
    z = F.sampled(mean, log_variance, generator=torch.Generator().manual_seed(0))
    assert z.mean().item() == pytest.approx(2.0, abs=0.05)
    assert z.std().item() == pytest.approx(3.0, abs=0.05)
    slopes = torch.autograd.grad(z.sum(), (mean, log_variance))
    torch.testing.assert_close(slopes[0], torch.ones_like(mean))
    torch.testing.assert_close(slopes[1], (z - mean).detach() / 2)


def test_free_bits_are_free_below_the_floor_alone() -> None:
    mean = torch.tensor([[0.1, 3.0], [0.2, -3.0]], requires_grad=True)
    given = {"mean": mean, "log_variance": torch.zeros(2, 2)}
    value = lm.FreeBits(lambda_=0.5)(given)
    (slope,) = torch.autograd.grad(value, mean)
    assert value.item() == pytest.approx(0.5 + 4.5)
    assert (slope[:, 0] == 0).all()
    assert (slope[:, 1] != 0).all()


def test_free_bits_without_a_floor_are_the_divergence() -> None:
    given = latent()
    whole = lm.BernoulliELBO().terms({"reconstruction": numbers(5, 2), **given}, torch.zeros(5, 2))
    torch.testing.assert_close(lm.FreeBits(lambda_=0.0)(given), whole["divergence"])


@pytest.mark.parametrize("sampling", ["weighted", "stratified"])
def test_the_three_terms_add_up_to_the_divergence_of_the_sample(sampling: str) -> None:
    given = latent()
    z = numbers(5, 3, seed=3)
    loss = lm.BetaTC(size=50, beta=1.0, sampling=sampling)
    terms = loss.terms({"sample": z, **given})
    own = torch.distributions.Normal(given["mean"], (given["log_variance"] / 2).exp())
    prior = torch.distributions.Normal(torch.zeros(3).double(), torch.ones(3).double())
    right = (own.log_prob(z) - prior.log_prob(z)).sum(1).mean()
    torch.testing.assert_close(loss.combine(terms), right)
    tripled = lm.BetaTC(size=50, beta=3.0, sampling=sampling).terms({"sample": z, **given})
    torch.testing.assert_close(tripled["total_correlation"], 3 * terms["total_correlation"])


def test_one_latent_number_has_no_total_correlation() -> None:
    terms = lm.BetaTC(size=9).terms({"sample": numbers(5, 1, seed=3), **latent(width=1)})
    assert terms["total_correlation"].item() == pytest.approx(0, abs=1e-12)


def test_stratified_sampling_is_unbiased_for_the_density() -> None:
    """The mean over all batches that hold a row is the density of the whole data set there."""
    size, batch = 5, 3
    data, z = latent(size, 2), numbers(1, 2, seed=9)
    scale = (data["log_variance"] / 2).exp()
    each = torch.distributions.Normal(data["mean"], scale).log_prob(z).sum(1).exp()
    found = []
    for others in itertools.combinations(range(1, size), batch - 1):
        rows = torch.tensor([0, *others])
        given = {name: part[rows] for name, part in data.items()}
        given["sample"] = z.expand(batch, 2)
        terms = F.beta_tc(given, size=size, sampling="stratified")
        # the first row's own density over exp(mutual information) is its estimate of q(z)
        found.append(each[0] / terms["mutual_information"][0].exp())
    torch.testing.assert_close(torch.stack(found).mean(), each.mean())


def test_each_side_of_a_quantised_code_has_its_own_gradient() -> None:
    encoded = torch.tensor([[1.0, 0.0]], requires_grad=True)
    code = torch.tensor([[3.0, 1.0]], requires_grad=True)
    terms = lm.VectorQuantisation(beta=0.25).terms({"encoded": encoded, "code": code})
    gap = (encoded - code).detach()
    slopes = torch.autograd.grad(sum(terms.values()), (encoded, code))
    torch.testing.assert_close(slopes[0], 0.25 * gap)  # 2·beta·gap over 2 elements
    torch.testing.assert_close(slopes[1], -gap)
    (only,) = torch.autograd.grad(
        lm.VectorQuantisation().terms({"encoded": encoded, "code": code})["codebook"], code
    )
    torch.testing.assert_close(only, -gap)


def test_straight_through_is_the_code_with_the_encoders_gradient() -> None:
    encoded = torch.tensor([0.4, -2.0], requires_grad=True)
    code = torch.tensor([1.0, -1.0], requires_grad=True)
    out = F.straight_through(encoded, code)
    torch.testing.assert_close(out, code)
    (2 * out.sum()).backward()
    assert encoded.grad.tolist() == [2.0, 2.0]
    assert code.grad is None


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"log_variance has shape \(5, 2\)"):
        lm.FreeBits()({"mean": numbers(5, 3), "log_variance": numbers(5, 2)})
    given = {name: numbers(5, 2, 2) for name in ("sample", "mean", "log_variance")}
    with pytest.raises(ValueError, match=r"\(N, K\)"):
        lm.BetaTC(size=9)(given)
