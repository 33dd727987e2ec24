"""A study in PostgreSQL: its address, a server that goes away, the same verdict as in a folder."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lossmith.cli.main import main
from lossmith.study.base.errors import InputError
from lossmith.study.journal import Claim, Decision, Report, Setting, Storage, Training, open_journal
from lossmith.study.journal.network import NETWORKED, file_system
from lossmith.study.study import Study
from shared.own_loop import start, study, train
from shared.storages import SERVER, address_of, needs_postgresql

pytest.importorskip("sqlalchemy")
FACTS = ["loss", "learning_rate", "fold", "epoch", "score", "state"]
TRAINING = Training(Setting("mse", 0.1), 0)


@pytest.fixture
def address(tmp_path: Path) -> str:
    return address_of("postgresql", tmp_path)


def _facts(one: Study) -> pd.DataFrame:
    frame = one.frame()[FACTS]
    return frame[frame.state == "done"].sort_values(FACTS).reset_index(drop=True)


def _work(address: str, folder: Path | None, saves: bool) -> None:
    study(address, folder=folder).run(lambda trial: train(trial, saves=saves))


@needs_postgresql
@pytest.mark.parametrize("shared", [True, False])
def test_two_processes_give_the_verdict_of_a_plain_loop(
    address: str, shared: bool, tmp_path: Path
) -> None:
    alone = study(tmp_path / "alone")
    alone.run(lambda trial: train(trial, saves=True))
    folders = [tmp_path / ("both" if shared else str(number)) for number in range(2)]
    workers = [start(_work, address, folder, True) for folder in folders]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    together = study(address, folder=folders[0])
    assert str(together.verdict()) == str(alone.verdict())
    pd.testing.assert_frame_equal(_facts(together), _facts(alone))


@needs_postgresql
def test_predictions_travel_with_the_journal(address: str, tmp_path: Path) -> None:
    def mae(target: Any, output: Any) -> float:
        return float(np.abs(target - output).mean())

    one = study(address, folder=tmp_path / "one", metric=mae, better="lower")
    one.run(train)
    other = study(address, folder=tmp_path / "other", metric=mae, better="lower")
    assert str(other.verdict()) == str(one.verdict())
    target, prediction = other.out_of_fold("huber")
    assert target.shape == prediction.shape == (120,)


@needs_postgresql
def test_the_command_line_takes_the_address(address: str, tmp_path: Path, capsys: Any) -> None:
    one = study(address, folder=tmp_path)
    one.run(train)
    said = str(one.verdict())
    assert main(["verdict", address]) == 0
    assert capsys.readouterr().out == f"{said}\n"
    assert main(["status", address]) == 0
    assert "ended" in capsys.readouterr().out
    assert main(["report", address]) == 2
    assert "--out" in capsys.readouterr().err
    page = tmp_path / "page.html"
    assert main(["report", address, "--out", str(page)]) == 0
    assert page.stat().st_size > 1000
    assert main(["status", f"{SERVER}?study=none"]) == 2
    assert "there is no study none" in capsys.readouterr().err


@needs_postgresql
def test_another_study_of_that_name_is_refused(address: str, tmp_path: Path) -> None:
    study(address, folder=tmp_path)
    with pytest.raises(InputError, match="another epochs"):
        study(address, folder=tmp_path, epochs=7)
    study(address_of("postgresql", tmp_path), folder=tmp_path, epochs=7)  # beside it


def _begun(address: str) -> tuple[Storage, Claim]:
    journal = open_journal(address)
    journal.create({}, [])
    journal.decide(Decision("start", 1, plan=[TRAINING]))
    (claim,) = journal.claim("elsewhere:1:0")
    return journal, claim


@needs_postgresql
@pytest.mark.parametrize("answered", ["before", "after"])
def test_a_commit_without_an_answer_counts_once(
    address: str, answered: str, monkeypatch: Any
) -> None:
    journal, claim = _begun(address)
    directly, tried = journal._directly, []  # type: ignore[attr-defined]

    def cut_off(statement: str, values: Any = ()) -> Any:
        if statement != "COMMIT" or tried:
            return directly(statement, values)
        tried.append(statement)
        if answered == "after":
            directly(statement)
        return directly("SELECT pg_terminate_backend(pg_backend_pid())")

    def write() -> bool:
        done = journal.report(claim, Report(1, 0.5, 0.1, 0.0), np.ones(2))
        return journal.end(claim, "done") and done

    monkeypatch.setattr(journal, "_directly", cut_off)
    assert journal.atomically(write)
    assert tried
    (record,) = open_journal(address).facts().records.values()
    assert (record.state, record.scores) == ("done", {1: 0.5})


@needs_postgresql
@pytest.mark.parametrize("within", [True, False])
def test_a_lost_connection_is_made_anew(address: str, within: bool) -> None:
    journal, claim = _begun(address)
    killer, times = open_journal(address), []

    def kill() -> None:
        killer._run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = "
            "'client backend' AND pid <> pg_backend_pid() AND pid = ?",
            (number,),
        )

    def write() -> bool:
        times.append(1)
        done = journal.report(claim, Report(1, 0.5, 0.1, 0.0), None)
        if within and len(times) == 1:
            kill()
        return done and journal.end(claim, "done")

    ((number,),) = journal._run("SELECT pg_backend_pid()")
    if not within:
        kill()
    assert journal.atomically(write)
    assert len(times) == (2 if within else 1)
    (record,) = journal.facts().records.values()
    assert (record.state, record.scores) == ("done", {1: 0.5})


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mysql://me@host/db?study=a", "begins with mysql://"),
        ("postgresql://me@host/db", "name the study"),
        ("postgresql://me@host/db?study=", "name the study"),
        ('postgresql://me@host/db?study=a"b', "name the study"),
        ("postgresql://me@host:port/db?study=a", "no URL"),
    ],
)
def test_a_mistaken_address_is_one_line(address: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        open_journal(address)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_a_server_that_is_not_there_is_one_line(capsys: Any) -> None:
    with socket.socket() as taken:  # and nobody listens
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert main(["status", f"postgresql://me:secret@127.0.0.1:{port}/db?study=a"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "cannot reach study a" in said
    assert "secret" not in said


def test_a_folder_needs_no_database() -> None:
    code = (
        "import sys, lossmith; lossmith.Study; print({'sqlalchemy', 'psycopg'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


@pytest.mark.parametrize("kind", sorted(NETWORKED))
def test_a_folder_on_a_network_file_system_is_refused(
    kind: str, tmp_path: Path, monkeypatch: Any
) -> None:
    mounts, place = tmp_path / "mounts", tmp_path / "my runs"
    told = str(place).replace(" ", "\\040")
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {told} {kind} rw,relatime 0 0\n")
    monkeypatch.setattr("lossmith.study.journal.network.MOUNTS", mounts)
    assert file_system(tmp_path) == "ext4"
    with pytest.raises(InputError, match=rf"network file system \({kind}\).*postgresql://"):
        study(place / "it")
    study(tmp_path / "it")


def test_the_file_system_of_a_folder_is_that_of_its_last_mount(
    tmp_path: Path, monkeypatch: Any
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("a / ext4 rw 0 0\nb /data nfs rw 0 0\nc /data xfs rw 0 0\n")
    monkeypatch.setattr("lossmith.study.journal.network.MOUNTS", mounts)
    found = [file_system(Path(place)) for place in ("/data/runs", "/database", os.sep)]
    assert found == ["xfs", "ext4", "ext4"]
