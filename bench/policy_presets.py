"""What the presets of a table's study are, and what `fast` gives up, replayed."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from choice_table import table
from lean_table import key_of
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
On the records `fast` loses the switch on chemical yield, which no draw of that record makes either;
elsewhere the error on held-out rows falls by as much within a point. The default keeps all rates,
of which two go to all folds until 60 % of the epochs at least: at one, {worse} of {kept} draws
switched to a loss that is worse by the record than the default at its better rate. One rate for the
others would cost less and lose no switch here, but on tables of some hundred rows the greater one
is often the better one, and switches were lost there. What other tables say of a loss before any
training is not asked: the step in which all losses train is {first:.0f} % of a fast search.

`fast` was chosen beside these records, which flatters it: they are one seed a table, all corrupted,
and say nothing of clean tables but through the draws without differences.
"""
AGAIN = """
On [tables drawn by lot](unseen.md) `fast` was asked again about {switched} studies in which
`best` had switched: it switched in {agreed}, to the same loss in {same}. On rows set aside {worse}
of its switches are worse than the default, of those of `best` {worse_best}; the error falls by
{fast:.1f} % in the mean where `best` gained {best:.1f} %, by more in {won} studies and by less in
{lost}. What `best` found there is from the catalogue of an earlier day. At one learning rate
`fast` had switched in three of the first seven, which is why it has two: these tables had a say.
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


def again(best: Path, fast: Path) -> str:
    """Return what `fast` finds on unseen tables beside what `best` did; both files of lines."""
    known = {key_of(line): line for line in map(json.loads, best.read_text().splitlines())}
    lines = list(map(json.loads, fast.read_text().splitlines()))
    pairs = [(line, known[key_of(line)]) for line in lines]
    both = [pair for pair in pairs if _switched(pair[1])]
    gains = np.array([[_gain(line) for line in pair] for pair in both])
    fewer, best_gain = gains.T
    return AGAIN.format(
        switched=len(both),
        agreed=sum(_switched(one) for one, _ in both),
        same=sum(one["selected"] == other["selected"] for one, other in both),
        worse=(fewer < 0).sum(),
        worse_best=(best_gain < 0).sum(),
        fast=fewer.mean(),
        best=best_gain.mean(),
        won=(fewer > best_gain).sum(),
        lost=(fewer < best_gain).sum(),
    )


def _switched(line: dict) -> bool:
    return bool(line["verdict"] == "switch")


def _gain(line: dict) -> float:
    """Return by how many per cent the delivered model's error is below the default's."""
    score, default = (line["delivered"][line[name]] for name in ("selected", "default"))
    error, base = (one if line["better"] == "lower" else 1 - one for one in (score, default))
    return 100 * (base - error) / base


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
