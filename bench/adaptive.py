"""Do adaptive losses and weightings pay? Against the best tuned fixed one, paired over seeds.

    python bench/adaptive.py --out bench/results/adaptive.jsonl [--seeds 5]
    python bench/adaptive.py --table bench/results/adaptive.jsonl > docs/adaptive_evidence.md

Each table is split 60 : 20 : 20 under each seed; training rows are left clean or corrupted as in
bench/choice.py, validation and test rows stay clean. One small network, AdamW, a cosine decay of
the learning rate over 600 steps; every method has the same two learning rates and keeps the better
one on validation rows. "Tuned fixed" is the best fixed loss (or fixed weights of two tasks) on
validation rows. All numbers are of the test rows, in per cent of the tuned fixed one's error.
"""

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import Tensor, nn

import lossmith as lm
from adaptive_data import Data, load
from adaptive_table import table
from resume import resumed

STEPS, BATCH, RATES = 600, 128, (2e-3, 8e-3)
MARKS = range(50, STEPS + 1, 50)
Make = Callable[[Data], lm.Loss]


def _huber_later(data: Data) -> lm.Loss:
    return lm.ProbabilityRegression(lm.Huber(delta=0.5), classes=data.classes)


def _ce(data: Data) -> lm.Loss:
    return lm.CrossEntropy(classes=data.classes)


def _fitted(key: str, **hypers: Any) -> Make:
    def make(data: Data) -> lm.Loss:
        kind = lm.catalogue.find()[key]
        given = {"classes": data.classes, **hypers} if data.classes else hypers
        return kind.for_target(data.train[1], **given)

    return make


FIXED: dict[str, dict[str, Make]] = {
    "values": {
        "mse": lambda data: lm.MSE(),
        "mae": lambda data: lm.MAE(),
        **{f"huber({d})": lambda data, d=d: lm.Huber(delta=d) for d in (0.1, 0.5, 1.345)},
    },
    "classes": {
        "cross_entropy": _ce,
        "balanced_softmax": _fitted("balanced_softmax"),
        "class_balanced": _fitted("class_balanced", beta=0.999),
        "focal(2)": _fitted("focal", gamma=2.0),
        "generalized_cross_entropy": _fitted("generalized_cross_entropy"),
    },
}
ADAPTIVE: dict[str, dict[str, Make]] = {
    "values": {
        "huber, delta 0.1 to 3": lambda data: lm.Huber(delta=lm.Linear(0.1, 3.0)),
        "mae then mse": lambda data: lm.switch(lm.MAE(), lm.MSE(), at=0.5),
        "mse then mae": lambda data: lm.switch(lm.MSE(), lm.MAE(), at=0.5),
        "huber, delta follows": lambda data: lm.QuantileTracking(lm.Huber(), level=0.9),
        "adaptive barron": lambda data: lm.AdaptiveBarron(),
        "self-paced huber": lambda data: lm.SelfPaced(lm.Huber(), threshold=lm.Linear(0.5, 5.0)),
    },
    "classes": {
        "deferred reweighting": lambda data: lm.switch(
            _ce(data), _fitted("class_balanced", beta=0.9999)(data), at=0.8
        ),
        "focal, gamma 2 to 0": _fitted("focal", gamma=lm.Linear(2.0, 0.0)),
        "cross-entropy then huber": lambda data: lm.switch(_ce(data), _huber_later(data), at=0.5),
        "learned temperature": lambda data: lm.Tempered(
            _ce(data), temperature=nn.Parameter(torch.tensor(1.0))
        ),
        "super loss": lambda data: lm.SuperLoss(_ce(data), tau=float(np.log(data.classes))),
        "balanced softmax then gce": lambda data: lm.switch(
            _fitted("balanced_softmax")(data), _fitted("generalized_cross_entropy")(data), at=0.5
        ),
    },
}
WEIGHTS = (0.1, 0.3, 1.0, 3.0, 10.0)
WEIGHTINGS: dict[str, Callable[[], lm.Weighting]] = {
    **{f"fixed {w:g}": lambda w=w: lm.Fixed({"label": w}) for w in WEIGHTS},
    "uncertainty": lm.Uncertainty,
    "dwa": lm.DWA,
    "gradnorm": lm.GradNorm,
    "famo": lm.FAMO,
    "imtl-l": lm.IMTLL,
    "geometric mean": lm.GeometricMean,
    "random": lm.RandomWeights,
    "softadapt": lm.SoftAdapt,
    "relobralo": lm.ReLoBRaLo,
}
CONDITIONS = (
    ("ames", "clean"),
    ("ames", "outliers"),
    ("saratoga", "clean"),
    ("saratoga", "outliers"),
    ("car crashes", "clean"),
    ("car crashes", "labels"),
    ("digits", "clean"),
    ("digits", "labels"),
    ("ames, two tasks", "clean"),
)


