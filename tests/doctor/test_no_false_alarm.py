"""Right set-ups as people write them, of every kind of task: nothing is found in any."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lossmith
from lossmith import check_setup
from shared.setups import CLASSES, LABELS, NUMBERS, ROWS, Flat, X, net

IMAGES = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
PIXELS = (IMAGES[:, 0] > 0).long()
WORDS = torch.randint(1, 50, (16, 20), generator=torch.Generator().manual_seed(0))

Set = dict[str, Any]
RIGHT: dict[str, Callable[[], Set]] = {}


def right(make: Callable[[], Set]) -> Callable[[], Set]:
    RIGHT[make.__name__] = make
    return make


def of(model: Any, loss: Any, input: Any, target: Any, **more: Any) -> Set:
    return {"model": model, "loss": loss, "batch": (input, target), **more}


@right
def segmentation_of_classes() -> Set:
    return of(nn.Conv2d(1, 2, 3, padding=1), nn.CrossEntropyLoss(), IMAGES, PIXELS)


@right
def segmentation_with_dice() -> Set:
    def loss(output: Tensor, mask: Tensor) -> Tensor:
        p = output.sigmoid()
        overlap = (2 * (p * mask).sum((1, 2)) + 1) / (p.sum((1, 2)) + mask.sum((1, 2)) + 1)
        return F.binary_cross_entropy_with_logits(output, mask) + (1 - overlap).mean()

    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Flatten(1, 2))
    return of(model, loss, IMAGES, PIXELS.float())


@right
def segmentation_of_one_hot_masks() -> Set:
    hot = F.one_hot(PIXELS, 2).movedim(-1, 1).float()
    return of(nn.Conv2d(1, 2, 1), nn.CrossEntropyLoss(), IMAGES, hot)


@right
def language_model() -> Set:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.layer = nn.Embedding(50, 16), nn.TransformerEncoderLayer(16, 2, 32)
            self.head = nn.Linear(16, 50)

        def forward(self, words: Tensor) -> Tensor:
            return self.head(self.layer(self.table(words)))

    def loss(logits: Tensor, words: Tensor) -> Tensor:
        return F.cross_entropy(logits[:, :-1].reshape(-1, 50), words[:, 1:].reshape(-1))

    return of(Model(), loss, WORDS, WORDS)


@right
def autoencoder() -> Set:
    model = nn.Sequential(nn.Linear(5, 2), nn.Tanh(), nn.Linear(2, 5))
    return of(model, nn.MSELoss(), X, X)


@right
def autoencoder_of_pixels() -> Set:
    model = nn.Sequential(nn.Linear(5, 5), nn.Sigmoid())
    return of(model, nn.MSELoss(), X.sigmoid(), X.sigmoid())


@right
def variational_autoencoder() -> Set:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode, self.decode = nn.Linear(5, 4), nn.Linear(2, 5)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            mean, log = self.encode(x).chunk(2, 1)
            return self.decode(mean + torch.randn_like(mean) * (log / 2).exp()), mean, log

    def loss(output: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
        found, mean, log = output
        kl = -0.5 * (1 + log - mean.square() - log.exp()).sum(1).mean()
        return F.mse_loss(found, x, reduction="sum") / len(x) + kl

    return of(Model(), loss, X, X)


@right
def several_labels_a_row() -> Set:
    return of(net(4), nn.BCEWithLogitsLoss(), X, (X[:, :4] > 0).float())


@right
def several_numbers_a_row() -> Set:
    return of(net(3), nn.SmoothL1Loss(), X, X[:, :3] + NUMBERS[:, None])


@right
def label_smoothing_and_weights() -> Set:
    weight = torch.tensor([1.0, 2.0, 3.0])
    return of(net(3), nn.CrossEntropyLoss(weight, label_smoothing=0.1), X, CLASSES)


@right
def soft_targets() -> Set:
    return of(net(3), nn.CrossEntropyLoss(), X, X[:, :3].softmax(1))


@right
def distillation() -> Set:
    def loss(student: Tensor, teacher: Tensor) -> Tensor:
        given = (student / 4).log_softmax(1), (teacher / 4).softmax(1)
        return F.kl_div(*given, reduction="batchmean") * 16

    return of(net(3), loss, X, X[:, :3])


@right
def focal_by_hand() -> Set:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        value = F.binary_cross_entropy_with_logits(output, target, reduction="none")
        p = output.sigmoid()
        return ((1 - (p * target + (1 - p) * (1 - target))) ** 2 * value).mean()

    return of(Flat(), loss, X, LABELS)


@right
def counts() -> Set:
    return of(Flat(), nn.PoissonNLLLoss(), X, NUMBERS.abs().round())


@right
def positive_head() -> Set:
    return of(Flat(nn.Softplus()), nn.MSELoss(), X, NUMBERS.abs())


@right
def gaussian_head() -> Set:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = net(2)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            mean, raw = self.head(x).unbind(1)
            return mean, F.softplus(raw)

    def loss(output: tuple[Tensor, Tensor], y: Tensor) -> Tensor:
        return F.gaussian_nll_loss(output[0], y, output[1])

    return of(Model(), loss, X, NUMBERS)


@right
def metric_learning() -> Set:
    model = nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8))
    return of(model, lossmith.SupCon(), X, CLASSES)


@right
def contrastive_by_hand() -> Set:
    def loss(first: Tensor, second: Tensor) -> Tensor:
        logits = F.normalize(first) @ F.normalize(second).T / 0.1
        return F.cross_entropy(logits, torch.arange(len(logits)))

    return of(net(8), loss, X, torch.randn(ROWS, 8))


@right
def quantiles_by_hand() -> Set:
    levels = torch.tensor([0.1, 0.5, 0.9])

    def loss(output: Tensor, y: Tensor) -> Tensor:
        error = y[:, None] - output
        return torch.maximum(levels * error, (levels - 1) * error).mean()

    return of(net(3), loss, X, NUMBERS)


@right
def ranking_of_all_pairs() -> Set:
    def loss(output: Tensor, y: Tensor) -> Tensor:
        better = (y[:, None] > y[None]).float()
        return (F.softplus(output[None] - output[:, None]) * better).sum() / better.sum()

    return of(Flat(), loss, X, NUMBERS)


@right
def hinge_of_signs() -> Set:
    return of(Flat(), lambda o, y: (1 - o * y).clamp(min=0).mean(), X, 2 * LABELS - 1)


@right
def half_precision() -> Set:
    model = net(3).to(torch.bfloat16)
    return of(model, lossmith.CrossEntropy(), X.to(torch.bfloat16), CLASSES)


@right
def frozen_body_with_a_new_head() -> Set:
    model = nn.Sequential(net(8).requires_grad_(False), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.Adam(model[2].parameters())
    return of(model, nn.CrossEntropyLoss(), X, CLASSES, optimizer=optimizer)


@right
def body_that_the_optimizer_leaves() -> Set:
    model = nn.Sequential(net(8), nn.ReLU(), nn.Linear(8, 3))
    return of(
        model, nn.CrossEntropyLoss(), X, CLASSES, optimizer=torch.optim.SGD(model[2].parameters())
    )


@right
def coded_rows_of_few_values() -> Set:
    x = torch.randint(3, (400, 2)).float()
    data = DataLoader(TensorDataset(x, (x.sum(1) > 2).long()), batch_size=100)
    return {"model": nn.Linear(2, 2), "loss": nn.CrossEntropyLoss(), "batch": data}


@right
def means_of_even_batches() -> Set:
    data = DataLoader(TensorDataset(X, CLASSES), batch_size=16, shuffle=True)
    given = {"model": net(3), "loss": nn.CrossEntropyLoss(), "batch": data, "accumulate": 4}
    return given | {"metric": "accuracy", "valid": (X + 1, CLASSES)}


@right
def hybrid_that_blends() -> Set:
    loss = lossmith.blend(lossmith.MAE(), lossmith.MSE(), over=(0.2, 0.8))
    return of(Flat(), loss, X, NUMBERS)


@right
def ordinal_classes() -> Set:
    return of(net(2), lossmith.CORN(classes=3), X, CLASSES)


@right
def logits_in_the_unit_interval() -> Set:
    model = Flat()
    nn.init.constant_(model.layers[0].weight, 0.001)
    nn.init.constant_(model.layers[0].bias, 0.5)
    return of(model, nn.BCEWithLogitsLoss(), X, LABELS)


@pytest.mark.parametrize("name", RIGHT)
def test_nothing_is_found(name: str) -> None:
    torch.manual_seed(0)
    assert check_setup(**RIGHT[name]()) == ()
