"""What a study is, as plain data: written when it begins, and what may go on in its folder."""

from collections.abc import Mapping
from typing import Any

from lossmith.study.base.errors import InputError
from lossmith.study.journal import Setting
from lossmith.study.metrics.study_metric import StudyMetric, leaf_arrays
from lossmith.study.rules.design import Design
from lossmith.study.rules.plan import named
from lossmith.study.rules.presets import check_preset
from lossmith.study.rules.stacked import StackedDesign
from lossmith.study.trials.contenders import Contender, told_function
from lossmith.study.trials.splits import Folds, fingerprint

OF_STACKS = ("earlier", "longest", "widen")  # what else is kept of their designs


def spec_of(
    design: Design,
    metric: StudyMetric,
    contenders: Mapping[str, Contender],
    folds: Folds,
    target: Any,
    recipe: Mapping[str, Any],
    source: str,
) -> dict[str, Any]:
    """Return what a study is."""
    return {
        **plan_of(design),
        "metric": metric.name,
        "source": source,
        "losses": {name: one.identity for name, one in contenders.items()},
        "folds": folds.fingerprint(),
        "rows": None if target is None else len(leaf_arrays(target)[0]),
        "target": None if target is None else fingerprint(*leaf_arrays(target)),
        "fixed": folds.fixed,
        "grouped": folds.grouped,
        "judged": folds.judged,
        "overlap": folds.overlap,
        "shape": [len(folds.folds), folds.folds[0].seed],
        "recipe": {
            name: told_function(one) if callable(one) else one if _plain(one) else str(one)
            for name, one in recipe.items()
        },
    }


def plan_of(design: Design) -> dict[str, Any]:
    """Return what `design_of` reads beside the losses and the folds."""
    plan: dict[str, Any] = {
        "better": design.better,
        "default": design.default,
        "common": design.common,
        "learning_rates": list(design.learning_rates),
        "epochs": design.epochs,
        "finalists": design.halving.finalists,
    }
    if not isinstance(design, StackedDesign):
        return plan
    own = {name: getattr(design, name) for name in OF_STACKS}
    # The preset comes first, to be told of before what follows from it.
    own = {"preset": design.preset, **plan, **own}
    return {**own, "starts": named(design.starts), "marks": list(design.marks)}


def design_of(spec: Mapping[str, Any]) -> Design:
    """Return what a study compares, from its journal."""
    try:
        plan: dict[str, Any] = {
            "candidates": tuple(spec["losses"]),
            "default": spec["default"],
            "common": spec["common"],
            "learning_rates": tuple(spec["learning_rates"]),
            "epochs": spec["epochs"],
            "folds": spec["shape"][0],
            "better": spec["better"],
        }
        if "starts" not in spec:
            return Design(**plan, finalists=spec["finalists"])
        starts = tuple(Setting(*one) for one in spec["starts"])
        own: dict[str, Any] = {name: spec[name] for name in OF_STACKS}
        preset = spec.get("preset", "best")  # the only one there was
        check_preset(preset)
        marks = tuple(spec["marks"])
        return StackedDesign(**plan, **own, starts=starts, marks=marks, preset=preset)
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f"the journal's description of the study is damaged: {error}") from error


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))
