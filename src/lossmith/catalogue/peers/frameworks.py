"""Losses of frameworks, and of libraries of sound and text."""

from lossmith.catalogue.peers.peer import Peer

KERAS = (
    Peer("MeanSquaredError", "MSE()", same=True),
    Peer("MeanAbsoluteError", "MAE()", same=True),
    Peer(
        "MeanAbsolutePercentageError",
        "100 * MAPE()",
        "a target of 0 is an error here",
        same=True,
    ),
    Peer(
        "MeanSquaredLogarithmicError",
        "MSLE()",
        "the same for predictions from 0 up; below it clips them, so that their gradient is 0",
    ),
    Peer("Huber", "Huber()", same=True),
    Peer("LogCosh", "LogCosh()", same=True),
    Peer(
        "BinaryCrossentropy",
        "BinaryCrossEntropy()",
        "it reads probabilities unless `from_logits=True`; here input is the logits: the same "
        "value",
    ),
    Peer(
        "CategoricalCrossentropy",
        "CrossEntropy()",
        "it reads probabilities unless `from_logits=True`; here input is the logits, classes in "
        "dimension 1; one-hot targets serve: the same value",
    ),
    Peer(
        "SparseCategoricalCrossentropy",
        "CrossEntropy()",
        "it reads probabilities unless `from_logits=True`; here input is the logits, classes in "
        "dimension 1: the same value; `ignore_class` is `ignore_index`",
    ),
    Peer(
        "BinaryFocalCrossentropy",
        "2 * BinaryFocal(alpha=0.5)",
        "it reads probabilities unless `from_logits=True`; here input is the logits; with "
        "`apply_class_balancing=True` it is `BinaryFocal()`",
    ),
    Peer(
        "CategoricalFocalCrossentropy",
        "0.25 * Focal()",
        "it reads probabilities unless `from_logits=True`; here input is the logits, classes in "
        "dimension 1 and integers; `alpha` of one number is the factor",
    ),
    Peer(
        "KLDivergence",
        "KL()",
        "it reads probabilities, the target's first; here both are logits: their logarithms serve",
    ),
    Peer(
        "Poisson",
        "Poisson()",
        "it reads the mean and leaves log y! out; here input is its logarithm, and the likelihood "
        "is full",
    ),
    Peer(
        "CosineSimilarity",
        "NegativeCosine()",
        names=("cosine_proximity", "cosine_loss"),
        same=True,
    ),
    Peer("Hinge", "Hinge()", "labels of 0 and 1; it takes −1 and 1 too", same=True),
    Peer(
        "SquaredHinge",
        differs="it has no peer here; `Hinge` is its root, and `BinaryCrossEntropy` is smooth too",
    ),
    Peer(
        "CategoricalHinge",
        "MultiHinge()",
        "classes are integers; the best rival counts from 0 up there",
    ),
    Peer(
        "Dice",
        "BinaryDice(squared=False) or Dice(squared=False)",
        "image by image, of logits; it sums over the batch, and over classes",
    ),
    Peer(
        "Tversky",
        "BinaryTversky(alpha=0.5, beta=0.5) or Tversky(alpha=0.5, beta=0.5)",
        "image by image, of logits; it sums over the batch, and over classes",
    ),
    Peer("Circle", "Circle()"),
    Peer("CTC", "CTC()"),
)

TENSORFLOW_ADDONS = (
    Peer(
        "SigmoidFocalCrossEntropy",
        "BinaryFocal()",
        "it reads probabilities unless `from_logits=True`; here input is the logits; it adds up "
        "the last dimension and has no mean",
    ),
    Peer("PinballLoss", "Quantile()", "`tau` is `level`", same=True),
    Peer("TripletSemiHardLoss", "Triplet(margin=1.0, squared=False)"),
    Peer("TripletHardLoss", 'Triplet(margin=1.0, mining="hardest", squared=False)'),
    Peer(
        "ContrastiveLoss",
        "Contrastive()",
        "it reads distances that you compute; here input is embeddings and target their classes",
    ),
    Peer("NpairsLoss", "NPair()"),
    Peer("GIoULoss", "GIoU()", "its boxes are y1, x1, y2, x2: the same value"),
    Peer("WeightedKappaLoss", "WeightedKappa()", "its logarithm: the same minimiser"),
    Peer("SparsemaxLoss", "Sparsemax()", "classes are integers, one-hot there"),
)

FASTAI = (
    Peer(
        "CrossEntropyLossFlat",
        "CrossEntropy()",
        "classes are in dimension 1, in the last one there",
    ),
    Peer("BCEWithLogitsLossFlat", "BinaryCrossEntropy()", same=True),
    Peer("MSELossFlat", "MSE()", same=True),
    Peer("L1LossFlat", "MAE()", same=True),
    Peer("FocalLossFlat", "Focal()", "classes are in dimension 1, in the last one there"),
    Peer(
        "LabelSmoothingCrossEntropyFlat",
        "CrossEntropy(label_smoothing=0.1)",
        "classes are in dimension 1, in the last one there",
    ),
)

