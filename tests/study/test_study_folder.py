"""The folder of a study: its own or refused, and never anything but data."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import KFold

from lossmith.study.base.errors import InputError
from lossmith.study.launch.processes import can_fork
from lossmith.study.trials.place import read_place
from lossmith.study.trials.trial import Trial
from lossmith.study.trials.verdict import View, verdict_of
from shared.own_loop import X, Y, start, study, train


def quick(trial: Trial) -> None:
    draw = np.random.default_rng([trial.fold, len(trial.name)])
    rows = np.exp(draw.normal(size=len(trial.valid)))
    for epoch in trial.epochs:
        if trial.report(epoch, rows=rows + len(trial.name) + 1 / epoch):
            return


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "one"
    one = study(folder)
    one.run(quick)
    one.journal._run("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    (tmp_path / "copy").mkdir()
    shutil.copy(finished / "journal.sqlite", tmp_path / "copy")
    return tmp_path / "copy"


SAME_SPLITS = list(KFold(5, shuffle=True, random_state=1).split(X))


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"metric": "rmse"}, "metric.*'mae', now 'rmse'"),
        ({"default": "huber"}, "default.*'mse', now 'huber'"),
        ({"losses": ["mse", "huber"]}, r"set of losses \(log_cosh\)"),
        ({"losses": ["mse", "huber(delta=2)", "log_cosh"]}, "set of losses"),
        (
            {"losses": {"mse": "mse", "huber": "mae", "log_cosh": "log_cosh"}},
            r"losses \(huber: 'huber'",
        ),
        ({"learning_rates": [0.1]}, "learning_rates"),
        ({"epochs": 7}, "epochs.*6, now 7"),
        ({"splits": SAME_SPLITS}, "split of the rows"),
        ({"groups": np.arange(len(Y))}, "split of the rows|grouped"),
        ({"seed": 1}, "seed"),
        ({"finalists": 2}, "finalists"),
        ({"recipe": {"batch_size": 8}}, r"recipe \(batch_size\)"),
        ({"target": Y + 1}, "target"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_study_is_refused_and_the_difference_named(
    finished: Path, other: dict[str, Any], named: str
) -> None:
    with pytest.raises(InputError, match=f"holds a study with another .*{named}") as error:
        study(finished, **other)
    assert "\n" not in str(error.value)


def test_the_same_study_opens_again(finished: Path) -> None:
    again = study(finished)
    assert again.ask() is None
    assert again.verdict().finished


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds thesis\.tex, which is no study"):
        study(tmp_path)
    with pytest.raises(InputError, match="as a study's folder"):
        study(tmp_path / "thesis.tex")
    with pytest.raises(InputError, match="holds no study"):
        read_place(tmp_path)
    assert [place.name for place in tmp_path.iterdir()] == ["thesis.tex"]


def _other_file(place: Path) -> None:
    place.unlink()
    with closing(sqlite3.connect(place)) as database:
        database.execute("CREATE TABLE photos (id INTEGER)")


def _halved(place: Path) -> None:
    place.write_bytes(place.read_bytes()[: place.stat().st_size // 2])


def _scrambled(place: Path) -> None:
    whole = bytearray(place.read_bytes())
    whole[4096:] = np.random.default_rng(0).bytes(len(whole) - 4096)
    place.write_bytes(whole)


def _tampered(statement: str, *values: Any) -> Any:
    def change(place: Path) -> None:
        with closing(sqlite3.connect(place)) as database, database:
            database.execute("PRAGMA ignore_check_constraints = ON")
            database.execute(statement, values)

    return change


def _without(name: str) -> Any:
    def change(place: Path) -> None:
        with closing(sqlite3.connect(place)) as database, database:
            ((text,),) = database.execute("SELECT spec FROM study")
            kept = {key: value for key, value in json.loads(text).items() if key != name}
            database.execute("UPDATE study SET spec = ?", (json.dumps(kept),))

    return change


DAMAGE = {
    "random bytes": lambda place: place.write_bytes(np.random.default_rng(0).bytes(5000)),
    "halved": _halved,
    "scrambled": _scrambled,
    "another sqlite file": _other_file,
    "no study": _tampered("DELETE FROM study"),
    "format": _tampered("UPDATE study SET format = 99"),
    "no table": _tampered("DROP TABLE report"),
    "spec is no JSON": _tampered("UPDATE study SET spec = '{'"),
    "spec is a list": _tampered("UPDATE study SET spec = '[1]'"),
    "spec is bytes": _tampered("UPDATE study SET spec = ?", b"\x80\x04"),
    "decision is no JSON": _tampered("UPDATE decision SET outcome = '{'"),
    "epoch is a text": _tampered("UPDATE report SET epoch = 'last' WHERE epoch = 1"),
    "influences are cut": _tampered("UPDATE evidence SET influences = ?", b"123"),
    "influences are too few": _tampered("UPDATE evidence SET influences = ?", b"12345678"),
    "score is a text": _tampered("UPDATE report SET score = 'good'"),
    "state is another": _tampered("UPDATE training SET state = 'lost'"),
    **{
        f"no {name}": _without(name)
        for name in ("metric", "losses", "epochs", "overlap", "shape", "fixed", "rows", "default")
    },
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_journal_is_one_clear_error(copied: Path, how: str) -> None:
    DAMAGE[how](copied / "journal.sqlite")

    def opened() -> None:
        one = study(copied)
        one.ask()
        one.verdict()
        one.frame()

    def looked_at() -> None:
        journal = read_place(copied)
        verdict_of(View.of(journal, form=lambda *_: np.zeros(1)))

    for look in (opened, looked_at):
        with pytest.raises(InputError) as error:
            look()
        print(how, str(error.value).replace(str(copied), "F"))
        assert "\n" not in str(error.value)
        assert str(copied) in str(error.value) or "damaged" in str(error.value)


def test_nothing_is_pickled(tmp_path: Path) -> None:
    one = study(
        tmp_path,
        metric=lambda target, output: float(abs(target - output).mean()),
        better="lower",
        epochs=20,
    )
    for number, trial in enumerate(one):
        with trial.seeded():
            train(trial, saves=True)
        if number == 3:
            break
    files = [place for place in tmp_path.rglob("*") if place.is_file()]
    kinds = {place.suffix for place in files}
    assert kinds <= {".sqlite", ".sqlite-wal", ".sqlite-shm", ".pt", ".npz"}
    assert ".pt" in kinds
    for place in files:
        if place.suffix == ".pt":
            torch.load(place, weights_only=True)
        if place.suffix == ".npz":
            with np.load(place, allow_pickle=False) as parts:
                assert {parts[name].dtype.kind for name in parts} == {"f"}
        if place.suffix.startswith(".sqlite"):
            assert b"\x80\x04\x95" not in place.read_bytes()


def test_a_checkpoint_of_code_is_refused(tmp_path: Path) -> None:
    one = study(tmp_path, epochs=20)
    trial = one.ask()
    assert trial is not None
    trial.save(1, weights=torch.zeros(1))
    trial.report(1, rows=np.ones(len(trial.valid)))
    one.release(trial)
    torch.save({"weights": print, "random": {}, "loss": {}}, trial.folder / "epoch-1.pt")
    again = one.ask()
    assert again is not None
    with pytest.raises(Exception, match=r"(?i)weights_only|unsupported"):
        again.restore(weights=None)


def _open(folder: Path, count: int) -> None:
    for _ in range(count):
        study(folder).verdict()


@pytest.mark.skipif(not can_fork(), reason="processes are forked on Linux's CPUs")
def test_many_processes_begin_one_study(tmp_path: Path) -> None:
    processes = [start(_open, tmp_path / "new", 3) for _ in range(6)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 6
