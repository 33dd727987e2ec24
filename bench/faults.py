"""A study that is disturbed in every way that we know: is anything lost, or counted twice?

    .ci/postgresql python bench/faults.py [--only killed hung] [--seed 0]

One study is run undisturbed by a plain loop, and again by two processes under each fault; all save
checkpoints to a folder that they share. So that silence ends in seconds, others take a training
over after 5 s of it instead of 60. Prints a table in Markdown. Cutting a machine off and filling a
disk need root; the rows of PostgreSQL need one.
"""

import argparse
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import torch

from lossmith.study.journal import open_journal, storage
from lossmith.study.journal.facts import Record
from shared.own_loop import start, study, train
from shared.storages import SERVER, address_of

FACTS = ["loss", "learning_rate", "fold", "epoch", "score"]
PAUSE = 0.05  # seconds that an epoch takes besides
LEASE = 5.0
CLONE_NEWUTS, CLONE_NEWNET = 0x04000000, 0x40000000
HOST, GUEST = "10.213.7.1", "10.213.7.2"
Fault = Callable[["Run"], int]


@dataclass
class Run:
    """One study that two processes work on; strikes: how often the fault is to come."""

    address: str
    folder: Path
    log: Path
    draw: random.Random
    strikes: int = 5

    def start(self, **how: Any) -> BaseProcess:
        """Start a process that works on the study."""
        return start(work, self.address, self.folder, self.log, **how)

    def running(self) -> list[Record]:
        """Return the trainings that run and have reported."""
        records = open_journal(self.address, write=False).facts().records.values()
        return [record for record in records if record.state == "running" and record.reports]

    def ended(self, workers: list[BaseProcess]) -> bool:
        """Tell whether all processes have done their work."""
        for worker in workers:
            if worker.exitcode not in (None, 0):
                raise RuntimeError(f"a worker ended with {worker.exitcode}")
        return all(worker.exitcode == 0 for worker in workers)

    def until_ended(self, workers: list[BaseProcess], strike: Callable[[], Any]) -> int:
        """Strike at random moments while the processes work; return how often."""
        struck = 0
        while not self.ended(workers):
            if struck < self.strikes:
                time.sleep(self.draw.uniform(0.2, 0.6))
                if not self.ended(workers):
                    strike()
                    struck += 1
            time.sleep(0.05)
        return struck


def work(
    address: str, folder: Path, log: Path, *, minutes: float = 0.0, twice: bool = False
) -> None:
    """Train what a study asks for, to its end, maybe with a wrong clock or reports sent twice."""
    torch.set_num_threads(1)
    storage.LEAST = LEASE
    if minutes:
        right = time.time
        time.time = lambda: right() + 60 * minutes
    place = None if address == str(folder) else folder
    one = study(address, folder=place)
    if twice:
        report = one.journal.report
        one.journal.report = lambda *said: report(*said) and report(*said)  # type: ignore[method-assign]
    one.run(lambda trial: train(trial, saves=True, log=log, pause=PAUSE))


def killed(run: Run) -> int:
    workers = [run.start(), run.start()]

    def strike() -> None:
        place = run.draw.randrange(2)
        os.kill(workers[place].pid or 0, signal.SIGKILL)
        workers[place].join()
        workers[place] = run.start()

    return run.until_ended(workers, strike)


def hung(run: Run) -> int:
    """Stop a process until its training was taken over, then let it go on and report."""
    workers = [run.start(), run.start()]

    def strike() -> None:
        while not (own := [r for r in run.running() if f":{workers[0].pid}:" in r.worker]):
            if run.ended(workers):
                return
            time.sleep(0.01)
        os.kill(workers[0].pid or 0, signal.SIGSTOP)
        until = time.monotonic() + 4 * LEASE
        while time.monotonic() < until and _unchanged(run, own[0]) and workers[1].is_alive():
            time.sleep(0.1)
        os.kill(workers[0].pid or 0, signal.SIGCONT)

    return run.until_ended(workers, strike)


