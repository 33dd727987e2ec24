"""Losses of libraries of embeddings."""

from lossmith.catalogue.peers.peer import Peer

PYTORCH_METRIC_LEARNING = (
    Peer(
        "TripletMarginLoss",
        'Triplet(mining="all", squared=False)',
        'with `MeanReducer`; `mining="hardest"` is its `BatchHardMiner`, semi-hard, the default '
        "here, is not compared; the margin is 0.2, 0.05 there",
        held=True,
    ),
    Peer(
        "ContrastiveLoss",
        "Contrastive()",
        "half the mean of squares, as in the paper, without normalised embeddings",
        held=True,
    ),
    Peer(
        "MultiSimilarityLoss",
        "MultiSimilarity()",
        "with `base=1`, 0.5 there, and its own miner, which is part of the loss here",
        held=True,
    ),
    Peer("CircleLoss", "Circle()", "it averages over the anchors above 0", held=True),
    Peer(
        "NPairsLoss",
        "NPair()",
        "without normalised embeddings; anchors and positives are two tensors",
        held=True,
    ),
    Peer("NTXentLoss", "InfoNCE()", "of pairs; temperature 0.1, 0.07 there", held=True),
    Peer("SelfSupervisedLoss(NTXentLoss())", "NTXent()", "the two views are input and target"),
    Peer("SupConLoss", "SupCon()", "held to the authors' code instead"),
    Peer("ArcFaceLoss", "ArcFace()", "the margin is in radians, degrees there", held=True),
    Peer(
        "SubCenterArcFaceLoss",
        "SubCenterArcFace()",
        "the margin is in radians, degrees there",
        held=True,
    ),
    Peer("CosFaceLoss", "CosFace()", held=True),
    Peer(
        "NormalizedSoftmaxLoss",
        "CosFace(margin=0.0, scale=20.0)",
        "1 / `temperature` is `scale`",
    ),
    Peer("ProxyAnchorLoss", "ProxyAnchor()", "`margin` is `delta`", held=True),
    Peer(
        "ProxyNCALoss",
        "ProxyNCA(include_positive=True)",
        "`softmax_scale` is 1 / `temperature`",
        held=True,
    ),
    Peer("SphereFaceLoss", "SphereFace()", "with its scale at 1", held=True),
    Peer(
        "SoftTripleLoss",
        "SoftTriple()",
        "held to the authors' code; the centers' part is in the loss",
    ),
    Peer("LiftedStructureLoss", "LiftedStructured()", "without normalised embeddings", held=True),
    Peer(
        "TupletMarginLoss", "TupletMargin()", "the margin is in radians, degrees there", held=True
    ),
    Peer("MarginLoss", "MarginBased()", "without a miner; beta learned", held=True),
    Peer("FastAPLoss", "FastAP()", held=True),
    Peer(
        "SmoothAPLoss",
        "SmoothAP()",
        "here input is a list of scores a query, as cosines, and target their relevance",
    ),
    Peer("VICRegLoss", "VICReg()", "held to the authors' code instead"),
)

SENTENCE_TRANSFORMERS = (
    Peer(
        "MultipleNegativesRankingLoss",
        "InfoNCE(temperature=0.05)",
        "its `scale` is 1 / `temperature`; hard negatives are not taken",
        names=(
            "CachedMultipleNegativesRankingLoss",
            "multiple_negatives_ranking",
            "mnrl",
            "mnr",
            "in_batch_negatives",
            "simcse",
        ),
        same=True,
    ),
    Peer(
        "MultipleNegativesSymmetricRankingLoss",
        "CLIP()",
        "both directions; the temperature is learned, from 0.07 on, and fixed there, 0.05",
    ),
    Peer("CoSENTLoss", "CoSENT()", held=True),
    Peer("AnglELoss", "AnglE()", held=True),
    Peer(
        "MatryoshkaLoss",
        "Matryoshka(InfoNCE(temperature=0.05), dims=[64, 256, 768])",
        "`dims` is `matryoshka_dims`",
    ),
    Peer(
        "BatchAllTripletLoss",
        'Triplet(margin=5.0, mining="all", squared=False)',
        "here embeddings are put on the unit sphere",
    ),
    Peer(
        "BatchHardTripletLoss",
        'Triplet(margin=5.0, mining="hardest", squared=False)',
        "here embeddings are put on the unit sphere",
    ),
    Peer(
        "BatchSemiHardTripletLoss",
        "Triplet(margin=5.0, squared=False)",
        "here embeddings are put on the unit sphere",
    ),
    Peer(
        "CosineSimilarityLoss",
        "MSE()",
        "of cosines that you compute and grades; `CoSENT` and `AnglE` order pairs by their grade",
    ),
    Peer(
        "MarginMSELoss",
        "MSE()",
        "of margins: input is the student's score of the positive less that of the negative, "
        "target the teacher's",
    ),
    Peer("GISTEmbedLoss", differs="it has no peer here; see `InfoNCE`"),
)

LIGHTLY = (
    Peer("NegativeCosineSimilarity", "NegativeCosine()", same=True),
    Peer("NTXentLoss", "NTXent(temperature=0.5)", "0.5 is its default, 0.1 ours", same=True),
    Peer("IBOTPatchLoss", "IBOT()", "with its center at 0"),
    Peer("DINOLoss", "DINO()"),
    Peer(
        "SwaVLoss",
        "SwAV()",
        "here input is all cosines with the prototypes, views in dimension 1",
        held=True,
    ),
    Peer("DCLLoss", "DCL()", held=True),
    Peer("KoLeoLoss", "KoLeo()"),
)
