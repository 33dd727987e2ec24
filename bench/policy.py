"""Which rule cuts a study best? Rules replayed on whole studies, by cost and by harm.

    python bench/policy.py record [--folder runs/policy] [--rows 1500] [--seeds 7]
    python bench/policy.py replay [--folder runs/policy] [--out bench/results/policy.jsonl]
    python bench/policy.py replay --rules presets --out bench/results/presets.jsonl
    python bench/policy.py table [--out bench/results/policy.jsonl] > docs/policy.md

`record` trains every candidate of the development tables at every learning rate to the end and
keeps what was measured (a minute or more a study, about a megabyte; nothing of it is committed).
`replay` lets the study's own plan decide on it under each rule, on the record itself and on draws
from it with the losses' differences kept and taken away. Both go on where they were stopped.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from lossmith.study.rules.halving import Check, Futility, Rung
from lossmith.study.rules.presets import PRESETS, Preset
from policy_record import Recorded, record_all
from policy_replay import Outcome, Rule, Urn, replay
from resume import Lines, resumed

TODAY = (
    Rung(after=0.05, keep=0.6, most=60, per_candidate=2),
    Rung(after=0.1, keep=0.4, most=30, per_candidate=2),
    Rung(after=0.3, keep=0.4, most=12, per_candidate=2),
    Rung(after=0.6, keep=0.6, most=7, per_candidate=1),
)
HALF = (
    Rung(after=0.05, keep=0.4, most=30, per_candidate=2),
    Rung(after=0.1, keep=0.5, most=15, per_candidate=2),
    Rung(after=0.3, keep=0.5, most=8, per_candidate=2),
    Rung(after=0.6, keep=0.6, most=5, per_candidate=1),
)
THREE = (
    Rung(after=0.1, keep=0.25, most=15, per_candidate=2),
    Rung(after=0.3, keep=0.4, most=6, per_candidate=2),
    Rung(after=0.6, keep=0.6, most=4, per_candidate=1),
)
FIRST = (Rung(after=0.02, keep=0.25, most=15, per_candidate=2), *THREE[1:])
TIGHT = (
    Rung(after=0.05, keep=0.25, most=20, per_candidate=2),
    Rung(after=0.1, keep=0.5, most=10, per_candidate=2),
    Rung(after=0.3, keep=0.7, most=7, per_candidate=1),
    Rung(after=0.6, keep=0.8, most=6, per_candidate=1),
)
GENTLE = (Rung(after=0.02, keep=0.6, most=60, per_candidate=2), *HALF)
LATE = (Check(after=0.3, p_value=0.5), Check(after=0.6, p_value=0.3))
MORE = (
    Check(after=0.3, p_value=0.5),
    Check(after=0.6, p_value=0.3),
    Check(after=0.8, p_value=0.2),
)
EARLY = (Check(after=0.1, p_value=0.7), *MORE)
ALL = Futility(checks=(Check(after=0.6, p_value=1.0),), protected=1, futility_bound=1.0)


def _rule(
    rungs: tuple[Rung, ...],
    finalists: int,
    checks: tuple[Check, ...] = LATE,
    protected: int = 3,
    **others: Any,
) -> Rule:
    futility = Futility(checks=checks, protected=protected)
    return Rule(rungs=rungs, finalists=finalists, futility=futility, **others)


RULES: Mapping[str, Rule] = {
    "no cut, 12 finalists": Rule(rungs=(), finalists=12, futility=ALL),
    "before: 60/30/12/7, 5 finalists, 3 protected": _rule(TODAY, 5),
    "60/30/12/7, 5 finalists, 3 checks, 1 protected": _rule(TODAY, 5, MORE, 1),
    "60/30/12/7, 5 finalists, 4 checks, 1 protected": _rule(TODAY, 5, EARLY, 1),
    "60/30/12/7, 3 finalists, 3 checks, 1 protected": _rule(TODAY, 3, MORE, 1),
    "30/15/8/5, 5 finalists, 3 protected": _rule(HALF, 5),
    "30/15/8/5, 5 finalists, 3 checks, 1 protected": _rule(HALF, 5, MORE, 1),
    "30/15/8/5, 3 finalists, 3 checks, 1 protected": _rule(HALF, 3, MORE, 1),
    "30/15/8/5, 5 finalists, 4 checks, 1 protected": _rule(HALF, 5, EARLY, 1),
    "60 from 2 %, 30/15/8/5, 5 finalists, 4 checks, 1 protected": _rule(GENTLE, 5, EARLY, 1),
    "20/10/7/6, 5 finalists, 4 checks, 1 protected": _rule(TIGHT, 5, EARLY, 1),
    "15/6/4 from 10 %, 3 finalists, 3 checks, 1 protected": _rule(THREE, 3, MORE, 1),
    "15/6/4 from 2 %, 3 finalists, 3 checks, 1 protected": _rule(FIRST, 3, MORE, 1),
    "60/30/12/7, 5 finalists, looks after 3, 5, 7, 10 folds": _rule(TODAY, 5, looks=(3, 5, 7, 10)),
    "60/30/12/7, 5 finalists, looks after 5, 10 folds": _rule(TODAY, 5, looks=(5, 10)),
}


def _preset(name: str, **others: Any) -> Rule:
    """Return the rule that a preset is, with other numbers in places."""
    numbers = {one.name: getattr(PRESETS[name], one.name) for one in fields(Preset)}
    return Rule(**numbers | others)


NEAR: Mapping[str, Rule] = {
    "best": _preset("best"),
    "fast": _preset("fast"),
    "fast, one learning rate": _preset("fast", rates=1),
    "fast, all learning rates": _preset("fast", rates=None),
    "fast, 3 finalists": _preset("fast", finalists=3),
    "fast, the default at one rate": _preset("fast", default_settings=1),
}
SETS = {"cuts": (RULES, 4), "presets": (NEAR, 20)}  # of rules, and draws of each kind


def replayed(path: Path, rules: Mapping[str, Rule], count: int) -> Lines:
    """Replay rules on one record; return a line a rule."""
    urn = Urn(Recorded.read(path))
    about = urn.recorded.about
    keys = dict(zip(KEYS, about["job"], strict=True))
    # A look at folds cannot lengthen trainings together; rules are compared without, too.
    itself = urn.draw()
    draws = {
        kind: [urn.draw(seed, null=kind == "null") for seed in range(count)]
        for kind in ("kept", "null")
    }
    lines = []
    for name, rule in rules.items():
        own, plain = replay(itself, rule), replay(itself, rule, lengthen=False)
        drawn = {
            kind: [_told(replay(one, rule, lengthen=False), urn) for one in some]
            for kind, some in draws.items()
        }
        lines.append(
            {
                **keys,
                "rule": name,
                "file": path.name,
                "better": urn.better,
                "default": own.default,
                "held_out": about["held_out"],
                "epochs": urn.recorded.design["epochs"],
                "whole": _told(own, urn),
                "plain": _told(plain, urn),
                **drawn,
            }
        )
    return lines


def _told(found: Outcome, urn: Urn) -> dict[str, Any]:
    """Return an outcome as plain data; gain: the record's own share, on all folds."""
    gain = 0.0
    if found.setting is not None and found.selected != found.default:
        gain = urn.gain(found.setting)
    return {
        "selected": found.selected,
        "steps": found.steps,
        "trained": found.trained,
        "gain": gain,
        "estimated": found.estimated,
    }


