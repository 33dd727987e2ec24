"""`select` for a user's own model and data: a study whose trainings are run here."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import nn

from lossmith.core.loss import Loss
from lossmith.study.base.clock import Clock
from lossmith.study.base.errors import InputError
from lossmith.study.base.result import Cost, Outputs, ReportData, Result
from lossmith.study.data.dataset import SupervisedDataset
from lossmith.study.data.predictions import prediction_frame
from lossmith.study.diagnose import diagnose_samples
from lossmith.study.metrics import Metric, lookup
from lossmith.study.metrics.catalogue import METRICS, parsed
from lossmith.study.metrics.resolve import as_metric
from lossmith.study.metrics.table_metric import TableMetric
from lossmith.study.metrics.tuned import TunedMetric, tuned
from lossmith.study.selection.conclude import versions
from lossmith.study.selection.own_trainings import Request, Rows, Runner, recipe_of
from lossmith.study.study import Study
from lossmith.study.tasks import ROW_TASKS
from lossmith.study.training.predictor import TorchModel
from lossmith.study.trials.contenders import all_that_fit
from lossmith.study.trials.place import WITHIN, clear_place
from lossmith.study.trials.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class ModelSelection:
    """What a study of a user's own model hands over: the loss, the model, and the evidence."""

    result: Result
    evidence: ReportData
    study: Study
    model: TorchModel
    test_rows: np.ndarray
    decision: np.ndarray | None = None  # of classes, tuned out of fold
    folder: Path | None = None  # where it was saved

    @property
    def loss(self) -> nn.Module:
        """The selected loss, fitted to the training targets."""
        return self.model.loss

    @property
    def verdict(self) -> Literal["switch", "keep"]:
        """Whether the selected loss is another than the default."""
        return self.result.verdict

    def facts(self) -> dict[str, Any]:
        """Return nothing: only code of the user's makes the model again."""
        return {}

    def predict(self, data: Any) -> pd.DataFrame:
        """Raise InputError: a user's own model is called by its own inputs."""
        raise InputError("predict is for tables; call selection.model.predict(inputs)")

    def predictions(self) -> pd.DataFrame | None:
        """Return the predictions of the untouched rows, where there is one number or class each."""
        target, predicted = self.evidence.test_target, self.evidence.test_selected
        if not len(target) or target.ndim > 1 or predicted.ndim > 2:
            return None
        labels = np.arange(predicted.shape[1]) if predicted.ndim > 1 else np.empty(0)
        frame = prediction_frame(predicted, labels, self.decision)
        frame.insert(0, "row", self.test_rows)
        frame.insert(1, "target", target)
        return frame


def select_model(request: Request, clock: Clock) -> ModelSelection:
    """Find the loss that serves a user's own model and data best under a metric.

    Raises:
        InputError: with one line that says what to change.
    """
    known = _table_metric(request.metric, request.better)
    _check_task(request.task, known)
    examples = SupervisedDataset.of(
        request.train,
        request.task,
        known,
        other=as_metric(request.metric, better=request.better),
        valid=request.valid,
        collate=request.collate,
        workers=request.loader_workers,
        augment=request.augment,
    )
    rows = Rows.of(request, examples)
    recipe = recipe_of(request, len(rows.splits[0][0]))
    decided = known is not None and known.tuned and examples.task is not None
    place = None if request.out is None else request.out / WITHIN
    if place is not None and request.force:
        clear_place(place)
    study = Study(
        place,
        metric=tuned(known) if known is not None and decided else request.metric,
        target=examples.target,
        losses=_losses(request, known, examples),
        default=request.default,
        splits=rows.splits,
        groups=rows.groups,
        learning_rates=request.learning_rates,
        epochs=recipe.budget.epochs,
        seed=request.seed,
        better=request.better,
        decode=request.decode,
        recipe={
            "batch_size": recipe.budget.batch,
            "optimizer": recipe.make_optimizer,
            "scheduler": recipe.schedule,
            "amp": recipe.amp,
            **request.recipe,
        },
    )
    runner = Runner(request, recipe, examples, study, clock)
    finished = runner.run()
    return _conclude(runner, rows, finished)


def _table_metric(metric: Any, better: Any) -> Metric | None:
    """Return the metric of tables that is meant, or None for one of another kind.

    Raises:
        InputError: if it is no metric.
    """
    found = as_metric(metric, better=better)
    if isinstance(metric, str) and parsed(metric)[0] in METRICS:
        known = lookup(metric)  # one that is tuned too
        return known if ROW_TASKS.keys() & set(known.tasks) else None
    return (
        found.metric
        if isinstance(found, TableMetric) and not isinstance(found, TunedMetric)
        else None
    )


def _check_task(task: Any, metric: Metric | None) -> None:
    """Raise InputError for a task that is none, or that the metric does not ask for."""
    if task is None:
        return
    if task not in ROW_TASKS:
        *some, last = ROW_TASKS
        raise InputError(f"task must be {', '.join(some)} or {last}, got {task!r}")
    if metric is None:
        raise InputError(
            f"task={task!r} is for metrics of one number or class a row, as mae or accuracy; "
            "leave it out"
        )


