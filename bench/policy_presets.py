"""What the presets of a table's study are, and what `fast` gives up, replayed."""

from collections.abc import Mapping

import pandas as pd

from choice_table import table
from lossmith.study.rules.presets import PRESETS, Preset

TEXT = """
## Two presets

`lossmith select --preset best` (the default) is for a final model, `--preset fast` for a first
look:

{numbers}

Folds, test, correction for all losses that take part, lengthening and final models are the same, so
a switch is as sure. What `fast` gives up, on {studies} records of today's code ({tables};
{draws} draws of each kind from each), beside `best` and beside presets that differ in one number;
time is in per cent of `best` by the model above:

"""
FOUND = """
`fast` makes every switch that `best` makes, mostly to another loss: on chemical yield the error on
held-out rows falls by 42 % instead of 56, on digits by 36 instead of 24, elsewhere by as much
within a point; on flights it switches where `best` does not, for 0.6 %. With one learning rate a
rival is hardly measured worse than with three: the middle one is good for nearly all, and the best
of a hundred settings is picked by luck more often than the best of forty. The default keeps all
rates, of which two go to all folds until 60 % of the epochs at least: at one, {worse} of {kept}
draws switched to a loss that is worse by the record than the default at its better rate. With one
finalist a switch is lost. What other tables say of a loss before any training is not asked: the
step in which all losses train is {first:.0f} % of a fast search.

`fast` was chosen on these records, which flatters it: they are one seed a table, all corrupted, and
say nothing of clean tables but through the draws without differences.
"""
HEAD = (
    "rule",
    "time",
    "epochs trained",
    "switches",
    "lost",
    "won",
    "held-out gain",
    "switches in draws",
    "gain in draws",
    "of them worse",
    "false switches",
)


def section(frame: pd.DataFrame, found: pd.DataFrame, first: float) -> str:
    """Return the part of the page.

    Args:
        frame: one row a study and rule.
        found: one row a rule.
        first: per cent of a fast search that its first step takes.
    """
    studies = frame.drop_duplicates("file")
    by_rule = frame.groupby("rule", sort=False)[["worse draws", "kept draws"]].sum()
    alone = by_rule.loc["fast, the default at one rate"]
    return (
        TEXT.format(
            numbers=table(("", *PRESETS), _numbers(PRESETS)),
            studies=len(studies),
            tables=", ".join(f"{one.table} {one.condition}" for one in studies.itertuples()),
            draws=int(frame["kept draws"].max()),
        )
        + table(HEAD, [_cells(row, by_rule) for _, row in found.iterrows()])
        + "\n"
        + FOUND.format(worse=alone["worse draws"], kept=alone["kept draws"], first=first)
    )


def _cells(row: pd.Series, by_rule: pd.DataFrame) -> list[str]:
    return [
        str(row["rule"]),
        f"{100 * row['time']:.0f} %",
        f"{100 * row['trained']:.0f} %",
        *(str(row[name]) for name in ("switches", "lost", "won")),
        f"{row['held out']:+.2f}",
        f"{100 * row['kept']:.0f} %",
        f"{row['kept gain']:+.2f}",
        str(by_rule.loc[row["rule"], "worse draws"]),
        f"{100 * row['false']:.1f} %",
    ]


def _numbers(presets: Mapping[str, Preset]) -> list[list[str]]:
    """Return what presets differ in, a row a number."""

    def row(what: str, tell: object) -> list[str]:
        return [what, *(str(tell(one)) for one in presets.values())]  # type: ignore[operator]

    def listed(values: object) -> str:
        return ", ".join(f"{one:g}" for one in values)  # type: ignore[attr-defined]

    return [
        row("learning rates of a loss that is neither default", lambda one: one.rates or "all"),
        row("cuts after, % of the epochs", lambda one: listed(100 * r.after for r in one.rungs)),
        row("settings that pass, at most", lambda one: listed(r.most for r in one.rungs)),
        row("of one loss, at most", lambda one: listed(r.per_candidate for r in one.rungs)),
        row("finalists beside both defaults", lambda one: one.finalists),
        row("rates of the default on all folds", lambda one: one.default_settings),
        row(
            "checks after, % of the epochs",
            lambda one: listed(100 * check.after for check in one.futility.checks),
        ),
        row(
            "finalists leave above a p-value of",
            lambda one: listed(check.p_value for check in one.futility.checks),
        ),
        row(
            "the default's worse rate leaves above one of",
            lambda one: listed(check.behind for check in one.futility.checks),
        ),
    ]
