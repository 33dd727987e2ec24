"""What goes wrong in trainings: each is marked and left out, and the study goes on."""

import json
import socket
import warnings
from errno import ENOSPC
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lossmith
from lossmith.study.base.errors import InputError, StorageError
from lossmith.study.journal import Decision
from lossmith.study.study import Study
from lossmith.study.trials import checkpoint
from lossmith.study.trials.splits import BLOCKS
from lossmith.study.trials.trial import Trial
from shared.own_loop import Y, study


def scores(trial: Trial) -> np.ndarray:
    """Return made-up errors of the rows that judge: huber is best."""
    level = {"mse": 1.0, "huber": 0.6, "log_cosh": 1.1}.get(trial.name, 1.2)
    noise = np.random.default_rng(trial.fold).normal(size=len(trial.valid))
    own = np.random.default_rng(len(trial.name)).normal(size=len(trial.valid))
    return np.exp(0.1 * noise + 0.05 * own) * level


def quick(trial: Trial) -> None:
    for epoch in trial.epochs:
        if trial.report(epoch, rows=scores(trial)):
            return


def states(of: Study, name: str) -> set[str]:
    return {r.state for t, r in of.journal.facts().records.items() if t.setting.candidate == name}


def notes(of: Study, name: str) -> str:
    found = of.journal.facts().records.items()
    return "\n".join(r.note for t, r in found if t.setting.candidate == name)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), KeyError("my column")], ids=repr
)
def test_a_trial_that_raises_is_left_out_with_its_traceback(error: Exception) -> None:
    def fragile(trial: Trial) -> None:
        if trial.name == "log_cosh":
            raise error
        quick(trial)

    one = study(None)
    with pytest.warns(UserWarning, match="log_cosh@0.01#0 failed and is left out"):
        verdict = one.run(fragile)
    assert states(one, "log_cosh") <= {"failed", "stopped"}
    assert "Traceback" in notes(one, "log_cosh")
    assert "raise error" in notes(one, "log_cosh")
    assert verdict.selected == "huber"
    row = next(row for row in verdict.candidates if row.name == "log_cosh")
    assert type(error).__name__ in row.note
    assert str(verdict.result.diagnosis).count("log_cosh") == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ValueError("a tensor of\n   [[1., 2.]]\n\nis no target"),
            "ValueError: a tensor of [[1., ",
        ),
        (InputError("say default="), "say default= (test_study_faults.py, line "),
        (json.JSONDecodeError("no config", "", 0), "JSONDecodeError: no config: line 1 column 1"),
        (KeyError("k" * 1000), "KeyError: 'kkk"),
    ],
    ids=["lines", "input", "stdlib", "long"],
)
def test_what_failed_is_one_line_with_its_place(error: Exception, line: str) -> None:
    def fragile(trial: Trial) -> None:
        if trial.name == "log_cosh":
            raise error
        quick(trial)

    one = study(None)
    with pytest.warns(UserWarning, match="log_cosh@0.01#0 failed and is left out") as told:
        verdict = one.run(fragile)
    note = next(row.note for row in verdict.candidates if row.name == "log_cosh")
    assert line in note
    assert "\n" not in note
    assert len(note) < 400
    assert f"(test_study_faults.py, line {fragile.__code__.co_firstlineno + 2})" in note
    assert any(note in str(one.message) for one in told)


@pytest.mark.parametrize("how", ["outputs", "rows", "score"])
@pytest.mark.parametrize("metric", ["mae", "r2"])
def test_a_trial_that_diverges_is_left_out(how: str, metric: str) -> None:
    def diverging(trial: Trial) -> None:
        draw = np.random.default_rng([trial.fold, len(trial.name)])
        for _ in trial.epochs:
            outputs = Y[trial.valid].numpy() + draw.normal(size=len(trial.valid))
            if trial.name == "log_cosh":
                outputs = outputs * np.nan
            errors = np.abs(outputs - Y[trial.valid].numpy()) * (1 if metric == "mae" else -1)
            said = {"outputs": outputs, "rows": errors, "score": errors.mean()}[how]
            if trial.report(**{how: said}):
                return

    one = study(None, metric=metric)
    one.run(diverging)
    assert states(one, "log_cosh") <= {"failed", "stopped"}
    assert "diverged after 1 epoch" in notes(one, "log_cosh")
    assert states(one, "huber") & {"done"}


@pytest.mark.parametrize("how", ["raises", "diverges", "reports nothing"])
def test_a_default_that_fails_everywhere_is_one_clear_error(how: str) -> None:
    trained = []

    def bad(trial: Trial) -> None:
        trained.append(trial.name)
        if trial.name != "mse":
            quick(trial)
        elif how == "raises":
            raise RuntimeError("no such file")
        elif how == "diverges":
            trial.report(1, rows=scores(trial) * np.nan)

    one = study(None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InputError, match="default loss mse failed") as e:
            one.run(bad)
    assert "\n" not in str(e.value)
    assert set(trained) == {"mse"}


