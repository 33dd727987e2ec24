"""Pure functions `(input, target, *, hyperparameters)` that return unreduced values.

Each module tells in `__all__` what of it is public; all of it is found here.
"""

from lossmith.functional.anomaly import *
from lossmith.functional.audio import *
from lossmith.functional.autoencoder import *
from lossmith.functional.binary.elementwise import *
from lossmith.functional.binary.harmonized import *
from lossmith.functional.binary.multilabel import *
from lossmith.functional.binary.pairs import *
from lossmith.functional.binary.unlabelled import *
from lossmith.functional.boxes import *
from lossmith.functional.classification.calibration import *
from lossmith.functional.classification.imbalance import *
from lossmith.functional.classification.linear import *
from lossmith.functional.classification.long_tail import *
from lossmith.functional.classification.multiclass import *
from lossmith.functional.classification.ordinal import *
from lossmith.functional.classification.tempered import *
from lossmith.functional.contrastive import *
from lossmith.functional.diffusion import *
from lossmith.functional.distillation import *
from lossmith.functional.distributional.likelihood import *
from lossmith.functional.distributional.quantiles import *
from lossmith.functional.distributional.samples import *
from lossmith.functional.distributional.scores import *
from lossmith.functional.divergence import *
from lossmith.functional.embeddings import *
from lossmith.functional.features import *
from lossmith.functional.gan.adversarial import *
from lossmith.functional.gan.gradient_penalty import *
from lossmith.functional.image import *
from lossmith.functional.means import *
from lossmith.functional.metric_learning.graded import *
from lossmith.functional.metric_learning.margins import *
from lossmith.functional.metric_learning.nested import *
from lossmith.functional.metric_learning.pairs import *
from lossmith.functional.metric_learning.proxies import *
from lossmith.functional.noisy.asymmetric import *
from lossmith.functional.noisy.robust import *
from lossmith.functional.noisy.smoothing import *
from lossmith.functional.noisy.transition import *
from lossmith.functional.probabilities import *
from lossmith.functional.ranking.items import *
from lossmith.functional.ranking.lists import *
from lossmith.functional.ranking.metrics import *
from lossmith.functional.ranking.pairs import *
from lossmith.functional.regression.counts import *
from lossmith.functional.regression.decisions import *
from lossmith.functional.regression.imbalance import *
from lossmith.functional.regression.point import *
from lossmith.functional.regression.robust import *
from lossmith.functional.regression.transformed import *
from lossmith.functional.segmentation.boundaries import *
from lossmith.functional.segmentation.masks import *
from lossmith.functional.segmentation.overlap import *
from lossmith.functional.segmentation.pixels import *
from lossmith.functional.segmentation.regions import *
from lossmith.functional.self_supervised.redundancy import *
from lossmith.functional.self_supervised.self_distillation import *
from lossmith.functional.series import *
from lossmith.functional.survival.continuous import *
from lossmith.functional.survival.grid import *
from lossmith.functional.text.completions import *
from lossmith.functional.text.pairs import *
from lossmith.functional.text.rewards import *
from lossmith.functional.text.tagging import *
from lossmith.functional.text.tokens import *
from lossmith.functional.transfer import *
from lossmith.functional.wrappers.groups import *
from lossmith.functional.wrappers.permutations import *
from lossmith.functional.wrappers.values import *

__all__ = [name for name, one in sorted(globals().items()) if callable(one) and name[0] != "_"]
