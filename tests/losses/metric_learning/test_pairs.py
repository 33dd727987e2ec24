"""Metric learning: definitions in loops, invariances, rows without pairs, proxies and margins."""

import math

import pytest
import torch
from torch import Tensor

import lossmith
from lossmith import functional as F
from lossmith.functional.embeddings import distances, dots, unit_rows
from lossmith.functional.metric_learning.pairs import pair_masks

GENERATOR = torch.Generator().manual_seed(7)
ROWS = torch.randn(7, 3, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.tensor([0, 0, 0, 1, 1, 2, 2])
ON_SPHERE = ("triplet", "multi_similarity", "circle", "sup_con", "fast_ap", "tuplet_margin")
PAIRS = ("contrastive", "lifted_structured", *ON_SPHERE)
PROXIES = (
    "proxy_nca",
    "proxy_anchor",
    "soft_triple",
    "arc_face",
    "sub_center_arc_face",
    "cos_face",
    "sphere_face",
    "ada_face",
    "curricular_face",
    "mag_face",
)
BY_LENGTH = ("sphere_face", "ada_face", "mag_face")


def loss_of(key: str, **hypers) -> lossmith.core.Loss:
    sizes = {"classes": 3, "features": 3} if key in PROXIES else {}
    return lossmith.get(key, **sizes, **hypers)


def slope(loss, rows: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
    leaf = rows.clone().requires_grad_()
    value = loss(leaf, *rest)
    (found,) = torch.autograd.grad(value, leaf)
    return value.detach(), found


def gaps(squared: bool = True) -> list[list[float]]:
    unit = (ROWS / ROWS.norm(dim=1, keepdim=True)).tolist()
    power = 2 if squared else 1
    return [[math.dist(a, b) ** power for b in unit] for a in unit]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_geometry_holds_at_all_sizes(dtype: torch.dtype) -> None:
    direction = torch.tensor([[3.0, 4.0]], dtype=dtype)
    for size in (1e-8, 1.0, 1e15, torch.finfo(dtype).max / 8):
        torch.testing.assert_close(unit_rows(direction * size), direction / 5)
    rows = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=dtype) * 1e18
    torch.testing.assert_close(distances(rows, rows)[0, 1].item(), 5e18, rtol=1e-6, atol=0)
    torch.testing.assert_close(dots(rows, rows)[1, 1].item(), 25e36, rtol=1e-6, atol=0)


@pytest.mark.parametrize("compiled", [False, True])
def test_unit_rows_of_half_precision_are_single(compiled: bool) -> None:
    function = torch.compile(unit_rows, backend="eager") if compiled else unit_rows
    for rows in (torch.zeros(1, 2), torch.tensor([[3e4, 4e4]])):
        torch.testing.assert_close(function(rows.half()), unit_rows(rows), rtol=1e-3, atol=0)


def test_distances_keep_digits_far_from_the_origin() -> None:
    rows = torch.tensor([[1000.0, 1000.0], [1000.0, 1001.0]])
    assert distances(rows, rows)[0, 1].item() == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize(("centre", "spread"), [(1.0, 3e-4), (1000.0, 0.01)])
def test_near_pairs_of_a_spread_out_batch_keep_their_digits(centre: float, spread: float) -> None:
    side = torch.tensor([centre, -centre]).repeat(16).unsqueeze(1)
    noise = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
    rows, classes = side + spread * noise, torch.arange(32) % 2
    value, found = slope(loss_of("contrastive"), rows, classes)
    expected, exact = slope(loss_of("contrastive"), rows.double(), classes)
    torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0)


def test_contrastive_of_huge_rows_has_a_gradient() -> None:
    _, found = slope(loss_of("contrastive"), ROWS.float() * 1e30, CLASSES)
    _, expected = slope(loss_of("contrastive"), ROWS * 1e30, CLASSES)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)


def test_contrastive_is_its_definition() -> None:
    points = ROWS.tolist()
    expected = 0.0
    for i, a in enumerate(points):
        for j, b in enumerate(points):
            d = math.dist(a, b)
            part = d**2 / 2 if CLASSES[i] == CLASSES[j] else max(0.0, 2.0 - d) ** 2 / 2
            expected += part if i != j else 0.0
    got = loss_of("contrastive", margin=2.0)(ROWS, CLASSES)
    assert got.item() == pytest.approx(expected / (7 * 6))


@pytest.mark.parametrize("squared", [True, False])
def test_semi_hard_triplets_are_facenets(squared: bool) -> None:
    found = []
    for a, row in enumerate(gaps(squared)):
        negatives = [row[n] for n in range(7) if CLASSES[n] != CLASSES[a]]
        for p in range(7):
            if p != a and CLASSES[p] == CLASSES[a]:
                beyond = [d for d in negatives if d > row[p]]
                chosen = min(beyond) if beyond else max(negatives)
                found.append(max(0.0, row[p] - chosen + 0.2))
    got = loss_of("triplet", squared=squared)(ROWS, CLASSES)
    assert got.item() == pytest.approx(sum(found) / len(found))


