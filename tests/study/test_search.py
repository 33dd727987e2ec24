"""The search with scripted predictions: who starts, who leaves, who is measured."""

from collections.abc import Sequence

import pytest

from lossmith.core.schedule import Linear
from lossmith.losses import Huber
from lossmith.study.base.errors import InputError
from lossmith.study.journal import Setting
from lossmith.study.rules.decision import decide
from lossmith.study.training.budget import TrialSpec
from shared.scripted import (
    BUDGET,
    LEVELS,
    NAMES,
    RATES,
    Script,
    Scripted,
    ScriptedBatch,
    finished,
    learning,
    noise,
    search,
)


def test_everyone_starts_and_the_best_are_measured_on_all_folds() -> None:
    one = finished(search(Scripted(learning)))
    assert len({training.setting for training in one.facts.records}) == len(NAMES) * len(RATES)
    default = [key.learning_rate for key in one.finalists if key.candidate == "default"]
    assert len(default) == 2
    assert default[0] == 0.003
    assert one.default.learning_rate == 0.003
    assert all(key.learning_rate == 0.003 for key in one.finalists if key.candidate != "default")
    assert {"default", "naive"} <= {key.candidate for key in one.finalists}
    assert sorted(one.folds) == list(range(10))
    for key in one.finalists:
        assert set(one.records(key)) == set(range(10))
        assert one.records(key)[9].epoch == BUDGET.epochs
    verdict = decide(one)
    assert verdict.selected == "default"
    assert {row.name for row in verdict.candidates} == set(NAMES)
    assert [row.status for row in verdict.candidates if row.name == "default"] == ["default"]


def test_the_hopeless_cost_little() -> None:
    trainer = Scripted(learning)
    search(trainer).run()
    all_the_way = len(NAMES) * len(RATES) * 10 * BUDGET.epochs
    assert trainer.epochs < 0.2 * all_the_way


def test_finalists_in_doubt_leave_but_for_those_with_prospects() -> None:
    gains = {"a": 0.3, "b": 0.2, "c": 0.001, "d": 0.0005, "e": 0.0, "naive": -1.0}

    def script(name: str, fold: int, epoch: int, rate: float) -> float:
        own = 0.3 * noise(name, fold) * (fold > 1)  # in doubt once measured on more folds
        return 2.0 - gains.get(name, -2.0 if name != "default" else 0.0) + own

    one = finished(search(Scripted(script)))
    rivals = {key.candidate for key in one.finalists} - {"default"}
    default = one.evaluate(one.default)
    p_values = {key.candidate: one.evaluate(key).p_value(default) for key in one.finalists}
    assert rivals == {"a", "b"}
    assert max(p_values[name] for name in rivals) < 0.2


def test_the_best_finalist_stays_in_doubt_and_leaves_when_surely_worse() -> None:
    def script(gain: float) -> Script:
        def scored(name: str, fold: int, epoch: int, rate: float) -> float:
            own = gain if name == "a" and fold > 1 else 0.0  # once measured on more folds
            own += 0.3 * noise(name, fold) * (name == "a")
            return 2.0 - own - {"default": 0.1, "a": 0.2}.get(name, -2.0)

        return scored

    doubted, worse = (finished(search(Scripted(script(gain)))) for gain in (-0.1, -1.0))
    assert "a" in {key.candidate for key in doubted.finalists}
    assert "a" not in {key.candidate for key in worse.finalists}


def test_a_longer_catalogue_costs_its_first_epochs_only() -> None:
    costs = []
    for count in (20, 40):
        names = ("default", "naive", *(f"x{i}" for i in range(count)))
        trainer = Scripted(lambda name, *rest: learning(NAMES[len(name) % 11], *rest))
        search(trainer, names=names).run()
        costs.append(trainer.epochs)
    a_tenth = 20 * len(RATES) * 2 * BUDGET.epochs / 10
    the_naive = 2 * BUDGET.epochs  # which goes on wherever it stands
    assert costs[1] - costs[0] <= 1.5 * a_tenth + the_naive


def test_the_naive_default_is_measured_on_all_cells_however_bad() -> None:
    def script(name: str, fold: int, epoch: int, rate: float) -> float:
        return 9.0 if name == "naive" else learning(name, fold, epoch, rate)

    one = finished(search(Scripted(script)))
    row = next(r for r in decide(one).candidates if r.name == "naive")
    assert row.folds == 10
    assert row.status in ("finished", "dropped")
    for fold in one.design.screening:  # so that its score is of the best of all its epochs
        reached = [one.records(setting)[fold].epoch for setting in one.of_candidate("naive")]
        assert max(reached) == BUDGET.epochs


