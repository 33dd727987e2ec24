"""What is compared: losses by name, modules and plain functions, each made anew for a training."""

import copy
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn

from lossmith.catalogue.names import loss_class
from lossmith.core.hybrid import Hybrid
from lossmith.core.loss import Loss
from lossmith.core.serial import plain
from lossmith.losses.regression.transformed import TransformedTarget
from lossmith.study.base.errors import InputError
from lossmith.study.base.named import home_of
from lossmith.study.candidates import CandidateSpec, candidates_for
from lossmith.study.metrics import Metric
from lossmith.study.metrics.study_metric import StudyMetric
from lossmith.study.tasks import ArrayTask, table_task
from lossmith.study.tasks.candidate import Candidate, Sum

Make = Callable[[Any], nn.Module]  # from the training targets of a fold
# What a loss takes from all targets, alike in every fold: a rare class is not in all of them.
Known = Callable[[type[Loss]], Mapping[str, Any]]


def nothing(kind: type[Loss]) -> Mapping[str, Any]:
    """Return nothing that a loss takes from all targets."""
    return {}


class FunctionLoss(nn.Module):
    """A plain function of (input, target) as a module."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *arguments: Any, **more: Any) -> Tensor:
        """Return the function's value."""
        return self.function(*arguments, **more)


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A loss under the name that the study shows, with how it is made for a fold.

    identity: what it is, as text that is equal in every process. scales: whether it sees numbers
    centred and scaled by the training rows; None where it takes no numbers.
    """

    name: str
    make: Make
    identity: str
    scales: bool | None = None

    def fit(self, target: Any) -> nn.Module:
        """Return a fresh module of it, fitted to the training targets where it can be."""
        return self.make(target)


def contenders_of(losses: Any, known: Known = nothing) -> list[Contender]:
    """Return what a list, or a dict by name, of losses stands for.

    known: what those of the catalogue are told, as the number of classes.

    Raises:
        InputError: for an unknown name, a thing that is no loss, or a name given twice.
    """
    if isinstance(losses, Mapping):
        return [contender(loss, str(name), known) for name, loss in losses.items()]
    if isinstance(losses, str) or not isinstance(losses, Sequence):
        raise InputError(
            "losses must be a list of names, modules or functions, or a dict by name; "
            f"got {losses!r}"
        )
    found: list[Contender] = []
    for loss in losses:
        one = contender(loss, None, known)
        number = sum(other.name.partition("#")[0] == one.name for other in found)
        found.append(one if not number else contender(loss, f"{one.name}#{number + 1}", known))
    return found


def contender(loss: Any, name: str | None = None, known: Known = nothing) -> Contender:
    """Return what one loss stands for: a name of the catalogue, a module, or a function."""
    if isinstance(loss, Contender):
        return loss
    if isinstance(loss, str):
        return _by_name(loss, name or loss, known)
    if isinstance(loss, type) and issubclass(loss, Loss):
        make, key = _fitted(loss, {}, known), loss.card.key
        return Contender(name=name or key, make=make, identity=key, scales=_scales(loss))
    if isinstance(loss, nn.Module):
        make = _refitted(loss, known) if _fits_itself(loss) else lambda _: copy.deepcopy(loss)
        called, raw = name or _name_of(loss), not isinstance(loss, Loss) or _scales(type(loss))
        scales = isinstance(loss, TransformedTarget) if raw else None
        return Contender(name=called, make=make, identity=_told(loss), scales=scales)
    if callable(loss) and not isinstance(loss, type):
        called = name or str(getattr(loss, "__name__", type(loss).__name__))
        told = f"{home_of(loss)}.{told_function(loss)}"
        make = lambda _: FunctionLoss(loss)  # noqa: E731
        return Contender(name=called, make=make, identity=told, scales=False)
    raise InputError(
        f"{loss!r} is no loss: give a name of the catalogue, an nn.Module (an instance), or a "
        "function of (input, target)"
    )


def _fits_itself(loss: nn.Module) -> bool:
    """Tell whether a loss is a sum, or waits for the targets to know its head."""
    return isinstance(loss, Hybrid) or (
        isinstance(loss, Loss) and not hasattr(loss, "out_features")
    )


def _refitted(loss: Any, known: Known) -> Make:
    """Return how a loss that fits itself is made, each part of a sum for itself."""
    kinds = [type(part) for part in loss.modules() if isinstance(part, Loss)]

    def make(target: Any) -> nn.Module:
        try:
            routed = isinstance(loss, Hybrid) and any(loss.routes.values())
            if target is None or (routed and not isinstance(target, Mapping)):
                return copy.deepcopy(loss)
            told = {name: one for kind in kinds for name, one in known(kind).items()}
            return loss.refitted(target, **told)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{_name_of(loss)}: {error}") from error

    return make


def _by_name(text: str, name: str, known: Known) -> Contender:
    """Return the loss of a name, or the sum of those of several: cross_entropy + 0.5 dice."""
    terms = [_weighted(part.strip()) for part in text.split(" + ")]
    parts = [(weight, _one_by_name(part, part, known)) for weight, part in terms]
    if len(parts) == 1 and parts[0][0] == 1:
        return replace(parts[0][1], name=name)

    def make(target: Any) -> nn.Module:
        return Hybrid.summed(*(weight * part.fit(target) for weight, part in parts))  # type: ignore[arg-type,operator]

    return Contender(name=name, make=make, identity=text)


def _weighted(text: str) -> tuple[float, str]:
    """Return the weight and the loss of a term.

    >>> _weighted("0.5 dice"), _weighted("huber(delta=0.5)")
    ((0.5, 'dice'), (1.0, 'huber(delta=0.5)'))
    """
    weight, _, loss = text.partition(" ")
    try:
        return float(weight), loss.strip()
    except ValueError:
        return 1.0, text


def _one_by_name(text: str, name: str, known: Known) -> Contender:
    key, _, arguments = text.partition("(")
    try:
        kind, hypers = loss_class(key), _hypers(arguments)
    except KeyError as error:
        raise InputError(str(error.args[0])) from error
    except ValueError as error:
        raise InputError(f"{text!r} must be written as huber(delta=0.5)") from error
    parameters = inspect.signature(kind).parameters.values()
    takes = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD]
    strange = [name for name in hypers if name not in takes]
    if strange:
        raise InputError(f"{key} has no {strange[0]!r}; it takes {', '.join(takes) or 'nothing'}")
    make = _fitted(kind, hypers, known)
    return Contender(name=name, make=make, identity=text, scales=_scales(kind))


def _hypers(text: str) -> dict[str, Any]:
    """Return the arguments of a name such as huber(delta=0.5)."""
    if not text:
        return {}
    pairs = [part.split("=", 1) for part in text.rstrip().removesuffix(")").split(",")]
    return {name.strip(): json.loads(value) for name, value in pairs}


def _scales(kind: type[Loss]) -> bool | None:
    """Tell whether a loss of the catalogue sees numbers centred and scaled; None: it takes none."""
    return True if "regression" in kind.card.tasks and kind.card.target == "values" else None


def _fitted(kind: type[Loss], hypers: Mapping[str, Any], known: Known) -> Make:
    """Return how a loss of the catalogue is fitted, as a table's study fits it.

    Regression losses see a target of numbers centred and scaled by the training rows, so that one
    grid of learning rates serves them all; they predict in the target's own unit.
    """
    given, card = dict(hypers), kind.card

    def make(target: Any) -> nn.Module:
        try:
            if target is None:
                return kind(**given)
            whole = isinstance(target, Tensor) and target.ndim in (1, 2)
            numbers = whole and target.is_floating_point()
            if _scales(kind) and numbers:
                columns = {"columns": target.shape[1]} if target.ndim == 2 else {}
                own = Candidate(key=card.key, hypers=given, given=columns, function="identity")
                return own.fit(target)
            takes = {*inspect.signature(kind.for_target).parameters, *kind.hyperparameters}
            told = {name: value for name, value in known(kind).items() if name in takes}
            return kind.for_target(target, **{**told, **given})
        except (TypeError, ValueError) as error:
            lacking = "; give target=, to which it fits itself" if target is None else ""
            raise InputError(f"{card.key}: {error}{lacking}") from error

    return make


def all_that_fit(
    metric: Metric, target: np.ndarray, classes: int, keys: Sequence[str] | None = None
) -> tuple[list[Contender], str, str]:
    """Return what fits of the catalogue, the metric's default and the common loss.

    keys: of the losses, beside these two; all if None.
    """
    task = table_task(metric, classes)
    found = candidates_for(task.name, metric, target, classes or None, keys)
    return [_of_candidate(one) for one in found.candidates], found.default, found.common


def all_of_task(
    task: ArrayTask, metric: StudyMetric, target: Any
) -> tuple[list[Contender], str, str]:
    """Return what fits of a task of any targets, the metric's default and the common loss."""
    contenders = [_of_candidate(one) for one in task.everyone(metric, target)]
    return contenders, task.default(metric, target).name, task.common(target).name


