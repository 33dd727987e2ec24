"""Losses of libraries of images."""

from lossmith.catalogue.peers.peer import Peer

MONAI = (
    Peer(
        "DiceLoss(softmax=True, to_onehot_y=True)",
        "Dice()",
        "`squared` is `squared_pred`, and True by default",
        held=True,
    ),
    Peer(
        "DiceLoss(sigmoid=True)",
        "BinaryDice()",
        "`squared` is `squared_pred`, and True by default",
        held=True,
    ),
    Peer(
        "DiceLoss(jaccard=True)",
        "Jaccard() or BinaryJaccard()",
        "its smoothing is twice ours",
        held=True,
    ),
    Peer(
        "GeneralizedDiceLoss(softmax=True, to_onehot_y=True)",
        "GeneralizedDice()",
        "with its smoothing at 0",
        held=True,
    ),
    Peer(
        "TverskyLoss(softmax=True, to_onehot_y=True)",
        "Tversky(alpha=0.5, beta=0.5)",
        "these are its defaults, 0.3 and 0.7, the paper's, ours",
        held=True,
    ),
    Peer(
        "TverskyLoss(sigmoid=True)",
        "BinaryTversky(alpha=0.5, beta=0.5)",
        "these are its defaults, 0.3 and 0.7, the paper's, ours",
        held=True,
    ),
    Peer("DiceCELoss", "CrossEntropy() + Dice()"),
    Peer("DiceFocalLoss", "Focal() + Dice()"),
    Peer("GeneralizedDiceFocalLoss", "Focal() + GeneralizedDice()"),
    Peer("FocalLoss(use_softmax=True)", "Focal()", "it averages over classes as well"),
    Peer("FocalLoss()", "BinaryFocal()", "`alpha` is 0.25 here, the paper's, and none there"),
    Peer(
        "SoftclDiceLoss",
        "ClDice()",
        "10 iterations, 3 there, where probabilities are read and the target comes first",
    ),
    Peer("SoftDiceclDiceLoss", "0.5 * BinaryDice() + 0.5 * ClDice()", "`alpha` is ClDice's factor"),
    Peer("BarlowTwinsLoss", "BarlowTwins()", "`lambd` is `off_diagonal`"),
    Peer("ContrastiveLoss", "NTXent()", "temperature 0.1, 0.5 there"),
    Peer("SSIMLoss", "SSIM()", "images of two dimensions"),
    Peer("LocalNormalizedCrossCorrelationLoss", "NCC()", "`window` is `kernel_size`, 3 there"),
    Peer("GlobalMutualInformationLoss", "MutualInformation()"),
    Peer(
        "PerceptualLoss",
        "Perceptual()",
        "it reads features, which a network of yours makes: nothing is downloaded",
    ),
    Peer("PatchAdversarialLoss", "LeastSquaresGAN() or HingeGAN()", "one loss a criterion"),
    Peer(
        "GeneralizedWassersteinDiceLoss(distances)",
        "GeneralizedWassersteinDice()",
        "distances are divided by their largest; `for_target` takes all as 1",
        held=True,
    ),
    Peer(
        "HausdorffDTLoss(include_background=True, softmax=True, to_onehot_y=True)",
        "HausdorffDT()",
        "all classes count",
        held=True,
    ),
    Peer("HausdorffDTLoss(sigmoid=True)", "BinaryHausdorffDT()", held=True),
    Peer("NACLLoss", "NACL()", "with ignored pixels left out", held=True),
    Peer(
        "AsymmetricUnifiedFocalLoss",
        "UnifiedFocal()",
        "MONAI 1.6.1 halves its cross-entropy, as the authors do not: held to the version before",
        held=True,
    ),
    Peer("BoxGIoULoss", "GIoU()"),
)

SMP = (
    Peer(
        'JaccardLoss("multiclass")',
        "Jaccard()",
        "image by image; it sums over the batch and drops classes that are absent",
        held=True,
    ),
    Peer('JaccardLoss("binary")', "BinaryJaccard()", "image by image; it sums over the batch"),
    Peer(
        'TverskyLoss("binary", gamma=…)',
        "BinaryFocalTversky()",
        "image by image; its exponent is 1/gamma here",
        held=True,
    ),
    Peer('DiceLoss("multiclass")', "Dice(squared=False)", "image by image; it sums over the batch"),
    Peer(
        'DiceLoss("binary")',
        "BinaryDice(squared=False)",
        "image by image; it sums over the batch",
    ),
    Peer('FocalLoss("multiclass")', "Focal()", "it treats each class as a label of its own"),
    Peer(
        'FocalLoss("binary")',
        "BinaryFocal()",
        "`alpha` is 0.25 here, the paper's, and none there",
    ),
    Peer('LovaszLoss("multiclass")', "LovaszSoftmax()", "per image, as `per_image=True`"),
    Peer('LovaszLoss("binary")', "LovaszHinge()", "per image, as `per_image=True`"),
    Peer(
        "SoftBCEWithLogitsLoss",
        "BinaryCrossEntropy()",
        "ignored pixels have weight 0 in the call",
    ),
    Peer("SoftCrossEntropyLoss", "CrossEntropy()", "`smooth_factor` is `label_smoothing`"),
    Peer(
        "MCCLoss",
        "MCC()",
        "image by image, as the authors' code, to which it is held; it counts the whole batch",
    ),
)

