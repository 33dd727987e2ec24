"""After the search: the decision, and the models of the default and the selected loss."""

from dataclasses import dataclass

from lossmith.study.base.clock import Clock
from lossmith.study.base.errors import InputError
from lossmith.study.base.result import Cost
from lossmith.study.rules.decision import Decision, decide
from lossmith.study.rules.measurements import Measurements
from lossmith.study.trials.trainer import Model, Trainer


@dataclass(frozen=True, kw_only=True)
class FinalModels:
    """What was decided, the two models trained on all rows but the test rows, and the cost."""

    decision: Decision
    default: Model
    selected: Model
    cost: Cost


def train_final_models(
    measurements: Measurements, trainer: Trainer, clock: Clock, *, doubted: bool = False
) -> FinalModels:
    """Decide, and train the default and the selected loss; one model if they are the same.

    doubted: whether rows may belong together, so that no switch is made.

    Raises:
        InputError: if nothing was measured.
    """
    if not measurements.finalists:
        raise InputError("the study was stopped before any loss was measured; give it more time")
    decision = decide(measurements, doubted=doubted)
    names = dict.fromkeys((measurements.candidates.default, decision.selected))
    models = {name: _trained(name, measurements, trainer, clock) for name in names}
    return FinalModels(
        decision=decision,
        default=models[measurements.candidates.default],
        selected=models[decision.selected],
        cost=_cost(measurements, trainer, clock, finals=len(models)),
    )


def _trained(name: str, measurements: Measurements, trainer: Trainer, clock: Clock) -> Model:
    clock.report(1.0, f"training {name} on all rows but the test rows")
    setting = measurements.settings[name]
    variant = measurements.candidates[name].variants[setting.variant]
    return trainer.final(variant, setting.learning_rate, measurements.training_epochs(setting))


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
        trainings=measurements.trainings + finals * trainer.ensemble,
    )