def _unchanged(run: Run, was: Record) -> bool:
    records = open_journal(run.address, write=False).facts().records.values()
    return any(record.id == was.id and record.attempt == was.attempt for record in records)


def wrong_clocks(run: Run) -> int:
    workers = [run.start(minutes=-10), run.start(minutes=10)]
    run.until_ended(workers, lambda: None)
    return 2


def sent_twice(run: Run) -> int:
    workers = [run.start(twice=True), run.start(twice=True)]
    run.until_ended(workers, lambda: None)
    return sum(len(r.reports) for r in open_journal(run.address).facts().records.values())


def full_disk(run: Run) -> int:
    """Fill the disk, so that the processes end with an error; make room and start them anew."""
    workers = [run.start(), run.start()]
    struck = 0
    while any(worker.exitcode != 0 for worker in workers):
        time.sleep(run.draw.uniform(0.5, 1.5))
        if struck < run.strikes:
            with suppress(OSError), (run.folder.parent / "filler").open("wb", 0) as filler:
                while True:
                    filler.write(bytes(4096))
            struck += 1
            time.sleep(0.5)
            (run.folder.parent / "filler").unlink()
        for place, worker in enumerate(workers):
            if worker.exitcode not in (None, 0):
                workers[place] = run.start()
    return struck


def restarted(run: Run) -> int:
    """Restart the server, every other time as if it crashed."""
    modes, command = iter(["fast", "immediate"] * 9), os.environ["LOSSMITH_POSTGRESQL_RESTART"]

    def strike() -> None:
        subprocess.run(command.replace("fast", next(modes)).split(), check=True, cwd="/tmp")

    return run.until_ended([run.start(), run.start()], strike)


