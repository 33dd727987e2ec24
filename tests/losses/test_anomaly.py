"""Losses of one class alone: a centre that is no trivial one, and the ball around it."""

import pytest
import torch

import lossmith
from lossmith import Progress
from lossmith import functional as F


def embeddings(rows: int = 200, features: int = 3) -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    return torch.randn(rows, features, generator=g, dtype=torch.float64)


def test_the_centre_is_the_mean_away_from_zero() -> None:
    rows = torch.tensor([[1.0, 0.01, -0.01, 0.0], [3.0, 0.01, -0.03, 0.0]])
    found = F.svdd_center(rows)
    torch.testing.assert_close(found, torch.tensor([2.0, 0.1, -0.1, 0.1]))
    assert lossmith.DeepSVDD(center=found)(found[None]) == 0


def test_a_ball_of_the_step_leaves_its_share_of_rows_outside() -> None:
    rows, center = embeddings(), [0.2, -0.1, 0.4]
    loss = lossmith.SoftBoundarySVDD(center=center, nu=0.25)
    torch.testing.assert_close(loss(rows), lossmith.DeepSVDD(center=center)(rows) / 0.25)
    loss.observe(Progress(step=1, signals={"input": rows}))
    distance = (rows - torch.tensor(center, dtype=torch.float64)).norm(dim=1)
    assert (distance > loss.radius).double().mean().item() == pytest.approx(0.25)
    other = lossmith.SoftBoundarySVDD(center=center, nu=0.25)
    values = []
    for radius in (0.9, 1.0, 1.1):
        other.radius.fill_(loss.radius * radius)
        values.append(other(rows).item())
    assert values[1] < min(values[0], values[2])  # the quantile is the minimiser


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"input must be \(N, 2\), as long as the center, got"):
        lossmith.DeepSVDD(center=[1.0, 2.0])(torch.zeros(4, 3))
