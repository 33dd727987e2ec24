"""`select` of a user's own model: digits, and every way in which models and data may differ."""

import weakref
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import GroupKFold
from torch import Tensor, nn
from torch.utils.data import Dataset

from lossmith.losses import CrossEntropy
from lossmith.study.base.errors import InputError
from lossmith.study.data.folds import split_rows
from lossmith.study.selection.select import select
from lossmith.study.selection.storage import load
from shared.digits import IMAGES, LABELS, QUICK, Digits, cnn, linear


@pytest.mark.parametrize("data", [(IMAGES, LABELS), Digits()], ids=["tensors", "dataset"])
def test_digits_end_to_end(data: Any) -> None:
    found = select(model=cnn, train=data, candidates=["brier"], **QUICK)
    assert found.verdict in ("switch", "keep")
    assert found.result.task == "multiclass"
    assert found.result.rows["total"] == len(LABELS)
    assert {row.name for row in found.result.candidates} == {"cross_entropy", "brier"}
    assert all(row.folds >= 3 for row in found.result.candidates if row.status != "dropped")
    probabilities = found.model.predict(IMAGES[:5])
    assert probabilities.shape == (5, 3)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    assert found.result.test["default"] is not None
    assert found.result.test["default"] > 0.6
    with pytest.raises(InputError, match="for tables"):
        found.predict(None)


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
    binary = select(
        model=linear,
        train=(IMAGES, (LABELS == 1)),
        candidates=["cross_entropy"],
        **(QUICK | {"metric": "auroc"}),
    )
    assert binary.result.task == "binary"
    assert binary.model.predict(IMAGES).shape == (len(IMAGES), 2)


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


def test_the_test_rows_do_not_train_the_final_model() -> None:
    test = split_rows("multiclass", LABELS.numpy(), 0).test
    images = IMAGES.clone()
    images[test] = 50.0 + 10 * torch.rand(len(test), 1, 8, 8)
    models = [
        select(model=linear, train=(x, LABELS), candidates=[], **QUICK).model
        for x in (IMAGES, images)
    ]
    assert np.array_equal(models[0].predict(IMAGES), models[1].predict(IMAGES))


def test_the_users_random_state_is_left_alone() -> None:
    torch.manual_seed(99)
    np.random.seed(99)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(99)
    np.random.seed(99)
    select(model=cnn, train=Digits(), candidates=[], **QUICK)
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])


def test_few_models_at_a_time_are_in_memory() -> None:
    alive: weakref.WeakSet[nn.Module] = weakref.WeakSet()
    most = 0

    def counted(out_features: int) -> nn.Module:
        nonlocal most
        model = linear(out_features)
        alive.add(model)
        most = max(most, len(alive))
        return model

    select(model=counted, train=(IMAGES, LABELS), candidates=["brier", "square_loss"], **QUICK)
    assert most <= 2  # the next is made before the last one is forgotten; two are final


class Named(Digits):
    """Inputs by the names of the model's arguments."""

    def __getitem__(self, index: int) -> Any:
        return {"image": IMAGES[index], "weight": torch.ones(1)}, int(LABELS[index])


class Two(Digits):
    def __getitem__(self, index: int) -> Any:
        return (IMAGES[index], torch.ones(1)), int(LABELS[index])


class Weighted(nn.Module):
    def __init__(self, out_features: int) -> None:
        super().__init__()
        self.head = nn.Linear(64, out_features)

    def forward(self, image: Tensor, weight: Tensor) -> Tensor:
        return self.head(image.flatten(1) * weight)


@pytest.mark.parametrize("data", [Named(), Two()], ids=["dict", "tuple"])
def test_inputs_of_several_parts(data: Any) -> None:
    found = select(model=Weighted, train=data, candidates=["brier"], **QUICK)
    batch = {"image": IMAGES[:7], "weight": torch.ones(7, 1)}
    inputs = batch if isinstance(data, Named) else tuple(batch.values())
    predicted = found.model.predict(inputs)
    assert predicted.shape == (7, 3)
    plain = select(model=linear, train=Digits(), candidates=["brier"], **QUICK)
    assert plain.result.test == found.result.test
    np.testing.assert_allclose(predicted, plain.model.predict(IMAGES[:7]), rtol=1e-4, atol=1e-5)


def as_batch(samples: list[Any]) -> Any:
    images = torch.stack([torch.as_tensor(image) for image, _ in samples])
    return images.flatten(1), torch.tensor([label for _, label in samples])


