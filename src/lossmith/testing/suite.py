"""The checks that apply to a loss, by name, and the call that runs them all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lossmith.core import Card, Loss
from lossmith.testing import gradients, heads, reductions, state, transforms
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
    return [
        Check(one.__name__, key, one, tried) for group, tried in groups for one in group(kind.card)
    ]


def check(loss: type[Loss] | Loss) -> None:
    """Run every check that applies to a loss.

    Raises:
        ConformanceError: if any fails; it lists all that do.

    >>> from lossmith import Huber
    >>> check(Huber(delta=0.5))
    """
    failures = {}
    for one in checks(loss):
        try:
            one()
        except AssertionError as error:
            failures[one.name] = str(error)
    if failures:
        raise ConformanceError(loss.card.key, failures)


def _every(card: Card) -> Iterator[Callable[[Case], None]]:
    """The checks of every variant."""
    yield gradients.reference_value
    yield gradients.gradient
    if card.double_backward:
        yield gradients.second_gradient
    yield gradients.finite_at_extremes
    if card.target == "values":
        yield gradients.finite_at_far_targets
    yield gradients.not_nan_at_largest
    yield gradients.half_precision
    yield gradients.dtype_kept
    yield reductions.mean_of_values
    yield reductions.weight_two
    yield reductions.weight_zero
    yield reductions.constant_weight
    yield reductions.denominator
    yield reductions.nothing_to_learn
    if "ignore_index" in card.hypers:
        yield reductions.ignored_rows
    yield reductions.one_sample
    yield transforms.autocast
    yield transforms.casts_keep_hypers
    yield transforms.functional_gradient
    if card.vmap:
        yield transforms.vmap_equals_loop
    yield state.forward_reads_only
    yield state.state_dict_round_trip
    yield state.copies
    yield state.plain_json
    yield heads.strict_shapes
    yield heads.decodes
    yield heads.decodes_rows_alone
    yield from (
        CLAIMS[name] for name in ("convex", "lipschitz", "bounded") if getattr(card.claims, name)
    )


def _once(card: Card) -> Iterator[Callable[[Case], None]]:
    """The checks of the first variant alone: dear ones, and those of the class."""
    yield transforms.compiles_once
    yield reductions.dense
    yield gradients.integer_input
    yield heads.strict_weight
    if card.target == "classes":
        yield heads.classes_in_range
        yield heads.classes_are_integers
    yield state.keeps_arguments
    yield state.refuses_hypers_out_of_range
    yield state.searched_values_in_range


def _fitted(card: Card) -> Iterator[Callable[[Case], None]]:
    """The checks of the loss that `for_target` gives with its defaults: what it learns."""
    yield heads.fits_targets
    yield heads.decodes_what_it_learns
    yield from (CLAIMS[name] for name in ("proper", "elicits") if getattr(card.claims, name))
