"""What holds of a journal in every database: nothing torn, lost, doubled or taken twice."""

import math
import random
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossmith.study.base.errors import InputError
from lossmith.study.journal import Claim, Decision, Report, Setting, Storage, Training, open_journal
from lossmith.study.journal.workers import this_worker
from shared.own_loop import start
from shared.storages import KINDS, address_of

TRAININGS = [Training(Setting("mse", 0.01), fold) for fold in range(3)]
ELSEWHERE = "elsewhere:1:0"  # a worker of another machine


@pytest.fixture(params=KINDS)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    found = address_of(request.param, tmp_path)
    if request.param == "sqlite":
        Path(found).mkdir()
    journal = open_journal(found)
    assert journal.spec() is None
    assert journal.create({"epochs": 3}, [np.arange(4), np.arange(4, 9)])
    journal.decide(Decision("screening", 3, plan=TRAININGS))
    journal.close()
    return found


def _report(epoch: int, score: float = 0.5, seconds: float = 0.1) -> Report:
    return Report(epoch, score, seconds, time.time())


def _write(writer: Storage, claim: Claim, left: int) -> None:
    writer.report(claim, _report(1), np.zeros(4))
    writer.end(claim, "done")
    writer.decide(Decision(f"look {left}", claim.training.fold))


def test_a_training_is_never_read_as_ended_without_its_last_report(
    address: str, monkeypatch: Any
) -> None:
    writer, reader = open_journal(address), open_journal(address)
    left = writer.claim(ELSEWHERE, most=None)
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


def test_a_study_is_begun_once(address: str, tmp_path: Path) -> None:
    one, other = open_journal(address), open_journal(address)
    assert not other.create({"epochs": 4}, [])
    assert one.spec() == other.spec() == {"epochs": 3}
    assert [part.tolist() for part in other.units()] == [[0, 1, 2, 3], [4, 5, 6, 7, 8]]
    assert one.identity == other.identity


def _begin(address: str, at: float, begun: Any) -> None:
    journal = open_journal(address)
    journal.spec()
    time.sleep(max(0.0, at - time.time()))
    begun.put(journal.create({"epochs": 3}, [np.arange(4)]))


@pytest.mark.parametrize("kind", KINDS)
def test_of_many_processes_one_begins_a_study(kind: str, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    address, begun = address_of(kind, tmp_path), get_context("fork").Queue()
    at = time.time() + 0.5
    workers = [start(_begin, address, at, begun) for _ in range(6)]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert sorted(begun.get() for _ in workers) == [False] * 5 + [True]


def test_of_two_workers_one_has_a_training(address: str) -> None:
    one, other = open_journal(address), open_journal(address)
    (first,), (second,) = one.claim(ELSEWHERE), other.claim(ELSEWHERE)
    assert [first.training, second.training] == TRAININGS[:2]
    assert [claim.training for claim in one.claim(ELSEWHERE, most=None)] == TRAININGS[2:]
    assert other.claim(ELSEWHERE) == []


def _claim_all(address: str, place: Path) -> None:
    journal = open_journal(address)
    with place.open("a") as file:
        while claims := journal.claim(ELSEWHERE):
            file.write(f"{claims[0].id}\n")
            journal.report(claims[0], _report(1), np.zeros(4))
            journal.end(claims[0], "done")


def test_many_processes_take_each_training_once(address: str, tmp_path: Path) -> None:
    wanted = [Training(Setting("huber", rate), 0) for rate in range(1, 61)]
    journal = open_journal(address)  # whose connection must not cross the fork
    journal.decide(Decision("more", 60, plan=wanted))
    workers = [start(_claim_all, address, tmp_path / str(number)) for number in range(4)]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    taken = [line for n in range(4) for line in (tmp_path / str(n)).read_text().splitlines()]
    assert len(taken) == len(set(taken)) == 63
    records = journal.facts().records.values()
    assert all(record.state == "done" and record.epoch == 1 for record in records)


def test_a_report_that_comes_twice_counts_once(address: str) -> None:
    journal = open_journal(address)
    (claim,) = journal.claim(ELSEWHERE)
    said = _report(1)
    for _ in range(2):
        assert journal.report(claim, said, np.arange(4.0))
    assert journal.facts().records[claim.training].reports == (said,)
    assert journal.end(claim, "done")
    assert not journal.end(claim, "failed")
    assert not journal.report(claim, said._replace(score=9.0), None)
    (record,) = (r for r in journal.facts().records.values() if r.reports)
    assert (record.state, record.reports) == ("done", (said,))


def test_what_was_taken_over_is_refused(address: str) -> None:
    one, other = open_journal(address), open_journal(address)
    (late,) = one.claim(ELSEWHERE)
    one.report(late, _report(1), None)
    one._run("UPDATE training SET expires = 0 WHERE state = 'running'")
    assert other.release() == [late.training]
    (claim,) = other.claim(ELSEWHERE)
    assert (claim.training, claim.epoch, claim.attempt) == (late.training, 1, late.attempt + 2)
    assert not one.report(late, _report(2), None)
    assert not one.end(late, "done")
    assert other.facts().records[claim.training].scores == {1: 0.5}


def test_leases_follow_the_journals_clock(address: str, monkeypatch: Any) -> None:
    one, other = open_journal(address), open_journal(address)
    (claim,) = one.claim(ELSEWHERE)
    for minutes in (-30, 30):  # of a machine whose clock is wrong
        now = time.time
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda by=minutes, now=now: now() + 60 * by)
            assert one.report(claim, _report(1), None)
            assert one.release() == []
        assert other.release() == []
        facts = other.facts()
        assert 50 < facts.records[claim.training].expires - facts.at < 61


