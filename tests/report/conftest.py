"""Studies to report on: small models trained on synthetic rows with real losses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossmith
from lossmith.study.base.result import (
    CandidateResult,
    Cost,
    Curve,
    Finding,
    Outputs,
    ReportData,
    Result,
    TargetResult,
    WeightSweep,
)
from lossmith.study.report import render

ROWS, STEPS = 400, 20
Study = tuple[Result, ReportData]


@pytest.fixture(scope="session")
def switch() -> Study:
    """Prices with outliers, where huber is chosen over mae."""
    names = ["mae", "huber(delta=0.5)", "huber(delta=0.1)", "log_cosh", "gaussian_nll", "hl_gauss"]
    return study("regression", [*names, "mse"], "mae", "huber(delta=0.5)")


@pytest.fixture(scope="session")
def keep() -> Study:
    """Prices, where nothing beats mae."""
    return study("regression", ["mae", "huber(delta=0.5)", "mse"], "mae", "mae")


@pytest.fixture(scope="session")
def binary() -> Study:
    """Two imbalanced classes, where a focal loss is chosen."""
    names = ["binary_cross_entropy", "binary_focal(gamma=2)", "cross_entropy"]
    return study("binary", names, "binary_cross_entropy", "binary_focal(gamma=2)", classes=2)


@pytest.fixture(scope="session")
def ten_classes() -> Study:
    """Ten classes, where cross-entropy stays."""
    names = ["cross_entropy", "poly1", "squentropy"]
    return study("multiclass", names, "cross_entropy", "cross_entropy", classes=10)


@pytest.fixture(scope="session")
def joint(switch: Study) -> Study:
    """The same prices beside two other targets with names that need care."""
    result, evidence = switch
    names = ("SalePrice", "sold <fast>", "an unusually long name of a target column")
    metrics = (("mae", "lower", 0.0), ("auroc", "higher", 0.8), ("f1_macro", "higher", 0.6))
    targets = tuple(
        TargetResult(
            name=name,
            task="regression" if better == "lower" else "binary",
            metric=metric,
            better=better,
            default=level or 14_000.0,
            selected=level + 0.02 if level else 13_500.0,
            difference=0.02 if level else -500.0,
            difference_low=0.01 if level else -900.0,
            difference_high=0.03 if level else -100.0,
            test={"default": 0.5, "selected": 0.6, "rows": float(ROWS)},
            classes=2 if level else 0,
        )
        for name, (metric, better, level) in zip(names, metrics, strict=True)
    )
    rows = tuple(
        replace(
            row,
            name=f"{row.name} + binary_cross_entropy + focal(gamma=2), by geometric_mean",
            parameters={"a": 1, "b": 2, "c": 3, "weighting": "tuned weights", "shares": {"a": 0.5}},
            by_target={one.name: _changed(one, place) for one in targets},
        )
        for place, row in enumerate(result.candidates)
        if row.status != "diverged"
    )
    by_name = {old.name: new.name for old, new in zip(result.candidates, rows, strict=False)}
    weights = tuple(
        WeightSweep(
            shares=(share, 0.5, 0.5 - share), changes=(20 * share - 8, 3 - 30 * share**2, 1.0)
        )
        for share in (0.04, 0.1, 0.25, 0.4)
    )
    roles = {role: by_name[getattr(result, role)] for role in ("default", "selected", "common")}
    return (
        replace(
            result,
            **roles,
            task="joint",
            metric="relative error",
            candidates=rows,
            targets=targets,
            test={},
            equivalents=tuple(by_name[name] for name in result.equivalents),
        ),
        ReportData(
            curves=tuple(replace(c, name=by_name[c.name]) for c in evidence.curves),
            weights=weights,
        ),
    )


def _changed(one: TargetResult, place: int) -> dict[str, float]:
    step = 0.004 * place * one.default * (1 if place % 2 else -1)
    width = 0.01 * one.default
    return {
        "score": one.default + step,
        "low": one.default + step - width,
        "high": one.default + step + width,
        "difference_to_default": step,
        "difference_low": step - width,
        "difference_high": step + width,
    }


@pytest.fixture(scope="session", params=["switch", "keep", "binary", "ten_classes"])
def each(request: pytest.FixtureRequest) -> Study:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def html(each: Study) -> str:
    return render(*each)


def study(task: str, names: list[str], default: str, selected: str, classes: int = 0) -> Study:
    """Return a study as the engine hands it over; the last name is the common default."""
    x, y = _data(task, classes)
    target, sign = y[ROWS:], 1.0 if task == "regression" else -1.0
    outputs, curves, errors = [], [], {}
    for name in names:
        loss = _loss(task, name, y[:ROWS])
        output, decoded = _train(loss, x, y)
        scores = [float(_row_errors(task, entry, target).mean()) for entry in decoded]
        scores = scores if task == "regression" else [1 - score for score in scores]
        best = int(np.argmin(sign * np.array(scores))) + 1
        curves.append(
            Curve(
                name=name,
                epochs=tuple(range(1, STEPS + 1)),
                scores=tuple(scores),
                best_epoch=best,
            )
        )
        outputs.append(Outputs(name=name, loss=loss, output=output, target=target))
        errors[name] = _row_errors(task, decoded[-1], target)
    predictions = {o.name: o.loss.decode(o.output).double().numpy() for o in outputs}
    rows = [_candidate(task, name, errors, default, selected) for name in names]
    return (
        _result(task, rows, default, selected),
        ReportData(
            curves=tuple(curves),
            outputs=tuple(outputs),
            test_target=target.numpy(),
            test_default=predictions[default],
            test_selected=predictions[selected],
            classes=tuple(f"class {code}" for code in range(classes)),
        ),
    )


def _data(task: str, classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2 * ROWS, 6, generator=generator)
    signal = x[:, 0] + 0.5 * x[:, 1] ** 2 + 0.7 * torch.randn(2 * ROWS, generator=generator)
    if task == "regression":
        price = 180_000 + 40_000 * signal.double()
        outliers = torch.rand(2 * ROWS, generator=generator) < 0.08
        return x, torch.where(outliers, price * 2.2, price)
    ranks = signal.argsort().argsort() / len(signal)
    return x, (classes * ranks**1.6).long()


def _loss(task: str, name: str, target: Tensor) -> lossmith.Loss:
    key, _, text = name.partition("(")
    hypers = {k: float(v) for k, v in (pair.split("=") for pair in text[:-1].split(", ") if pair)}
    kind = lossmith.find(task)[key]
    if task == "regression":  # a class is fitted, a loss keeps its arguments
        inner = kind(**hypers) if hypers else kind
        return lossmith.TransformedTarget.for_target(target, loss=inner)
    if kind.card.target == "classes":
        hypers["classes"] = int(target.max()) + 1
    return kind.for_target(target, **hypers)


def _train(loss: lossmith.Loss, x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return a small model's last outputs on the second half of the rows, and all it decoded."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, loss.out_features))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    target = y if loss.card.target == "classes" else y.float()
    decoded = []
    for _ in range(STEPS):
        for rows in torch.arange(ROWS).split(100):
            optimizer.zero_grad()
            loss(model(x[rows]).squeeze(-1), target[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            output = model(x[ROWS:]).squeeze(-1)
            decoded.append(loss.decode(output))
    return output, decoded


def _row_errors(task: str, decoded: Tensor, target: Tensor) -> np.ndarray:
    if task == "regression":
        return (decoded.double() - target).abs().numpy()
    hard = decoded.argmax(1) if decoded.ndim == 2 else decoded > 0.5
    return (hard != target).double().numpy()


def _candidate(
    task: str, name: str, errors: dict[str, np.ndarray], default: str, selected: str
) -> CandidateResult:
    error, margin = errors[name].mean(), 2 * errors[name].std() / np.sqrt(ROWS)
    paired = (errors[name] - errors[default]) * (1 if task == "regression" else -1)
    wide = 2 * paired.std() / np.sqrt(ROWS)
    score = error if task == "regression" else 1 - error
    compared: dict[str, Any] = {}
    if name != default:
        compared = {
            "difference_to_default": float(paired.mean()),
            "difference_low": float(paired.mean() - wide),
            "difference_high": float(paired.mean() + wide),
            "p_value": 0.0004 if name == selected else 0.41,
        }
    return CandidateResult(
        name=name,
        parameters={},
        status="default" if name == default else "selected" if name == selected else "finished",
        score=float(score),
        low=float(score - margin),
        high=float(score + margin),
        learning_rate=0.003,
        epochs=31,
        folds=15,
        **compared,
    )


def _result(task: str, rows: list[CandidateResult], default: str, selected: str) -> Result:
    scores = {row.name: row.score for row in rows}
    return Result(
        task=task,
        metric="mae" if task == "regression" else "accuracy",
        better="lower" if task == "regression" else "higher",
        target="SalePrice" if task == "regression" else "outcome",
        rows={"total": 2_930, "train": 2_344, "test": ROWS, "dropped": 3},
        diagnosis=(
            Finding(name="skew", value=2.41, meaning="A long right tail: mean and median differ."),
            Finding(
                name="outliers",
                value=0.083,
                meaning="8 % of the rows lie beyond 4 robust standard deviations.",
                level="warning",
            ),
        ),
        default=default,
        common=rows[-1].name,
        selected=selected,
        verdict="keep" if default == selected else "switch",
        sentence=f"Train with {selected}.",
        equivalents=(rows[1].name,),
        candidates=(*rows, *_unfinished(rows[0])),
        test={"default": scores[default], "selected": scores[selected]},
        cost=Cost(seconds=74.3, default_seconds=31.2, ratio=2.38, trainings=1_240),
        seed=7,
        interrupted=False,
        versions={"lossmith": "0.1.0", "torch": "2.13.0"},
        command="lossmith select houses.csv --target SalePrice --metric mae --out runs/houses",
    )


def _unfinished(default: CandidateResult) -> list[CandidateResult]:
    """Return a dozen candidates that were dropped, and one that diverged."""
    dropped = [
        CandidateResult(
            name=f"expectile(level=0.{n:02d})",
            parameters={"level": n / 100},
            status="dropped",
            score=(default.score or 0.0) * 0.9,
            folds=3,
            note="worse on the first folds",
        )
        for n in range(1, 13)
    ]
    lost = CandidateResult(
        name="cauchy(scale=0.01)",
        parameters={"scale": 0.01},
        status="diverged",
        score=float("inf"),
        learning_rate=0.1,
        epochs=2,
        note="not finite in epoch 2",
    )
    return [*dropped, lost]
