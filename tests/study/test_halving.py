"""The rules of a search, on tables of numbers alone."""

from dataclasses import replace

import numpy as np
import pytest

from lossmith.study.base.errors import InputError
from lossmith.study.journal import Setting
from lossmith.study.rules.halving import Check, Futility, Rung, SuccessiveHalving

RULE = SuccessiveHalving(default="default", common="common", least=2, rungs=(), finalists=5)


def keys(*names: str) -> list[Setting]:
    """Return trials of some candidates, each at a learning rate of its own."""
    return [Setting(name, 0.1 * number) for number, name in enumerate(names)]


def test_a_rung_keeps_its_share_of_the_best_in_their_order() -> None:
    trials = keys("a", "b", "c", "d", "default")
    kept = RULE.keep(Rung(0.1, keep=0.4, most=9, per_candidate=1), trials, [4, 1, 3, 2, 9])
    assert kept == [1, 3, 4]  # the default beside the two that passed


def test_a_rung_bounds_a_large_catalogue_and_spares_a_small_one() -> None:
    trials, errors = keys(*"abcdefgh"), list(range(8))
    assert RULE.keep(Rung(0.1, keep=0.9, most=3, per_candidate=1), trials, errors) == [0, 1, 2]
    assert RULE.keep(Rung(0.1, keep=0.1, most=9, per_candidate=1), trials, errors) == [0, 1]


def test_a_rung_bounds_the_settings_of_a_candidate_but_the_defaults() -> None:
    trials = keys("a", "a", "a", "b", "default", "default")
    kept = RULE.keep(Rung(0.1, keep=1.0, most=9, per_candidate=2), trials, [1, 2, 3, 4, 5, 6])
    assert kept == [0, 1, 3, 4, 5]


def test_the_common_default_passes_once_however_bad_unless_it_diverged() -> None:
    rung = Rung(0.1, keep=0.1, most=1, per_candidate=1)
    trials = keys("a", "b", "common", "common")
    rule = replace(RULE, least=1)
    assert rule.keep(rung, trials, [1, 2, 8, 9]) == [0, 2]
    assert rule.keep(rung, trials, [1, 2, np.inf, np.inf]) == [0]


def test_finalists_are_the_best_and_the_default_at_two_settings() -> None:
    trials = keys("default", "a", "default", "default", "a", "c")
    errors = dict(zip(trials, [5.0, 1.0, 3.0, 4.0, 0.5, np.inf], strict=True))
    assert RULE.promote(errors) == [trials[2], trials[3], trials[4]]


def test_the_common_default_is_a_finalist_however_bad() -> None:
    trials = keys("default", "common", *"abcdef")
    errors = dict(zip(trials, [1.0, 9.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], strict=True))
    assert RULE.promote(errors) == [trials[0], *trials[2 : 2 + RULE.finalists], trials[1]]


def test_there_are_no_finalists_without_a_default() -> None:
    (default, other) = keys("default", "a")
    with pytest.raises(InputError, match="every loss diverged"):
        RULE.promote({default: np.inf, other: np.inf})
    with pytest.raises(InputError, match="default loss default diverged"):
        RULE.promote({default: np.inf, other: 1.0})


def test_rivals_in_doubt_leave_but_for_the_best_unless_surely_worse() -> None:
    check = Check(after=0.3, p_value=0.5)
    rule = Futility(checks=(check,), protected=3)
    assert rule.keep(check, [0.7, 0.1, 0.6, 0.8, 0.2, 0.94]) == [1, 2, 4]
    assert rule.keep(check, [0.97, 0.01, 0.96]) == [1]
    assert rule.keep(check, [0.4, 0.3, 0.2, 0.1]) == [0, 1, 2, 3]
    assert rule.keep(check, []) == []