def test_a_decision_is_made_once(address: str) -> None:
    one, other = open_journal(address), open_journal(address)
    (claim,) = one.claim(ELSEWHERE)
    one.end(claim, "paused")
    more = Training(Setting("huber", 0.1), 0)
    decision = Decision(
        "rung 1", [1], [more, TRAININGS[0]], resume=[claim.training], stop=[(TRAININGS[1], "why")]
    )
    assert one.decide(decision)
    assert not other.decide(decision._replace(outcome=[2], plan=()))
    facts = other.facts()
    assert list(facts.decisions.items()) == [("screening", 3), ("rung 1", [1])]
    states = [(t, record.state, record.note) for t, record in facts.records.items()]
    planned = [(t, "planned", "") for t in (TRAININGS[2], more)]
    assert states == [
        (TRAININGS[0], "planned", ""),
        (TRAININGS[1], "stopped", "why"),
        *planned,
    ]


def test_what_fails_is_undone_whole(address: str) -> None:
    journal = open_journal(address)
    before = journal.facts()

    def half() -> None:
        (claim,) = journal.claim(ELSEWHERE)
        journal.report(claim, _report(1), None)
        assert journal.facts().records[claim.training].epoch == 1
        raise KeyError

    with pytest.raises(KeyError):
        journal.atomically(half)
    open_journal(address).claim(ELSEWHERE)  # takes the versions that were undone
    after = journal.facts()
    assert [r.state for r in before.records.values()] == ["planned"] * 3
    assert [r.state for r in after.records.values()] == ["running", "planned", "planned"]
    assert not any(record.reports for record in after.records.values())


def test_what_was_read_before_is_never_stale(address: str) -> None:
    draw, handles = random.Random(0), [open_journal(address) for _ in range(2)]
    held: list[Claim] = []
    acts: list[Callable[[Storage], Any]] = [
        lambda one: held.extend(one.claim(ELSEWHERE)),
        lambda one: held and one.report(held[-1], _report(draw.randint(1, 9)), None),
        lambda one: held and one.end(held.pop(0), draw.choice(["done", "paused", "planned"])),
        lambda one: one.decide(
            Decision(f"more {draw.random()}", 0, [Training(Setting("l1", draw.random()), 0)])
        ),
    ]
    for _ in range(60):
        draw.choice(acts)(draw.choice(handles))
        if draw.random() < 0.5:
            facts, fresh = draw.choice(handles).facts(), open_journal(address).facts()
            assert list(facts.records.items()) == list(fresh.records.items())
            assert list(facts.decisions.items()) == list(fresh.decisions.items())


def test_who_waits_goes_on_when_another_writes(address: str) -> None:
    one, other = open_journal(address), open_journal(address)
    begun = time.monotonic()
    one.wait(0.3)
    assert 0.25 < time.monotonic() - begun < 2
    (claim,) = other.claim(ELSEWHERE)
    other.close()  # a connection stays in its thread
    threading.Timer(0.3, lambda: open_journal(address).report(claim, _report(1), None)).start()
    one.wait(20)
    assert 0.5 < time.monotonic() - begun < 10


def test_arrays_come_back_as_they_were(address: str) -> None:
    one, other = open_journal(address), open_journal(address)
    (claim,) = one.claim(ELSEWHERE)
    arrays = {"target": np.array(["a", "böse"]), "prediction": np.array([[0.25, 1.5]], "f4")}
    one.report(claim, _report(2, math.inf), None, arrays)
    one.report(claim, _report(1), np.array([0.5, -0.25]))
    found = other.detail(claim.training, 2)
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())
    assert (other.detail(claim.training, 1), other.influences(claim.training, 2)) == ({}, None)
    other.keep_influences(claim.training, 2, np.ones(3))
    assert [one.influences(claim.training, epoch).tolist() for epoch in (1, 2)] == [  # type: ignore[union-attr]
        [0.5, -0.25],
        [1.0, 1.0, 1.0],
    ]
    assert other.facts().records[claim.training].scores == {1: 0.5, 2: math.inf}


def test_a_process_that_died_here_is_not_waited_for(address: str) -> None:
    journal = open_journal(address)
    host, process, begun = this_worker().rsplit(":", 2)
    names = (this_worker(), f"{host}:{process}:7{begun}", f"{host}:4194305:7", ELSEWHERE)
    for name, freed in zip(names, (False, True, True, False), strict=True):
        (claim,) = journal.claim(name)
        assert journal.release() == ([claim.training] if freed else [])
        journal.end(claim, "planned")


def test_who_looks_on_writes_nothing(address: str) -> None:
    reader = open_journal(address, write=False)
    assert len(reader.facts().records) == 3
    with pytest.raises(InputError, match=r"read-only|readonly"):
        reader.decide(Decision("end", None))
    assert "end" not in reader.decisions()
