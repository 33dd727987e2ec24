"""After the search: the decision, and the models that are trained on all rows but the test rows."""

from collections.abc import Mapping
from dataclasses import dataclass

from lossmith.study.base.clock import Clock
from lossmith.study.base.errors import InputError
from lossmith.study.base.result import Cost
from lossmith.study.journal import Setting
from lossmith.study.rules.decision import Decision, decide
from lossmith.study.rules.measurements import Measurements
from lossmith.study.selection.ensemble import Picked, pick
from lossmith.study.training.predictor import EnsembleModel, TableModel
from lossmith.study.trials.scoring import Scorer
from lossmith.study.trials.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """What was picked, and the models of it."""

    picked: Picked
    model: EnsembleModel


@dataclass(frozen=True, kw_only=True)
class FinalModels:
    """What was decided, the models trained on all rows but the test rows, and the cost.

    ensemble: of several losses, where that was asked for.
    """

    decision: Decision
    default: TableModel
    selected: TableModel
    ensemble: Ensemble | None
    cost: Cost


def train_final_models(
    measurements: Measurements,
    trainer: Trainer,
    clock: Clock,
    *,
    doubted: bool = False,
    scorer: Scorer | None = None,
) -> FinalModels:
    """Decide, and train the default and the selected loss; one model if they are the same.

    doubted: whether rows may belong together, so that no switch is made. scorer: of the kept
    predictions by which an ensemble of several losses is chosen.

    Raises:
        InputError: if nothing was measured.
    """
    if not measurements.finalists:
        raise InputError("the study was stopped before any loss was measured; give it more time")
    decision = decide(measurements, doubted=doubted)
    names = dict.fromkeys((measurements.candidates.default, decision.selected))
    training = _Training(measurements, trainer, clock)
    models = {name: training.model(measurements.settings[name], trainer.ensemble) for name in names}
    selected = models[decision.selected]
    ensemble = None
    if scorer is not None:
        picked = pick(measurements, scorer, trainer.ensemble)
        parts = training.parts(picked, models)
        ensemble = Ensemble(
            picked=picked, model=EnsembleModel(parts=[*parts.values()], loss=selected.loss)
        )
        models = {**parts, **models}
    return FinalModels(
        decision=decision,
        default=models[measurements.candidates.default],
        selected=selected,
        ensemble=ensemble,
        cost=_cost(measurements, trainer, clock, sum(one.seeds for one in models.values())),
    )


@dataclass(frozen=True)
class _Training:
    measurements: Measurements
    trainer: Trainer
    clock: Clock

    def model(self, setting: Setting, models: int) -> TableModel:
        """Train a setting under so many seeds."""
        found = self.measurements
        self.clock.report(1.0, f"training {setting.candidate} on all rows but the test rows")
        variant = found.candidates[setting.candidate].variants[setting.variant]
        epochs = found.training_epochs(setting)
        return self.trainer.final(variant, setting.learning_rate, epochs, models)

    def parts(self, picked: Picked, known: Mapping[str, TableModel]) -> dict[str, TableModel]:
        """Return the models of an ensemble by loss; those that are known are not trained again."""
        return {
            setting.candidate: known[setting.candidate].first(models)
            if setting.candidate in known
            else self.model(setting, models)
            for setting, models in picked.models.items()
        }


def _cost(measurements: Measurements, trainer: Trainer, clock: Clock, finals: int) -> Cost:
    """Return what the study took, beside what its default alone would."""
    default = measurements.default
    variants = measurements.candidates[default.candidate].variants
    settings = len(measurements.of_candidate(default.candidate))
    epochs = measurements.training_epochs(default)
    (loss,) = trainer.losses(variants[default.variant], trainer.split.screening_folds[:1])
    default_seconds = trainer.reference_seconds(loss, epochs, settings, measurements.epochs)
    seconds = clock.seconds
    return Cost(
        seconds=seconds,
        default_seconds=default_seconds,
        ratio=seconds / default_seconds,
        trainings=measurements.trainings + finals,
    )
