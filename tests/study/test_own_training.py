"""One training of a user's module: an ordinary loop, the same start for all, pauses that leave no
trace."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from lossmith import catalogue
from lossmith.core.schedule import Linear
from lossmith.losses import MSE, AdaptiveBarron, CrossEntropy, Huber
from lossmith.study.data.dataset import SupervisedDataset
from lossmith.study.data.folds import split_rows
from lossmith.study.metrics import lookup
from lossmith.study.training.budget import Budget
from lossmith.study.training.heads import told
from lossmith.study.training.module_training import ModuleTraining, Recipe
from lossmith.study.trials import checkpoint
from shared.digits import IMAGES, LABELS, Digits, cnn, linear

FOLD = split_rows("multiclass", LABELS.numpy(), 0).folds[0]


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with checkpoint.seeded(FOLD.seed):
        yield


def begin(
    model: Any = linear,
    loss: Any = None,
    *,
    data: Any = (IMAGES, LABELS),
    epochs: int = 3,
    batch: int = 32,
    rate: float = 1e-2,
    metric: str = "accuracy",
    **more: Any,
) -> ModuleTraining:
    examples = SupervisedDataset.of(data, None, lookup(metric))
    recipe = Recipe(
        make_model=model,
        budget=Budget(epochs=epochs, batch=batch),
        device=torch.device("cpu"),
        **more,
    )
    return ModuleTraining(
        recipe,
        examples,
        FOLD.train,
        seed=FOLD.seed,
        loss=CrossEntropy(classes=3) if loss is None else loss,
        learning_rate=rate,
    )


def trained(*args: Any, epochs: int = 3, **more: Any) -> ModuleTraining:
    one = begin(*args, epochs=epochs, **more)
    for _ in told(one.loss, 1, epochs, epochs):
        one.epoch()
    return one


def test_a_dataset_and_its_tensors_train_alike() -> None:
    outputs = [
        trained(data=data, epochs=2).outputs(FOLD.valid)
        for data in ((IMAGES, LABELS), TensorDataset(IMAGES, LABELS), Digits())
    ]
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=0)
    torch.testing.assert_close(outputs[0], outputs[2])


def test_one_training_is_the_ordinary_loop() -> None:
    one = trained(epochs=1, batch=50)
    torch.manual_seed(FOLD.seed)
    model = linear(3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(FOLD.seed)
    rows = torch.from_numpy(FOLD.train)[torch.randperm(len(FOLD.train), generator=generator)]
    for start in range(0, len(rows) - 49, 50):
        index = rows[start : start + 50]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(IMAGES[index]), LABELS[index]).backward()
        optimizer.step()
    for ours, theirs in zip(one.model.parameters(), model.parameters(), strict=True):
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
            self.batches.append(input.clone())
            return self.head(self.body(input.flatten(1)))

    for key in ("cross_entropy", "brier"):
        trained(Spy, catalogue.get(key, classes=3), epochs=1)
    assert torch.equal(*starts)
    assert len(seen[0]) == len(seen[1]) > 2
    assert all(torch.equal(x, y) for x, y in zip(*seen, strict=True))


def test_dropout_is_the_same_for_heads_of_any_width() -> None:
    masks: list[Tensor] = []

    class Wide(nn.Module):
        def __init__(self, out_features: int) -> None:
            super().__init__()
            self.head, self.drop = nn.Linear(64, out_features), nn.Dropout(0.5)

        def forward(self, input: Tensor) -> Tensor:
            masks.append(self.drop(torch.ones(4)))
            return self.head(input.flatten(1))

    for loss in (CrossEntropy(classes=3), MSE()):
        trained(Wide, loss, epochs=1)
    half = len(masks) // 2
    assert all(torch.equal(x, y) for x, y in zip(masks[:half], masks[half:], strict=True))
    assert not torch.equal(masks[0], masks[1])


def test_batch_norm_is_averaged_and_its_counter_left_alone() -> None:
    run = trained(cnn)
    live = run.model[1].running_mean.clone()
    run.outputs(FOLD.valid)
    assert torch.equal(run.model[1].running_mean, live)
    run.average.install(run.model)
    assert not torch.equal(run.model[1].running_mean, live)
    assert run.model[1].num_batches_tracked.item() == 3 * (len(FOLD.train) // 32)
    one_by_one = [run.outputs(FOLD.valid[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(torch.cat(one_by_one), run.outputs(FOLD.valid[:3]))


def one_cycle(optimizer: torch.optim.Optimizer, steps: int) -> Any:
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)


@pytest.mark.parametrize(
    ("target", "make"),
    [
        (LABELS, lambda: CrossEntropy(classes=3)),
        (IMAGES.sum((1, 2, 3)), lambda: Huber(delta=Linear(0.1, 3.0))),
        (IMAGES.sum((1, 2, 3)), AdaptiveBarron),
    ],
    ids=["classes", "a scheduled loss", "a loss that learns"],
)
def test_a_training_in_turns_is_one_training(target: Tensor, make: Any, tmp_path: Any) -> None:
    """Weights, moments, averages, batch norm, schedules, batches and dropout go on as they were."""
    more: dict[str, Any] = {"data": (IMAGES, target), "schedule": one_cycle}
    more["metric"] = "accuracy" if target is LABELS else "rmse"
    with checkpoint.seeded(5):
        whole = trained(cnn, make(), **more)
    for epoch in (1, 2, 3):
        with checkpoint.seeded(5):
            part = begin(cnn, make(), **more)
            if epoch > 1:
                parts = {"training": part, "loss": part.loss}
                checkpoint.restore(tmp_path, epoch - 1, parts)
            for _ in told(part.loss, epoch, epoch, 3):
                part.epoch()
            checkpoint.save(tmp_path, epoch, epoch, {"training": part, "loss": part.loss})
    torch.testing.assert_close(part.outputs(FOLD.valid), whole.outputs(FOLD.valid), rtol=0, atol=0)
    torch.testing.assert_close(part.loss.state_dict(), whole.loss.state_dict(), rtol=0, atol=0)


def test_a_loss_of_one_output_reads_one_column() -> None:
    run = trained(linear, MSE(), epochs=1)
    assert run.outputs(FOLD.valid).shape == (len(FOLD.valid),)


def test_a_schedule_follows_each_step_of_a_whole_training() -> None:
    rates: list[float] = []

    def falling(optimizer: torch.optim.Optimizer, steps: int) -> Any:
        rates.append(steps)
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)

    run = trained(schedule=falling, epochs=2)
    assert rates == [2 * (len(FOLD.train) // 32)]
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_amp_computes_in_half_and_the_loss_in_single_precision() -> None:
    seen: set[torch.dtype] = set()

    class Watched(nn.Module):
        def forward(self, input: Tensor, target: Tensor) -> Tensor:
            seen.add(input.dtype)
            return nn.functional.cross_entropy(input, target)

    half = trained(loss=Watched(), amp=torch.bfloat16).outputs(FOLD.valid)
    full = trained(loss=Watched()).outputs(FOLD.valid)
    assert seen == {torch.float32}
    assert not torch.equal(half, full)
    torch.testing.assert_close(half, full, rtol=0.1, atol=0.1)


def test_targets_of_one_column_are_numbers() -> None:
    values = IMAGES.sum((1, 2, 3)).unsqueeze(1)

    class Pairs(Dataset):
        def __len__(self) -> int:
            return len(values)

        def __getitem__(self, index: int) -> Any:
            return IMAGES[index], values[index]

    shapes = []

    def loss(input: Tensor, target: Tensor) -> Tensor:
        shapes.append((input.shape, target.shape))
        return ((input - target) ** 2).mean()

    class Function(nn.Module):
        def forward(self, input: Tensor, target: Tensor) -> Tensor:
            return loss(input, target)

    recipe = Recipe(
        make_model=linear, budget=Budget(epochs=1, batch=32), device=torch.device("cpu")
    )
    examples = SupervisedDataset.of(Pairs(), None, None)
    ModuleTraining(
        recipe, examples, FOLD.train, seed=0, loss=Function(), learning_rate=1e-3
    ).epoch()
    assert set(shapes) == {(torch.Size([32]), torch.Size([32]))}
