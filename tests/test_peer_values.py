"""What is said of others' losses: their values and gradients by their definitions, and ours."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from sklearn import metrics
from torch import Tensor
from torch.nn import functional as F

import lossmith
from shared.expressions import ROWS, build


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


POINTS, TRUTH, LOGITS = 2 * randn(6, 3, seed=1), randn(6, 3, seed=2), randn(6, 3)
CLASSES = torch.tensor([0, 2, 1, 1, 0, 2])
LABELS, SHARES = (TRUTH > 0).double(), TRUTH.softmax(1)
SOUND = randn(2, 50, seed=3)
COUNTS, POSITIVE = torch.arange(18).reshape(6, 3).double() % 5, TRUTH.exp()
BOXES = torch.tensor([[0.0, 0, 4, 3], [1, 1, 3, 5], [0, 0, 2, 2]]).double()
TRUE_BOXES = torch.tensor([[1.0, 1, 5, 4], [1, 2, 4, 5], [3, 3, 5, 6]]).double()
VALUES, ROWS_OF_CLASSES, OF_LABELS = (POINTS, TRUTH), (LOGITS, CLASSES), (LOGITS, LABELS)


def pinball(level: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: torch.maximum(level * (y - x), (level - 1) * (y - x)).mean()


def huber(delta: float) -> Callable[[Tensor, Tensor], Tensor]:
    def value(x: Tensor, y: Tensor) -> Tensor:
        r = (x - y).abs()
        return torch.where(r <= delta, r**2 / 2, delta * (r - delta / 2)).mean()

    return value


def absolute(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).abs().mean()


def square(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).square().mean()


def half_square(x: Tensor, y: Tensor) -> Tensor:
    return square(x, y) / 2


def both(x: Tensor, y: Tensor) -> Tensor:
    return absolute(x, y) + square(x, y)


def biweight(x: Tensor, y: Tensor, c: float = 4.685) -> Tensor:
    inside = ((x - y) / c).square().clamp(max=1)
    return (c**2 / 6 * (1 - (1 - inside) ** 3)).mean()


def pseudo_huber(x: Tensor, y: Tensor) -> Tensor:
    return (((x - y) ** 2 + 1).sqrt() - 1).mean()


def log_cosh(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).cosh().log().mean()


def percentage(x: Tensor, y: Tensor) -> Tensor:
    return 100 * ((x - y) / y).abs().mean()


def hundred_cosines(x: Tensor, y: Tensor) -> Tensor:
    return -(x * y).sum(1).div(x.norm(dim=1) * y.norm(dim=1)).mean()


def picked(x: Tensor, y: Tensor) -> Tensor:
    return x.gather(1, y[:, None])[:, 0]


def softmax(x: Tensor, y: Tensor) -> Tensor:
    return (x.exp().sum(1).log() - picked(x, y)).mean()


def soft_softmax(x: Tensor, y: Tensor) -> Tensor:
    return -(y * x.log_softmax(1)).sum(1).mean()


def smoothed(x: Tensor, y: Tensor) -> Tensor:
    return soft_softmax(x, 0.9 * F.one_hot(y, 3) + 0.1 / 3)


def with_z(x: Tensor, y: Tensor) -> Tensor:
    return softmax(x, y) + 1e-4 * x.logsumexp(1).square().mean()


def poly(x: Tensor, y: Tensor) -> Tensor:
    return softmax(x, y) + 2 * (1 - picked(x.softmax(1), y)).mean()


def box_cox(x: Tensor, y: Tensor) -> Tensor:
    return ((1 - picked(x.softmax(1), y) ** 0.7) / 0.7).mean()


def best_rival(x: Tensor, y: Tensor) -> Tensor:
    rivals = x.scatter(1, y[:, None], -math.inf)
    return (1 + rivals.amax(1) - picked(x, y)).clamp(min=0).mean()


def ranked(x: Tensor, y: Tensor) -> Tensor:
    steps = (torch.arange(3) >= y[:, None]).double()
    return (x.softmax(1).cumsum(1) - steps).square().sum(1).mean()


def signs(x: Tensor, y: Tensor) -> Tensor:
    return (1 + (-(2 * y - 1) * x).exp()).log().mean()


def bernoulli(x: Tensor, y: Tensor) -> Tensor:
    p = x.sigmoid()
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def hinge(x: Tensor, y: Tensor) -> Tensor:
    return (1 - (2 * y - 1) * x).clamp(min=0).mean()


def focal(x: Tensor, y: Tensor) -> Tensor:
    p = x.sigmoid()
    right = y * p + (1 - y) * (1 - p)
    return (-(0.25 * y + 0.75 * (1 - y)) * (1 - right) ** 2 * right.log()).mean()


def focal_without_alpha(x: Tensor, y: Tensor) -> Tensor:
    right = y * x.sigmoid() + (1 - y) * (-x).sigmoid()
    return (-((1 - right) ** 2) * right.log()).mean()


def poisson(x: Tensor, y: Tensor) -> Tensor:
    return -torch.distributions.Poisson(x.exp()).log_prob(y).mean()


def ratio(x: Tensor, y: Tensor) -> Tensor:
    x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    wanted = (x * y).sum(1, keepdim=True) / y.square().sum(1, keepdim=True) * y
    rest = (x - wanted).square().sum(1)
    return -10 * (wanted.square().sum(1) / rest).log10().mean()


def in_batch(x: Tensor, y: Tensor) -> Tensor:
    cos = F.normalize(x, dim=1) @ F.normalize(y, dim=1).T
    return F.cross_entropy(20 * cos, torch.arange(len(x)))


def views(x: Tensor, y: Tensor) -> Tensor:
    both = F.normalize(torch.cat((x, y)), dim=1)
    cosines = (both @ both.T).fill_diagonal_(-math.inf)
    return F.cross_entropy(cosines / 0.5, torch.arange(2 * len(x)).roll(len(x)))


def overlap(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The IoU of boxes, their union, and width and height of the box around both."""
    meet = torch.minimum(x[:, 2:], y[:, 2:]) - torch.maximum(x[:, :2], y[:, :2])
    shared = meet.clamp(min=0).prod(1)
    union = (x[:, 2:] - x[:, :2]).prod(1) + (y[:, 2:] - y[:, :2]).prod(1) - shared
    return shared / union, union, torch.maximum(x, y)[:, 2:] - torch.minimum(x, y)[:, :2]


