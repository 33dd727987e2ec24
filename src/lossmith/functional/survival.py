"""Cox's partial likelihood of log hazards, one value a row."""

import torch
from torch import Tensor

from lossmith.functional.checks import promote, require


def cox(input: Tensor, time: Tensor, event: Tensor, *, ties: str) -> Tensor:
    """Return log Σ_j s_ij·exp(input_j) − input_i for rows i with an event, of any value elsewhere.

    s_ij is 1 where row j is still at risk at time_i. Under ties "efron" those of m tied events
    count less and less, 1 − r/m for r = 0 … m − 1 (Efron, 1977); under "breslow" in full.
    """
    input, time, event = _checked(input, time, event)
    share = (time.unsqueeze(0) >= time.unsqueeze(1)).to(input.dtype)
    if ties == "efron":
        both = event.unsqueeze(0) & event.unsqueeze(1)
        tied = (both & (time.unsqueeze(0) == time.unsqueeze(1))).to(input.dtype)
        before, count = tied.tril(-1).sum(1, keepdim=True), tied.sum(1, keepdim=True)
        share = share - before / count.clamp(min=1) * tied
    present = (share > 0) & event.unsqueeze(1)  # other rows, NaN maybe, wait for no one
    logs = input.unsqueeze(0) + torch.where(present, share, 1).log()
    logs = torch.where(present, logs, torch.finfo(input.dtype).min / 2)
    return logs.logsumexp(1) - torch.where(event, input, 0)


def _checked(input: Tensor, time: Tensor, event: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Check one log hazard, time and event a row; the event comes back as a truth value."""
    if input.ndim != 1 or not input.shape == time.shape == event.shape:
        raise ValueError(
            f"input has shape {tuple(input.shape)}, time {tuple(time.shape)} and event "
            f"{tuple(event.shape)}; they must be (N,) alike, nothing is broadcast"
        )
    require(((event == 0) | (event == 1)).all(), "event holds more than 0 and 1")
    require((time == time).all(), "time holds NaN; leave such rows out")
    return promote(input), time, event == 1
