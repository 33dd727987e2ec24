"""Margins of one's own class's angle: multiplied."""

import math

import pytest
import torch

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
