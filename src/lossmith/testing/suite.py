"""The checks that apply to a loss, by name, and the call that runs them all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lossmith.core import Loss
from lossmith.testing import gradients, heads, missing, reductions, state, transforms
from lossmith.testing.cases import Case, fitted, variants
from lossmith.testing.claims import CLAIMS


class ConformanceError(AssertionError):
    """A loss does not keep the contract; `failures` tells what each failed check saw, by name."""

    def __init__(self, loss: str, failures: dict[str, str]) -> None:
        self.failures = failures
        lines = "".join(f"\n  {name}: {reason}" for name, reason in failures.items())
        super().__init__(f"{loss} fails {len(failures)} of the contract's checks:{lines}")


@dataclass(frozen=True)
class Check:
    """One named check of one loss; calling it raises AssertionError where the loss fails."""

    name: str
    loss: str
    _function: Callable[[Case], None]
    _cases: tuple[Case, ...]

    def __call__(self) -> None:
        """Run the check on every case."""
        for case in self._cases:
            try:
                self._function(case)
            except Exception as error:
                raise AssertionError(f"{case.loss!r}: {error}") from error

    def __str__(self) -> str:
        return f"{self.loss}: {self.name}"


def checks(loss: type[Loss] | Loss) -> list[Check]:
    """Return the checks that apply to a loss, for pytest's parametrize.

    A class is tried as its card's example, fitted to targets, and at each value that a study
    searches; an instance is tried as it is. All inputs follow from the card.

    >>> from lossmith import MSE
    >>> [str(check) for check in checks(MSE)][:2]
    ['mse: reference_value', 'mse: gradient']
    """
    kind, key = (type(loss) if isinstance(loss, Loss) else loss), loss.card.key
    cases = tuple(Case(instance) for instance in variants(loss))
    learner = (Case(fitted(kind)),)
    groups = ((_every, cases), (_once, cases[:1]), (_fitted, learner))
    return [Check(one.__name__, key, one, tried) for group, tried in groups for one in group(kind)]


def check(loss: type[Loss] | Loss) -> None:
    """Run every check that applies to a loss.

    Raises:
        ConformanceError: if any fails; it lists all that do.
        TypeError: if it is no loss of lossmith's contract.

    >>> from lossmith import Huber
    >>> check(Huber(delta=0.5))
    """
    kind = loss if isinstance(loss, type) else type(loss)
    if not issubclass(kind, Loss):
        raise TypeError(f"{kind.__name__} is no lossmith.core.Loss; derive it from Pointwise")
    failures = {}
    for one in checks(loss):
        try:
            one()
        except AssertionError as error:
            failures[one.name] = str(error)
    if failures:
        raise ConformanceError(loss.card.key, failures)


def _every(kind: type[Loss]) -> Iterator[Callable[[Case], None]]:
    """The checks of every variant."""
    card = kind.card
    yield gradients.reference_value
    if not card.detached:
        yield gradients.gradient
    if card.double_backward and not card.detached:
        yield gradients.second_gradient
    yield gradients.learned_gradient
    yield gradients.finite_at_extremes
    if card.trains_head and card.target == "values":
        yield gradients.finite_at_far_targets
    if card.trains_head or kind.reduction in ("mean", "coupled"):
        yield gradients.not_nan_at_largest
    if not card.detached:
        yield gradients.alive_at_corners
    yield missing.nan_shows
    yield gradients.as_in_float64
    yield gradients.half_precision
    yield gradients.dtype_kept
    yield from _reductions(kind)
    yield reductions.nothing_to_learn
    yield reductions.one_sample
    yield transforms.autocast
    yield transforms.casts_keep_hypers
    if card.required_signals:
        yield transforms.half_precision_follows
        yield transforms.overflow_is_left_out
    yield transforms.functional_gradient
    if card.vmap:
        yield transforms.vmap_equals_loop
    yield state.forward_reads_only
    yield state.state_dict_round_trip
    yield state.copies
    yield state.plain_json
    if card.trains_head:
        yield heads.strict_shapes
        yield heads.decodes
        yield heads.decodes_rows_alone
        if _gives_a_distribution(kind):
            yield heads.quantiles_rise
    else:
        yield gradients.degenerate_rows
        yield heads.strict_rows
        yield heads.refuses_rows_of_nothing
        yield heads.strict_names
    yield from (
        CLAIMS[name] for name in ("convex", "lipschitz", "bounded") if getattr(card.claims, name)
    )


def _gives_a_distribution(kind: type[Loss]) -> bool:
    """Whether a loss reads quantiles of its own, or of another's head."""
    return "regression" in kind.card.tasks and kind.quantile is not Loss.quantile


def _reductions(kind: type[Loss]) -> Iterator[Callable[[Case], None]]:
    """What weights, denominators and the order of rows do, by the kind of reduction."""
    yield reductions.mean_of_values
    if kind.reduction in ("mean", "statistic"):
        yield reductions.weight_two
        yield reductions.weight_zero
    if kind.reduction in ("mean", "coupled"):
        yield reductions.denominator
        yield reductions.refuses_denominators
    else:
        yield reductions.takes_no_denominator
    if kind.reduction == "set":
        yield reductions.takes_no_weight
    else:
        yield reductions.constant_weight
    if kind.reduction == "coupled":
        yield reductions.weighs_anchors
    if kind.reduction != "mean":
        yield reductions.order_of_rows
    if "ignore_index" in kind.hyperparameters:
        yield missing.ignored_rows
        yield missing.ignored_places


def _once(kind: type[Loss]) -> Iterator[Callable[[Case], None]]:
    """The checks of the first variant alone: dear ones, and those of the class."""
    card = kind.card
    if card.fullgraph:
        yield transforms.compiles_once
        yield transforms.compiles_for_all_sizes
    if card.trains_head and kind.reduction == "mean":
        yield reductions.dense
    yield gradients.integer_input
    yield heads.refuses_complex
    yield heads.integers_of_any_size
    if card.input == "logits" and {"classes", "ignore_index"} <= set(kind.hyperparameters):
        yield heads.keeps_to_its_classes
        yield heads.finds_no_class_in_a_mark
    if kind.reduction != "set":
        yield heads.strict_weight
    yield heads.scalars
    yield heads.labels_of_any_dtype
    if card.trains_head and card.target == "classes":
        yield heads.classes_in_range
        yield heads.classes_are_integers
    yield state.keeps_arguments
    yield state.refuses_unknown_arguments
    yield state.attributes_are_readable
    yield state.refuses_hypers_out_of_range
    yield state.searched_values_in_range


def _fitted(kind: type[Loss]) -> Iterator[Callable[[Case], None]]:
    """The checks of the loss that `for_target` gives with its defaults: what it learns."""
    card = kind.card
    if not card.trains_head:
        return
    yield heads.fits_targets
    if kind.reduction == "mean":
        yield heads.decodes_what_it_learns
    yield from (CLAIMS[name] for name in ("proper", "elicits") if getattr(card.claims, name))
