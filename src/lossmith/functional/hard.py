"""What hard samples count: functions of the values of any loss."""

import math

import torch
from torch import Tensor

from lossmith.functional.checks import in_dtype, tensor_like


def self_paced(values: Tensor, *, threshold: Tensor | float) -> Tensor:
    """Return min(v, threshold) (Kumar, Packer & Koller, 2010): rows above it teach nothing."""
    return torch.minimum(values, tensor_like(threshold, values))


def super_loss(values: Tensor, *, tau: Tensor | float, lam: Tensor | float) -> Tensor:
    """Return min over s of (v − tau)·s + lam·log(s)² (Castells, Weinzaepfel & Revaud, 2020)."""
    excess = values - in_dtype(tau, values)
    lam = in_dtype(lam, values)
    argument = (excess.detach() / lam).clamp(min=-2 / math.e) / 2
    log_weight = -lambert_w(argument)
    return excess * log_weight.exp() + lam * log_weight.square()


def lambert_w(argument: Tensor) -> Tensor:
    """Return the principal branch of w·exp(w) = argument, for arguments from −1/e on."""
    edge = (2 * (math.e * argument + 1)).clamp(min=0).sqrt()  # series about −1/e
    low = -1 + edge - edge.square() / 3
    high = torch.log1p(argument.clamp(min=0))
    w = torch.where(argument < 0.3, low.clamp(max=0.5), high)
    for _ in range(8):  # Halley's steps treble the right digits
        e = w.exp()
        miss = w * e - argument
        slope = e * (w + 1) - (w + 2) * miss / (2 * w + 2).clamp(min=1e-6)
        w = w - torch.where(slope.abs() > 1e-12, miss / slope, torch.zeros_like(miss))
    return w.clamp(min=-1)


def tilted(values: Tensor, weight: Tensor, *, tilt: Tensor | float) -> Tensor:
    """Return log(mean(exp(tilt·v))) / tilt, the mean at tilt 0 (Li et al., 2021)."""
    tilt = tensor_like(tilt, values)
    mass = weight.sum()
    share = weight / torch.where(mass == 0, torch.ones_like(mass), mass)
    flat = tilt.abs() < 1e-6
    used = torch.where(flat, torch.ones_like(tilt), tilt)
    kept = torch.where(share > 0, used * values, torch.full_like(values, -torch.inf))
    top = kept.detach().max() if values.numel() else values.new_zeros(())
    top = torch.where(top.isfinite(), top, torch.zeros_like(top))
    total = (
        share * torch.where(share > 0, used * values - top, torch.zeros_like(values)).exp()
    ).sum()
    some = mass > 0
    curved = (torch.where(some, total, torch.ones_like(total)).log() + top) / used
    mean = torch.where(share > 0, share * values, torch.zeros_like(values)).sum()
    return torch.where(some, torch.where(flat, mean, curved), mean)


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
