"""Make the page of the replayed rules from their lines."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from choice_table import table

BEFORE = "before: 60/30/12/7, 5 finalists, 3 protected"
WHOLE = "no cut"  # how rules are called that are only there to compare
# Milliseconds of a step of a stack: of itself, of each setting, of each training. Least squares
# over stacks of 3 to 120 settings on 1 to 8 folds of diabetes, saratoga and ames, one thread.
STEP = {"stack": 3.0, "setting": 0.16, "training": 0.1}
LEAST_GAIN = 0.1  # per cent of the default's error that a cheaper rule may lose in the mean
FALSE = 0.05  # switches where no loss is better


def load(path: Path) -> pd.DataFrame:
    """Return one row a study and rule."""
    frame = pd.DataFrame([_row(json.loads(line)) for line in path.read_text().splitlines()])
    by_file = frame.set_index(["file", "rule"])
    for name in ("time", "plain time", "trained"):
        before = frame["file"].map(by_file.xs(BEFORE, level="rule")[name])
        frame[f"relative {name}"] = frame[name] / before
    before = by_file.xs(BEFORE, level="rule")
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


def render(path: Path) -> str:
    """Return the rules' table as Markdown, and what leave-one-table-out chooses."""
    frame = load(path)
    found = summary(frame)
    parts = [table(HEAD, [_cells(row) for _, row in found.iterrows()])]
    others = left_out(frame)
    chosen = others.groupby("rule", sort=False)["table"].unique()
    parts.append(
        "\n".join(f"- {rule}: chosen without {', '.join(names)}" for rule, names in chosen.items())
    )
    own = summary(others.assign(rule="chosen on the other tables"))
    parts.append(table(HEAD, [_cells(row) for _, row in own.iterrows()]))
    return "\n\n".join(parts)
