"""Compiles the Triton kernel for devices that are not there; prints what came of it as JSON.

ptxas of Triton's own wheel tells registers and spills for NVIDIA's, the assembly for AMD's.
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from lossmith.kernels import cross_entropy_triton as kernel

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_100": GPUTarget("cuda", 100, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
POINTERS = {"target": "*i64", "weight": "*fp32", "values": "*fp32"}
NUMBERS = {"stride": "i64", "grads_stride": "i64", "classes": "i32", "ignore_index": "i64"}
FLOATS = dict.fromkeys(("smoothing", "z_loss", "cap"), "fp32")
SWITCHES = ("WEIGHED", "SMOOTHED", "Z", "CAPPED", "GRADIENT")


def compiled(target: GPUTarget, logits: str, grads: str, switches: bool) -> Any:
    """Return the kernel for a target, all of its switches but the gradient's on or off."""
    given = {"logits": f"*{logits}", "grads": f"*{grads}", **POINTERS, **NUMBERS, **FLOATS}
    constants = {**dict.fromkeys(SWITCHES, switches), "GRADIENT": True, "BLOCK": kernel.BLOCK}
    signature = {**given, **dict.fromkeys(constants, "constexpr")}
    source = ASTSource(fn=kernel.row_cross_entropy, signature=signature, constexprs=constants)
    return triton.compile(source, target=target, options={"num_warps": kernel.WARPS})


def registers(name: str, built: Any) -> dict[str, int]:
    """Return the registers of a thread, and the bytes that it spills."""
    if name.startswith("gfx"):
        code = built.asm["amdgcn"]
        taken, spilled = (int(re.search(rf"\.{w}:\s+(\d+)", code)[1]) for w in AMD)
        return {"registers": taken, "spilled": spilled}
    tools = Path(triton.__file__).parent / "backends/nvidia/bin"
    ptxas = tools / ("ptxas-blackwell" if name == "sm_100" else "ptxas")
    architecture = re.search(r"^\.target (\w+)", built.asm["ptx"], re.MULTILINE)[1]
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(built.asm["ptx"])
        file.flush()
        command = [str(ptxas), "-v", f"--gpu-name={architecture}", file.name, "-o", "/dev/null"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    spilled = sum(map(int, re.findall(r"(\d+) bytes spill", told)))
    return {"registers": int(re.search(r"Used (\d+) registers", told)[1]), "spilled": spilled}


AMD = ("vgpr_count", "vgpr_spill_count")

if __name__ == "__main__":
    found = {}
    for name, target in TARGETS.items():
        for logits, grads in (("fp32", "bf16"), ("bf16", "bf16"), ("fp32", "fp32")):
            for switches in (False, True):
                built = compiled(target, logits, grads, switches)
                case = f"{name} {logits} {grads} {'all' if switches else 'plain'}"
                found[case] = {**registers(name, built), "shared": built.metadata.shared}
    print(json.dumps(found))
