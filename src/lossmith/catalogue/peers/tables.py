"""Objectives of trees and linear models, and losses of times to events."""

from lossmith.catalogue.peers.peer import Peer

XGBOOST = (
    Peer("reg:squarederror", "0.5 * MSE()", names=("reg:linear",), same=True),
    Peer(
        "reg:squaredlogerror",
        "0.5 * MSLE()",
        "the same from 0 up; below, where its own values end at −1, ours goes on as the tangent",
    ),
    Peer(
        "reg:absoluteerror",
        "MAE()",
        "its gradient is rounded off near 0 in newer versions",
        same=True,
    ),
    Peer("reg:pseudohubererror", "PseudoHuber()", "`huber_slope` is `delta`", same=True),
    Peer("reg:expectileerror", "0.5 * Expectile()", "`expectile_alpha` is `level`"),
    Peer("reg:quantileerror", "Quantile()", "`quantile_alpha` is `level`"),
    Peer(
        "reg:logistic",
        "BinaryCrossEntropy()",
        names=("binary:logistic", "binary:logitraw"),
        same=True,
    ),
    Peer("binary:hinge", "Hinge()", same=True),
    Peer("count:poisson", "Poisson()", same=True),
    Peer(
        "reg:gamma",
        "Gamma()",
        "y/μ + log μ there, less by what the targets alone say here: the same gradient",
    ),
    Peer(
        "reg:tweedie",
        "Tweedie()",
        "`tweedie_variance_power` is `power`; less by what the targets alone say: the same "
        "gradient",
    ),
    Peer("multi:softprob", "CrossEntropy()", names=("multi:softmax",), same=True),
    Peer("rank:pairwise", "RankNet()", "lists are rows of input here, not groups of rows"),
    Peer(
        "rank:ndcg",
        'LambdaLoss(scheme="lambdarank")',
        "lists are rows of input here, not groups of rows",
    ),
    Peer(
        "rank:map",
        "SmoothAP()",
        "lists are rows of input here, not groups of rows; RankNet's pairs, weighed by what a swap "
        "changes, are trained there, a smooth metric here",
    ),
    Peer(
        "survival:cox",
        'Cox(ties="breslow")',
        "its censored times are below 0; here target is a dict of time and event",
    ),
    Peer(
        "survival:aft",
        "LogNormalAFT() or WeibullAFT() or LogLogisticAFT()",
        "by `aft_loss_distribution`, normal, extreme or logistic; its target is the bounds of "
        "each time, here a dict of time and event; the spread is learned",
    ),
)

LIGHTGBM = (
    Peer('objective="regression"', "0.5 * MSE()", same=True),
    Peer("regression_l1", "MAE()", same=True),
    Peer('objective="huber"', "Huber(delta=0.9)", "`alpha` is `delta`", same=True),
    Peer('objective="quantile"', "Quantile(level=0.9)", "`alpha` is `level`", same=True),
    Peer(
        'objective="poisson"',
        "Poisson()",
        "the factorial of the targets is in it here: the same gradient",
    ),
    Peer(
        'objective="gamma"',
        "Gamma()",
        "less by what the targets alone say here: the same gradient",
    ),
    Peer(
        'objective="tweedie"',
        "Tweedie()",
        "`tweedie_variance_power` is `power`; less by what the targets alone say: the same "
        "gradient",
    ),
    Peer('objective="mape"', "MAPE()", "it divides by max(1, |y|), here by |y|"),
    Peer(
        "fair",
        differs="it has no peer here; `PseudoHuber` and `LogCosh` are smooth and convex too",
        names=("fair_loss",),
    ),
    Peer('objective="binary"', "BinaryCrossEntropy()", "its `sigmoid` at 1", same=True),
    Peer('objective="multiclass"', "CrossEntropy()", same=True),
    Peer(
        "multiclassova",
        "BinaryCrossEntropy()",
        "of one-hot targets (N, C); it adds the classes up",
    ),
    Peer(
        "xentropy",
        "BinaryCrossEntropy()",
        "its targets may be any number from 0 to 1",
        same=True,
    ),
    Peer(
        "lambdarank",
        'LambdaLoss(scheme="lambdarank")',
        "lists are rows of input here, not groups of rows",
        names=("lambdamart",),
    ),
)

