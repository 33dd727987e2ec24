"""One study on every engine: one verdict and one set of scores; and what a user may get wrong."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from lossmith.study.base.errors import InputError
from lossmith.study.launch import launcher, processes
from lossmith.study.launch.worker import work
from lossmith.study.study import Study
from shared import own_loop
from shared.storages import address_of, needs_postgresql

FILE = Path(own_loop.__file__)
TRAIN = f"{FILE}:train"
FACTS = ["loss", "learning_rate", "fold", "epoch", "score", "state"]


def found(study: Study) -> tuple[str, pd.DataFrame]:
    """Return a study's verdict, and all that was measured."""
    frame = study.frame()[FACTS].sort_values(FACTS[:4]).reset_index(drop=True)
    return str(study.verdict()), frame


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, pd.DataFrame]:
    """What the study finds in a plain loop."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    study = own_loop.study(tmp_path_factory.mktemp("alone") / "study")
    study.run(own_loop.train)
    torch.set_num_threads(threads)
    return found(study)


@contextmanager
def pool(_: Path) -> Iterator[Any]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


@contextmanager
def loky(_: Path) -> Iterator[Any]:
    executor = pytest.importorskip("loky").get_reusable_executor(2)
    yield executor
    executor.shutdown(wait=False, kill_workers=True)


@contextmanager
def dask(_: Path) -> Iterator[Any]:
    distributed = pytest.importorskip("dask.distributed")
    with distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        yield client


@contextmanager
def ray(_: Path) -> Iterator[Any]:
    module = pytest.importorskip("ray")
    module.init(num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
    yield "ray"
    module.shutdown()


@contextmanager
def submitit(place: Path) -> Iterator[Any]:
    executor = pytest.importorskip("submitit").AutoExecutor(place / "jobs", cluster="local")
    executor.update_parameters(timeout_min=5)
    yield executor


@contextmanager
def executorlib(_: Path) -> Iterator[Any]:
    with pytest.importorskip("executorlib").SingleNodeExecutor(max_workers=2) as executor:
        yield executor


@contextmanager
def mpi(_: Path) -> Iterator[Any]:
    pytest.importorskip("mpi4py")
    if shutil.which("mpiexec") is None:
        pytest.skip("there is no mpiexec")
    with pytest.importorskip("mpi4py.futures").MPIPoolExecutor(2) as executor:
        yield executor


@contextmanager
def own(_: Path) -> Iterator[Any]:
    yield "processes"


ENGINES = (own, pool, loky, dask, ray, submitit, executorlib, mpi)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.__name__)
def test_every_engine_finds_what_a_plain_loop_finds(
    engine: Callable[[Path], Any],
    alone: tuple[str, pd.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    study = own_loop.study(tmp_path / "study")
    resources = {"gpu": 0.5} if engine is ray else None
    with engine(tmp_path) as on:
        study.run(TRAIN, workers=2, on=on, resources=resources)
    verdict, frame = found(study)
    assert verdict == alone[0]
    pd.testing.assert_frame_equal(frame, alone[1], check_exact=True)


def test_processes_that_begin_anew_find_the_same(
    alone: tuple[str, pd.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (launcher, processes):
        monkeypatch.setattr(module, "can_fork", lambda: False)
    study = own_loop.study(tmp_path / "study")
    study.run(own_loop.train, workers=2)
    assert found(study)[1].equals(alone[1])


def test_forked_processes_train_with_a_function_without_a_name(
    alone: tuple[str, pd.DataFrame],
) -> None:
    if not processes.can_fork():
        pytest.skip("processes are forked on Linux's CPUs")
    study = own_loop.study(None)
    study.run(lambda trial: own_loop.train(trial, saves=False), workers=3)
    assert found(study)[1].equals(alone[1])


@needs_postgresql
@pytest.mark.parametrize("engine", [own, pool], ids=lambda engine: engine.__name__)
def test_workers_that_share_postgresql_find_the_same(
    engine: Callable[[Path], Any], alone: tuple[str, pd.DataFrame], tmp_path: Path
) -> None:
    study = own_loop.study(address_of("postgresql", tmp_path), folder=tmp_path / "files")
    with engine(tmp_path) as on:
        study.run(TRAIN, workers=2, on=on)
    assert found(study)[0] == alone[0]
    pd.testing.assert_frame_equal(found(study)[1], alone[1], check_exact=True)


class AnyEngine:
    """The least that an engine can be: it gives back nothing that tells how work stands."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> None:
        multiprocessing.get_context("fork").Process(target=function, args=arguments).start()


def test_an_engine_may_have_a_submit_and_nothing_else(
    alone: tuple[str, pd.DataFrame], tmp_path: Path
) -> None:
    study = own_loop.study(tmp_path / "study")
    study.run(TRAIN, workers=2, on=AnyEngine())
    assert found(study)[1].equals(alone[1])