def semi_hard_at_once(gap: Tensor, alike: Tensor, unlike: Tensor) -> Tensor:
    """The definition over all N³ triplets, with ties shared by torch.amin."""
    beyond = unlike.unsqueeze(1) & (gap.unsqueeze(1) > gap.unsqueeze(2))
    nearest = torch.where(beyond, gap.unsqueeze(1), math.inf).amin(2)
    farthest = torch.where(unlike, gap, -math.inf).amax(1, keepdim=True)
    cost = (0.2 + gap - torch.where(beyond.any(2), nearest, farthest)).relu()
    kept = alike & unlike.any(1, keepdim=True)
    return torch.where(kept, cost, 0).sum(1) / kept.sum(1).clamp(min=1)


@pytest.mark.parametrize("distinct", [3, 12, 1000])
def test_semi_hard_triplets_are_those_of_all_at_once(distinct: int) -> None:
    """Of 3 or 12 distinct directions many distances are equal."""
    generator = torch.Generator().manual_seed(distinct)
    directions = torch.randn(distinct, 4, generator=generator, dtype=torch.float64)
    rows = directions[torch.randint(distinct, (40,), generator=generator)]
    classes = torch.randint(5, (40,), generator=generator)

    def at_once(rows: Tensor) -> Tensor:
        gap = (2 - 2 * F.cosines(rows, rows)).clamp(min=0)
        return semi_hard_at_once(gap, *pair_masks(classes)).sum()

    value, found = slope(lambda rows: F.triplet(rows, classes).sum(), rows)
    expected, exact = slope(at_once, rows)
    torch.testing.assert_close(value, expected, rtol=1e-13, atol=0)
    torch.testing.assert_close(found, exact, rtol=1e-10, atol=1e-12)


def test_semi_hard_triplets_keep_no_more_than_the_pairs() -> None:
    sizes = []

    def note(kept: Tensor) -> Tensor:
        sizes.append(kept.numel())
        return kept

    with torch.autograd.graph.saved_tensors_hooks(note, lambda kept: kept):
        F.triplet(ROWS.clone().requires_grad_(), CLASSES)
    assert max(sizes) == 7 * 7


def test_hardest_triplets_cost_most() -> None:
    hardest, every, semi = (
        loss_of("triplet", mining=mining)(ROWS, CLASSES)
        for mining in ("hardest", "all", "semi_hard")
    )
    assert hardest > every
    assert hardest > semi


def test_n_pair_is_cross_entropy_of_inner_products() -> None:
    other = ROWS.flip(0)
    expected = torch.nn.functional.cross_entropy(ROWS @ other.T, torch.arange(7))
    torch.testing.assert_close(loss_of("n_pair")(ROWS, other), expected)


def test_sup_con_of_two_views_is_nt_xent() -> None:
    """With each class twice in a batch, the only positive is the other view."""
    classes = torch.tensor([0, 1, 2, 0, 1, 2])
    unit = unit_rows(ROWS[:6])
    logits = (unit @ unit.T / 0.5).fill_diagonal_(-math.inf)
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([3, 4, 5, 0, 1, 2]))
    torch.testing.assert_close(loss_of("sup_con", temperature=0.5)(ROWS[:6], classes), expected)


def test_the_gradient_of_circle_is_paced() -> None:
    """Its slope by a cosine is gamma·pace times the softmax, the pace held constant."""
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=torch.float64)
    s_p, s_n = 0.0, 0.6
    a_p, a_n = 1.4 - s_p, s_n + 0.4
    share = 1 / (1 + math.exp(-(a_n * (s_n - 0.4) - a_p * (s_p - 0.6))))
    loss = loss_of("circle", gamma=1.0)
    weight = torch.tensor([1.0, 0.0, 0.0])
    leaf = rows.clone().requires_grad_()
    loss(leaf, torch.tensor([0, 0, 1]), weight=weight).backward()
    # the anchor (1, 0) may turn towards (0, 1): ds_p = 1, ds_n = 0.8
    assert leaf.grad is not None
    assert leaf.grad[0, 1].item() == pytest.approx(share * (a_n * 0.8 - a_p))


@pytest.mark.parametrize("key", sorted({*ON_SPHERE, *PROXIES} - {*BY_LENGTH}))
def test_the_length_of_embeddings_does_not_matter(key: str) -> None:
    loss = loss_of(key)
    length = torch.linspace(0.1, 30.0, 7, dtype=torch.float64).unsqueeze(1)
    torch.testing.assert_close(loss(ROWS * length, CLASSES), loss(ROWS, CLASSES))


@pytest.mark.parametrize("key", PAIRS)
def test_a_rotation_and_other_names_of_classes_do_not_matter(key: str) -> None:
    loss, (turn, _) = loss_of(key), torch.linalg.qr(ROWS[:3])
    torch.testing.assert_close(loss(ROWS @ turn, 7 - CLASSES), loss(ROWS, CLASSES))


