"""Make the page of the replayed rules from their lines."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from choice_table import table
from policy_presets import again
from policy_presets import section as presets
from policy_prior import section as asking

BEFORE = "before: 60/30/12/7, 5 finalists, 3 protected"
NOW = "30/15/8/5, 5 finalists, 4 checks, 1 protected"
OTHERS = ("unseen.jsonl", "lean.jsonl")
PRESETS = "presets.jsonl"
WHOLE = "no cut"  # how rules are called that are only there to compare
# Milliseconds of a step of a stack: of itself, of each setting, of each training. Least squares
# over stacks of 3 to 120 settings on 1 to 8 folds of diabetes, saratoga and ames, one thread.
STEP = {"stack": 3.0, "setting": 0.16, "training": 0.1}
LEAST_GAIN = 0.1  # per cent of the default's error that a cheaper rule may lose in the mean
FALSE = 0.05  # switches where no loss is better


def load(path: Path, base: str = BEFORE) -> pd.DataFrame:
    """Return one row a study and rule; base: the rule that others are compared with."""
    frame = pd.DataFrame([_row(json.loads(line)) for line in path.read_text().splitlines()])
    by_file = frame.set_index(["file", "rule"])
    for name in ("time", "plain time", "trained"):
        before = frame["file"].map(by_file.xs(base, level="rule")[name])
        frame[f"relative {name}"] = frame[name] / before
    before = by_file.xs(base, level="rule")
    frame["switched before"] = frame["file"].map(before["switched"])
    frame["kept switches before"] = frame["file"].map(before["kept switches"])
    frame["lost"] = frame["switched before"] & ~frame["switched"]
    frame["won"] = ~frame["switched before"] & frame["switched"]
    return frame


def _row(line: dict[str, Any]) -> dict[str, Any]:
    own, default = line["whole"], line["default"]
    kept, null = line["kept"], line["null"]
    return {
        **{key: line[key] for key in ("table", "metric", "condition", "seed", "rule", "file")},
        "selected": own["selected"],
        "switched": own["selected"] != default,
        "held out": held_out(line, own["selected"]),
        "time": seconds(own["steps"]),
        "plain time": seconds(line["plain"]["steps"])
        + sum(seconds(one["steps"]) for one in (*kept, *null)),
        "trained": own["trained"],
        "estimated": own["estimated"] + line["plain"]["estimated"],
        "lengthened": any(epochs > 0.9 * line["epochs"] for *_, epochs in own["steps"])
        and own["steps"] != line["plain"]["steps"],
        "kept draws": len(kept),
        "kept switches": sum(one["selected"] != default for one in kept),
        "worse draws": sum(one["selected"] != default and one["gain"] < 0 for one in kept),
        "kept gain": 100 * float(np.mean([one["gain"] for one in kept])),
        "null draws": len(null),
        "false": sum(one["selected"] != default for one in null),
    }


def seconds(steps: list[list[int]]) -> float:
    """Return what stacks take, up to a factor of the table's steps an epoch."""
    return sum(
        epochs * (STEP["stack"] + settings * (STEP["setting"] + folds * STEP["training"]))
        for settings, folds, epochs in steps
    )


def held_out(line: dict[str, Any], selected: str) -> float:
    """Return the gain on the rows set aside in per cent of the default's error."""
    lower = line["better"] == "lower"
    error = {name: score if lower else 1 - score for name, score in line["held_out"].items()}
    default = error[line["default"]]
    return 100 * (default - error.get(selected, default)) / default


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row a rule, in the order of the lines."""
    rows = []
    for rule, own in frame.groupby("rule", sort=False):
        switched = own[own["switched"]]
        rows.append(
            {
                "rule": rule,
                "time": own["relative time"].mean(),
                "plain time": own["relative plain time"].mean(),
                "trained": own["relative trained"].mean(),
                "switches": len(switched),
                "lost": int(own["lost"].sum()),
                "won": int(own["won"].sum()),
                "worse": int((switched["held out"] < 0).sum()),
                "held out": own["held out"].mean(),
                "kept": own["kept switches"].sum() / own["kept draws"].sum(),
                "kept gain": own["kept gain"].mean(),
                "false": own["false"].sum() / own["null draws"].sum(),
            }
        )
    return pd.DataFrame(rows)


def cheapest(found: pd.DataFrame) -> str:
    """Return the cheapest rule that loses no switch, no gain and makes no more false switches."""
    before = found[found["rule"] == BEFORE].iloc[0]
    able = found[
        ~found["rule"].str.startswith(WHOLE)
        & (found["lost"] == 0)
        & (found["kept gain"] >= before["kept gain"] - LEAST_GAIN)
        & (found["false"] <= FALSE)
    ]
    return str(able.loc[able[["time", "plain time"]].mean(axis=1).idxmin(), "rule"])


def left_out(frame: pd.DataFrame) -> pd.DataFrame:
    """Return what the rule gives on each table that was chosen on the others."""
    parts = []
    for name in frame["table"].unique():
        rule = cheapest(summary(frame[frame["table"] != name]))
        parts.append(frame[(frame["table"] == name) & (frame["rule"] == rule)])
    return pd.concat(parts)


HEAD = (
    "rule",
    "time",
    "time, not lengthened",
    "epochs trained",
    "switches",
    "lost",
    "won",
    "worse on held-out rows",
    "held-out gain",
    "switches in draws",
    "gain in draws",
    "false switches",
)


def _cells(row: pd.Series) -> list[str]:
    return [
        str(row["rule"]),
        *(f"{100 * row[name]:.0f} %" for name in ("time", "plain time", "trained")),
        str(row["switches"]),
        str(row["lost"]),
        str(row["won"]),
        str(row["worse"]),
        f"{row['held out']:+.2f}",
        f"{100 * row['kept']:.0f} %",
        f"{row['kept gain']:+.2f}",
        f"{100 * row['false']:.1f} %",
    ]


INTRODUCTION = """# Which rule cuts a study best?

