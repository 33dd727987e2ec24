"""The page of body.py's results."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

PEERS = ("boosting", "RealMLP-TD-S", "CatBoost")
FLOOR = 1e-4  # an error below it is none: of a share of rows, or of what a constant would have
PAGE = """\
# Is the default body good enough?

`python bench/body.py --out bench/results/body.jsonl`: each table's rows split 70 : 30, {splits},
one thread a model. lossmith's body is what `lossmith.select` hands over when its only candidate is
the metric's default loss. Histogram boosting has scikit-learn's defaults, native categories and the
metric's loss; RealMLP-TD-S is pytabkit's, out of the box, told the metric where it knows it;
CatBoost has its defaults and the metric's loss. Nobody is tuned on the 30 %. The first {developed}
tables are those that lossmith was developed on; the others are the first of [the draw](unseen.md)
with a target that boosting predicts in part and not wholly. Columns of peers are errors as
multiples of the peer's on the same split, the geometric mean of the splits: below 1 lossmith's body
is better. An error is 1 − score where higher is better.

| table | metric | {heads} |
|---|---|{rules}|
{rows}

| geometric mean of | {peers} | tables |
|---|{means}|---|
{summary}

Largest ratio to boosting: {worst}. CPU time a table, median: {times}.
"""


def render(path: Path) -> str:
    """Return the page for a file of results."""
    lines = pd.read_json(path, lines=True)
    lines["error"] = lines.score.where(lines.better == "lower", 1 - lines.score)
    keys = ["table", "metric"]
    errors = lines.pivot_table(index=[*keys, "seed"], columns="model", values="error", sort=False)
    own = lines[lines.model == "lossmith"].groupby(keys, sort=False).score.mean()
    peers = [name for name in PEERS if name in errors]
    logs = pd.DataFrame({n: np.log(_ratio(errors["lossmith"], errors[n])) for n in peers})
    ratios = np.exp(logs.groupby(keys, sort=False).mean())
    developed = sum("/" not in table or table.startswith("islp/") for table, _ in ratios.index)
    parts = {
        "all": ratios,
        "of development": ratios[:developed],
        "of the draw": ratios[developed:],
        "all but the two smallest and largest to boosting": _trimmed(ratios),
    }
    worst = ratios["boosting"].idxmax()
    return PAGE.format(
        splits=f"{lines.seed.nunique()} split" + "s" * (lines.seed.nunique() > 1),
        developed=developed,
        heads=" | ".join(["lossmith", *(f"× {name}" for name in peers)]),
        rules="|".join(["---"] * (1 + len(peers))),
        rows="\n".join(_row(*key, own.loc[key], ratios.loc[key]) for key in ratios.index),
        peers=" | ".join(peers),
        means="|".join(["---"] * len(peers)),
        summary="\n".join(_summary(name, part) for name, part in parts.items()),
        worst=f"{ratios['boosting'].max():.2f} ({worst[0]})",
        times=", ".join(
            f"{model} {seconds:.0f} s"
            for model, seconds in lines.groupby("model", sort=False).cpu.median().items()
        ),
    )


def _trimmed(ratios: pd.DataFrame, ends: int = 2) -> pd.DataFrame:
    """Return the tables without those of the most extreme ratios, which rule a mean."""
    return ratios.sort_values("boosting").iloc[ends:-ends]


def _ratio(own: pd.Series, other: pd.Series) -> pd.Series:
    return own.clip(lower=FLOOR) / other.clip(lower=FLOOR)


def _row(table: str, metric: str, score: float, ratios: pd.Series) -> str:
    cells = ("" if math.isnan(ratio) else f"{ratio:.2f}" for ratio in ratios)
    return f"| {table} | {metric} | {score:,.4g} | {' | '.join(cells)} |"


def _summary(name: str, ratios: pd.DataFrame) -> str:
    means = (f"{math.exp(ratios[peer].dropna().map(math.log).mean()):.3f}" for peer in ratios)
    return f"| {name} | {' | '.join(means)} | {len(ratios)} |"
