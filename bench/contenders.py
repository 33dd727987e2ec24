"""What bench/speed.py measures: each case builds its contenders, forward and backward at once."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.nn import functional

import lossmith
from lossmith import core, find
from lossmith import functional as F
from peers import TORCH, agreed

Run = Callable[[], object]
Loss = Callable[[Tensor, Tensor], Tensor]
BLOCK = {"cpu": 2**21, "cuda": 2**28}  # products that the limit forms at a time


@dataclass(frozen=True)
class Case:
    """One row of a table: contenders by name; the first is lossmith's, "floor" the limit if any."""

    group: str
    name: str
    build: Callable[[], dict[str, Run]]
    memory: bool = False
    turns: int = 1  # into which a round of what takes microseconds is divided
    base: str = ""  # the contender that others are multiples of; the limit or lossmith's unless set
    exact: bool = False  # whether "torch eager" in float64 can tell how exact the others are


class Step:
    """A call that takes a value and its gradients."""

    def __init__(self, function: Callable[..., Tensor], *leaves: Tensor) -> None:
        self.function, self.leaves = function, leaves

    def __call__(self) -> None:  # noqa: D102
        for leaf in self.leaves:
            leaf.grad = None
        self.function(*self.leaves).backward()

    def outcome(self, dtype: torch.dtype | None = None) -> list[Tensor]:
        """Return value and gradients, of leaves of another dtype if one is given."""
        leaves = [leaf.detach().to(dtype or leaf.dtype).requires_grad_() for leaf in self.leaves]
        value = self.function(*leaves)
        return [value.detach(), *torch.autograd.grad(value, leaves)]


def linear_head(
    dtype: torch.dtype,
    rows: int = 4096,
    width: int = 512,
    classes: int = 32000,
    others: Callable[[Tensor, Step], dict[str, Callable[..., Tensor]]] = lambda *_: {},
):
    """Return the contenders of a head; others are made of its targets and torch eager."""
    input = torch.randn(rows, width).to(dtype).requires_grad_()
    head = (torch.randn(classes, width) / width**0.5).to(dtype).requires_grad_()
    target = torch.randint(classes, (rows,))

    def products() -> None:
        x, w = input.detach(), head.detach()
        memory, total = x.new_empty(1024, classes), torch.zeros_like(w)
        for rows in x.split(1024):
            logits = torch.mm(rows, w.T, out=memory[: len(rows)])
            logits @ w
            total.addmm_(logits.T, rows)

    def eager(x: Tensor, w: Tensor) -> Tensor:
        logits = functional.linear(x, w)
        return functional.cross_entropy(
            logits.to(torch.promote_types(x.dtype, torch.float32)), target
        )

    runs = {
        "lossmith": Step(lambda x, w: F.linear_cross_entropy(x, w, target).mean(), input, head),
        "floor": products,
        "torch eager": Step(eager, input, head),
    }
    if hasattr(functional, "linear_cross_entropy"):
        fused = functional.linear_cross_entropy
        runs["torch linear_cross_entropy"] = Step(lambda x, w: fused(x, w, target), input, head)
    more = others(target, runs["torch eager"])
    return runs | {name: Step(function, input, head) for name, function in more.items()}