class Proxy:
    """A way to the server that can be cut at any moment, in mid-answer too."""

    def __init__(self, host: str) -> None:
        self.pairs: list[socket.socket] = []
        self.server = socket.create_server((host, 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        port = int(SERVER.rpartition(":")[2].partition("/")[0])
        while True:
            client, _ = self.server.accept()
            with suppress(OSError):
                server = socket.create_connection(("127.0.0.1", port))
                self.pairs += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()
                continue
            client.close()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(4096):
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Break off what is connected now."""
        pairs, self.pairs = self.pairs, []
        for end in pairs:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def address(self, address: str, host: str) -> str:
        """Return an address by this way."""
        return address.replace(SERVER.partition("@")[2].partition("/")[0], f"{host}:{self.port}")


def cut_connections(run: Run) -> int:
    proxy = Proxy("127.0.0.1")
    by_it = replace(run, address=proxy.address(run.address, "127.0.0.1"), strikes=10 * run.strikes)

    def strike() -> None:
        for _ in range(10):  # the moments are random to the microsecond
            time.sleep(run.draw.uniform(0.0, 0.03))
            proxy.cut()

    return 10 * by_it.until_ended([by_it.start(), by_it.start()], strike)


def gone(run: Run) -> int:
    """Cut a machine off, a network and a host name of its own, and bring it back much later."""
    other = run.start()
    guest = start(_as_guest, run)
    for line in (
        f"ip link add lossmith0 type veth peer name guest0 netns {guest.pid}",
        f"ip addr add {HOST}/24 dev lossmith0",
        "ip link set lossmith0 up",
        f"nsenter -t {guest.pid} -n ip addr add {GUEST}/24 dev guest0",
        f"nsenter -t {guest.pid} -n ip link set guest0 up",
    ):
        for _ in range(50):  # until the guest has its network
            if subprocess.run(line.split(), capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
    proxy = Proxy(HOST)
    (run.folder.parent / "way").write_text(proxy.address(run.address, HOST))

    def strike() -> None:
        while not (own := [r for r in run.running() if r.worker.startswith("guest:")]):
            if run.ended([other, guest]):
                return
            time.sleep(0.01)
        subprocess.run(["ip", "link", "set", "lossmith0", "down"], check=True)
        until = time.monotonic() + 4 * LEASE
        while time.monotonic() < until and _unchanged(run, own[0]) and other.is_alive():
            time.sleep(0.1)
        time.sleep(1.0)
        subprocess.run(["ip", "link", "set", "lossmith0", "up"], check=True)

    return run.until_ended([other, guest], strike)


def _as_guest(run: Run) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUTS | CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "no network of its own")
    socket.sethostname("guest")
    way = run.folder.parent / "way"
    while not way.exists():
        time.sleep(0.05)
    work(way.read_text(), run.folder, run.log)


FAULTS: dict[str, tuple[str, Fault, list[str], int]] = {
    "killed": ("a process killed (`kill -9`)", killed, ["folder", "PostgreSQL"], 10),
    "hung": ("a process hangs, and goes on later", hung, ["folder", "PostgreSQL"], 2),
    "gone": ("a machine cut off from the network, back later", gone, ["PostgreSQL"], 2),
    "clocks": ("clocks 20 minutes apart", wrong_clocks, ["PostgreSQL"], 0),
    "restarted": ("the server restarted, or crashed", restarted, ["PostgreSQL"], 4),
    "cut": ("connections cut at random moments", cut_connections, ["PostgreSQL"], 3),
    "twice": ("every report sent twice", sent_twice, ["folder", "PostgreSQL"], 0),
    "full": ("the disk full", full_disk, ["folder"], 3),
}


def facts(address: str, folder: Path | None) -> tuple[str, list[list[object]]]:
    """Return a study's verdict, and all scores of the trainings that were done."""
    opened = study(address, folder=folder)
    frame = opened.frame()
    done = frame[frame.state == "done"][FACTS].sort_values(FACTS)
    return str(opened.verdict()), done.values.tolist()


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """Mount a file system of 4 MB."""
    disk = place / "disk"
    disk.mkdir()
    subprocess.run(f"mount -t tmpfs -o size=4m none {disk}".split(), check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def row(name: str, kind: str, calm: tuple[str, list[list[object]]], seed: int) -> str:
    """Return what became of a study under a fault, as a row."""
    what, fault, _, strikes = FAULTS[name]
    with TemporaryDirectory() as made, at(name == "full", Path(made)) as place:
        folder = place / "study"
        own = kind == "folder"
        address = str(folder) if own else address_of("postgresql", folder)
        log = Path(made) / "log"
        open_journal(address)  # imports what processes would be killed in importing
        struck = fault(Run(address, folder, log, random.Random(f"{seed} {name}"), strikes))
        verdict, scores = facts(address, None if own else folder)
        epochs = Counter(log.read_text().splitlines())
    cells = [
        what,
        kind,
        str(struck),
        "same" if verdict == calm[0] else "ANOTHER",
        f"{sum(one in scores for one in calm[1])} of {len(calm[1])}",
        str(len(scores) - len(calm[1])),
        f"{sum(epochs.values()) - len(epochs)} of {sum(epochs.values())}",
    ]
    return f"| {' | '.join(cells)} |"


@contextmanager
def at(disk: bool, place: Path) -> Iterator[Path]:
    """Give a place, on a disk of its own where one is to be filled."""
    if not disk:
        yield place
        return
    with small_disk(place) as mounted:
        yield mounted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    heads = ["fault", "kept in", "times", "verdict", "scores equal", "more", "epochs anew"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    with TemporaryDirectory() as place:
        alone = study(Path(place) / "calm")
        alone.run(lambda trial: train(trial, saves=True))
        calm = facts(str(Path(place) / "calm"), None)
    for name in options.only:
        for kind in FAULTS[name][2]:
            if kind == "folder" or SERVER:
                print(row(name, kind, calm, options.seed), flush=True)


if __name__ == "__main__":
    main()
