"""Terms joined by another mean than the arithmetic one."""

from collections.abc import Mapping

import torch
from torch import Tensor

from lossmith.core.weighting import Weighting
from lossmith.functional.checks import check


class GeometricMean(Weighting):
    r"""The geometric mean of the terms: no term's unit matters.

    .. math:: L = \Big( \prod_k L_k \Big)^{1/K}

    Terms must not be negative; one at 0 counts as the smallest positive number, so that gradients
    stay finite in exact arithmetic of the logarithm.

    Raises:
        ValueError: if a term is negative.

    Source: Chennupati et al., MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss
    Strategy for Multi-Task Learning (2019).

    >>> from lossmith import Hybrid, MAE, MSE
    >>> loss = Hybrid(a=MSE(), b=MAE(), weighting=GeometricMean())
    >>> loss.combine({"a": torch.tensor(4.0), "b": torch.tensor(1.0)})
    tensor(2.)
    """

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Return the geometric mean."""
        values = self.stacked(terms)
        check((values >= 0).all(), "GeometricMean needs terms that are not negative")
        return values.clamp(min=torch.finfo(values.dtype).tiny).log().mean().exp()
