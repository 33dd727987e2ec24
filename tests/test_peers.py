"""What others call losses: what to write builds, gives the value that is claimed, and is told."""

import ast
import json
import math
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn import metrics
from torch import Tensor
from torch.nn import functional as F

import lossmith
from lossmith.catalogue import from_config
from lossmith.catalogue.names import loss_class
from lossmith.catalogue.pages import entry, page
from lossmith.catalogue.peers import PEERS, Peer, letters, plain
from lossmith.core import Loss
from lossmith.core.arguments import demanded
from lossmith.study.base.errors import InputError
from lossmith.study.candidates import with_keys
from lossmith.study.trials.contenders import contender
from lossmith.testing.golden import read

ROOT = Path(__file__).parents[1]
ROWS = [(library, peer) for library, peers in PEERS.items() for peer in peers]
NAMES = {name: peer for _, peer in ROWS for name in peer.called}
COUNTING = {"seesaw", "equalization_v2"}  # have state of a size that targets may tell
CLASSES_HERE = {kind.__name__: kind for kind in lossmith.find().values()}


def name_of(row: Any) -> str:
    return f"{row[0]}: {row[1].theirs}" if isinstance(row, tuple) else ""


def build(option: str) -> Loss:
    """Return the loss of an expression, completed by its card's example."""
    node = ast.parse(option, mode="eval").body
    return _built(node)


def _built(node: ast.AST) -> Any:
    if isinstance(node, ast.BinOp):
        left, right = _built(node.left), _built(node.right)
        return left + right if isinstance(node.op, ast.Add) else left * right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        kind = CLASSES_HERE[node.func.id]
        given = {one.arg: ast.literal_eval(one.value) for one in node.keywords}
        return kind(*map(_built, node.args), **{**needed(kind), **given})
    return ast.literal_eval(node)


def needed(kind: type[Loss]) -> dict[str, Any]:
    """Return what a loss cannot do without, from its card's example."""
    example = kind.card.example.arguments
    names = {*demanded(kind), *(["classes"] if kind.card.key in COUNTING else [])}
    return {name: example[name] for name in names if name in example}


# The table itself.


def test_names_are_many_and_none_says_two_things_of_one_library() -> None:
    assert len(NAMES) > 500
    for library, peers in PEERS.items():
        seen = [(plain(name), peer.here) for peer in peers for name in peer.called]
        settings = {one for one, _ in seen if sum(name == one for name, _ in seen) > 1}
        own = {plain(p.theirs.partition("(")[0]) for p in peers if "(" in p.theirs}
        doubled = {one for one in settings if len({here for n, here in seen if n == one}) > 1}
        assert doubled <= own, library


def test_letters_tell_our_own_losses_apart() -> None:
    assert len({plain(key) for key in lossmith.find()}) == len(lossmith.find())


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_what_to_write_builds(row: tuple[str, Peer]) -> None:
    peer = row[1]
    assert peer.here or "it has no peer here" in peer.differs
    for option in peer.options:
        assert isinstance(build(option), torch.nn.Module)
    for name in peer.called:  # one of our own names means our own loss
        own = lossmith.find().get(name) or CLASSES_HERE.get(name)
        assert own is None or own.__name__ in peer.classes


# What is said of values.


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
        ],
    ),
    (hinge, OF_LABELS, ["Keras: Hinge", "XGBoost: binary:hinge"]),
    (focal, OF_LABELS, ['torchvision: sigmoid_focal_loss(reduction="mean")']),
    (
        generalized_iou,
        (BOXES, TRUE_BOXES),
        ['torchvision: generalized_box_iou_loss(reduction="mean")'],
    ),
    (distance_iou, (BOXES, TRUE_BOXES), ['torchvision: distance_box_iou_loss(reduction="mean")']),
    (complete_iou, (BOXES, TRUE_BOXES), ['torchvision: complete_box_iou_loss(reduction="mean")']),
    (ratio, (SOUND + randn(2, 50) / 2, SOUND), ["papers: si_snr"]),
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


REFERENCES = {"mmdetection": "mmdet", "trl": "trl"}


