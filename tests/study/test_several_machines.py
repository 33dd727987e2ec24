"""The lines of the guide to several machines run, on this one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[2] / "docs/guides/several_machines.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(python|sh)\n(.*?)^```", GUIDE, re.M | re.S)
FILE, *SCRIPTS = [text for kind, text in BLOCKS if kind == "python"]
HAND, BOX, ARRAY = [text for kind, text in BLOCKS if kind == "sh"]
PACKAGES = {"loky", "submitit", "ray", "dask"}


def named(script: str) -> str:
    found = re.findall(r"^(?:import|from) (\w+)", script, re.M)
    return next((name for name in found if name in PACKAGES), "processes")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the guide's file, and the command `lossmith`."""
    (tmp_path / "digits.py").write_text(FILE)
    command = tmp_path / "bin" / "lossmith"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lossmith.cli.main "$@"\n')
    command.chmod(0o755)
    return tmp_path


def said(place: Path, *command: str) -> str:
    path = os.pathsep.join([str(place / "bin"), os.environ["PATH"]])
    done = subprocess.run(
        command,
        cwd=place,
        env=os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def verdict(place: Path, study: str) -> str:
    return said(place, "lossmith", "verdict", f"runs/{study}").strip().splitlines()[-1]


@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_the_scripts_run(script: str, place: Path) -> None:
    if named(script) != "processes":
        pytest.importorskip(named(script))
    (place / "script.py").write_text(script)
    said(place, sys.executable, "script.py")
    study = re.findall(r'study\("runs/(\w+)"\)', script)[0]
    assert verdict(place, study).startswith(("Keep", "Switch"))


def test_the_lines_by_hand_run(place: Path) -> None:
    assert said(place, "bash", "-c", HAND).strip().splitlines()[-1].startswith(("Keep", "Switch"))


def test_the_line_of_an_array_runs(place: Path) -> None:
    (place / "array.sh").write_text(re.sub(r'"postgresql://[^"]*"', "runs/array", ARRAY))
    assert "done after epoch 4" in said(place, "bash", "array.sh")
    assert verdict(place, "array").startswith(("Keep", "Switch"))


def test_the_line_for_ranks_runs(place: Path) -> None:
    line = BOX.splitlines()[2].replace("--nproc-per-node 4", "--standalone --nproc-per-node 2")
    command = line.replace("torchrun", f'"{sys.executable}" -m torch.distributed.run', 1)
    said(place, "bash", "-c", command.replace("--no-python lossmith", "--no-python bin/lossmith"))
    assert verdict(place, "box").startswith(("Keep", "Switch"))
