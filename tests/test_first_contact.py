"""The first minute: what loads when, the index of the command line, and completion."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import lossmith
from lossmith.cli import index
from lossmith.cli.main import main

HEAVY = {"numpy", "pandas", "sklearn", "matplotlib", "scipy", "pyarrow", "skrub", "rich"}
FIRST = (
    ["--version"],
    ["--help"],
    ["list"],
    ["list", "--task", "binary", "--json"],
    ["show", "huber"],
    ["select", "--help"],
    ["completion", "bash"],
)


def loaded(code: str) -> set[str]:
    """The packages of others than Python that a fresh interpreter holds after some code."""
    code += "; import sys; print(); print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].split()) - set(sys.stdlib_module_names)


@pytest.mark.parametrize("argv", FIRST, ids=" ".join)
def test_the_command_line_starts_without_torch(argv: list[str]) -> None:
    held = loaded(f"from lossmith.cli.main import main; assert main({argv}) == 0")
    assert "lossmith" in held
    assert not held & {"torch", *HEAVY}


def test_import_loads_nothing_and_a_loss_only_torch() -> None:
    bare, torch = loaded("import lossmith; lossmith.__version__"), loaded("import torch")
    assert not bare & {"torch", *HEAVY}
    assert loaded("import lossmith; lossmith.Huber()") <= torch | bare
    assert loaded("from lossmith import get; get('huber')") <= torch | bare


@pytest.mark.parametrize("name", ["select", "judge", "Study"])
def test_a_study_leaves_the_slow_packages_until_it_needs_them(name: str) -> None:
    held = loaded(f"import lossmith; lossmith.{name}")
    assert "scipy" in held
    assert not held & {"skops", "skrub", "matplotlib"}


def test_the_committed_index_is_up_to_date() -> None:
    assert index.index() == json.loads(json.dumps(index.made())), "run `make pages`"


def test_a_loss_that_is_not_yet_in_the_index_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "huber"]) == 0
    listed = capsys.readouterr().out
    monkeypatch.delitem(index.index()["pages"], "huber")
    assert main(["show", "huber"]) == 0
    assert capsys.readouterr().out == listed


def test_what_is_printed_says_what_it_is() -> None:
    kinds = {name: getattr(lossmith, name) for name in lossmith.__all__}
    mute = [
        name
        for name, kind in kinds.items()
        if isinstance(kind, type) and kind.__repr__ is object.__repr__
    ]
    assert not mute
    clock = lossmith.LossScheduler(lossmith.MSE(), total_steps=10)
    clock.step()
    assert repr(clock) == "<LossScheduler of MSE, at step 1 of 10>"


def test_every_public_name_is_found_and_named() -> None:
    assert set(lossmith.__all__) <= set(dir(lossmith))
    found = [getattr(lossmith, name) for name in lossmith.__all__]
    assert lossmith.Huber in found
    assert lossmith.functional.__name__ == "lossmith.functional"
    for name in ("hubber", "_private"):
        with pytest.raises(AttributeError, match=f"module 'lossmith' has no attribute '{name}'"):
            getattr(lossmith, name)


def completed(script: Path, *words: str) -> list[str]:
    """What bash offers for the last of some words."""
    line = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _shtab_lossmith"
    code = f'source {script}; {line}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True)
    return done.stdout.split()


def test_a_shell_completes_verbs_tasks_and_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "completion.bash"
    script.write_text(capsys.readouterr().out)
    assert completed(script, "lossmith", "pre") == ["predict"]
    assert "huber" in completed(script, "lossmith", "show", "hub")
    assert completed(script, "lossmith", "list", "--task", "bin") == ["binary"]


def test_completion_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "zsh"]) == 2
    assert capsys.readouterr().err == (
        "lossmith: completion needs shtab; install it with: pip install 'lossmith[completion]'\n"
    )
