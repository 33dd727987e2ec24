"""Trials of a study in Lightning, Transformers and skorch: reported, paused, resumed to the bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from lossmith import Huber, Linear
from lossmith.integrations.reports import joined
from lossmith.study.study import Study
from lossmith.study.trials.trial import Trial

lightning = pytest.importorskip("pytorch_lightning")
transformers = pytest.importorskip("transformers")
skorch = pytest.importorskip("skorch")

X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
Y = X.sum(1)
DATA = TensorDataset(X, Y)
ORDER = np.random.default_rng(0).permutation(40).reshape(4, 10)
SPLITS = [(np.setdiff1d(ORDER, fold), fold) for fold in ORDER]  # validation rows in no order

pytestmark = pytest.mark.filterwarnings("ignore")


def body() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.Linear(8, 1), nn.Flatten(0))


def study(folder: Path | None) -> Study:
    losses = {"mae": nn.L1Loss(), "huber": Huber(delta=Linear(3.0, 0.5)), "mse": nn.MSELoss()}
    return Study(
        folder,
        metric="mae",
        target=Y,
        losses=losses,
        default="mse",
        splits=SPLITS,
        learning_rates=[0.02],
        epochs=4,
    )


class Module(lightning.LightningModule):
    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.net, self.trial = body(), trial

    def training_step(self, batch: Any, index: int) -> Tensor:
        return self.trial.loss(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Any, index: int) -> Tensor:
        return self.net(batch[0])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.trial.learning_rate)


def with_lightning(trial: Trial, folder: Path) -> None:
    from lossmith.integrations.lightning import TrialCallback

    callback = TrialCallback(trial)
    trainer = lightning.Trainer(
        max_epochs=trial.total_epochs,
        callbacks=[callback],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    fit = DataLoader(Subset(DATA, trial.train), batch_size=10, shuffle=True)
    valid = DataLoader(Subset(DATA, trial.valid), batch_size=4)
    trainer.fit(Module(trial), fit, valid, ckpt_path=callback.checkpoint)


class Rows(Dataset):
    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"x": X[self.rows[index]], "labels": Y[self.rows[index]]}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = body()

    def forward(self, x: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        return {"logits": self.net(x)}


def with_transformers(trial: Trial, folder: Path, **given: Any) -> None:
    from lossmith.integrations.transformers import TrialCallback

    callback = TrialCallback(trial)
    defaults = {"seed": trial.seed, "save_strategy": "epoch"}
    arguments = transformers.TrainingArguments(
        trial.folder,
        num_train_epochs=trial.total_epochs,
        per_device_train_batch_size=10,
        per_device_eval_batch_size=4,
        learning_rate=trial.learning_rate,
        eval_strategy="epoch",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        **defaults | given,
    )
    trainer = transformers.Trainer(
        Net(),
        arguments,
        train_dataset=Rows(trial.train),
        eval_dataset=Rows(trial.valid),
        compute_loss_func=lambda outputs, labels, **_: trial.loss(outputs["logits"], labels),
        compute_metrics=callback.compute_metrics,
        callbacks=[callback],
    )
    trainer.train(resume_from_checkpoint=callback.checkpoint)


def with_skorch(trial: Trial, folder: Path) -> None:
    from skorch.helper import predefined_split

    from lossmith.integrations.skorch import TrialCallback

    net = skorch.NeuralNet(
        body(),
        lambda: trial.loss,
        optimizer=torch.optim.Adam,
        lr=trial.learning_rate,
        batch_size=10,
        iterator_train__shuffle=True,
        max_epochs=trial.total_epochs,
        train_split=predefined_split(Subset(DATA, trial.valid)),
        callbacks=[TrialCallback(trial)],
        verbose=0,
    )
    net.fit(Subset(DATA, trial.train), None)


Train = Callable[[Trial, Path], None]
trainers = pytest.mark.parametrize("train", [with_lightning, with_transformers, with_skorch])


def measured(train: Train, folder: Path | None, place: Path) -> pd.DataFrame:
    one = study(folder)
    one.run(lambda trial: train(trial, place))
    frame = one.frame()
    assert not (frame.state == "failed").any()
    return frame.set_index(["loss", "fold", "epoch"]).score


@trainers
def test_a_trial_reports_each_epoch_of_its_rows(train: Train, tmp_path: Path) -> None:
    said: list[tuple[int, float]] = []
    one = study(None)
    one._on_event = lambda event, trial, what: (
        said.append((trial.reported, what)) if event == "report" else None
    )
    seen = [torch.zeros(0)]
    tell = one.tell

    def told(trial: Trial, epoch: int | None = None, **given: Any) -> bool:
        seen[0] = given["outputs"]
        return tell(trial, epoch, **given)

    one.tell = told  # type: ignore[method-assign]
    trial = one.ask()
    assert trial is not None
    with trial.seeded():
        train(trial, tmp_path)
    assert trial.outcome in ("done", "paused")
    assert said[0][0] == 1
    error = (seen[0] - Y[trial.valid]).abs().mean().item()
    assert said[-1][1] == pytest.approx(error, rel=1e-5)  # rows and order are those of valid


@trainers
def test_what_pauses_goes_on_as_if_it_never_had(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused = measured(train, tmp_path / "study", tmp_path)
    left = [place for place in (tmp_path / "study" / "trials").glob("*/*") if place.exists()]
    assert not left  # nothing is kept of trials that have ended
    monkeypatch.setattr(Trial, "save", lambda *_, **__: None)
    monkeypatch.setattr(Trial, "can_pause", False)
    whole = measured(train, None, tmp_path)
    shared = paused.index.intersection(whole.index)
    assert len(shared) >= 24
    pd.testing.assert_series_equal(paused[shared], whole[shared], check_exact=True)


def test_the_trainers_own_seed_is_refused(tmp_path: Path) -> None:
    trial = study(None).ask()
    assert trial is not None
    with pytest.raises(ValueError, match="sets all generators to its own seed, 42"):
        with_transformers(trial, tmp_path, seed=42)


def test_batches_must_say_something() -> None:
    with pytest.raises(ValueError, match="got the keys 'loss'"):
        joined([{"loss": torch.zeros(1)}])
    with pytest.raises(ValueError, match="its outputs as a tensor, got NoneType"):
        joined([None])
