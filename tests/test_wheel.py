"""The wheel in an environment of torch alone: what it holds, and what it says of what it lacks."""

import subprocess
import sys
import venv
import zipfile
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import lossmith

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src" / "lossmith"
EVERY_LOSS = """\
import importlib.util, lossmith
from lossmith.testing import check, checks
assert importlib.util.find_spec("numpy") is None
for kind in lossmith.find().values():
    next(one for one in checks(kind) if one.name == "reference_value")()
check(lossmith.Huber)
print(len(lossmith.find()), "losses")
"""


def run(*argv: str | Path, code: int = 0) -> str:
    """Run a command far from the sources; return what it prints, or says where it is to fail."""
    far = {"cwd": "/", "env": {"PYTHONWARNINGS": "ignore"}}
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, **far)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the sdist gives, built with what is installed."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT)
    assert len(list(out.glob("*.tar.gz"))) == 1
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a fresh environment with torch, what torch demands, and the wheel.

    torch is linked, not copied. pip may look nowhere else, so that it refuses a wheel which
    demands more.
    """
    home = tmp_path_factory.mktemp("alone")
    venv.create(home)
    (packages,) = home.glob("lib/python*/site-packages")
    link("torch", packages, set())
    python = home / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", wheel)
    return python.parent


def link(name: str, packages: Path, linked: set[str]) -> None:
    """Link an installed package, and those that it demands, into another environment."""
    if name in linked:
        return
    linked.add(name)
    found = distribution(name)
    for top in {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}:
        if not (packages / top).exists():
            (packages / top).symlink_to(Path(str(found.locate_file(top))).resolve())
    for demand in map(Requirement, found.requires or []):
        if demand.marker is None or demand.marker.evaluate({"extra": ""}):
            link(demand.name, packages, linked)


def test_the_wheel_holds_the_package_and_no_more(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = {path for path in SOURCES.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert held == {str(path.relative_to(SOURCES.parent)) for path in files}
    assert {"lossmith/py.typed", "lossmith/cli/index.json"} <= held


def test_its_metadata(wheel: Path) -> None:
    files = zipfile.ZipFile(wheel)
    (place,) = (name for name in files.namelist() if name.endswith("/METADATA"))
    told = Parser().parsestr(files.read(place).decode())
    assert told["Version"] == lossmith.__version__
    assert told["License-Expression"] == "Apache-2.0"
    assert place.replace("METADATA", "licenses/LICENSE") in files.namelist()
    demands = map(Requirement, told.get_all("Requires-Dist"))
    assert [demand.name for demand in demands if demand.marker is None] == ["torch"]
    assert "dev" not in told.get_all("Provides-Extra")


def test_every_loss_works_beside_torch_alone(scripts: Path) -> None:
    assert run(scripts / "python", "-c", EVERY_LOSS) == f"{len(lossmith.find())} losses\n"


def test_the_command_line_works_beside_torch_alone(scripts: Path) -> None:
    command = scripts / "lossmith"
    assert run(command, "--version") == f"lossmith {lossmith.__version__}\n"
    assert "\nhuber " in run(command, "list")
    assert run(command, "show", "huber").startswith("Huber (huber)\n")
    assert "multiclass: " in run(command, "select", "--help")


@pytest.mark.parametrize(
    ("argv", "extra"),
    [
        (("select", "t.csv", "--target", "a", "--metric", "mae"), "select"),
        (("predict", "run", "t.csv"), "select"),
        (("status", "run"), "select"),
        (("verdict", "run"), "select"),
        (("report", "run"), "select"),
        (("judge", "t.csv", "--default", "mse", "--better", "lower"), "select"),
        (("completion", "bash"), "completion"),
    ],
)
def test_a_command_names_the_extra_it_needs(
    scripts: Path, argv: tuple[str, ...], extra: str
) -> None:
    said = run(scripts / "lossmith", *argv, code=2)
    assert said.startswith(f"lossmith: {argv[0]} needs ")
    assert said.endswith(f"; install it with: pip install 'lossmith[{extra}]'\n")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("code", "extra"),
    [
        ("import lossmith; lossmith.select", "select"),
        ("from lossmith import judge", "select"),
        ("from lossmith import Study", "select"),
        ("import lossmith.integrations.lightning", "lightning"),
        ("import lossmith.integrations.transformers", "transformers"),
        ("import lossmith.integrations.skorch", "skorch"),
        ("import lossmith; lossmith.surgery_backward({}, [], shared=[])", "surgery"),
    ],
)
def test_a_name_names_the_extra_it_needs(scripts: Path, code: str, extra: str) -> None:
    said = run(scripts / "python", "-c", code, code=1).splitlines()[-1]
    assert said.startswith("ImportError: ")
    assert said.endswith(f"; install it with: pip install 'lossmith[{extra}]'")
