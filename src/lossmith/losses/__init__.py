"""Every loss of the catalogue; what is exported here is listed, documented and tested."""

from lossmith.losses.adaptive import Following, OnProbabilities, Tempered
from lossmith.losses.alignment import CTC
from lossmith.losses.angular import ArcFace, CosFace, SubCenterArcFace
from lossmith.losses.asymmetric import Asymmetric
from lossmith.losses.audio import ESR, SISDR, MultiResolutionSTFT
from lossmith.losses.autoencoder import (
    BernoulliELBO,
    BetaTC,
    FreeBits,
    GaussianELBO,
    VectorQuantisation,
)
from lossmith.losses.barron import AdaptiveBarron, Barron
from lossmith.losses.binary import BinaryCrossEntropy, BinaryFocal
from lossmith.losses.bootstrapping import HardBootstrapping, SoftBootstrapping
from lossmith.losses.boxes import CIoU, DIoU, GIoU, IoU
from lossmith.losses.classification import CrossEntropy, Focal, Poly
from lossmith.losses.contrastive import DCL, InfoNCE, MoCo, NTXent
from lossmith.losses.counts import Gamma, NegativeBinomial, Poisson, Tweedie
from lossmith.losses.critic import FeatureMatching, LeCam
from lossmith.losses.crps import EnsembleCRPS, GaussianCRPS, QuantileCRPS
from lossmith.losses.diffusion import Consistency, Denoising, FlowMatching
from lossmith.losses.distillation import DKD, RKD, AttentionTransfer, Distillation, Hint
from lossmith.losses.distilled import DINO, IBOT, NegativeCosine, SwAV
from lossmith.losses.divergence import (
    KL,
    JensenShannonDivergence,
    OrderedWasserstein,
    ReverseKL,
    TotalVariationDistance,
    Wasserstein1D,
)
from lossmith.losses.early_learning import EarlyLearning
from lossmith.losses.evidential import EvidentialDirichlet
from lossmith.losses.gan import (
    HingeGAN,
    LeastSquaresGAN,
    MinimaxGAN,
    NonSaturatingGAN,
    WassersteinGAN,
)
from lossmith.losses.gradient_penalty import DRAGAN, R1, R2, GradientPenalty
from lossmith.losses.hard import CVaR, SelfPaced, SuperLoss, Tilted
from lossmith.losses.histogram import HLGauss
from lossmith.losses.image import MSSSIM, SSIM, ImageTotalVariation, Perceptual
from lossmith.losses.imbalance import LDAM, BalancedSoftmax, ClassBalanced, LogitAdjusted
from lossmith.losses.language_image import CLIP, SigLIP
from lossmith.losses.likelihood import GaussianNLL, LaplaceNLL, StudentTNLL
from lossmith.losses.linear import LinearCrossEntropy
from lossmith.losses.margin import Hinge, MultiHinge
from lossmith.losses.masked import LatentPrediction, MaskedReconstruction
from lossmith.losses.metric import Contrastive, NPair, SupCon, Triplet
from lossmith.losses.multilabel import ZLPR, TwoWay
from lossmith.losses.noisy import (
    ActivePassive,
    GeneralizedCrossEntropy,
    JensenShannon,
    SymmetricCrossEntropy,
)
from lossmith.losses.ordinal import CORAL, CORN, SquaredEMD
from lossmith.losses.overlap import BinaryDice, BinaryJaccard, Dice, GeneralizedDice, Jaccard
from lossmith.losses.preference import DPO, IPO, KTO, ORPO, SimPO
from lossmith.losses.probabilistic import BetaNLL, EvidentialRegression, MixtureDensity
from lossmith.losses.proxies import ProxyAnchor, ProxyNCA
from lossmith.losses.quantile import Expectile, Quantile
from lossmith.losses.ranking import LambdaLoss, ListMLE, ListNet, MarginRanking, RankNet
from lossmith.losses.redundancy import BarlowTwins, KoLeo, SIGReg, VICReg
from lossmith.losses.regression import MAE, MSE, Huber, LogCosh, SmoothL1
from lossmith.losses.relative import MAPE, MSLE, SMAPE
from lossmith.losses.relativistic import R3GAN, RelativisticAverageGAN, RelativisticGAN
from lossmith.losses.robust import Cauchy, GemanMcClure, PseudoHuber, Tukey, Welsch
from lossmith.losses.sampled import SampledLinearCrossEntropy
from lossmith.losses.shapes import Boundary, ClDice, LovaszHinge, LovaszSoftmax
from lossmith.losses.similarity import Circle, MultiSimilarity
from lossmith.losses.smooth_rank import ApproxNDCG, SmoothAP
from lossmith.losses.smoothing import OnlineLabelSmoothing
from lossmith.losses.square import Brier, Square, Squentropy
from lossmith.losses.surrogates import AnyLoss, AUCMargin, SoftF1
from lossmith.losses.survival import Cox
from lossmith.losses.tempered import BiTempered, Entmax, Sparsemax
from lossmith.losses.text import Unlikelihood
from lossmith.losses.transfer import L2SP, MMD, DeepCORAL
from lossmith.losses.transformed import TransformedTarget
from lossmith.losses.transport import SinkhornDivergence
from lossmith.losses.tversky import BinaryFocalTversky, BinaryTversky, FocalTversky, Tversky

