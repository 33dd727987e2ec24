"""Contrastive losses against plain loops over their definitions, and what is known of them."""

import math

import pytest
import torch
from torch import Tensor, nn

import lossmith
from lossmith import Progress
from lossmith import functional as F
from lossmith.core.bases import ALL

X = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Y = X + 0.5 * torch.randn(5, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
COUPLED = ["nt_xent", "dcl", "info_nce", "clip", "siglip"]


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / a.norm() / b.norm())


def looped(key: str, temperature: float) -> float:
    """The definition, pair by pair."""
    total, rows = 0.0, range(len(X))
    for i in rows:
        for here, there in ((X, Y), (Y, X)):
            positive = cosine(here[i], there[i]) / temperature
            across = [cosine(here[i], there[j]) / temperature for j in rows]
            within = [cosine(here[i], here[j]) / temperature for j in rows if j != i]
            others = {
                "nt_xent": across + within,
                "dcl": across[:i] + across[i + 1 :] + within,
                "clip": across,
                "info_nce": across,
            }[key]
            if key != "info_nce" or here is X:
                total += math.log(sum(map(math.exp, others))) - positive
    return total / len(X) / (1 if key == "info_nce" else 2)


@pytest.mark.parametrize("key", ["nt_xent", "dcl", "info_nce", "clip"])
@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_equals_its_definition(key: str, temperature: float) -> None:
    value = getattr(F, key)(X, Y, temperature=temperature).mean()
    assert value.item() == pytest.approx(looped(key, temperature), rel=1e-12)


def test_siglip_equals_its_definition() -> None:
    total = 0.0
    for i in range(5):
        for j in range(5):
            sign = 1 if i == j else -1
            score = sign * (cosine(X[i], Y[j]) / 0.2 - 1.5)
            total += math.log1p(math.exp(-score))
    value = F.siglip(X, Y, temperature=0.2, bias=-1.5).mean()
    assert value.item() == pytest.approx(total / 5, rel=1e-12)


@pytest.mark.parametrize("key", COUPLED)
def test_only_directions_count(key: str) -> None:
    loss, sizes = lossmith.get(key), torch.tensor([1e-3, 1e9, 2.0, 1.0, 7.0]).double().unsqueeze(1)
    torch.testing.assert_close(loss(X * sizes, Y / sizes), loss(X, Y), rtol=1e-10, atol=0)


@pytest.mark.parametrize("key", COUPLED)
def test_some_rows_against_all_are_the_same_rows_of_all(key: str) -> None:
    loss, own = lossmith.get(key), slice(1, 4)
    torch.testing.assert_close(loss.values(X, Y, own), loss.values(X, Y)[own])


@pytest.mark.parametrize("key", COUPLED)
def test_a_subclass_may_have_values_or_weights_of_its_own(key: str) -> None:
    kind, own = lossmith.find()[key], slice(1, 4)

    class Doubled(kind):  # type: ignore
        def values(self, input: Tensor, target: Tensor, own: slice = ALL) -> Tensor:
            return 2 * super().values(input, target, own)

    class Alike(kind):  # type: ignore
        def weights(self, target: Tensor) -> Tensor:
            return torch.ones(len(target))

    torch.testing.assert_close(Doubled().values(X, Y, own), 2 * kind().values(X, Y)[own])
    torch.testing.assert_close(Alike()(X, Y), kind()(X, Y))


@pytest.mark.parametrize("key", ["nt_xent", "dcl", "clip"])
def test_views_may_be_swapped(key: str) -> None:
    loss = lossmith.get(key)
    torch.testing.assert_close(loss(X, Y), loss(Y, X))


def test_equal_rows_cost_the_logarithm_of_their_number() -> None:
    same = torch.ones(5, 3)
    assert lossmith.get("nt_xent")(same, same).item() == pytest.approx(math.log(9))
    assert lossmith.get("dcl")(same, same).item() == pytest.approx(math.log(8))
    assert lossmith.get("info_nce")(same, same).item() == pytest.approx(math.log(5))
    assert lossmith.get("clip")(same, same).item() == pytest.approx(math.log(5))


def test_cosines_far_below_the_temperature_are_exact_in_float32() -> None:
    """exp(1 / 0.001) overflows; the loss of separated pairs is 0 and never below."""
    eye = torch.eye(4)
    value = lossmith.get("nt_xent", temperature=0.001)(eye, eye)
    assert value.item() == 0


