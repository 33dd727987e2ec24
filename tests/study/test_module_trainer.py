"""A user's own model and data: digits, a small CNN, and everything that can be wrong with them."""

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from lossmith import catalogue
from lossmith.losses import MSE, CrossEntropy
from lossmith.study.data.dataset import SupervisedDataset
from lossmith.study.data.folds import split_rows
from lossmith.study.errors import InputError
from lossmith.study.search.trial import TrialSpec
from lossmith.study.select import select
from lossmith.study.storage import load
from lossmith.study.training.module_trainer import DatasetTrainer, ModuleTrial

DIGITS = load_digits()
CHOSEN = np.flatnonzero(DIGITS.target < 3)[:240]
IMAGES = torch.tensor(DIGITS.images[CHOSEN] / 16, dtype=torch.float32).unsqueeze(1)
LABELS = torch.tensor(DIGITS.target[CHOSEN])
QUICK: dict[str, Any] = {"epochs": 2, "learning_rates": (1e-2,), "metric": "accuracy"}


def cnn(out_features: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(4 * 36, out_features),
    )


def linear(out_features: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, out_features))


class Digits(Dataset):
    """A map-style dataset of plain numbers and arrays."""

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return IMAGES[index].numpy(), int(LABELS[index])


def trainer(model: Any = linear, data: Any = (IMAGES, LABELS), **more: Any) -> DatasetTrainer:
    examples = SupervisedDataset.of(data, None, "accuracy")
    split = split_rows(examples.task, examples.target, 0)
    return DatasetTrainer(examples, split, model, **more)


@pytest.mark.parametrize("data", [(IMAGES, LABELS), Digits()], ids=["tensors", "dataset"])
def test_digits_end_to_end(data: Any) -> None:
    found = select(model=cnn, train=data, candidates=["brier"], **QUICK)
    assert found.verdict in ("switch", "keep")
    assert found.result.task == "multiclass"
    assert found.result.rows["total"] == len(LABELS)
    assert {row.name for row in found.result.candidates} == {"cross_entropy", "brier"}
    assert all(row.cells == 10 for row in found.result.candidates if row.status != "dropped")
    probabilities = found.model.predict(IMAGES[:5])
    assert probabilities.shape == (5, 3)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    assert found.result.test["default"] is not None
    assert found.result.test["default"] > 0.6
    with pytest.raises(InputError, match="for tables"):
        found.predict(None)


def test_a_dataset_and_its_tensors_train_alike() -> None:
    outputs = []
    for data in ((IMAGES, LABELS), TensorDataset(IMAGES, LABELS), Digits()):
        one = trainer(linear, data, epochs=2)
        fold = one.split.cells[0]
        run = ModuleTrial(one, fold.train, fold.seed, CrossEntropy(classes=3), 1e-2)
        run.advance(2)
        outputs.append(run.outputs(fold.valid))
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(outputs[0], outputs[2])


