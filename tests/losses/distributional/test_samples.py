"""The energy score: what it is in one dimension, and what it asks for."""

import pytest
import torch

import lossmith
from lossmith import functional as F

GENERATOR = torch.Generator().manual_seed(8)
SAMPLES = torch.randn(4, 5, 3, generator=GENERATOR, dtype=torch.float64)
TARGET = torch.randn(4, 3, generator=GENERATOR, dtype=torch.float64)


@pytest.mark.parametrize("fair", [False, True])
def test_energy_score_is_its_definition(fair: bool) -> None:
    expected = []
    for drawn, came in zip(SAMPLES, TARGET, strict=True):
        miss = sum((one - came).norm() for one in drawn) / 5
        spread = sum((one - other).norm() for one in drawn for other in drawn)
        expected.append(miss - spread / (2 * 5 * (4 if fair else 5)))
    found = F.energy_score(SAMPLES, TARGET, fair=fair)
    torch.testing.assert_close(found, torch.stack(expected))


@pytest.mark.parametrize("fair", [False, True])
def test_of_one_number_it_is_the_crps_of_an_ensemble(fair: bool) -> None:
    found = F.energy_score(SAMPLES[:, :, :1], TARGET[:, :1], fair=fair)
    expected = F.ensemble_crps(SAMPLES[:, :, 0], TARGET[:, 0], members=5, fair=fair)
    torch.testing.assert_close(found, expected)


def test_samples_of_the_truth_score_best() -> None:
    """The fair score, on average: against other means, spreads and correlations."""
    generator = torch.Generator().manual_seed(1)
    mix = torch.tensor([[1.0, 0.0], [0.9, 0.44]], dtype=torch.float64)

    def drawn(count: int, by: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(4000, count, 2, generator=generator, dtype=torch.float64)
        return noise @ by.T

    came, loss = drawn(1, mix).squeeze(1), lossmith.EnergyScore(fair=True)
    right = loss(drawn(8, mix), came)
    for other in (2 * mix, 0.5 * mix, torch.eye(2, dtype=torch.float64)):
        assert right < loss(drawn(8, other), came)
    assert right < loss(drawn(8, mix) + 0.5, came)


def test_samples_that_coincide_have_a_gradient() -> None:
    rows = torch.ones(2, 3, 2, requires_grad=True)
    lossmith.EnergyScore()(rows, torch.zeros(2, 2)).backward()
    assert (rows.grad > 0).all()


def test_what_is_no_sample_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(4, 5, 3\) and target \(4, 2\)"):
        F.energy_score(SAMPLES, TARGET[:, :2])
    with pytest.raises(ValueError, match="one sample a row"):
        F.energy_score(SAMPLES[:, :1], TARGET, fair=True)
