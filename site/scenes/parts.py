"""Scenes of named tensors: two players' scores, preferences, latent codes, a teacher's logits."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from lossmith.core import Loss
from lossmith.testing.cases import Case, example
from scenes.scene import Path, Scene, alone, made, normal, ones, shape_of, zeros


def players(kind: type[Loss]) -> Scene:
    """Scores of real and fake: the fakes' move."""
    names: Mapping[str, str] = kind.card.input  # type: ignore[assignment]
    still = {name: zeros(2, 4) for name in names if name not in ("real", "fake")}

    def path(t: Tensor) -> tuple[Any, Any]:
        return {"real": ones(2), "fake": t.expand(2), **still}, None

    sides = getattr(kind.hyperparameters.get("side"), "choices", ())
    return Scene(
        "score of the fakes",
        "The fakes' score moves, that of the real samples stays at 1.",
        (-4, 4),
        {f"the {side}": (made(kind, side=side), path) for side in sides} or alone(kind, path),
    )


def preferred(kind: type[Loss]) -> Scene:
    """Two completions: the chosen one gains what the other loses."""
    level = -6 * ones(1)
    target = {"chosen": level, "rejected": level} if kind.card.target else None

    def path(t: Tensor) -> tuple[Any, Any]:
        return {"chosen": level + t / 2, "rejected": level - t / 2}, target

    more = ", as of the reference's" if target else ""
    return Scene(
        "log-probability of the chosen less that of the rejected",
        f"The chosen completion gains what the rejected one loses{more}; their mean stays at −6.",
        (-10, 10),
        alone(kind, path),
    )


def desired(kind: type[Loss]) -> Scene:
    """Completions that are good or bad one by one: a log-ratio to the reference moves."""
    level, compared = -12 * ones(2), "mismatched" in kind.card.input
    moved = ones(2) if compared else torch.tensor([1.0, 0.0], dtype=torch.float64)

    def of(good: float) -> Path:
        still = {"mismatched": level} if compared else {}
        target = {"completion": level, "desirable": good * ones(2), **still}
        return lambda t: ({"completion": level + t * moved, **still}, target)

    what = "The completions' log-probabilities move" if compared else "One completion of two moves"
    return Scene(
        "log-ratio of model and reference",
        f"{what} away from the reference model's.",
        (-10, 10),
        {"desirable": (made(kind), of(1.0)), "undesirable": (made(kind), of(0.0))},
        points=61,
    )


def judged(kind: type[Loss]) -> Scene:
    """A sampled token, judged: its log-ratio to the model that sampled it moves."""
    level = -3 * ones(1, 1)

    def of(advantage: float) -> Path:
        target = {"advantage": advantage * ones(1), "old": level}
        return lambda t: (level + t, target)

    return Scene(
        "log-ratio of the model and the one that sampled",
        "A token's log-probability moves away from what it had when it was sampled; a curve for "
        "each advantage of its completion.",
        (-1, 1),
        {f"advantage {one:g}": (made(kind), of(one)) for one in (1.0, -1.0)},
    )


def latent(kind: type[Loss]) -> Scene:
    """Codes of an autoencoder: their means leave the prior."""
    side = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)[:, None].expand(4, 2)
    wanted = zeros(4, 2) if kind.card.target is not None else None
    names: Mapping[str, str] = kind.card.input  # type: ignore[assignment]

    def of(log_variance: float) -> Path:
        spread = zeros(4, 2) + log_variance

        def path(t: Tensor) -> tuple[Any, Any]:
            known = {"mean": t * side, "sample": t * side, "log_variance": spread}
            return {name: known.get(name, zeros(4, 2)) for name in names}, wanted

        return path

    return Scene(
        "distance of the codes' means from 0",
        "Codes of four rows: their means leave the prior's 0, two to each side, all else stays; a "
        "curve for each variance.",
        (-3, 3),
        {f"log variance {one:g}": (made(kind), of(one)) for one in (-2.0, 0.0, 1.0)},
    )


def taught(kind: type[Loss]) -> Scene:
    """Logits against a teacher's, or another distribution's: the same ones, flatter or sharper."""
    lead = shape_of(kind.card.example.input)[:-1]
    base = torch.linspace(2, -2, 8, dtype=torch.float64).expand(*lead, 8)
    target = kind.card.target

    def path(t: Tensor) -> tuple[Any, Any]:
        if isinstance(target, str):
            return t * base, base
        parts = {"teacher": base, "mask": ones(*lead), "classes": torch.zeros(lead).long()}
        return t * base, {name: parts[name] for name in target or ()}

    return Scene(
        "input's logits, as a multiple of the target's",
        "Logits of eight classes are a multiple of the target's: reversed below 0, all alike at 0, "
        "the same at 1, sharper beyond.",
        (-1, 3),
        alone(kind, path),
    )


def planned(kind: type[Loss]) -> Scene:
    """Predicted costs of three things of which one is to be taken: the cheapest by what is told."""
    true = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64)

    def path(t: Tensor) -> tuple[Any, Any]:
        told = torch.cat([t.reshape(1), true[0, 1:]]).unsqueeze(0)
        made = {"cost": told, "solution": _largest(true - 2 * told)}
        return made, {"cost": true, "solution": _largest(-true)}

    return Scene(
        "predicted cost of the cheapest",
        "Of three things that cost 1, 2 and 3 one is to be taken; the predicted cost of the first "
        "moves, those of the others are right.",
        (-1, 4),
        alone(kind, path),
    )


def wanted(kind: type[Loss]) -> Scene:
    """Scores of three things of which one is to be taken: noisy, the largest is."""
    noise = normal(1, 256, 3)

    def path(t: Tensor) -> tuple[Any, Any]:
        score = torch.cat([t.reshape(1), zeros(2)]).unsqueeze(0)
        made = _largest(score.unsqueeze(1) + noise)
        first = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
        return {"score": score, "noise": noise, "solution": made}, first

    return Scene(
        "score of the one wanted",
        "Of three things the one with the largest score is taken, after noise of 256 draws; the "
        "score of the one wanted moves, the others are 0.",
        (-3, 3),
        alone(kind, path),
    )


def _largest(score: Tensor) -> Tensor:
    """Return the choice of one by its score, which nothing learns from."""
    return one_hot(score.detach().argmax(-1), score.shape[-1]).double()


def descent(kind: type[Loss]) -> Scene:
    """Any loss: its example's input moves along its own gradient."""
    loss = example(kind)
    case = Case(loss)
    batch = case.batch(4)
    free = case.free(*batch)
    _, slopes = case.slopes(*batch)
    length = torch.sqrt(sum(((one**2).sum() for one in slopes), zeros())).clamp(min=1e-12)
    size = torch.sqrt(sum(((one**2).sum() for one in free), zeros())).clamp(min=1.0)

    def path(t: Tensor) -> tuple[Any, Any]:
        moved = [a - t * size * b / length for a, b in zip(free, slopes, strict=True)]
        return case.at(*batch, moved)

    return Scene(
        "step along the negative gradient",
        "Random predictions move along their own negative gradient, from 0; at 1 they have moved "
        "as far as they are large.",
        (-1, 2),
        {"loss": (loss, path)},
    )
