"""What is made of the values of another loss."""

import math

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, tensor_like

__all__ = ["cvar", "lambert_w", "self_paced", "super_loss", "tilted"]

GAUSS = (  # nodes and weights of Gauss and Legendre's rule from 0 to 1
    (0.03376524289842403, 0.08566224618958514),
    (0.16939530676686776, 0.18038078652406936),
    (0.38069040695840156, 0.23395696728634552),
    (0.6193095930415985, 0.23395696728634552),
    (0.8306046932331322, 0.18038078652406936),
    (0.9662347571015759, 0.08566224618958514),
)


def self_paced(values: Tensor, *, threshold: Tensor | float) -> Tensor:
    """Return min(v, threshold) (Kumar, Packer & Koller, 2010): rows above it teach nothing."""
    return torch.minimum(values, tensor_like(threshold, values))


def super_loss(values: Tensor, *, tau: Tensor | float, lam: Tensor | float) -> Tensor:
    """Return min over s of (v − tau)·s + lam·log(s)² (Castells, Weinzaepfel & Revaud, 2020)."""
    excess = values - as_scalar_or_tensor(tau, values)
    lam = tensor_like(lam, values)
    log_weight = -lambert_w(excess.detach(), per=2 * lam.detach())
    return excess * log_weight.exp() + lam * log_weight.square()


def lambert_w(argument: Tensor, *, per: Tensor | float = 1.0) -> Tensor:
    """Return the principal branch of w·exp(w) = argument/per, −1 for quotients below −1/e."""
    per = tensor_like(per, argument)
    log = argument.clamp(min=torch.finfo(argument.dtype).tiny).log() - per.log()
    small = _lambert((argument / per).clamp(-1 / math.e, 3))
    return torch.where(log < 1, small, _lambert_of_log(log.clamp(min=1)))


def _lambert(argument: Tensor) -> Tensor:
    edge = (2 * (math.e * argument + 1)).clamp(min=0).sqrt()  # series about −1/e
    low = -1 + edge - edge.square() / 3
    w = torch.where(argument < 0.3, low.clamp(max=0.5), torch.log1p(argument.clamp(min=0)))
    for _ in range(8):  # Halley's steps treble the right digits
        e = w.exp()
        miss = w * e - argument
        slope = e * (w + 1) - (w + 2) * miss / (2 * w + 2).clamp(min=1e-6)
        w = w - torch.where(slope.abs() > 1e-12, miss / slope, torch.zeros_like(miss))
    return w.clamp(min=-1)


def _lambert_of_log(log: Tensor) -> Tensor:
    """Return the w of w + log w = log, for logarithms from 1 on, whose exponential may overflow."""
    w = log
    for _ in range(6):  # Newton's steps double the right digits
        w = w * (1 + log - w.log()) / (1 + w)
    return w


def tilted(values: Tensor, weight: Tensor, *, tilt: Tensor | float) -> Tensor:
    """Return log(mean(exp(tilt·v))) / tilt, the mean at tilt 0 (Li et al., 2021)."""
    if not values.numel():
        return values.sum()
    tilt, mass = tensor_like(tilt, values), weight.sum()
    share = torch.where(mass == 0, 1 / weight.shape[0], weight / torch.where(mass == 0, 1, mass))
    mean = (share * torch.where(weight > 0, values, 0)).sum().detach()
    kept = torch.where(weight > 0, values, mean)
    least, most = kept.detach().aminmax()
    flat = (tilt * most - tilt * least).detach().abs() < 0.5
    little, much = torch.where(flat, tilt, 0), torch.where(flat, 1, tilt)
    return torch.where(
        flat,
        mean + _averaged(kept - mean, share, little),
        _logged(kept, share, much, torch.where(much > 0, most, least)),
    )


def _logged(values: Tensor, share: Tensor, tilt: Tensor, top: Tensor) -> Tensor:
    return top + (share * (tilt * (values - top)).exp()).sum().log() / tilt


def _averaged(away: Tensor, share: Tensor, tilt: Tensor) -> Tensor:
    """Return the same as the average from tilt 0 to tilt of means under weights exp(tilt·v).

    By Gauss's rule, exact to the last bit of float64 for exponents that differ by up to ½.
    """
    nodes, parts = away.new_tensor(GAUSS).unbind(1)
    mass = share * (tilt * nodes.unsqueeze(1) * away).exp()
    return (parts * ((mass * away).sum(1) / mass.sum(1))).sum()


def cvar(values: Tensor, weight: Tensor, *, fraction: Tensor | float) -> Tensor:
    """Return the mean of the worst fraction of the values (Rockafellar & Uryasev, 2000)."""
    fraction = tensor_like(fraction, values)
    # Rows of weight 0 go last, whatever their value.
    order = torch.where(weight > 0, values, torch.full_like(values, -torch.inf))
    place = order.detach().argsort(descending=True, stable=True)
    ordered, mass = values[place], weight[place]
    room = fraction * mass.sum()
    before = mass.cumsum(0) - mass
    taken = torch.minimum(mass, (room - before).clamp(min=0))
    total = torch.where(taken > 0, taken * ordered, torch.zeros_like(ordered)).sum()
    return total / torch.where(room > 0, room, torch.ones_like(room))
