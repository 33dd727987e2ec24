"""Margins of one's own class's angle: multiplied, and by the length of an embedding."""

import math

import pytest
import torch

import lossmith
from lossmith import Progress
from lossmith import functional as F

GENERATOR = torch.Generator().manual_seed(9)
ROWS = 3 * torch.randn(8, 3, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
PROXIES = torch.randn(3, 3, generator=GENERATOR, dtype=torch.float64)


@pytest.mark.parametrize("margin", [1, 2, 3, 4, 7])
def test_sphere_face_is_its_definition(margin: int) -> None:
    expected = []
    for row, own in zip(ROWS, CLASSES.tolist(), strict=True):
        length = row.norm().item()
        cos = [(row @ one / row.norm() / one.norm()).item() for one in PROXIES]
        angle = math.acos(cos[own])
        k = min(int(angle * margin / math.pi), margin - 1)
        cos[own] = (-1) ** k * math.cos(margin * angle) - 2 * k
        logits = [length * one for one in cos]
        expected.append(math.log(sum(math.exp(one - logits[own]) for one in logits)))
    found = F.sphere_face(ROWS, CLASSES, proxies=PROXIES, margin=margin)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_the_multiplied_angle_falls_from_0_to_pi() -> None:
    angle = torch.linspace(0, math.pi, 400, dtype=torch.float64)
    rows = torch.stack([angle.cos(), angle.sin()], 1)
    proxies = torch.tensor([[1.0, 0.0], [0.0, -1e-9]], dtype=torch.float64)
    value = F.sphere_face(rows, torch.zeros(400, dtype=torch.long), proxies=proxies)
    held = -(value.expm1().log()) - angle.sin()  # of two classes: the own logit
    assert (held[1:] <= held[:-1] + 1e-9).all()
    torch.testing.assert_close(held[[0, -1]], torch.tensor([1.0, -7.0], dtype=torch.float64))


def test_much_annealing_is_the_plain_softmax() -> None:
    plain = F.sphere_face(ROWS, CLASSES, proxies=PROXIES, margin=1)
    found = F.sphere_face(ROWS, CLASSES, proxies=PROXIES, annealing=1e9)
    torch.testing.assert_close(found, plain)


def test_ada_face_follows_the_lengths_of_a_step() -> None:
    """As the authors' code moves them from 20 and 100: by the mean and the deviation of n − 1."""
    loss = lossmith.AdaFace(classes=3, features=3)
    rows = torch.tensor([[3.0, 4.0, 0.0], [0.0, 7.0, 0.0], [0.0, 0.0, 9.0]])
    loss.observe(Progress(step=1, signals={"input": rows}))
    assert loss.mean.item() == pytest.approx(19.87)
    assert loss.deviation.item() == pytest.approx(99.02)
    loss.observe(Progress(step=2, signals={"input": rows[:1]}))  # has no deviation
    assert loss.deviation.item() == pytest.approx(99.02)


@pytest.mark.parametrize(("quality", "like"), [(-1.0, "arc_face"), (0.0, "cos_face")])
def test_ada_face_is_arc_face_of_bad_rows_and_cos_face_of_usual_ones(
    quality: float, like: str
) -> None:
    """Its limits in the paper: g = m and a = 0 where z = −1, g = 0 and a = m where z = 0."""
    rows = ROWS / ROWS.norm(dim=1, keepdim=True)  # of length 1
    mean, given = 1.0 - 10 * quality, {"proxies": PROXIES, "margin": 0.4}
    found = F.ada_face(rows, CLASSES, mean=mean, deviation=1e-3, **given)
    near = (rows @ PROXIES.T / PROXIES.norm(dim=1))[range(8), CLASSES] > -math.cos(0.4)
    torch.testing.assert_close(found[near], getattr(F, like)(rows, CLASSES, **given)[near])


def test_lengths_are_no_part_of_ada_faces_gradient() -> None:
    loss = lossmith.AdaFace(classes=3, features=3).double()
    rows = ROWS.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(rows, CLASSES), rows)
    torch.testing.assert_close((slope * ROWS).sum(1), torch.zeros(8, dtype=torch.float64))
