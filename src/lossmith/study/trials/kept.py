"""What trials kept beside their scores, of the default and of the selected loss."""

from collections.abc import Callable, Mapping

import numpy as np

from lossmith.study.base.result import Sample
from lossmith.study.journal import Training
from lossmith.study.rules.weighing import Evidence
from lossmith.study.tasks.sample import SAMPLES
from lossmith.study.trials.scored import beside_of

Detail = Callable[[Training, int], Mapping[str, np.ndarray]]  # of a training's epoch


def kept_sample(weighed: Evidence, detail: Detail, default: str, selected: str) -> Sample | None:
    """Return a few rows of what both models predict on the first fold, if they were kept."""
    found = []
    for name in (default, selected):
        kept = detail(Training(weighed.settings[name], 0), weighed.errors[name].best_epoch)
        found.append({tuple(key.split(".")): one for key, one in kept.items()})
    kind = next((key[0] for key in found[0] if key[0] in SAMPLES and len(key) > 1), None)
    if kind is None or found[0].keys() != found[1].keys():
        return None
    parts = [{key[1]: one for key, one in own.items() if key[0] == kind} for own in found]
    return Sample(kind=kind, default=parts[0], selected=parts[1])


def kept_beside(
    weighed: Evidence, detail: Detail, default: str, selected: str
) -> dict[str, dict[str, float]]:
    """Return what was read beside both scores, the mean of the folds, where trials told it."""
    roles = {"default": default, "selected": selected}
    found = {role: _means(weighed, detail, name) for role, name in roles.items()}
    shared = [key for key in found["default"] if key in found["selected"]]
    if not shared:
        return {}
    return {role: {key: own[key] for key in shared} for role, own in found.items()}


def _means(weighed: Evidence, detail: Detail, name: str) -> dict[str, float]:
    """Return the means of what every fold told of a loss, each read where its score is."""
    pairs = zip(weighed.folds, weighed.errors[name].epochs, strict=True)
    told = [
        beside_of(detail(Training(weighed.settings[name], fold), epoch)) for fold, epoch in pairs
    ]
    means = {key: float(np.mean([one.get(key, np.nan) for one in told])) for key in told[0]}
    return {key: mean for key, mean in means.items() if np.isfinite(mean)}