def test_a_collate_function_and_loader_processes_change_nothing() -> None:
    plain = select(model=linear, train=Digits(), candidates=["brier"], **QUICK)
    flat = select(
        model=lambda n: nn.Sequential(nn.Flatten(), nn.Linear(64, n)),
        train=Digits(),
        candidates=["brier"],
        collate_fn=as_batch,
        loader_workers=1,
        **(QUICK | {"epochs": 1}),
    )
    again = select(model=linear, train=Digits(), candidates=["brier"], **(QUICK | {"epochs": 1}))
    assert flat.result.test == again.result.test
    assert plain.result.rows == flat.result.rows


class Augmented(Digits):
    def __getitem__(self, index: int) -> Any:
        return IMAGES[index] + 0.3 * torch.randn(1, 8, 8), int(LABELS[index])


def test_validation_rows_that_move_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="give valid="):
        moving = select(model=linear, train=Augmented(), candidates=[], **QUICK)
    assert any("valid=" in one.meaning for one in moving.result.diagnosis)
    still = select(model=linear, train=Augmented(), valid=Digits(), candidates=[], **QUICK)
    assert not [one for one in still.result.diagnosis if one.level == "warning"]
    other = select(
        model=linear, train=(IMAGES, LABELS), valid=Digits(), candidates=[], **QUICK
    )  # of another kind than train
    plain = select(model=linear, train=Digits(), candidates=[], **QUICK)
    assert other.result.candidates[0].score == plain.result.candidates[0].score
    assert plain.result.candidates[0].score != still.result.candidates[0].score  # it did augment


@pytest.mark.parametrize("workers", [1, 2])
def test_a_body_that_trainings_share_is_warned_of(workers: int) -> None:
    body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten()).requires_grad_(False)
    with pytest.warns(UserWarning, match="changed another"):
        found = select(
            model=lambda n: nn.Sequential(body, nn.Linear(144, n)),
            train=(IMAGES, LABELS),
            candidates=["brier"],
            **(QUICK | {"workers": workers}),
        )
    assert any("share" in one.meaning for one in found.result.diagnosis if one.level == "warning")


def test_settings_of_device_amp_and_schedule() -> None:
    steps: list[int] = []

    def falling(optimizer: torch.optim.Optimizer, count: int) -> Any:
        steps.append(count)
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=count)

    found = select(
        model=cnn,
        train=(IMAGES, LABELS),
        candidates=["brier"],
        device="cpu",
        amp=True,
        scheduler=falling,
        **QUICK,
    )
    assert len(set(steps[2:-1])) == 1  # beside a step to see that all fits, and the final model
    assert found.result.test["default"] > 0.6


