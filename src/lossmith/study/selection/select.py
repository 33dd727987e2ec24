"""`select`: which loss serves this data, this model and this metric best."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import torch

from lossmith.core.card import Task
from lossmith.study.base.clock import Clock
from lossmith.study.base.errors import InputError
from lossmith.study.base.out import check_out
from lossmith.study.base.result import Finding
from lossmith.study.base.settings import check_kinds, check_numbers
from lossmith.study.data.problem import Problem
from lossmith.study.rules.presets import check_preset
from lossmith.study.selection import storage
from lossmith.study.selection.conclude import Selection
from lossmith.study.selection.ensemble import KINDS
from lossmith.study.selection.own_model import ModelSelection, Request, select_model
from lossmith.study.selection.tables import TableRequest, select_table

RATES = (1e-3, 3e-3, 1e-2)
SEARCHING = 0.8  # share of a time budget for the search; the rest trains the final models

Report = Callable[[float, str], None]


def select(
    data: Any = None,
    *,
    target: Any = None,
    metric: Any = None,
    model: Callable[[int], torch.nn.Module] | None = None,
    train: Any = None,
    task: Task | Mapping[str, Task] | None = None,
    positive: Any = None,
    order: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    event: Any = None,
    candidates: Any = None,
    seed: int = 0,
    budget: float | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    learning_rates: Sequence[float] = RATES,
    epochs: int | None = None,
    batch_size: int | None = None,
    optimizer: Callable[..., torch.optim.Optimizer] | None = None,
    workers: int | None = None,
    valid: Any = None,
    default: Any = None,
    groups: Any = None,
    time: Any = None,
    splits: Any = None,
    scheduler: Callable[[torch.optim.Optimizer, int], Any] | None = None,
    collate_fn: Callable[[list[Any]], Any] | None = None,
    loader_workers: int = 0,
    device: str | torch.device | None = None,
    amp: bool | torch.dtype = False,
    better: Literal["lower", "higher"] | None = None,
    decode: Callable[[Any], Any] | None = None,
    keep_outliers: bool = False,
    ensemble: Literal["seeds", "losses"] = "seeds",
    preset: Literal["best", "fast"] = "best",
    on_diagnosis: Callable[[Problem, tuple[Finding, ...]], None] | None = None,
    progress: Report | None = None,
    command: str = "",
) -> Selection | ModelSelection:
    """Find the loss that serves a table, or your own model and data, best under a metric.

    Every loss of the catalogue that can train the task is compared with the default, the loss
    that the metric itself elicits, on the same folds, seeds, initial weights and batches, each
    at its own learning rate. The verdict is "switch" only when the improvement is beyond doubt.

    Args:
        data: a pandas or Polars DataFrame, or a 2-d array: a table to predict a column of.
        target: the column's name, its index in an array, or one value a row; names of several
            columns, one metric each, for one model that predicts them all.
        metric: mae, auroc, pinball@0.9 or another name of `lossmith.study.metrics.names()`; a list
            for several targets.
        model: instead of a table, a function that takes the head's width and returns a fresh
            module; it is called for every training under a fixed seed.
        train: the data of such a model: a map-style dataset of (input, target) or a pair of
            tensors.
        task: "regression", "binary", "multiclass", "ordinal", "survival" or "ranking"; inferred
            if None. Of several targets, a dict by target.
        positive: the positive class of a binary task; the rarer one if None. Of several targets,
            a dict by target. Of survival the value of `event` where the event was seen.
        order: of an ordinal task the grades from low to high; if None, numbers ascend, an ordered
            category says it, and so do words of a common scale. Of several targets, a dict.
        event: of a target of times to an event, which of them are times of events, the others
            being censored: the name of a column, which is then no feature, or one value a row.
        candidates: keys of the losses to compare with the default; all that fit if None. For your
            own model also modules and functions, or a dict of them by name.
        seed: of the split, the folds, the initial weights and the batches.
        budget: seconds after which the study ends with what it has.
        out: a folder for the report, the result, the loss, the model and the predictions.
        force: replace the run that `out` holds.
        learning_rates: tried for every loss. Of a table, those of the default are extended where
            the best is at their edge.
        epochs: the longest training; about 500 steps if None, and of a table up to eight times
            as many where the score still improves. The best number is chosen.
        batch_size: rows a step; chosen by the number of rows if None.
        optimizer: of your own model, called as optimizer(parameters, lr=rate); AdamW if None.
        workers: processes that train your own model side by side, each on one thread, on Linux
            without an accelerator. If None, as many as torch has threads, at most 8, for a pair of
            tensors, and one for a dataset, whose open files processes may not share.
        valid: the samples of train as they are judged: the same in the same order, without
            augmentation.
        default: the loss to beat, of your own model: a name, a module or a function.
        groups: which rows belong together, as those of one patient: they stay on one side of every
            split and count once in the test. One label a row, or of a table the name of a column,
            which is then no feature; False if rows are independent, though they may not look it.
        time: of a table, the name of a column, which stays a feature, or one number or date a row:
            models are judged by rows later than those that trained them, and the latest rows are
            untouched. Rows of one group then count once in the test, but may stand on both sides.
        splits: of your own data, pairs (train, valid) of row numbers, of any splitter; no rows are
            then set aside.
        scheduler: called as scheduler(optimizer, steps); its `step` follows each step.
        collate_fn: of the loader, returning (inputs, targets); inputs may be a dict of keyword
            arguments or a tuple of arguments of the model.
        loader_workers: processes that load data for a training.
        device: that trains; an accelerator if there is one.
        amp: whether the model computes in bfloat16, or in the type given.
        better: "lower" or "higher", where a metric of your own does not say.
        decode: from raw outputs to predictions, for losses that do not read their own head.
        keep_outliers: score every validation row, even where gross errors in the target leave
            a squared metric without a stable value.
        ensemble: of a table with one target, which models predict together: four of the selected
            loss under as many seeds, or "losses": four of the finalists, by ensemble selection.
        preset: of a table, how much is trained: "best" for a final model, or "fast" for a first
            look, with fewer learning rates and finalists and the same test.
        on_diagnosis: called with a table's problem and its diagnosis before anything is trained.
        progress: called with the share done and a line of text.
        command: how to reproduce the study, for the report.

    Raises:
        InputError: with one line that says what to change.

    >>> from sklearn.datasets import load_diabetes
    >>> frame = load_diabetes(as_frame=True).frame
    >>> selection = select(frame, target="target", metric="mae", candidates=["huber"], epochs=5)
    >>> selection.verdict in ("switch", "keep")
    True
    """
    check_kinds(metric, model, candidates, optimizer)
    if metric is None:
        raise InputError("say what a good prediction is: metric='mae', 'auroc', …")
    if (model is None) != (train is None) or (model is None) == (data is None):
        raise InputError("give either data and target, or model and train")
    if model is not None and time is not None:
        raise InputError("time is for tables; give splits=TimeSeriesSplit(5).split(inputs)")
    if model is not None and event is not None:
        raise InputError("event is for tables; study times of your own model by lossmith.Study")
    if data is not None and splits is not None:
        raise InputError("splits is for your own model; of a table, give groups= or time=")
    if ensemble not in KINDS:
        raise InputError(f"ensemble must be {' or '.join(map(repr, KINDS))}, got {ensemble!r}")
    if model is not None and ensemble != "seeds":
        raise InputError("ensemble is for tables: of your own model one model is trained")
    check_preset(preset)
    if model is not None and preset != "best":
        raise InputError("preset is for tables: of your own model, give fewer candidates=[...]")
    if data is not None and target is None:
        raise InputError("name the column to predict: target='price'")
    check_numbers(
        seed=seed,
        learning_rates=learning_rates,
        budget=budget,
        epochs=epochs,
        batch_size=batch_size,
        workers=workers,
    )
    if out is not None:
        check_out(out, force=force)
    report = progress or (lambda *_: None)
    if model is not None:
        chosen: Any = select_model(
            Request(
                model=model,
                train=train,
                metric=metric,
                valid=valid,
                task=cast(Task | None, task),
                candidates=candidates,
                default=default,
                groups=None if groups is False else groups,
                splits=splits,
                seed=seed,
                out=None if out is None else Path(out),
                force=force,
                learning_rates=tuple(learning_rates),
                epochs=epochs,
                batch_size=batch_size,
                optimizer=optimizer,
                scheduler=scheduler,
                collate=collate_fn,
                loader_workers=loader_workers,
                device=device,
                amp=amp,
                workers=workers,
                better=better,
                decode=decode,
                command=command,
            ),
            Clock(budget, report),
        )
        return _saved(chosen, out, force)
    chosen = select_table(
        TableRequest(
            data=data,
            target=target,
            metric=metric,
            task=task,
            positive=positive,
            order=order,
            event=event,
            groups=groups,
            time=time,
            candidates=candidates,
            learning_rates=tuple(learning_rates),
            widen=tuple(learning_rates) == RATES,
            epochs=epochs,
            batch_size=batch_size,
            keep_outliers=keep_outliers,
            ensemble=ensemble,
            preset=preset,
            seed=seed,
            on_diagnosis=on_diagnosis,
            command=command,
            out=None if out is None else Path(out),
            force=force,
        ),
        Clock(None if budget is None else SEARCHING * budget, report),
    )
    return _saved(chosen, out, force)


def _saved(selection: Any, out: str | os.PathLike[str] | None, force: bool) -> Any:
    """Return a selection with the folder that its files were written to, if to any."""
    if out is None:
        return selection
    return replace(selection, folder=storage.save(selection, out, force=force))