def test_no_candidate_passes_a_cut_at_every_rate() -> None:
    passed: list[list[TrialSpec]] = []

    class Watched(Scripted):
        def start(self, folds: Sequence[int], trials: Sequence[TrialSpec]) -> ScriptedBatch:
            batch = super().start(folds, trials)
            keep = batch.keep

            def kept(indices: Sequence[int]) -> None:
                keep(indices)
                passed.append(batch.trials)

            batch.keep = kept  # type: ignore[method-assign]
            return batch

    search(Watched(lambda name, fold, epoch, rate: LEVELS[name] + noise(name, fold))).run()
    names = [trial.candidate for trial in passed[0]]
    assert names.count("default") == len(RATES)
    assert max(names.count(name) for name in set(names) - {"default"}) == 2


def test_the_default_is_measured_though_it_is_the_worst() -> None:
    def script(name: str, fold: int, epoch: int, rate: float) -> float:
        return 9.0 if name == "default" else learning(name, fold, epoch, rate)

    one = finished(search(Scripted(script)))
    assert one.finalists[0][0] == "default"
    assert set(one.records(one.default)) == set(range(10))
    verdict = decide(one)
    assert verdict.selected == "naive"
    chosen = next(row for row in verdict.candidates if row.name == "naive")
    assert chosen.status == "selected"
    assert chosen.p_value is not None
    assert chosen.p_value < 0.01


def diverging(*names: str, rates: Sequence[float] = RATES, after: int = 0) -> Script:
    def script(name: str, fold: int, epoch: int, rate: float) -> float:
        if name in names and rate in rates and epoch > after:
            return float("nan")
        return learning(name, fold, epoch, rate)

    return script


def test_a_diverging_candidate_is_marked_and_the_search_goes_on() -> None:
    verdict = decide(finished(search(Scripted(diverging("a")))))
    row = next(row for row in verdict.candidates if row.name == "a")
    assert row.status == "diverged"
    assert row.score is None


def test_a_rate_that_diverges_leaves_the_others() -> None:
    one = finished(search(Scripted(diverging("default", "a", rates=[0.003]))))
    assert one.finalists[0][0] == "default"
    assert one.finalists[0][1] != 0.003
    assert one.diverged(Setting("a", 0.003))
    decide(one)


@pytest.mark.parametrize("after", [1, 5, 20, 39])
@pytest.mark.parametrize("name", ["default", "a"])
def test_a_rate_that_diverges_late_is_not_the_one_measured(name: str, after: int) -> None:
    one = finished(search(Scripted(diverging(name, rates=[0.003], after=after))))
    assert (name, 0.003) not in one.finalists
    decide(one)


def test_the_default_diverging_in_one_cell_does_not_end_the_study() -> None:
    def script(name: str, fold: int, epoch: int, rate: float) -> float:
        if name == "default" and fold == 7 and epoch > 20:
            return float("nan")
        return learning(name, fold, epoch, rate)

    one = finished(search(Scripted(script)))
    assert len({key.candidate for key in one.finalists}) > 1
    assert decide(one).selected == "default"


def test_when_only_the_default_diverges_the_user_is_told() -> None:
    with pytest.raises(InputError, match="default loss default diverged at every learning rate"):
        search(Scripted(diverging("default"))).run()


def test_when_all_diverge_the_user_is_told() -> None:
    with pytest.raises(InputError, match="every loss diverged"):
        search(Scripted(diverging(*NAMES))).run()


def test_a_candidate_that_does_not_fit_is_noted() -> None:
    trainer = Scripted(learning)
    trainer.unfit = {"b"}
    verdict = decide(finished(search(trainer)))
    row = next(row for row in verdict.candidates if row.name == "b")
    assert (row.status, row.note) == ("dropped", "it does not fit")
    trainer.unfit = {"default"}
    with pytest.raises(InputError, match="the default loss default: it does not fit"):
        search(trainer).run()


def test_a_loss_on_a_schedule_is_kept_as_it_was_at_each_epoch() -> None:
    trainer = Scripted(learning)
    trainer.losses = lambda candidate, folds: tuple(  # type: ignore[method-assign]
        Huber(delta=Linear(1.0, 3.0)) for _ in folds
    )

    def observe(batch: ScriptedBatch) -> None:
        for trial in batch.trials:
            for loss in trial.losses:
                loss.observe(BUDGET.progress(batch.epoch))

    trainer.on_advance = observe
    one = search(trainer)
    default = finished(one).default
    epochs = one.measurements().errors_by_epoch(default, [0])[1]
    assert len(epochs) > 2
    for epoch in epochs:
        loss, _ = one.outputs(default, epoch)  # type: ignore[misc]
        expected = Linear(1.0, 3.0)(BUDGET.progress(epoch))
        assert loss.delta.item() == pytest.approx(expected)  # type: ignore[operator,union-attr]
