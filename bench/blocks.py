"""The paired test by 2,000 blocks of units instead of all units: is its level kept, and its power?

    python bench/blocks.py [--studies 2000]

Draws differences between two losses, five folds twice over: of rows, which recur in the second
repeat, plus luck of each training that all rows of a fold share. Prints how often p < 0.05 where
nothing is better (one-sided, so 5 % is right) and where something is, by units and by blocks of the
same draws, and the standard errors' ratio.
"""

import argparse
from collections.abc import Callable

import numpy as np
import pandas as pd

from lossmith.study.rules.paired_test import estimate
from lossmith.study.trials.splits import blocks_of

REPEATS, FOLDS = 2, 5
SHAPES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda draw, rows: draw.normal(size=rows),
    "t of 3": lambda draw, rows: draw.standard_t(3, size=rows) / 3**0.5,
    "skewed": lambda draw, rows: (np.exp(draw.normal(size=rows)) - np.exp(0.5)) / 2.16,
    "one in 100 differs": lambda draw, rows: (
        10.0 * draw.normal(size=rows) * (draw.random(rows) < 0.01)
    ),
}


def study(
    draw: np.random.Generator, shape: str, rows: int, each: int, luck: float, gain: float
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the differences of one study, and which unit each is of; each: rows of a unit."""
    own = np.repeat(SHAPES[shape](draw, rows // each), each)
    values, units = [], []
    for _ in range(REPEATS):
        parts = np.array_split(draw.permutation(rows // each), FOLDS)
        for part in parts:
            number = (part[:, None] * each + np.arange(each)).ravel()
            noise = 0.5 * draw.normal(size=len(number))
            shared = luck * draw.normal() / (rows / FOLDS) ** 0.5
            values.append(own[number] + noise + shared - gain / rows**0.5)
            units.append(number // each)
    return values, units


def by_units(values: list[np.ndarray], units: list[np.ndarray]) -> tuple[float, float]:
    """Return the p-value and the width of the interval, of values summed over units."""
    sums, codes = [], []
    for value, unit in zip(values, units, strict=True):
        code, index = np.unique(unit, return_inverse=True)
        mean = value.mean()
        added = np.bincount(index, value - mean) * (len(code) / len(value))
        sums.append(mean + added)
        codes.append(code)
    found = estimate(sums, codes)
    return found.p_value, found.high - found.low


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    options = parser.parse_args()
    print(
        "| rows | of a unit | differences | luck | false, units | false, blocks | power, units "
        "| power, blocks | interval |\n|---|---|---|---|---|---|---|---|---|"
    )
    for rows, each in ((4000, 1), (20000, 1), (20000, 5)):
        for shape in SHAPES:
            for luck in (0.0, 1.0) if rows == 4000 else (1.0,):
                draw = np.random.default_rng(0)
                lines = []
                for number in range(options.studies):
                    gain = 0.0 if number % 2 else 3.0 * each**0.5
                    values, units = study(draw, shape, rows, each, luck, gain)
                    whole, wide = by_units(values, units)
                    part, other = by_units(values, blocks_of(units))
                    lines.append((gain > 0, whole < 0.05, part < 0.05, other / wide))
                table = pd.DataFrame(lines, columns=["better", "units", "blocks", "wide"])
                mean = table.groupby("better").mean()
                cells = [
                    f"{100 * mean.loc[b, k]:.1f} %"
                    for b in (False, True)
                    for k in ("units", "blocks")
                ]
                print(
                    f"| {rows:,} | {each} | {shape} | {luck:g} | {' | '.join(cells)} "
                    f"| {table.wide.mean():.3f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