TIMM = (
    Peer(
        "LabelSmoothingCrossEntropy",
        "CrossEntropy(label_smoothing=0.1)",
        names=("label_smoothing", "smoothed_cross_entropy"),
        same=True,
    ),
    Peer("SoftTargetCrossEntropy", "CrossEntropy()", "targets are probabilities", same=True),
    Peer(
        "AsymmetricLossMultiLabel",
        "Asymmetric()",
        "it is the sum, here the mean",
        names=("asl",),
    ),
    Peer(
        "BinaryCrossEntropy",
        "BinaryCrossEntropy()",
        "of one-hot targets (N, C); it smooths them by 0.1 unless told otherwise",
    ),
    Peer(
        "JsdCrossEntropy",
        differs="it has no peer here: `JensenShannonDivergence` is of two views, its own of three",
    ),
)

OPTAX = (
    Peer(
        "softmax_cross_entropy",
        "CrossEntropy()",
        "its mean over rows; targets are probabilities or integers",
        names=(
            "softmax_cross_entropy_with_integer_labels",
            "softmax_cross_entropy_with_logits",
            "sparse_softmax_cross_entropy_with_logits",
        ),
        same=True,
    ),
    Peer(
        "sigmoid_binary_cross_entropy",
        "BinaryCrossEntropy()",
        "its mean",
        names=("sigmoid_cross_entropy", "sigmoid_cross_entropy_with_logits"),
        same=True,
    ),
    Peer(
        "sigmoid_focal_loss",
        "2 * BinaryFocal(alpha=0.5)",
        "its mean; its `alpha` is none unless given",
        same=True,
    ),
    Peer("poly_loss_cross_entropy", "Poly1()", "its mean over rows", same=True),
    Peer("cosine_distance", "NegativeCosine()", "this plus 1: the same gradient"),
    Peer(
        "convex_kl_divergence",
        "KL()",
        "it reads log-probabilities and probabilities, here both are logits",
    ),
    Peer("squared_error", "MSE()", "its mean", same=True),
    Peer("cosine_similarity", "NegativeCosine()", "this is its negative"),
)

AURALOSS = (
    Peer("STFTLoss", "MultiResolutionSTFT(fft_sizes=[1024], hops=[256], windows=[1024])"),
    Peer("MultiResolutionSTFTLoss", "MultiResolutionSTFT()", held=True),
    Peer("MelSTFTLoss", "MelSTFT()", held=True),
    Peer("ESRLoss", "ESR()", held=True),
    Peer("SISDRLoss", "SISDR()", held=True),
    Peer("SNRLoss", differs="it has no peer here; see `SISDR` and `ESR`"),
)

TRL = (
    Peer("bco_pair", "BCO()"),
    Peer("exo_pair", "EXO()", held=True),
    Peer("sppo_hard", "SPPO()", held=True),
    Peer("apo_zero", "APO()", held=True),
    Peer("apo_down", 'APO(anchor="down")', held=True),
    Peer("nca_pair", differs="it has no peer here; see `BCO` and `KTO`"),
    Peer('loss_type="sigmoid"', "DPO()"),
    Peer(
        'loss_type="ipo"',
        "IPO()",
        "`beta` is `tau`; log-probabilities are averaged over tokens there",
    ),
    Peer('loss_type="robust"', "RobustDPO()", "`label_smoothing` is `flipped`"),
    Peer(
        "grpo",
        "GRPO()",
        "its `beta` is 0: give no reference",
    ),
    Peer(
        "dapo",
        'GRPO(average="token")',
        "its `beta` is 0: give no reference; the paper has `epsilon_high=0.28`; `denominator` is "
        "the tokens of all parts of a batch",
        names=("bnpo",),
    ),
    Peer(
        "dr_grpo",
        'GRPO(average="length")',
        "its `beta` is 0: give no reference; `max_length` is its `max_completion_length`",
    ),
    Peer(
        "cispo",
        differs="it has no peer here; `GRPO` clips the ratio with the advantage, not by itself",
    ),
    Peer(
        'loss_type="hinge"',
        differs="it has no peer here; `DPO` is its smooth form, `IPO` its squared one",
        names=("slic", "slic_hf"),
    ),
    Peer("aot", differs="it has no peer here; see `DPO`", names=("aot_pair", "aot_unpaired")),
    Peer("cdpo", "DPO(label_smoothing=0.1)", "DPO with smoothed labels"),
)
