"""Does a test that looks early keep its error, and what does it save? Simulated by the plan itself.

    python bench/sequential.py [--out bench/results/sequential.jsonl] [--table]

A study is drawn: rows that differ in how hard they are, losses that differ by row, by training and
row, and by a training's luck; one rival may be better than the default on average. The plan of the
study decides as it does for anyone (two folds of screening, finalists, looks, futility); what was
drawn is reported where it plans a training. Beside it stands the one test at the end, on the same
draws with the same finalists. Lines that the file holds are not drawn again; --table prints it.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lossmith.study.journal import Facts, Record, Report, Setting, Training
from lossmith.study.rules import plan
from lossmith.study.rules.compare import FoldErrors
from lossmith.study.rules.design import Design
from lossmith.study.rules.paired_test import LEVEL, holm
from lossmith.study.rules.plan import due
from resume import Lines, resumed

ROWS = 400
SHAPES = {"5 folds twice": (5, 2), "10 folds": (10, 1), "one split, 5 seeds": (1, 5)}
EFFECTS = (0.0, 0.04, 0.07, 0.1)  # of a score of 1
STUDIES = {0.0: 400}  # drawn for each line, else:
OTHERWISE = 150
BOUNDS = {  # the least chance of being proven, and the greatest doubt of being the best
    "none": (0.0, 1.0),
    "chance 2 %": (0.02, 1.0),
    "chance 5 %": (0.05, 1.0),
    "chance 10 %": (0.1, 1.0),
    "present": (plan.LEAST_CHANCE, plan.BEHIND),
    "chance 20 %, behind 70 %": (0.2, 0.7),
}
Folds = list[np.ndarray]


class Draw:
    """What every loss would score on every row of every fold."""

    def __init__(self, shape: str, rivals: int, effect: float, tails: str, seed: int) -> None:
        draw = np.random.default_rng([seed, rivals])
        self.folds = _folds(shape, draw)
        scale = 0.3

        def noise(*size: int) -> np.ndarray:
            if tails == "normal":
                return draw.normal(size=size)
            return draw.standard_t(3, size=size) / 3**0.5

        hard = np.exp(0.5 * draw.normal(size=ROWS)) / np.exp(0.125)
        levels = np.zeros(rivals + 1)
        levels[1] = -effect
        by_row = scale * noise(rivals + 1, ROWS) / 2**0.5
        self.values = [
            [
                hard[rows]
                + levels[loss]
                + by_row[loss, rows]
                + 0.15 * noise(len(rows))
                + 0.01 * draw.normal()
                for rows in self.folds
            ]
            for loss in range(rivals + 1)
        ]

    def read(self, setting: Setting, folds: Sequence[int]) -> FoldErrors:
        """Return what a loss scored on some folds."""
        values = [self.values[int(setting.candidate)][fold] for fold in folds]
        return FoldErrors(
            errors=np.array([cell.mean() for cell in values]),
            influences=tuple(cell - cell.mean() for cell in values),
            rows=tuple(self.folds[fold] for fold in folds),
            epochs=(1,) * len(folds),
            best_epoch=1,
            by_ratio=True,
        )


def _folds(shape: str, draw: np.random.Generator) -> Folds:
    number, times = SHAPES[shape]
    if number == 1:
        return [np.arange(ROWS // 4)] * times
    return [
        np.sort(part)
        for _ in range(times)
        for part in np.array_split(draw.permutation(ROWS), number)
    ]


def run(draw: Draw, design: Design) -> tuple[list[str], str | None, int, dict[str, Any]]:
    """Let the plan decide; return finalists, the loss that it switches to, and trainings."""
    records: dict[Training, Record] = {}
    facts = Facts(records=records, decisions={})
    while "end" not in facts.decisions:
        decision = due(design, facts, draw.read)
        assert decision is not None
        facts = Facts(
            records=records, decisions={**facts.decisions, decision.name: decision.outcome}
        )
        for training in decision.plan:
            if training not in records:
                score = float(draw.values[int(training.setting.candidate)][training.fold].mean())
                report = Report(1, score, 0.0, 0.0)
                records[training] = Record(id=len(records), state="done", reports=(report,))
        for training, why in decision.stop:
            records[training] = replace(records[training], state="stopped", note=why)
    chosen = [Setting(*one) for one in facts.decisions["finalists"]]
    end = facts.decisions["end"]
    late = sum(t.fold >= len(design.screening) for t in plan.needed(facts).records)
    proven = end["proven"]
    evidence = plan.weigh(design, chosen, range(end["folds"]), draw.read)
    selected = max(proven, key=evidence.gain) if proven and evidence else None
    return [s.candidate for s in chosen], selected, late, facts.decisions


def fixed(draw: Draw, design: Design, finalists: Sequence[str]) -> str | None:
    """Return the loss that one test on all folds switches to."""
    folds = range(design.folds)
    default = draw.read(Setting("0", 1.0), folds)
    readings = {name: draw.read(Setting(name, 1.0), folds) for name in finalists if name != "0"}
    doubts = {name: reading.p_value(default) for name, reading in readings.items()}
    corrected = holm(doubts, comparisons=len(design.candidates) - 1)
    proven = [name for name, p_value in corrected.items() if p_value < LEVEL]
    return min(proven, key=lambda name: readings[name].errors.mean(), default=None)


def line(job: tuple[str, int, float, str, str, int]) -> Lines:
    shape, rivals, effect, tails, bounds, finalists = job
    plan.LEAST_CHANCE, plan.BEHIND = BOUNDS[bounds]
    studies = STUDIES.get(effect, OTHERWISE)
    found = {"early": 0, "once": 0, "early right": 0, "once right": 0}
    share = 0.0
    for seed in range(studies):
        draw = Draw(shape, rivals, effect, tails, seed)
        design = Design(
            candidates=tuple(str(one) for one in range(rivals + 1)),
            default="0",
            common=None,
            learning_rates=(1.0,),
            epochs=1,
            folds=len(draw.folds),
            better="lower",
            finalists=finalists,
        )
        chosen, early, late, _ = run(draw, design)
        once = fixed(draw, design, chosen)
        for name, selected in (("early", early), ("once", once)):
            found[name] += selected is not None
            found[f"{name} right"] += selected == "1" and effect > 0
        share += late / (len(chosen) * (len(draw.folds) - len(design.screening)))
    keys = dict(zip(KEYS, job, strict=True))
    rates = {name: count / studies for name, count in found.items()}
    return [{**keys, "studies": studies, **rates, "folds": share / studies}]


KEYS = ("shape", "rivals", "effect", "tails", "bounds", "finalists")


def jobs() -> list[tuple[str, int, float, str, str, int]]:
    main = [
        (shape, rivals, effect, tails, "present", 3)
        for rivals in (5, 25)
        for effect in EFFECTS
        for shape in SHAPES
        for tails in ("normal", "heavy")
    ]
    others = [
        ("5 folds twice", 25, effect, "heavy", bounds, finalists)
        for bounds, finalists in [
            *((name, 3) for name in BOUNDS),
            *(("present", number) for number in (1, 2, 5)),
        ]
        for effect in (0.0, 0.04, 0.07)
    ]
    return list(dict.fromkeys([*main, *others]))


def table(out: Path) -> str:
    """Return the lines as Markdown: each shape, then what other bounds and numbers would do."""
    frame = pd.DataFrame(map(json.loads, out.read_text().splitlines()))
    present = (frame.bounds == "present") & (frame.finalists == 3)
    others = (frame["shape"] == "5 folds twice") & (frame.rivals == 25) & (frame.tails == "heavy")
    head = ["switches, looking early", "to the better", "one test at the end", "to the better"]
    texts = []
    for rows, names in (
        (frame[present], ["shape", "rivals", "tails", "effect"]),
        (frame[others & frame.effect.isin((0.0, 0.04, 0.07))], ["bounds", "finalists", "effect"]),
    ):
        lines = [f"| {' | '.join([*names, 'studies', *head, 'folds trained'])} |"]
        lines.append("|---" * (len(names) + 6) + "|")
        for _, row in rows.sort_values(names).iterrows():
            rates = [row["early"], row["early right"], row["once"], row["once right"], row["folds"]]
            cells = [*(str(row[name]) for name in names), str(row["studies"])]
            lines.append(f"| {' | '.join([*cells, *(f'{100 * r:.1f} %' for r in rates)])} |")
        texts.append("\n".join(lines))
    return "\n\n".join(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench/results/sequential.jsonl"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="print what the file holds")
    options = parser.parse_args()
    if options.table:
        print(table(options.out))
        return
    for progress, _ in resumed(line, jobs(), KEYS, options.out, options.workers):
        print(progress, file=sys.stderr)


if __name__ == "__main__":
    main()