def leaking(rows_each: int = 6) -> tuple[Tensor, Tensor, np.ndarray]:
    """Return groups of like rows whose labels are random: only a group's label can be learnt."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), rows_each)
    images = rng.normal(size=(40, 64))[groups] + 0.01 * rng.normal(size=(len(groups), 64))
    labels = rng.integers(0, 2, 40)[groups]
    return torch.tensor(images, dtype=torch.float32), torch.tensor(labels), groups


def test_groups_stay_on_one_side_and_count_as_one() -> None:
    images, labels, groups = leaking()
    settings = QUICK | {"epochs": 15, "learning_rates": (3e-2,)}
    free = select(model=linear, train=(images, labels), candidates=["brier"], **settings)
    found = select(
        model=linear,
        train=(images, labels),
        candidates=["brier"],
        groups=[f"patient {one}" for one in groups],
        **settings,
    )
    for fold in found.study.folds.folds:
        assert not set(groups[fold.train]) & set(groups[fold.valid])
        assert not set(groups[found.test_rows]) & set(groups[fold.train])
        assert len(np.unique(fold.units)) == len(np.unique(groups[fold.valid]))
    assert free.result.test["default"] > 0.9
    assert found.result.test["default"] < 0.85
    assert found.verdict == "keep"


def test_groups_and_copies_make_one_unit() -> None:
    images = IMAGES.clone()
    images[1], labels = images[0], LABELS.clone()
    labels[1] = labels[0]
    groups = np.arange(len(images))
    groups[2] = groups[1]  # a chain: 0 is a copy of 1, which is of the group of 2
    found = select(model=linear, train=(images, labels), groups=groups, **QUICK)
    for fold in found.study.folds.folds:
        assert len({0, 1, 2} & set(fold.train)) in (0, 3)
        assert len({0, 1, 2} & set(fold.valid)) in (0, 3)


def test_splits_of_the_users_own() -> None:
    images, labels, groups = leaking()
    splits = list(GroupKFold(4).split(images, labels, groups))
    found = select(
        model=linear,
        train=(images, labels),
        candidates=["brier"],
        splits=splits,
        groups=groups,
        **QUICK,
    )
    assert found.result.rows == {"total": 240, "train": 240, "test": 0}
    assert found.predictions() is None
    assert found.result.test == {}
    assert found.result.candidates[0].folds <= 4
    images[1] = images[0]  # copies stay where the user puts them
    apart = [(np.delete(np.arange(240), np.s_[:120:2]), np.arange(0, 120, 2))]
    single = select(
        model=linear, train=(images, labels), candidates=["brier"], splits=apart, **QUICK
    )
    assert single.verdict == "keep"


def huber(input: Tensor, target: Tensor) -> Tensor:
    return nn.functional.smooth_l1_loss(input, target)


def test_losses_of_the_users_own() -> None:
    values = IMAGES.flatten(1).sum(1)
    found = select(
        model=linear,
        train=(IMAGES, values),
        candidates=[huber, nn.MSELoss(), "mae"],
        default=nn.L1Loss(),
        **(QUICK | {"metric": "rmse"}),
    )
    names = {row.name for row in found.result.candidates}
    assert {"huber", "MSELoss", "L1Loss", "mae"} <= names
    assert found.result.default == "L1Loss"
    binary = select(
        model=linear,
        train=(IMAGES, LABELS),
        candidates={"mine": nn.CrossEntropyLoss(label_smoothing=0.1)},
        default=CrossEntropy(classes=3),
        **QUICK,
    )
    assert {row.name for row in binary.result.candidates} == {"mine", "cross_entropy(classes=3)"}
    assert not [one for one in binary.result.diagnosis if one.value == "failed"]
    two = select(
        model=linear,
        train=(IMAGES, (LABELS == 1).long()),
        candidates=[nn.CrossEntropyLoss()],
        **QUICK,
    )
    assert not [one for one in two.result.diagnosis if one.value == "failed"]


def test_metrics_of_the_users_own() -> None:
    from sklearn.metrics import make_scorer, max_error

    values = IMAGES.flatten(1).sum(1)

    def profit(target: Any, prediction: Any) -> float:
        return float(-np.abs(np.asarray(target) - np.asarray(prediction)).mean())

    own: dict[str, Any] = {"model": linear, "candidates": ["mse", huber], "default": "mae"}
    for metric, better in (
        (profit, "higher"),
        (make_scorer(max_error, greater_is_better=False), None),
    ):
        found = select(train=(IMAGES, values), better=better, **own, **(QUICK | {"metric": metric}))
        assert found.result.default == "mae"
        assert np.isfinite(found.result.test["default"])
        assert found.predictions() is not None


def test_a_metric_of_torchmetrics() -> None:
    torchmetrics = pytest.importorskip("torchmetrics")
    found = select(
        model=linear,
        train=(IMAGES, LABELS),
        candidates=["brier"],
        default=nn.CrossEntropyLoss(),
        **(QUICK | {"metric": torchmetrics.Accuracy(task="multiclass", num_classes=3)}),
    )
    assert 0 <= found.result.test["default"] <= 1


class Masks(Dataset):
    """Squares to be found, 8 × 8 masks."""

    def __len__(self) -> int:
        return 60

    def __getitem__(self, index: int) -> Any:
        mask = torch.zeros(8, 8, dtype=torch.long)
        mask[index % 5 : index % 5 + 3, 2:6] = 1
        noise = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(index))
        return mask.unsqueeze(0) + 0.3 * noise, mask


def test_masks_with_a_metric_of_masks() -> None:
    def pixels(out_features: int) -> nn.Module:
        return nn.Conv2d(1, 2, 3, padding=1)

    found = select(
        model=pixels,
        train=Masks(),
        candidates=["dice"],
        default=nn.CrossEntropyLoss(),
        **(QUICK | {"metric": "mean_iou"}),
    )
    assert found.result.test["rows"] == 12
    assert 0 < found.result.test["default"] <= 1
    assert found.predictions() is None
    assert not [one for one in found.result.diagnosis if one.value == "failed"]


def test_one_mask_and_sums_by_name() -> None:
    found = select(
        model=lambda out_features: nn.Conv2d(1, out_features, 3, padding=1),  # (N, 1, 8, 8)
        train=Masks(),
        candidates=["binary_dice", "binary_cross_entropy + 0.5 binary_dice"],
        default="binary_cross_entropy",
        **(QUICK | {"metric": "mean_iou"}),
    )
    assert {one.name for one in found.result.candidates} == {
        "binary_cross_entropy",
        "binary_dice",
        "binary_cross_entropy + 0.5 binary_dice",
    }
    assert 0 < found.result.test["default"] <= 1


def test_a_sum_by_name_where_names_stand_for_all_their_settings() -> None:
    found = select(
        model=linear, train=(IMAGES, LABELS), candidates=["cross_entropy + brier"], **QUICK
    )
    names = {one.name for one in found.result.candidates}
    assert names == {"cross_entropy", "cross_entropy + brier"}


def test_several_numbers_a_row() -> None:
    values = torch.stack([IMAGES.flatten(1).sum(1), IMAGES.flatten(1).max(1).values], dim=1)
    found = select(
        model=linear,
        train=(IMAGES, values),
        candidates=[huber],
        default=nn.MSELoss(),
        **(QUICK | {"metric": "mae"}),
    )
    assert found.model.predict(IMAGES[:4]).shape == (4, 2)
    assert np.isfinite(found.result.test["selected"])


def test_the_decision_of_f1_is_tuned_out_of_fold() -> None:
    rare = torch.tensor(np.random.default_rng(0).random(240) < 0.15 + 0.3 * (LABELS == 1).numpy())
    found = select(
        model=linear,
        train=(IMAGES, rare.long()),
        candidates=["focal"],
        **(QUICK | {"metric": "f1", "epochs": 4}),
    )
    decided = found.predictions()
    assert decided is not None
    assert found.decision is not None
    assert found.decision[1] < 0  # the rare class needs less than half
    hits = (decided["prediction"] == 1) & (decided["target"] == 1)
    total = (decided["prediction"] == 1).sum() + (decided["target"] == 1).sum()
    assert found.result.test["selected"] == pytest.approx(2 * hits.sum() / total)


def test_a_run_leaves_its_files(tmp_path: Path) -> None:
    out = tmp_path / "run"
    given: dict[str, Any] = {"model": linear, "train": (IMAGES, LABELS), "candidates": ["brier"]}
    first = select(out=out, **given, **QUICK)
    assert {"report.html", "result.json", "loss.json", "model.safetensors"} <= {
        path.name for path in out.iterdir()
    }
    with pytest.raises(InputError, match="holds a finished study"):
        select(out=out, **given, **QUICK)
    longer = select(out=out, force=True, **given, **(QUICK | {"epochs": 3}))
    assert longer.result.rows == first.result.rows
    own = select(
        out=tmp_path / "own",
        **(given | {"candidates": [nn.CrossEntropyLoss()], "default": nn.CrossEntropyLoss()}),
        **QUICK,
    )
    assert own.verdict == "keep"
    assert not (tmp_path / "own" / "loss.json").exists()


def test_a_study_goes_on_in_its_folder_or_refuses(tmp_path: Path) -> None:
    out = tmp_path / "run"
    given: dict[str, Any] = {"model": linear, "train": (IMAGES, LABELS), "candidates": ["brier"]}
    first = select(out=out, **given, **QUICK)
    (out / "result.json").unlink()  # as a process leaves it that was killed at the very end
    for name in ("report.html", "loss.json", "model.safetensors", "predictions.csv"):
        (out / name).unlink()
    trained: list[int] = []

    def watched(out_features: int) -> nn.Module:
        trained.append(1)
        return linear(out_features)

    again = select(out=out, **(given | {"model": watched}), **QUICK)
    assert again.result.candidates == first.result.candidates
    assert again.result.test == first.result.test
    assert len(trained) <= 4  # a step to see that all fits, and the final models
    (out / "result.json").unlink()
    for name in ("report.html", "loss.json", "model.safetensors", "predictions.csv"):
        (out / name).unlink()
    for other, named in (
        ({"epochs": 3}, r"epochs"),
        ({"batch_size": 50}, r"recipe \(batch_size: .*, now 50\)"),
        ({"optimizer": partial(torch.optim.SGD, momentum=0.9)}, r"recipe \(optimizer: .*SGD"),
        ({"optimizer": lambda p, lr: torch.optim.SGD(p, lr)}, r"recipe \(optimizer: .*SGD"),
        ({"scheduler": lambda o, n: torch.optim.lr_scheduler.OneCycleLR(o, 1, n)}, "OneCycleLR"),
        ({"amp": True}, r"recipe \(amp: None, now 'torch.bfloat16'\)"),
    ):
        with pytest.raises(InputError, match=f"holds a study with another .*{named}"):
            select(out=out, **given, **(QUICK | other))


def test_tied_weights_are_saved(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self, out_features: int) -> None:
            super().__init__()
            self.one, self.head = nn.Linear(64, 64), nn.Linear(64, out_features)
            self.two = nn.Linear(64, 64)
            self.two.weight = self.one.weight

        def forward(self, image: Tensor) -> Tensor:
            return self.head(self.two(torch.relu(self.one(image.flatten(1)))))

    select(model=Tied, train=(IMAGES, LABELS), candidates=[], out=tmp_path, **QUICK)
    assert (tmp_path / "model.safetensors").is_file()