def test_threads_of_one_process_do_not_share_generators(
    alone: tuple[str, pd.DataFrame], tmp_path: Path
) -> None:
    study = own_loop.study(tmp_path / "study")
    with (
        ThreadPoolExecutor(2) as executor,
        pytest.warns(UserWarning, match="two workers in one process"),
    ):
        study.run(TRAIN, workers=2, on=executor)
    assert found(study)[1].equals(alone[1])


def lossmith(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lossmith.cli.main", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def _done(place: Path) -> int:
    """Return how many trainings are done: when two are, all of the first was told."""
    frame = own_loop.study(place).frame()
    return len(frame[frame["state"] == "done"].drop_duplicates(["loss", "learning_rate", "fold"]))


def test_workers_join_and_leave_by_hand(alone: tuple[str, pd.DataFrame], tmp_path: Path) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import time\nfrom shared import own_loop\nstudy = own_loop.study\n"
        "def train(trial):\n    time.sleep(0.3)\n    own_loop.train(trial)\n"
    )
    place, env = tmp_path / "study", os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(FILE.parents[1]), env])
    try:
        first = lossmith("work", place, f"{slow}:train")
        while not (place / "journal.sqlite").exists() or _done(place) < 2:
            assert first.poll() is None, first.communicate()[1]
            time.sleep(0.1)
        second = lossmith("work", place, TRAIN)
        first.send_signal(signal.SIGTERM)
        left, _ = first.communicate(timeout=300)
        said, errors = second.communicate(timeout=300)
    finally:
        os.environ["PYTHONPATH"] = env
    assert (first.returncode, second.returncode) == (143, 0), errors
    assert "done after epoch" in left
    assert "#4: done after epoch 6" in said
    assert found(own_loop.study(place))[1].equals(alone[1])


OTHER = """
from lossmith.study.study import Study
from shared.own_loop import study as alike, train
def study(address):
    return alike(address, epochs=7)
"""


def test_what_a_user_may_get_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = own_loop.study(tmp_path / "study")
    (tmp_path / "another.py").write_text(OTHER)
    (tmp_path / "nameless.py").write_text("def train(trial): pass\n")
    (tmp_path / "elsewhere.py").write_text(
        "from shared.own_loop import study as alike, train\n"
        "def study(address): return alike(None)\n"
    )
    monkeypatch.chdir(tmp_path)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"on": "slurm"}, r"on must be 'processes', 'ray', 'torchrun' or have a submit"),
        ({"on": "torchrun"}, r"start this with torchrun"),
        ({"workers": 0}, r"workers must be above 0"),
        ({"train": lambda trial: None, "on": AnyEngine()}, r"has no name by which another process"),
        (
            {"train": "nameless:train", "on": AnyEngine()},
            r"nameless has no function study\(address",
        ),
        ({"on": AnyEngine(), "resources": {"gpu": 1}}, r"AnyEngine takes no resources here"),
        ({"workers": 2, "resources": {"tpu": 1}}, r"share out GPUs, as resources=\{'gpu': 0.5\}"),
        ({"train": "no_such:train"}, r"no_such can't be imported"),
    ]
    for how, said in wrong:
        with pytest.raises(InputError, match=said):
            study.run(**{"train": TRAIN, **how})
    address = study.address
    for arguments, said in [
        ((str(tmp_path / "nowhere"), TRAIN), r"there is no study in .*nowhere on .*postgresql://"),
        (
            (address, "another:train"),
            r"another:study: .* holds a study with another epochs \(6, now 7",
        ),
        ((address, "elsewhere:train"), r"elsewhere:study\(.*\) returned .* not the study at this"),
    ]:
        with pytest.raises(InputError, match=said):
            work(*arguments)


class Broken(Executor):
    """An engine whose workers die."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(MemoryError("the machine went away"))
        return future


def test_workers_that_all_end_early_are_told(tmp_path: Path) -> None:
    study = own_loop.study(tmp_path / "study")
    with (
        pytest.warns(UserWarning, match="a worker ended early: MemoryError"),
        pytest.raises(RuntimeError, match=r"all 2 workers ended .*MemoryError.*run it again"),
    ):
        study.run(TRAIN, workers=2, on=Broken())


def test_processes_are_given_their_share_of_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(processes.VISIBLE, "4,7")
    engine = processes.Processes({"gpu": 0.5})
    given = []
    for _ in range(4):
        given.append(engine._visible())
        engine.running.append(processes.Running(multiprocessing.current_process()))
    assert given == ["4", "4", "7", "7"]
    with pytest.raises(InputError, match=r"5 workers of 0\.5 GPU need 3 GPUs, and there are 2"):
        engine._visible()
