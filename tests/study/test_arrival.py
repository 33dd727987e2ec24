"""What a study decides does not depend on who trains, how fast, nor in which order it arrives."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lossmith.study.journal import Facts
from lossmith.study.rules.plan import needed
from shared import own_loop
from shared.replay import Recorded, Replay


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A study of real trainings that pause at rungs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("recorded") / "study"
    study = own_loop.study(
        place, epochs=12, losses=["mse", "huber", "log_cosh", "mae", "pseudo_huber", "cauchy"]
    )
    study.run(lambda trial: own_loop.train(trial, saves=True))
    torch.set_num_threads(threads)
    return Recorded(place)


def plain(decisions: dict[str, Any]) -> str:
    return json.dumps(decisions)  # in the order in which they were made


def test_the_recorded_study_was_cut_at_rungs_and_looked_at(recorded: Recorded) -> None:
    assert {"pauses", "rung 1", "finalists", "end"} <= set(recorded.decisions)
    assert recorded.decisions["pauses"] is True


@settings(max_examples=60)
@given(
    workers=st.one_of(st.integers(1, 8), st.integers(9, 1000)),
    seed=st.integers(0, 10_000),
    spread=st.sampled_from([0.0, 0.3, 2.0]),
    reporting=st.sampled_from([0.0, 0.01, 1.0]),
)
def test_decisions_are_the_same_in_any_order_of_arrival(
    recorded: Recorded, workers: int, seed: int, spread: float, reporting: float
) -> None:
    draw = np.random.default_rng(seed)
    speeds = np.exp(spread * draw.normal(size=workers))

    def seconds(_: float, worker: int) -> float:
        return float(speeds[worker] * draw.exponential())

    again = Replay(recorded, workers, seconds, reporting=reporting, asking=reporting).run()
    assert plain(again.decisions) == plain(recorded.decisions)
    facts = Facts(records=again.records, decisions=again.decisions)
    counts = {t for t, record in needed(facts).records.items() if record.reports}
    assert counts == {t for t, record in recorded.records.items() if record.reports}
    assert workers > 1 or counts == {t for t, r in again.records.items() if r.reports}