def contrastive(name: str, rows: int, width: int = 128):
    first, second = (torch.randn(rows, width, requires_grad=True) for _ in range(2))
    loss = find()[name]()
    classes = torch.arange(2 * rows) // 4
    unit, cosine = functional.normalize, loss.temperature.item()  # what cosines are divided by

    def products() -> None:
        count = 2 * rows if name in ("nt_xent", "sup_con") else rows
        chunk = max(1, BLOCK[first.device.type] // count)  # rows at a time: what is fastest
        x = torch.randn(count, width, device=first.device)
        memory = x.new_empty(chunk, count)
        for part in x.split(chunk):
            scores = torch.mm(part, x.T, out=memory[: len(part)])
            scores @ x
            scores.T @ part

    def plain(a: Tensor, b: Tensor) -> Tensor:
        a, b = unit(a), unit(b)
        own = torch.arange(len(a), device=a.device)
        if name in ("nt_xent", "sup_con"):
            z = torch.cat([a, b])
            scores = (z @ z.T / cosine).fill_diagonal_(-1e9)
            if name == "nt_xent":
                return functional.cross_entropy(scores, torch.cat([own + len(a), own]))
            alike = (classes == classes[:, None]).fill_diagonal_(False)
            return -(scores.log_softmax(1) * alike).sum(1).div(alike.sum(1)).mean()
        scores = a @ b.T / cosine
        if name == "siglip":
            sign = 2 * torch.eye(len(a), device=a.device) - 1
            return -functional.logsigmoid(sign * (scores - 10)).sum(1).mean()
        both = functional.cross_entropy(scores, own) + functional.cross_entropy(scores.T, own)
        return both / 2

    def ours(a: Tensor, b: Tensor) -> Tensor:
        return loss(torch.cat([a, b]), classes) if name == "sup_con" else loss(a, b)

    runs = {
        "lossmith": Step(ours, first, second),
        "floor": products,
        "torch eager": Step(plain, first, second),
    }
    if name == "nt_xent" and find_spec("lightly"):
        from lightly.loss import NTXentLoss

        runs["lightly"] = Step(NTXentLoss(temperature=0.1), first, second)
    if name == "sup_con" and find_spec("pytorch_metric_learning") and rows <= 512:
        from pytorch_metric_learning.losses import SupConLoss

        peer = SupConLoss()
        together = (lambda a, b: peer(torch.cat([a, b]), classes), first, second)
        runs["pytorch-metric-learning"] = Step(*together)
    return runs


def pointwise(key: str, size: int, *, compiled: bool):
    kind = find()[key]
    loss = kind(**kind.card.example.arguments)
    width = loss.out_features
    rows = max(size // width, 1)
    input = torch.randn((rows, width) if width > 1 else (rows,)).requires_grad_()
    shown = torch.as_tensor(kind.card.example.target).flatten()
    target = shown[torch.randint(len(shown), (rows,))]
    if kind.card.target != "classes":
        target = target.float()

    def plain(x: Tensor) -> Tensor:
        values = loss.values(x, target)
        parts = [values] if isinstance(values, Tensor) else values.values()
        return sum(core.reduce(part) for part in parts)

    runs = {"lossmith": Step(lambda x: loss(x, target), input), "plain": Step(plain, input)}
    for name, peer in agreed(key, input[:1000], target[:1000], loss).items():
        runs[name] = Step(lambda x, peer=peer: peer(x, target), input)
    if compiled:
        own = copy.deepcopy(loss)
        own.compile()
        runs["loss.compile()"] = Step(lambda x: own(x, target), input)
        runs["torch.compile"] = Step(torch.compile(lambda x: loss(x, target)), input)
    return runs


def segmentation(key: str, side: int = 512, classes: int = 8):
    """One image, over which packages that sum over the batch and ours agree."""
    kind = find()[key]
    binary = kind.card.target != "classes"
    loss = kind() if binary else kind(classes=classes)
    input = torch.randn(1, side, side) if binary else torch.randn(1, classes, side, side)
    target = torch.randint(2 if binary else classes, (1, side, side))
    target = target.float() if binary else target
    others = agreed(key, input, target, loss)
    input.requires_grad_()
    return {
        name: Step(lambda x, run=run: run(x, target), input)
        for name, run in {"lossmith": loss, **others}.items()
    }


def many_classes(key: str, rows: int, classes: int) -> dict[str, Run]:
    """Return a loss of many classes, its peers, and cross-entropy on the same batch."""
    input, target = 2 * torch.randn(rows, classes), torch.randint(classes, (rows,))
    loss = find()[key]()
    others = agreed(key, input, target, loss) | {"cross-entropy": nn.CrossEntropyLoss()}
    input.requires_grad_()
    return {
        name: Step(lambda x, run=run: run(x, target), input)
        for name, run in {"lossmith": loss, **others}.items()
    }


def _of_values(rows: int) -> tuple[Tensor, Tensor]:
    return torch.randn(rows), torch.randn(rows)


def _of_counts(rows: int) -> tuple[Tensor, Tensor]:
    return torch.randn(rows), torch.poisson(torch.full((rows,), 3.0))


def _of_labels(rows: int) -> tuple[Tensor, Tensor]:
    return torch.randn(rows), torch.randint(2, (rows,)).float()


def _of_classes(rows: int) -> tuple[Tensor, Tensor]:
    return torch.randn(rows // 10, 10), torch.randint(10, (rows // 10,))


def _of_two(rows: int) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, 2), torch.randn(rows)


def _of_distributions(rows: int) -> tuple[Tensor, Tensor]:
    return torch.randn(rows // 10, 10), torch.randn(rows // 10, 10)


def standard() -> dict[str, tuple[Callable[[int], tuple[Tensor, Tensor]], Loss, Loss]]:
    """Return by name what makes a batch of so many numbers, our loss and torch's module.

    Torch's Gaussian takes a variance and its divergence log-probabilities, which are formed of the
    same head; its Poisson has the constant that ours has, by Stirling's series.
    """
    weights = torch.linspace(0.5, 2, 10)
    gaussian, poisson = nn.GaussianNLLLoss(full=True), nn.PoissonNLLLoss(full=True)
    nll, kl = nn.NLLLoss(), nn.KLDivLoss(reduction="batchmean", log_target=True)
    return {
        "MSE": (_of_values, lossmith.MSE(), nn.MSELoss()),
        "L1": (_of_values, lossmith.MAE(), nn.L1Loss()),
        "Huber": (_of_values, lossmith.Huber(), nn.HuberLoss()),
        "SmoothL1": (_of_values, lossmith.SmoothL1(), nn.SmoothL1Loss()),
        "cross-entropy": (_of_classes, lossmith.CrossEntropy(), nn.CrossEntropyLoss()),
        "cross-entropy, class weights": (
            _of_classes,
            lossmith.CrossEntropy(class_weight=weights),
            nn.CrossEntropyLoss(weight=weights),
        ),
        "cross-entropy, smoothed": (
            _of_classes,
            lossmith.CrossEntropy(label_smoothing=0.1),
            nn.CrossEntropyLoss(label_smoothing=0.1),
        ),
        "NLL of the softmax": (
            _of_classes,
            lossmith.CrossEntropy(),
            lambda x, y: nll(x.log_softmax(1), y),
        ),
        "BCE": (_of_labels, lossmith.BinaryCrossEntropy(), nn.BCEWithLogitsLoss()),
        "BCE, positive weight": (
            _of_labels,
            lossmith.BinaryCrossEntropy(positive_weight=3.0),
            nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0)),
        ),
        "Poisson": (_of_counts, lossmith.Poisson(), poisson),
        "Gaussian": (
            _of_two,
            lossmith.GaussianNLL(),
            lambda x, y: gaussian(x[:, 0], y, (x[:, 1].exp() + 1e-3).square()),
        ),
        "KL": (
            _of_distributions,
            lossmith.KL(),
            lambda x, y: kl(x.log_softmax(1), y.log_softmax(1)),
        ),
    }


def beside_torch(name: str, size: int) -> dict[str, Run]:
    """Return a standard loss and torch's module, called as they are called in training."""
    batch, ours, theirs = standard()[name]
    input, target = batch(size)
    input.requires_grad_()
    both = {"lossmith": ours, "torch": theirs}
    return {who: Step(lambda x, loss=loss: loss(x, target), input) for who, loss in both.items()}


LARGE = {"focal", "barron", "quantile", "pseudo_huber", "binary_focal", "gaussian_nll", *TORCH}
COMPILED = {"binary_focal", "barron", "quantile", "huber", "pseudo_huber", "binary_cross_entropy"}


def cases() -> Iterator[Case]:
    """Yield every case, the larger ones first."""
    for dtype in (torch.float32, torch.bfloat16):
        name = f"4,096 × 512 → 32,000, {str(dtype).removeprefix('torch.')}"
        yield Case("linear head", name, lambda d=dtype: linear_head(d), memory=True, exact=True)
    for name in ("nt_xent", "sup_con", "clip", "siglip"):
        twice = name in ("nt_xent", "sup_con")  # rows among themselves, both of a pair
        for pairs in (8192 if twice else 16384, 4096, 256):
            yield Case(
                "contrastive",
                f"{name}, {pairs:,} pairs × 128",
                lambda n=name, p=pairs: contrastive(n, p),
                memory=pairs > 1000,
                exact=pairs == 4096,
            )
    for key in ("jaccard", "tversky", "lovasz_softmax", "lovasz_hinge"):
        yield Case("segmentation", key, lambda k=key: segmentation(k))
    for rows in (1536, 256):
        for key in ("sparsemax", "entmax", "bi_tempered", "evidential_dirichlet"):
            yield Case(
                "500 classes",
                f"{key}, {rows:,} rows",
                lambda k=key, r=rows: many_classes(k, r, 500),
                turns=10,
            )
    for size in (10**3, 10**2):
        for name in standard():
            yield Case(
                f"beside torch, {size:,} numbers",
                name,
                lambda n=name, s=size: beside_torch(n, s),
                turns=40,
                base="torch",
            )
    keys = [
        key
        for key, kind in find().items()
        if kind.card.trains_head and kind.reduction == "mean" and "loss" not in kind.hyperparameters
    ]
    for size in (10**7, 10**6, 10**3):
        for key in keys if size < 10**7 else [key for key in keys if key in LARGE]:
            yield Case(
                f"{size:,} numbers",
                key,
                lambda k=key, s=size: pointwise(k, s, compiled=k in COMPILED and s == 10**7),
            )
