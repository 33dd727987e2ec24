"""How long a training lasts, and when it is looked at."""

import pytest

from lossmith.study.training.budget import Budget


@pytest.mark.parametrize("rows", [1, 32, 39, 400, 999, 12_345, 64_000, 800_000])
def test_small_tables_get_many_epochs_and_large_ones_enough(rows: int) -> None:
    budget = Budget.for_rows(rows)
    assert 1 <= budget.batch <= rows
    steps = budget.epochs * (rows // budget.batch)
    assert steps >= max(400, rows // 100)
    assert budget.epochs >= 4


def test_what_the_user_says_counts() -> None:
    assert Budget.for_rows(1000, epochs=3, batch=10) == Budget(epochs=3, batch=10)
    assert Budget.for_rows(50, batch=4096).batch == 50


@pytest.mark.parametrize("epochs", [1, 2, 5, 13, 100, 1000])
def test_checkpoints_rise_to_the_last_epoch(epochs: int) -> None:
    marks = Budget(epochs=epochs, batch=1).checkpoints()
    assert marks == sorted(set(marks))
    assert marks[0] >= 1
    assert marks[-1] == epochs
    assert len(marks) <= 12