@pytest.mark.parametrize("key", ["nt_xent", "dcl", "info_nce", "siglip", "sup_con"])
@pytest.mark.parametrize("temperature", [1e-39, 1e-30])
def test_the_least_temperatures_are_finite(key: str, temperature: float) -> None:
    rows, learned = X.float().requires_grad_(), torch.tensor(temperature, requires_grad=True)
    other = torch.tensor([0, 0, 1, 1, 2]) if key == "sup_con" else Y.float()
    more = {"bias": 0.0} if key == "siglip" else {}
    value = getattr(F, key)(rows, other, temperature=learned, **more)
    slopes = torch.autograd.grad(value.mean(), (rows, learned))
    assert value.isfinite().all()
    assert all(slope.isfinite().all() for slope in slopes)


def test_clips_scale_is_held_at_100_and_can_come_back() -> None:
    loss = lossmith.get("clip").double()
    with torch.no_grad():
        loss.log_scale.fill_(9.0)
    assert loss.temperature.item() == pytest.approx(0.01)
    swapped = Y[[1, 2, 3, 4, 0]]
    (slope,) = torch.autograd.grad(loss(X, swapped), loss.log_scale)
    assert slope > 0  # wrong pairs want a smaller scale
    with torch.no_grad():
        loss.log_scale.fill_(math.log(100))
    (right,) = torch.autograd.grad(loss(X, swapped), loss.log_scale)
    torch.testing.assert_close(slope, right)


def test_siglip_starts_as_its_paper_does() -> None:
    loss = lossmith.get("siglip")
    assert loss.log_scale.item() == pytest.approx(math.log(10))
    assert loss.bias.item() == -10


def test_mocos_queue_holds_the_latest_keys() -> None:
    loss = lossmith.get("moco", features=2, size=3)
    keys = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, -5.0]])
    loss.observe(Progress(step=1, signals={"keys": keys[:2]}))
    loss.observe(Progress(step=1, signals={"keys": keys[:2]}))  # a step counts once
    assert loss.queue.tolist() == [[1, 0], [0, 1], [0, 0]]
    loss.observe(Progress(step=2, signals={"keys": keys[2:]}))
    assert loss.queue.tolist() == [[0, -1], [0, 1], [-1, 0]]
    loss.observe(Progress(step=3, signals={"keys": keys}))
    assert {tuple(key) for key in loss.queue.tolist()} == {(0, 1), (-1, 0), (0, -1)}


def test_mocos_queue_stays_in_float32() -> None:
    loss = lossmith.get("moco", features=2, size=3).half()
    loss.observe(Progress(step=1, signals={"keys": torch.tensor([[3.0, 4.0], [0.0, 0.0]])}))
    expected = torch.tensor([[0.6, 0.8], [0.0, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(loss.queue, expected)


def test_mocos_keys_take_no_gradient() -> None:
    loss, keys = lossmith.get("moco", features=4, size=8), Y.clone().requires_grad_()
    loss.observe(Progress(step=1, signals={"keys": Y}))
    queries = X.clone().requires_grad_()
    loss(queries, keys).backward()
    assert keys.grad is None
    assert queries.grad.abs().sum() > 0


def test_other_shapes_are_refused() -> None:
    for key in (*COUPLED, "n_pair"):
        with pytest.raises(ValueError, match=r"rows of embeddings \(N, D\), got \(5, 2, 2\)"):
            lossmith.get(key)(X.reshape(5, 2, 2), Y.reshape(5, 2, 2))
    with pytest.raises(ValueError, match=r"\(N, 3\), got \(5, 4\)"):
        lossmith.get("moco", features=3, size=2)(X, Y)


def test_gradients_at_embeddings_train_an_encoder_part_by_part() -> None:
    """GradCache: one batch's gradient by parts, of which the encoder holds one at a time."""
    torch.manual_seed(0)
    encoder, loss = nn.Linear(5, 3).double(), lossmith.InfoNCE()
    asked, found = torch.randn(2, 8, 5, dtype=torch.float64)
    loss(encoder(asked), encoder(found)).backward()
    expected = [one.grad.clone() for one in encoder.parameters()]
    encoder.zero_grad()
    with torch.no_grad():
        seen = [encoder(side) for side in (asked, found)]
    leaves = [one.requires_grad_() for one in seen]
    loss(*leaves).backward()
    for side, leaf in zip((asked, found), leaves, strict=True):
        for part, gradient in zip(side.split(3), leaf.grad.split(3), strict=True):
            encoder(part).backward(gradient)
    for one, right in zip(encoder.parameters(), expected, strict=True):
        torch.testing.assert_close(one.grad, right)
