"""Set-ups by the finding that they show: broken ones, and beside each the same put right."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset, WeightedRandomSampler

import lossmith

ROWS = 64
torch.manual_seed(0)  # of the models below, which are built on import
_random = torch.Generator().manual_seed(0)
X = torch.randn(ROWS, 5, generator=_random)
NUMBERS = torch.randn(ROWS, generator=_random)
CLASSES = torch.arange(ROWS) % 3
LABELS = (torch.arange(ROWS) % 2).float()
IMAGES = torch.randn(8, 2, 6, 6, generator=_random)
MASKS = (IMAGES > 0.3).float()
WORDS = torch.randint(1, 9, (16, 12), generator=_random)
PADDED = WORDS.masked_fill(torch.arange(12) >= torch.arange(4, 12).repeat(2)[:, None], 0)

Setup = dict[str, Any]


class Flat(nn.Module):
    """A model of one output, without the dimension of it."""

    def __init__(self, *after: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        self.layers, self.scale = nn.Sequential(nn.Linear(5, 1), *after), scale

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(self.scale * x).squeeze(-1)


def net(outputs: int, *after: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(5, outputs), *after)


def tokens(words: int = 9) -> nn.Module:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(words, words)

        def forward(self, x: Tensor) -> Tensor:
            return self.table(x).movedim(-1, 1)

    return Model()


def dice(p: Tensor, y: Tensor) -> Tensor:
    return 2 * (p * y).sum() / (p.sum() + y.sum())


def classes(model: nn.Module, loss: Any, target: Tensor = CLASSES, **more: Any) -> Setup:
    return {"model": model, "loss": loss, "batch": (X, target), **more}


def numbers(loss: Any, target: Tensor = NUMBERS, model: Any = None, **more: Any) -> Setup:
    return {"model": model or Flat(), "loss": loss, "batch": (X, target), **more}


def labels(loss: Any, target: Tensor = LABELS, model: Any = None, **more: Any) -> Setup:
    return numbers(loss, target, model, **more)


def balanced(weight: Tensor | None) -> Setup:
    rare = (torch.arange(ROWS) % 8 == 0).long()
    drawn = WeightedRandomSampler([8.0 if one else 1.0 for one in rare], ROWS)
    data = DataLoader(TensorDataset(X, rare), batch_size=16, sampler=drawn)
    return {"model": net(2), "loss": nn.CrossEntropyLoss(weight), "batch": data}


def uneven(loss: Any, drop_last: bool = False, accumulate: int = 4) -> Setup:
    data = DataLoader(TensorDataset(X, NUMBERS), batch_size=60, drop_last=drop_last)
    return {"model": Flat(), "loss": loss, "batch": data, "accumulate": accumulate}


def trained(loss: Any, whole: bool) -> Setup:
    setup = numbers(loss)
    parts = [*setup["model"].parameters(), *(loss.parameters() if whole else ())]
    return {**setup, "optimizer": torch.optim.SGD(parts, lr=0.1)}


def optimized(model: nn.Module, by: nn.Module) -> Setup:
    return classes(model, nn.CrossEntropyLoss(), optimizer=torch.optim.SGD(by.parameters()))


def split(train: range, valid: range) -> Setup:
    data = TensorDataset(X, NUMBERS)
    parts = (DataLoader(Subset(data, list(rows)), batch_size=16) for rows in (train, valid))
    first, second = parts
    return {"model": Flat(), "loss": nn.MSELoss(), "batch": first, "valid": second}


def held_out(rows: slice) -> Setup:
    fit = X[:32], NUMBERS[:32]
    return {"model": Flat(), "loss": nn.MSELoss(), "batch": fit, "valid": (X[rows], NUMBERS[rows])}


def images(target: Tensor, loss: Any) -> Setup:
    return {"model": nn.Conv2d(2, 2, 1), "loss": loss, "batch": (IMAGES, target)}


def language(loss: Any, target: Tensor = PADDED) -> Setup:
    return {"model": tokens(), "loss": loss, "batch": (PADDED, target)}


def doubled(copies: int) -> Setup:
    rows = torch.cat([X, X[:copies]]), torch.cat([NUMBERS, NUMBERS[:copies]])
    return {"model": Flat(), "loss": nn.MSELoss(), "batch": rows}


def with_column(column: Tensor, target: Tensor, loss: Any, model: Any) -> Setup:
    return {
        "model": model,
        "loss": loss,
        "batch": (torch.cat([X[:, 1:], column[:, None]], 1), target),
    }


def detached(model: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda x: model(x).detach()


LOGITS = nn.BCEWithLogitsLoss()
CROSS = nn.CrossEntropyLoss()
FROZEN = net(3).requires_grad_(False)
PASSED, AS = "probabilities passed as logits", "logits passed as probabilities"
LOG = "logits passed as log-probabilities"
KIND, APART = "targets of another kind", "terms of unlike gradients"
AIM = "a loss that aims elsewhere than the metric"
SKEWED = NUMBERS.exp()
HOT = F.one_hot(CLASSES, 3).float()

# The finding, a set-up that shows it, the same put right.
CASES: list[tuple[str, Setup, Setup]] = [
    (PASSED, classes(net(3, nn.Softmax(1)), CROSS), classes(net(3), CROSS)),
    (
        PASSED,
        classes(net(3, nn.Softmax(1)), lossmith.Focal()),
        classes(net(3), lossmith.Focal()),
    ),
    (
        PASSED,
        classes(net(3), lambda o, y: F.cross_entropy(o.softmax(1), y)),
        classes(net(3), lambda o, y: F.nll_loss(o.log_softmax(1), y)),
    ),
    (PASSED, labels(LOGITS, model=Flat(nn.Sigmoid())), labels(LOGITS)),
    (
        PASSED,
        labels(lossmith.BinaryCrossEntropy() + lossmith.BinaryDice(), model=Flat(nn.Sigmoid())),
        labels(lossmith.BinaryCrossEntropy()),
    ),
    (
        PASSED,
        labels(lambda o, y: 1 - dice(o.sigmoid(), y), model=Flat(nn.Sigmoid())),
        labels(lambda o, y: 1 - dice(o.sigmoid(), y)),
    ),
    ("logits that are bounded", classes(net(3, nn.ReLU()), CROSS), classes(net(3), CROSS)),
    ("logits that are bounded", labels(LOGITS, model=Flat(nn.Tanh())), labels(LOGITS)),
    (
        "one output under a softmax",
        labels(nn.BCELoss(), LABELS[:, None], net(1, nn.Softmax(1))),
        labels(nn.BCELoss(), LABELS[:, None], net(1, nn.Sigmoid())),
    ),
    (LOG, classes(net(3), nn.NLLLoss()), classes(net(3, nn.LogSoftmax(1)), nn.NLLLoss())),
    (
        "probabilities passed as log-probabilities",
        classes(net(3, nn.Softmax(1)), nn.NLLLoss()),
        classes(net(3, nn.LogSoftmax(1)), nn.NLLLoss()),
    ),
    (AS, labels(nn.BCELoss()), labels(nn.BCELoss(), model=Flat(nn.Sigmoid()))),
    (
        LOG,
        classes(net(3), nn.KLDivLoss(reduction="batchmean"), HOT),
        classes(net(3, nn.LogSoftmax(1)), nn.KLDivLoss(reduction="batchmean"), HOT),
    ),
    (
        "an overlap of raw outputs",
        labels(lambda o, y: 1 - dice(o, y)),
        labels(lambda o, y: 1 - dice(o, y), model=Flat(nn.Sigmoid())),
    ),
    (
        "a softmax over the batch",
        classes(net(3, nn.LogSoftmax(0), nn.Softmax(0)), nn.NLLLoss()),
        classes(net(3, nn.LogSoftmax(1)), nn.NLLLoss()),
    ),
    (
        "a divergence divided by its classes",
        classes(net(3, nn.LogSoftmax(1)), nn.KLDivLoss(), HOT),
        classes(net(3, nn.LogSoftmax(1)), nn.KLDivLoss(reduction="batchmean"), HOT),
    ),
    ("shapes that broadcast", numbers(nn.MSELoss(), model=net(1)), numbers(nn.MSELoss())),
    (
        "shapes that broadcast",
        numbers(lambda o, y: (o - y).abs().mean(), model=net(1)),
        numbers(lambda o, y: (o - y).abs().mean()),
    ),
    ("the loss fails", numbers(lossmith.MSE(), model=net(1)), numbers(lossmith.MSE())),
    ("the backward pass fails", numbers(nn.HuberLoss(), CLASSES), numbers(nn.HuberLoss())),
    ("the model fails", numbers(nn.MSELoss(), model=nn.Linear(4, 1)), numbers(nn.MSELoss())),
    ("classes that the head does not have", classes(net(2), CROSS), classes(net(3), CROSS)),
    (
        "classes that the head does not have",
        classes(net(3), lossmith.CrossEntropy(), CLASSES + 1),
        classes(net(3), lossmith.CrossEntropy()),
    ),
    (
        "classes that the head does not have",
        images(MASKS[:, 0].long() * 255, CROSS),
        images(
            MASKS[:, 0].long().masked_fill(MASKS[:, 1] > 0, 255),
            nn.CrossEntropyLoss(ignore_index=255),
        ),
    ),
    (
        "classes that no target names",
        classes(net(3), CROSS, CLASSES.clamp(max=1)),
        classes(net(2), CROSS, CLASSES.clamp(max=1)),
    ),
    (
        "one output under a softmax",
        classes(net(1), CROSS, torch.zeros(ROWS).long()),
        classes(net(2), CROSS, CLASSES.clamp(max=1)),
    ),
    (KIND, labels(LOGITS, 255 * LABELS), labels(LOGITS)),
    (KIND, labels(LOGITS, 2 * LABELS - 1), labels(nn.SoftMarginLoss(), 2 * LABELS - 1)),
    (KIND, labels(nn.SoftMarginLoss()), labels(nn.SoftMarginLoss(), 2 * LABELS - 1)),
    (
        KIND,
        numbers(nn.PoissonNLLLoss(), NUMBERS),
        numbers(nn.PoissonNLLLoss(), NUMBERS.abs().round()),
    ),
    (
        "a mask for signed distances",
        images(MASKS, lossmith.Boundary()),
        images(
            lossmith.functional.signed_distance(MASKS[:, 0].long(), classes=2), lossmith.Boundary()
        ),
    ),
    (
        "targets that are no distribution",
        classes(net(3), CROSS, (X[:, :3] > 0).float()),
        classes(net(3), CROSS, HOT),
    ),
    (
        "targets beyond the head's range",
        numbers(nn.MSELoss(), model=Flat(nn.Tanh())),
        numbers(nn.MSELoss(), NUMBERS.tanh(), model=Flat(nn.Tanh())),
    ),
    ("unscaled targets", numbers(nn.MSELoss(), 3000 + 500 * NUMBERS), numbers(nn.MSELoss())),
    (
        "unscaled targets",
        numbers(lossmith.MAE(), 3000 + 500 * NUMBERS),
        numbers(
            lossmith.TransformedTarget.for_target(3000 + 500 * NUMBERS, loss=lossmith.MAE),
            3000 + 500 * NUMBERS,
        ),
    ),
    (
        "targets that are ignored",
        classes(net(3), CROSS, CLASSES.masked_fill(torch.arange(ROWS) > 3, -100)),
        classes(net(3), CROSS, CLASSES.masked_fill(torch.arange(ROWS) < 8, -100)),
    ),
    (
        "padding that is learnt",
        language(CROSS),
        language(nn.CrossEntropyLoss(ignore_index=0)),
    ),
    (
        "not finite",
        labels(lambda o, y: -(y * o.log()).mean()),
        labels(LOGITS),
    ),
    (
        "not finite",
        numbers(nn.MSELoss(), torch.where(NUMBERS > 1, torch.nan, NUMBERS)),
        numbers(nn.MSELoss()),
    ),
    (
        "no gradient",
        classes(net(3), lambda o, y: (o.argmax(1) != y).float().mean()),
        classes(net(3), CROSS),
    ),
    (
        "no gradient",
        numbers(nn.MSELoss(), model=detached(Flat())),
        numbers(nn.MSELoss(), model=Flat().forward),
    ),
    (
        "no gradient",
        classes(net(3).requires_grad_(False), CROSS),
        classes(
            net(3).requires_grad_(False), lossmith.LinearCrossEntropy(in_features=3, classes=3)
        ),
    ),
    (
        "a saturated head",
        labels(nn.BCELoss(), model=Flat(nn.Sigmoid(), scale=1000.0)),
        labels(nn.BCELoss(), model=Flat(nn.Sigmoid())),
    ),
    (
        "saturated logits",
        labels(LOGITS, model=Flat(scale=1000.0)),
        labels(LOGITS),
    ),
    (
        "rows without a gradient",
        numbers(lambda o, y: F.mse_loss(o.clamp(min=0.5), y)),
        numbers(lambda o, y: F.mse_loss(o, y)),
    ),
    (
        "errors beyond delta",
        numbers(nn.HuberLoss(), 50 + NUMBERS),
        numbers(nn.HuberLoss()),
    ),
    (
        "a loss that draws away from the target",
        labels(lambda o, y: dice(o.sigmoid(), y)),
        labels(lambda o, y: 1 - dice(o.sigmoid(), y)),
    ),
    (
        "a loss that draws away from the target",
        numbers(lambda o, y: 1 - (o - y).square().mean() / y.var()),
        numbers(lambda o, y: (o - y).square().mean() / y.var()),
    ),
    (
        "a loss that draws away from the target",
        classes(net(3), lambda o, y: F.log_softmax(o, 1).gather(1, y[:, None]).mean()),
        classes(net(3), lambda o, y: -F.log_softmax(o, 1).gather(1, y[:, None]).mean()),
    ),
    (
        APART,
        numbers(lossmith.MSE() + 1e-5 * lossmith.MAE()),
        numbers(lossmith.MSE() + 0.1 * lossmith.MAE()),
    ),
    (
        APART,
        labels(lambda o, y: LOGITS(o, y) + 1e5 * F.mse_loss(o, y)),
        labels(lambda o, y: LOGITS(o, y) + F.mse_loss(o, y)),
    ),
    (AIM, numbers(nn.MSELoss(), SKEWED, metric="mae"), numbers(nn.L1Loss(), SKEWED, metric="mae")),
    (
        AIM,
        numbers(lossmith.Quantile(level=0.9), SKEWED, metric="pinball@0.5"),
        numbers(lossmith.Quantile(level=0.9), SKEWED, metric="pinball@0.9"),
    ),
    (
        AIM,
        numbers(nn.MSELoss(), SKEWED, metric="rmsle"),
        numbers(lossmith.TransformedTarget(function="log1p"), SKEWED, metric="rmsle"),
    ),
    (
        AIM,
        classes(net(2), CROSS, (torch.arange(ROWS) % 8 == 0).long(), metric="balanced_accuracy"),
        classes(net(2), CROSS, (torch.arange(ROWS) % 8 == 0).long(), metric="log_loss"),
    ),
    (
        AIM,
        classes(
            net(2),
            nn.CrossEntropyLoss(torch.tensor([1.0, 8.0])),
            (torch.arange(ROWS) % 8 == 0).long(),
            metric="log_loss",
        ),
        classes(net(2), CROSS, (torch.arange(ROWS) % 8 == 0).long(), metric="log_loss"),
    ),
    ("classes weighed twice", balanced(torch.tensor([1.0, 8.0])), balanced(None)),
    ("means of uneven batches", uneven(nn.MSELoss()), uneven(nn.MSELoss(), drop_last=True)),
    ("means of uneven batches", uneven(nn.MSELoss()), uneven(nn.MSELoss(reduction="sum"))),
    ("means of uneven batches", uneven(lossmith.MSE()), uneven(lossmith.MSE(), accumulate=1)),
    (
        "a loss of the whole batch, accumulated",
        labels(lossmith.SoftF1(), accumulate=4),
        labels(lossmith.BinaryCrossEntropy(), accumulate=4),
    ),
    (
        "learned numbers that no optimizer holds",
        trained(lossmith.AdaptiveBarron(), whole=False),
        trained(lossmith.AdaptiveBarron(), whole=True),
    ),
    (
        "parameters that no optimizer holds",
        optimized(net(3), net(3)),
        optimized(*(2 * [net(3)])),
    ),
    ("duplicated rows", doubled(32), doubled(0)),
    (
        "a column that gives the target away",
        with_column(NUMBERS.exp(), NUMBERS, nn.MSELoss(), Flat()),
        with_column(X[:, 0], NUMBERS, nn.MSELoss(), Flat()),
    ),
    (
        "a column that gives the target away",
        with_column(2.0 - CLASSES, CLASSES, CROSS, net(3)),
        with_column(X[:, 0], CLASSES, CROSS, net(3)),
    ),
    (
        "rows in training and validation",
        split(range(48), range(32, 64)),
        split(range(48), range(48, 64)),
    ),
    ("rows in training and validation", held_out(slice(16, 64)), held_out(slice(32, 64))),
]