@pytest.mark.parametrize("key", ["triplet", "circle", "sup_con"])
def test_an_anchor_without_pairs_weighs_nothing(key: str) -> None:
    loss = loss_of(key)
    lonely = CLASSES.clone()
    lonely[6] = 5
    alone = torch.tensor([1.0] * 5 + [0.0, 0.0])
    torch.testing.assert_close(loss(ROWS, lonely), loss(ROWS, lonely, weight=alone))


@pytest.mark.parametrize("key", PAIRS)
@pytest.mark.parametrize("classes", [[0, 0, 0], [0, 1, 2]])
def test_batches_of_one_class_or_of_none_twice_are_finite(key: str, classes: list[int]) -> None:
    value, found = slope(loss_of(key), ROWS[:3], torch.tensor(classes))
    assert value.isfinite()
    assert found.isfinite().all()
    if key in ("triplet", "circle") or (key == "sup_con" and classes[1]):
        assert value == 0
        assert (found == 0).all()


@pytest.mark.parametrize("key", [*PAIRS, *PROXIES])
def test_coinciding_rows_have_a_gradient(key: str) -> None:
    value, found = slope(loss_of(key), torch.ones(4, 3), torch.tensor([0, 0, 1, 1]))
    assert value.isfinite()
    assert found.isfinite().all()


@pytest.mark.parametrize("key", [*PAIRS, *PROXIES])
def test_a_short_training_brings_classes_together(key: str) -> None:
    softer = {"proxy_anchor": {"alpha": 4.0}, "fast_ap": {"bins": 5}}
    loss = loss_of(key, **softer.get(key, {}))
    rows = ROWS.float().clone().requires_grad_()
    optimizer = torch.optim.Adam([rows, *loss.parameters()], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss(rows, CLASSES).backward()
        optimizer.step()
    if key in PROXIES:
        assert torch.equal(loss.decode(rows).argmax(1), CLASSES)
    else:
        gap = distances(rows, rows) if key == "contrastive" else -F.cosines(rows, rows)
        assert torch.equal(CLASSES[gap.detach().fill_diagonal_(math.inf).argmin(1)], CLASSES)


@pytest.mark.parametrize("key", PROXIES)
def test_proxies_start_alike_and_decode_to_their_class(key: str) -> None:
    loss = loss_of(key)
    assert torch.equal(loss.proxies, loss_of(key).proxies)
    chances = loss.decode(loss.proxies.detach())
    torch.testing.assert_close(chances.sum(1), torch.ones(len(chances)))
    centers = len(loss.proxies) // 3
    assert torch.equal(chances.argmax(1), torch.arange(3).repeat_interleave(centers))


@pytest.mark.parametrize("key", PROXIES)
def test_classes_out_of_range_and_other_widths_are_refused(key: str) -> None:
    loss = loss_of(key)
    with pytest.raises(ValueError, match="outside 0 … 2"):
        loss(ROWS, CLASSES + 1)
    with pytest.raises(ValueError, match=r"\(7, 2\).*\(\d+, 3\)"):
        loss(ROWS[:, :2], CLASSES)


@pytest.mark.parametrize("key", ["arc_face", "cos_face"])
def test_without_a_margin_it_is_the_softmax_of_scaled_cosines(key: str) -> None:
    loss = loss_of(key, margin=0.0, scale=10.0)
    logits = 10 * unit_rows(ROWS) @ loss.proxies.detach().double().T
    expected = torch.nn.functional.cross_entropy(logits, CLASSES)
    torch.testing.assert_close(loss(ROWS, CLASSES), expected)


def test_arc_face_is_dearer_than_the_softmax_at_every_angle() -> None:
    proxies = torch.eye(2, dtype=torch.float64)
    angles = torch.linspace(0, math.pi, 200, dtype=torch.float64)
    rows = torch.stack([angles.cos(), angles.sin()], 1)
    target = torch.zeros(200, dtype=torch.long)
    held = F.arc_face(rows, target, proxies=proxies, scale=1.0)
    shift = F.arc_face(rows, target, proxies=proxies, scale=1.0, margin=0.0)
    assert (held >= shift - 1e-12).all()


def test_one_sub_center_is_arc_face() -> None:
    torch.testing.assert_close(
        loss_of("sub_center_arc_face", sub_centers=1)(ROWS, CLASSES),
        loss_of("arc_face")(ROWS, CLASSES),
    )


def test_proxy_nca_plus_plus_is_a_softmax() -> None:
    loss = loss_of("proxy_nca", include_positive=True, temperature=1 / 9)
    chances = loss.decode(ROWS)
    expected = -chances.gather(1, CLASSES.unsqueeze(1)).log().mean()
    torch.testing.assert_close(loss(ROWS, CLASSES), expected)
    assert loss(ROWS, CLASSES) > loss_of("proxy_nca", temperature=1 / 9)(ROWS, CLASSES)


def test_float_classes_are_refused() -> None:
    for key in (*PAIRS, *PROXIES):
        with pytest.raises(TypeError, match="integer classes"):
            loss_of(key)(ROWS, CLASSES.double())
