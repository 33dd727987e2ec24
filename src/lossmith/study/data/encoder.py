"""Table columns as numbers for a network: typed by their values, fitted on training rows only."""

import os
import zipfile
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from sklearn.preprocessing import OneHotEncoder

from lossmith.core.plain import check_shape
from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import pluralize
from lossmith.study.data.cells import MISSING, Cells, Columns
from lossmith.study.data.levels import Known, learn_levels, level_numbers

FORMAT = 1
TRUSTED = frozenset(
    {
        "skrub._squashing_scaler.SquashingScaler",
        "skrub._squashing_scaler._MinMaxScaler",
        "skrub._string_encoder.StringEncoder",
        "skrub._to_str.ToStr",
    }
)
STATE = {"kinds": dict, "scaler": object, "categories": object, "spellings": dict, "width": int}
MANY = 40  # distinct texts above which spelling is encoded as well as the frequent ones
FREQUENT = 64  # at most so many columns a category
RARE = 5  # rows below which categories share one column
WORDS = 2000  # distinct texts from which spelling is learnt
SPELLING = 8  # columns that encode spelling
SHOWN = 3  # categories of a column that a warning names


class Encoder:
    """Turns a table into a finite float32 matrix; every number in it was learnt by `fit`.

    Numbers, booleans, and text that holds either are scaled robustly and squashed into [-3, 3]
    (skrub's SquashingScaler), a missing value becomes the median with a column that marks it.
    Dates become days, and month, weekday and hour as circles. Other text becomes one column a
    frequent category; where there are many categories their spelling is encoded too (skrub's
    StringEncoder). Categories not seen by `fit` count as rare ones. Where a column has many levels
    that tell of the target, `fit_transform` adds what each one's rows have as target.
    """

    def __init__(self) -> None:
        # An encoder that an older version saved keeps these.
        self.blanks: dict[str, list[str]] = {}
        self.targets: list[str] = []
        self.levels: dict[str, Known] = {}

    @property
    def columns(self) -> Columns:
        """How the table's columns are read."""
        return Columns(self.kinds, self.blanks, self.targets)

    def fit(self, rows: pd.DataFrame | Cells, columns: Columns | None = None) -> Self:
        """Learn from the training rows how each column is encoded.

        columns: of the whole table, where some of its rows are for training, or where they are
        given as cells; by it the encoder can read all of them.
        """
        from skrub import SquashingScaler, StringEncoder  # brings pyplot along

        if columns is None:
            assert isinstance(rows, pd.DataFrame)
            columns = Columns.of(rows)
        self.kinds, self.blanks, self.targets = columns
        numbers, texts = cells = self._cells(rows)
        spread = np.array([len(np.unique(column)) > 1 for column in numbers.T], dtype=bool)
        self.kept = np.flatnonzero(spread)
        numbers = numbers[:, self.kept]
        self.scaler = SquashingScaler().fit(numbers) if self.kept.size else None
        self.gaps = _distinct_columns(np.isnan(numbers))
        self.categories = _one_hot(len(texts)).fit(texts) if texts.shape[1] else None
        self.spellings = {
            name: StringEncoder(SPELLING, random_state=0).fit(pd.Series(words, name=name))
            for name, column in self._texts(cells).items()
            if len(words := _words(column)) > MANY
        }
        self.width = self.transform(cells.at(np.array([0]))).shape[1]
        return self

    def fit_transform(
        self,
        rows: pd.DataFrame | Cells,
        target: np.ndarray,
        columns: Columns | None = None,
        units: np.ndarray | None = None,
    ) -> np.ndarray:
        """Learn from the training rows and their target; return them as (n, width) float32.

        units: a code a row; of rows of one code none tells another's target (see `levels`).
        """
        encoded = self.fit(rows, columns).transform(rows)
        units = np.arange(len(target)) if units is None else units
        self.levels, own = learn_levels(self._levelled(self._cells(rows)), target, units)
        self.width += own.shape[1]
        return np.concatenate([encoded, own], axis=1, dtype=np.float32)

    def transform(self, rows: pd.DataFrame | Cells) -> np.ndarray:
        """Return the rows as (n, width) float32; other columns than the fitted ones are ignored.

        Raises:
            InputError: if a column that `fit` saw is missing, or holds what is neither missing nor
                of the column's kind.
        """
        numbers, texts = cells = self._cells(rows)
        blocks = [np.empty((len(texts), 0), np.float32)]
        if self.scaler is not None:
            numbers = numbers[:, self.kept]
            with np.errstate(all="ignore"):  # of numbers far beyond the training rows
                blocks.append(np.nan_to_num(self.scaler.transform(numbers)))
            blocks.append(np.isnan(numbers[:, self.gaps]))
        if self.categories is not None:
            blocks.append(self.categories.transform(texts))
        for name, column in self._texts(cells).items():
            if name in self.spellings:
                places, words = pd.factorize(column)
                encoded = self.spellings[name].transform(pd.Series(words, name=name))
                blocks.append(encoded.to_numpy()[places])
        levelled = self._levelled(cells)
        blocks += [level_numbers(levelled[name], known) for name, known in self.levels.items()]
        return np.concatenate(blocks, axis=1, dtype=np.float32)

    def unseen(self, rows: pd.DataFrame | Cells) -> str:
        """Return in a line which categories of columns of few `fit` never saw, "" if none."""
        if self.categories is None:
            return ""
        known = dict(zip(self.columns.named("text"), self.categories.categories_, strict=True))
        told = []
        for name, column in self._texts(self._cells(rows)).items():
            new = column[~np.isin(column, [*known[name], MISSING])]
            if len(new) and name not in self.spellings:
                words = [repr(str(word)) for word in dict.fromkeys(new)]
                more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
                told.append(
                    f"column {name!r} holds {', '.join(words[:SHOWN])}{more} in "
                    f"{pluralize(len(new), 'row')}"
                )
        return f"{'; '.join(told)}: not seen in training, so read as rare" if told else ""

    def blank(self) -> pd.DataFrame:
        """Return a row of the columns of `fit` in which every value is missing."""
        return pd.DataFrame({name: [None] for name in self.kinds}, dtype=object)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the encoder as a skops file."""
        import skops.io  # which imports all of scikit-learn

        skops.io.dump({"format": FORMAT, **vars(self)}, Path(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an encoder that `save` wrote; a file with types beyond the known ones is refused.

        Raises:
            InputError: if the file is not such an encoder, or holds a type that is not trusted.
        """
        import skops.io

        try:
            foreign = set(skops.io.get_untrusted_types(file=Path(path))) - TRUSTED
            if foreign:
                raise InputError(f"{path} holds types not trusted: {', '.join(sorted(foreign))}")
            state = skops.io.load(Path(path), trusted=sorted(TRUSTED))
        except (OSError, zipfile.BadZipFile, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is not an encoder saved by lossmith") from error
        if not isinstance(state, dict) or state.pop("format", None) != FORMAT:
            raise InputError(f"{path} is not an encoder of format {FORMAT}")
        try:
            check_shape(state, STATE, Path(path).name)
            check_shape([*state["kinds"].values()], [tuple], Path(path).name)
        except ValueError as error:
            raise InputError(f"{path} is not an encoder saved by lossmith: {error}") from error
        encoder = cls()
        vars(encoder).update(state)
        return encoder

    def _cells(self, rows: pd.DataFrame | Cells) -> Cells:
        return rows if isinstance(rows, Cells) else self.columns.read(rows)

    def _texts(self, cells: Cells) -> dict[str, np.ndarray]:
        return dict(zip(self.columns.named("text"), cells.texts.T, strict=True))

    def _levelled(self, cells: Cells) -> dict[str, np.ndarray]:
        """Return the columns that may have levels: texts and numbers, not dates."""
        names = self.columns.named("number")  # whose columns come first
        numbers = zip(names, cells.numbers.T[: len(names)], strict=True)
        return self._texts(cells) | dict(numbers)


def _words(column: np.ndarray) -> np.ndarray:
    """Return the distinct texts, an even choice of them where there are very many."""
    words = np.sort(pd.unique(column))
    return words[np.linspace(0, len(words) - 1, min(len(words), WORDS)).astype(int)]


def _one_hot(rows: int) -> OneHotEncoder:
    return OneHotEncoder(
        min_frequency=min(RARE, max(1, rows // 20)),
        max_categories=FREQUENT,
        handle_unknown="infrequent_if_exist",
        sparse_output=False,
        dtype=np.float32,
    )


def _distinct_columns(marks: np.ndarray) -> np.ndarray:
    """Return the indices of columns that are neither constant nor equal to an earlier one."""
    _, first = np.unique(marks, axis=1, return_index=True)
    return np.array([index for index in np.sort(first) if len(set(marks[:, index])) > 1], dtype=int)