def test_one_training_is_the_ordinary_loop() -> None:
    one = trainer(linear, batch=50, epochs=1)
    fold = one.split.cells[0]
    run = ModuleTrial(one, fold.train, fold.seed, CrossEntropy(classes=3), 1e-2)
    run.advance(1)
    torch.manual_seed(fold.seed)
    model = linear(3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    order = torch.randperm(len(fold.train), generator=torch.Generator().manual_seed(fold.seed))
    rows = torch.from_numpy(fold.train)[order]
    for start in range(0, len(rows) - 49, 50):
        index = rows[start : start + 50]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(IMAGES[index]), LABELS[index]).backward()
        optimizer.step()
    for ours, theirs in zip(run.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_all_losses_start_from_the_same_weights_and_see_the_same_batches() -> None:
    seen: list[list[Tensor]] = []
    starts: list[Tensor] = []

    class Spy(nn.Module):
        def __init__(self, out_features: int) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(64, 3), nn.Linear(3, out_features)
            starts.append(self.body.weight.detach().clone())
            self.batches: list[Tensor] = []
            seen.append(self.batches)

        def forward(self, input: Tensor) -> Tensor:
            if self.training:
                self.batches.append(input.clone())
            return self.head(self.body(input.flatten(1)))

    one = trainer(Spy, epochs=1)
    losses = [CrossEntropy(classes=3), catalogue.get("brier", classes=3)]
    members = [
        TrialSpec(candidate=str(i), learning_rate=0.01, losses=(one_loss,))
        for i, one_loss in enumerate(losses)
    ]
    batch = one.start([4], members)
    batch.advance(2)
    assert torch.equal(*starts)
    assert len(seen[0]) == len(seen[1]) > 2
    assert all(torch.equal(x, y) for x, y in zip(*seen, strict=True))


def test_dropout_does_not_depend_on_the_other_losses() -> None:
    outputs = []
    for count in (1, 3):
        torch.manual_seed(count)
        one = trainer(cnn, epochs=1)
        losses = [catalogue.get(k, classes=3) for k in ("brier", "square", "cross_entropy")][
            -count:
        ]
        members = [TrialSpec(candidate=str(x), learning_rate=0.01, losses=(x,)) for x in losses]
        batch = one.start([0], members)
        batch.advance(2)
        outputs.append(batch.outputs()[-1][0])
    torch.testing.assert_close(*outputs)


def test_the_users_random_state_is_left_alone() -> None:
    torch.manual_seed(99)
    expected = torch.rand(3)
    torch.manual_seed(99)
    one = trainer(cnn, epochs=1)
    run = ModuleTrial(one, one.split.cells[0].train, 0, CrossEntropy(classes=3), 1e-2)
    run.advance(1)
    assert torch.equal(torch.rand(3), expected)


def test_batch_norm_is_averaged_and_its_counter_left_alone() -> None:
    one = trainer(cnn, epochs=3, batch=32)
    fold = one.split.cells[0]
    run = ModuleTrial(one, fold.train, fold.seed, CrossEntropy(classes=3), 1e-2)
    run.advance(3)
    live = run.model[1].running_mean.clone()
    run.outputs(fold.valid)
    assert torch.equal(run.model[1].running_mean, live)
    run.average.install(run.model)
    assert not torch.equal(run.model[1].running_mean, live)
    assert run.model[1].num_batches_tracked.item() == 3 * (len(fold.train) // 32)
    one_by_one = [run.outputs(fold.valid[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(torch.cat(one_by_one), run.outputs(fold.valid[:3]))


def test_keep_goes_on_with_the_right_members() -> None:
    losses = [catalogue.get(k, classes=3) for k in ("brier", "cross_entropy", "square")]
    members = [
        TrialSpec(candidate=str(i), learning_rate=0.01, losses=(one_loss,))
        for i, one_loss in enumerate(losses)
    ]
    batch, whole = (trainer(linear, epochs=2).start([0], members) for _ in range(2))
    batch.advance(1)
    batch.keep([2, 1])
    batch.advance(1)
    whole.advance(2)
    assert [m.candidate for m in batch.trials] == ["1", "2"]
    torch.testing.assert_close(batch.outputs(), whole.outputs()[1:])


def test_a_training_in_turns_is_one_training() -> None:
    """Weights, moments, averages, batch norm, batches and dropout go on where they were."""
    member = TrialSpec(candidate="a", learning_rate=0.01, losses=(CrossEntropy(classes=3),))
    batch, whole = (trainer(cnn, epochs=3, batch=32).start([0], [member]) for _ in range(2))
    for _ in range(3):
        batch.advance(1)
    whole.advance(3)
    torch.testing.assert_close(batch.outputs(), whole.outputs(), rtol=0, atol=0)


def test_one_model_at_a_time_is_in_memory() -> None:
    alive: weakref.WeakSet[nn.Module] = weakref.WeakSet()
    most = 0

    def counted(out_features: int) -> nn.Module:
        nonlocal most
        model = linear(out_features)
        alive.add(model)
        most = max(most, len(alive))
        return model

    one = trainer(counted, epochs=2)
    losses = (CrossEntropy(classes=3), CrossEntropy(classes=3))
    members = [TrialSpec(candidate=str(i), learning_rate=0.01, losses=losses) for i in range(4)]
    batch = one.start([0, 1], members)
    batch.advance(1)
    batch.keep([0, 2])
    batch.advance(1)
    assert most <= 2  # the next is made before the last one is forgotten
    files = {path.name for path in Path(batch.folder.name).iterdir()}
    assert files == {"0-0.pt", "0-1.pt", "2-0.pt", "2-1.pt"}
    place = Path(batch.folder.name)
    del batch
    assert not place.exists()


def test_another_optimizer() -> None:
    made: list[torch.optim.Optimizer] = []

    def rms(parameters: Any, lr: float) -> torch.optim.Optimizer:
        made.append(torch.optim.RMSprop(parameters, lr=lr))
        return made[-1]

    found = select(model=linear, train=(IMAGES, LABELS), candidates=[], optimizer=rms, **QUICK)
    assert found.verdict == "keep"
    assert made
    assert all(one.param_groups[0]["lr"] == 1e-2 for one in made)


def test_regression_and_binary() -> None:
    values = IMAGES.flatten(1).sum(1) * 100
    found = select(
        model=linear, train=(IMAGES, values), candidates=["mae"], **(QUICK | {"metric": "rmse"})
    )
    assert found.result.task == "regression"
    assert found.model.predict(IMAGES).mean() == pytest.approx(values.mean().item(), rel=0.3)
    whole = SupervisedDataset.of((IMAGES, LABELS), None, "mae")
    assert whole.task == "regression"
    binary = select(
        model=linear,
        train=(IMAGES, (LABELS == 1)),
        candidates=["cross_entropy"],
        **(QUICK | {"metric": "auroc"}),
    )
    assert binary.result.task == "binary"
    assert binary.model.predict(IMAGES).shape == (len(IMAGES), 2)


class Stream(IterableDataset):
    def __iter__(self) -> Any:
        return iter(zip(IMAGES, LABELS, strict=True))


class LongStream(Stream):
    def __len__(self) -> int:
        return len(LABELS)


class Words(Digits):
    def __getitem__(self, index: int) -> Any:
        return IMAGES[index], "three"


FLOATS = LABELS.float()
GAP = torch.where(LABELS == 1, 7, LABELS)
WRONG_DATA = [
    (Stream(), "map-style"),
    (LongStream(), "map-style"),
    (Words(), "target"),
    ([IMAGES], "pair of tensors"),
    ("digits", "pair of tensors"),
    ((IMAGES, LABELS[:-1]), "240 inputs but 239 targets"),
    ((IMAGES[:20], LABELS[:20]), "20 samples"),
    ((IMAGES, FLOATS), "classes must be integers"),
    ((IMAGES, LABELS - 1), "classes must be integers from 0"),
    ((IMAGES, GAP), "class 1 has 0 samples"),
    ((IMAGES, torch.zeros_like(LABELS)), "class"),
    ((IMAGES, nn.functional.one_hot(LABELS)), "one target a sample"),
]


@pytest.mark.parametrize(("data", "message"), WRONG_DATA)
def test_wrong_data_is_one_clear_line(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        select(model=linear, train=data, **QUICK)


@pytest.mark.parametrize(
    ("target", "name", "message"),
    [
        (torch.full((240,), torch.nan), "rmse", "NaN or infinite"),
        (torch.full((240,), 3.0), "rmse", "nothing to learn"),
        (FLOATS, "mape", "divides by the target"),
        (FLOATS - 5, "rmsle", "above -1"),
    ],
)
def test_wrong_values_are_one_clear_line(target: Tensor, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        select(model=linear, train=(IMAGES, target), **(QUICK | {"metric": name}))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda n: linear(7), r"model\(3\) must give outputs of shape \(rows, 3\), got .*7\)"),
        (lambda n: nn.Sequential(linear(n), nn.Unflatten(1, (n, 1))), "must give outputs"),
        (lambda n: torch.sin, "must return an nn.Module"),
        (lambda n: None, "must return an nn.Module"),
        (lambda n: nn.Sequential(nn.Flatten(), nn.LSTM(64, n)), "must give outputs"),
    ],
)
def test_a_wrong_model_is_one_clear_line(model: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        select(model=model, train=(IMAGES, LABELS), **QUICK)


FIXED = linear(3)


class Named(Digits):
    def __getitem__(self, index: int) -> Any:
        return {"image": IMAGES[index], "label": int(LABELS[index])}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": lambda n: FIXED}, "must return a fresh module every time"),
        ({"model": lambda n: nn.Sequential(FIXED, nn.Linear(3, n))}, "shares parameters"),
        ({"model": FIXED}, "must be a function of the head's width"),
        ({"model": lambda: FIXED}, "must be a function of the head's width"),
        ({"model": lambda n: nn.Flatten()}, "has no parameter to train"),
        ({"train": Named()}, r"must give \(input, target\) for a sample, got a dict"),
        ({"optimizer": torch.optim.SGD(FIXED.parameters())}, "got a SGD"),
        (
            {"candidates": "brier"},
            r"candidates must be a list of keys, as \['huber'\]; got 'brier'",
        ),
        ({"candidates": [catalogue.get("brier")]}, "candidates must be a list of keys"),
        ({"metric": len}, "metric must be a name"),
        ({"metric": ["accuracy"]}, "one has metric='mae'"),
        ({"budget": "5m"}, "budget must be seconds, got '5m'"),
        ({"seed": 1.5}, "seed must be a whole number, got 1.5"),
        ({"workers": 1.5}, "workers must be a whole number"),
        ({"learning_rates": 0.1}, "learning_rates must be a list of numbers, got 0.1"),
        ({"learning_rates": ["fast"]}, "learning_rates must be a list of numbers"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        select(**{"model": linear, "train": (IMAGES, LABELS), **QUICK, **given})


def test_a_frozen_body_may_be_shared_and_samples_may_hold_more() -> None:
    body = nn.Sequential(nn.Flatten(), nn.Linear(64, 8)).requires_grad_(False)

    class Numbered(Digits):
        def __getitem__(self, index: int) -> Any:
            return IMAGES[index], int(LABELS[index]), index

    rates = np.array([1e-2, 1e-3])
    found = select(
        model=lambda n: nn.Sequential(body, nn.Linear(8, n)),
        train=Numbered(),
        candidates=[],
        **(QUICK | {"learning_rates": rates}),
    )
    assert found.verdict == "keep"


def test_the_snippet_knows_the_number_of_classes(tmp_path: Path) -> None:
    select(model=linear, train=(IMAGES, LABELS), candidates=[], out=tmp_path, **QUICK)
    assert "torch.randint(0, 3, (512,))" in (tmp_path / "report.html").read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"used from code: lossmith\.load"):
        load(tmp_path)


def test_either_a_table_or_a_model() -> None:
    for given in ({}, {"model": linear}, {"train": (IMAGES, LABELS)}):
        with pytest.raises(InputError, match="either data and target, or model and train"):
            select(metric="accuracy", **given)


def test_a_loss_of_one_output_reads_one_column() -> None:
    one = trainer(linear, epochs=1)
    run = ModuleTrial(one, one.split.cells[0].train, 0, MSE(), 1e-3)
    assert run.outputs(one.split.test).shape == (len(one.split.test),)


def test_the_test_rows_do_not_train_the_final_model() -> None:
    test = split_rows("multiclass", LABELS.numpy(), 0).test
    images = IMAGES.clone()
    images[test] = 50.0
    models = [
        select(model=linear, train=(x, LABELS), candidates=[], **QUICK).model
        for x in (IMAGES, images)
    ]
    assert np.array_equal(models[0].predict(IMAGES), models[1].predict(IMAGES))