def test_an_error_outside_seeded_ends_the_loop_alone() -> None:
    one = study(None)

    def mine() -> None:
        for _ in one:
            raise ValueError("in my own code")

    for _ in range(2):
        with pytest.raises(ValueError, match="in my own code"):
            mine()
    assert one.run(quick).finished


@pytest.mark.parametrize("inside", [True, False])
def test_ctrl_c_gives_the_trial_back(tmp_path: Path, inside: bool) -> None:
    def interrupted() -> None:
        for trial in one:
            if not inside:
                raise KeyboardInterrupt
            with trial.seeded():
                raise KeyboardInterrupt

    one = study(tmp_path)
    with pytest.raises(KeyboardInterrupt) as held:  # its traceback holds the loop, as notebooks do
        interrupted()
    if inside:
        assert states(one, "mse") == {"planned"}
    assert study(tmp_path).run(quick).finished if inside else one.run(quick).finished
    assert held


def test_break_gives_the_trial_back(tmp_path: Path) -> None:
    one = study(tmp_path)
    for _ in one:
        break
    assert states(one, "mse") == {"planned"}
    assert study(tmp_path).run(quick).verdict == "switch"


def test_a_late_report_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    one, other = (study(tmp_path, epochs=40) for _ in range(2))
    first = one.ask()
    assert first is not None
    first.save(1, weights=torch.zeros(2))
    first.report(1, rows=scores(first))
    one.journal._run("UPDATE training SET expires = 0 WHERE state = 'running'")
    second = other.ask()
    assert second is not None
    assert (second.id, second.claim.attempt) == (first.id, first.claim.attempt + 2)
    assert second.start == 1
    before = one.frame()
    first.save(2, weights=torch.ones(2))
    with pytest.warns(UserWarning, match="taken over by another process"):
        assert first.report(2, rows=scores(first))
    with pytest.raises(InputError, match="too late"):
        first.report(3, rows=scores(first))
    one.close(first)
    one.release(first)
    assert one.frame().equals(before)
    assert [place.name for place in second.folder.iterdir()] == ["epoch-1.pt"]
    assert torch.equal(second.restore(weights=None)["weights"], torch.zeros(2))
    assert other.journal.holds(second.claim)


def test_a_trial_that_a_look_made_needless_stops_quietly(tmp_path: Path) -> None:
    one, other = (study(tmp_path) for _ in range(2))
    trial = one.ask()
    assert trial is not None
    trial.report(1, rows=scores(trial))
    stop = [(trial.claim.training, "a look at the evidence made it needless")]
    other.journal.decide(Decision("look 3", {"kept": []}, stop=stop))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trial.report(2, rows=scores(trial))
    assert trial.outcome == "stopped"
    assert one.journal.facts().records[trial.claim.training].epoch == 1


def test_a_trial_whose_process_died_is_asked_for_again(tmp_path: Path) -> None:
    one = study(tmp_path)
    trial = one.ask()
    assert trial is not None
    for worker in ("vm:1:0", "{}:4194305:77", "{}:1:77"):  # elsewhere; none such; another since
        name = worker.format(socket.gethostname())
        one.journal._run("UPDATE training SET worker = ? WHERE state = 'running'", (name,))
        freed = [training.setting.candidate for training in one.journal.release()]
        assert freed == ([] if worker == "vm:1:0" and socket.gethostname() != "vm" else ["mse"])
        one.journal._run("UPDATE training SET state = 'running' WHERE id = ?", (trial.claim.id,))


def test_a_silent_trial_is_waited_for_by_the_gaps_between_reports(tmp_path: Path) -> None:
    one = study(tmp_path)
    trial = one.ask()
    assert trial is not None

    def patience() -> float:
        ((expires, at),) = one.journal._run(
            "SELECT expires, (SELECT max(at) FROM report) FROM training WHERE state = 'running'"
        )
        return expires - at

    trial.report(1, rows=scores(trial))
    assert 59 < patience() < 61
    trial._lap -= 100
    trial.report(2, rows=scores(trial))
    assert 990 < patience() < 1100


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"rows": np.ones(3)}, "one score for each of the 24 rows"),
        ({"outputs": np.ones(3)}, "for the 24 rows of trial.valid"),
        ({"outputs": np.ones(24), "score": 1.0}, "one of outputs=, rows= or score="),
        ({}, "one of outputs=, rows= or score="),
        (
            {"score": -1.0},
            "-1 was reported, but MAE is 0 or above.*scikit-learn's scorers called neg_",
        ),
        ({"rows": -np.ones(24)}, "-1 was reported, but MAE is 0 or above"),
        ({"epoch": 0, "score": 1.0}, "epoch must be from 1 to 6"),
        ({"epoch": 7, "score": 1.0}, "epoch must be from 1 to 6"),
        ({"epoch": 1.5, "score": 1.0}, "epoch must be from 1 to 6"),
        ({"epoch": torch.ones(24)}, "first argument is the epoch, got a Tensor; name what"),
    ],
)
def test_a_report_that_cannot_be_is_refused(said: dict[str, Any], wrong: str) -> None:
    one = study(None)
    trial = one.ask()
    assert trial is not None
    with pytest.raises(InputError, match=wrong):
        trial.report(**{"epoch": 1, **said})
    assert one.frame().empty