def _losses(request: Request, metric: Metric | None, examples: SupervisedDataset) -> Any:
    """Return the losses to compare: under a metric of tables a name stands for all its settings.

    Raises:
        InputError: if they are none, or the default cannot be told.
    """
    given = request.candidates
    if not (given is None or isinstance(given, (list, tuple, dict))):
        raise InputError(
            "candidates must be a list of keys, as ['huber'], of modules or functions, or a dict "
            f"by name; got {given!r}"
        )
    known = examples.task is not None or examples.other is not None
    if not known and (given is None or request.default is None):
        raise InputError(
            "give candidates= and default=: what fits can be told by the name of a metric and "
            "targets that go with it, as mae with one target a sample, or mean_iou with masks"
        )
    if given is None or metric is None or examples.task is None or isinstance(given, dict):
        return given
    names = [one for one in given if isinstance(one, str) and one.isidentifier()]  # no sums
    fitting, *_ = all_that_fit(metric, examples.target, examples.classes, names)
    return [*fitting, *(one for one in given if one not in names)]


def _conclude(runner: Runner, rows: Rows, finished: bool) -> ModelSelection:
    """Train the default and the selected loss on all rows but the test rows, and score these."""
    study, clock = runner.study, runner.clock
    verdict = study.verdict()
    names = list(dict.fromkeys((verdict.default, verdict.selected)))
    models = {}
    for number, name in enumerate(names):
        clock.report(1.0, f"training {name} on all rows but the test rows")
        models[name] = runner.final(name, rows.train, _share(clock, len(names) - number))
    target = runner.examples.target[rows.test]
    predictions = {
        name: runner.predict(model, rows.test) if len(rows.test) else np.empty(0)
        for name, model in models.items()
    }
    default, selected = predictions[verdict.default], predictions[verdict.selected]
    decisions = _decisions(study, names)
    seconds = clock.seconds
    cost = verdict.result.cost
    result = replace(
        verdict.result,
        task=runner.examples.task or "study",
        target="target",
        rows={
            "total": len(runner.examples.target),
            "train": len(rows.train),
            "test": len(rows.test),
        },
        diagnosis=(
            diagnose_samples(runner.examples) + verdict.result.diagnosis + tuple(runner.findings)
        ),
        test=_test(study, target, verdict, models, predictions, decisions),
        beside=_beside(study, target, verdict, models, predictions) or verdict.result.beside,
        cost=Cost(
            seconds=seconds,
            default_seconds=cost.default_seconds,
            ratio=seconds / cost.default_seconds if cost.default_seconds else 0.0,
            trainings=cost.trainings + len(models),
        ),
        interrupted=not finished,
        versions=versions(),
        command=runner.request.command,
    )
    evidence = ReportData(
        curves=verdict.curves,
        outputs=_outputs(runner, models, rows),
        test_target=target,
        test_default=default,
        test_selected=selected,
        classes=tuple(str(code) for code in range(runner.examples.classes)),
        sample=verdict.sample if runner.examples.task is None else None,
    )
    return ModelSelection(
        result=result,
        evidence=evidence,
        study=study,
        model=models[verdict.selected],
        test_rows=rows.test,
        decision=decisions.get(verdict.selected),
    )


def _share(clock: Clock, trainings: int) -> float | None:
    """Return when the next of some trainings must end that share the time left."""
    if clock.limit is None:
        return None
    return clock.seconds + max(clock.limit - clock.seconds, 0.0) / trainings


def _decisions(study: Study, names: list[str]) -> dict[str, np.ndarray]:
    """Return the decisions that suit the losses best out of fold, of a metric that tunes them."""
    metric = study.metric
    if not isinstance(metric, TunedMetric):
        return {}
    return {name: metric.decision(*study.out_of_fold(name)) for name in names}


def _test(
    study: Study,
    target: np.ndarray,
    verdict: Verdict,
    models: dict[str, TorchModel],
    predictions: dict[str, np.ndarray],
    decisions: dict[str, np.ndarray],
) -> dict[str, Any]:
    if not len(target):
        return {}

    def score(name: str) -> float:
        metric, predicted = study.metric, predictions[name]
        if isinstance(metric, TunedMetric):
            return metric.score_by(decisions[name], target, predicted)
        return metric.score(*study.aim.read(models[name].loss, predicted, target))

    return {
        "default": score(verdict.default),
        "selected": score(verdict.selected),
        "rows": float(len(target)),
    }


def _beside(
    study: Study,
    target: np.ndarray,
    verdict: Verdict,
    models: dict[str, TorchModel],
    predictions: dict[str, np.ndarray],
) -> dict[str, dict[str, float]]:
    """Return what is read beside the score of the default and of the selected loss."""
    if not len(target):
        return {}
    names = {"default": verdict.default, "selected": verdict.selected}
    read = {
        role: study.aim.beside(models[name].loss, predictions[name], target)
        for role, name in names.items()
    }
    return {role: found for role, found in read.items() if found}


def _outputs(runner: Runner, models: dict[str, TorchModel], rows: Rows) -> tuple[Outputs, ...]:
    """Return the raw outputs of the final models on untouched rows, which the report draws."""
    target = runner.examples.target[rows.test]
    if runner.examples.task is None or not len(target):
        return ()
    found = []
    for name, model in models.items():
        if isinstance(model.loss, Loss):
            parts = runner.examples.batches(rows.test, 512, training=False)
            output = torch.cat([model.outputs(inputs) for inputs, _ in parts])
            found.append(
                Outputs(name=name, loss=model.loss, output=output, target=torch.as_tensor(target))
            )
    return tuple(found)