KORNIA = (
    Peer("CharbonnierLoss", "PseudoHuber()", "its √(r² + 1) − 1 is this at `delta` 1", same=True),
    Peer("CauchyLoss", "Cauchy()", same=True),
    Peer("WelschLoss", "Welsch()", same=True),
    Peer("GemanMcclureLoss", "GemanMcClure()", same=True),
    Peer(
        "FocalLoss",
        "Focal()",
        "its mean is over classes too; its `alpha` is for all but class 0, which has 1 − `alpha`",
        held=True,
    ),
    Peer("BinaryFocalLossWithLogits", "BinaryFocal()", "`alpha` is 0.25 here, the paper's"),
    Peer("DiceLoss", "Dice(squared=False)", 'as `average="macro"`'),
    Peer(
        "TverskyLoss",
        "Tversky()",
        "`alpha` and `beta` have no defaults there, and classes are counted together",
    ),
    Peer("LovaszSoftmaxLoss", "LovaszSoftmax()"),
    Peer("LovaszHingeLoss", "LovaszHinge()"),
    Peer("SSIMLoss", "0.5 * SSIM()", "half of 1 − SSIM; images are padded there"),
    Peer(
        "MS_SSIMLoss",
        "195 * MAE() + 5 * MSSSIM()",
        "its `alpha` is MSSSIM's share, 0.025, and 200 the factor of both; it smooths the absolute "
        "error, and no scale is a smaller image",
    ),
    Peer("InverseDepthSmoothnessLoss", "EdgeAwareSmoothness()"),
    Peer("PSNRLoss", "MSE()", "its logarithm, in decibels: the same minimiser"),
    Peer(
        "TotalVariation",
        "ImageTotalVariation(isotropic=False)",
        "it sums over an image; here that is divided by its pixels",
        held=True,
    ),
)

TORCHVISION = (
    Peer("sigmoid_focal_loss", "BinaryFocal()", same=True),
    Peer(
        "generalized_box_iou_loss",
        "GIoU()",
        names=("generalized_iou", "generalized_box_iou"),
        same=True,
    ),
    Peer("distance_box_iou_loss", "DIoU()", names=("distance_iou", "distance_box_iou"), same=True),
    Peer("complete_box_iou_loss", "CIoU()", names=("complete_iou", "complete_box_iou"), same=True),
)

MMDET = (
    Peer(
        "FocalLoss",
        "BinaryFocal()",
        "its sum is divided by the number of positives: pass that as `denominator`",
    ),
    Peer("QualityFocalLoss", "QualityFocal()", held=True),
    Peer("DistributionFocalLoss", "DistributionFocal()", held=True),
    Peer("VarifocalLoss", "Varifocal()", held=True),
    Peer("GaussianFocalLoss", "GaussianFocal()", "here input is the logits", held=True),
    Peer("GHMC", "GHMC()", "without its running count of bins", held=True),
    Peer("GHMR", "GHMR()", "without its running count of bins", held=True),
    Peer("SeesawLoss", "Seesaw()"),
    Peer("EQLV2Loss", "EqualizationV2()"),
    Peer("IoULoss", "IoU()", 'its mode is the logarithm, −log IoU, unless it is "linear": this'),
    Peer("GIoULoss", "GIoU()"),
    Peer("DIoULoss", "DIoU()"),
    Peer("CIoULoss", "CIoU()", "its third term is 0 where boxes overlap by half or less"),
    Peer("EIoULoss", "EIoU()", "it squares near 0, by `smooth_point`"),
    Peer("SIoULoss", "SIoU()", held=True),
    Peer(
        "BalancedL1Loss",
        differs="it has no peer here; `SmoothL1` and `GHMR` hold outliers down as well",
    ),
    Peer(
        "KnowledgeDistillationKLDivLoss",
        "Distillation(alpha=1.0)",
        "`T` is `temperature`, 10 there, and it divides by the classes",
    ),
)