def test_a_paused_trial_must_be_restored(tmp_path: Path) -> None:
    one = study(tmp_path, epochs=20)
    seen = {}
    for trial in one:
        if trial.start and not seen:
            with pytest.raises(InputError, match=r"call trial.restore\(model=model"):
                trial.report(trial.start + 1, rows=scores(trial))
            seen[trial.id] = trial.start
            break
        trial.save(3, weights=torch.zeros(1))
        assert trial.report(3, rows=scores(trial)) or trial.id.endswith("-again")
    assert seen


@pytest.mark.parametrize("error", [StorageError("out of reach"), OSError(ENOSPC, "No space left")])
def test_a_journal_out_of_reach_or_a_full_disk_is_no_trials_fault(
    tmp_path: Path, error: Exception
) -> None:
    def fails(trial: Trial) -> None:
        raise error

    with pytest.raises(type(error)):
        study(tmp_path / "it").run(fails)
    assert states(study(tmp_path / "it"), "mse") == {"planned"}
    assert study(tmp_path / "it").run(quick).verdict == "switch"


def test_a_checkpoint_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    place = tmp_path / "it"
    place.touch()  # where a folder is to be
    with pytest.raises(StorageError, match="cannot write a checkpoint"):
        checkpoint.save(place, 1, 0, {"weights": torch.zeros(2)})


@pytest.mark.parametrize("stopped", [True, False])
def test_a_trial_stopped_while_it_saves_loses_its_files_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    one = study(tmp_path / "it")
    trial = one.ask()
    assert trial is not None
    write = torch.save

    def meanwhile(state: Any, place: Path) -> None:
        write(state, place)
        if stopped:  # as another process decides and forgets
            one.journal.end(trial.claim, "stopped")
        checkpoint.forget(trial.folder)

    monkeypatch.setattr(torch, "save", meanwhile)
    if stopped:
        trial.save(1, weights=torch.zeros(2))
    else:
        with pytest.raises(StorageError, match="cannot write a checkpoint"):
            trial.save(1, weights=torch.zeros(2))


def test_of_many_rows_blocks_are_kept_and_the_rows_are_told(tmp_path: Path) -> None:
    rows = 3 * BLOCKS
    target = torch.linspace(0.0, 1.0, rows)
    one = study(tmp_path / "it", target=target, splits=None, losses=["mse", "huber"])
    draw = np.random.default_rng(0).normal(size=rows)
    for trial in one:
        for _ in trial.epochs:
            if trial.report(rows=scores_of(trial, draw)):
                break
    units = one.journal.units()
    assert all(0.4 * BLOCKS < len(own) <= BLOCKS for own in units)
    comparison = one.verdict().result.comparison
    assert comparison is not None
    assert comparison.units == rows * min(5, comparison.trainings) // 5
    first, other = one.folds.folds[0], one.folds.folds[5]  # of another repeat
    block = dict(zip(first.valid.tolist(), first.units.tolist(), strict=True))
    pairs = zip(other.valid.tolist(), other.units.tolist(), strict=True)
    assert all(block.get(row, unit) == unit for row, unit in pairs)


def scores_of(trial: Trial, draw: np.ndarray) -> np.ndarray:
    """Return made-up errors of many rows, which depend on the loss alone."""
    return np.abs(draw[trial.valid]) + (0.01 if trial.name == "mse" else 0.0)


def test_asking_again_without_an_end_says_what_it_waits_for(monkeypatch) -> None:
    monkeypatch.setattr("lossmith.study.study.PATIENCE", 0.01)
    own = study(None)
    first, twin = own.ask(), own.ask()  # and nothing can be decided before these have ended
    assert first is not None
    assert twin is not None
    first.report(1, rows=scores(first))
    with (
        warnings.catch_warnings(action="error"),
        pytest.raises(UserWarning, match=rf"waits for the end of {first.id}, {twin.id}, .*close"),
    ):
        own.ask()
    for trial in (first, twin):
        own.close(trial)
    assert own.ask() is not None


@pytest.mark.parametrize("held", [True, False])
def test_a_loss_whose_numbers_no_optimizer_holds_is_warned_of(held: bool) -> None:
    def told(trial: Trial) -> None:
        model = torch.nn.Linear(4, trial.out_features)
        both = lossmith.parameter_groups(model, trial.loss)
        optimizer = torch.optim.SGD(both if held else model.parameters(), lr=0.1)
        for _ in trial.epochs:
            trial.loss(model(torch.ones(60, 4)).squeeze(1), torch.arange(60.0)).backward()
            optimizer.step()
            if trial.report(rows=scores(trial)):
                return

    own = study(None, losses=["adaptive_barron"], default="mse", epochs=2)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        own.run(told)
    texts = [str(one.message) for one in seen]
    assert any("adaptive_barron learns loss.latent_alpha" in text for text in texts) != held
    assert not any("mse learns" in text for text in texts)