KEYS = ("table", "metric", "condition", "seed")


def replay_all(folder: Path, out: Path, workers: int, rules: str) -> None:
    """Replay the records whose lines the file lacks."""
    files = sorted(path.name for path in folder.glob("*.npz") if ".partial" not in path.name)
    jobs = [(name,) for name in files]
    for progress, lines in resumed(partial(_job, folder, rules), jobs, ("file",), out, workers):
        print(f"{progress} {lines[0]['file']}", file=sys.stderr)


def _job(folder: Path, rules: str, job: tuple[str]) -> Lines:
    warnings.filterwarnings("ignore")
    return replayed(folder / job[0], *SETS[rules])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("record", "replay", "table"))
    parser.add_argument("--folder", type=Path, default=Path("runs/policy"))
    parser.add_argument("--out", type=Path, default=Path("bench/results/policy.jsonl"))
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--seeds", default="7")
    parser.add_argument("--tables", default="")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rules", choices=SETS, default="cuts")
    options = parser.parse_args()
    if options.what == "record":
        warnings.filterwarnings("ignore")
        names = [name for name in options.tables.split(",") if name]
        record_all(options.folder, options.rows, [*map(int, options.seeds.split(","))], names)
    elif options.what == "replay":
        replay_all(options.folder, options.out, options.workers, options.rules)
    else:
        from policy_table import render

        print(render(options.out))


if __name__ == "__main__":
    main()