CATBOOST = (
    Peer(
        "PairLogit",
        "RankNet()",
        "of lists of items and their relevance, not of pairs that are given",
    ),
    Peer(
        "QuerySoftMax",
        "ListNet()",
        "it divides relevance by its sum, here by a softmax: `target.log()` says the same",
    ),
    Peer("YetiRank", "LambdaLoss()", "it draws orders at random, and weighs neighbours in them"),
    Peer("QueryRMSE", differs="it has no peer here; see `RankNet` and `ListNet`"),
    Peer("MultiClassOneVsAll", "BinaryCrossEntropy()", "of one-hot targets (N, C)"),
    Peer("MultiLogloss", "BinaryCrossEntropy()", names=("MultiCrossEntropy",), same=True),
    Peer(
        'loss_function="CrossEntropy"',
        "BinaryCrossEntropy()",
        "its targets may be any number from 0 to 1",
        same=True,
    ),
    Peer(
        "RMSEWithUncertainty",
        "GaussianNLL()",
        "input is one head (N, 2) of the mean and the raw log-scale",
    ),
)

SCIKIT_LEARN = (
    Peer("mean_absolute_error", "MAE()", names=("absolute_error",), same=True),
    Peer(
        "mean_squared_error",
        "MSE()",
        'as `loss="squared_error"` of an estimator it is half of this',
        names=("squared_error",),
        same=True,
    ),
    Peer(
        "mean_squared_log_error",
        "MSLE()",
        "the same for predictions from 0 up, at which it ends",
    ),
    Peer("mean_absolute_percentage_error", "MAPE()", "the same; a target of 0 is an error here"),
    Peer("mean_pinball_loss", "Quantile()", "`alpha` is `level`", same=True),
    Peer(
        "mean_poisson_deviance",
        "Poisson()",
        "it reads the mean, here its logarithm; half of it is less by what the targets alone say: "
        "the same minimiser",
    ),
    Peer(
        "mean_gamma_deviance",
        "Gamma()",
        "it reads the mean, here its logarithm, and is twice this",
    ),
    Peer(
        "mean_tweedie_deviance",
        "Tweedie()",
        "it reads the mean, here its logarithm, and is twice this; `power` is 1.5 here, 0 there",
    ),
    Peer(
        "log_loss",
        "BinaryCrossEntropy() or CrossEntropy()",
        "of one logit, or of one a class; it reads probabilities",
        names=("logloss",),
    ),
    Peer(
        "brier_score_loss",
        "Brier()",
        "of two classes it is half of this: that of the positive class alone",
        names=("brier_score",),
    ),
    Peer("hinge_loss", "Hinge() or MultiHinge()", "of one score, or of one a class"),
    Peer("modified_huber", differs="it has no peer here; see `Hinge` and `BinaryCrossEntropy`"),
    Peer(
        "epsilon_insensitive",
        differs="it has no peer here; `Huber` and `MAE` are near it",
        names=("svr", "squared_epsilon_insensitive"),
    ),
)

PYCOX = (
    Peer("CoxPHLoss", 'Cox(ties="breslow")'),
    Peer("NLLLogistiHazardLoss", "LogisticHazard()", names=("nnet_survival",), held=True),
    Peer("NLLPMFLoss", "PMF()", held=True),
    Peer("NLLMTLRLoss", "MTLR()", held=True),
    Peer("NLLPCHazardLoss", "PCHazard()", held=True),
    Peer("DeepHitSingleLoss", "DeepHit()", held=True),
    Peer("BCESurvLoss", "BCESurv()", held=True),
)