__all__ = [
    "CLIP",
    "CORAL",
    "CORN",
    "CTC",
    "DCL",
    "DINO",
    "DKD",
    "DPO",
    "DRAGAN",
    "ESR",
    "IBOT",
    "IPO",
    "KL",
    "KTO",
    "L2SP",
    "LDAM",
    "MAE",
    "MAPE",
    "MMD",
    "MSE",
    "MSLE",
    "MSSSIM",
    "ORPO",
    "R1",
    "R2",
    "R3GAN",
    "RKD",
    "SISDR",
    "SMAPE",
    "SSIM",
    "ZLPR",
    "AUCMargin",
    "ActivePassive",
    "AdaptiveBarron",
    "AnyLoss",
    "ApproxNDCG",
    "ArcFace",
    "Asymmetric",
    "AttentionTransfer",
    "BalancedSoftmax",
    "BarlowTwins",
    "Barron",
    "BernoulliELBO",
    "BetaNLL",
    "BetaTC",
    "BiTempered",
    "BinaryCrossEntropy",
    "BinaryDice",
    "BinaryFocal",
    "BinaryFocalTversky",
    "BinaryJaccard",
    "BinaryTversky",
    "Boundary",
    "Brier",
    "CIoU",
    "CVaR",
    "Cauchy",
    "Circle",
    "ClDice",
    "ClassBalanced",
    "Consistency",
    "Contrastive",
    "CosFace",
    "Cox",
    "CrossEntropy",
    "DIoU",
    "DeepCORAL",
    "Denoising",
    "Dice",
    "Distillation",
    "EarlyLearning",
    "EnsembleCRPS",
    "Entmax",
    "EvidentialDirichlet",
    "EvidentialRegression",
    "Expectile",
    "FeatureMatching",
    "FlowMatching",
    "Focal",
    "FocalTversky",
    "Following",
    "FreeBits",
    "GIoU",
    "Gamma",
    "GaussianCRPS",
    "GaussianELBO",
    "GaussianNLL",
    "GemanMcClure",
    "GeneralizedCrossEntropy",
    "GeneralizedDice",
    "GradientPenalty",
    "HLGauss",
    "HardBootstrapping",
    "Hinge",
    "HingeGAN",
    "Hint",
    "Huber",
    "ImageTotalVariation",
    "InfoNCE",
    "IoU",
    "Jaccard",
    "JensenShannon",
    "JensenShannonDivergence",
    "KoLeo",
    "LambdaLoss",
    "LaplaceNLL",
    "LatentPrediction",
    "LeCam",
    "LeastSquaresGAN",
    "LinearCrossEntropy",
    "ListMLE",
    "ListNet",
    "LogCosh",
    "LogitAdjusted",
    "LovaszHinge",
    "LovaszSoftmax",
    "MarginRanking",
    "MaskedReconstruction",
    "MinimaxGAN",
    "MixtureDensity",
    "MoCo",
    "MultiHinge",
    "MultiResolutionSTFT",
    "MultiSimilarity",
    "NPair",
    "NTXent",
    "NegativeBinomial",
    "NegativeCosine",
    "NonSaturatingGAN",
    "OnProbabilities",
    "OnlineLabelSmoothing",
    "OrderedWasserstein",
    "Perceptual",
    "Poisson",
    "Poly",
    "ProxyAnchor",
    "ProxyNCA",
    "PseudoHuber",
    "Quantile",
    "QuantileCRPS",
    "RankNet",
    "RelativisticAverageGAN",
    "RelativisticGAN",
    "ReverseKL",
    "SIGReg",
    "SampledLinearCrossEntropy",
    "SelfPaced",
    "SigLIP",
    "SimPO",
    "SinkhornDivergence",
    "SmoothAP",
    "SmoothL1",
    "SoftBootstrapping",
    "SoftF1",
    "Sparsemax",
    "Square",
    "SquaredEMD",
    "Squentropy",
    "StudentTNLL",
    "SubCenterArcFace",
    "SupCon",
    "SuperLoss",
    "SwAV",
    "SymmetricCrossEntropy",
    "Tempered",
    "Tilted",
    "TotalVariationDistance",
    "TransformedTarget",
    "Triplet",
    "Tukey",
    "Tversky",
    "Tweedie",
    "TwoWay",
    "Unlikelihood",
    "VICReg",
    "VectorQuantisation",
    "Wasserstein1D",
    "WassersteinGAN",
    "Welsch",
]