Generated by `make pages` from `bench/results/policy.jsonl`, which `bench/policy.py` writes:
`record` runs studies of the development tables whole (every loss at every learning rate to the
end, nothing cut; twelve finalists beside both defaults, up to twice the planned epochs; at most
1,500 rows, of which 30 % are set aside) and keeps what every training scored and what each row
adds to it, after every checkpoint; `replay` lets [the study's own plan](study.md) decide on that
under each rule. {studies} studies so far: {tables}. No learning rates beyond the grid.

A rule is named by how many settings pass its cuts at most, by its finalists, and by the checks at
which finalists leave: 2 checks are after 30 and 60 % of the epochs; the third is after 80 %, the
fourth after 10 %. "Protected" are the best that leave only when surely worse. Time is that of the
search, in per cent of the rule that was in place before, by a model of a stack's step that was
fitted to measured ones ({stack} ms for the stack, {setting} for a setting, {training} for a
training): a study of few models is cheap, and one of few folds at a time costs almost what all
folds cost.

"Lost" are switches that the rule before made and this one does not, "won" the contrary; the gain
on the rows set aside is in per cent of the default's error, over all studies.

A record is one draw of rows and of trainings' luck. {draws} others of each kind are drawn
from it by the wild bootstrap, clustered as the test is: how a loss differs from the default on a
row, and on a fold, keeps its size and takes a new sign, the same for all losses and epochs. With
the mean differences kept it is another study of the same table ("in draws": the share that
switches, and what the selected loss gains by the record); with the mean differences taken away no
loss is better than another, and every switch is a false one. Draws are replayed without
lengthening.
"""

FOUND = """
What is in place since is "{now}": every switch of the rule before is made on the records, to
another loss in two studies (three rows of digits, and 52,939 beside 52,475 on Saratoga's houses,
make the difference on the rows set aside), and no false one; in draws it switches a little less
often. The search takes an eighth less time by the model. Its check after 10 % of the epochs changes
no decision on any record or draw, beside the same rule without it.
Three finalists are cheaper still; the losses that they hand over gain a little less on the rows set
aside. A first cut after 2 % to 15 settings loses two switches. Looks after some of the folds lose
one, and cost a stack as much as they save. Replayed under the rule before, the record of diabetes
with outliers gives each decision that the study itself makes.

These are one seed a table, half are corrupted, and no training was longer than twice the planned
epochs. No switch in the draws without differences was seen in 92; [simulations](study.md#the-test)
say more of that rate.
"""

CHOSEN = """## Chosen without the table

So that a rule is not praised on the tables that it was chosen on: for each table the cheapest rule
is taken that on all *other* tables lost no switch, kept the gain in draws within {least} points
and made at most {false:.0f} % false switches.
"""


def render(path: Path) -> str:
    """Return the page as Markdown: the rules, and what leaving a table out would choose."""
    frame = load(path)
    found, others = summary(frame), left_out(frame)
    chosen = others.groupby("rule", sort=False)["table"].unique()
    own = summary(others.assign(rule="chosen on the other tables"))
    first = frame.drop_duplicates("file")
    studies = first.groupby("table", sort=False)[["metric", "condition"]]
    introduction = INTRODUCTION.format(
        studies=len(first),
        tables="; ".join(f"{name} ({_listed(some)})" for name, some in studies),
        draws=int(frame["kept draws"].max()),
        **STEP,
    )
    return "\n".join(
        [
            introduction,
            table(HEAD, [_cells(row) for _, row in found.iterrows()]),
            FOUND.format(now=NOW),
            CHOSEN.format(least=LEAST_GAIN, false=100 * FALSE),
            table(HEAD, [_cells(row) for _, row in own.iterrows()]),
            "",
            *(f"- {rule}: for {', '.join(names)}" for rule, names in chosen.items()),
            _presets(path.with_name(PRESETS)),
            asking(_steps(path), seconds, *(path.with_name(one) for one in OTHERS)),
        ]
    )


def _presets(path: Path) -> str:
    frame = load(path, "best")
    steps = _steps(path, "fast")
    first = 100 * float(np.mean([seconds(own[:1]) / seconds(own) for own in steps]))
    told = presets(frame, summary(frame), first)
    return told + again(*(path.with_name(one) for one in ("unseen.jsonl", "unseen_fast.jsonl")))


def _steps(path: Path, rule: str = NOW) -> list[list[list[int]]]:
    """Return each study's steps under a rule."""
    lines = map(json.loads, path.read_text().splitlines())
    return [line["whole"]["steps"] for line in lines if line["rule"] == rule]


def _listed(studies: pd.DataFrame) -> str:
    return ", ".join(f"{one.metric} {one.condition}" for one in studies.itertuples())
