"""Adversarial losses of a discriminator's scores, unreduced: one value a score, by name.

`input` holds the scores "real" and "fake" of paired rows; on the generator's side "real" may be
left out where the loss does not compare the two. `side` says whose loss it is.
"""

from collections.abc import Mapping

from torch import Tensor
from torch.nn.functional import softplus

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    flat_rows,
    promote,
    same_rows,
    same_shape,
)
from lossmith.functional.gan.gradient_penalty import zero_centred_penalty

__all__ = [
    "feature_matching",
    "hinge_gan",
    "le_cam",
    "least_squares_gan",
    "minimax_gan",
    "non_saturating_gan",
    "r3gan",
    "relativistic_average_gan",
    "relativistic_gan",
    "same_scores",
    "wasserstein_gan",
]

Scores = Mapping[str, Tensor]


def minimax_gan(input: Scores, *, side: str) -> dict[str, Tensor]:
    """Return −log σ(real) and −log σ(−fake); log σ(−fake) for the generator (Goodfellow, 2014)."""
    scores = _scores(input, side)
    if side == "generator":
        return {"fake": -softplus(scores["fake"])}
    return {"real": softplus(-scores["real"]), "fake": softplus(scores["fake"])}


def non_saturating_gan(input: Scores, *, side: str) -> dict[str, Tensor]:
    """Return what `minimax_gan` does; −log σ(fake) for the generator (Goodfellow, 2014)."""
    if side == "generator":
        return {"fake": softplus(-_scores(input, side)["fake"])}
    return minimax_gan(input, side=side)


def least_squares_gan(
    input: Scores,
    *,
    side: str,
    a: Tensor | float = 0.0,
    b: Tensor | float = 1.0,
    c: Tensor | float = 1.0,
) -> dict[str, Tensor]:
    """Return (real − b)²/2 and (fake − a)²/2; (fake − c)²/2 for the generator (Mao, 2017)."""
    scores = _scores(input, side)
    fake, aim = scores["fake"], as_scalar_or_tensor(c if side == "generator" else a, scores["fake"])
    values = {"fake": (fake - aim).square() / 2}
    if side == "generator":
        return values
    return {"real": (scores["real"] - as_scalar_or_tensor(b, fake)).square() / 2, **values}


def hinge_gan(input: Scores, *, side: str) -> dict[str, Tensor]:
    """Return max(0, 1 − real), max(0, 1 + fake); −fake for the generator (Lim & Ye, 2017)."""
    scores = _scores(input, side)
    if side == "generator":
        return {"fake": -scores["fake"]}
    return {"real": (1 - scores["real"]).relu(), "fake": (1 + scores["fake"]).relu()}


def wasserstein_gan(input: Scores, *, side: str) -> Tensor:
    """Return fake − real; −fake for the generator (Arjovsky et al., 2017)."""
    scores = _scores(input, side)
    return -scores["fake"] if side == "generator" else scores["fake"] - scores["real"]


def relativistic_gan(input: Scores, *, side: str) -> Tensor:
    """Return −log σ(real − fake), or the reverse for the generator (Jolicoeur-Martineau, 2018)."""
    scores = _scores(input, "discriminator")
    gap = scores["real"] - scores["fake"]
    return softplus(-gap if side == "discriminator" else gap)


def relativistic_average_gan(
    input: Scores, *, means: Scores, side: str, form: str
) -> dict[str, Tensor]:
    """Return each score against the other side's mean (Jolicoeur-Martineau, 2018)."""
    scores = _scores(input, "discriminator")
    sign = 1 if side == "discriminator" else -1
    real, fake = scores["real"] - means["fake"], scores["fake"] - means["real"]
    return {"real": _confident(sign * real, form), "fake": _confident(-sign * fake, form)}


def le_cam(
    input: Scores, *, anchors: Mapping[str, Tensor], one_sided: bool = False
) -> dict[str, Tensor]:
    """Return (real − α_fake)² and (fake − α_real)² of moving averages α (Tseng et al., 2021)."""
    scores = _scores(input, "discriminator")
    above = scores["real"] - as_scalar_or_tensor(anchors["fake"], scores["real"])
    below = as_scalar_or_tensor(anchors["real"], scores["fake"]) - scores["fake"]
    if one_sided:
        above, below = above.relu(), below.relu()
    return {"real": above.square(), "fake": below.square()}


def feature_matching(input: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Return ‖mean of input's rows − mean of target's rows‖² (Salimans et al., 2016)."""
    input, target = same_shape(input, target)
    gap = flat_rows(input - target, dims=2)
    if weight is None:
        return (gap.sum(0) / max(gap.shape[0], 1)).square().sum()
    if weight.shape != gap.shape[:1]:
        raise ValueError(
            f"weight has shape {tuple(weight.shape)}; give one weight a row {tuple(gap.shape[:1])}"
        )
    share = weight.to(gap.dtype)
    mass = share.sum()
    share = share / mass.where(mass != 0, mass.new_ones(()))
    return (gap * share.unsqueeze(1)).sum(0).square().sum()


def r3gan(input: Scores, *, side: str, gamma: Tensor | float = 1.0) -> dict[str, Tensor]:
    """Return the relativistic value, and for the discriminator R1 and R2 (Huang et al., 2024).

    The gradients are "real_gradient" and "fake_gradient"; the generator needs none.
    """
    named = same_rows({name: promote(part) for name, part in input.items()})
    pair = {"real": named["real"], "fake": named["fake"]}
    values = {"adversarial": relativistic_gan(pair, side=side)}
    if side == "generator":
        return values
    if len(named) < 4:
        raise ValueError(
            "input must hold 'real_gradient' and 'fake_gradient' for the discriminator's side"
        )
    for name, which in (("r1", "real_gradient"), ("r2", "fake_gradient")):
        values[name] = zero_centred_penalty(named[which], gamma=gamma)
    return values


def same_scores(input: Scores) -> dict[str, Tensor]:
    """Check that real and fake scores have one shape and return them in the computing dtype."""
    return _scores(input, "discriminator")


def _confident(margin: Tensor, form: str) -> Tensor:
    if form == "least_squares":
        return (margin - 1).square()
    return (1 - margin).relu() if form == "hinge" else softplus(-margin)


def _scores(input: Scores, side: str) -> dict[str, Tensor]:
    if side == "discriminator" and "real" not in input:
        raise ValueError("input must hold the scores 'real' too: this side compares it with 'fake'")
    return same_rows({name: promote(part) for name, part in input.items()}, shapes=True)
