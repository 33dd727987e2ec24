"""Transfer and distillation: a pull or a teacher's term, and its weight, against fine-tuning."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import lossmith
from lossmith.core.hybrid import Hybrid
from lossmith.functional import flat_parameters
from lossmith.study.base.errors import InputError
from lossmith.study.study import Study

IMAGES, DIGITS = load_digits(return_X_y=True)
X, Y = torch.tensor(IMAGES / 16, dtype=torch.float32), torch.tensor(DIGITS)
TAUGHT, FEW = 900, 60
GENERATOR = torch.Generator().manual_seed(0)
LOGITS, CODES = torch.randn(8, 3, generator=GENERATOR), torch.arange(8) % 3
TEACHER = torch.randn(8, 3, generator=GENERATOR)
WEIGHTS, START = torch.randn(2, 5, generator=GENERATOR)


def network(width: int, classes: int = 10) -> nn.Sequential:
    return nn.Sequential(nn.Sequential(nn.Linear(64, width), nn.ReLU()), nn.Linear(width, classes))


def pretrained(width: int, x: Tensor, y: Tensor) -> nn.Sequential:
    torch.manual_seed(0)
    model = network(width)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(200):
        rows = torch.randint(len(y), (64,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    return model


def draws(pool: np.ndarray, judged: np.ndarray, few: int) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(0)
    return [(random.permutation(pool)[:few], rows) for rows in np.array_split(judged, 4)]


def test_a_student_of_few_labels_learns_from_a_teacher() -> None:
    told = pretrained(128, X[:TAUGHT], Y[:TAUGHT])(X).detach()
    study = Study(
        None,
        metric="accuracy",
        target=Y,
        task="distillation",
        losses=["0.5 cross_entropy + 0.5 distillation(alpha=1)"],
        splits=draws(np.arange(TAUGHT), np.arange(TAUGHT, len(Y)), FEW),
        learning_rates=[1e-2],
        epochs=8,
    )
    both = "0.5 cross_entropy + 0.5 distillation(alpha=1)"
    assert list(study.contenders) == [both, "cross_entropy"]
    for trial in study:
        with trial.seeded():
            student = network(16, trial.out_features)
            optimizer = torch.optim.Adam(student.parameters(), lr=trial.learning_rate)
            rows = torch.as_tensor(trial.train)
            for _ in trial.epochs:
                for _ in range(20):
                    optimizer.zero_grad()
                    said = {"classes": Y[rows], "teacher": told[rows]}
                    trial.loss(student(X[rows]), said).backward()
                    optimizer.step()
                if trial.report(outputs=student(X[trial.valid])):
                    break
    verdict = study.verdict()
    assert (verdict.verdict, verdict.selected) == ("switch", both)
    logits = student(X[:3])
    torch.testing.assert_close(study.loss.decode(logits), logits.softmax(1))


def test_a_body_is_tuned_on_few_rows_with_a_pull_to_its_start() -> None:
    body = pretrained(32, X[Y < 5], Y[Y < 5])[0]
    start = flat_parameters(body).detach().clone()
    x, y = X[Y >= 5], Y[Y >= 5] - 5
    study = Study(
        None,
        metric="accuracy",
        target=y,
        task="transfer",
        splits=draws(np.arange(400), np.arange(400, len(y)), 20),
        learning_rates=[1e-2],
        epochs=6,
    )
    moved: dict[str, list[float]] = {name: [] for name in study.contenders}
    for trial in study:
        with trial.seeded():
            model = network(32, trial.out_features)
            model[0].load_state_dict(body.state_dict())
            optimizer = torch.optim.Adam(model.parameters(), lr=trial.learning_rate)
            rows = torch.as_tensor(trial.train)
            for _ in trial.epochs:
                for _ in range(5):
                    given = {"output": model(x[rows]), "parameters": flat_parameters(model[0])}
                    optimizer.zero_grad()
                    trial.loss(given, {"target": y[rows], "start": start}).backward()
                    optimizer.step()
                if trial.report(outputs=model(x[trial.valid])):
                    break
            moved[trial.name].append((flat_parameters(model[0]) - start).norm().item())
    assert study.design.default == "cross_entropy"
    assert set(moved) == {
        "cross_entropy",
        *(f"cross_entropy + l2_sp(alpha={alpha})" for alpha in (0.001, 0.01, 0.1)),
    }
    strong = moved["cross_entropy + l2_sp(alpha=0.1)"][0]
    assert strong < 0.9 * moved["cross_entropy"][0]
    assert study.verdict().verdict in ("switch", "keep")


def taught(name: str) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    said = {"classes": CODES, "teacher": TEACHER}
    alone = lossmith.CrossEntropy()(LOGITS, CODES)
    terms = {
        "distillation(alpha=1)": lossmith.Distillation(alpha=1.0)(LOGITS, {"teacher": TEACHER}),
        "dkd": lossmith.DKD()(LOGITS, said),
        "dist": lossmith.DIST()(LOGITS, TEACHER),
    }
    if name == "cross_entropy":
        return LOGITS, said, alone
    own, other = name.split(" + ")
    weight, _, key = other.partition(" ")
    return LOGITS, said, float(own.split(" ")[0]) * alone + float(weight) * terms[key]


def test_one_call_serves_every_way_to_teach() -> None:
    study = Study(None, metric="accuracy", target=CODES.repeat(5), task="distillation", epochs=1)
    assert len(study.contenders) == 10
    for name in study.contenders:
        loss = study.fitted(name, None)
        logits, said, value = taught(name)
        torch.testing.assert_close(loss(logits, said), value, msg=name)
        assert study.width_of(loss) == 3
        torch.testing.assert_close(loss.decode(logits), logits.softmax(1))


TUNED: list[tuple[str, Any, str, int]] = [
    ("accuracy", (np.arange(40) % 3), "cross_entropy", 3),
    ("balanced_accuracy", (np.arange(40) % 3), "balanced_softmax", 3),
    ("auroc", (np.arange(40) % 2), "binary_cross_entropy", 1),
    ("mae", np.arange(40.0), "mae", 1),
    ("mean_iou", np.arange(640).reshape(40, 4, 4) % 3, "cross_entropy + lovasz_softmax", 3),
    ("mae", np.arange(80.0).reshape(40, 2), "mae", 2),
    ("f1_macro", np.arange(80).reshape(40, 2) % 2, "binary_cross_entropy", 2),
]


@pytest.mark.parametrize(("metric", "target", "plain", "width"), TUNED)
def test_a_pull_joins_the_default_of_every_task(
    metric: str, target: Any, plain: str, width: int
) -> None:
    study = Study(None, metric=metric, target=target, task="transfer", epochs=1)
    assert study.design.default == plain
    shape = (40, 3, 4, 4) if target.ndim == 3 else (40, width) if width > 1 else (40,)
    raw = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    named = {"target": torch.as_tensor(target), "start": START}
    values = {}
    for name in study.contenders:
        loss = study.fitted(name, None)
        values[name] = loss({"output": raw, "parameters": WEIGHTS}, named)
        assert study.width_of(loss) == width
    pull = lossmith.L2SP(alpha=0.1)(WEIGHTS, START)
    torch.testing.assert_close(values[f"{plain} + l2_sp(alpha=0.1)"], values[plain] + pull)


def test_losses_of_your_own_read_the_same_parts() -> None:
    study = Study(
        None,
        metric="accuracy",
        target=CODES.repeat(5),
        task="distillation",
        losses={"more": lossmith.CrossEntropy() + 2 * lossmith.DIST(), "hinton": "distillation"},
        epochs=1,
    )
    said = {"classes": CODES, "teacher": TEACHER}
    expected = lossmith.CrossEntropy()(LOGITS, CODES) + 2 * lossmith.DIST()(LOGITS, TEACHER)
    torch.testing.assert_close(study.fitted("more", None)(LOGITS, said), expected)
    hinton = lossmith.Distillation()(LOGITS, said)
    torch.testing.assert_close(study.fitted("hinton", None)(LOGITS, said), hinton)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "distillation", "metric": "mae", "target": np.arange(9.0)}, "needs classes .N,."),
        ({"task": "distillation", "metric": "dice", "target": TUNED[4][1]}, "needs classes .N,."),
        ({"task": "transfer", "target": None}, "'transfer' needs target="),
        ({"task": "transfer", "metric": lambda y, p: 0.0, "better": "lower"}, "name of a metric"),
        ({"task": "tuning"}, "one of .*transfer, distillation, got 'tuning'"),
    ],
)
def test_bad_input_is_one_line(given: dict[str, Any], message: str) -> None:
    arguments = {"metric": "accuracy", "target": CODES.repeat(5), "epochs": 1} | given
    with pytest.raises(InputError, match=message) as caught:
        Study(None, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("task", "given", "message"),
    [
        ("distillation", (LOGITS, CODES), "target must be a dict with classes"),
        ("transfer", (LOGITS, CODES), "input must be a dict with output"),
        ("transfer", ({"output": LOGITS}, {"target": CODES}), None),
    ],
)
def test_a_loop_that_leaves_parts_out_is_told(task: str, given: Any, message: str | None) -> None:
    study = Study(None, metric="accuracy", target=CODES.repeat(5), task=task, epochs=1)
    plain = study.fitted("cross_entropy", None)
    if message is None:  # plain fine-tuning needs no start
        assert plain(*given).isfinite()
        pulled = study.fitted("cross_entropy + l2_sp(alpha=0.1)", None)
        with pytest.raises(ValueError, match="input lacks parameters; it has output"):
            pulled(*given)
        return
    with pytest.raises(TypeError, match=message):
        plain(*given)


def test_a_loss_of_named_parts_leaves_reported_predictions_as_they_are() -> None:
    loss = lossmith.CrossEntropy().on("label") + lossmith.L2SP().on("weights")
    study = Study(None, metric="accuracy", target=Y, losses={"own": loss}, default="own", epochs=1)
    trial = study.ask()
    assert trial is not None
    trial.report(1, outputs=nn.functional.one_hot(Y[trial.valid], 10).double())
    assert study.frame().score.tolist() == [1.0]


def test_a_sum_reads_the_whole_of_what_has_no_name(tmp_path) -> None:
    loss = 0.5 * lossmith.CrossEntropy(classes=3).on(None, "classes") + 0.5 * lossmith.DKD()
    said = {"classes": CODES, "teacher": TEACHER}
    expected = 0.5 * lossmith.CrossEntropy()(LOGITS, CODES) + 0.5 * lossmith.DKD()(LOGITS, said)
    torch.testing.assert_close(loss(LOGITS, said), expected)
    assert loss.out_features == 3
    torch.testing.assert_close(loss.decode(LOGITS), LOGITS.softmax(1))
    loss.save(tmp_path / "loss.json")
    loaded = lossmith.load(tmp_path / "loss.json")
    assert isinstance(loaded, Hybrid)
    assert loaded.routes == loss.routes
    torch.testing.assert_close(loaded(LOGITS, said), expected)
    with pytest.raises(TypeError, match="output must be a dict with a; got Tensor"):
        lossmith.MSE().on("a").decode(torch.zeros(2))
