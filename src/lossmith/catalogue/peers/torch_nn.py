"""Losses of torch.nn."""

from lossmith.catalogue.peers.peer import Peer

TORCH = (
    Peer("L1Loss", "MAE()", names=("l1_loss", "l1"), same=True),
    Peer(
        "MSELoss",
        "MSE()",
        "`l2_loss` of tensorflow and optax is half a square: `0.5 * MSE()`, of tensorflow its sum",
        names=("mse_loss", "l2_loss", "l2"),
        same=True,
    ),
    Peer("HuberLoss", "Huber()", names=("huber_loss",), same=True),
    Peer(
        "SmoothL1Loss",
        "SmoothL1()",
        "`beta` is above 0; at 0 use MAE",
        names=("smooth_l1_loss",),
        same=True,
    ),
    Peer(
        "CrossEntropyLoss",
        "CrossEntropy()",
        "`weight` is `class_weight`; it weighs a row's whole value and its share of the mean, "
        "where torch weighs each class's term of a smoothed or soft target by itself and divides "
        "soft targets by N; soft targets sum to 1",
        names=("cross_entropy_loss", "ce_loss", "ce"),
        same=True,
    ),
    Peer(
        "BCEWithLogitsLoss",
        "BinaryCrossEntropy()",
        "`pos_weight` is `positive_weight`, one number for all columns; `weight` is an argument of"
        " the call, and the mean divides by its sum: with `denominator=target.numel()` by N, as "
        "torch",
        names=("binary_cross_entropy_with_logits", "bce_with_logits_loss", "bce_with_logits"),
        same=True,
    ),
    Peer(
        "MultiLabelSoftMarginLoss",
        "BinaryCrossEntropy()",
        "`weight`, one a class, is spread over the rows and passed in the call, with "
        "`denominator=target.numel()`",
        names=("multilabel_soft_margin_loss",),
        same=True,
    ),
    Peer(
        "BCELoss",
        "BinaryCrossEntropy()",
        "it reads probabilities; here input is the logits, so leave the model's sigmoid out",
        names=("bce_loss", "bce"),
    ),
    Peer(
        "NLLLoss",
        "CrossEntropy()",
        "it reads log-probabilities; here input is any logits, and log-probabilities are: their "
        "value is the same",
        names=("nll_loss", "nll"),
    ),
    Peer(
        "KLDivLoss",
        "KL()",
        "it reads log-probabilities and probabilities and divides its mean by N·C; here both are "
        "logits, target.log() say, and the mean is over rows, as torch's batchmean",
        names=("kl_div_loss", "kl_div"),
    ),
    Peer(
        "PoissonNLLLoss",
        "Poisson()",
        "it leaves log y! out; here the likelihood is full: the same gradient",
        names=("poisson_nll_loss", "poisson_nll"),
    ),
    Peer(
        "GaussianNLLLoss",
        "GaussianNLL()",
        "it reads a mean and a variance and leaves ½ log 2π out; here input is one head (N, 2) of "
        "the mean and the raw log-scale, and the likelihood is full",
        names=("gaussian_nll_loss",),
    ),
    Peer(
        "SoftMarginLoss",
        "BinaryCrossEntropy()",
        "its labels are −1 and 1; here they are 0 and 1, (target + 1) / 2: the same value",
        names=("soft_margin_loss",),
    ),
    Peer(
        "MultiMarginLoss",
        "MultiHinge()",
        "it sums over all wrong classes and divides by C; here the worst of them counts: the same "
        "for two classes but for the factor 2",
        names=("multi_margin_loss",),
    ),
    Peer(
        "MarginRankingLoss",
        "MarginRanking()",
        "it reads two scores and which is to be higher, with a margin of 0; here input and target "
        "are lists (N, L) of scores and relevance, with a margin of 1",
        names=("margin_ranking_loss",),
    ),
    Peer(
        "CTCLoss",
        "CTC()",
        "it reads log-probabilities (T, N, C) and divides each row by its length; here input is "
        "(N, T, C), target a dict of classes and lengths, and the mean is over rows",
        names=("ctc_loss",),
    ),
    Peer(
        "LinearCrossEntropyLoss",
        "LinearCrossEntropy()",
        "its head starts at random; here at 0: with the same `head.weight` the same value. "
        "`num_classes` is `classes`, `weight` is `class_weight`",
        names=("linear_cross_entropy_loss",),
    ),
    Peer(
        "AdaptiveLogSoftmaxWithLoss",
        "LinearCrossEntropy()",
        "it has clusters of rare classes; here the softmax is exact, the logits of all rows never "
        "in memory at once, and `SampledLinearCrossEntropy` is for a million classes",
    ),
    Peer(
        "TripletMarginLoss",
        "Triplet()",
        "it reads anchors, positives and negatives that you choose; here input is embeddings and "
        "target their classes, from which triplets are mined",
        names=("triplet_margin_loss",),
    ),
    Peer(
        "TripletMarginWithDistanceLoss",
        "Triplet()",
        "as TripletMarginLoss; the distance is Euclidean, squared or not",
        names=("triplet_margin_with_distance_loss",),
    ),
    Peer(
        "CosineEmbeddingLoss",
        "NegativeCosine()",
        "it draws pairs together or apart; here pairs come together alone, and the value is less "
        "by 1; `Contrastive`, `Circle` and others make pairs of both kinds from classes",
        names=("cosine_embedding_loss",),
    ),
    Peer(
        "HingeEmbeddingLoss",
        "Contrastive()",
        "it reads distances that you compute; here input is embeddings and target their classes, "
        "and distances are squared",
        names=("hinge_embedding_loss",),
    ),
    Peer(
        "MultiLabelMarginLoss",
        differs="it has no peer here; `ZLPR` and `TwoWay` rank all labels of a row above all "
        "others, and read labels of 0 and 1",
        names=("multilabel_margin_loss",),
    ),
)
