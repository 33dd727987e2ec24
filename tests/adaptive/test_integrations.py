"""Callbacks in the real packages: progress, logs, checkpoints that resume to the same numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lossmith import (
    CORAL,
    MAE,
    MSE,
    BinaryCrossEntropy,
    BinaryFocal,
    CrossEntropy,
    Focal,
    GaussianNLL,
    Huber,
    Hybrid,
    Linear,
    QuantileTracking,
    SoftAdapt,
    Uncertainty,
    When,
    switch,
)
from lossmith.integrations.logs import scalars

X = torch.randn(32, 3, generator=torch.Generator().manual_seed(0))
Y = X.sum(1)


def test_scalars_name_weights_and_moving_numbers() -> None:
    loss = Hybrid(a=Huber(delta=Linear(3.0, 1.0)), b=MSE(), weighting=Uncertainty())
    found = scalars(loss)
    assert found["loss/losses/a/delta"] == 3.0
    assert found["loss/weighting/a"] == 0.5


lightning = pytest.importorskip("pytorch_lightning")


class Module(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Linear(3, 1)
        self.loss = Hybrid(
            a=switch(MAE(), MSE(), at=0.5), b=Huber(delta=Linear(3.0, 0.5)), weighting=SoftAdapt()
        )

    def training_step(self, batch: Any, index: int) -> Any:
        output = self.net(batch[0]).squeeze(-1)
        both, target = dict.fromkeys("ab", output), dict.fromkeys("ab", batch[1])
        terms = self.loss.terms(both, target)
        return {"loss": self.loss.combine(terms), "signals": {"terms": terms}}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.05)


class StopAt(lightning.Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Any, *rest: Any) -> None:
        trainer.should_stop = trainer.global_step >= self.step


def fit(module: Module, stop: int, folder: Path, resume: str | None = None) -> Any:
    from lossmith.integrations.lightning import LossCallback

    trainer = lightning.Trainer(
        max_epochs=4,
        accelerator="cpu",
        logger=False,
        default_root_dir=folder,
        callbacks=[LossCallback("loss"), StopAt(stop)],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(module, DataLoader(TensorDataset(X, Y), batch_size=8), ckpt_path=resume)
    return trainer


@pytest.mark.filterwarnings("ignore")
def test_lightning_drives_logs_and_resumes(tmp_path: Path) -> None:
    whole = Module()
    trainer = fit(whole, 16, tmp_path)
    assert whole.loss.losses["a"].weighting.weights() == {"mae": 0.0, "mse": 1.0}
    assert whole.loss.losses["b"].delta.item() == pytest.approx(0.5)
    assert "loss/weighting/a" in trainer.callback_metrics
    half = Module()
    fit(half, 8, tmp_path).save_checkpoint(tmp_path / "half.ckpt", weights_only=False)
    resumed = Module()
    fit(resumed, 16, tmp_path, resume=str(tmp_path / "half.ckpt"))
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


transformers = pytest.importorskip("transformers")


class Rows(Dataset):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"x": X[index], "labels": Y[index]}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Linear(3, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, Any]:
        return {"logits": self.net(x).squeeze(-1)}


def trained(folder: Path, resume: bool = False, stop: bool = False) -> tuple[Net, Any, Any]:
    from lossmith.integrations.transformers import LossCallback

    loss = switch(Huber(delta=Linear(3.0, 0.5)), MSE(), at=When("eval_loss", below=100.0))
    driver = LossCallback(loss)

    class Stop(transformers.TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            control.should_training_stop = stop and state.global_step == 4

    def compute(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> Any:
        return loss(outputs["logits"], labels)

    net = Net()
    trainer = transformers.Trainer(
        net,
        transformers.TrainingArguments(
            folder,
            num_train_epochs=4,
            per_device_train_batch_size=16,
            per_device_eval_batch_size=16,
            learning_rate=0.05,
            save_strategy="steps",
            save_steps=2,
            eval_strategy="steps",
            eval_steps=2,
            logging_steps=1,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=Rows(),
        eval_dataset=Rows(),
        compute_loss_func=compute,
        callbacks=[driver, Stop()],
    )
    trainer.train(resume_from_checkpoint=str(folder / "checkpoint-4") if resume else None)
    return net, loss, trainer


@pytest.mark.filterwarnings("ignore")
def test_transformers_drives_logs_and_resumes(tmp_path: Path) -> None:
    whole, loss, trainer = trained(tmp_path / "whole")
    assert loss.weighting.weights() == {"huber": 0.0, "mse": 1.0}
    assert any("loss/losses/huber/delta" in entry for entry in trainer.state.log_history)
    trained(tmp_path / "half", stop=True)
    resumed, again, _ = trained(tmp_path / "half", resume=True)
    assert again.weighting.weights() == loss.weighting.weights()
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


skorch = pytest.importorskip("skorch")
clone = pytest.importorskip("sklearn.base").clone


def net(**given: Any) -> Any:
    from lossmith.integrations.skorch import LossCallback

    torch.manual_seed(0)
    built = skorch.NeuralNet(
        nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)),
        criterion=lambda: switch(
            QuantileTracking(Huber(), level=0.5),
            Huber(delta=Linear(3.0, 0.5)),
            at=When("valid_loss", below=100.0),
        ),
        optimizer=torch.optim.Adam,
        lr=0.05,
        batch_size=8,
        max_epochs=4,
        callbacks=[("loss", LossCallback())],
        verbose=0,
        **given,
    )
    return built.initialize()


@pytest.mark.filterwarnings("ignore")
def test_skorch_drives_logs_and_resumes(tmp_path: Path) -> None:
    whole = net().partial_fit(X, Y)
    clock = dict(whole.callbacks_)["loss"].clock
    assert clock.position == 4 * 4  # batches of 8 of the 26 rows that are not for validation
    assert whole.criterion_.weighting.weights() == {"quantile_tracking": 0.0, "huber": 1.0}
    assert whole.criterion_.losses["huber"].delta.item() == pytest.approx(0.5)
    deltas = whole.history[:, "loss/losses/huber/delta"]
    assert deltas == pytest.approx([2.375, 1.75, 1.125, 0.5])
    half = net().partial_fit(X, Y, epochs=2)
    files = {f"f_{part}": tmp_path / part for part in ("params", "optimizer", "criterion")}
    half.save_params(**files, f_history=tmp_path / "history")
    resumed = net()
    resumed.load_params(**files, f_history=tmp_path / "history")
    resumed.partial_fit(X, Y, epochs=2)
    for part in ("module_", "criterion_"):
        for name, value in getattr(whole, part).state_dict().items():
            assert torch.equal(getattr(resumed, part).state_dict()[name], value), name


@pytest.mark.filterwarnings("ignore")
def test_skorch_brings_terms_and_starts_afresh_with_each_fit() -> None:
    from lossmith.integrations.skorch import LossCallback

    two = skorch.NeuralNet(
        Both,
        criterion=lambda: Hybrid(a=MSE(), b=MAE(), weighting=SoftAdapt()),
        train_split=None,
        batch_size=8,
        max_epochs=2,
        callbacks=[LossCallback()],
        verbose=0,
    )
    targets = {"a": Y, "b": 2 * Y}
    for _ in range(2):
        torch.manual_seed(0)
        two.fit(X, targets)
        assert int(two.criterion_.weighting.observed) == 8
    weights = two.criterion_.weighting.weights()
    assert two.history[-1]["loss/weighting/a"] == weights["a"] != 0.5


class Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(zip("ab", self.net(x).unbind(1), strict=True))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "criterion", "width"),
    [
        ("NeuralNetClassifier", CrossEntropy, 2),
        ("NeuralNetClassifier", Focal, 2),
        ("NeuralNetClassifier", lambda: CORAL(classes=3), 2),
        ("NeuralNetClassifier", BinaryCrossEntropy, 1),
        ("NeuralNetBinaryClassifier", BinaryCrossEntropy, 1),
        ("NeuralNetBinaryClassifier", lambda: BinaryFocal(alpha=0.5), 1),
    ],
)
def test_skorch_predicts_probabilities(kind: str, criterion: Any, width: int) -> None:
    net = reading(kind, criterion, width).fit(X, (Y > 0).long())
    loss, found = net.criterion_, torch.as_tensor(net.predict_proba(X))
    decoded = loss.decode(net.forward(X))
    expected = decoded if width > 1 else torch.stack((1 - decoded, decoded), 1)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found.sum(1), torch.ones(32))
    assert (net.predict(X) == expected.argmax(1).numpy()).all()
    assert net.score(X, (Y > 0).numpy()) > 0.8
    twin = clone(net).initialize()
    twin.module_.load_state_dict(net.module_.state_dict())  # read as such without a training too
    torch.testing.assert_close(torch.as_tensor(twin.predict_proba(X)), found)


@pytest.mark.filterwarnings("ignore")
def test_skorch_predicts_points_of_a_likelihood() -> None:
    net = reading("NeuralNetRegressor", GaussianNLL, 2).fit(X, Y)
    assert torch.equal(torch.as_tensor(net.predict(X)), net.forward(X)[:, 0])


def test_skorch_leaves_other_criteria_and_stated_nonlinearities_alone() -> None:
    net = reading("NeuralNetClassifier", nn.CrossEntropyLoss, 2).initialize()
    torch.testing.assert_close(torch.as_tensor(net.predict_proba(X)), net.forward(X).softmax(1))
    net.set_params(criterion=CrossEntropy, predict_nonlinearity=None)
    assert torch.equal(torch.as_tensor(net.predict_proba(X)), net.forward(X))


def test_the_callback_warns_where_skorch_would_predict_logits() -> None:
    from lossmith.integrations.skorch import LossCallback

    given = {"criterion": CrossEntropy, "callbacks": [LossCallback()], "verbose": 0}
    net = skorch.NeuralNetClassifier(nn.Linear(3, 2), max_epochs=1, **given)
    with pytest.warns(UserWarning, match=r"lossmith\.integrations\.skorch\.NeuralNetClassifier"):
        net.fit(X, (Y > 0).long())


def reading(kind: str, criterion: Any, width: int) -> Any:
    from lossmith.integrations import skorch as nets

    torch.manual_seed(0)
    body = nn.Linear(3, width) if width > 1 else nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    return getattr(nets, kind)(
        body, criterion=criterion, optimizer=torch.optim.Adam, lr=0.1, max_epochs=20, verbose=0
    )
