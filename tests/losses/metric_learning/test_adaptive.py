"""Margins that follow training or the rows: what is hard, paces, lengths."""

import math

import pytest
import torch
from torch import Tensor

import lossmith as lm
from lossmith import Progress
from lossmith import functional as F

GENERATOR = torch.Generator().manual_seed(0)
ROWS = 20 * torch.randn(6, 3, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.tensor([0, 1, 2, 3, 0, 1])
SIZES = {"classes": 4, "features": 3}
SHORT = 3 * torch.randn(8, 3, generator=GENERATOR, dtype=torch.float64)
OTHERS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
FIXED = torch.randn(3, 3, generator=GENERATOR, dtype=torch.float64)


def angles(loss: lm.CurricularFace | lm.MagFace) -> Tensor:
    unit = ROWS / ROWS.norm(dim=1, keepdim=True)
    proxies = loss.proxies.detach().double()
    return (unit @ (proxies / proxies.norm(dim=1, keepdim=True)).T).clamp(-1, 1).acos()


@pytest.mark.parametrize("pace", [0.0, 0.4])
def test_hard_classes_are_those_beyond_the_margin(pace: float) -> None:
    loss = lm.CurricularFace(**SIZES, scale=8.0)
    loss.pace.fill_(pace)
    logits = angles(loss).cos()
    for row, y in enumerate(CLASSES.tolist()):
        own = (logits[row, y].acos() + 0.5).cos()
        for c in range(4):
            if c != y and logits[row, c] > own:
                logits[row, c] *= pace + logits[row, c]
        beyond = logits[row, y].acos() + 0.5 > torch.pi
        held = logits[row, y] - 0.5 * torch.tensor(0.5, dtype=torch.float64).sin()
        logits[row, y] = held if beyond else own
    expected = torch.nn.functional.cross_entropy(8 * logits, CLASSES)
    torch.testing.assert_close(loss(ROWS, CLASSES), expected, rtol=1e-6, atol=1e-6)


def test_the_pace_follows_the_mean_own_cosine() -> None:
    loss = lm.CurricularFace(**SIZES)
    mean = angles(loss).cos()[torch.arange(6), CLASSES].mean().item()
    for step in (1, 2):
        loss.observe(Progress(step=step, signals={"input": ROWS, "classes": CLASSES}))
    assert loss.pace.item() == pytest.approx(mean * (1 - 0.99**2), rel=1e-5)


def test_mag_face_has_a_margin_by_length_and_a_price_of_short_rows() -> None:
    loss = lm.MagFace(**SIZES, scale=8.0)
    angle, length = angles(loss), ROWS.norm(dim=1).clamp(10, 110)
    margin = 0.45 + 0.35 * (length - 10) / 100
    logits = angle.cos()
    for row, y in enumerate(CLASSES.tolist()):
        if logits[row, y] > 0:
            logits[row, y] = (angle[row, y] + margin[row]).cos()
    terms = loss.terms(ROWS, CLASSES)
    expected = torch.nn.functional.cross_entropy(8 * logits, CLASSES)
    torch.testing.assert_close(terms["classes"], expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(terms["lengths"], 35 * (1 / length + length / 110**2).mean())


def test_lengths_that_do_not_rise_are_refused() -> None:
    with pytest.raises(ValueError, match="upper_length must exceed lower_length"):
        lm.MagFace(**SIZES, lower_length=5.0, upper_length=5.0)


def test_ada_face_follows_the_lengths_of_a_step() -> None:
    """As the authors' code moves them from 20 and 100: by the mean and the deviation of n − 1."""
    loss = lm.AdaFace(classes=3, features=3)
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
    rows = SHORT / SHORT.norm(dim=1, keepdim=True)  # of length 1
    mean, given = 1.0 - 10 * quality, {"proxies": FIXED, "margin": 0.4}
    found = F.ada_face(rows, OTHERS, mean=mean, deviation=1e-3, **given)
    near = (rows @ FIXED.T / FIXED.norm(dim=1))[range(8), OTHERS] > -math.cos(0.4)
    torch.testing.assert_close(found[near], getattr(F, like)(rows, OTHERS, **given)[near])


def test_lengths_are_no_part_of_ada_faces_gradient() -> None:
    loss = lm.AdaFace(classes=3, features=3).double()
    rows = SHORT.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(rows, OTHERS), rows)
    torch.testing.assert_close((slope * SHORT).sum(1), torch.zeros(8, dtype=torch.float64))
