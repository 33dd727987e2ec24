"""Nothing is lost: processes that are killed, several on one folder, trainings that go on."""

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from shared.own_loop import study, train, work, work_with_kills

from lossmith.study.training.parallel import can_fork

forks = pytest.mark.skipif(not can_fork(), reason="processes are forked on Linux's CPUs")
FACTS = ["loss", "learning_rate", "fold", "epoch", "score"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def told(folder: Path) -> tuple[str, dict[str, Any], pd.DataFrame]:
    opened = study(folder)
    verdict = opened.verdict()
    rows = {row.name: row for row in verdict.candidates}
    frame = opened.frame()
    whole = frame[frame.state == "done"][FACTS].sort_values(FACTS, ignore_index=True)
    return verdict.sentence, rows, whole


@forks
@pytest.mark.parametrize("saves", [True, False], ids=["checkpoints", "no checkpoints"])
def test_kills_change_nothing(tmp_path: Path, saves: bool) -> None:
    work(tmp_path / "calm", saves=saves)
    log = tmp_path / "log"
    kills = work_with_kills(tmp_path / "killed", 2, 4, seed=1, saves=saves, log=log, pause=0.01)
    calm, killed = told(tmp_path / "calm"), told(tmp_path / "killed")
    assert kills == 4
    assert calm[:2] == killed[:2]
    pd.testing.assert_frame_equal(calm[2], killed[2])
    again = sum(number - 1 for number in Counter(log.read_text().splitlines()).values())
    assert again <= kills * (1 if saves else 6)