def test_what_is_held_equal_has_golden_values() -> None:
    golden = [one for path in (ROOT / "tests" / "golden").rglob("*.json") for one in read(path)]
    held = [(library, kind) for library, peer in ROWS if peer.held for kind in peer.classes]
    assert len(held) > 40
    for library, kind in held:
        key, called = CLASSES_HERE[kind].card.key, letters(REFERENCES.get(library, library))
        assert any(one.loss == key and called in letters(one.reference) for one in golden), (
            library,
            kind,
        )


# What is told where a name is read.


@pytest.mark.parametrize("name", NAMES)
def test_a_name_gives_the_loss_or_says_what_to_write(name: str) -> None:
    found = [peer for _, peer in ROWS if plain(name) in map(plain, peer.called)]
    own = [key for key in lossmith.find() if letters(key) == letters(name)]
    aliases = {peer.alias for peer in found}
    if own or (len(aliases) == 1 and None not in aliases):
        kind = loss_class(name)
        assert kind.card.key in own or kind.__name__ in aliases
        assert lossmith.get(name, **needed(kind)).config() == kind(**needed(kind)).config()
        return
    with pytest.raises(KeyError) as caught:
        lossmith.get(name)
    told = str(caught.value)
    assert told.startswith(f"no loss is called {name!r}; ")
    assert "\n" not in told
    assert len(told) < 500
    assert all("did you mean" in told for peer in found if peer.here)


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_loss_of_others_is_told_on_our_page(row: tuple[str, Peer]) -> None:
    library, peer = row
    for name in peer.classes:
        key = CLASSES_HERE[name].card.key
        assert f"  {library}: {peer.theirs}" in page(key)
        assert {"library": library, **json.loads(json.dumps(vars_of(peer)))} in json.loads(
            json.dumps(entry(key)["peers"])
        )


def vars_of(peer: Peer) -> dict[str, Any]:
    return {name: getattr(peer, name) for name in Peer.__dataclass_fields__}


def test_whatever_reads_a_name_reads_those_of_others() -> None:
    config = {"loss": "L1Loss", "arguments": {}}
    for loss in (lossmith.get("l1"), from_config(config), contender("l1").fit(None)):
        assert type(loss) is lossmith.MAE
    both = contender("L1Loss + 0.5 mse_loss").fit(None)
    torch.testing.assert_close(both(*VALUES), absolute(*VALUES) + half_square(*VALUES))
    assert with_keys(["l1", "HuberLoss(delta=0.5)"]) == ["mae", "huber(delta=0.5)"]
    assert page("l1") == page("mae")
    for read in (contender, with_keys):
        with pytest.raises(InputError, match=r"did you mean CrossEntropy\(\) \+ Dice\(\)\?"):
            read("dice_ce" if read is contender else ["dice_ce"])  # type: ignore[operator]


def test_settings_and_sums_are_told_as_they_are_typed() -> None:
    for name, told in (
        ("dice_ce", "did you mean CrossEntropy() + Dice()? "),
        ("charbonnier", "did you mean 1000 * PseudoHuber(delta=0.001) or pseudo_huber? "),
        ("label_smoothing", "did you mean CrossEntropy(label_smoothing=0.1)?"),
        ("byol", "did you mean 2 * NegativeCosine()? "),
        ("focal_loss", "did you mean focal or binary_focal? "),
        ("squared_hinge", "Keras' SquaredHinge: it has no peer here"),
    ):
        with pytest.raises(KeyError) as caught:
            lossmith.get(name)
        assert told in str(caught.value)
    with pytest.raises(AttributeError, match=r"did you mean lossmith.CrossEntropy\(\) \+ lossmith"):
        lossmith.DiceCELoss  # noqa: B018


def test_spelling_does_not_matter() -> None:
    for name in ("NTXent", "nt-xent", "ntxent", "NT Xent"):
        assert loss_class(name) is lossmith.NTXent
    assert loss_class("Huber") is loss_class("HuberLoss") is lossmith.Huber
    assert loss_class("wing loss") is lossmith.Wing


def test_the_pages_are_up_to_date() -> None:
    made = runpy.run_path(str(ROOT / "site" / "peers.py"))["documents"](ROOT / "docs")
    assert len(made) == 2
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, "run `make pages`"