class Net(nn.Module):
    """One hidden layer, a head for each target."""

    def __init__(self, columns: int, heads: dict[str, int]) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(columns, 128), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(128, width) for name, width in heads.items()})

    def forward(self, x: Tensor) -> Any:
        """Return one output, or one by name for each head."""
        hidden = self.body(x)
        out = {name: head(hidden) for name, head in self.heads.items()}
        out = {n: v.squeeze(-1) if v.shape[1] == 1 else v for n, v in out.items()}
        return out if len(out) > 1 else next(iter(out.values()))


def train(data: Data, loss: lm.Loss, rate: float, seed: int) -> list[dict[str, float]]:
    """Train once; return the errors on train, validation and test rows at each mark."""
    torch.manual_seed(seed)
    heads = {n: part.out_features for n, part in loss.losses.items()} if data.tasks else None
    net = Net(data.train[0].shape[1], heads or {"out": loss.out_features})
    optimizer = torch.optim.AdamW(
        lm.parameter_groups(net, loss, weight_decay=0.05), lr=rate, weight_decay=0.05
    )
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    clock = lm.LossScheduler(loss, total_steps=STEPS, steps_per_epoch=50, optimizer=optimizer)
    order = torch.Generator().manual_seed(seed)
    seen = []
    for step in range(1, STEPS + 1):
        rows = torch.randint(len(data.train[0]), (BATCH,), generator=order)
        x, y = data.train[0][rows], data.rows(data.train[1], rows)
        output = net(x)
        terms = loss.terms(output, y)
        value = loss.combine(terms)
        signals: dict[str, Any] = {"input": output, "target": y, "terms": terms}
        if "gradient_norms" in clock.required_signals:
            signals["gradient_norms"] = lm.gradient_norms(terms, [net.body[0].weight])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        decay.step()
        if "terms_after" in clock.required_signals:
            with torch.no_grad():
                signals["terms_after"] = loss.terms(net(x), y)
        clock.step(**{name: signals[name] for name in clock.required_signals})
        if step in MARKS:
            with torch.no_grad():
                seen.append(data.errors(lambda x: loss.decode(net(x))))
    return seen


def methods(data: Data) -> Iterable[tuple[str, str, Make]]:
    """Yield the kind, name and maker of every method for the data."""
    if data.tasks:
        for name, rule in WEIGHTINGS.items():
            kind = "fixed" if name.startswith("fixed") else "adaptive"
            yield (
                kind,
                name,
                lambda data, rule=rule: lm.Hybrid(
                    price=lm.MAE(), label=_ce(data), weighting=rule()
                ),
            )
        return
    for kind, pool in (("fixed", FIXED), ("adaptive", ADAPTIVE)):
        for name, make in pool["classes" if data.classes else "values"].items():
            yield kind, name, make


def run(job: tuple[str, str, int]) -> list[dict[str, Any]]:
    """Run every method on one table under one condition and seed."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    name, condition, seed = job
    data = load(name, condition, seed)
    found = []
    for kind, method, make in methods(data):
        courses = [train(data, make(data), rate, seed) for rate in RATES]
        best = min(courses, key=lambda course: data.merit(course[-1], "valid"))
        found.append(
            {
                "table": name,
                "condition": condition,
                "seed": seed,
                "kind": kind,
                "method": method,
                "course": best,
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.table:
        print(table([json.loads(line) for line in given.table.read_text().splitlines()]))
        return
    jobs = [(*pair, seed) for seed in range(given.seeds) for pair in CONDITIONS]
    names = ("table", "condition", "seed")
    for _, lines in resumed(run, jobs, names, given.out, given.workers):
        print(*(lines[0][name] for name in names), file=sys.stderr)


if __name__ == "__main__":
    main()