def _of_candidate(candidate: CandidateSpec | Sum) -> Contender:
    """Return a candidate of a task; what moves the target before its loss sees it scales."""

    def make(target: Any) -> nn.Module:
        return candidate.fit(target)

    scales = True if getattr(candidate, "function", None) is not None else None
    return Contender(name=candidate.name, make=make, identity=candidate.name, scales=scales)


def _name_of(loss: nn.Module) -> str:
    """Return a loss's name: its key with the hyperparameters that differ from the default."""
    if isinstance(loss, Hybrid):
        return " + ".join(loss.losses)
    if not isinstance(loss, Loss) or not loss.card.key:
        return type(loss).__name__
    hypers = loss.hyperparameters
    told: dict[str, Any] = {
        name: value
        for name, value in loss.config().items()
        if name in hypers and isinstance(value, (int, float, str)) and value != hypers[name].default
    }
    text = ", ".join(f"{name}={value}" for name, value in {**told, **loss._schedules}.items())
    return f"{loss.card.key}({text})" if text else loss.card.key


def _told(loss: nn.Module) -> str:
    """Return what a module is, as text: its settings and a hash of its state."""
    if isinstance(loss, Loss):
        return json.dumps(plain(loss), sort_keys=True)
    digest = hashlib.sha256()
    for name, tensor in loss.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().float().numpy()).tobytes())
    return f"{home_of(type(loss))}.{loss!r} {digest.hexdigest()[:16]}"


def told_function(function: Callable[..., Any]) -> str:
    """Return a function as text that is equal in every process: its name, or what a lambda says.

    >>> told_function(partial(sorted, reverse=True))
    'sorted(reverse=True)'
    >>> told_function(lambda parameters, lr: dict(parameters, lr=lr, momentum=0.9))
    '<lambda> dict 0.9 lr momentum'
    """
    if isinstance(function, partial):
        given = [repr(one) for one in function.args]
        given += [f"{name}={one!r}" for name, one in function.keywords.items()]
        return f"{told_function(function.func)}({', '.join(given)})"
    name = str(getattr(function, "__qualname__", type(function).__name__))
    code = getattr(function, "__code__", None)
    return " ".join([name, *map(str, _words(code))]) if name.endswith("<lambda>") and code else name


def _words(code: Any) -> list[str | int | float]:
    """Return the names and constants of a function's code, which versions of Python share."""
    words: list[str | int | float] = list(code.co_names)
    for one in code.co_consts:
        parts = one if isinstance(one, tuple) else [one]
        words += [part for part in parts if isinstance(part, (str, int, float))]
    return words
