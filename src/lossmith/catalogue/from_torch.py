"""What torch calls its losses and what they are here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """A loss of torch.nn and the loss here that is nearest to it.

    `names` are what else it is called: torch's function, and its common short names. `key` is
    empty where there is no such loss here. `same` says that torch's defaults give the same value
    for the same input and target; `differs` says in what they differ otherwise.
    """

    torch: str
    names: tuple[str, ...]
    key: str
    same: bool
    differs: str = ""

    def hint(self, found: str) -> str:
        """Return in one line what to ask for instead, by the name found, and in what it differs."""
        asked = f"did you mean {found}? " if found else ""
        return f"{asked}torch's {self.torch}: {self.differs}" if self.differs else asked.strip()


PEERS = (
    Peer("L1Loss", ("l1_loss", "l1"), "mae", True),
    Peer("MSELoss", ("mse_loss", "l2_loss", "l2"), "mse", True),
    Peer("HuberLoss", ("huber_loss",), "huber", True),
    Peer("SmoothL1Loss", ("smooth_l1_loss",), "smooth_l1", True, "`beta` is above 0; at 0 use MAE"),
    Peer(
        "CrossEntropyLoss",
        ("cross_entropy_loss", "ce_loss", "ce"),
        "cross_entropy",
        True,
        "`weight` is `class_weight`; it weighs a row's whole value and its share of the mean, "
        "where torch weighs each class's term of a smoothed or soft target by itself and divides "
        "soft targets by N; soft targets sum to 1",
    ),
    Peer(
        "BCEWithLogitsLoss",
        ("binary_cross_entropy_with_logits", "bce_with_logits_loss", "bce_with_logits"),
        "binary_cross_entropy",
        True,
        "`pos_weight` is `positive_weight`, one number for all columns; `weight` is an argument of "
        "the call, and the mean divides by its sum: with `denominator=target.numel()` by N, as "
        "torch",
    ),
    Peer(
        "MultiLabelSoftMarginLoss",
        ("multilabel_soft_margin_loss",),
        "binary_cross_entropy",
        True,
        "`weight`, one a class, is spread over the rows and passed in the call, with "
        "`denominator=target.numel()`",
    ),
    Peer(
        "BCELoss",
        ("bce_loss", "bce"),
        "binary_cross_entropy",
        False,
        "it reads probabilities; here input is the logits, so leave the model's sigmoid out",
    ),
    Peer(
        "NLLLoss",
        ("nll_loss", "nll"),
        "cross_entropy",
        False,
        "it reads log-probabilities; here input is any logits, and log-probabilities are: their "
        "value is the same",
    ),
    Peer(
        "KLDivLoss",
        ("kl_div_loss", "kl_div"),
        "kl",
        False,
        "it reads log-probabilities and probabilities and divides its mean by N·C; here both are "
        "logits, target.log() say, and the mean is over rows, as torch's batchmean",
    ),
    Peer(
        "PoissonNLLLoss",
        ("poisson_nll_loss", "poisson_nll"),
        "poisson",
        False,
        "it leaves log y! out; here the likelihood is full: the same gradient",
    ),
    Peer(
        "GaussianNLLLoss",
        ("gaussian_nll_loss",),
        "gaussian_nll",
        False,
        "it reads a mean and a variance and leaves ½ log 2π out; here input is one head (N, 2) of "
        "the mean and the raw log-scale, and the likelihood is full",
    ),
    Peer(
        "SoftMarginLoss",
        ("soft_margin_loss",),
        "binary_cross_entropy",
        False,
        "its labels are −1 and 1; here they are 0 and 1, (target + 1) / 2: the same value",
    ),
    Peer(
        "MultiMarginLoss",
        ("multi_margin_loss",),
        "multi_hinge",
        False,
        "it sums over all wrong classes and divides by C; here the worst of them counts: the same "
        "for two classes but for the factor 2",
    ),
    Peer(
        "MarginRankingLoss",
        ("margin_ranking_loss",),
        "margin_ranking",
        False,
        "it reads two scores and which is to be higher, with a margin of 0; here input and target "
        "are lists (N, L) of scores and relevance, with a margin of 1",
    ),
    Peer(
        "CTCLoss",
        ("ctc_loss",),
        "ctc",
        False,
        "it reads log-probabilities (T, N, C) and divides each row by its length; here input is "
        "(N, T, C), target a dict of classes and lengths, and the mean is over rows",
    ),
    Peer(
        "LinearCrossEntropyLoss",
        ("linear_cross_entropy_loss",),
        "linear_cross_entropy",
        False,
        "its head starts at random; here at 0: with the same `head.weight` the same value. "
        "`num_classes` is `classes`, `weight` is `class_weight`",
    ),
    Peer(
        "AdaptiveLogSoftmaxWithLoss",
        (),
        "linear_cross_entropy",
        False,
        "it has clusters of rare classes; here the softmax is exact, the logits of all rows never "
        "in memory at once, and `SampledLinearCrossEntropy` is for a million classes",
    ),
    Peer(
        "TripletMarginLoss",
        ("triplet_margin_loss",),
        "triplet",
        False,
        "it reads anchors, positives and negatives that you choose; here input is embeddings and "
        "target their classes, from which triplets are mined, on the unit sphere",
    ),
    Peer(
        "TripletMarginWithDistanceLoss",
        ("triplet_margin_with_distance_loss",),
        "triplet",
        False,
        "as TripletMarginLoss; the distance is Euclidean, squared or not",
    ),
    Peer(
        "CosineEmbeddingLoss",
        ("cosine_embedding_loss",),
        "negative_cosine",
        False,
        "it draws pairs together or apart; here pairs come together alone, and the value is less "
        "by 1; `Contrastive`, `Circle` and others make pairs of both kinds from classes",
    ),
    Peer(
        "HingeEmbeddingLoss",
        ("hinge_embedding_loss",),
        "contrastive",
        False,
        "it reads distances that you compute; here input is embeddings and target their classes, "
        "and distances are squared",
    ),
    Peer(
        "MultiLabelMarginLoss",
        ("multilabel_margin_loss",),
        "",
        False,
        "it has no peer here; `ZLPR` and `TwoWay` rank all labels of a row above all others, and "
        "read labels of 0 and 1",
    ),
)

_BY_NAME = {name: peer for peer in PEERS for name in (peer.torch, *peer.names)}


def peer_of(name: str) -> Peer | None:
    """Return the loss of torch that a name means, by its class, its function or a short name."""
    return _BY_NAME.get(name)


def own_key(name: str) -> str:
    """Return the key of the same loss here where torch's name is given, else the name.

    >>> own_key("BCEWithLogitsLoss"), own_key("bce")
    ('binary_cross_entropy', 'bce')
    """
    peer = peer_of(name)
    return peer.key if peer is not None and peer.same else name
