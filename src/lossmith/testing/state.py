"""State and construction: what a loss keeps, gives back, and leaves alone."""

import contextlib
import copy
import inspect
import io
import json
import pickle
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lossmith.catalogue import find, load
from lossmith.core import Choice, Loss
from lossmith.core.arguments import demanded, parameters
from lossmith.core.declaration import Hyperparameter, Ranged
from lossmith.core.hyperparameter import Reals, Table, Whole, Wholes
from lossmith.core.tree import tree_leaves
from lossmith.testing.cases import Case, hyper_values, rebuilding, refusal, tunable


def forward_reads_only(case: Case) -> None:
    """Forward leaves the loss, its input and its target as they were."""
    input, target = case.batch()
    given = [tensor.clone() for tensor in (*tree_leaves(input), *tree_leaves(target))]
    before, state = _attributes(case.loss), _tensors(case.loss)
    first = case.loss(input, target)
    second = case.loss(input, target)
    for tensor, before_it in zip((*tree_leaves(input), *tree_leaves(target)), given, strict=True):
        assert torch.equal(tensor, before_it), "forward changes its input or target"
    assert torch.equal(first, second), f"the same call gives {first.item()}, then {second.item()}"
    after = _tensors(case.loss)
    changed = [name for name in state if not torch.equal(state[name], after[name])]
    changed += [name for name, value in _attributes(case.loss).items() if before.get(name) != value]
    assert not changed, f"forward changes {', '.join(changed)}"


def state_dict_round_trip(case: Case) -> None:
    """state_dict holds all that values depend on, and load_state_dict brings it back."""
    twin = copy.deepcopy(case.loss)
    for name in tunable(twin):
        value = getattr(twin, name)
        assert isinstance(value, Tensor), f"{name} is a plain float; keep it as a tensor"
    for entry in twin.state_dict().values():
        entry.zero_()
    stream = io.BytesIO()
    torch.save(case.loss.state_dict(), stream)
    stream.seek(0)
    with warnings.catch_warnings(action="ignore"):  # numbers that were zeroed differ
        twin.load_state_dict(torch.load(stream, weights_only=True))
    _alike(case, twin, "the loss with its state_dict loaded")


def copies(case: Case) -> None:
    """A pickle and a deepcopy give equal values and share no memory with the loss."""
    _alike(case, pickle.loads(pickle.dumps(case.loss)), "the pickled loss")
    twin = copy.deepcopy(case.loss)
    _alike(case, twin, "the copied loss")
    theirs = {value.data_ptr() for value in twin.state_dict().values()}
    ours = {value.data_ptr() for value in case.loss.state_dict().values()}
    assert not theirs & ours, "the copied loss shares memory with the original"


def plain_json(case: Case) -> None:
    """The loss is plain JSON and comes back equal: by `lossmith.load` where it has a key there."""
    config = json.loads(json.dumps(case.loss.config()))
    assert config == case.loss.config(), "config() changes when it goes through JSON"
    kind = type(case.loss)
    if find().get(kind.card.key) is kind:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "loss.json"
            case.loss.save(path)
            back = load(path)
    else:
        back = kind(**rebuilding(case.loss))
        back.load_state_dict(case.loss.state_dict())
    assert back.config() == config, f"the loss read back has {back.config()}, not {config}"
    _alike(case, back, "the loss read back")


def keeps_arguments(case: Case) -> None:
    """Every argument of the constructor is kept as given, and is the card's, as is its default."""
    loss, kind = case.loss, type(case.loss)
    taken = parameters(kind)
    for name, parameter in taken.items():  # a wrapped loss alone may be positional
        fine = parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert fine or isinstance(getattr(loss, name), Loss), f"{name} must be keyword-only"
    assert set(taken) == set(kind.hyperparameters), (
        f"the constructor takes {sorted(taken)}, its class declares {sorted(kind.hyperparameters)}"
    )
    for name, parameter in taken.items():
        assert hasattr(loss, name), f"the constructor does not keep {name}"
        if parameter.default is not inspect.Parameter.empty:
            stated = kind.hyperparameters[name].default
            assert parameter.default == stated, (
                f"{name} is {parameter.default} by default, its class says {stated}"
            )
    for name in tunable(loss):
        given = hyper_values(loss, name, 2)[-1].tolist()
        kept = kind(**{**rebuilding(loss), name: given}).config()[name]
        assert kept == given, f"{name}={given} is kept as {kept}"


def refuses_unknown_arguments(case: Case) -> None:
    """An argument that the constructor lacks is a TypeError that says what to write instead."""
    kind, given = type(case.loss), rebuilding(case.loss)
    for name in kind.hyperparameters:
        message = refusal(TypeError, f"x{name}=1", kind, **given, **{f"x{name}": 1})
        assert name in message.replace(f"x{name}", ""), f"the error does not name {name}: {message}"
    message = refusal(TypeError, "reduction='sum'", kind, **given, reduction="sum")
    assert "mean" in message or "one number" in message, f"it does not tell the mean: {message}"


def attributes_are_readable(case: Case) -> None:
    """Each attribute can be read, or is none: hasattr and inspect.getmembers never raise."""
    kind = type(case.loss)
    needed = {
        name: value for name, value in rebuilding(case.loss).items() if name in demanded(kind)
    }
    losses = [case.loss]
    with contextlib.suppress(ValueError):  # what is told nothing may be refused
        losses.append(kind(**needed))
    for loss in losses:
        hasattr(loss, "out_features")
        inspect.getmembers(loss)


def refuses_hypers_out_of_range(case: Case) -> None:
    """A hyperparameter outside the card's range, or NaN, is a ValueError that names it."""
    kind = type(case.loss)
    for name, hyper in kind.hyperparameters.items():
        for bad in _outside(hyper):
            given = {**rebuilding(case.loss), name: bad}
            message = refusal(ValueError, f"{name}={bad}", kind, **given)
            assert name in message, f"the error for {name}={bad} does not name it: {message}"


def searched_values_in_range(case: Case) -> None:
    """The values that a study tries lie in the range, and so does the default."""
    for name, hyper in case.loss.hyperparameters.items():
        for value in (*hyper.search, hyper.default):
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if number and isinstance(hyper, Ranged):
                hyper.check(type(case.loss).__name__, name, value)


def _outside(hyper: Hyperparameter) -> list[Any]:
    if isinstance(hyper, Choice):
        return ["no such choice"] if hyper.choices else []
    if not isinstance(hyper, Ranged):
        return []
    bounds = [] if hyper.low is None else [hyper.low if hyper.exclusive else hyper.low - 1]
    bounds += [] if hyper.high is None else [hyper.high if hyper.exclusive else hyper.high + 1]
    if isinstance(hyper, (Whole, Wholes)):
        bounds = [int(bound) for bound in bounds]
    elif bounds:
        bounds.append(torch.nan)
    if isinstance(hyper, Table):
        return [[[bound]] for bound in bounds]
    return [[bound] for bound in bounds] if isinstance(hyper, (Reals, Wholes)) else list(bounds)


def _attributes(loss: Loss) -> dict[str, Any]:
    plain = (bool, int, float, str, tuple, list, dict, type(None))
    return {
        f"{path}{name}": copy.deepcopy(value)
        for path, module in loss.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, plain) and not name.startswith("_")
    }


def _tensors(loss: Loss) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in loss.state_dict().items()}


def _alike(case: Case, other: Loss, what: str) -> None:
    input, target = case.batch()
    got, expected = other(input, target), case.loss(input, target)
    assert torch.equal(got, expected), f"{what} gives {got.item()}, not {expected.item()}"