def generalized_iou(x: Tensor, y: Tensor) -> Tensor:
    iou, union, hull = overlap(x, y)
    return (1 - iou + (hull.prod(1) - union) / hull.prod(1)).mean()


def centres(x: Tensor, y: Tensor) -> Tensor:
    iou, _, hull = overlap(x, y)
    gap = (x[:, :2] + x[:, 2:] - y[:, :2] - y[:, 2:]).square().sum(1) / 4
    return 1 - iou + gap / hull.square().sum(1)


def distance_iou(x: Tensor, y: Tensor) -> Tensor:
    return centres(x, y).mean()


def complete_iou(x: Tensor, y: Tensor) -> Tensor:
    angle = [torch.atan((b[:, 2] - b[:, 0]) / (b[:, 3] - b[:, 1])) for b in (x, y)]
    v = 4 / math.pi**2 * (angle[1] - angle[0]) ** 2
    share = (v / (1 - overlap(x, y)[0] + v)).detach()
    return (centres(x, y) + share * v).mean()


Formula = Callable[[Tensor, Tensor], Tensor]
SAME: list[tuple[Formula, tuple[Tensor, Tensor], list[str]]] = [
    (
        absolute,
        VALUES,
        [
            "papers: least_absolute_deviation",
            "Keras: MeanAbsoluteError",
            "fastai: L1LossFlat",
            "scikit-learn: mean_absolute_error",
            "XGBoost: reg:absoluteerror",
            "LightGBM: regression_l1",
        ],
    ),
    (
        square,
        VALUES,
        [
            "Keras: MeanSquaredError",
            "fastai: MSELossFlat",
            "scikit-learn: mean_squared_error",
            "optax: squared_error",
        ],
    ),
    (half_square, VALUES, ["XGBoost: reg:squarederror", 'LightGBM: objective="regression"']),
    (both, VALUES, ["papers: l1_l2"]),
    (
        pinball(0.5),
        VALUES,
        ["papers: pinball", "TensorFlow Addons: PinballLoss", "scikit-learn: mean_pinball_loss"],
    ),
    (pinball(0.9), VALUES, ['LightGBM: objective="quantile"']),
    (huber(1.0), VALUES, ["Keras: Huber"]),
    (huber(0.9), VALUES, ['LightGBM: objective="huber"']),
    (pseudo_huber, VALUES, ["XGBoost: reg:pseudohubererror", "kornia: CharbonnierLoss"]),
    (lambda x, y: (1 + (x - y) ** 2 / 2).log().mean(), VALUES, ["kornia: CauchyLoss"]),
    (lambda x, y: (1 - (-((x - y) ** 2) / 2).exp()).mean(), VALUES, ["kornia: WelschLoss"]),
    (
        lambda x, y: (2 * (x - y) ** 2 / ((x - y) ** 2 + 4)).mean(),
        VALUES,
        ["kornia: GemanMcclureLoss"],
    ),
    (biweight, VALUES, ["papers: biweight"]),
    (log_cosh, VALUES, ["Keras: LogCosh"]),
    (percentage, VALUES, ["Keras: MeanAbsolutePercentageError"]),
    (hundred_cosines, VALUES, ["Keras: CosineSimilarity", "lightly: NegativeCosineSimilarity"]),
    (poisson, (LOGITS, COUNTS), ["XGBoost: count:poisson"]),
    (
        softmax,
        ROWS_OF_CLASSES,
        ["papers: softmax_loss", "XGBoost: multi:softprob", 'LightGBM: objective="multiclass"'],
    ),
    (
        soft_softmax,
        (LOGITS, SHARES),
        ["timm: SoftTargetCrossEntropy", "optax: softmax_cross_entropy"],
    ),
    (smoothed, ROWS_OF_CLASSES, ["timm: LabelSmoothingCrossEntropy"]),
    (with_z, ROWS_OF_CLASSES, ["papers: z_loss"]),
    (poly, ROWS_OF_CLASSES, ["optax: poly_loss_cross_entropy"]),
    (box_cox, ROWS_OF_CLASSES, ["papers: lq_loss"]),
    (best_rival, ROWS_OF_CLASSES, ["papers: crammer_singer"]),
    (ranked, ROWS_OF_CLASSES, ["papers: ranked_probability_score"]),
    (
        signs,
        OF_LABELS,
        ["papers: logistic", "XGBoost: reg:logistic", 'LightGBM: objective="binary"'],
    ),
    (
        bernoulli,
        (LOGITS, SHARES),
        [
            "LightGBM: xentropy",
            "fastai: BCEWithLogitsLossFlat",
            "optax: sigmoid_binary_cross_entropy",
            "CatBoost: MultiLogloss",
            'CatBoost: loss_function="CrossEntropy"',
        ],
    ),
    (hinge, OF_LABELS, ["Keras: Hinge", "XGBoost: binary:hinge"]),
    (focal, OF_LABELS, ["torchvision: sigmoid_focal_loss"]),
    (focal_without_alpha, OF_LABELS, ["optax: sigmoid_focal_loss"]),
    (
        generalized_iou,
        (BOXES, TRUE_BOXES),
        ["torchvision: generalized_box_iou_loss"],
    ),
    (distance_iou, (BOXES, TRUE_BOXES), ["torchvision: distance_box_iou_loss"]),
    (complete_iou, (BOXES, TRUE_BOXES), ["torchvision: complete_box_iou_loss"]),
    (ratio, (SOUND + randn(2, 50) / 2, SOUND), ["papers: si_snr"]),
    (views, VALUES, ["lightly: NTXentLoss"]),
    (in_batch, VALUES, ["sentence-transformers: MultipleNegativesRankingLoss"]),
]
CLAIMS = {
    f"{library}: {peer.theirs}": peer for library, peer in ROWS if peer.same and library != "torch"
}
FORMULAS = {row: (formula, batch) for formula, batch, rows in SAME for row in rows}


