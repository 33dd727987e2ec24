"""The journal itself: what is read holds at one moment, however others write meanwhile."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from lossmith.study.journal import Claim, Decision, Report, Setting, Training
from lossmith.study.journal.sqlite import Journal

TRAININGS = [Training(Setting("mse", 0.01), fold) for fold in range(3)]


def _started(path: Path) -> tuple[Journal, list[Claim]]:
    journal = Journal(path)
    journal.create({}, [])
    journal.decide(Decision("screening", 3, plan=TRAININGS))
    return journal, journal.claim("here:1:0", most=None)


def _write(writer: Journal, claim: Claim, left: int) -> None:
    writer.report(claim, Report(1, 0.5, 0.1, time.time()), np.zeros(4))
    writer.end(claim, "done")
    writer.decide(Decision(f"look {left}", claim.training.fold))


def test_a_training_is_never_read_as_ended_without_its_last_report(
    tmp_path: Path, monkeypatch: Any
) -> None:
    path = tmp_path / "journal.sqlite"
    writer, claims = _started(path)
    reader, left = Journal(path), list(claims)
    reader.facts()
    run = reader._run

    def and_another_process_writes(statement: str, values: Any = ()) -> list[Any]:
        rows = run(statement, values)
        if left and statement.startswith("SELECT"):
            claim = left.pop()
            writer.atomically(lambda: _write(writer, claim, len(left)))
        return rows

    monkeypatch.setattr(reader, "_run", and_another_process_writes)
    while left:
        facts = reader.facts()
        done = {t for t, record in facts.records.items() if record.ended}
        assert {t for t, record in facts.records.items() if record.scores} == done
        assert len([name for name in facts.decisions if name.startswith("look")]) == len(done)
