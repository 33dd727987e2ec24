"""A device without one: built with the system's compiler, loaded before torch is imported."""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("guard.cpp")


def build(folder: Path) -> Path:
    """Compile the guard against the torch that is installed; OSError where that can't be done."""
    from torch import version  # in the process that builds, not in the one that loads

    home, compiler = _torch(), shutil.which(os.environ.get("CXX", "c++"))
    if version.cuda or version.hip or version.xpu:
        raise OSError("this build of torch has a device of its own")
    if compiler is None or sys.platform != "linux":
        raise OSError("there is no C++ compiler, or no Linux, to build the simulated device with")
    library = folder / "guard.so"
    includes = (home / "include", home / "include/torch/csrc/api/include")
    command = [compiler, "-O1", "-std=c++20", "-shared", "-fPIC", "-D_GLIBCXX_USE_CXX11_ABI=1"]
    command += [*(f"-I{one}" for one in includes), str(SOURCE), "-o", str(library)]
    command += [f"-L{home / 'lib'}", "-lc10", "-ltorch_cpu", f"-Wl,-rpath,{home / 'lib'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"the simulated device can't be built: {done.stderr[-2000:]}")
    return library


def load(library: str, device: str) -> None:
    """Make torch, which must not be imported yet, believe in a device that computes nothing."""
    assert "torch" not in sys.modules
    os.environ["SIM_DEVICE"] = device
    for path in (_torch() / "lib/libtorch_global_deps.so", Path(library)):
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)


def _torch() -> Path:
    spec = importlib.util.find_spec("torch")
    return Path(str(spec and spec.origin)).parent