def test_whatever_is_said_to_be_the_same_has_a_formula() -> None:
    assert set(FORMULAS) == set(CLAIMS)  # torch's are compared with torch itself


def slopes(loss: Callable[..., Tensor], input: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
    input = input.clone().requires_grad_()
    value = loss(input, *rest)
    return value.detach(), torch.autograd.grad(value, input)[0]


@pytest.mark.parametrize("row", CLAIMS)
def test_the_same_has_the_value_and_gradient_of_its_formula(row: str) -> None:
    formula, batch = FORMULAS[row]
    (option,) = CLAIMS[row].options
    ours, theirs = slopes(build(option), *batch), slopes(formula, *batch)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def mean(x: Tensor, y: Tensor, by: Any) -> Tensor:
    return torch.tensor(by(y.flatten().numpy(), x.flatten().numpy())).double()


def pairs(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """BPR of two scores a row, by hand and as a list of two."""
    relevance = torch.tensor([1.0, 0.0]).expand(6, 2)
    return lossmith.RankNet()(LOGITS[:, :2], relevance), -F.logsigmoid(x - y).mean()


def one_hot() -> tuple[Tensor, Tensor]:
    hot = F.one_hot(CLASSES, 3).double()
    return 3 * lossmith.BinaryCrossEntropy()(LOGITS, hot), 3 * bernoulli(LOGITS, hot)


def noise(prediction: str, wanted: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    target = {"clean": TRUTH, "noise": POINTS, "alpha": alpha, "sigma": sigma}
    return lossmith.Denoising(prediction=prediction)(LOGITS, target), square(LOGITS, wanted)


LEVEL = torch.full((6,), 0.6).double(), torch.full((6,), 0.8).double()
COSINE = -hundred_cosines(POINTS, TRUTH)
TWO = torch.stack((torch.zeros(18), TRUTH.flatten()), 1).double()
RECIPES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "charbonnier": lambda: (
        build("1000 * PseudoHuber(delta=0.001)")(POINTS, TRUTH) + 0.001,
        ((POINTS - TRUTH) ** 2 + 1e-6).sqrt().mean(),
    ),
    "byol": lambda: (build("2 * NegativeCosine()")(POINTS, TRUTH) + 2, 2 - 2 * COSINE),
    "simsiam": lambda: (lossmith.NegativeCosine()(POINTS, TRUTH), -COSINE),
    "cosine_distance": lambda: (lossmith.NegativeCosine()(POINTS, TRUTH) + 1, 1 - COSINE),
    "bpr": lambda: pairs(LOGITS[:, 0], LOGITS[:, 1]),
    "rmse": lambda: (
        lossmith.MSE()(POINTS, TRUTH).sqrt(),
        mean(POINTS, TRUTH, metrics.root_mean_squared_error),
    ),
    "mean_squared_log_error": lambda: (
        lossmith.MSLE()(POINTS.exp(), POSITIVE),
        mean(POINTS.exp(), POSITIVE, metrics.mean_squared_log_error),
    ),
    "reg:squaredlogerror": lambda: (
        slopes(build("0.5 * MSLE()"), POINTS.exp(), POSITIVE),
        slopes(lambda x, y: ((1 + x).log() - (1 + y).log()).square().mean() / 2,
               POINTS.exp(), POSITIVE),
    ),
    "mean_absolute_percentage_error": lambda: (
        lossmith.MAPE()(POINTS, TRUTH),
        mean(POINTS, TRUTH, metrics.mean_absolute_percentage_error),
    ),
    "mean_gamma_deviance": lambda: (
        2 * lossmith.Gamma()(POINTS, POSITIVE),
        mean(POINTS.exp(), POSITIVE, metrics.mean_gamma_deviance),
    ),
    "mean_tweedie_deviance": lambda: (
        2 * lossmith.Tweedie()(POINTS, POSITIVE),
        mean(POINTS.exp(), POSITIVE, lambda y, x: metrics.mean_tweedie_deviance(y, x, power=1.5)),
    ),
    "mean_poisson_deviance": lambda: (
        2 * (lossmith.Poisson()(POINTS, POSITIVE) - lossmith.Poisson()(TRUTH, POSITIVE)),
        mean(POINTS.exp(), POSITIVE, metrics.mean_poisson_deviance),
    ),
    "log_loss": lambda: (
        lossmith.BinaryCrossEntropy()(LOGITS, LABELS),
        mean(LOGITS.sigmoid(), LABELS, metrics.log_loss),
    ),
    "brier_score_loss": lambda: (
        lossmith.Brier()(TWO, LABELS.flatten().long()) / 2,
        mean(TWO.softmax(1)[:, 1], LABELS, metrics.brier_score_loss),
    ),
    "reg:gamma": lambda: (
        slopes(lossmith.Gamma(), POINTS, POSITIVE)[1],
        slopes(lambda x, y: (y * (-x).exp() + x).mean(), POINTS, POSITIVE)[1],
    ),
    "reg:tweedie": lambda: (
        slopes(lossmith.Tweedie(), POINTS, POSITIVE)[1],
        slopes(lambda x, y: (2 * y * (-x / 2).exp() + 2 * (x / 2).exp()).mean(),
               POINTS, POSITIVE)[1],
    ),
    'objective="poisson"': lambda: (
        slopes(lossmith.Poisson(), LOGITS, COUNTS)[1],
        slopes(lambda x, y: (x.exp() - y * x).mean(), LOGITS, COUNTS)[1],
    ),
    "multiclassova": one_hot,
    "Poisson": lambda: (
        slopes(lossmith.Poisson(), LOGITS, COUNTS)[1],
        slopes(lambda x, y: (x.exp() - y * x.exp().log()).mean(), LOGITS, COUNTS)[1],
    ),
    "BinaryCrossentropy": lambda: (
        lossmith.BinaryCrossEntropy()(LOGITS, LABELS), bernoulli(LOGITS, LABELS)
    ),
    "BinaryFocalCrossentropy": lambda: (
        build("2 * BinaryFocal(alpha=0.5)")(LOGITS, LABELS),
        ((1 - (-F.binary_cross_entropy_with_logits(LOGITS, LABELS, reduction="none")).exp()) ** 2
         * F.binary_cross_entropy_with_logits(LOGITS, LABELS, reduction="none")).mean(),
    ),
    "CategoricalFocalCrossentropy": lambda: (
        build("0.25 * Focal()")(LOGITS, CLASSES),
        (0.25 * (1 - picked(LOGITS.softmax(1), CLASSES)) ** 2
         * -picked(LOGITS.log_softmax(1), CLASSES)).mean(),
    ),
    "CategoricalCrossentropy": lambda: (
        lossmith.CrossEntropy()(LOGITS, F.one_hot(CLASSES, 3).double()), softmax(LOGITS, CLASSES)
    ),
    "KLDivergence": lambda: (
        lossmith.KL()(LOGITS, SHARES.log()),
        (SHARES * (SHARES / LOGITS.softmax(1)).log()).sum(1).mean(),
    ),
    "GIoULoss": lambda: (
        lossmith.GIoU()(BOXES, TRUE_BOXES),
        generalized_iou(BOXES[:, [1, 0, 3, 2]], TRUE_BOXES[:, [1, 0, 3, 2]]),
    ),
    "MultiClassOneVsAll": one_hot,
    "lsr": lambda: (build("CrossEntropy(label_smoothing=0.1)")(LOGITS, CLASSES),
                    smoothed(LOGITS, CLASSES)),
    "perplexity": lambda: (
        lossmith.CrossEntropy()(LOGITS, CLASSES).exp(),
        1 / picked(LOGITS.softmax(1), CLASSES).log().mean().exp(),
    ),
    "exponential": lambda: (
        slopes(lossmith.BinaryCrossEntropy(), SHARES.logit(), SHARES)[1],
        slopes(lambda x, y: (y * (-x).exp() + (1 - y) * x.exp()).mean(),
               SHARES.logit() / 2, SHARES)[1],
    ),
    "psnr": lambda: (
        -10 * lossmith.MSE()(POINTS, TRUTH).log10(), 10 * (1 / square(POINTS, TRUTH)).log10()
    ),
    "ddpm": lambda: noise("eps", POINTS, *LEVEL),
    "x0_prediction": lambda: noise("x0", TRUTH, *LEVEL),
    "v_prediction": lambda: noise("v", 0.6 * POINTS - 0.8 * TRUTH, *LEVEL),
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_said_of_the_others_holds(name: str) -> None:
    assert name in {peer.theirs for _, peer in ROWS}
    torch.testing.assert_close(*RECIPES[name]())
