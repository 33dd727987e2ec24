"""Levels of columns that have many: what they tell of the target, and whom they may tell it."""

import numpy as np
import pandas as pd
import pytest

from lossmith.study.data.encoder import Encoder
from lossmith.study.data.levels import learn_levels

ROWS = 1200
RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 200, ROWS)
EFFECT = RNG.normal(size=200)
TARGET = EFFECT[CODES] + 0.1 * RNG.normal(size=ROWS)
EACH = np.arange(ROWS)


def learnt(column: np.ndarray, target: np.ndarray, units: np.ndarray = EACH):
    return learn_levels({"column": column}, target, units)


@pytest.mark.parametrize("column", [CODES.astype(float), CODES.astype(str).astype(object)])
@pytest.mark.parametrize("target", [TARGET, (TARGET > 0.5).astype(int)])
def test_levels_that_determine_the_target_are_learnt(column, target):
    found, rows = learnt(column, target)
    assert list(found) == ["column"]
    assert np.corrcoef(rows[:, 0], target)[0, 1] ** 2 > 0.7


def test_every_class_has_its_share():
    found, rows = learnt(CODES.astype(float), np.digitize(TARGET, [-0.5, 0.5]))
    assert found["column"][1].shape == (len(np.unique(CODES)), 3)
    assert rows.shape == (ROWS, 3)


@pytest.mark.parametrize("column", [CODES.astype(float), CODES.astype(str).astype(object)])
def test_levels_that_tell_nothing_are_left_out(column):
    found, rows = learnt(column, RNG.normal(size=ROWS))
    assert not found
    assert rows.shape == (ROWS, 0)


def test_numbers_that_tell_by_their_order_need_no_levels():
    column = CODES.astype(float)
    column[::9] = np.nan
    assert not learnt(column, np.nan_to_num(column, nan=300.0) + RNG.normal(size=ROWS))[0]


def test_a_row_never_sees_its_own_target():
    column = CODES.astype(float)
    other = TARGET.copy()
    other[0] = TARGET.max() + 1 if TARGET[0] < np.median(TARGET) else TARGET.min() - 1
    change = np.abs(learnt(column, other)[1] - learnt(column, TARGET)[1])[:, 0]
    beside = (CODES[0] == CODES) & (change > 0.05)
    assert change[0] < 0.01
    assert beside.any()


def test_copies_of_a_row_do_not_tell_each_other():
    column, target = np.repeat(np.arange(600.0), 2), np.repeat(RNG.normal(size=600), 2)
    assert learnt(column, target)[0]
    assert not learnt(column, target, units=column)[0]


def test_an_encoder_keeps_what_levels_tell(tmp_path):
    frame = pd.DataFrame({"code": CODES, "noise": RNG.normal(size=ROWS)})
    encoder = Encoder()
    trained = encoder.fit_transform(frame, TARGET)
    encoder.save(tmp_path / "encoder.skops")
    loaded = Encoder.load(tmp_path / "encoder.skops")
    fresh = pd.DataFrame({"code": [CODES[0], 999, None], "noise": [0.0] * 3})
    encoded = loaded.transform(fresh)
    assert trained.shape[1] == encoded.shape[1] == encoder.width
    assert np.array_equal(encoded, encoder.transform(fresh))
    assert encoded[0, -1] == pytest.approx(encoder.transform(frame)[0, -1])
    assert (encoded[1:, -1] == 0).all()


def test_many_levels_take_little():
    codes = np.repeat(np.arange(50_000), 2)
    column = np.array([f"level {code}" for code in codes], dtype=object)
    found, rows = learnt(column, codes % 7 + 0.0, np.arange(len(codes)))
    assert found["column"][1].nbytes + rows.nbytes < 2e6
